"""Laws of person IoU."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseg.errors import ShapeError
from poseg.metrics.iou import Overlap, person_pixels, shared_and_joint

SEEDS = st.integers(0, 2**32 - 1)


def overlap(pairs):
    shared, joint = np.array(pairs, np.int64).reshape(-1, 2).T
    return Overlap(shared, joint)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_iou_is_symmetric_and_one_for_the_same_pixels(seed):
    a, b = np.random.default_rng(seed).random((2, 8, 9)) < 0.5
    assert shared_and_joint(a, b) == shared_and_joint(b, a)
    shared, joint = shared_and_joint(a, b)
    assert 0 <= shared <= joint
    assert shared + joint == a.sum() + b.sum()
    assert overlap([shared_and_joint(a, a)]).iou == 1
    assert overlap([shared_and_joint(a, ~a)]).iou == 0


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_what_is_found_on_ignored_pixels_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    found, true, crowd = rng.random((3, 8, 9)) < 0.5
    assert shared_and_joint(found, true, crowd) == shared_and_joint(found | crowd, true & ~crowd, crowd)


def test_pixels_are_summed_over_pictures_before_the_ratio():
    both = overlap([(10, 10), (0, 90)])
    assert both.iou == pytest.approx(0.1)
    np.testing.assert_allclose(both.resampled(np.array([[1, 1], [2, 0], [0, 2]])), [0.1, 1, 0])


def test_nobody_anywhere_is_not_a_number():
    assert np.isnan(overlap([(0, 0)]).iou)


def test_person_pixels_are_the_union_of_masks():
    masks = np.zeros((2, 3, 4), bool)
    masks[0, 0, 0] = masks[1, 2, 3] = True
    assert np.argwhere(person_pixels(masks, (3, 4))).tolist() == [[0, 0], [2, 3]]
    assert not person_pixels(None, (3, 4)).any()
    assert person_pixels(masks[:0], (3, 4)).shape == (3, 4)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="masks"):
        person_pixels(np.zeros((1, 3, 4), bool), (4, 3))
    with pytest.raises(ShapeError, match="ignore"):
        shared_and_joint(np.zeros((3, 4), bool), np.zeros((3, 4), bool), np.zeros((4, 3), bool))
    with pytest.raises(ShapeError, match="counts"):
        overlap([(1, 2)]).resampled(np.ones((1, 2), np.int64))
