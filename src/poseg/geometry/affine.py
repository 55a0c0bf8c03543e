"""Affine maps of the plane as 2x3 matrices acting on continuous image coordinates.

A map M takes a point p to M[:, :2] @ p + M[:, 2]. `for_cv2` shifts a map to OpenCV's convention, in which
pixel centres are whole numbers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.geometry.grid import PIXEL_CENTRE

Matrix = NDArray[np.float64]


def identity() -> Matrix:
    """The map that leaves every point where it is."""
    return np.eye(2, 3)


def similarity(
    scale: float = 1.0,
    rotation_rad: float = 0.0,
    centre: tuple[float, float] = (0.0, 0.0),
    target: tuple[float, float] = (0.0, 0.0),
    mirror: bool = False,
) -> Matrix:
    """Mirror (left to right), scale and turn about `centre`, then carry `centre` to `target`."""
    c, s = scale * np.cos(rotation_rad), scale * np.sin(rotation_rad)
    linear = np.array([[c, -s], [s, c]]) @ np.diag([-1.0 if mirror else 1.0, 1.0])
    return np.column_stack([linear, np.asarray(target) - linear @ np.asarray(centre)])


def compose(second: Matrix, first: Matrix) -> Matrix:
    """The map that applies `first`, then `second`."""
    return np.column_stack([second[:, :2] @ first[:, :2], second[:, :2] @ first[:, 2] + second[:, 2]])


def invert(matrix: Matrix) -> Matrix:
    """The map that undoes `matrix`; raises `numpy.linalg.LinAlgError` where there is none."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def apply(matrix: Matrix, points: ArrayLike) -> NDArray[np.float32]:
    """Map points (..., 2), x before y."""
    moved = np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]
    return moved.astype(np.float32)


def for_cv2(matrix: Matrix) -> Matrix:
    """The same map between pixel numbers, as `cv2.warpAffine` wants it (equation (1) of the grid)."""
    half = np.full(2, PIXEL_CENTRE)
    return np.column_stack([matrix[:, :2], matrix[:, :2] @ half + matrix[:, 2] - half])
