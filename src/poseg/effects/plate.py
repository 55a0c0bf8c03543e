"""The background plate: what to show where a person shrank, for the thin ring left free around him or her.

Low frequencies are drawn into the hole by fast marching (Telea 2004, `cv2.inpaint`) on a small picture; high ones are
those of the background mirrored at the hole's edge, so that the grain of a wall or of grass goes on. It is made for
rings and fast; `filling` completes large holes.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.effects.sampling import sample
from poseg.geometry.grid import pixel_centres, pixel_indices

Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]

INPAINTED_PX = 1500  # so many pixels are inpainted at most, about a millisecond
RADIUS_PX = 3
MIRROR_PX = 4  # the mirror's edge is found on a grid this coarse and smoothed: a ragged one would draw streaks


def ring_colours(image: Bytes, unknown: Bools, wanted: NDArray[np.intp]) -> Floats:
    """(M, 3) float32 colours of the background at the `wanted` pixels.

    image    (h, w, 3) uint8
    unknown  (h, w) bool: pixels that say nothing about the background
    wanted   (M,) numbers of pixels in the flattened picture

    Where nothing is known the picture's own colours come back.
    """
    own = image.reshape(-1, 3)
    if not len(wanted) or unknown.all():
        return own.take(wanted, axis=0).astype(np.float32)
    width = unknown.shape[1]
    here = _places(wanted, width)
    behind = _mirrored(unknown, *here)
    mirrored = behind[1].astype(np.intp) * width + behind[0].astype(np.intp)
    low = _low_frequencies(image, unknown).reshape(-1, 3)
    colours, detail = (low.take(spots, axis=0).astype(np.float32) for spots in (wanted, mirrored))
    np.subtract(own.take(mirrored, axis=0), detail, out=detail)
    detail *= ~unknown.reshape(-1).take(mirrored)[:, None]
    colours += detail
    return np.asarray(np.clip(colours, 0, 255, out=colours), np.float32)


def _places(wanted: NDArray[np.intp], width: int) -> tuple[Floats, Floats]:
    """Columns and rows of pixels given by their numbers in the flattened picture; whole numbers."""
    rows, columns = np.divmod(wanted.astype(np.int32), np.int32(width))
    return columns.astype(np.float32), rows.astype(np.float32)


def _low_frequencies(image: Bytes, unknown: Bools) -> Bytes:
    """The known part of the picture (h, w, 3) without its detail, carried on smoothly over the unknown part."""
    shrink = max(2, round(float(np.sqrt(np.count_nonzero(unknown) / INPAINTED_PX))))
    known = 1 - unknown.view(np.uint8)
    share = _shrunk(known * np.uint8(255), shrink).astype(np.float32) / 255
    sums = _shrunk(np.asarray(cv2.copyTo(image, known), np.uint8), shrink)
    small = np.clip(sums / np.maximum(share, 0.1)[..., None], 0, 255).astype(np.uint8)
    drawn = cv2.inpaint(small, (share < 0.5).astype(np.uint8), RADIUS_PX, cv2.INPAINT_TELEA)
    large = cv2.resize(drawn, (drawn.shape[1] * shrink, drawn.shape[0] * shrink))
    more = [max(0, length - large.shape[axis]) for axis, length in enumerate(unknown.shape)]
    large = cv2.copyMakeBorder(large, 0, more[0], 0, more[1], cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(large[: unknown.shape[0], : unknown.shape[1]], np.uint8)


def _mirrored(unknown: Bools, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Columns and rows (M,) of the pixels that lie as far behind the hole's edge as pixels (x, y) lie before it."""
    hole = (_shrunk(unknown.view(np.uint8) * np.uint8(255), MIRROR_PX) > 0).astype(np.uint8)
    if hole.all():
        return x, y
    _, labels = cv2.distanceTransformWithLabels(hole, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL)
    across, down = (np.arange(length, dtype=np.float32) for length in hole.shape[::-1])
    rows, columns = np.nonzero(hole == 0)
    number = labels[rows, columns]
    nearest = np.zeros((int(labels.max()) + 1, 2), np.float32)
    nearest[number, 0], nearest[number, 1] = columns, rows
    offsets = nearest.take(np.asarray(labels, np.intp), axis=0)
    offsets[..., 0] -= across
    offsets[..., 1] -= down[:, None]
    offsets = np.asarray(cv2.blur(offsets, (3, 3)), np.float32)
    jumps = sample(offsets, _coarse(x, MIRROR_PX), _coarse(y, MIRROR_PX))
    jumps *= 2 * MIRROR_PX
    np.rint(jumps, out=jumps)
    height, width = unknown.shape
    return np.clip(x + jumps[:, 0], 0, width - 1), np.clip(y + jumps[:, 1], 0, height - 1)


def _shrunk(plane: Bytes, shrink: int) -> Bytes:
    """Means over whole squares of `shrink` pixels; the last rows and columns that fill none are left out."""
    rows, columns = max(1, plane.shape[0] // shrink), max(1, plane.shape[1] // shrink)
    whole = plane[: rows * shrink, : columns * shrink]
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)


def _coarse(along: Floats, shrink: int) -> Floats:
    """Fractional column or row numbers in the shrunk picture of those in the whole one."""
    return np.asarray(pixel_indices(pixel_centres(along) / np.float32(shrink)), np.float32)
