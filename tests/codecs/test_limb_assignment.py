"""Whose a person pixel is, by poses alone: laws of distances and of claims."""

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
    """Points (40, 2), keypoints (4, 6, 2), which are there, limbs (5, 2); the third has no limb, the last nothing."""
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
def test_distances_are_those_of_a_plain_loop(seed):
    points, keypoints, there, ends = scene(seed)
    found = limb_distances(points, keypoints, there, ends)
    for person, (joints, known) in enumerate(zip(keypoints.astype(np.float64), there, strict=True)):
        limbs = [(a, b) for a, b in ends if known[a] and known[b]] or [(j, j) for j in np.flatnonzero(known)]
        for number, point in enumerate(points.astype(np.float64)):
            wanted = min((from_segment(point, joints[a], joints[b]) for a, b in limbs), default=np.inf)
            assert found[number, person] == pytest.approx(wanted, abs=2e-3)


@given(SEEDS, st.floats(-100, 100), st.floats(-100, 100), st.floats(0.5, 3))
def test_distances_move_and_grow_with_the_picture(seed, dx, dy, scale):
    points, keypoints, there, ends = scene(seed)
    shift = np.array([dx, dy], np.float32)
    moved = limb_distances(points * np.float32(scale) + shift, keypoints * np.float32(scale) + shift, there, ends)
    np.testing.assert_allclose(moved, limb_distances(points, keypoints, there, ends) * scale, atol=0.02)


def test_nobody_is_near_and_without_joints_everything_is_far():
    points, keypoints, there, ends = scene(0)
    assert limb_distances(points, keypoints[:0], there[:0], ends).shape == (40, 0)
    assert np.isinf(limb_distances(points, keypoints, there, ends)[:, 3]).all()
    assert limb_distances(points[:0], keypoints, there, ends).shape == (0, 4)


def fields_of(people: People, codec: PoSegCodec = CODEC) -> Fields:
    return codec.encode(people, SIZE).as_fields()


def test_claims_are_exclusive(crowd: Crowd):
    """Even of people who lie across each other."""
    people = crowd(3, SIZE, 150)
    people = replace(people, keypoints=people.keypoints * 0.3 + 0.7 * people.keypoints.mean(axis=0))
    claims = assign_by_limbs(fields_of(people), people, PAF_DEFAULT)
    assert ((claims.margin > 0).sum(axis=1) <= 1).all()
    assert (claims.margin > 0).any(axis=0).all()
    shared = assign_by_limbs(fields_of(people), people, replace(PAF_DEFAULT, exclusive_masks=False))
    assert ((shared.margin > 0).sum(axis=1) > 1).any()
    assert (shared.margin >= claims.margin - 1e-6).all()


def test_claims_lie_on_person_cells_alone(crowd: Crowd):
    people = crowd(2, SIZE, 150)
    fields = fields_of(people)
    claims = assign_by_limbs(fields, people, PAF_DEFAULT)
    outside = np.setdiff1d(np.arange(claims.probability.size), claims.place)
    assert len(claims.place)
    assert (claims.probability.reshape(-1)[claims.place] >= 0.2).all()
    assert (claims.probability.reshape(-1)[outside] < 0.2).all()
    assert claims.margin.shape == (len(claims.place), 2)


def test_the_patch_of_an_isolated_person_is_the_persons_however_far_it_goes(crowd: Crowd):
    """A pole in the hand, three body heights long, and everything else that hangs together."""
    people = crowd(1, SIZE, 80)
    assert people.masks is not None
    pole = np.zeros(SIZE, np.uint8)
    cv2.line(pole, np.rint(people.keypoints[0, 11]).astype(int).tolist(), (245, 10), 1, 17)
    mask = people.masks[0] | pole.astype(bool)
    other = np.zeros(SIZE, bool)
    other[200:240, 10:60] = True
    fields = fields_of(replace(people, masks=(mask | other)[None]))
    found = CODEC.decode(fields, PAF_DEFAULT)
    assert found.masks is not None
    assert len(found) == 1
    assert (found.masks[0] & mask).sum() / (found.masks[0] | mask).sum() > 0.93
    assert not (found.masks[0] & other).any(), "a patch without joints is nobody's, when it is far"


def test_masks_of_isolated_people_are_theirs(crowd: Crowd):
    people = crowd(4, SIZE, 110)
    found = CODEC.decode(fields_of(people))
    assert found.masks is not None
    assert people.masks is not None
    whose = np.linalg.norm(found.keypoints[:, None] - people.keypoints, axis=3).mean(axis=2).argmin(axis=1)
    for mask, person in zip(found.masks, whose, strict=True):
        assert (mask & people.masks[person]).sum() / (mask | people.masks[person]).sum() > 0.93
    assert (np.asarray(found.masks).sum(axis=0) <= 1).all()


def test_where_people_touch_each_keeps_most_of_itself():
    """Two people side by side, shoulders touching: the halves of what they cover together."""
    points = np.array([[(70 + x, 20 + 0.8 * y) for x, y in _figure()], [(150 + x, 20 + 0.8 * y) for x, y in _figure()]])
    masks = np.zeros((2, *SIZE), bool)
    masks[0, 20:220, 30:110], masks[1, 20:220, 110:190] = True, True
    people = People.from_poses(COCO17, points, np.ones((2, 17)), masks=masks)
    found = CODEC.decode(fields_of(people))
    assert found.masks is not None
    assert len(found) == 2
    for mask, points in zip(found.masks, found.keypoints, strict=True):
        own, other = masks if points[:, 0].mean() < 110 else masks[::-1]
        assert (mask & own).sum() > 0.8 * own.sum()
        assert (mask & other).sum() < 0.1 * other.sum()


def _figure() -> list[tuple[float, float]]:
    """COCO's joints of a standing person 250 high and 70 wide, around x = 0."""
    return [(0, 10), (5, 5), (-5, 5), (10, 10), (-10, 10), (30, 60), (-30, 60), (33, 100), (-33, 100), (34, 140),
            (-34, 140), (18, 140), (-18, 140), (20, 190), (-20, 190), (20, 245), (-20, 245)]  # fmt: skip


def test_nobody_claims_nothing(crowd: Crowd):
    claims = assign_by_limbs(fields_of(crowd(2, SIZE, 100)), People.empty(COCO17), PAF_DEFAULT)
    assert claims.margin.shape == (0, 0)
    assert len(claims.place) == 0


def test_a_person_of_whom_few_joints_are_known_claims_around_them(crowd: Crowd):
    people = crowd(1, SIZE, 150)
    few = replace(people, keypoint_scores=np.where(np.arange(17) < 3, 1, 0)[None])
    nothing = replace(people, keypoint_scores=np.zeros((1, 17)))
    fields = fields_of(people)
    assert (assign_by_limbs(fields, few, PAF_DEFAULT).margin > 0).any()
    assert not (assign_by_limbs(fields, nothing, PAF_DEFAULT).margin > 0).any()


def test_joints_outside_the_picture_do_no_harm(crowd: Crowd):
    people = crowd(1, SIZE, 150)
    outside = replace(people, keypoints=people.keypoints + np.array([0, 200], np.float32))
    claims = assign_by_limbs(fields_of(people), outside, PAF_DEFAULT)
    assert np.isfinite(claims.margin).all()
