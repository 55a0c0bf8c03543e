"""Axis-aligned boxes, (N, 4) float32. `xyxy` in memory, `xywh` in COCO files; continuous image pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Boxes = NDArray[np.float32]
CropXYXY = tuple[int, int, int, int]  # a part of an image, in whole pixels


def xywh_to_xyxy(boxes_xywh: ArrayLike) -> Boxes:
    """Corner form of (N, 4) boxes given by corner and size."""
    boxes = np.asarray(boxes_xywh, np.float32).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def xyxy_to_xywh(boxes_xyxy: ArrayLike) -> Boxes:
    """Corner-and-size form of (N, 4) boxes given by two corners."""
    boxes = np.asarray(boxes_xyxy, np.float32).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def boxes_from_points(points: ArrayLike, valid: ArrayLike) -> Boxes:
    """Tight boxes around the valid points of each row; all zero where a row has none.

    points (N, K, 2), valid (N, K) bool; returns (N, 4) xyxy.
    """
    xy = np.asarray(points, np.float32)
    keep = np.asarray(valid, bool)[..., None]
    if xy.shape[1] == 0:
        return np.zeros((len(xy), 4), np.float32)
    low = np.where(keep, xy, np.inf).min(axis=1)
    high = np.where(keep, xy, -np.inf).max(axis=1)
    boxes = np.concatenate([low, high], axis=1)
    return np.where(np.isfinite(boxes), boxes, 0).astype(np.float32)


def areas(boxes_xyxy: ArrayLike) -> NDArray[np.float32]:
    """Areas in square pixels, (N,); never negative."""
    boxes = np.asarray(boxes_xyxy, np.float32).reshape(-1, 4)
    sides: Boxes = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None)
    return np.asarray(sides.prod(axis=1), np.float32)
