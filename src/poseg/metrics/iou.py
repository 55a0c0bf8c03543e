"""Person IoU: do we know which pixels are people, whoever they are.

Intersection and union are those of everything found and everything annotated, summed over all pictures, so that a
large person weighs more than a small one. They are kept by picture, for the bootstrap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseg.errors import ShapeError

Mask = NDArray[np.bool_]


def person_pixels(masks: Mask | None, size: tuple[int, int]) -> Mask:
    """(H, W) union of masks (N, H, W); nothing where there are none. `size` is (height, width)."""
    if masks is None or len(masks) == 0:
        return np.zeros(size, np.bool_)
    if masks.shape[1:] != size:
        raise ShapeError("masks", expected=("N", *size), got=masks.shape)
    return np.asarray(masks.any(axis=0), np.bool_)


def shared_and_joint(found: Mask, true: Mask, ignore: Mask | None = None) -> tuple[int, int]:
    """Pixels in both and pixels in either of (H, W) masks, outside `ignore` (H, W): crowds, where nobody knows."""
    for name, array in (("true", true), ("ignore", ignore)):
        if array is not None and array.shape != found.shape:
            raise ShapeError(name, expected=found.shape, got=array.shape)
    known = np.ones(found.shape, np.bool_) if ignore is None else ~ignore
    return int(np.count_nonzero(found & true & known)), int(np.count_nonzero((found | true) & known))


@dataclass(frozen=True, slots=True, eq=False)
class Overlap:
    """Pixels shared and joint of I pictures: each (I,) int64."""

    shared: NDArray[np.int64]
    joint: NDArray[np.int64]

    @property
    def iou(self) -> float:
        """Shared over joint pixels of all pictures; NaN where no picture has a person, found or true."""
        return float(self.resampled(np.ones((1, len(self.shared)), np.int64))[0])

    def resampled(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """(B,) the same where picture i is drawn counts[b, i] times; counts (B, I)."""
        if counts.ndim != 2 or counts.shape[1] != len(self.shared):
            raise ShapeError("counts", expected=("B", len(self.shared)), got=counts.shape)
        shared, joint = counts @ self.shared, counts @ self.joint
        return np.where(joint > 0, shared / np.maximum(joint, 1), np.nan)
