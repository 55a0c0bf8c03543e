"""The file computes what the network computes, at any size, or is not written."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from poseg.errors import WeightsError  # noqa: E402
from poseg.export import torch_onnx  # noqa: E402
from poseg.export.torch_model import make_card  # noqa: E402
from poseg.export.torch_onnx import export_onnx, fold_batchnorm  # noqa: E402
from poseg.runtime.inference import InferenceConfig  # noqa: E402
from poseg.runtime.onnx_model import OnnxModel  # noqa: E402
from poseg.systems.personlab import PersonLab  # noqa: E402

pytestmark = pytest.mark.slow  # tracing and opening networks

SYSTEM = PersonLab(stride=8, neck_channels=32)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = SYSTEM.network()
    with torch.no_grad():  # statistics as training leaves them, so that folding has something to do
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.uniform_(-0.5, 0.5)
                module.running_var.uniform_(0.5, 2)
    return network.eval()


@pytest.fixture(scope="module")
def card():
    mean, std = SYSTEM.normalisation
    return make_card(
        SYSTEM, name="fresh", inference=InferenceConfig(257), mean=mean, std=std, licences={"code": "Apache-2.0"}
    )


def test_fold_batchnorm_keeps_fields_and_leaves_no_norm(network):
    image = torch.randn(1, 3, 97, 65, generator=torch.Generator().manual_seed(1))
    folded = fold_batchnorm(network)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    with torch.no_grad():
        before, after = network(image), folded(image)
    for name in before:
        torch.testing.assert_close(after[name], before[name], atol=1e-3, rtol=1e-3)


def test_file_and_network_agree_at_any_size(network, card, tmp_path):
    rng = np.random.default_rng(0)
    images = [cv2.resize(rng.integers(0, 256, (9, 12, 3), np.uint8), (400, 300), interpolation=cv2.INTER_CUBIC)]
    exported = export_onnx(network, SYSTEM, card, tmp_path / "fresh.onnx", images)
    written = exported.card
    assert exported.num_images == 1
    assert 0 < exported.difference <= torch_onnx.TOLERANCE
    session = OnnxModel(tmp_path / "fresh.onnx", threads=1)
    assert session.card.to_json() == written.to_json()
    assert len(written.sha256) == 64
    assert session.codec == SYSTEM.codec
    for height, width in ((97, 129), (161, 65)):
        image = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(height))
        with torch.no_grad():
            ours = network(image)
        fields = session.run(image.numpy())
        for spec in SYSTEM.codec.specs:
            expected = ours[spec.name].numpy()[0].reshape(fields[spec.name].shape)
            # The file's weights are half precision, the network's are not.
            np.testing.assert_allclose(fields[spec.name], expected, atol=0.02 * max(1, np.abs(expected).max()))


def test_fp16_weights_halve_the_file(network, card, tmp_path):
    export_onnx(network, SYSTEM, card, tmp_path / "fresh.onnx")
    parameters = sum(p.numel() for p in network.parameters())
    assert (tmp_path / "fresh.onnx").stat().st_size < 2.3 * parameters


def test_file_that_differs_is_not_written(network, card, tmp_path, monkeypatch):
    monkeypatch.setattr(torch_onnx, "TOLERANCE", -1.0)
    with pytest.raises(WeightsError, match="differs from the network"):
        export_onnx(network, SYSTEM, card, tmp_path / "fresh.onnx")
    assert not list(tmp_path.iterdir())


def test_network_with_nan_is_not_written(card, tmp_path):
    torch.manual_seed(0)
    broken = SYSTEM.network().eval()
    with torch.no_grad():
        next(iter(broken.heads.values())).conv.weight.fill_(torch.nan)
    with pytest.raises(WeightsError, match="differs from the network"):
        export_onnx(broken, SYSTEM, card, tmp_path / "broken.onnx")
    assert not list(tmp_path.iterdir())
