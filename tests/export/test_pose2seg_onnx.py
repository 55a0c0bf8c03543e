"""Pose2Seg as a file: the same masks as the network's for any number of people, and in eight bits nearly the same."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from poseg.codecs.pose2seg import paper_templates  # noqa: E402
from poseg.export.network_runner import NetworkRunner, system_card  # noqa: E402
from poseg.export.quantize import quantize  # noqa: E402
from poseg.export.torch_onnx import export_onnx, fold_norms  # noqa: E402
from poseg.people import People  # noqa: E402
from poseg.runtime.onnx_model import OnnxModel  # noqa: E402
from poseg.runtime.pose2seg import Pose2SegSegmenter  # noqa: E402
from poseg.skeletons import COCO17  # noqa: E402
from poseg.systems.pose2seg import Pose2Seg  # noqa: E402

pytestmark = pytest.mark.slow  # exports a network

SYSTEM = Pose2Seg(
    backbone="mobilenet_v3_small", neck="separable", neck_channels=16, stem=16, planes=8, units=2, last_planes=4
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    torch.manual_seed(0)
    network = SYSTEM.network().eval()
    path = tmp_path_factory.mktemp("model") / "pose2seg.onnx"
    mean, std = SYSTEM.normalisation
    card = system_card(SYSTEM, name="fresh", size_px=161, mean=mean, std=std, licences={"code": "Apache-2.0"})
    result = export_onnx(network, SYSTEM, card, path)
    assert result.difference < 1e-4
    return network, path


def crowd(count: int, seed: int = 0) -> People:
    rng = np.random.default_rng(seed)
    places = rng.uniform((-20, -20), (140, 80), (count, 1, 2))
    points = paper_templates().points[0] * rng.uniform(40, 120, (count, 1, 1)) + places
    return People.from_poses(COCO17, points, np.ones((count, 17)))


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (120, 200, 3), np.uint8)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_file_and_network_agree_for_any_number_of_people(exported, count):
    network, path = exported
    session = OnnxModel(path)
    ours = Pose2SegSegmenter(NetworkRunner(fold_norms(network), session.codec, session.card), rescore=False)
    theirs = Pose2SegSegmenter(session, rescore=False)
    expected, found = (each(picture(), crowd(count)).masks for each in (ours, theirs))
    assert (expected == found).mean() > 0.999  # weights are stored in half precision
    assert found.shape == (count, 120, 200)


def test_people_of_one_picture_do_not_change_each_other(exported):
    segmenter = Pose2SegSegmenter(OnnxModel(exported[1]), exclusive=False, rescore=False)
    together = segmenter(picture(), crowd(5)).masks
    alone = [segmenter(picture(), crowd(5)[[place]]).masks[0] for place in range(5)]
    assert (together == np.stack(alone)).mean() > 0.9999


def test_in_eight_bits_masks_stay(exported, tmp_path):
    segmenter = Pose2SegSegmenter(OnnxModel(exported[1]), rescore=False)
    questions = [segmenter.ask(picture(seed), crowd(4, seed)) for seed in range(8)]
    shown = ({"image": q.tensor, **{name: array[None] for name, array in q.given.items()}} for q in questions)
    card = quantize(exported[1], shown, tmp_path / "bytes.onnx")
    assert card.system == "pose2seg"
    small = OnnxModel(tmp_path / "bytes.onnx")
    (asked,) = [segmenter.ask(picture(99), crowd(4, 99))]
    given = {name: array[None] for name, array in asked.given.items()}
    exact, rounded = (s.run(asked.tensor, **given)["mask"] for s in (segmenter.session, small))
    assert np.abs(exact - rounded).max() < 0.15 * np.abs(exact).max()
    assert np.abs(exact - rounded).max() > 0
