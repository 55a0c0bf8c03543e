"""A mask refiner as a file: the masks of the network for any number of people, and nearly the same in INT8."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from poseg.codecs.mask_refiner import INPUT_CHANNELS  # noqa: E402
from poseg.export.quantize import quantize  # noqa: E402
from poseg.export.torch_model import TorchModel, make_card  # noqa: E402
from poseg.export.torch_onnx import export_onnx, fold_batchnorm  # noqa: E402
from poseg.runtime.inference import InferenceConfig  # noqa: E402
from poseg.runtime.onnx_model import OnnxModel  # noqa: E402
from poseg.systems.mask_refiner import MaskRefinerSystem  # noqa: E402

pytestmark = pytest.mark.slow  # exports a network

SYSTEM = MaskRefinerSystem(width=8, bottleneck_blocks=1)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    torch.manual_seed(0)
    network = SYSTEM.network().eval()
    path = tmp_path_factory.mktemp("model") / "refiner.onnx"
    mean, std = SYSTEM.normalisation
    card = make_card(
        SYSTEM, name="fresh", inference=InferenceConfig(64), mean=mean, std=std, licences={"code": "Apache-2.0"}
    )
    images = [np.random.default_rng(seed).integers(0, 256, (90, 70, 3), np.uint8) for seed in range(2)]
    result = export_onnx(network, SYSTEM, card, path, images)
    assert result.difference < 1e-4
    assert result.num_images == 2
    return network, path


def crops(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, INPUT_CHANNELS, 64, 64)).astype(np.float32)


@pytest.mark.parametrize("count", [1, 3, 20])
def test_file_and_network_agree_for_any_number_of_crops(exported, count):
    network, path = exported
    session = OnnxModel(path)
    ours = TorchModel(fold_batchnorm(network), SYSTEM.codec, session.card).run(crops(count))
    theirs = session.run(crops(count))
    assert theirs["mask"].shape == (count, 64, 64)
    np.testing.assert_allclose(theirs["mask"], ours["mask"], atol=2e-2)  # weights in half precision


def test_int8_masks_are_nearly_the_same(exported, tmp_path):
    _, path = exported
    quantize(path, ({"image": crops(2, seed)} for seed in range(8)), tmp_path / "int8.onnx")
    fp32, int8 = (OnnxModel(model).run(crops(6, 99))["mask"] for model in (path, tmp_path / "int8.onnx"))
    assert np.corrcoef(fp32.ravel(), int8.ravel())[0, 1] > 0.95
    assert (tmp_path / "int8.onnx").stat().st_size < path.stat().st_size
