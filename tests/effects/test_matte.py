from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.datasets.synthetic_people import render_scene
from poseg.effects.matte import Mattes, matte
from poseg.errors import EffectError, ShapeError
from poseg.people import People
from poseg.skeletons import COCO17

SIZE = (160, 200)
seeds = st.integers(0, 10_000)


def disc(size=(120, 120), centre=(60, 60), radius=30):
    mask = np.zeros(size, np.uint8)
    cv2.circle(mask, centre, radius, 1, -1)
    return mask.astype(bool)


def distance(mask):
    return cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


@given(seeds, st.integers(1, 3))
def test_matte_is_one_inside_and_zero_away_from_the_person(seed, people):
    sample = render_scene(np.random.default_rng(seed), SIZE, people)
    for shape, mask in zip(Mattes(sample.image, sample.people), sample.people.masks, strict=True):
        alpha = shape.full_size()
        assert alpha.min() >= 0
        assert alpha.max() <= 1
        if mask.sum() > 400 and (distance(mask) > 12).any():
            assert (alpha[distance(mask) > 12] == 1).all()
        assert (alpha[distance(~mask) > 20] == 0).all()


@given(seeds)
def test_matte_has_the_area_of_its_mask(seed):
    sample = render_scene(np.random.default_rng(seed), (240, 200), 1)
    shape = Mattes(sample.image, sample.people)[0]
    assert shape.alpha.sum() == pytest.approx(np.asarray(sample.people.masks)[0].sum(), rel=0.05)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 60), st.integers(1, 60))
def test_matte_crop_equals_the_crop_of_the_full_matte(top, left, rows, columns):
    shape = matte(np.zeros((120, 120, 3), np.uint8), disc())
    window = (slice(top, top + rows), slice(left, left + columns))
    assert np.array_equal(shape.crop_to(window), shape.full_size()[window])


@given(st.integers(-20, 20), st.integers(-20, 20))
def test_matte_is_translation_equivariant(dx, dy):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (160, 160, 3), np.uint8)
    mask = disc((160, 160), (80, 80), 30)
    there = matte(image, mask)
    moved = matte(np.roll(image, (dy, dx), (0, 1)), np.roll(mask, (dy, dx), (0, 1)))
    assert (moved.x0 - there.x0, moved.y0 - there.y0) == (dx, dy)
    assert np.array_equal(moved.alpha, there.alpha)


def test_matte_edge_snaps_to_the_image_edge():
    truth, mask = disc((240, 240), (120, 120), 80), disc((240, 240), (120, 120), 77)
    image = np.where(truth[..., None], 220, 30).astype(np.uint8).repeat(3, axis=2)
    wrong = [
        np.abs(guess.astype(float) - truth).sum()
        for guess in (mask, matte(image, mask, feather=0).full_size(), matte(np.full_like(image, 30), mask).full_size())
    ]
    assert wrong[1] < 0.7 * min(wrong[0], wrong[2])


def test_matte_with_larger_feather_is_softer():
    image, mask = np.zeros((120, 120, 3), np.uint8), disc()
    soft = [np.count_nonzero((a > 0.02) & (a < 0.98)) for a in (matte(image, mask, feather=f).alpha for f in (0, 0.08))]
    assert soft[1] > 1.5 * soft[0]


def test_matte_drops_small_components_without_joints_and_fills_pinholes():
    image = np.zeros((160, 160, 3), np.uint8)
    mask = disc((160, 160), (80, 80), 60)
    mask[4:11, 4:11] = True
    mask[80:83, 80:83] = False
    alone = matte(image, mask).full_size()
    assert alone[7, 7] == 0
    assert alone[81, 81] == 1
    held = matte(image, mask, joints=np.array([[7.0, 7.0]], np.float32)).full_size()
    assert held[7, 7] > 0.5


def test_matte_keeps_large_holes():
    mask = disc() & ~disc(radius=12)
    assert matte(np.zeros((120, 120, 3), np.uint8), mask).full_size()[60, 60] == 0


def torso_people(masks):
    points = np.zeros((len(masks), 17, 2), np.float32)
    for name, place in (("left_shoulder", (90, 40)), ("right_shoulder", (30, 40)), ("left_hip", (85, 100)),
                        ("right_hip", (35, 100))):  # fmt: skip
        points[:, COCO17.index(name)] = place
    return People.from_poses(COCO17, points, (points > 0).all(axis=2), masks=masks)


def test_matte_fills_the_torso_but_for_other_people():
    masks = np.zeros((2, 140, 120), bool)
    masks[0, 20:120, 20:100] = True
    masks[0, 50:80, 40:80] = False
    masks[1, 50:80, 60:80] = True
    people = torso_people(masks)
    image = np.zeros((140, 120, 3), np.uint8)
    alpha = Mattes(image, people)[0].full_size()
    assert alpha[65, 45] == 1
    assert alpha[65, 70] == 0
    assert Mattes(image, people[:1])[0].full_size()[65, 70] == 1


@pytest.mark.parametrize("masks", [None, np.zeros((1, 140, 120), bool)])
def test_matte_without_a_mask_is_made_from_the_pose(masks):
    shape = Mattes(np.zeros((140, 120, 3), np.uint8), torso_people(np.zeros((1, 140, 120), bool)) if masks is None
                   else replace(torso_people(masks), masks=None))[0]  # fmt: skip
    assert shape.full_size()[70, 60] == 1
    assert shape.full_size()[5, 5] == 0


def test_matte_without_mask_and_joints_is_empty():
    empty = People.from_poses(COCO17, np.zeros((1, 17, 2)), np.zeros((1, 17)))
    shape = Mattes(np.zeros((20, 30, 3), np.uint8), empty)[0]
    assert shape.empty
    assert shape.full_size().shape == (20, 30)
    assert not shape.full_size().any()


def test_matte_is_solid_up_to_the_image_border():
    assert (matte(np.zeros((40, 50, 3), np.uint8), np.ones((40, 50), bool)).full_size() == 1).all()


def test_mattes_reject_masks_of_another_size_and_negative_feather():
    sample = render_scene(np.random.default_rng(0), SIZE, 1)
    with pytest.raises(ShapeError, match=r"people\.masks"):
        Mattes(sample.image[:-1], sample.people)
    with pytest.raises(EffectError, match="0 or more"):
        Mattes(sample.image, sample.people, feather=-0.1)
