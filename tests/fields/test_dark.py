"""Laws of DARK's decoding: it undoes a Gaussian, and stays on the cell where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from poseg.errors import ShapeError
from poseg.fields.dark import dark_joints
from poseg.fields.heatmap import gaussian_heatmaps
from poseg.geometry.grid import Grid

GRID, CELLS = Grid(4), (64, 48)


def maps(points: np.ndarray) -> np.ndarray:
    """(N, K, h, w) Gaussians of two cells around points (N, K, 2)."""
    everything = np.ones((1, points.shape[1]), bool)
    return np.stack([gaussian_heatmaps(one[None], everything, GRID, CELLS, 8.0) for one in points])


def test_gaussians_are_undone():
    points = np.random.default_rng(0).uniform(14, (175, 239), (20, 17, 2)).astype(np.float32)
    found, scores = dark_joints(maps(points), GRID)
    np.testing.assert_allclose(found, points, atol=0.05)
    assert scores.min() > 0.9
    scaled, lower = dark_joints(0.3 * maps(points), GRID)
    np.testing.assert_allclose(scaled, found, atol=1e-2)
    np.testing.assert_allclose(lower, 0.3 * scores, rtol=1e-5)


def test_a_shift_by_cells_is_a_shift_of_the_joint():
    rng = np.random.default_rng(1)
    heat = maps(rng.uniform(60, 120, (1, 5, 2)).astype(np.float32)) + rng.uniform(0, 0.02, (1, 5, *CELLS))
    here, there = (dark_joints(field.astype(np.float32), GRID)[0] for field in (heat, np.roll(heat, (3, 2), (2, 3))))
    np.testing.assert_allclose(there - here, np.broadcast_to([8.0, 12.0], here.shape), atol=1e-3)


@pytest.mark.parametrize("cell", [(0, 0), (1, 20), (63, 47), (30, 46)])
def test_maxima_at_the_border_and_flat_maps_stay_on_their_cell(cell):
    heat = np.zeros((1, 2, *CELLS), np.float32)
    heat[0, 0][cell] = 0.7
    points, scores = dark_joints(heat, GRID)
    np.testing.assert_array_equal(points[0], GRID.to_image(np.array([cell[::-1], (0, 0)])))
    np.testing.assert_array_equal(scores[0], np.float32([0.7, 0]))


def test_maps_of_other_shapes_are_refused():
    with pytest.raises(ShapeError, match="heatmaps"):
        dark_joints(np.zeros((17, 64, 48), np.float32), GRID)
    with pytest.raises(ShapeError, match="heatmaps"):
        dark_joints(np.zeros((1, 17, 4, 48), np.float32), GRID)
