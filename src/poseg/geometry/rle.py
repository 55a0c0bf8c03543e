"""COCO segmentations to boolean masks and back, and tight boxes of boolean masks.

A COCO segmentation is a list of polygons as flat lists x0, y0, x1, y1, ... in continuous pixels, or run lengths
{"size": [height, width], "counts": ...} down the columns, as numbers or as compressed text. pycocotools does the
work; that counts fill the image and polygons are near it is checked here, since it returns uninitialised memory
otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco  # type: ignore[import-untyped]

from poseg.errors import AnnotationError, ShapeError

Mask = NDArray[np.bool_]
Rle = dict[str, Any]

MAX_COORDINATE_PX = 1e6  # a polygon is traced edge by edge: a stray 1e12 would allocate terabytes
_MAX_PX = 2**31  # the same for invalid sizes
_MAX_PERIMETER_PX = 4e6
MIN_POLYGON = 6  # coordinates, of three points


def encode_rle(mask: Mask) -> Rle:
    """Compressed run lengths of a (H, W) bool mask, counts as ASCII text, ready for JSON."""
    if mask.ndim != 2:
        raise ShapeError("mask", expected=("height", "width"), got=mask.shape)
    runs = coco.encode(np.asfortranarray(mask, np.uint8))
    return {"size": [int(side) for side in runs["size"]], "counts": runs["counts"].decode("ascii")}


def decode_rle(rle: Mapping[str, Any]) -> Mask:
    """(H, W) bool mask of run lengths, compressed or not. Raises AnnotationError where they do not fill the size."""
    try:
        height, width = (_whole(side) for side in rle["size"])
        counts = rle["counts"]
        if isinstance(counts, (str, bytes)):
            packed = counts.encode("ascii") if isinstance(counts, str) else counts
            lengths = _run_lengths(packed)
        else:
            lengths = np.array([_whole(count) for count in counts], np.int64)
    except (KeyError, TypeError, ValueError, OverflowError) as fault:
        raise AnnotationError(
            f"Run lengths need a size of two numbers and counts, as numbers or as COCO's text ({fault!r})."
        ) from None
    pixels = height * width if height > 0 and width > 0 else 0
    fits = 0 < pixels <= _MAX_PX and bool(((lengths >= 0) & (lengths <= pixels)).all())
    if not fits or lengths.sum() != pixels:
        raise AnnotationError(
            f"Run lengths cover {int(lengths.sum())} pixels, but their size is {height} x {width}; write them again."
        )
    values = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return np.ascontiguousarray(values.reshape(width, height).T)


def parse_segmentation(segmentation: object) -> list[list[float]] | Rle | None:
    """A segmentation of a COCO file as pycocotools takes it: polygons, or compressed run lengths.

    This is the one place that knows what a segmentation covers. What has no area covers nothing: polygons of fewer
    than three points are left out, and where none is left it is None, as a segmentation that is absent or empty.
    Raises AnnotationError for anything that is neither of both forms, for polygons that are not flat lists of an even
    number of coordinates near an image, and for run lengths that do not fill their size.
    """
    if isinstance(segmentation, Mapping):
        return encode_rle(decode_rle(segmentation)) if segmentation else None
    if segmentation is None:
        return None
    if isinstance(segmentation, (str, bytes)) or not isinstance(segmentation, Sequence):
        raise AnnotationError(
            "A segmentation is a list of polygons, or run lengths with size and counts, "
            f"got {type(segmentation).__name__}."
        )
    rings = [parse_polygon(polygon) for polygon in segmentation]
    return [ring for ring in rings if len(ring) >= MIN_POLYGON] or None


def parse_polygon(polygon: object) -> list[float]:
    """A polygon of a segmentation as floats, which pycocotools takes for a polygon whatever their number.

    Raises AnnotationError for an odd number of coordinates, and for any that is not finite or far outside an image.
    """
    try:
        ring = np.array(polygon, np.float64)
    except (TypeError, ValueError, OverflowError):
        ring = np.zeros((0, 0))
    if ring.ndim != 1 or len(ring) % 2:
        raise AnnotationError("A polygon is a flat list x0, y0, x1, y1, ... of an even number of numbers.")
    if len(ring) and not np.abs(ring).max() <= MAX_COORDINATE_PX:
        raise AnnotationError("A polygon has a coordinate that is not a number of pixels near the image.")
    if np.abs(np.diff(ring.reshape(-1, 2), axis=0)).sum() > _MAX_PERIMETER_PX:
        raise AnnotationError("A polygon is too long to be one of pixels; correct its coordinates.")
    return [float(value) for value in ring]


def segmentation_rle(segmentation: object, size: tuple[int, int]) -> Rle | None:
    """The same as compressed run lengths on an image of `size` (height, width); None where it covers nothing.

    Polygons are filled as COCO's tools do. Raises AnnotationError, also for run lengths of another size.
    """
    if isinstance(segmentation, Mapping) and segmentation:
        return encode_rle(_sized(decode_rle(segmentation), size))
    rings = parse_segmentation(segmentation)
    if rings is None:
        return None
    runs = coco.merge(coco.frPyObjects(rings, *size))
    return {"size": [int(side) for side in runs["size"]], "counts": runs["counts"].decode("ascii")}


def segmentation_mask(segmentation: object, size: tuple[int, int]) -> Mask:
    """(H, W) bool mask of a COCO segmentation of either form; all False where it covers nothing.

    Raises AnnotationError as `segmentation_rle`.
    """
    if isinstance(segmentation, Mapping) and segmentation:
        return _sized(decode_rle(segmentation), size)
    runs = segmentation_rle(segmentation, size)
    return np.zeros(size, np.bool_) if runs is None else decode_rle(runs)


def _sized(mask: Mask, size: tuple[int, int]) -> Mask:
    """The mask itself. Raises AnnotationError where it has not the size of the image."""
    if mask.shape != tuple(size):
        raise AnnotationError(
            f"Run lengths are for {mask.shape[0]} x {mask.shape[1]} pixels, "
            f"the image has {size[0]} x {size[1]} (height x width); make both the same."
        )
    return mask


def tight_boxes(masks: Mask) -> NDArray[np.float32]:
    """(N, 4) xyxy float32 boxes of (N, H, W) masks, along the pixels' outer edges; zeros for an empty mask."""
    columns, rows = np.any(masks, axis=1), np.any(masks, axis=2)
    low = np.stack([_first(columns), _first(rows)], axis=1)
    high = np.stack([columns.shape[1] - _first(columns[:, ::-1]), rows.shape[1] - _first(rows[:, ::-1])], axis=1)
    boxes = np.concatenate([low, high], axis=1)
    return np.where(np.any(columns, axis=1, keepdims=True), boxes, 0).astype(np.float32)


