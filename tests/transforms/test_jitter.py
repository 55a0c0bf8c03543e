"""Laws of poses as a network would find them."""

from __future__ import annotations

import numpy as np
import pytest

from poseg.people import People
from poseg.skeletons import COCO17
from poseg.transforms.jitter import jitter_poses


def crowd(count: int, side_px: float = 100.0) -> People:
    rng = np.random.default_rng(0)
    corners = np.array([[0, 0], [side_px, side_px]], np.float32)
    points = rng.uniform(0, side_px, (count, 17, 2)).astype(np.float32)
    points[:, :2] = corners
    return People.from_poses(COCO17, points, np.ones((count, 17)))


@pytest.mark.parametrize(
    "settings", [{"sigma_scale": 0.0, "max_missing": 0.0, "clean_fraction": 0.0}, {"clean_fraction": 1.0}]
)
def test_no_noise_leaves_people_as_they_are(settings):
    people = crowd(20)
    result = jitter_poses(people, np.random.default_rng(1), **settings)
    np.testing.assert_array_equal(result.keypoints, people.keypoints)
    np.testing.assert_array_equal(result.keypoint_scores, people.keypoint_scores)


def test_joints_move_by_their_own_deviation_and_with_the_size_of_the_person():
    moved = []
    for side_px in (100.0, 200.0):
        people = crowd(2000, side_px)
        result = jitter_poses(people, np.random.default_rng(1), max_missing=0.0, clean_fraction=0.0)
        away = (result.keypoints - people.keypoints).std(axis=(0, 2))
        np.testing.assert_allclose(away / side_px, COCO17.sigmas, rtol=0.1)
        moved.append(away)
    np.testing.assert_allclose(moved[1], 2 * moved[0], rtol=1e-3)


def test_the_fraction_of_missing_joints_is_uniform_up_to_the_maximum():
    result = jitter_poses(crowd(4000), np.random.default_rng(1), max_missing=0.6, clean_fraction=0.0)
    missing = (result.keypoint_scores == 0).mean(axis=1)
    assert missing.mean() == pytest.approx(0.3, abs=0.02)
    assert missing.max() < 1


def test_boxes_and_masks_stay_and_no_people_are_valid():
    people = crowd(3)
    result = jitter_poses(people, np.random.default_rng(1))
    np.testing.assert_array_equal(result.boxes_xyxy, people.boxes_xyxy)
    assert len(jitter_poses(people[:0], np.random.default_rng(1))) == 0
