"""DARK: one joint of each kind from the heatmaps of a crop, finer than its cells (Zhang et al., CVPR 2020).

Near its maximum a heatmap is taken for a Gaussian, whose logarithm is quadratic: one Newton step from the highest cell
ends on its centre. The map is blurred first, since a network's maps have ripples that a Gaussian lacks.

Letters: N crops, K joints, h x w cells.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseg.errors import ShapeError
from poseg.geometry.grid import Grid

Floats = NDArray[np.float32]

BLUR = np.array([0.25, 0.5, 0.25], np.float32)
MIN_HEIGHT = 1e-10  # before the logarithm
MAX_STEP = 2.0  # cells; a longer step means that the map is no Gaussian there
REACH = 2  # cells around the maximum that the derivatives read


def dark_joints(heatmaps: Floats, grid: Grid) -> tuple[Floats, Floats]:
    """Points (N, K, 2) in pixels of the crop, and heights (N, K), of the maxima of heatmaps (N, K, h, w).

    A maximum within two cells of the border stays on its cell, and so does one where the step would be longer than two
    cells. Raises ShapeError for maps of fewer than 5 x 5 cells or without the four axes.
    """
    if heatmaps.ndim != 4 or min(heatmaps.shape[2:]) < 2 * REACH + 1:
        raise ShapeError("heatmaps", expected=("crops", "joints", "5 or more", "5 or more"), got=heatmaps.shape)
    people, joints, rows, columns = heatmaps.shape
    maps = heatmaps.reshape(-1, rows, columns)
    highest = maps.reshape(len(maps), rows * columns).argmax(axis=1)
    row, column = np.divmod(highest, columns)
    scores = maps[np.arange(len(maps)), row, column]
    x, y = _newton(_patches(maps, row, column))
    inner = (row >= REACH) & (row < rows - REACH) & (column >= REACH) & (column < columns - REACH)
    inner &= (np.abs(x) < MAX_STEP) & (np.abs(y) < MAX_STEP)
    cells = np.stack([column + np.where(inner, x, 0), row + np.where(inner, y, 0)], axis=1)
    return grid.to_image(cells).reshape(people, joints, 2), scores.astype(np.float32).reshape(people, joints)


def _patches(maps: Floats, row: NDArray[np.intp], column: NDArray[np.intp]) -> Floats:
    """(M, 5, 5) logarithms of the blurred maps around cells."""
    margin = REACH + 1
    padded = np.pad(maps, ((0, 0), (margin, margin), (margin, margin)), mode="reflect")
    side = np.arange(2 * margin + 1)
    patch = padded[
        np.arange(len(maps))[:, None, None], (row[:, None] + side)[:, :, None], (column[:, None] + side)[:, None, :]
    ]
    down = BLUR[0] * patch[:, :-2] + BLUR[1] * patch[:, 1:-1] + BLUR[2] * patch[:, 2:]
    blurred = BLUR[0] * down[..., :-2] + BLUR[1] * down[..., 1:-1] + BLUR[2] * down[..., 2:]
    return np.asarray(np.log(np.maximum(blurred, MIN_HEIGHT)), np.float32)


def _newton(log: Floats) -> tuple[Floats, Floats]:
    """Steps (M,) in cells, x and y, from the centre of patches (M, 5, 5) to where their gradient is zero."""
    centre = log[:, 2, 2]
    dx, dy = (log[:, 2, 3] - log[:, 2, 1]) / 2, (log[:, 3, 2] - log[:, 1, 2]) / 2
    dxx, dyy = (log[:, 2, 4] - 2 * centre + log[:, 2, 0]) / 4, (log[:, 4, 2] - 2 * centre + log[:, 0, 2]) / 4
    dxy = (log[:, 3, 3] - log[:, 1, 3] - log[:, 3, 1] + log[:, 1, 1]) / 4
    determinant = dxx * dyy - dxy**2
    flat = determinant == 0
    divisor = np.where(flat, 1, determinant)
    x, y = (dxy * dy - dyy * dx) / divisor, (dxy * dx - dxx * dy) / divisor
    return np.where(flat, 0, x), np.where(flat, 0, y)
