"""Masks of people whose poses are known: crops, batches and the way back to the image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import poseg
from poseg.codecs.pose2seg import Pose2SegCodec, paper_templates
from poseg.errors import ImageError, PosegError, SkeletonError
from poseg.io.coco_json import read_coco
from poseg.io.images import read_image
from poseg.people import People
from poseg.runtime import pose2seg as module
from poseg.runtime.card import Card
from poseg.runtime.inference import InferenceConfig
from poseg.runtime.pose2seg import Pose2SegSegmenter
from poseg.skeletons import COCO17, LSP14, Skeleton

SAMPLE = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "mmpose_samples" / "ochuman"
CODEC = Pose2SegCodec(padding=0.1)


RADIUS = 0.3  # of the disk, in sides of the crop


class Disks:
    """A model that says: a person is the disk around the centre of the crop. Counts runs."""

    def __init__(self, **changes) -> None:
        self.codec, self.runs = CODEC, []
        settings = {
            "name": "disks", "system": "pose2seg", "codec": CODEC.to_dict(), "skeleton": {},
            "inference": InferenceConfig(257),
            "size_divisor": 32, "size_offset": 1, "mean": (128.0,) * 3, "std": (128.0,) * 3, "outputs": {},
        }  # fmt: skip
        self.card = Card(**{**settings, **changes})
        self.prepare = self.card.prepare

    def run(self, tensor, **extra_inputs):
        count = extra_inputs["windows"].shape[1]
        self.runs.append(count)
        side = CODEC.crop_px
        at = (np.arange(side) + 0.5) / side - 0.5
        disk = np.where(at[:, None] ** 2 + at**2 < RADIUS**2, 4.0, -4.0).astype(np.float32)
        return CODEC.fields_from_outputs({"mask": np.broadcast_to(disk, (count, 1, side, side)).copy()})


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)


def standing(*corners, side=150.0) -> People:
    points = paper_templates().points[0]
    poses = [points * side + np.array(corner) for corner in corners]
    return People.from_poses(COCO17, np.array(poses), np.ones((len(corners), 17)))


def test_masks_lie_where_the_poses_are(image):
    """The unit square of a person is `side` wide and begins at its corner, whatever the size of the input."""
    corners = [(20.0, 40.0), (200.0, 100.0)]
    for long_edge_px in (161, 257, 513):
        segmented = Pose2SegSegmenter(Disks(), long_edge_px=long_edge_px, rescore=False)(image, standing(*corners))
        for mask, (x, y) in zip(segmented.masks, corners, strict=True):
            wanted = np.zeros(mask.shape, np.uint8)
            radius = RADIUS * 150 / 0.8
            cv2.circle(wanted, (round((x + 74.5) * 16), round((y + 74.5) * 16)), round(radius * 16), 1, -1, shift=4)
            overlap = (mask & (wanted > 0)).sum() / (mask | (wanted > 0)).sum()
            assert overlap > 0.95


def test_many_people_are_segmented_in_batches(image, monkeypatch):
    people = standing(*[(x, 50.0) for x in range(0, 250, 25)])
    whole = Pose2SegSegmenter(Disks())(image, people)
    monkeypatch.setattr(module, "MAX_BATCH", 4)
    network = Disks()
    parts = Pose2SegSegmenter(network)(image, people)
    assert network.runs == [4, 4, 2]
    np.testing.assert_array_equal(whole.masks, parts.masks)


def test_masks_are_exclusive_or_shared(image):
    people = standing((50.0, 50.0), (80.0, 60.0))
    exclusive, shared = (Pose2SegSegmenter(Disks(), exclusive=each)(image, people).masks for each in (True, False))
    both, border = np.asarray(shared).all(axis=0), np.asarray(exclusive).all(axis=0)
    assert both.sum() > 1000
    thinned = cv2.erode(border.astype(np.uint8), np.ones((5, 5)))
    assert not thinned.any(), "pixels that both hold are a line, thinner than two of the crop's"
    assert (exclusive.union() ^ shared.union()).sum() <= 0.02 * both.sum()


def test_scores_follow_the_masks_unless_rescore_is_off(image):
    people = replace(standing((50.0, 50.0), (200.0, 60.0)), scores=np.array([0.2, 0.9], np.float32))
    rescored = Pose2SegSegmenter(Disks())(image, people)
    assert (np.diff(rescored.scores) <= 0).all()
    assert rescored.scores[0] == pytest.approx(0.9 / (1 + np.exp(-4.0)), abs=0.02)
    kept = Pose2SegSegmenter(Disks(), rescore=False)(image, people)
    np.testing.assert_array_equal(kept.scores, people.scores)
    np.testing.assert_array_equal(kept.keypoints, people.keypoints)


def test_people_keep_their_skeleton(image):
    people = standing((50.0, 50.0)).remap_to(LSP14)
    segmented = Pose2SegSegmenter(Disks())(image, people)
    assert segmented.skeleton == LSP14
    np.testing.assert_array_equal(segmented.keypoints, people.keypoints)
    assert segmented.masks.nonempty.all()


def test_no_people_take_no_run(image):
    network = Disks()
    assert Pose2SegSegmenter(network)(image, People.empty(COCO17)).masks.shape == (0, 300, 400)
    assert network.runs == []


@pytest.mark.parametrize("joints", [0, 1, 2])
def test_people_with_fewer_than_three_joints_are_segmented_in_their_box(image, joints):
    scores = np.zeros((1, 17))
    scores[0, 5 : 5 + joints] = 1
    person = replace(standing((50.0, 50.0)), keypoint_scores=scores, boxes_xyxy=np.array([[100, 100, 180, 220.0]]))
    mask = Pose2SegSegmenter(Disks())(image, person).masks[0]
    y, x = np.nonzero(mask)
    assert abs(x.mean() + 0.5 - 140) < 2
    assert abs(y.mean() + 0.5 - 160) < 2
    no_box = replace(person, boxes_xyxy=np.zeros((1, 4)))
    y, x = np.nonzero(Pose2SegSegmenter(Disks())(image, no_box).masks[0])
    assert abs(x.mean() + 0.5 - 200) < 3, "without a box, in the centre of the image"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_joints_that_are_not_finite_count_as_missing(image, value):
    person = standing((50.0, 50.0))
    broken = person.keypoints.copy()
    broken[0, 3] = value
    scores = person.keypoint_scores.copy()
    scores[0, 3] = 0
    segmenter = Pose2SegSegmenter(Disks())
    np.testing.assert_array_equal(
        segmenter(image, replace(person, keypoints=broken)).masks,
        segmenter(image, replace(person, keypoint_scores=scores)).masks,
    )


def test_person_whose_joints_coincide_is_segmented_in_the_box(image):
    person = replace(standing((50.0, 50.0)), keypoints=np.full((1, 17, 2), 77.0))
    assert Pose2SegSegmenter(Disks())(image, person).masks.nonempty.all()


def test_segmenter_rejects_other_skeletons_images_systems_and_settings(image):
    animal = Skeleton("animal", ("snout", "tail"), (("snout", "tail"),))
    with pytest.raises(SkeletonError, match="share 0 joints with the model"):
        Pose2SegSegmenter(Disks())(image, People.from_poses(animal, np.zeros((1, 2, 2)), np.ones((1, 2))))
    with pytest.raises(ImageError):
        Pose2SegSegmenter(Disks())(b"no image", standing((0.0, 0.0)))
    with pytest.raises(PosegError, match="'personlab'"):
        Pose2SegSegmenter(Disks(system="personlab"))
    for settings in ({"long_edge_px": 8}, {"mask_threshold": 0.0}):
        with pytest.raises(PosegError):
            Pose2SegSegmenter(Disks(), **settings)


def test_prior_masks_weigh_as_much_as_prior_weight(image):
    person = standing((50.0, 50.0))
    fresh = Pose2SegSegmenter(Disks())(image, person).masks
    old = np.zeros((1, 300, 400), bool)
    old[0, 60:200, 60:200] = True
    masked = replace(person, masks=old)
    np.testing.assert_array_equal(Pose2SegSegmenter(Disks(), prior_weight=0.0)(image, masked).masks, fresh)
    prior_alone = Pose2SegSegmenter(Disks(), prior_weight=1.0)(image, masked).masks
    assert prior_alone.iou(masked.masks)[0, 0] > 0.999, "all but the corners, since crops interpolate"
    np.testing.assert_array_equal(
        Pose2SegSegmenter(Disks(), prior_weight=1.0)(image, replace(masked, masks=old & False)).masks, fresh
    )
    both, fresh = (np.asarray(m) for m in (Pose2SegSegmenter(Disks(), prior_weight=0.3)(image, masked).masks, fresh))
    assert (both >= fresh & old).all()
    assert not (both & ~fresh & ~old).any()
    with pytest.raises(PosegError, match="prior_weight"):
        Pose2SegSegmenter(Disks(), prior_weight=1.2)


def test_bundled_pose2seg_tells_people_apart_who_hide_each_other():
    """On OCHuman's sample images."""
    if not SAMPLE.is_dir():
        pytest.skip("no shared data beside the repository")
    data, pairs = read_coco(SAMPLE / "test_ochuman.json"), 0
    for number, entry in data.images.items():
        image = read_image(SAMPLE / entry.file_name)
        people = data.people(number, image.shape[:2])
        if len(people) < 2 or people.masks.iou(people.masks)[0, 1] > 0.9:  # one pair is annotated with nearly one mask
            continue
        pairs += 1
        segmented = poseg.load("pose2seg", rescore=False)(image, replace(people, masks=None))
        iou = segmented.masks.iou(people.masks)
        np.testing.assert_array_equal(iou.argmax(axis=1), np.arange(len(people)))
        assert np.diag(iou).min() > 0.3, "each is mostly one person"
        assert segmented.masks.iou(segmented.masks)[0, 1] < 0.05
    assert pairs == 1
