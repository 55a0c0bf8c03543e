from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.draw.palette import PEOPLE_COLOURS, colours, direction_colours, joint_colours, oklch, person_colours, tint
from poseg.people import People
from poseg.skeletons import COCO17

# Machado et al. (2009), severity 1: what eyes without L cones, and without M cones, make of linear RGB.
NO_L = np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]])
NO_M = np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]])
CONES = np.array([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
                  [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip
LAB = np.array([[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
                [0.0259040371, 0.7827717662, -0.8086757660]])  # fmt: skip


def linear(rgb: np.ndarray) -> np.ndarray:
    value = rgb / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def oklab(light: np.ndarray) -> np.ndarray:
    return np.cbrt(np.clip(light, 0, None) @ CONES.T) @ LAB.T


def closest_pair(light: np.ndarray) -> float:
    lab = oklab(light)
    distances = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    return float(distances[~np.eye(len(lab), dtype=bool)].min())


def test_all_colours_of_people_differ():
    assert len(np.unique(PEOPLE_COLOURS, axis=0)) == len(PEOPLE_COLOURS) >= 60
    assert closest_pair(linear(PEOPLE_COLOURS)) > 0.04


@pytest.mark.parametrize("eyes", [np.eye(3), NO_L, NO_M], ids=["normal", "no L cones", "no M cones"])
def test_the_first_eight_colours_are_distinct_for_colour_blind_eyes(eyes):
    assert closest_pair(np.clip(linear(PEOPLE_COLOURS[:8]) @ eyes.T, 0, 1)) >= 0.13


def test_palette_has_no_dark_grey_and_none_near_the_contour():
    lab = oklab(linear(PEOPLE_COLOURS))
    assert lab[:, 0].min() > 0.55
    assert np.hypot(lab[:, 1], lab[:, 2]).min() > 0.05


def people(count: int, ids: list[int] | None = None) -> People:
    everyone = People.from_poses(COCO17, np.zeros((count, 17, 2)), np.ones((count, 17)))
    if ids is None:
        return everyone
    return People(COCO17, everyone.keypoints, everyone.keypoint_scores, everyone.scores, everyone.boxes_xyxy, ids=ids)


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=6, unique=True), st.randoms(use_true_random=False))
def test_a_colour_belongs_to_the_id_in_any_order(ids, random):
    shuffled = list(ids)
    random.shuffle(shuffled)
    before = dict(zip(ids, person_colours(people(len(ids), ids)).tolist(), strict=True))
    after = dict(zip(shuffled, person_colours(people(len(ids), shuffled)).tolist(), strict=True))
    assert before == after


def test_a_colour_does_not_depend_on_how_many_others_there_are():
    np.testing.assert_array_equal(person_colours(people(3)), person_colours(people(60))[:3])
    np.testing.assert_array_equal(colours(len(PEOPLE_COLOURS) + 5), colours(5))


def test_no_people_have_no_colours():
    assert person_colours(people(0)).shape == (0, 3)


def test_oklch_inverts_oklab_inside_the_gamut():
    rgb = oklch([0.6, 0.7, 0.8], 0.08, [0.3, 2.0, 4.5])
    lab = oklab(linear(rgb.astype(float)))
    np.testing.assert_allclose(lab[:, 0], [0.6, 0.7, 0.8], atol=0.004)
    np.testing.assert_allclose(np.hypot(lab[:, 1], lab[:, 2]), 0.08, atol=0.004)
    np.testing.assert_allclose(np.arctan2(lab[:, 2], lab[:, 1]) % (2 * np.pi), [0.3, 2.0, 4.5], atol=0.04)


@pytest.mark.parametrize("count", [1, 14, 17, 19])
def test_joint_colours_differ(count):
    assert len(np.unique(joint_colours(count), axis=0)) == count


def test_direction_colours_are_white_for_length_zero_and_differ_for_opposite_directions():
    still, right, left, far = direction_colours(np.array([[0.0, 5, -5, 50], [0, 0, 0, 0]]), full_px=5)
    assert still.tolist() == [255, 255, 255]
    assert np.abs(right.astype(int) - left).sum() > 150
    np.testing.assert_array_equal(right, far)


def test_tint_ends():
    assert tint([10, 20, 30], [255, 255, 255], 0).tolist() == [10, 20, 30]
    assert tint([10, 20, 30], [255, 255, 255], 1).tolist() == [255, 255, 255]
