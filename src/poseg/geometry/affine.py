"""Affine maps of the plane as 2x3 matrices acting on continuous image coordinates.

A map M takes a point p to M[:, :2] @ p + M[:, 2]. `to_cv2` shifts a map to OpenCV's convention, in which
pixel centres are whole numbers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.geometry.grid import PIXEL_CENTRE, Grid

Matrix = NDArray[np.float64]


def identity() -> Matrix:
    """The map that leaves every point where it is."""
    return np.eye(2, 3)


def similarity(
    scale: float = 1.0,
    rotation_rad: float = 0.0,
    centre: tuple[float, float] = (0.0, 0.0),
    target: tuple[float, float] = (0.0, 0.0),
    flip: bool = False,
) -> Matrix:
    """Flip (left to right), scale and rotate about `centre`, then move `centre` to `target`."""
    c, s = scale * np.cos(rotation_rad), scale * np.sin(rotation_rad)
    linear = np.array([[c, -s], [s, c]]) @ np.diag([-1.0 if flip else 1.0, 1.0])
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


def fit_similarities(sources: ArrayLike, targets: ArrayLike, weights: ArrayLike) -> tuple[Matrix, NDArray[np.bool_]]:
    """Scale, rotation and shift from points to others with the smallest weighted sum of squares, never flipped.

    sources, targets  (..., K, 2)
    weights           (..., K), not negative; a point of weight 0 does not count, whatever its value

    Returns the maps (..., 2, 3) and whether they are defined (...): not where fewer than two points count, or all
    coincide; the map is zero there. With p and q about their means the closed form is

        a = sum(p . q) / sum |p|^2,   b = sum(p x q) / sum |p|^2,   linear part [[a, -b], [b, a]]
    """
    weight = np.asarray(weights, np.float64)[..., None]
    p, q = (np.where(weight > 0, np.asarray(points, np.float64), 0) for points in (sources, targets))
    total = np.maximum(weight.sum(axis=-2, keepdims=True), np.finfo(np.float64).tiny)
    p_mean, q_mean = ((weight * points).sum(axis=-2, keepdims=True) / total for points in (p, q))
    p, q = np.where(weight > 0, p - p_mean, 0), q - q_mean
    variance = (weight * p * p).sum(axis=(-2, -1))
    # Points that coincide differ by rounding alone.
    extent = np.abs(p_mean[..., 0, :]).max(axis=-1) + 1
    defined = variance > total[..., 0, 0] * (1e-6 * extent) ** 2
    safe = np.where(defined, variance, 1)
    a = np.where(defined, (weight * p * q).sum(axis=(-2, -1)) / safe, 0)
    b = np.where(defined, (weight[..., 0] * (p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0])).sum(axis=-1) / safe, 0)
    linear = np.stack([np.stack([a, -b], axis=-1), np.stack([b, a], axis=-1)], axis=-2)
    shift = np.where(defined[..., None], q_mean[..., 0, :], 0) - (linear @ p_mean[..., 0, :, None])[..., 0]
    return np.concatenate([linear, shift[..., None]], axis=-1), defined


def to_cv2(matrix: Matrix) -> Matrix:
    """The same map between pixel indices, as `cv2.warpAffine` expects it (equation (1) of the grid)."""
    half = np.full(2, PIXEL_CENTRE)
    return np.column_stack([matrix[:, :2], matrix[:, :2] @ half + matrix[:, 2] - half])


def cells_to_image(grid: Grid) -> Matrix:
    """From the cells of a grid, as if they were the pixels of an image, to the image below them."""
    shift = grid.origin - PIXEL_CENTRE * grid.stride
    return np.array([[grid.stride, 0, shift], [0, grid.stride, shift]], np.float64)
