"""From cells assigned to people to masks: confidence of each mask, and its edges between cells.

Letters: M cells, N people, K joints, h x w cells.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.codecs.pixel_assignment import PixelAssignment
from poseg.fields.offsets import sample_bilinear
from poseg.geometry.grid import Grid, pixel_centres
from poseg.geometry.masks import Masks

Floats = NDArray[np.float32]


def upsample_block(values: Floats, grid: Grid, top: int, left: int, height: int, width: int) -> Floats:
    """Values (h, w) of cells, bilinearly between them, for a block of pixels of the network's input.

    Weights are multiples of 1/32 (OpenCV), which is exact for strides up to 32 that are powers of two.
    """
    step = 1 / grid.stride
    left_cell, top_cell = grid.to_cells(pixel_centres([left, top]))
    matrix = np.array([[step, 0, left_cell], [0, step, top_cell]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    block = cv2.warpAffine(values, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(block, np.float32)


def render_masks(assignment: PixelAssignment, threshold: float, exclusive: bool) -> Masks:
    """Masks of people on the network's input.

    A pixel is a person's where the interpolated probability is at least `threshold` and the person's margin,
    interpolated with the probability as weight (offsets of background cells are meaningless), is not negative. When
    `exclusive`, a pixel halfway between two people belongs to the one listed first.
    """
    probability, margins, cells = assignment.probability, assignment.margins, assignment.cells
    grid, (h, w) = assignment.grid, assignment.probability.shape
    height, width = grid.size(h, w)
    free = upsample_block(probability, grid, 0, 0, height, width) >= threshold
    weighted = np.ascontiguousarray((margins * probability.reshape(-1)[cells, None]).T)
    rows, columns = np.divmod(cells, w)
    canvas = np.zeros(h * w, np.float32)  # each person writes the same cells
    bitmaps = []
    for values in weighted:
        own = np.flatnonzero(values > 0)
        if not len(own):
            bitmaps.append((np.zeros((0, 0), np.bool_), 0, 0))
            continue
        row, column = rows[own], columns[own]
        # The sign changes between a cell of the person and its neighbours, so the block extends one cell further.
        top, left = (max(int(first.min()) - 1, 0) * grid.stride for first in (row, column))
        bottom, right = grid.size(min(row.max() + 1, h - 1) + 1, min(column.max() + 1, w - 1) + 1)
        canvas[cells] = values
        block = upsample_block(canvas.reshape(h, w), grid, top, left, bottom - top, right - left) >= 0
        block &= free[top:bottom, left:right]
        if exclusive:
            free[top:bottom, left:right] &= ~block
        bitmaps.append((block, left, top))
    return Masks.from_bitmaps(bitmaps, (height, width))


def mask_scores(assignment: PixelAssignment, keypoints: Floats, keypoint_scores: Floats, threshold: float) -> Floats:
    """Confidence of people's masks from their poses (N, K, 2) and (N, K): (N,) in [0, 1].

    The mean person probability in the mask, squared, times (1 + s) / 2, where s is the fraction of the joints, weighted
    by their scores, that lie on their own mask. A pose without person pixels of its own is most likely no person, and
    joints alone say nothing about the quality of a mask. Joints off the mask count half, since masks often miss thin
    limbs. A mask smaller than a cell has the mean `threshold`, which all its pixels reach.
    """
    n, k = keypoint_scores.shape
    if not n:
        return np.zeros(0, np.float32)
    probability, weight = assignment.probability, assignment.probability.reshape(-1)[assignment.cells]
    own = (assignment.margins > 0) & (weight >= threshold)[:, None]
    count = own.sum(axis=0)
    mean = np.where(count > 0, weight @ own / np.maximum(count, 1), threshold)
    points, person = keypoints.reshape(-1, 2), np.repeat(np.arange(n), k)
    on_mask = sample_bilinear(assignment.margin_maps, person, points, assignment.grid) > 0
    on_mask &= sample_bilinear(probability[None], np.zeros_like(person), points, assignment.grid) >= threshold
    total = np.maximum(keypoint_scores.sum(axis=1), 1e-9)
    inside = (keypoint_scores * on_mask.reshape(n, k)).sum(axis=1) / total
    scores: Floats = (mean**2 * (1 + inside) / 2).astype(np.float32)
    return scores
