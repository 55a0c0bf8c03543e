"""Heatmaps: disks and Gaussians around joints, and their peaks.

A disk is where a field is supervised, and by which person's joint.

Letters: N people, K joints, h x w cells. A disk of radius R (pixels of the network's input, the same for every
person) is around each annotated joint; where disks of the same joint of several people overlap, a cell
belongs to the nearest one (PersonLab, section 3.1; spec section 2.1).

A Gaussian is a confidence that falls with the distance from the joint; where those of several people overlap the
maximum counts (Cao et al., CVPR 2017, section 2.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseg.geometry.grid import Grid

Floats = NDArray[np.float32]

MIN_HEIGHT = 0.01  # a Gaussian is 0 where it falls below


def disk_assignment(
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


def gaussian_heatmaps(
    keypoints: Floats, annotated: NDArray[np.bool_], grid: Grid, cells: tuple[int, int], sigma_px: float
) -> Floats:
    """The maximum over people of exp(-d^2 / (2 sigma^2)): (K, h, w) in [0, 1], 0 below `MIN_HEIGHT`.

    keypoints (N, K, 2) image pixels, annotated (N, K) bool.
    """
    heat = np.zeros((annotated.shape[1], *cells), np.float32)
    xs, ys = grid.to_image(np.arange(cells[1])), grid.to_image(np.arange(cells[0]))
    reach = sigma_px * np.float32(np.sqrt(-2 * np.log(MIN_HEIGHT)))
    first = np.maximum(np.ceil(grid.to_cells(keypoints - reach)), 0).astype(int)
    last = np.floor(grid.to_cells(keypoints + reach)).astype(int) + 1
    for person, joint in zip(*np.nonzero(annotated), strict=True):
        (x0, y0), (x1, y1) = first[person, joint], last[person, joint]
        if x0 >= cells[1] or y0 >= cells[0] or x1 <= 0 or y1 <= 0:
            continue
        x, y = keypoints[person, joint]
        across, down = (np.exp(-(d**2) / (2 * sigma_px**2)) for d in (xs[x0:x1] - x, ys[y0:y1] - y))
        bump = down[:, None] * across
        block = heat[joint, y0:y1, x0:x1]
        np.maximum(block, np.where(bump >= MIN_HEIGHT, bump, 0), out=block)
    return heat


@dataclass(frozen=True, slots=True, eq=False)
class Peaks:
    """Candidates for joints, sorted by joint, then by descending score.

    joint   (M,) which joint
    points  (M, 2) image pixels
    scores  (M,) height of the heatmap there
    """

    joint: NDArray[np.intp]
    points: Floats
    scores: Floats

    def __len__(self) -> int:
        return len(self.joint)


def heatmap_peaks(heat: Floats, grid: Grid, threshold: float, max_peaks: int = 100) -> Peaks:
    """The local maxima of heatmaps (K, h, w) above `threshold`; the highest `max_peaks` of each joint.

    A maximum is no lower than its eight neighbours and higher than those before it in the raster, so that a flat top
    of two cells is one peak. Between cells the position is that of a Gaussian through the logarithms of three cells, on
    each axis: exact for an isolated joint.
    """
    k, h, w = heat.shape
    frame = np.full((k, h + 2, w + 2), -np.inf, np.float32)
    frame[:, 1:-1, 1:-1] = heat
    top = heat > threshold
    for dy, dx in ((0, 0), (0, 1), (0, 2), (1, 0)):
        top &= heat > frame[:, dy : dy + h, dx : dx + w]
    for dy, dx in ((1, 2), (2, 0), (2, 1), (2, 2)):
        top &= heat >= frame[:, dy : dy + h, dx : dx + w]
    joint, row, column = np.nonzero(top)
    scores = heat[joint, row, column]
    order = np.lexsort((-scores, joint))
    rank = np.arange(len(order)) - np.searchsorted(joint[order], joint[order])
    order = order[rank < max_peaks]
    joint, row, column, scores = joint[order], row[order], column[order], scores[order]
    x = column + _subpixel(frame[joint, row + 1, column], scores, frame[joint, row + 1, column + 2])
    y = row + _subpixel(frame[joint, row, column + 1], scores, frame[joint, row + 2, column + 1])
    return Peaks(joint, grid.to_image(np.stack([x, y], axis=1)), scores)


def _subpixel(before: Floats, centre: Floats, after: Floats) -> Floats:
    """Offset in cells of the peak of a Gaussian through three heights from the centre one, in [-0.5, 0.5].

    A neighbour outside the map is as high as the other one.
    """
    before, after = np.where(np.isfinite(before), before, after), np.where(np.isfinite(after), after, before)
    low, peak, high = (np.log(np.maximum(side, MIN_HEIGHT / 10)) for side in (before, centre, after))
    bend = 2 * peak - low - high
    shift = (high - low) / (2 * np.maximum(bend, 1e-6))
    return np.asarray(np.where(bend > 1e-6, np.clip(shift, -0.5, 0.5), 0), np.float32)
