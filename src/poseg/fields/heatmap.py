"""Keypoint disks: where a field is supervised, and by which person's joint.

Letters: N people, K joints, h x w cells. A disk of radius R (pixels of the network's input, the same for every
person) stands around each annotated joint; where disks of the same joint of several people overlap, a cell
belongs to the nearest one (PersonLab, section 3.1; spec section 2.1).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseg.geometry.grid import Grid

Floats = NDArray[np.float32]


def disk_owners(
    keypoints: Floats, annotated: NDArray[np.bool_], grid: Grid, cells: tuple[int, int], radius_px: float
) -> NDArray[np.intp]:
    """Person of the nearest annotated joint within the radius: (K, h, w), -1 outside every disk.

    keypoints (N, K, 2) image pixels, annotated (N, K) bool. The disk is closed; ties go to the lower index.
    """
    k, (rows, columns) = annotated.shape[1], cells
    owner = np.full((k, rows, columns), -1, np.intp)
    nearest = np.full((k, rows, columns), np.inf, np.float32)
    xs, ys = grid.to_image(np.arange(columns)), grid.to_image(np.arange(rows))
    first = np.maximum(np.ceil(grid.to_cells(keypoints - radius_px)), 0).astype(int)
    last = np.floor(grid.to_cells(keypoints + radius_px)).astype(int) + 1
    for person, joint in zip(*np.nonzero(annotated), strict=True):
        (x0, y0), (x1, y1) = first[person, joint], last[person, joint]
        if x0 >= columns or y0 >= rows or x1 <= 0 or y1 <= 0:
            continue
        x, y = keypoints[person, joint]
        squared = (ys[y0:y1, None] - y) ** 2 + (xs[None, x0:x1] - x) ** 2
        closer = (squared <= radius_px**2) & (squared < nearest[joint, y0:y1, x0:x1])
        nearest[joint, y0:y1, x0:x1][closer] = squared[closer]
        owner[joint, y0:y1, x0:x1][closer] = person
    return owner
