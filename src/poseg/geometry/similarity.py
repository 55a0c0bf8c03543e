"""Similarity of people: OKS between poses, IoU between boxes, and matching by it (`Masks.iou` compares masks).

Letters: N people against M others, K joints. A matrix (N, M) has the similarity of person n and other m, in [0, 1].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.errors import ShapeError
from poseg.geometry.boxes import areas

Floats = NDArray[np.float32]

_EPSILON = 1e-9  # no weight at all must not divide


def oks_matrix(
    keypoints: ArrayLike,
    others: ArrayLike,
    *,
    areas_px: ArrayLike,
    sigmas: ArrayLike,
    weights: ArrayLike | None = None,
) -> Floats:
    """(N, M) object keypoint similarity as COCO defines it.

        oks(n, m) = mean over joints i, weighted by w_i, of  exp(-d_i^2 / (2 area_m kappa_i^2)),   kappa_i = 2 sigma_i

    keypoints  (N, K, 2)
    others     (M, K, 2), the people that set the scale: ground truth, or the higher scores in a suppression
    areas_px   (M,) square pixels: area of the others' masks, or of their boxes where they have no masks; or (N, M)
    sigmas     (K,) of the annotators (`Skeleton.oks_sigmas`)
    weights    (M, K) bool or float of the others' joints, such as which are annotated, or (N, M, K) of pairs;
               all 1 where None. A row of zeros gives 0.
    """
    points, anchors = np.asarray(keypoints, np.float64), np.asarray(others, np.float64)
    area, kappas = np.asarray(areas_px, np.float64), 2 * np.asarray(sigmas, np.float64)
    n, m, k = len(points), len(anchors), len(kappas)
    weight = np.ones((m, k)) if weights is None else np.asarray(weights, np.float64)
    for name, array, expected in (
        ("keypoints", points, [(n, k, 2)]),
        ("others", anchors, [(m, k, 2)]),
        ("areas_px", area, [(m,), (n, m)]),
        ("weights", weight, [(m, k), (n, m, k)]),
    ):
        if array.shape not in expected:
            raise ShapeError(name, expected=" or ".join(map(str, expected)), got=array.shape)
    dx, dy = (points[:, None, :, axis] - anchors[:, :, axis] for axis in (0, 1))
    near = np.add(np.square(dx, out=dx), np.square(dy, out=dy), out=dx)
    near *= -0.5 / kappas**2
    near /= (area + np.spacing(1.0))[..., None]  # an area of zero must not divide
    oks = np.einsum("nmk,nmk->nm", np.exp(near, out=near), np.broadcast_to(weight, near.shape))
    return np.asarray(oks / np.maximum(weight.sum(axis=-1), _EPSILON), np.float32)


def box_iou_matrix(boxes_xyxy: ArrayLike, others_xyxy: ArrayLike) -> Floats:
    """(N, M) intersection over union of (N, 4) and (M, 4) boxes; 0 where both are empty."""
    boxes, others = (np.asarray(array, np.float32).reshape(-1, 4) for array in (boxes_xyxy, others_xyxy))
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    intersection = np.prod(np.clip(high - low, 0, None), axis=-1)
    union = areas(boxes)[:, None] + areas(others)[None] - intersection
    iou = np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)
    return np.asarray(iou, np.float32)


def greedy_match(similarity: ArrayLike, threshold: float) -> NDArray[np.intp]:
    """(N,) the other that each person is matched with, -1 for none.

    similarity (N, M). Rows choose in their order (put the highest score first), each its most similar column among
    those still free, and only from `threshold` up: the rule of COCO's evaluator. No column is assigned twice.
    """
    free = np.array(similarity, np.float64)
    if free.ndim != 2:
        raise ShapeError("similarity", expected=("N", "M"), got=free.shape)
    matched = np.full(len(free), -1, np.intp)
    if free.shape[1] == 0:
        return matched
    for row in range(len(free)):
        best = int(free[row].argmax())
        if free[row, best] >= threshold:
            matched[row] = best
            free[:, best] = -np.inf
    return matched
