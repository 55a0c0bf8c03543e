"""A network that starts from published weights puts out what they do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from poseg.errors import WeightsError  # noqa: E402
from poseg.export.import_google import import_google  # noqa: E402
from poseg.recipes.google_start import start_from_google  # noqa: E402
from poseg.runtime.onnx_model import OnnxModel  # noqa: E402
from poseg.systems.personlab import PersonLab  # noqa: E402

WEIGHTS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "weights_bodypix_posenet"
BODYPIX = WEIGHTS / "bodypix_mnv1_075_s16_dequant.npz"
CONFIG = PersonLab(backbone="mobilenet_v1_075", context_levels=2, intermediate="corrected")

needs_weights = pytest.mark.skipif(not BODYPIX.exists(), reason="the published weights are not beside the repository")


@needs_weights
def test_the_first_step_is_the_published_network(tmp_path):
    network = CONFIG.network().eval()
    start_from_google(network, BODYPIX)
    import_google(BODYPIX, tmp_path / "bodypix.onnx")
    image = torch.randn(1, 3, 97, 129, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        fields = network(image)
    for name, array in OnnxModel(tmp_path / "bodypix.onnx").run(image.numpy()).arrays.items():
        ours = fields[f"coarse.{name}"][0].numpy().reshape(array.shape)
        np.testing.assert_allclose(ours, array, atol=1e-3, err_msg=name)


@needs_weights
def test_networks_of_another_shape_are_refused():
    with pytest.raises(WeightsError, match="mobilenet_v1_075"):
        start_from_google(PersonLab().network(), BODYPIX)
    posenet = WEIGHTS / "posenet_mnv1_075_s16_f16.npz"
    with pytest.raises(WeightsError):
        start_from_google(CONFIG.network(), posenet)


@needs_weights
def test_a_file_of_another_network_is_no_movenet():
    pytest.importorskip("tflite")
    bodypix = WEIGHTS / "bodypix_mobilenet_v1_075_720_1280_16_quant.tflite"
    with pytest.raises(WeightsError, match=r"give MoveNet MultiPose\.$"):
        start_from_google(PersonLab(backbone="mobilenet_v2_150").network(), bodypix)
    with pytest.raises(WeightsError, match="mobilenet_v2_150"):
        start_from_google(CONFIG.network(), bodypix)
