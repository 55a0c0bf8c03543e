"""Reading and following vector fields."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseg.fields.offsets import clamp, nearest_cells, refine, sample
from poseg.geometry.grid import Grid

GRID = Grid(16)


def affine_field(h: int, w: int) -> np.ndarray:
    """One channel whose vector at (x, y) is (2 x - y + 1, x + 3 y): bilinear reading gives it back anywhere."""
    x, y = GRID.positions(h, w)
    return np.stack([2 * x - y + 1, x + 3 * y])[None].astype(np.float32)


@given(x=st.floats(0.5, 96.5), y=st.floats(0.5, 64.5))
@settings(max_examples=25, deadline=None)
def test_bilinear_reading_of_an_affine_field_is_exact(x: float, y: float) -> None:
    got = sample(affine_field(5, 7), np.array([0]), np.array([[x, y]], np.float32), GRID)
    np.testing.assert_allclose(got, [[2 * x - y + 1, x + 3 * y]], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("sampling", ["bilinear", "nearest"])
def test_where_a_point_ends_does_not_depend_on_how_many_others_are_followed(sampling: str) -> None:
    """To the last bit: chains of offsets magnify what is rounded differently."""
    rng = np.random.default_rng(0)
    field = rng.normal(0, 12, (3, 2, 9, 11)).astype(np.float32)
    points, channel = rng.uniform(-5, 165, (37, 2)).astype(np.float32), rng.integers(0, 3, 37)
    together = refine(points, field, channel, GRID, 4, sampling)
    alone = [refine(points[[i]], field, channel[[i]], GRID, 4, sampling) for i in range(len(points))]
    np.testing.assert_array_equal(np.concatenate(alone), together)


@given(x=st.floats(-80, 200), y=st.floats(-80, 200))
@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize("sampling", ["bilinear", "nearest"])
def test_outside_the_frame_the_border_is_read(sampling: str, x: float, y: float) -> None:
    point = np.array([[x, y]], np.float32)
    field, channel = affine_field(5, 7), np.array([0])
    np.testing.assert_array_equal(
        sample(field, channel, point, GRID, sampling),
        sample(field, channel, clamp(point, GRID, (5, 7)), GRID, sampling),
    )


@pytest.mark.parametrize("cells", [(1, 1), (1, 4), (4, 1), (3, 4)])
@pytest.mark.parametrize("sampling", ["bilinear", "nearest"])
def test_both_samplings_are_exact_at_the_cells(sampling: str, cells: tuple[int, int]) -> None:
    field = np.random.default_rng(0).normal(size=(3, 2, *cells)).astype(np.float32)
    row, column = (a.ravel() for a in np.mgrid[: cells[0], : cells[1]])
    points = GRID.to_image(np.stack([column, row], axis=1))
    for channel in range(3):
        got = sample(field, np.full(len(row), channel), points, GRID, sampling)
        np.testing.assert_allclose(got, field[channel, :, row, column], rtol=1e-6)


def test_a_scalar_field_gives_scalars() -> None:
    heatmap = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    points = GRID.to_image(np.array([[1.5, 1.0], [0.0, 2.0]]))
    np.testing.assert_allclose(sample(heatmap, np.array([0, 0]), points, GRID), [5.5, 8])


def test_halves_round_up_as_in_javascript() -> None:
    points = GRID.to_image(np.array([[0.5, 1.5], [2.5, 3.499]]))
    np.testing.assert_array_equal(nearest_cells(points, GRID, (9, 9)), [[1, 2], [3, 3]])


@given(steps=st.integers(1, 4), x=st.floats(-30, 120), y=st.floats(-30, 90))
@settings(max_examples=25, deadline=None)
def test_refine_reaches_a_common_target_in_any_number_of_steps(steps: int, x: float, y: float) -> None:
    target = np.array([40.25, 33.75], np.float32)
    field = (target[:, None, None] - GRID.positions(5, 7))[None]
    for from_cells, sampling in ((False, "bilinear"), (True, "nearest")):
        got = refine(np.array([[x, y]], np.float32), field, np.array([0]), GRID, steps, sampling, from_cells)
        np.testing.assert_allclose(got, target[None], atol=1e-3)


def test_no_steps_leave_points_alone() -> None:
    points = np.array([[-5.0, 300.0]], np.float32)
    np.testing.assert_allclose(refine(points, affine_field(5, 7), np.array([0]), GRID, 0), points)