def _first(marks: Mask) -> NDArray[np.intp]:
    """Index of the first true value of each row; 0 without any."""
    return marks.argmax(axis=1) if marks.shape[1] else np.zeros(len(marks), np.intp)


def _whole(value: object) -> int:
    """A whole number, written as an integer, a float or text. Raises ValueError or TypeError."""
    number = float(value)  # type: ignore[arg-type]
    if not number.is_integer():
        raise ValueError(f"{value!r} is not a whole number")
    return int(number)


def _run_lengths(packed: bytes) -> NDArray[np.int64]:
    """The numbers of COCO's compressed counts: five bits per character, low bits first, 48 added.

    From the fourth on, a number is stored as the difference from the second before it.
    """
    symbols = np.frombuffer(packed, np.uint8).astype(np.int64) - 48
    if len(symbols) == 0:
        return np.zeros(0, np.int64)
    if symbols.min() < 0 or symbols.max() > 63 or symbols[-1] & 32:
        raise ValueError("counts have a character that COCO does not write, or stop inside a number")
    ends = np.flatnonzero((symbols & 32) == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    digit = np.arange(len(symbols)) - np.repeat(starts, ends - starts + 1)
    if digit.max() > 6:
        raise ValueError("counts have a number of more than 35 bits")
    values = np.add.reduceat((symbols & 31) << (5 * digit), starts)
    values -= ((symbols[ends] >> 4) & 1) << (5 * (digit[ends] + 1))
    for first in (1, 2):
        values[first::2] = values[first::2].cumsum()
    return values
