"""A network that starts from Google's weights predicts what they do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from poseg.errors import WeightsError  # noqa: E402
from poseg.export.import_google import import_google  # noqa: E402
from poseg.recipes.first_weights import load_google_weights  # noqa: E402
from poseg.runtime.onnx_model import OnnxModel  # noqa: E402
from poseg.systems.personlab import PersonLab  # noqa: E402

WEIGHTS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "weights_bodypix_posenet"
BODYPIX = WEIGHTS / "bodypix_mnv1_075_s16_dequant.npz"
CONFIG = PersonLab(backbone="mobilenet_v1_075", extra_levels=2, deep_supervision="residual")

needs_weights = pytest.mark.skipif(not BODYPIX.exists(), reason="the published weights are not beside the repository")


@needs_weights
def test_load_google_weights_gives_the_published_network(tmp_path):
    network = CONFIG.network().eval()
    load_google_weights(network, BODYPIX)
    import_google(BODYPIX, tmp_path / "bodypix.onnx")
    image = torch.randn(1, 3, 97, 129, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        fields = network(image)
    for name, array in OnnxModel(tmp_path / "bodypix.onnx").run(image.numpy()).arrays.items():
        ours = fields[f"coarse.{name}"][0].numpy().reshape(array.shape)
        np.testing.assert_allclose(ours, array, atol=1e-3, err_msg=name)


@needs_weights
def test_load_google_weights_rejects_networks_of_another_shape():
    with pytest.raises(WeightsError, match="mobilenet_v1_075"):
        load_google_weights(PersonLab().network(), BODYPIX)
    posenet = WEIGHTS / "posenet_mnv1_075_s16_f16.npz"
    with pytest.raises(WeightsError):
        load_google_weights(CONFIG.network(), posenet)


@needs_weights
def test_load_google_weights_rejects_files_of_another_network():
    pytest.importorskip("tflite")
    bodypix = WEIGHTS / "bodypix_mobilenet_v1_075_720_1280_16_quant.tflite"
    with pytest.raises(WeightsError, match=r"give MoveNet MultiPose\.$"):
        load_google_weights(PersonLab(backbone="mobilenet_v2_150").network(), bodypix)
    with pytest.raises(WeightsError, match="mobilenet_v2_150"):
        load_google_weights(CONFIG.network(), bodypix)
