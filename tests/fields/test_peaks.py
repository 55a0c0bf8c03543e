"""Gaussians and their peaks: exact between cells for joints that stand alone, one peak for each top."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.fields.heatmap import MIN_HEIGHT, gaussian_heatmaps, heatmap_peaks
from poseg.geometry.grid import Grid

GRIDS = [Grid(8), Grid(8, 4.0), Grid(4)]
CELLS = (12, 15)


def painted(points, grid: Grid = GRIDS[0], cells: tuple[int, int] = CELLS, sigma_px: float = 7.0) -> np.ndarray:
    """Heatmap (1, h, w) of one joint of several people."""
    keypoints = np.array(points, np.float32).reshape(-1, 1, 2)
    return gaussian_heatmaps(keypoints, np.ones(keypoints.shape[:2], bool), grid, cells, sigma_px)


def by_definition(points: np.ndarray, known: np.ndarray, grid: Grid, cells: tuple[int, int], sigma_px: float):
    """(K, h, w): the greatest over people of exp(-d^2 / (2 sigma^2)), cell by cell."""
    x, y = grid.positions(*cells).astype(np.float64)
    heat = np.zeros((known.shape[1], *cells))
    for person, joint in np.argwhere(known):
        u, v = points[person, joint].astype(np.float64)
        heat[joint] = np.maximum(heat[joint], np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * sigma_px**2)))
    return heat


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@given(seed=st.integers(0, 10**6))
def test_gaussians_are_their_definition(grid, seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform(-30, 150, (3, 4, 2)).astype(np.float32)
    known = rng.random((3, 4)) > 0.3
    heat, expected = gaussian_heatmaps(points, known, grid, CELLS, 7.0), by_definition(points, known, grid, CELLS, 7.0)
    edge = np.abs(expected - MIN_HEIGHT) < 1e-5
    np.testing.assert_allclose(heat[~edge], np.where(expected >= MIN_HEIGHT, expected, 0)[~edge], atol=1e-5)
    assert heat.dtype == np.float32


@given(seed=st.integers(0, 10**6))
def test_the_order_of_people_does_not_matter_to_gaussians(seed):
    rng = np.random.default_rng(seed)
    points, order = rng.uniform(0, 100, (5, 1, 2)).astype(np.float32), rng.permutation(5)
    known = np.ones((5, 1), bool)
    one, other = (gaussian_heatmaps(p, known, GRIDS[0], CELLS, 7.0) for p in (points, points[order]))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@given(x=st.floats(1, 10), y=st.floats(1, 10), sigma=st.floats(0.7, 1.5))
def test_heatmap_peaks_recover_isolated_joints_to_subpixel_accuracy(grid, x, y, sigma):
    place = grid.to_image([x, y])
    peaks = heatmap_peaks(painted(place, grid, sigma_px=sigma * grid.stride), grid, 0.1)
    assert peaks.joint.tolist() == [0]
    np.testing.assert_allclose(peaks.points[0], place, atol=0.02)
    assert 0.6 < peaks.scores[0] <= 1


@given(x=st.floats(1, 10), y=st.floats(1, 10), factor=st.floats(0.3, 1))
def test_a_lower_peak_has_the_same_position(x, y, factor):
    place = GRIDS[0].to_image([x, y])
    peaks = heatmap_peaks(np.float32(factor) * painted(place), GRIDS[0], 0.1)
    np.testing.assert_allclose(peaks.points, [place], atol=0.02)


@pytest.mark.parametrize(
    "top",
    [[(4, 5), (4, 6)], [(4, 5), (5, 5)], [(4, 5), (5, 6)], [(4, 6), (5, 5)], [(4, 5), (4, 6), (5, 5), (5, 6)],
     [(4, c) for c in range(3, 9)], [(r, c) for r in (3, 4, 5) for c in (3, 4, 5)]],
    ids=["beside", "below", "falling", "rising", "square", "row", "block"],
)  # fmt: skip
def test_a_flat_top_is_one_peak_on_it(top):
    heat = np.full((1, *CELLS), 0.2, np.float32)
    for cell in top:
        heat[(0, *cell)] = 0.9
    peaks = heatmap_peaks(heat, Grid(1, 0.0), 0.5)
    assert len(peaks) == 1
    (x, y), rows, columns = peaks.points[0], *zip(*top, strict=True)
    assert min(columns) <= x <= max(columns)
    assert min(rows) <= y <= max(rows)


def test_the_centre_of_two_equal_cells_is_between_them():
    heat = np.full((1, *CELLS), 0.1, np.float32)
    heat[0, 4, 5:7] = 0.8
    np.testing.assert_allclose(heatmap_peaks(heat, Grid(8), 0.5).points, [Grid(8).to_image([5.5, 4])])


def test_two_joints_far_enough_apart_are_two_peaks_and_close_ones_one():
    far = heatmap_peaks(painted([(40, 50), (70, 50)]), GRIDS[0], 0.1)
    np.testing.assert_allclose(far.points[far.points[:, 0].argsort()], [(40, 50), (70, 50)], atol=0.5)
    assert len(heatmap_peaks(painted([(40, 50), (46, 50)]), GRIDS[0], 0.1)) == 1


def test_peaks_at_the_edge_of_the_map_are_found():
    for place in [(0.5, 0.5), (112.5, 88.5), (0.5, 44.5), (-2.0, 40.5), (114.5, 90.0)]:
        peaks = heatmap_peaks(painted(place), GRIDS[0], 0.1)
        assert len(peaks) == 1
        np.testing.assert_allclose(peaks.points[0], np.clip(place, 0.5, (112.5, 88.5)), atol=0.1)


def test_a_map_of_one_cell_has_a_peak_on_it():
    peaks = heatmap_peaks(np.full((1, 1, 1), 0.7, np.float32), Grid(8), 0.5)
    assert peaks.points.tolist() == [[0.5, 0.5]]


def test_peaks_are_above_the_threshold():
    heat = painted((40.5, 40.5))
    assert len(heatmap_peaks(heat, GRIDS[0], 0.999)) == 1
    assert len(heatmap_peaks(heat, GRIDS[0], 1.0)) == 0
    empty = heatmap_peaks(np.zeros((3, *CELLS), np.float32), GRIDS[0], 0.1)
    assert len(empty) == 0
    assert empty.points.shape == (0, 2)


@given(seed=st.integers(0, 10**6), most=st.integers(1, 6))
def test_peaks_are_the_highest_local_maxima_of_each_joint_highest_first(seed, most):
    heat = np.random.default_rng(seed).random((3, 8, 9)).astype(np.float32)
    peaks = heatmap_peaks(heat, Grid(1, 0.0), 0.3, most)
    for joint, plane in enumerate(heat):
        frame = np.pad(plane, 1, constant_values=-1)
        around = np.array([[frame[r : r + 3, c : c + 3].max() for c in range(9)] for r in range(8)])
        tops = np.sort(plane[(plane == around) & (plane > 0.3)])[::-1][:most]
        np.testing.assert_array_equal(peaks.scores[peaks.joint == joint], tops)
    assert (np.diff(peaks.joint) >= 0).all()
    cells = np.rint(peaks.points).astype(int)
    offsets = np.abs(peaks.points - cells)
    assert offsets.max() <= 0.5
