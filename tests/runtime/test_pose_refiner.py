"""Poses refined in crops: laws on a crop network that is told what to answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

import poseg
from poseg.errors import SkeletonError
from poseg.geometry.pose_size import body_boxes
from poseg.people import People
from poseg.runtime.pose_refiner import PoseRefiner
from poseg.skeletons import COCO17, LSP14, Skeleton

IMAGE = np.zeros((240, 320, 3), np.uint8)
JOINTS = len(COCO17)


@dataclass(frozen=True)
class CropNetwork:
    """Answers with poses for boxes, as `TopDownPose` does."""

    answer: Callable[[NDArray[np.float32]], People]
    min_score: float = 0.0

    def __call__(self, image: NDArray[np.uint8], boxes_xyxy: NDArray[np.float32]) -> People:
        return replace(self.answer(boxes_xyxy), boxes_xyxy=boxes_xyxy)


def people_at(*centres: tuple[float, float], scores: tuple[float, ...], confidence: float = 0.5) -> People:
    rng = np.random.default_rng(0)
    shape = rng.uniform(-30, 30, (JOINTS, 2))
    points = np.array([shape + centre for centre in centres], np.float32)
    return People.from_poses(COCO17, points, np.full(points.shape[:2], confidence), scores=np.array(scores, np.float32))


def refiner(confidence: float, offset: float = 0.0, skeleton: Skeleton = COCO17) -> PoseRefiner:
    """A crop network that places joints `offset` pixels right of a diagonal of the box, with one confidence."""

    def answer(boxes: NDArray[np.float32]) -> People:
        along = np.linspace(0.2, 0.8, len(skeleton), dtype=np.float32)[:, None]
        points = boxes[:, None, :2] + along * (boxes[:, 2:] - boxes[:, :2])[:, None] + np.float32(offset)
        return People.from_poses(skeleton, points, np.full(points.shape[:2], confidence))

    return PoseRefiner(CropNetwork(answer))  # type: ignore[arg-type]


def test_confident_joints_are_the_crops() -> None:
    people = people_at((80, 100), (220, 120), scores=(0.8, 0.5))
    refined = refiner(0.9)(IMAGE, people)
    boxes = body_boxes(people.keypoints, people.keypoint_scores, IMAGE.shape[:2])
    np.testing.assert_allclose(refined.keypoints[:, 0], boxes[:, :2] + 0.2 * (boxes[:, 2:] - boxes[:, :2]), atol=1e-3)
    assert (refined.keypoint_scores == np.float32(0.9)).all()


def test_uncertain_joints_are_the_detectors() -> None:
    people = people_at((80, 100), scores=(0.8,))
    refined = refiner(0.1)(IMAGE, people)
    np.testing.assert_array_equal(refined.keypoints, people.keypoints)
    np.testing.assert_array_equal(refined.keypoint_scores, people.keypoint_scores)


def test_joints_that_the_crop_network_lacks_stay() -> None:
    people = people_at((80, 100), scores=(0.8,))
    refined = refiner(0.9, skeleton=LSP14)(IMAGE, people)
    face = [COCO17.joints.index(name) for name in ("nose", "left_eye", "right_ear")]
    np.testing.assert_array_equal(refined.keypoints[:, face], people.keypoints[:, face])
    assert refined.skeleton == COCO17


def test_skeletons_without_a_shared_joint_are_refused() -> None:
    other = refiner(0.9, skeleton=Skeleton("odd", ("a", "b", "c"), (("a", "b"), ("b", "c"))))
    with pytest.raises(SkeletonError):
        other(IMAGE, people_at((80, 100), scores=(0.8,)))


def test_the_order_of_people_does_not_matter() -> None:
    people = people_at((80, 100), (220, 120), scores=(0.8, 0.5))
    forth, back = (refiner(0.7)(IMAGE, people[order]) for order in ([0, 1], [1, 0]))
    np.testing.assert_array_equal(forth.keypoints, back.keypoints)
    np.testing.assert_array_equal(forth.scores, back.scores)


def test_scores_rise_with_the_crops_confidence() -> None:
    people = people_at((80, 100), scores=(0.49,))
    low, high = (float(refiner(confidence)(IMAGE, people).scores[0]) for confidence in (0.4, 0.9))
    assert low == pytest.approx(0.7 * 0.4)
    assert high == pytest.approx(0.7 * 0.9)


def test_two_detections_of_one_person_become_one() -> None:
    people = people_at((80, 100), (80.5, 100.5), (220, 120), scores=(0.4, 0.8, 0.6))
    refined = refiner(0.9)(IMAGE, people)
    assert len(refined) == 2
    assert refined.scores[0] == pytest.approx(np.sqrt(0.8) * 0.9)


def test_no_people_stay_none() -> None:
    assert len(refiner(0.9)(IMAGE, People.empty(COCO17))) == 0


def test_body_boxes_lie_in_the_image_and_hold_the_joints_there() -> None:
    people = people_at((5, 5), (160, 120), (315, 236), (900, 900), scores=(1, 1, 1, 1))
    boxes = body_boxes(people.keypoints, people.keypoint_scores, (240, 320))
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= [320, 240]).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    inside = (people.keypoints[:3] >= 0).all(axis=2) & (people.keypoints[:3] < [320, 240]).all(axis=2)
    low, high = boxes[:3, None, :2], boxes[:3, None, 2:]
    held = ((people.keypoints[:3] >= low) & (people.keypoints[:3] <= high)).all(axis=2)
    assert held[inside].all()


def test_the_accurate_model_is_small_with_flips_and_larger_views() -> None:
    accurate, small = poseg.load("accurate"), poseg.load("small")
    assert accurate.name == "accurate"
    sizes = [[round(m.inference.long_edge_px * scale) for scale in m.inference.scales] for m in (accurate, small)]
    assert set(sizes[0]) > set(sizes[1])
    own = {"flip": True, "long_edge_px": accurate.inference.long_edge_px, "scales": accurate.inference.scales}
    assert accurate.inference == poseg.load("small", **own).inference
    for predictor, flip in ((accurate, True), (poseg.load("small"), False)):
        assert predictor.pose_refiner is not None
        assert predictor.pose_refiner.pose_model.flip is flip
    assert poseg.load("accurate", pose_refiner="").pose_refiner is None
    assert "accurate" in poseg.models()


def test_max_people_gives_the_first_of_the_uncapped_result() -> None:
    astronaut = pytest.importorskip("skimage.data").astronaut()
    image = np.concatenate([astronaut, astronaut[:, ::-1]], axis=1)
    every = poseg.load("accurate", min_score=0.05)(image)
    first = poseg.load("accurate", min_score=0.05, max_people=1)(image)
    assert len(every) > 1
    np.testing.assert_array_equal(first.scores, every.scores[:1])
    np.testing.assert_array_equal(first.keypoints, every.keypoints[:1])
