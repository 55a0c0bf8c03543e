"""Laying found poses over true ones before they are compared: by the root, by scale, or by a similarity.

Letters: N poses, K joints, D coordinates. `counted` (N, K) says which joints take part; a pose is aligned by itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LEAST_JOINTS = 3  # with fewer, a similarity fits anything

_EPS = float(np.finfo(np.float64).eps)


def similarity_aligned(found: Floats, true: Floats, counted: Bools) -> tuple[Floats, Bools]:
    """Poses (N, K, D) moved, turned (never mirrored) and scaled onto the true ones, and (N,) bool which can be.

        minimise  sum_k |s R x_k + t - y_k|^2,   s >= 0,  det R = 1

    (Umeyama, PAMI 1991; the Procrustes alignment of PA-MPJPE.) A pose with fewer than 3 joints, or whose true joints
    all lie in one place, cannot be aligned: its error would be 0 whatever was found. Found joints in one place are
    scaled to the true pose's middle.
    """
    weights = counted[..., None].astype(np.float64)
    x_middle, y_middle = _middles(found, weights), _middles(true, weights)
    x, y = (found - x_middle) * weights, (true - y_middle) * weights
    u, strengths, vt = np.linalg.svd(np.swapaxes(x, 1, 2) @ y)
    handed = np.where(np.linalg.det(u @ vt) < 0, -1.0, 1.0)
    signs = np.ones_like(strengths)
    signs[:, -1] = handed
    turned = (found - x_middle) @ ((u * signs[:, None, :]) @ vt)
    extent = (x**2).sum(axis=(1, 2))
    scale = np.divide(
        (strengths * signs).sum(axis=1), extent, out=np.zeros(len(found)), where=_is_spread(x, found * weights)
    )
    enough = np.asarray(counted.sum(axis=1) >= LEAST_JOINTS)
    return scale[:, None, None] * turned + y_middle, enough & _is_spread(y, true * weights)


def scale_aligned(found: Floats, true: Floats, counted: Bools) -> Floats:
    """Poses (N, K, D) scaled about the origin onto the true ones: least squares with a scale of 0 or more.

    (Rhodin et al., "Unsupervised Geometry-Aware Representation for 3D Human Pose Estimation", ECCV 2018.)
    """
    weights = counted[..., None].astype(np.float64)
    along, extent = (found * true * weights).sum(axis=(1, 2)), (found**2 * weights).sum(axis=(1, 2))
    scale = np.divide(along, extent, out=np.zeros(len(found)), where=extent > 0)
    return np.asarray(np.maximum(scale, 0)[:, None, None] * found)


def _middles(points: Floats, weights: Floats) -> Floats:
    """(N, 1, D) means of points (N, K, D) with weights (N, K, 1) of 0 and 1."""
    return np.asarray((points * weights).sum(axis=1, keepdims=True) / np.maximum(weights.sum(axis=1, keepdims=True), 1))


def _is_spread(centred: Floats, points: Floats) -> Bools:
    """(N,): whether points (N, K, D) differ by more than rounding; `centred` are the same about their middle."""
    return np.asarray((centred**2).sum(axis=(1, 2)) > _EPS * (points**2).sum(axis=(1, 2)))
