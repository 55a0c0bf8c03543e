"""Hough voting: every cell inside a disk votes for the position its short offset points at (PersonLab, section 3.1).

    h_k(x) = sum over cells i of p_k(x_i) B(x_i + S_k(x_i) - x) s^2 / (pi R^2)

B is the bilinear kernel of the map's grid and s the stride of the voting cells, so a joint on which all cells of its
disk agree has weight 1, on a map of any resolution. Voting at the resolution of the image, as the paper does, costs
more than the network; a map of a few pixels a cell, whose peaks are read with the centroid of the votes around them,
locates them as well.

Letters: K joints, V votes, h x w cells of the fields, H x W cells of the map.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseg.fields.spec import sigmoid
from poseg.geometry.grid import Grid

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]


MIN_VOTE = 0.01  # probability of the cells that vote: the others together move no peak
BLOCK = 50_000  # cells of the map that votes are counted in at once: they stay in the cache


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """Positions of joints that cells vote for, joint by joint.

    joint     (V,) which joint, in ascending order
    cell      (V,) raster index of the voter
    position  (V, 2) where it points, in input pixels
    weight    (V,) p s^2 / (pi R^2)
    """

    joint: Indices
    cell: Indices
    position: Floats
    weight: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Seeds:
    """Starting points of people, by descending score: joint (S,), position (S, 2) in input pixels, score (S,)."""

    joint: Indices
    position: Floats
    score: Floats

    def __len__(self) -> int:
        return len(self.joint)

    def __getitem__(self, index: Indices | NDArray[np.bool_] | slice) -> Seeds:
        return Seeds(self.joint[index], self.position[index], self.score[index])


def cast_votes(
    heatmap: Floats, short_offsets: Floats, grid: Grid, radius_px: float, min_probability: float = MIN_VOTE
) -> Votes:
    """The votes of all cells with a probability above `min_probability`.

    heatmap (K, h, w) logits, short_offsets (K, 2, h, w) pixels; `radius_px` is the radius R of the disks.
    """
    k, h, w = heatmap.shape
    voters = np.flatnonzero(heatmap > np.log(min_probability / (1 - min_probability)))
    joint = np.repeat(np.arange(k), np.diff(np.searchsorted(voters, np.arange(k + 1) * (h * w))))
    cell = voters - joint * (h * w)
    # The vectors of joint k begin 2 k h w in: x, then h w farther on y.
    offsets, first = short_offsets.reshape(-1), voters + joint * (h * w)
    position = grid.positions(h, w).reshape(2, h * w).take(cell, axis=1)
    position[0] += offsets.take(first)
    position[1] += offsets[h * w :].take(first)
    weight = sigmoid(heatmap.reshape(-1).take(voters)) * np.float32(grid.stride**2 / (np.pi * radius_px**2))
    return Votes(joint, cell, position.T, weight)


def refined_grid(grid: Grid, cells: tuple[int, int], stride_px: int) -> tuple[Grid, tuple[int, int]]:
    """A grid of `stride_px` over the same region, and its rows and columns."""
    rows, columns = (-(-(n - 1) * grid.stride // stride_px) + 1 for n in cells)
    return Grid(stride_px, grid.origin), (rows, columns)


def accumulate_votes(votes: Votes, joints: int, grid: Grid, cells: tuple[int, int]) -> Floats:
    """Sum the votes of each joint on a map of H x W cells: (K, H + 2, W + 2).

    The map has a frame of one cell, for the votes that fall between it and the grid's border; votes beyond it are
    dropped.
    """
    rows, columns = cells[0] + 2, cells[1] + 2
    total = np.empty((joints, rows, columns), np.float32)
    step = max(1, BLOCK // (rows * columns))
    ends = np.searchsorted(votes.joint, np.arange(0, joints + step, step))
    for number, first in enumerate(range(0, joints, step)):
        block, voted = slice(ends[number], ends[number + 1]), total[first : first + step]
        joint, (x, y) = votes.joint[block] - first, grid.to_cells(votes.position.T[:, block]) + np.float32(1)
        weight = votes.weight[block]
        inside = (x >= 0) & (x < columns - 1) & (y >= 0) & (y < rows - 1)
        if not inside.all():
            joint, x, y, weight = joint[inside], x[inside], y[inside], weight[inside]
        voted[:] = _tally(joint, x, y, weight, (len(voted), rows, columns))
    return total


def _tally(joint: Indices, x: Floats, y: Floats, weight: Floats, shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """The weights (V,) at fractional columns and rows, each split between the four cells around, as `shape`."""
    left, top = x.astype(np.intp), y.astype(np.intp)
    fx, fy = (np.subtract(a, low, dtype=np.float32, casting="unsafe") for a, low in ((x, left), (y, top)))
    first = (joint * shape[1] + top) * shape[2] + left
    corner = first + np.array([[0], [1], [shape[2]], [shape[2] + 1]])
    weights = np.empty(corner.shape, np.float32)
    lower = np.multiply(fy, weight, out=weights[2])
    upper = np.subtract(weight, lower, out=weights[0])
    for side, near, far in ((upper, weights[0], weights[1]), (lower, weights[2], weights[3])):
        np.multiply(side, fx, out=far)
        np.subtract(side, far, out=near)
    total = np.bincount(corner.reshape(-1), weights.reshape(-1), shape[0] * shape[1] * shape[2])
    return total.astype(np.float64, copy=False).reshape(shape)


def hough_peaks(vote_map: Floats, grid: Grid, threshold: float) -> Seeds:
    """Local maxima of framed maps (K, H + 2, W + 2), at the centroid of the votes in the 3 x 3 cells around each.

    A peak's score is the total weight of those nine cells, which does not depend on where between cells the votes meet.
    The centroid is exact where all of them meet in one point. Equal neighbours are all peaks.
    """
    joint, row, column, window = _local_maxima(vote_map, threshold / 9)
    score = window.sum(axis=1)
    dy, dx = np.divmod(np.arange(9), 3)
    centroid = window @ np.stack([dx - 1, dy - 1], axis=1) / score[:, None]
    # The frame shifts row and column by one.
    position = grid.to_image(np.stack([column - 1, row - 1], axis=1) + centroid)
    order = np.argsort(-score, kind="stable")
    order = order[score[order] >= threshold]
    return Seeds(joint[order], position[order], score[order].astype(np.float32))


def cell_peaks(heatmap: Floats, short_offsets: Floats, grid: Grid, threshold: float) -> Seeds:
    """Local maxima of the probability over 3 x 3 cells, each moved by its short offset; no votes are counted.

    This is how the published TensorFlow.js and Coral decoders find seeds. heatmap (K, h, w) logits.
    """
    framed = np.pad(sigmoid(heatmap), ((0, 0), (1, 1), (1, 1)))
    joint, row, column, window = _local_maxima(framed, threshold)
    row, column = row - 1, column - 1
    position = grid.to_image(np.stack([column, row], axis=1)) + short_offsets[joint, :, row, column]
    order = np.argsort(-window[:, 4], kind="stable")
    return Seeds(joint[order], position[order], window[order, 4])


def _local_maxima(framed: Floats, threshold: float) -> tuple[Indices, Indices, Indices, Floats]:
    """Cells inside the frame, no lower than their 8 neighbours: joint, row, column, and the (n, 9) neighbourhoods."""
    _, rows, columns = framed.shape
    flat = framed.reshape(-1)
    flat_index = np.flatnonzero(flat >= threshold)
    joint, inner = np.divmod(flat_index, rows * columns)
    row, column = np.divmod(inner, columns)
    inside = (row > 0) & (row < rows - 1) & (column > 0) & (column < columns - 1)
    joint, row, column, flat_index = (joint[inside], row[inside], column[inside], flat_index[inside])
    around = (np.arange(-1, 2)[:, None] * columns + np.arange(-1, 2)).reshape(-1, 1)
    window = flat[flat_index + around]
    top = window[4] >= window.max(axis=0)
    return joint[top], row[top], column[top], window[:, top].T
