"""Pixels assigned to people by their poses alone: laws of distances and of assignments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.codecs.decoder_config import PAF_DEFAULT
from poseg.codecs.limb_assignment import LIMB_RADIUS_RATIO, assign_by_limbs, limb_distances
from poseg.codecs.poseg import PoSegCodec
from poseg.fields import Fields
from poseg.people import People
from poseg.skeletons import COCO17

Crowd = Callable[..., People]
SIZE = (257, 257)
CODEC = PoSegCodec()
SEEDS = st.integers(0, 10**6)


def scene(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Points (40, 2), keypoints (4, 6, 2), the visible ones, limbs (5, 2); the last two have none."""
    rng = np.random.default_rng(seed)
    keypoints = rng.uniform(0, 200, (4, 6, 2)).astype(np.float32)
    there = rng.random((4, 6)) > 0.3
    there[2], there[3] = [True, False, True, False, False, False], False
    limbs = np.array([[0, 1], [1, 2], [2, 3], [4, 5], [3, 4]])
    return rng.uniform(0, 200, (40, 2)).astype(np.float32), keypoints, there, limbs


def from_segment(point: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """Distance of a point from a segment, less the limb's thickness."""
    squared = float((b - a) @ (b - a))
    t = min(max(float((point - a) @ (b - a)) / squared, 0), 1) if squared else 0
    return max(float(np.hypot(*(point - a - t * (b - a)))) - LIMB_RADIUS_RATIO * squared**0.5, 0)


@given(SEEDS)
def test_limb_distances_are_those_of_a_plain_loop(seed):
    points, keypoints, there, ends = scene(seed)
    distances = limb_distances(points, keypoints, there, ends)
    for person, (joints, visible) in enumerate(zip(keypoints.astype(np.float64), there, strict=True)):
        limbs = [(a, b) for a, b in ends if visible[a] and visible[b]] or [(j, j) for j in np.flatnonzero(visible)]
        for number, point in enumerate(points.astype(np.float64)):
            expected = min((from_segment(point, joints[a], joints[b]) for a, b in limbs), default=np.inf)
            assert distances[number, person] == pytest.approx(expected, abs=2e-3)


@given(SEEDS, st.floats(-100, 100), st.floats(-100, 100), st.floats(0.5, 3))
def test_limb_distances_scale_with_the_image(seed, dx, dy, scale):
    points, keypoints, there, ends = scene(seed)
    shift = np.array([dx, dy], np.float32)
    moved = limb_distances(points * np.float32(scale) + shift, keypoints * np.float32(scale) + shift, there, ends)
    np.testing.assert_allclose(moved, limb_distances(points, keypoints, there, ends) * scale, atol=0.02)


def test_limb_distances_without_joints_are_infinite():
    points, keypoints, there, ends = scene(0)
    assert limb_distances(points, keypoints[:0], there[:0], ends).shape == (40, 0)
    assert np.isinf(limb_distances(points, keypoints, there, ends)[:, 3]).all()
    assert limb_distances(points[:0], keypoints, there, ends).shape == (0, 4)


def fields_of(people: People, codec: PoSegCodec = CODEC) -> Fields:
    return codec.encode(people, SIZE).as_fields()


def test_assign_by_limbs_is_exclusive(crowd: Crowd):
    """Even of people who lie across each other."""
    people = crowd(3, SIZE, 150)
    people = replace(people, keypoints=people.keypoints * 0.3 + 0.7 * people.keypoints.mean(axis=0))
    assigned = assign_by_limbs(fields_of(people), people, PAF_DEFAULT)
    assert ((assigned.margins > 0).sum(axis=1) <= 1).all()
    assert (assigned.margins > 0).any(axis=0).all()
    shared = assign_by_limbs(fields_of(people), people, replace(PAF_DEFAULT, exclusive_masks=False))
    assert ((shared.margins > 0).sum(axis=1) > 1).any()
    assert (shared.margins >= assigned.margins - 1e-6).all()


def test_assign_by_limbs_covers_person_cells_alone(crowd: Crowd):
    people = crowd(2, SIZE, 150)
    fields = fields_of(people)
    assigned = assign_by_limbs(fields, people, PAF_DEFAULT)
    outside = np.setdiff1d(np.arange(assigned.probability.size), assigned.cells)
    assert len(assigned.cells)
    assert (assigned.probability.reshape(-1)[assigned.cells] >= 0.2).all()
    assert (assigned.probability.reshape(-1)[outside] < 0.2).all()
    assert assigned.margins.shape == (len(assigned.cells), 2)


def test_assign_by_limbs_gives_a_patch_with_one_person_to_that_person(crowd: Crowd):
    """With a pole in the hand, three body heights long, and all else that is connected."""
    people = crowd(1, SIZE, 80)
    pole = np.zeros(SIZE, np.uint8)
    cv2.line(pole, np.rint(people.keypoints[0, 11]).astype(int).tolist(), (245, 10), 1, 17)
    mask = people.masks[0] | pole.astype(bool)
    other = np.zeros(SIZE, bool)
    other[200:240, 10:60] = True
    fields = fields_of(replace(people, masks=(mask | other)[None]))
    people = CODEC.decode(fields, PAF_DEFAULT)
    assert len(people) == 1
    assert (people.masks[0] & mask).sum() / (people.masks[0] | mask).sum() > 0.93
    assert not (people.masks[0] & other).any(), "a patch without joints is background when it is far"


def test_decode_gives_isolated_people_their_masks(crowd: Crowd):
    people = crowd(4, SIZE, 110)
    found = CODEC.decode(fields_of(people))
    match = np.linalg.norm(found.keypoints[:, None] - people.keypoints, axis=3).mean(axis=2).argmin(axis=1)
    assert (np.diag(found.masks.iou(people.masks[match])) > 0.93).all()
    assert (np.asarray(found.masks).sum(axis=0) <= 1).all()


def test_decode_splits_people_who_touch():
    """Two people side by side, shoulders touching."""
    points = np.array([[(70 + x, 20 + 0.8 * y) for x, y in _figure()], [(150 + x, 20 + 0.8 * y) for x, y in _figure()]])
    masks = np.zeros((2, *SIZE), bool)
    masks[0, 20:220, 30:110], masks[1, 20:220, 110:190] = True, True
    people = People.from_poses(COCO17, points, np.ones((2, 17)), masks=masks)
    found = CODEC.decode(fields_of(people))
    assert len(found) == 2
    for mask, points in zip(found.masks, found.keypoints, strict=True):
        own, other = masks if points[:, 0].mean() < 110 else masks[::-1]
        assert (mask & own).sum() > 0.8 * own.sum()
        assert (mask & other).sum() < 0.1 * other.sum()


def _figure() -> list[tuple[float, float]]:
    """COCO's joints of a standing person 250 high and 70 wide, around x = 0."""
    return [(0, 10), (5, 5), (-5, 5), (10, 10), (-10, 10), (30, 60), (-30, 60), (33, 100), (-33, 100), (34, 140),
            (-34, 140), (18, 140), (-18, 140), (20, 190), (-20, 190), (20, 245), (-20, 245)]  # fmt: skip


def test_assign_by_limbs_takes_no_people(crowd: Crowd):
    assigned = assign_by_limbs(fields_of(crowd(2, SIZE, 100)), People.empty(COCO17), PAF_DEFAULT)
    assert assigned.margins.shape == (0, 0)
    assert len(assigned.cells) == 0


def test_assign_by_limbs_takes_people_with_few_joints_or_none(crowd: Crowd):
    people = crowd(1, SIZE, 150)
    few = replace(people, keypoint_scores=np.where(np.arange(17) < 3, 1, 0)[None])
    none = replace(people, keypoint_scores=np.zeros((1, 17)))
    fields = fields_of(people)
    assert (assign_by_limbs(fields, few, PAF_DEFAULT).margins > 0).any()
    assert not (assign_by_limbs(fields, none, PAF_DEFAULT).margins > 0).any()


def test_assign_by_limbs_takes_joints_outside_the_image(crowd: Crowd):
    people = crowd(1, SIZE, 150)
    outside = replace(people, keypoints=people.keypoints + np.array([0, 200], np.float32))
    assigned = assign_by_limbs(fields_of(people), outside, PAF_DEFAULT)
    assert np.isfinite(assigned.margins).all()
