"""Boxes around a raster of a mask, on the image that an affine map carries onto it, to a part of a pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.geometry import affine

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

LEVEL = 127  # a pixel belongs to the mask where the interpolated raster is above this, of 255


def straight_box(raster: Bytes, matrix: affine.Matrix, size: tuple[int, int]) -> Floats:
    """(4,) xyxy on an image of `size` around a raster that is scaled and shifted alone, to a part of its pixels."""
    edges = []
    for axis, side in ((0, size[1]), (1, size[0])):
        scale, shift = matrix[axis, axis], matrix[axis, 2]
        ends = sorted((shift, scale * side + shift))
        # Pixels beyond the image do not count, whatever their value.
        first, last = (int(np.clip(round(end), 0, raster.shape[1 - axis])) for end in ends)
        edges.append((first, last, scale, shift))
    (x0, x1, *_), (y0, y1, *_) = edges
    inside = raster[y0:y1, x0:x1]
    if not inside.size or int(inside.max()) <= LEVEL:
        return np.zeros(4, np.float32)
    spans = []
    for axis, (first, last, scale, shift) in enumerate(edges):
        profile = inside.max(axis=axis).astype(np.float64)
        low, high = _crossings(profile)
        # What goes on beyond the image ends at its edge.
        low = -np.inf if first > 0 and profile[0] > LEVEL else low
        high = np.inf if last < raster.shape[1 - axis] and profile[-1] > LEVEL else high
        spans.append(sorted(((low + first - shift) / scale, (high + first - shift) / scale)))
    (left, right), (top, bottom) = spans
    return np.array((left, top, right, bottom), np.float32)


def rotated_box(raster: Bytes, matrix: affine.Matrix, size: tuple[int, int]) -> Floats:
    """(4,) xyxy on an image of `size` around the pixels of a raster whose centres lie on it."""
    row, column = np.nonzero(raster > LEVEL)
    back = affine.invert(matrix)
    centres = affine.apply(back, np.stack([column, row], axis=1) + 0.5)
    inside = ((centres >= 0) & (centres <= size[::-1])).all(axis=1)
    if not inside.any():
        return np.zeros(4, np.float32)
    half = np.abs(back[:, :2]).sum(axis=1) / 2
    return box_around(np.concatenate([centres[inside] - half, centres[inside] + half]))


def _crossings(profile: NDArray[np.float64]) -> tuple[float, float]:
    """Where values between the pixels of a profile first rise above one half, and last fall below it."""
    above = np.flatnonzero(profile > LEVEL)
    framed, level = np.concatenate([[0.0], profile, [0.0]]), LEVEL + 0.5
    first, last = int(above[0]), int(above[-1])  # in `framed` one further
    rise = (level - framed[first]) / (framed[first + 1] - framed[first])
    fall = (framed[last + 1] - level) / (framed[last + 1] - framed[last + 2])
    return first - 0.5 + rise, last + 0.5 + fall


def box_around(points: ArrayLike) -> Floats:
    """(4,) xyxy box around points (M, 2)."""
    array = np.asarray(points, np.float32)
    return np.concatenate([array.min(axis=0), array.max(axis=0)])
