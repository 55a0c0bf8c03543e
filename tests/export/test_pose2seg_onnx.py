"""Pose2Seg as a file: the masks of the network for any number of people, and nearly the same in INT8."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from poseg.codecs.pose2seg import paper_templates  # noqa: E402
from poseg.export.quantize import quantize  # noqa: E402
from poseg.export.torch_model import TorchModel, make_card  # noqa: E402
from poseg.export.torch_onnx import export_onnx, fold_batchnorm  # noqa: E402
from poseg.people import People  # noqa: E402
from poseg.runtime.inference import InferenceConfig  # noqa: E402
from poseg.runtime.onnx_model import OnnxModel  # noqa: E402
from poseg.runtime.pose2seg import Pose2SegSegmenter  # noqa: E402
from poseg.skeletons import COCO17  # noqa: E402
from poseg.systems.pose2seg import Pose2Seg  # noqa: E402

pytestmark = pytest.mark.slow  # exports a network

SYSTEM = Pose2Seg(
    backbone="mobilenet_v3_small", neck="separable", neck_channels=16, stem_width=16, width=8, blocks=2, out_width=4
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    torch.manual_seed(0)
    network = SYSTEM.network().eval()
    path = tmp_path_factory.mktemp("model") / "pose2seg.onnx"
    mean, std = SYSTEM.normalisation
    card = make_card(
        SYSTEM, name="fresh", inference=InferenceConfig(161), mean=mean, std=std, licences={"code": "Apache-2.0"}
    )
    result = export_onnx(network, SYSTEM, card, path)
    assert result.difference < 1e-4
    return network, path


def crowd(count: int, seed: int = 0) -> People:
    rng = np.random.default_rng(seed)
    corners = rng.uniform((-20, -20), (140, 80), (count, 1, 2))
    points = paper_templates().points[0] * rng.uniform(40, 120, (count, 1, 1)) + corners
    return People.from_poses(COCO17, points, np.ones((count, 17)))


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (120, 200, 3), np.uint8)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_file_and_network_agree_for_any_number_of_people(exported, count):
    network, path = exported
    session = OnnxModel(path)
    ours = Pose2SegSegmenter(TorchModel(fold_batchnorm(network), session.codec, session.card), rescore=False)
    theirs = Pose2SegSegmenter(session, rescore=False)
    expected, got = (np.asarray(each(noise(), crowd(count)).masks) for each in (ours, theirs))
    assert (expected == got).mean() > 0.999  # weights are stored in half precision
    assert got.shape == (count, 120, 200)


def test_people_of_one_image_are_independent(exported):
    segmenter = Pose2SegSegmenter(OnnxModel(exported[1]), exclusive=False, rescore=False)
    together = np.asarray(segmenter(noise(), crowd(5)).masks)
    alone = [segmenter(noise(), crowd(5)[[row]]).masks[0] for row in range(5)]
    assert (together == np.stack(alone)).mean() > 0.9999


def test_int8_masks_are_nearly_the_same(exported, tmp_path):
    segmenter = Pose2SegSegmenter(OnnxModel(exported[1]), rescore=False)
    batches = [segmenter.make_batch(noise(seed), crowd(4, seed)) for seed in range(8)]
    calibration = (
        {"image": batch.tensor, **{name: array[None] for name, array in batch.extra_inputs.items()}}
        for batch in batches
    )
    card = quantize(exported[1], calibration, tmp_path / "int8.onnx")
    assert card.system == "pose2seg"
    small = OnnxModel(tmp_path / "int8.onnx")
    batch = segmenter.make_batch(noise(99), crowd(4, 99))
    extra_inputs = {name: array[None] for name, array in batch.extra_inputs.items()}
    fp32, int8 = (s.run(batch.tensor, **extra_inputs)["mask"] for s in (segmenter.model, small))
    assert np.abs(fp32 - int8).max() < 0.15 * np.abs(fp32).max()
    assert np.abs(fp32 - int8).max() > 0
