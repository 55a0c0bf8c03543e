"""Masks of given people, with a network that knows the answer: windows, chunks and the way back are what is tested."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from poseg.codecs.pose2seg import Pose2SegCodec, paper_templates
from poseg.errors import ImageError, PosegError, SkeletonError
from poseg.people import People
from poseg.runtime import pose2seg as module
from poseg.runtime.card import Card
from poseg.runtime.pose2seg import Pose2SegSegmenter
from poseg.skeletons import COCO17, LSP14, Skeleton

CODEC = Pose2SegCodec(padding=0.1)


class Blobs:
    """A network that says: a person is the disk around the middle of its window. Counts its runs."""

    def __init__(self, radius: float = 0.3, **changes) -> None:
        self.codec, self.radius, self.runs = CODEC, radius, []
        settings = {
            "name": "blobs", "system": "pose2seg", "codec": CODEC.to_dict(), "skeleton": {}, "size_px": 257,
            "size_divisor": 32, "size_offset": 1, "mean": (128.0,) * 3, "std": (128.0,) * 3, "outputs": {},
        }  # fmt: skip
        self.card = Card(**{**settings, **changes})

    def run(self, tensor, **given):
        count = given["windows"].shape[1]
        self.runs.append(count)
        side = CODEC.crop_px
        at = (np.arange(side) + 0.5) / side - 0.5
        disk = np.where(at[:, None] ** 2 + at**2 < self.radius**2, 4.0, -4.0).astype(np.float32)
        return CODEC.fields_from_outputs({"mask": np.broadcast_to(disk, (count, 1, side, side)).copy()})


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)


def standing(*places, side=150.0) -> People:
    points = paper_templates().points[0]
    poses = [points * side + np.array(place) for place in places]
    return People.from_poses(COCO17, np.array(poses), np.ones((len(places), 17)))


def test_masks_lie_where_the_pose_puts_them(image):
    """The unit square of a person is `side` wide and begins at its place, whatever the size of the input."""
    places = [(20.0, 40.0), (200.0, 100.0)]
    for size_px in (161, 257, 513):
        found = Pose2SegSegmenter(Blobs(), long_edge_px=size_px, rescore=False)(image, standing(*places))
        for mask, (x, y) in zip(found.masks, places, strict=True):
            wanted = np.zeros(mask.shape, np.uint8)
            radius = 0.3 * 150 / 0.8
            cv2.circle(wanted, (round((x + 74.5) * 16), round((y + 74.5) * 16)), round(radius * 16), 1, -1, shift=4)
            overlap = (mask & (wanted > 0)).sum() / (mask | (wanted > 0)).sum()
            assert overlap > 0.95


def test_many_people_are_taken_a_few_at_a_time(image, monkeypatch):
    people = standing(*[(x, 50.0) for x in range(0, 250, 25)])
    whole = Pose2SegSegmenter(Blobs())(image, people)
    monkeypatch.setattr(module, "MAX_BATCH", 4)
    network = Blobs()
    parts = Pose2SegSegmenter(network)(image, people)
    assert network.runs == [4, 4, 2]
    np.testing.assert_array_equal(whole.masks, parts.masks)


def test_masks_are_exclusive_or_shared(image):
    people = standing((50.0, 50.0), (80.0, 60.0))
    alone, shared = (
        Pose2SegSegmenter(Blobs(), exclusive=exclusive)(image, people).masks for exclusive in (True, False)
    )
    assert alone.sum(axis=0).max() == 1
    assert shared.sum(axis=0).max() == 2
    np.testing.assert_array_equal(alone.any(axis=0), shared.any(axis=0))


def test_scores_follow_the_masks_or_stay(image):
    people = replace(standing((50.0, 50.0), (200.0, 60.0)), scores=np.array([0.2, 0.9], np.float32))
    sure = Pose2SegSegmenter(Blobs())(image, people)
    assert (np.diff(sure.scores) <= 0).all()
    assert sure.scores[0] == pytest.approx(0.9 / (1 + np.exp(-4.0)), abs=0.02)
    kept = Pose2SegSegmenter(Blobs(), rescore=False)(image, people)
    np.testing.assert_array_equal(kept.scores, people.scores)
    np.testing.assert_array_equal(kept.keypoints, people.keypoints)


def test_people_keep_their_skeleton(image):
    given = standing((50.0, 50.0)).remap_to(LSP14)
    found = Pose2SegSegmenter(Blobs())(image, given)
    assert found.skeleton == LSP14
    np.testing.assert_array_equal(found.keypoints, given.keypoints)
    assert np.asarray(found.masks).any()


def test_nobody_is_fine(image):
    network = Blobs()
    found = Pose2SegSegmenter(network)(image, People.empty(COCO17))
    assert found.masks.shape == (0, 300, 400)
    assert network.runs == []


@pytest.mark.parametrize("joints", [0, 1, 2])
def test_people_with_hardly_a_joint_are_looked_for_in_their_box(image, joints):
    sure = np.zeros((1, 17))
    sure[0, 5 : 5 + joints] = 1
    person = replace(standing((50.0, 50.0)), keypoint_scores=sure, boxes_xyxy=np.array([[100, 100, 180, 220.0]]))
    mask = Pose2SegSegmenter(Blobs())(image, person).masks[0]
    y, x = np.nonzero(mask)
    assert abs(x.mean() + 0.5 - 140) < 2
    assert abs(y.mean() + 0.5 - 160) < 2
    nowhere = replace(person, boxes_xyxy=np.zeros((1, 4)))
    y, x = np.nonzero(Pose2SegSegmenter(Blobs())(image, nowhere).masks[0])
    assert abs(x.mean() + 0.5 - 200) < 3, "without a box in the middle of the picture"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_joints_that_are_not_finite_are_not_there(image, value):
    person = standing((50.0, 50.0))
    broken = person.keypoints.copy()
    broken[0, 3] = value
    found = Pose2SegSegmenter(Blobs())(image, replace(person, keypoints=broken))
    sure = person.keypoint_scores.copy()
    sure[0, 3] = 0
    np.testing.assert_array_equal(
        found.masks, Pose2SegSegmenter(Blobs())(image, replace(person, keypoint_scores=sure)).masks
    )


def test_all_joints_in_one_place(image):
    person = standing((50.0, 50.0))
    found = Pose2SegSegmenter(Blobs())(image, replace(person, keypoints=np.full((1, 17, 2), 77.0)))
    assert np.asarray(found.masks).any(), "the box is what is left"


def test_strangers_are_refused(image):
    animal = Skeleton("animal", ("snout", "tail"), (("snout", "tail"),))
    with pytest.raises(SkeletonError, match="0 joints that the model knows"):
        Pose2SegSegmenter(Blobs())(image, People.from_poses(animal, np.zeros((1, 2, 2)), np.ones((1, 2))))
    with pytest.raises(ImageError):
        Pose2SegSegmenter(Blobs())(b"no picture", standing((0.0, 0.0)))
    with pytest.raises(PosegError, match="'personlab'"):
        Pose2SegSegmenter(Blobs(system="personlab"))
    for settings in ({"size_px": 8}, {"mask_threshold": 0.0}):
        with pytest.raises(PosegError):
            Pose2SegSegmenter(Blobs(), **settings)


def test_masks_that_people_have_are_evidence(image):
    person = standing((50.0, 50.0))
    fresh = Pose2SegSegmenter(Blobs())(image, person).masks
    old = np.zeros((1, 300, 400), bool)
    old[0, 60:200, 60:200] = True
    masked = replace(person, masks=old)
    np.testing.assert_array_equal(Pose2SegSegmenter(Blobs(), prior_weight=0.0)(image, masked).masks, fresh)
    np.testing.assert_array_equal(Pose2SegSegmenter(Blobs(), prior_weight=1.0)(image, masked).masks, old)
    np.testing.assert_array_equal(
        Pose2SegSegmenter(Blobs(), prior_weight=1.0)(image, replace(masked, masks=old & False)).masks, fresh
    )
    both = Pose2SegSegmenter(Blobs(), prior_weight=0.3)(image, masked).masks
    assert (both >= fresh & old).all()
    assert not (both & ~fresh & ~old).any()
    with pytest.raises(PosegError, match="trust"):
        Pose2SegSegmenter(Blobs(), prior_weight=1.2)
