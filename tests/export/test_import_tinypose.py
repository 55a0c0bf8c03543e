"""A network filled from PP-TinyPose's file computes what the file computes, and can be written as ONNX again."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from poseg.errors import WeightsError  # noqa: E402
from poseg.export.import_tinypose import INPUT_PX, load_tinypose  # noqa: E402
from poseg.export.torch_onnx import OPSET, _OnnxWrapper  # noqa: E402
from poseg.networks.backbones.lite_hrnet import LiteHRNet, LiteHRNetPose  # noqa: E402

PUBLISHED = (
    Path(__file__).resolve().parents[2].parent / "shared" / "data" / "weights_teachers" / "tinypose_256x192.onnx"
)


def write(network: torch.nn.Module, path: Path, size_px: tuple[int, int]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _OnnxWrapper(network, ["heatmap"]).eval(), (torch.randn(2, 3, *size_px),), path, dynamo=False,
            opset_version=OPSET, input_names=["image"], output_names=["heatmap"],
            dynamic_axes={"image": {0: "people"}, "heatmap": {0: "people"}},
        )  # fmt: skip


def run(path: Path, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image})[0]


def small() -> LiteHRNetPose:
    return LiteHRNetPose(LiteHRNet((8, 16, 24, 32), (1, 1, 1), stem=8), joints=5)


def test_a_written_network_takes_any_number_of_people_and_is_read_back(tmp_path):
    torch.manual_seed(0)
    source, network, file = small().eval(), small().eval(), tmp_path / "crop.onnx"
    write(source, file, (64, 32))
    load_tinypose(network, file)
    for people in (1, 3):
        crops = torch.randn(people, 3, 64, 32)
        with torch.no_grad():
            heatmap = network(crops)["heatmap"].numpy()
        np.testing.assert_allclose(run(file, crops.numpy()), heatmap, atol=1e-5)


def test_other_files_are_refused(tmp_path):
    file = tmp_path / "crop.onnx"
    write(small(), file, (64, 32))
    with pytest.raises(WeightsError, match="convolutions, expected 269"):
        load_tinypose(LiteHRNetPose(), file)
    with pytest.raises(WeightsError, match="has weights"):
        load_tinypose(LiteHRNetPose(LiteHRNet((8, 16, 24, 48), (1, 1, 1), stem=8), joints=5), file)
    file.write_bytes(b"no network")
    with pytest.raises(WeightsError, match="cannot be read"):
        load_tinypose(small(), file)


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published weights are not beside the repository")
def test_heatmaps_are_those_of_the_published_file():
    network = LiteHRNetPose().eval()
    load_tinypose(network, PUBLISHED)
    crops = torch.randn(2, 3, *INPUT_PX, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours = network(crops)["heatmap"].numpy()
    published = np.concatenate([run(PUBLISHED, crop[None].numpy()) for crop in crops])
    assert np.abs(ours - published).max() < 1e-4
