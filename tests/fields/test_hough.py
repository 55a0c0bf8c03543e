"""Votes, their map and its peaks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseg.fields import sigmoid
from poseg.fields.hough import accumulate_votes, cast_votes, cell_peaks, hough_peaks, refined_grid
from poseg.geometry.grid import Grid

RADIUS_PX = 32.0


def perfect_fields(points: np.ndarray, grid: Grid, cells: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Heatmap logits (1, h, w) and short offsets of one kind of joint at points (n, 2)."""
    gap = points[:, :, None, None] - grid.positions(*cells)
    distance = np.hypot(gap[:, 0], gap[:, 1])
    nearest = distance.argmin(axis=0)
    short = np.take_along_axis(gap, nearest[None, None], axis=0)
    heatmap = np.where(distance.min(axis=0) <= RADIUS_PX, 9.0, -9.0)
    return heatmap[None].astype(np.float32), short.astype(np.float32)


@given(seed=st.integers(0, 999), stride=st.sampled_from([8, 16]), finer=st.sampled_from([2, 4, 8, 16]))
@settings(max_examples=25, deadline=None)
def test_no_mass_is_lost_while_no_vote_leaves_the_frame(seed: int, stride: int, finer: int) -> None:
    rng, grid, cells = np.random.default_rng(seed), Grid(stride), (11, 13)
    heatmap = rng.normal(size=(3, *cells)).astype(np.float32)
    at = grid.positions(*cells)
    inside = np.array([(cells[1] - 1) * stride, (cells[0] - 1) * stride]).reshape(2, 1, 1) * rng.random((3, 2, *cells))
    votes = cast_votes(heatmap, (inside + 0.5 - at).astype(np.float32), grid, RADIUS_PX, min_probability=1e-9)
    tallied = accumulate_votes(votes, 3, *refined_grid(grid, cells, finer))
    expected = sigmoid(heatmap).sum(axis=(1, 2)) * stride**2 / (np.pi * RADIUS_PX**2)
    np.testing.assert_allclose(tallied.sum(axis=(1, 2)), expected, rtol=1e-4)


@given(x=st.floats(40, 216), y=st.floats(40, 216), stride=st.sampled_from([8, 16]), finer=st.sampled_from([4, 8]))
@settings(max_examples=25, deadline=None)
def test_hough_peaks_recover_joints_with_a_score_near_one(x: float, y: float, stride: int, finer: int) -> None:
    grid = Grid(stride)
    cells = grid.shape(257, 257)
    votes = cast_votes(*perfect_fields(np.array([[x, y]]), grid, cells), grid, RADIUS_PX)
    map_grid, map_cells = refined_grid(grid, cells, finer)
    seeds = hough_peaks(accumulate_votes(votes, 1, map_grid, map_cells), map_grid, 0.1)
    np.testing.assert_allclose(seeds.position - [[x, y]], 0, atol=1e-2)
    # The disk holds between 9 and 16 cells of stride 16, 12.6 on average.
    np.testing.assert_allclose(seeds.score, 1, atol=0.31)


def test_two_joints_are_two_peaks_by_score() -> None:
    grid, points = Grid(8), np.array([[90.0, 100.0], [130.0, 100.0]])
    cells = grid.shape(257, 257)
    heatmap, short = perfect_fields(points, grid, cells)
    left = grid.positions(*cells)[0] < 110
    heatmap[0, left] = np.minimum(heatmap[0, left], 0)
    votes = cast_votes(heatmap, short, grid, RADIUS_PX)
    map_grid, map_cells = refined_grid(grid, cells, 4)
    seeds = hough_peaks(accumulate_votes(votes, 1, map_grid, map_cells), map_grid, 0.1)
    result = seeds.position[np.unique(np.round(seeds.position), axis=0, return_index=True)[1]]
    np.testing.assert_allclose(result, points, atol=1e-2)
    assert (np.diff(seeds.score) <= 0).all()
    np.testing.assert_allclose(seeds.position[0], points[1], atol=1e-2)


def test_votes_out_of_the_frame_are_dropped() -> None:
    grid, cells = Grid(16), (3, 3)
    heatmap, short = np.full((1, *cells), 9.0, np.float32), np.full((1, 2, *cells), -500.0, np.float32)
    assert accumulate_votes(cast_votes(heatmap, short, grid, RADIUS_PX), 1, *refined_grid(grid, cells, 4)).sum() == 0


def test_improbable_cells_do_not_vote() -> None:
    heatmap = np.full((2, 3, 3), -9.0, np.float32)
    heatmap[1, 2, 0] = 4.0
    votes = cast_votes(heatmap, np.zeros((2, 2, 3, 3), np.float32), Grid(16), RADIUS_PX)
    assert votes.joint.tolist() == [1]
    assert votes.cell.tolist() == [6]
    np.testing.assert_allclose(votes.position, [[0.5, 32.5]])


@pytest.mark.parametrize(
    ("stride", "finer", "cells", "expected"), [(16, 4, (33, 33), (129, 129)), (8, 16, (4, 6), (3, 4))]
)
def test_the_refined_grid_covers_the_frame(
    stride: int, finer: int, cells: tuple[int, int], expected: tuple[int, int]
) -> None:
    grid, shape = refined_grid(Grid(stride), cells, finer)
    assert (grid, shape) == (Grid(finer), expected)


def test_cell_peaks_are_maxima_of_the_heatmap_moved_by_their_offset() -> None:
    heatmap = np.full((2, 5, 6), -9.0, np.float32)
    heatmap[0, 0, 0], heatmap[0, 1, 1], heatmap[1, 4, 5] = 1.0, 0.5, 2.0
    short = np.zeros((2, 2, 5, 6), np.float32)
    short[1, :, 4, 5] = 3, -4
    seeds = cell_peaks(heatmap, short, Grid(16), 0.5)
    assert seeds.joint.tolist() == [1, 0]
    np.testing.assert_allclose(seeds.position, [[83.5, 60.5], [0.5, 0.5]])
    np.testing.assert_allclose(seeds.score, sigmoid(np.array([2.0, 1.0], np.float32)))
    assert len(cell_peaks(heatmap, short, Grid(16), 0.95)) == 0
