"""Vector fields: read between the cells, and follow from point to point.

Letters: C channels, h x w cells, n points. Points are continuous pixels of the network's input, x before y; each is
read in a channel of its own. Points outside the frame of cells are read at its border (spec section 4).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseg.geometry.grid import Grid

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]


def clamp(points: Floats, grid: Grid, cells: tuple[int, int]) -> Floats:
    """The points (..., 2), moved into the frame from the first cell to the last."""
    last = grid.to_image(np.array(cells[::-1]) - 1)
    moved: Floats = np.minimum(np.maximum(points, np.float32(grid.origin)), last)
    return moved


def sample_bilinear(field: Floats, channel: Indices, points: Floats, grid: Grid) -> Floats:
    """Values between the four cells around each point: (n, D) for a field (C, D, h, w), (n,) for (C, h, w)."""
    h, w = field.shape[-2:]
    at = np.minimum(np.maximum(grid.to_cells(points), 0), np.array([w - 1, h - 1], np.float32))
    low = at.astype(np.intp)
    # On the last row or column the fraction is 0; stepping back keeps the far corner inside the field.
    np.minimum(low, np.array([max(w - 2, 0), max(h - 2, 0)]), out=low)
    fx, fy = (at - low.astype(np.float32)).T
    right, down = min(w - 1, 1), w * min(h - 1, 1)
    depth = field[0, ..., 0, 0].size
    first = channel * (depth * h * w) + low[:, 1] * w + low[:, 0]
    corners = (np.arange(depth) * (h * w))[:, None] + np.array([0, right, down, down + right])
    gx, gy = 1 - fx, 1 - fy
    weights = np.stack([gx * gy, fx * gy, gx * fy, fx * fy], axis=1)
    values = field.reshape(-1).take(first[:, None, None] + corners)
    sampled: Floats = np.matmul(values, weights[:, :, None])[..., 0]
    return sampled.reshape(len(points), *field.shape[1:-2])


def nearest_cells(points: Floats, grid: Grid, cells: tuple[int, int]) -> Indices:
    """(n, 2) column and row of the nearest cell inside the grid; halves round up, as in JavaScript."""
    nearest = np.floor(grid.to_cells(points) + np.float32(0.5)).astype(np.intp)
    return np.minimum(np.maximum(nearest, 0), np.array(cells[::-1]) - 1)


def sample_nearest(field: Floats, channel: Indices, points: Floats, grid: Grid) -> Floats:
    """Values of the nearest cell: (n, D) for a field (C, D, h, w), (n,) for (C, h, w)."""
    column, row = nearest_cells(points, grid, (field.shape[-2], field.shape[-1])).T
    values: Floats = np.moveaxis(field, (-2, -1), (1, 2))[channel, row, column]
    return values


SAMPLINGS = {"bilinear": sample_bilinear, "nearest": sample_nearest}


def sample(field: Floats, channel: Indices, points: Floats, grid: Grid, sampling: str = "bilinear") -> Floats:
    """The field (C, D, h, w) or (C, h, w), read in `channel` (n,) at `points` (n, 2): (n, D) or (n,)."""
    return SAMPLINGS[sampling](field, channel, points, grid)


def refine(
    points: Floats,
    offsets: Floats,
    channel: Indices,
    grid: Grid,
    steps: int,
    sampling: str = "bilinear",
    from_cells: bool = False,
) -> Floats:
    """Follow the vectors of `offsets` (C, 2, h, w) for a number of steps: p <- p + offsets(p).

    A point outside the frame sets out from the frame's border, where the vector it follows was read; where the points
    end is not clamped. With `from_cells` a point sets out from its nearest cell, as TensorFlow.js does with short
    offsets. PersonLab, section 3.1: mid by short, long by long, long by short.
    """
    cells = (offsets.shape[-2], offsets.shape[-1])
    for _ in range(steps):
        start = grid.to_image(nearest_cells(points, grid, cells)) if from_cells else clamp(points, grid, cells)
        points = start + sample(offsets, channel, start, grid, sampling)
    return points
