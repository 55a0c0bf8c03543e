"""What is beside a hole goes on in it: stripes of any direction, fences, slopes; and people are not in the way."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseg.effects.inpaint_tiles import continue_ground
from poseg.effects.thinner import Taller, Thinner
from poseg.people import People
from poseg.skeletons import COCO17

SIZE = (300, 260)
Y, X = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)


def rgb(plane):
    return np.repeat(np.rint(np.clip(plane, 0, 255)).astype(np.uint8)[..., None], 3, axis=2)


def stripes(angle, period):
    """Stripes with edges two pixels soft."""
    phase = (X * np.cos(angle) + Y * np.sin(angle)) / period
    return rgb(128 + 80 * np.clip(period / 6 * np.cos(2 * np.pi * phase), -1, 1))


def fence():
    plane = np.full(SIZE, 90.0)
    plane[:, X[0] % 30 < 7] = 210
    plane[Y[:, 0] % 50 < 7] = 210
    return rgb(plane)


def limb(width=26):
    """A slanting limb that a person leaves free, in front of everything."""
    mask = np.zeros(SIZE, np.uint8)
    cv2.line(mask, (110, 60), (150, 240), 1, width)
    return mask.astype(bool)


@settings(max_examples=12)
@given(st.floats(0, np.pi), st.floats(12, 40))
def test_stripes_of_any_direction_continue(angle, period):
    ground, hole = stripes(angle, period), limb()
    spoilt = np.where(hole[..., None], np.uint8(255), ground).astype(np.uint8)
    filled, left = continue_ground(spoilt, hole, hole)
    assert not left.any()
    assert np.array_equal(filled[~hole], ground[~hole])
    assert np.abs(filled[hole].astype(int) - ground[hole]).mean() < 10


@pytest.mark.parametrize("ground", [fence(), rgb(0.6 * X + 0.2 * Y + 20), rgb(np.full(SIZE, 70.0))],
                         ids=["fence", "slope", "wall"])  # fmt: skip
def test_fences_slopes_and_walls_continue(ground):
    hole = limb()
    spoilt = np.where(hole[..., None], np.uint8(255), ground).astype(np.uint8)
    filled, left = continue_ground(spoilt, hole, hole)
    assert not left.any()
    assert np.abs(filled[hole].astype(int) - ground[hole]).mean() < 8


def test_what_is_invalid_is_not_copied():
    """A hole in a wall, beside a person in another colour."""
    wall, hole = rgb(np.full(SIZE, 70.0)), limb()
    other = (X > 180) & (X < 230)
    wall[other] = (255, 0, 0)
    filled, left = continue_ground(wall, hole | other, hole)
    assert not left.any()
    assert np.abs(filled[hole].astype(int) - 70).max() <= 1


def test_a_hole_without_background_near_is_left():
    hole = np.ones(SIZE, bool)
    hole[:, -1] = False
    filled, left = continue_ground(stripes(0, 20), hole, hole)
    assert left[:, :100].all()
    assert np.array_equal(filled[left], stripes(0, 20)[left])


def person(*others):
    """A person who stands there with arms down, (17, 2) joints and mask, and people who are masks alone, in front."""
    places = {"nose": (130, 50), "left_eye": (135, 45), "right_eye": (125, 45), "left_ear": (141, 48),
              "right_ear": (119, 48), "left_shoulder": (158, 90), "right_shoulder": (102, 90), "left_hip": (148, 180),
              "right_hip": (112, 180), "left_knee": (146, 235), "right_knee": (114, 235)}  # fmt: skip
    points, visible = np.zeros((1 + len(others), 17, 2)), np.zeros((1 + len(others), 17))
    for name, place in places.items():
        points[0, COCO17.index(name)], visible[0, COCO17.index(name)] = place, 1
    mask = np.zeros(SIZE, np.uint8)
    cv2.circle(mask, (130, 48), 20, 1, -1)
    mask[66:85, 122:138] = mask[82:190, 96:164] = mask[185:280, 102:158] = 1
    masks = np.stack([mask.astype(bool) & ~np.any([np.zeros(SIZE, bool), *others], axis=0), *others])
    return People.from_poses(COCO17, points, visible, masks=masks)


def drawn(ground, people, colours):
    image = ground.copy()
    for mask, colour in zip(np.asarray(people.masks), colours, strict=True):
        image[mask] = colour
    return image


@pytest.mark.parametrize("ground", [stripes(0, 24), stripes(0.9, 24), stripes(np.pi / 2, 30), fence()])
def test_what_a_thinner_person_leaves_free_is_what_was_behind(ground):
    people = person()
    colour = np.array([200, 30, 30])
    out = Thinner(factor=0.75)(drawn(ground, people, [colour]), people)
    near = cv2.dilate(np.asarray(people.masks)[0].astype(np.uint8), np.ones((9, 9))) > 0
    still = cv2.dilate((np.abs(out.astype(int) - colour).max(axis=2) < 40).astype(np.uint8), np.ones((11, 11))) > 0
    free = near & ~still
    assert np.count_nonzero(free) > 2000
    assert np.abs(out[free].astype(int) - ground[free]).mean() < 12


@pytest.mark.parametrize("effect", [Thinner(factor=0.75, person=0), Taller(factor=1.1, person=0)])
def test_an_arm_in_front_stays_and_no_gap_opens_beside_it(effect):
    arm = np.zeros(SIZE, np.uint8)
    cv2.line(arm, (142, 120), (150, 299), 1, 12)
    arm = arm > 0
    people = person(arm)
    image = drawn(np.full((*SIZE, 3), 255, np.uint8), people, [(200, 30, 30), (20, 60, 220)])
    out = effect(image, people)
    core = cv2.erode(arm.astype(np.uint8), np.ones((7, 7))) > 0
    assert np.array_equal(out[core], image[core])
    beside = (np.abs(X - 142) < 12) & (Y > 125) & (Y < 175)  # within the torso, before and after
    assert out[beside, 1].max() < 150  # of the white ground nothing shows
