"""Which sliding windows hold a joint or a part."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseg.errors import FieldError
from poseg.fields.windows import SlidingWindows

WINDOWS = SlidingWindows()
SQUARE = (112, 112)
WAYS = (WINDOWS, SlidingWindows(SQUARE, 10, 10), SlidingWindows(SQUARE, 32, 12), SlidingWindows((256, 192), 52, 21))
# Subnormal steps along a way would round to nothing in the test itself.
place = st.floats(-20, 220, allow_nan=False, allow_subnormal=False, width=32)
point = st.tuples(place, place)
laws = settings(max_examples=25, deadline=None)


def rows_and_columns(held: np.ndarray) -> tuple[set[int], set[int]]:
    rows, columns = np.nonzero(held)
    return set(rows.tolist()), set(columns.tolist())


def test_number_of_windows_is_that_of_the_paper_and_covers_rectangles():
    assert [ways.shape for ways in WAYS] == [(8, 8), (12, 12), (8, 8), (11, 8)]


def test_a_joint_in_the_corner_is_in_the_first_window_only():
    held = WINDOWS.contains_joint((0, 0))
    assert rows_and_columns(held) == ({0}, {0})
    assert held.sum() == 1


def test_a_joint_is_in_all_windows_that_cover_it():
    assert rows_and_columns(WINDOWS.contains_joint((59, 59))) == ({3, 4}, {3, 4})


@laws
@given(point, st.sampled_from(WAYS))
def test_windows_contain_the_points_of_their_half_open_boxes(p, windows):
    held = windows.contains_joint(p)
    assert held.shape == windows.shape
    for row, column in np.ndindex(windows.shape):
        x0, y0 = column * windows.stride_px, row * windows.stride_px
        inside = x0 <= p[0] < x0 + windows.size_px and y0 <= p[1] < y0 + windows.size_px
        assert held[row, column] == inside


@laws
@given(st.floats(0, 111.9), st.floats(0, 111.9))
def test_every_point_of_the_crop_is_in_some_window(x, y):
    for windows in WAYS[:3]:
        assert windows.contains_joint((x, y)).sum() >= 1


@laws
@given(point, st.sampled_from(WAYS))
def test_exactly_one_nearest_window_contains_the_joint(p, windows):
    nearest, held = windows.nearest(p), windows.contains_joint(p)
    assert nearest.sum() == held.any()
    assert (nearest <= held).all()


def test_joints_that_are_not_finite_are_in_no_window():
    for lost in ((np.nan, 3), (3, np.nan), (-1, 50), (50, 113), (np.inf, 3)):
        assert not SlidingWindows(SQUARE, 28, 28).contains_joint(lost).any()
        assert not SlidingWindows(SQUARE, 28, 28).nearest(lost).any()


@laws
@given(point, point, st.sampled_from(WAYS), st.sampled_from([0.1, 0.3, 0.6]))
def test_a_window_contains_a_part_by_its_fraction(a, b, windows, share):
    """Parity with many small steps along the way, away from the threshold."""
    held = windows.contains_part(a, b, share)
    steps = np.linspace(0, 1, 4001)[:, None]
    way = np.asarray(a) * (1 - steps) + np.asarray(b) * steps
    shares = windows.contains_joint(way).mean(axis=0)
    scores = np.abs(shares - share) > 2e-3
    if a == b:
        np.testing.assert_array_equal(held, windows.contains_joint(a))
    else:
        np.testing.assert_array_equal(held[scores], (shares > share)[scores])


@laws
@given(point, point, st.sampled_from(WAYS))
def test_a_part_has_no_direction(a, b, windows):
    np.testing.assert_array_equal(windows.contains_part(a, b), windows.contains_part(b, a))


def test_a_window_contains_a_part_inside_it():
    assert WINDOWS.contains_part((2, 3), (9, 11))[0, 0] == 1
    assert not WINDOWS.contains_part((2, 3), (np.nan, 11)).any()


def test_encode_pafs_handles_several_people_and_joints():
    rng = np.random.default_rng(0)
    points = rng.uniform(-10, 120, (5, 7, 2))
    for way in (WINDOWS.contains_joint, WINDOWS.nearest):
        together = way(points)
        assert together.shape == (5, 7, 8, 8)
        for n, k in np.ndindex(5, 7):
            np.testing.assert_array_equal(together[n, k], way(points[n, k]))
    parts = WINDOWS.contains_part(points[:, :6], points[:, 1:])
    assert parts.shape == (5, 6, 8, 8)
    np.testing.assert_array_equal(parts[2, 3], WINDOWS.contains_part(points[2, 3], points[2, 4]))


@pytest.mark.parametrize("numbers", [(SQUARE, 30, 0), (SQUARE, 30, 31), ((256, 20), 30, 12), (SQUARE, 0, 0)])
def test_windows_that_leave_gaps_are_refused(numbers):
    with pytest.raises(FieldError, match="do not cover"):
        SlidingWindows(*numbers)
