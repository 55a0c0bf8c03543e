from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from poseg.draw.palette import colours
from poseg.draw.pose import draw_poses, drawing_order
from poseg.people import People
from poseg.skeletons import COCO17

SIZE = (200, 240)


def arm(elbow_score: float = 1.0, side: str = "right", offset: tuple[float, float] = (0, 0)) -> People:
    """A shoulder, an elbow and a wrist on a level line, 60 pixels apart."""
    points, scores = np.zeros((1, 17, 2)), np.zeros((1, 17))
    for step, (joint, score) in enumerate((("shoulder", 1.0), ("elbow", elbow_score), ("wrist", 1.0))):
        index = COCO17.index(f"{side}_{joint}")
        points[0, index], scores[0, index] = np.add((50 + 60 * step, 100), offset), score
    return People.from_poses(COCO17, points, scores)


def white(size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.full((*size, 3), 255, np.uint8)


def test_a_limb_needs_both_its_joints():
    whole, cut = draw_poses(white(), arm()), draw_poses(white(), arm(elbow_score=0.1))
    assert (whole[100, 80] != 255).any()
    assert (whole[100, 140] != 255).any()
    np.testing.assert_array_equal(cut[90:110, 65:155], 255)
    assert (cut[90:110, 45:55] != 255).any(), "a joint without limbs is still shown"
    np.testing.assert_array_equal(draw_poses(white(), arm(elbow_score=0.1), min_score=0.1), whole)


def test_joints_of_score_zero_are_never_drawn():
    image = white()
    np.testing.assert_array_equal(draw_poses(image, arm(), min_score=0.0)[:40], image[:40])
    nothing = People.from_poses(COCO17, np.full((1, 17, 2), 50.0), np.zeros((1, 17)))
    np.testing.assert_array_equal(draw_poses(image, nothing, min_score=0.0), image)


def test_limbs_have_the_persons_colour_and_left_ones_are_paler():
    right, left = (draw_poses(white(), arm(side=side))[100, 80].astype(int) for side in ("right", "left"))
    np.testing.assert_array_equal(right, colours(0))
    assert (left >= right).all()
    assert left.sum() > right.sum() + 60


def test_draw_limb_has_a_dark_contour_on_both_sides():
    column = draw_poses(white(), arm())[:, 80].astype(int).sum(axis=1)
    inked = np.flatnonzero(column < 765)
    assert column[inked[:3]].min() < 300
    assert column[inked[-3:]].min() < 300


@pytest.mark.parametrize("shift", [(0.0, 0.25), (0.0, 0.5), (0.0, 0.8)])
def test_limbs_follow_the_pixel_rule(shift):
    """The centre of mass of the ink across a level limb is the limb's own y, to a twentieth of a pixel."""
    ink = 255.0 - draw_poses(white(), arm(offset=shift))[80:120, 80].mean(axis=1)
    centres = np.arange(80, 120) + 0.5
    assert (ink * centres).sum() / ink.sum() == pytest.approx(100 + shift[1], abs=0.05)


def test_moving_a_person_by_whole_pixels_moves_the_drawing():
    here, there = draw_poses(white(), arm()), draw_poses(white(), arm(offset=(7, 13)))
    np.testing.assert_array_equal(there[13:, 7:], here[:-13, :-7])


def test_lines_grow_with_the_person():
    small, large = arm(), arm()
    thick = draw_poses(white((800, 900)), replace(large, boxes_xyxy=[[0, 0, 600, 800]]))
    thin = draw_poses(white((800, 900)), replace(small, boxes_xyxy=[[50, 90, 100, 110]]))
    assert (thick != 255).any(axis=2).sum() > 1.5 * (thin != 255).any(axis=2).sum()


def test_small_people_are_drawn_over_large_ones_and_equals_by_rank():
    people = People.from_poses(COCO17, np.zeros((4, 17, 2)), np.ones((4, 17)))
    people = replace(people, boxes_xyxy=[[0, 0, 9, 9], [0, 0, 50, 50], [0, 0, 20, 20], [0, 0, 9, 9]])
    assert drawing_order(people).tolist() == [1, 2, 3, 0]


def test_drawing_order_prefers_masks_to_boxes():
    masks = np.zeros((2, 20, 20), bool)
    masks[0, :3, :3], masks[1, :9, :9] = True, True
    people = People.from_poses(COCO17, np.zeros((2, 17, 2)), np.ones((2, 17)), masks=masks)
    people = replace(people, boxes_xyxy=[[0, 0, 18, 18], [0, 0, 9, 9]])
    assert drawing_order(people).tolist() == [1, 0]
