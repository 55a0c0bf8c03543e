"""Anti-aliased ink: how much of each pixel a shape covers, and laying a colour on what is covered.

Coverage is (H, W) float32 in [0, 1]; points are continuous image pixels, x before y. A pixel is covered by
radius + 1/2 - (distance of its centre from the shape's axis), cut to [0, 1]: edges one pixel soft at any width.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.geometry.grid import pixel_centres

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Window = tuple[slice, slice]

_FAR_PX = 30_000.0  # a joint farther out than this is a fault; the limb keeps roughly its direction
_PIECE_PX = 48.0  # long limbs are inked in pieces, so that the pixels looked at stay close to the limb


def window(low: ArrayLike, high: ArrayLike, shape: tuple[int, ...]) -> Window | None:
    """The pixels between two corners, cut to a picture of `shape`; None where there are none."""
    height, width = shape[:2]
    x0, y0 = np.floor(np.clip(np.asarray(low, np.float64), 0, (width, height))).astype(int)
    x1, y1 = np.ceil(np.clip(np.asarray(high, np.float64), 0, (width, height))).astype(int)
    return (slice(y0, y1), slice(x0, x1)) if x1 > x0 and y1 > y0 else None


def ink_line(coverage: Floats, start: ArrayLike, end: ArrayLike, radius_px: float, offset: tuple[int, int]) -> None:
    """Ink a line with round ends into `coverage` (written), whose first pixel is number `offset` (x, y)."""
    origin = np.asarray(offset, np.float64)
    a = np.clip(np.asarray(start, np.float64), -_FAR_PX, _FAR_PX) - origin
    b = np.clip(np.asarray(end, np.float64), -_FAR_PX, _FAR_PX) - origin
    length = float(np.hypot(*(b - a)))
    pieces = max(1, int(np.ceil(length / max(_PIECE_PX, 4 * radius_px))))
    stops = a + (b - a) * np.linspace(0, 1, pieces + 1)[:, None]
    for first, last in pairwise(stops):
        place = window(np.minimum(first, last) - radius_px - 1, np.maximum(first, last) + radius_px + 1, coverage.shape)
        if place is not None:
            covered = np.clip(radius_px + 0.5 - _distance(place, first, last), 0, 1)
            np.maximum(coverage[place], covered, out=coverage[place])


def ink_disk(coverage: Floats, centre: ArrayLike, radius_px: float, offset: tuple[int, int]) -> None:
    """Ink a disk into `coverage` (written), whose first pixel is number `offset` (x, y)."""
    ink_line(coverage, centre, centre, radius_px, offset)


def lay(image: Bytes, coverage: Floats, colour: ArrayLike, opacity: float = 1.0) -> None:
    """Lay a colour on what is covered, in place; pixels with coverage 0 keep their bytes."""
    rows, columns = np.nonzero(coverage)
    share = coverage[rows, columns, None] * np.float32(opacity)
    under = image[rows, columns].astype(np.float32)
    image[rows, columns] = np.rint(under + (np.asarray(colour, np.float32) - under) * share).astype(np.uint8)


def _distance(place: Window, a: NDArray[np.float64], b: NDArray[np.float64]) -> Floats:
    """Distance of the window's pixel centres from the segment a-b."""
    rows, columns = place
    y = pixel_centres(np.arange(rows.start, rows.stop))[:, None] - np.float32(a[1])
    x = pixel_centres(np.arange(columns.start, columns.stop))[None, :] - np.float32(a[0])
    dx, dy = np.float32(b[0] - a[0]), np.float32(b[1] - a[1])
    squared = max(float(dx * dx + dy * dy), 1e-12)
    along = np.clip((x * dx + y * dy) / np.float32(squared), 0, 1)
    distance: Floats = np.hypot(x - along * dx, y - along * dy)
    return distance
