"""IoU of person pixels: all predicted against all annotated masks, whichever person they belong to.

Intersections and unions are summed over all images, so that a large person weighs more than a small one. They are
kept by image, for the bootstrap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseg.errors import ShapeError

Mask = NDArray[np.bool_]


def intersection_and_union(predicted: Mask, truth: Mask, ignore: Mask | None = None) -> tuple[int, int]:
    """Pixels of the intersection and of the union of (H, W) masks, outside `ignore` (H, W), such as crowds."""
    for name, array in (("truth", truth), ("ignore", ignore)):
        if array is not None and array.shape != predicted.shape:
            raise ShapeError(name, expected=predicted.shape, got=array.shape)
    counted = np.ones(predicted.shape, np.bool_) if ignore is None else ~ignore
    return int(np.count_nonzero(predicted & truth & counted)), int(np.count_nonzero((predicted | truth) & counted))


@dataclass(frozen=True, slots=True, eq=False)
class Overlap:
    """Pixels of the intersections and unions of I images: each (I,) int64."""

    intersection: NDArray[np.int64]
    union: NDArray[np.int64]

    @property
    def iou(self) -> float:
        """IoU over all images; NaN where no image has a person, predicted or annotated."""
        return float(self.resampled(np.ones((1, len(self.union)), np.int64))[0])

    def resampled(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """(B,) the IoU where image i is drawn counts[b, i] times; counts (B, I)."""
        if counts.ndim != 2 or counts.shape[1] != len(self.union):
            raise ShapeError("counts", expected=("B", len(self.union)), got=counts.shape)
        intersection, union = counts @ self.intersection, counts @ self.union
        return np.where(union > 0, intersection / np.maximum(union, 1), np.nan)
