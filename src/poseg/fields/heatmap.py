"""Keypoint disks: where a field is supervised, and by which person's joint.

Letters: N people, K joints, h x w cells. A disk of radius R (pixels of the network's input, the same for every
person) stands around each annotated joint; where disks of the same joint of several people overlap, a cell
belongs to the nearest one (PersonLab, section 3.1; spec section 2.1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseg.geometry.grid import Grid

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Disks:
    """The cells inside disks, as flat lists: entry m is cell (row[m], column[m]) of joint[m], owned by person[m]."""

    joint: NDArray[np.intp]
    row: NDArray[np.intp]
    column: NDArray[np.intp]
    person: NDArray[np.intp]
    position: Floats  # (M, 2) where the cell stands, in image pixels


def owners(keypoints: Floats, annotated: NDArray[np.bool_], grid: Grid, cells: tuple[int, int], radius_px: float) -> NDArray[np.intp]:
    """Index of the nearest annotated joint within the radius: (K, h, w), -1 outside every disk.

    keypoints (N, K, 2) image pixels, annotated (N, K); the disk is closed, ties go to the lower index.
    """
    n, k = annotated.shape
    rows, columns = cells
    nearest = np.full((k, rows, columns), -1, np.intp)
    best = np.full((k, rows, columns), np.float32(radius_px) ** 2, np.float32)
    xs, ys = grid.to_image(np.arange(columns)), grid.to_image(np.arange(rows))
    low, high = grid.to_cells(keypoints - radius_px), grid.to_cells(keypoints + radius_px)
    for person in range(n):
        for joint in np.flatnonzero(annotated[person]):
            x0, y0 = np.maximum(np.ceil(low[person, joint] - 1e-3).astype(int), 0)
            x1, y1 = np.floor(high[person, joint] + 1e-3).astype(int) + 1
            if x1 <= 0 or y1 <= 0 or x0 >= columns or y0 >= rows:
                continue
            x, y = keypoints[person, joint]
            squared = (ys[y0:y1, None] - y) ** 2 + (xs[None, x0:x1] - x) ** 2
            window = best[joint, y0:y1, x0:x1]
            free = nearest[joint, y0:y1, x0:x1] < 0
            closer = (squared < window) | (free & (squared <= window))
            window[closer] = squared[closer]
            nearest[joint, y0:y1, x0:x1][closer] = person
    return nearest


def disks(keypoints: Floats, annotated: NDArray[np.bool_], grid: Grid, cells: tuple[int, int], radius_px: float) -> Disks:
    """The cells of `owners` as lists."""
    nearest = owners(keypoints, annotated, grid, cells, radius_px)
    joint, row, column = np.nonzero(nearest >= 0)
    position = np.stack([grid.to_image(column), grid.to_image(row)], axis=1)
    return Disks(joint, row, column, nearest[joint, row, column], position)
