"""Anti-aliased lines, disks and text as coverage of pixels, and blending of colours by coverage.

Coverage is (H, W) float32 in [0, 1]; points are continuous image pixels, x before y. A line or disk covers a pixel by
radius + 1/2 - (distance of its centre from the axis), clipped to [0, 1]: edges one pixel soft at any width.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from poseg.geometry.grid import pixel_centres

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Slices = tuple[slice, slice]

_MAX_COORDINATE_PX = 30_000.0  # joints farther out are errors; the limb keeps roughly its direction
_PIECE_PX = 48.0  # long lines are drawn in pieces, so that few pixels besides those of the line are computed


def clipped_slices(low: ArrayLike, high: ArrayLike, shape: tuple[int, ...]) -> Slices | None:
    """The pixels between two corners, clipped to an image of `shape`; None if there are none."""
    height, width = shape[:2]
    x0, y0 = np.floor(np.clip(np.asarray(low, np.float64), 0, (width, height))).astype(int)
    x1, y1 = np.ceil(np.clip(np.asarray(high, np.float64), 0, (width, height))).astype(int)
    return (slice(y0, y1), slice(x0, x1)) if x1 > x0 and y1 > y0 else None


def draw_line(
    coverage: Floats, start: ArrayLike, end: ArrayLike, radius_px: float, offset: tuple[int, int] = (0, 0)
) -> None:
    """Draw a line with round ends into `coverage`, in place; its first pixel is pixel `offset` (x, y) of the image."""
    origin = np.asarray(offset, np.float64)
    a = np.clip(np.asarray(start, np.float64), -_MAX_COORDINATE_PX, _MAX_COORDINATE_PX) - origin
    b = np.clip(np.asarray(end, np.float64), -_MAX_COORDINATE_PX, _MAX_COORDINATE_PX) - origin
    length = float(np.hypot(*(b - a)))
    pieces = max(1, int(np.ceil(length / max(_PIECE_PX, 4 * radius_px))))
    stops = a + (b - a) * np.linspace(0, 1, pieces + 1)[:, None]
    reach = radius_px + 1
    for first, last in pairwise(stops):
        part = clipped_slices(np.minimum(first, last) - reach, np.maximum(first, last) + reach, coverage.shape)
        if part is not None:
            covered = np.clip(radius_px + 0.5 - _distance(part, first, last), 0, 1)
            np.maximum(coverage[part], covered, out=coverage[part])


def draw_disk(coverage: Floats, centre: ArrayLike, radius_px: float, offset: tuple[int, int] = (0, 0)) -> None:
    """Draw a disk into `coverage`, in place; its first pixel is pixel `offset` (x, y) of the image."""
    draw_line(coverage, centre, centre, radius_px, offset)


def blend(image: Bytes, coverage: Floats, colour: ArrayLike, opacity: float = 1.0) -> None:
    """Blend a colour into the covered pixels, in place; pixels with coverage 0 keep their bytes."""
    rows, columns = np.nonzero(coverage)
    alpha = coverage[rows, columns, None] * np.float32(opacity)
    under = image[rows, columns].astype(np.float32)
    image[rows, columns] = np.rint(under + (np.asarray(colour, np.float32) - under) * alpha).astype(np.uint8)


@lru_cache(maxsize=512)
def text_coverage(text: str, size_px: float) -> Floats:
    """One line of text in Pillow's font, (h, w) float32 in [0, 1], read-only; h depends on `size_px` alone."""
    font = _font(size_px)
    left, _, right, _ = font.getbbox(text)
    _, top, _, bottom = font.getbbox("Hgjpq|#")
    size = max(int(np.ceil(right - left)), 1), max(int(np.ceil(bottom - top)), 1)
    canvas = Image.new("L", size, 0)
    ImageDraw.Draw(canvas).text((-left, -top), text, fill=255, font=font)
    coverage = np.asarray(canvas, np.float32) / np.float32(255)
    coverage.flags.writeable = False
    return coverage


@lru_cache(maxsize=32)
def _font(size_px: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size_px)


def _distance(part: Slices, a: NDArray[np.float64], b: NDArray[np.float64]) -> Floats:
    """Distance of the part's pixel centres from the segment a-b."""
    rows, columns = part
    y = pixel_centres(np.arange(rows.start, rows.stop))[:, None] - np.float32(a[1])
    x = pixel_centres(np.arange(columns.start, columns.stop))[None, :] - np.float32(a[0])
    dx, dy = np.float32(b[0] - a[0]), np.float32(b[1] - a[1])
    squared = max(float(dx * dx + dy * dy), 1e-12)
    along = np.clip((x * dx + y * dy) / np.float32(squared), 0, 1)
    distance: Floats = np.hypot(x - along * dx, y - along * dy)
    return distance
