"""Vector fields: sample between the cells, and follow from point to point.

Letters: C channels, h x w cells, n points. Points are continuous pixels of the network's input, x before y; each is
sampled in a channel of its own. Points outside the frame of cells are sampled at its border (spec section 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from poseg.geometry.grid import Grid

Floats = NDArray[np.float32]
Vectors = NDArray[np.complex64]
Indices = NDArray[np.intp]

BLOCK = 8192  # points that are followed together: their intermediate arrays stay in the cache


def clamp(points: Floats, grid: Grid, cells: tuple[int, int]) -> Floats:
    """The points (..., 2), moved into the frame from the first cell to the last."""
    last = grid.to_image(np.array(cells[::-1]) - 1)
    moved: Floats = np.minimum(np.maximum(points, np.float32(grid.origin)), last)
    return moved


def sample_bilinear(field: Floats, channel: Indices, points: Floats, grid: Grid) -> Floats:
    """Values between the four cells around each point: (n, D) for a field (C, D, h, w), (n,) for (C, h, w)."""
    at, last = _split_xy(points, grid, field.shape[-2], field.shape[-1])
    inside = np.minimum(np.maximum(at, 0), last)
    return _bilinear(field, channel, inside).T.reshape(len(points), *field.shape[1:-2])


def _split_xy(points: Floats, grid: Grid, h: int, w: int) -> tuple[Floats, Floats]:
    """The points as fractional cells, x and y apart (2, n), and the last cell of the field (2, 1).

    Separate arrays of x and y are several times as fast as pairs.
    """
    return grid.to_cells(points.T.copy()), np.array([[w - 1], [h - 1]], np.float32)


def _bilinear(field: Floats, channel: Indices, at: Floats) -> Floats:
    """Bilinear values (D, n) at fractional cells (2, n) inside the field."""
    h, w = field.shape[-2:]
    depth, n = field[0, ..., 0, 0].size, at.shape[1]
    low, weights = _corner_weights(at, h, w)
    first = channel * (depth * h * w) + low[1] * w + low[0]
    values = field.reshape(-1).take(first + _corners(depth, h, w)).reshape(depth, 4, n)
    values *= weights
    # Not einsum: its last bits depend on how many points there are, and chains of offsets magnify them.
    sampled: Floats = values.sum(axis=1)
    return sampled


def _corner_weights(at: Floats, h: int, w: int) -> tuple[NDArray[np.int32], Floats]:
    """The first of the four cells around points (2, n), its column and row (2, n), and the weights of all (4, n)."""
    # On the last row or column the fraction is 1 instead of 0, to keep the far corner inside the field.
    low = np.minimum(at.astype(np.int32), np.array([[max(w - 2, 0)], [max(h - 2, 0)]], np.int32))
    fraction = np.empty((2, 2, at.shape[1]), np.float32)
    np.subtract(at, low, out=fraction[1], dtype=np.float32, casting="unsafe")
    np.subtract(1, fraction[1], out=fraction[0])
    return low, (fraction[:, None, 1] * fraction[:, 0]).reshape(4, at.shape[1])


@lru_cache(maxsize=32)
def _corners(depth: int, h: int, w: int) -> Indices:
    """Offsets in memory of the four cells around a point from the first, for each of `depth` values: (4 depth, 1)."""
    right, down = min(w - 1, 1), w * min(h - 1, 1)
    planes = np.arange(depth)[:, None] * (h * w)
    offsets: Indices = (planes + np.array([0, right, down, down + right])).reshape(-1, 1)
    return offsets


def nearest_cells(points: Floats, grid: Grid, cells: tuple[int, int]) -> Indices:
    """(n, 2) column and row of the nearest cell inside the grid; halves round up, as in JavaScript."""
    nearest = np.floor(grid.to_cells(points) + np.float32(0.5)).astype(np.intp)
    inside: Indices = np.minimum(np.maximum(nearest, 0), np.array(cells[::-1]) - 1)
    return inside


def sample_nearest(field: Floats, channel: Indices, points: Floats, grid: Grid) -> Floats:
    """Values of the nearest cell: (n, D) for a field (C, D, h, w), (n,) for (C, h, w)."""
    column, row = nearest_cells(points, grid, (field.shape[-2], field.shape[-1])).T
    values: Floats = np.moveaxis(field, (-2, -1), (1, 2))[channel, row, column]
    return values


SAMPLINGS = {"bilinear": sample_bilinear, "nearest": sample_nearest}


def sample(field: Floats, channel: Indices, points: Floats, grid: Grid, sampling: str = "bilinear") -> Floats:
    """The field (C, D, h, w) or (C, h, w), sampled in `channel` (n,) at `points` (n, 2): (n, D) or (n,)."""
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

    A point outside the frame starts from the frame's border, where its vector is sampled; the end points are not
    clamped. With `from_cells` (and nearest sampling) a point starts from its nearest cell, as TensorFlow.js does with
    short offsets. PersonLab, section 3.1: mid by short, long by long, long by short.
    """
    h, w = offsets.shape[-2:]
    if sampling == "nearest":
        for _ in range(steps):
            start = grid.to_image(nearest_cells(points, grid, (h, w))) if from_cells else clamp(points, grid, (h, w))
            points = start + sample_nearest(offsets, channel, start, grid)
        return points
    return follow(points, [(as_vectors(offsets), channel, steps)], grid)


def as_vectors(offsets: Floats) -> Vectors:
    """Offsets (C, 2, h, w) as complex numbers x + iy, (C, h, w): one lookup reads both."""
    vectors = np.empty((len(offsets), *offsets.shape[2:]), np.complex64)
    vectors.real, vectors.imag = offsets[:, 0], offsets[:, 1]
    return vectors


def follow(points: Floats, legs: Sequence[tuple[Vectors, Indices, int]], grid: Grid) -> Floats:
    """`refine`, bilinearly, along one field after another.

    legs  of each its vectors (`as_vectors`), their channels (n,) and the number of steps
    """
    at, last = _split_xy(points, grid, *legs[0][0].shape[-2:])
    for first in range(0, at.shape[1], BLOCK):
        block = slice(first, first + BLOCK)
        for vectors, channel, steps in legs:
            at[:, block] = _walk(at[:, block], last, vectors, channel[block], grid.stride, steps)
    return grid.to_image(at).T


def _walk(at: Floats, last: Floats, vectors: Vectors, channel: Indices, stride: int, steps: int) -> Floats:
    """Fractional cells (2, n) moved along vectors, each step from inside the frame."""
    h, w = vectors.shape[-2:]
    flat, corners, per_stride = vectors.reshape(-1), channel * (h * w) + _corners(1, h, w), np.float32(1 / stride)
    for _ in range(steps):
        at = np.minimum(np.maximum(at, 0), last)
        low, weights = _corner_weights(at, h, w)
        values = flat.take(corners + (low[1] * w + low[0]))
        values *= weights
        # One after another: the last bits of `sum` depend on how many points there are, and chains magnify them.
        moved = values[0] + values[1]
        moved += values[2]
        moved += values[3]
        at += moved.view(np.float32).reshape(-1, 2).T * per_stride
    return at
