"""A painter as a file: the same masks as the network's for any number of people, and in eight bits nearly the same."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from poseg.codecs.mask_refiner import INPUT_CHANNELS  # noqa: E402
from poseg.export.network_runner import NetworkRunner, system_card  # noqa: E402
from poseg.export.quantize import quantize  # noqa: E402
from poseg.export.torch_onnx import export_onnx, fold_norms  # noqa: E402
from poseg.runtime.onnx_model import OnnxModel  # noqa: E402
from poseg.systems.painter import Painter  # noqa: E402

pytestmark = pytest.mark.slow  # exports a network

SYSTEM = Painter(width=8, deep=1)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    torch.manual_seed(0)
    network = SYSTEM.network().eval()
    path = tmp_path_factory.mktemp("model") / "painter.onnx"
    mean, std = SYSTEM.normalisation
    card = system_card(SYSTEM, name="fresh", size_px=64, mean=mean, std=std, licences={"code": "Apache-2.0"})
    pictures = [np.random.default_rng(seed).integers(0, 256, (90, 70, 3), np.uint8) for seed in range(2)]
    result = export_onnx(network, SYSTEM, card, path, pictures)
    assert result.difference < 1e-4
    assert result.pictures == 2
    return network, path


def windows(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, INPUT_CHANNELS, 64, 64)).astype(np.float32)


@pytest.mark.parametrize("count", [1, 3, 20])
def test_any_number_of_windows_is_one_run(exported, count):
    network, path = exported
    session = OnnxModel(path)
    ours = NetworkRunner(fold_norms(network), SYSTEM.codec, session.card).run(windows(count))
    theirs = session.run(windows(count))
    assert theirs["mask"].shape == (count, 64, 64)
    np.testing.assert_allclose(theirs["mask"], ours["mask"], atol=2e-2)  # weights in half precision


def test_in_eight_bits_masks_are_nearly_the_same(exported, tmp_path):
    _, path = exported
    quantize(path, ({"image": windows(2, seed)} for seed in range(8)), tmp_path / "bytes.onnx")
    exact, rounded = (OnnxModel(model).run(windows(6, 99))["mask"] for model in (path, tmp_path / "bytes.onnx"))
    assert np.corrcoef(exact.ravel(), rounded.ravel())[0, 1] > 0.95
    assert (tmp_path / "bytes.onnx").stat().st_size < path.stat().st_size
