"""Laws of person IoU."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseg.errors import ShapeError
from poseg.metrics.iou import Overlap, intersection_and_union

SEEDS = st.integers(0, 2**32 - 1)


def overlap(pairs):
    intersection, union = np.array(pairs, np.int64).reshape(-1, 2).T
    return Overlap(intersection, union)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_iou_is_symmetric_and_one_for_the_same_pixels(seed):
    a, b = np.random.default_rng(seed).random((2, 8, 9)) < 0.5
    assert intersection_and_union(a, b) == intersection_and_union(b, a)
    intersection, union = intersection_and_union(a, b)
    assert 0 <= intersection <= union
    assert intersection + union == a.sum() + b.sum()
    assert overlap([intersection_and_union(a, a)]).iou == 1
    assert overlap([intersection_and_union(a, ~a)]).iou == 0


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_predictions_on_ignored_pixels_change_nothing(seed):
    rng = np.random.default_rng(seed)
    predicted, truth, crowd = rng.random((3, 8, 9)) < 0.5
    assert intersection_and_union(predicted, truth, crowd) == intersection_and_union(
        predicted | crowd, truth & ~crowd, crowd
    )


def test_pixels_are_summed_over_images_before_the_ratio():
    both = overlap([(10, 10), (0, 90)])
    assert both.iou == pytest.approx(0.1)
    np.testing.assert_allclose(both.resampled(np.array([[1, 1], [2, 0], [0, 2]])), [0.1, 1, 0])


def test_no_people_give_nan():
    assert np.isnan(overlap([(0, 0)]).iou)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="ignore"):
        intersection_and_union(np.zeros((3, 4), bool), np.zeros((3, 4), bool), np.zeros((4, 3), bool))
    with pytest.raises(ShapeError, match="counts"):
        overlap([(1, 2)]).resampled(np.ones((1, 2), np.int64))
