from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from poseg.draw import PEOPLE_COLOURS, colour_label_map, draw_masks, label_map
from poseg.errors import ShapeError
from poseg.people import People
from poseg.skeletons import COCO17


def masked(masks: np.ndarray, scores: object = None) -> People:
    n = len(masks)
    return People.from_poses(COCO17, np.zeros((n, 17, 2)), np.ones((n, 17)), scores=scores, masks=masks)


def square(size: int, low: int, high: int) -> np.ndarray:
    mask = np.zeros((size, size), bool)
    mask[low:high, low:high] = True
    return mask


@given(arrays(bool, st.tuples(st.integers(0, 4), st.just(6), st.just(7))), st.randoms(use_true_random=False))
def test_a_label_is_the_highest_score_of_overlapping_masks(masks, random):
    scores = np.array([random.random() for _ in masks], np.float32)
    labels = label_map(masked(masks, scores))
    candidates = np.where(masks, scores[:, None, None], -1.0)
    expected = np.where(masks.any(axis=0), candidates.argmax(axis=0) + 1 if len(masks) else 0, 0)
    np.testing.assert_array_equal(labels, expected)


def test_of_equal_scores_the_first_person_is_on_top():
    assert label_map(masked(np.ones((3, 2, 2), bool), [0.5, 0.5, 0.5])).tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize(("count", "dtype"), [(0, np.uint8), (255, np.uint8), (256, np.uint16), (300, np.uint16)])
def test_labels_are_as_narrow_as_fits(count, dtype):
    masks = np.zeros((count, 1, max(count, 1)), bool)
    masks[np.arange(count), 0, np.arange(count)] = True
    labels = label_map(masked(masks))
    assert labels.dtype == dtype
    assert labels[0, :count].tolist() == list(range(1, count + 1))


def test_labels_without_masks_need_a_size():
    no_people = People.empty(COCO17)
    assert label_map(no_people, size=(3, 4)).tolist() == np.zeros((3, 4)).tolist()
    with pytest.raises(ShapeError, match="size=\\(height, width\\)"):
        label_map(no_people)


def test_colours_of_labels_are_those_of_people():
    image = colour_label_map(np.array([[0, 1, 3]], np.uint8))
    np.testing.assert_array_equal(image, [[[0, 0, 0], PEOPLE_COLOURS[0], PEOPLE_COLOURS[2]]])
    people = People.from_poses(COCO17, np.zeros((1, 17, 2)), np.ones((1, 17)))
    people = People(COCO17, people.keypoints, people.keypoint_scores, people.scores, people.boxes_xyxy, ids=[9])
    np.testing.assert_array_equal(colour_label_map(np.array([[1]]), people), PEOPLE_COLOURS[[[9]]])
    with pytest.raises(ShapeError, match="3 people"):
        colour_label_map(np.array([[3]]), people)


def test_the_fill_is_translucent_and_the_contour_crisp():
    image = np.full((60, 60, 3), 200, np.uint8)
    image[30] = 50
    drawn = draw_masks(image, masked(square(60, 15, 45)[None])).astype(int)
    inside, stripe = drawn[22, 30], drawn[30, 30]
    assert (inside != 200).any()
    np.testing.assert_allclose(inside - stripe, 0.55 * 150, atol=1)
    to_colour = np.abs(drawn[20, 13:18] - PEOPLE_COLOURS[0].astype(int)).sum(axis=1)
    assert to_colour.min() < 80, "the contour is nearly opaque"
    np.testing.assert_array_equal(drawn[:8], image[:8])


def test_a_small_person_in_front_keeps_a_colour_of_their_own():
    image = np.full((60, 60, 3), 128, np.uint8)
    both = masked(np.stack([square(60, 5, 55), square(60, 20, 40)]))
    swapped = both[[1, 0]]
    alone = draw_masks(image, masked(np.stack([np.zeros((60, 60), bool), square(60, 20, 40)])))
    np.testing.assert_array_equal(draw_masks(image, both)[30, 30], alone[30, 30])
    assert (draw_masks(image, swapped)[30, 30] != draw_masks(image, swapped)[10, 10]).any()


def test_empty_masks_and_no_masks_leave_no_trace():
    image = np.random.default_rng(0).integers(0, 256, (8, 9, 3), np.uint8)
    np.testing.assert_array_equal(draw_masks(image, masked(np.zeros((2, 8, 9), bool))), image)
    without = People.from_poses(COCO17, np.zeros((2, 17, 2)), np.ones((2, 17)))
    np.testing.assert_array_equal(draw_masks(image, without), image)


def test_a_mask_that_fills_the_image_has_no_contour():
    drawn = draw_masks(np.full((20, 20, 3), 90, np.uint8), masked(np.ones((1, 20, 20), bool)))
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) == 1


def test_masks_of_another_size_are_refused():
    with pytest.raises(ShapeError, match=r"people\.masks"):
        draw_masks(np.zeros((8, 8, 3), np.uint8), masked(np.ones((1, 4, 4), bool)))
