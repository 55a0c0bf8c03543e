"""Sliding windows over a crop: which of them contain a joint or a body part (Li, Liu and Chan, CVPRW 2014).

Window (r, c) covers c stride <= x < c stride + size, and y alike, in the crop's continuous pixels: half-open, so a
joint on the border of two windows that only touch is in one of them. Letters: N people, K joints, P parts, r x c
windows in rows and columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.errors import FieldError

Floats = NDArray[np.float32]

MIN_PART_FRACTION = 0.3  # of a part's length lies in a window that contains it


@dataclass(frozen=True, slots=True)
class SlidingWindows:
    """r x c square windows over a crop.

    crop_size_px  height and width of the crop
    size_px       side of a window
    stride_px     from one window to the next
    """

    crop_size_px: tuple[int, int] = (112, 112)
    size_px: int = 30
    stride_px: int = 12

    def __post_init__(self) -> None:
        if not (0 < self.stride_px <= self.size_px <= min(self.crop_size_px)):
            raise FieldError(
                f"Windows of {self.size_px} px, {self.stride_px} px apart, do not cover a crop of "
                f"{self.crop_size_px[0]} x {self.crop_size_px[1]} px; "
                "give 0 < stride <= size <= crop."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns: enough to cover every pixel; the last may reach beyond the crop."""
        rows, columns = (-(-(side - self.size_px) // self.stride_px) + 1 for side in self.crop_size_px)
        return rows, columns

    @property
    def starts_px(self) -> tuple[Floats, Floats]:
        """(r,) first pixel of each row of windows, and (c,) of each column."""
        rows, columns = (np.arange(n, dtype=np.float32) * self.stride_px for n in self.shape)
        return rows, columns

    def contains_joint(self, points: ArrayLike) -> Floats:
        """(..., r, c) 1 where a window contains a point (..., 2), rows before columns; none contains NaN."""
        x, y = np.moveaxis(np.asarray(points, np.float32)[..., None], -2, 0)  # (..., 1)
        rows, columns = ((low <= v) & (v < low + self.size_px) for low, v in zip(self.starts_px, (y, x), strict=True))
        return np.asarray(rows[..., :, None] & columns[..., None, :], np.float32)

    def nearest(self, points: ArrayLike) -> Floats:
        """(..., r, c) 1 in the window whose centre is nearest to a point (..., 2), of those that contain the point."""
        points = np.asarray(points, np.float32)
        # Ties go to the first window. Where windows touch, both centres are as near, but one of them holds the point.
        y, x = (
            np.where((low <= v) & (v < low + self.size_px), np.abs(v - low - self.size_px / 2), np.inf)
            for low, v in zip(self.starts_px, (points[..., 1, None], points[..., 0, None]), strict=True)
        )
        inside = np.asarray(self.contains_joint(points).any(axis=(-2, -1)))
        rows, columns = (
            np.eye(v.shape[-1], dtype=np.float32)[np.where(inside, np.nan_to_num(v, nan=np.inf).argmin(axis=-1), 0)]
            for v in (y, x)
        )
        return np.asarray(rows[..., :, None] * columns[..., None, :] * inside[..., None, None], np.float32)

    def contains_part(self, starts: ArrayLike, ends: ArrayLike, min_fraction: float = MIN_PART_FRACTION) -> Floats:
        """(..., r, c) 1 where more than `min_fraction` of the line from starts to ends (..., 2) lies in a window.

        No window contains a part with an end that is NaN. A part of length zero is where its joints are.
        """
        a, b = np.asarray(starts, np.float64), np.asarray(ends, np.float64)
        rows, columns = (
            self._inside(low.astype(np.float64), a[..., axis], b[..., axis])
            for low, axis in zip(self.starts_px, (1, 0), strict=True)
        )
        enter = np.maximum(rows[..., :, None, 0], columns[..., None, :, 0])
        leave = np.minimum(rows[..., :, None, 1], columns[..., None, :, 1])
        finite = np.asarray(np.isfinite(a).all(axis=-1) & np.isfinite(b).all(axis=-1))
        point = np.asarray(finite & (a == b).all(axis=-1))
        held = (leave - enter > min_fraction) & (finite & ~point)[..., None, None]
        return np.where(point[..., None, None], self.contains_joint(a), held).astype(np.float32)

    def _inside(self, low: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., m, 2) first and last fraction of the line from a to b (...) in windows from `low` (m,), on one axis."""
        along = (b - a)[..., None]
        still = along == 0
        with np.errstate(divide="ignore", invalid="ignore"):
            first, last = (low - a[..., None]) / along, (low + self.size_px - a[..., None]) / along
        held = (low <= a[..., None]) & (a[..., None] < low + self.size_px)
        enter = np.where(still, np.where(held, 0.0, np.inf), np.minimum(first, last))
        leave = np.where(still, np.where(held, 1.0, -np.inf), np.maximum(first, last))
        return np.stack([np.clip(enter, 0, 1), np.clip(leave, 0, 1)], axis=-1)
