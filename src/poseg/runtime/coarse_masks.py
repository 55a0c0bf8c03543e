"""Masks on a coarse grid of cells: enough to tell who overlaps whom, at a thousandth of the work."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

LONG_SIDE_CELLS = 128


def coarse(masks: NDArray[np.bool_] | None) -> Floats | None:
    """(N, h, w) float32: what every so-manieth pixel of (N, H, W) masks says; the long side has about 128 cells."""
    if masks is None:
        return None
    step = max(1, -(-max(masks.shape[1:]) // LONG_SIDE_CELLS))
    return np.asarray(masks[:, step // 2 :: step, step // 2 :: step], np.float32)


def moved(masks: Floats, shifts_cells: Floats) -> Floats:
    """Each of (N, h, w) masks moved by its (N, 2) shift, x before y; what comes in from outside is 0."""
    result = np.zeros_like(masks)
    height, width = masks.shape[1:]
    for mask, target, (x, y) in zip(masks, result, shifts_cells.tolist(), strict=True):
        cv2.warpAffine(mask, np.array([[1, 0, x], [0, 1, y]]), (width, height), dst=target)
    return result


def soft_iou_matrix(masks: Floats, others: Floats) -> Floats:
    """(N, M) intersection over union of soft masks (N, h, w) and (M, h, w), products for shares; 0 for two empty."""
    cells = masks.shape[1] * masks.shape[2]
    a, b = masks.reshape(len(masks), cells), others.reshape(len(others), cells)
    shared = a @ b.T
    union = a.sum(axis=1)[:, None] + b.sum(axis=1)[None] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0), np.float32)
