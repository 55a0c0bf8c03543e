"""Sliding windows over a crop: which of them hold a joint, which a part of the body (Li, Liu and Chan, CVPRW 2014).

Window (r, c) covers c stride <= x < c stride + size, and y alike, in the crop's continuous pixels: half-open, so a
joint on the border of two windows that only touch is in one of them. Letters: N people, K joints, P parts, m windows
along a side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.errors import FieldError

Floats = NDArray[np.float32]

PART_SHARE = 0.3  # of a part's length lies in a window that holds it


@dataclass(frozen=True, slots=True)
class SlidingWindows:
    """m x m square windows over a square crop.

    crop_px    side of the crop
    size_px    side of a window
    stride_px  from one window to the next
    """

    crop_px: int = 112
    size_px: int = 30
    stride_px: int = 12

    def __post_init__(self) -> None:
        if not (0 < self.stride_px <= self.size_px <= self.crop_px):
            raise FieldError(
                f"Windows of {self.size_px} px, {self.stride_px} px apart, do not cover a crop of {self.crop_px} px; "
                "give 0 < stride <= size <= crop."
            )

    @property
    def across(self) -> int:
        """m: as many as cover every pixel; the last may hang over."""
        return -(-(self.crop_px - self.size_px) // self.stride_px) + 1

    @property
    def starts_px(self) -> Floats:
        """(m,) first pixel of each window along a side."""
        return np.arange(self.across, dtype=np.float32) * self.stride_px

    def holding_joints(self, points: ArrayLike) -> Floats:
        """(..., m, m) 1 where a window holds a point (..., 2), rows before columns; none holds one that is NaN."""
        x, y = np.moveaxis(np.asarray(points, np.float32)[..., None], -2, 0)  # (..., 1)
        low, high = self.starts_px, self.starts_px + self.size_px
        columns, rows = ((low <= v) & (v < high) for v in (x, y))
        return np.asarray(rows[..., :, None] & columns[..., None, :], np.float32)

    def nearest(self, points: ArrayLike) -> Floats:
        """(..., m, m) 1 in the one window whose middle is nearest to a point (..., 2) that some window holds."""
        points = np.asarray(points, np.float32)
        middles = self.starts_px + self.size_px / 2
        # A point as far from two middles is the first one's.
        x, y = (np.abs(points[..., axis, None] - middles) for axis in (0, 1))
        held = np.asarray(self.holding_joints(points).any(axis=(-2, -1)))
        one = np.eye(self.across, dtype=np.float32)
        columns, rows = (one[np.where(held, np.nan_to_num(v, nan=np.inf).argmin(axis=-1), 0)] for v in (x, y))
        return np.asarray(rows[..., :, None] * columns[..., None, :] * held[..., None, None], np.float32)

    def holding_parts(self, starts: ArrayLike, ends: ArrayLike, share: float = PART_SHARE) -> Floats:
        """(..., m, m) 1 where more than `share` of the way from starts to ends (..., 2) lies in a window.

        A part with an end that is NaN is in no window. One without length is where its joints are.
        """
        a, b = np.asarray(starts, np.float64), np.asarray(ends, np.float64)
        columns, rows = (self._inside(a[..., axis], b[..., axis]) for axis in (0, 1))
        enter = np.maximum(rows[..., :, None, 0], columns[..., None, :, 0])
        leave = np.minimum(rows[..., :, None, 1], columns[..., None, :, 1])
        known = np.asarray(np.isfinite(a).all(axis=-1) & np.isfinite(b).all(axis=-1))
        point = np.asarray(known & (a == b).all(axis=-1))
        held = (leave - enter > share) & (known & ~point)[..., None, None]
        return np.where(point[..., None, None], self.holding_joints(a), held).astype(np.float32)

    def _inside(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., m, 2) between which shares of the way from a to b (...) a window covers, along one axis."""
        low = self.starts_px.astype(np.float64)
        along = (b - a)[..., None]
        still = along == 0
        with np.errstate(divide="ignore", invalid="ignore"):
            first, last = (low - a[..., None]) / along, (low + self.size_px - a[..., None]) / along
        held = (low <= a[..., None]) & (a[..., None] < low + self.size_px)
        enter = np.where(still, np.where(held, 0.0, np.inf), np.minimum(first, last))
        leave = np.where(still, np.where(held, 1.0, -np.inf), np.maximum(first, last))
        return np.stack([np.clip(enter, 0, 1), np.clip(leave, 0, 1)], axis=-1)
