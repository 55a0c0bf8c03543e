"""How alike people are: OKS between poses, IoU between boxes and masks, and matching by it.

Letters: N people against M others, K joints. A matrix (N, M) has the similarity of person n and other m, in [0, 1].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.errors import ShapeError
from poseg.geometry.boxes import areas
from poseg.geometry.rle import iou_matrix as mask_iou_matrix

__all__ = ["box_iou_matrix", "greedy_match", "mask_iou_matrix", "oks_matrix"]

Floats = NDArray[np.float32]

_LEAST_AREA = np.spacing(1.0)  # an area of zero must not divide


def oks_matrix(
    keypoints: ArrayLike,
    others: ArrayLike,
    *,
    areas_px: ArrayLike,
    sigmas: ArrayLike,
    visible: ArrayLike | None = None,
) -> Floats:
    """(N, M) object keypoint similarity as COCO defines it.

        oks(n, m) = mean over joints i that m shows of  exp(-d_i^2 / (2 area_m kappa_i^2)),   kappa_i = 2 sigma_i

    keypoints  (N, K, 2)
    others     (M, K, 2), the people that set the scale: the truth, or the surer ones in a suppression
    areas_px   (M,) square pixels: area of the others' masks, or of their boxes where there are none
    sigmas     (K,) spread of human annotators (`Skeleton.sigmas`)
    visible    (M, K) bool, the joints that count; all where None. A row without any gives 0.
    """
    points, anchors = np.asarray(keypoints, np.float64), np.asarray(others, np.float64)
    scale, spread = np.asarray(areas_px, np.float64), np.asarray(sigmas, np.float64)
    for name, array, wanted in (
        ("keypoints", points, (len(points), len(spread), 2)),
        ("others", anchors, (len(anchors), len(spread), 2)),
        ("areas_px", scale, (len(anchors),)),
    ):
        if array.shape != wanted:
            raise ShapeError(name, wanted=wanted, got=array.shape)
    counts = np.ones(anchors.shape[:2], np.bool_) if visible is None else np.asarray(visible, np.bool_)
    if counts.shape != anchors.shape[:2]:
        raise ShapeError("visible", wanted=anchors.shape[:2], got=counts.shape)
    squared = ((points[:, None] - anchors[None]) ** 2).sum(axis=-1)
    near = np.exp(-squared / (2 * (scale[:, None] + _LEAST_AREA) * (2 * spread) ** 2))
    oks = (near * counts).sum(axis=-1) / np.maximum(counts.sum(axis=-1), 1)
    return np.asarray(oks, np.float32)


def box_iou_matrix(boxes_xyxy: ArrayLike, others_xyxy: ArrayLike) -> Floats:
    """(N, M) intersection over union of (N, 4) and (M, 4) boxes; 0 where both are empty."""
    boxes, others = (np.asarray(array, np.float32).reshape(-1, 4) for array in (boxes_xyxy, others_xyxy))
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=-1)
    union = areas(boxes)[:, None] + areas(others)[None] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0), np.float32)


def greedy_match(similarity: ArrayLike, threshold: float) -> NDArray[np.intp]:
    """(N,) the other that each person is matched with, -1 for none.

    similarity (N, M). Rows choose in their order (put the surest first), each its most similar column among those
    still free, and only from `threshold` up: the rule of COCO's evaluator. No column is given twice.
    """
    free = np.array(similarity, np.float64)
    if free.ndim != 2:
        raise ShapeError("similarity", wanted=("N", "M"), got=free.shape)
    matched = np.full(len(free), -1, np.intp)
    if free.shape[1] == 0:
        return matched
    for row in range(len(free)):
        best = int(free[row].argmax())
        if free[row, best] >= threshold:
            matched[row] = best
            free[:, best] = -np.inf
    return matched
