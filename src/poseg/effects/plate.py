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
        return own[wanted].astype(np.float32)
    mirrored = _mirrored(unknown, wanted)
    low, shrink = _low_frequencies(image, unknown)
    blurred = [
        sample(low, *_coarse(places, unknown.shape[1], shrink)).astype(np.float32) for places in (wanted, mirrored)
    ]
    known = ~unknown.reshape(-1)[mirrored]
    colours = blurred[0] + (own.take(mirrored, axis=0) - blurred[1]) * known[:, None]
    return np.asarray(np.clip(colours, 0, 255), np.float32)


def _low_frequencies(image: Bytes, unknown: Bools) -> tuple[Bytes, int]:
    """A small picture of the known part, carried on smoothly over the unknown part, and how much smaller it is."""
    shrink = max(2, round(float(np.sqrt(np.count_nonzero(unknown) / INPAINTED_PX))))
    known = 1 - unknown.view(np.uint8)
    share = _shrunk(known * np.uint8(255), shrink).astype(np.float32) / 255
    sums = _shrunk(np.asarray(cv2.bitwise_and(image, image, mask=known), np.uint8), shrink)
    small = np.clip(sums / np.maximum(share, 0.1)[..., None], 0, 255).astype(np.uint8)
    drawn = cv2.inpaint(small, (share < 0.5).astype(np.uint8), RADIUS_PX, cv2.INPAINT_TELEA)
    return np.asarray(drawn, np.uint8), shrink


def _mirrored(unknown: Bools, wanted: NDArray[np.intp]) -> NDArray[np.intp]:
    """(M,) numbers of the pixels that lie as far behind the hole's edge as the wanted ones lie before it."""
    hole = (_shrunk(unknown.view(np.uint8) * np.uint8(255), MIRROR_PX) > 0).astype(np.uint8)
    if hole.all():
        return wanted
    _, labels = cv2.distanceTransformWithLabels(hole, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL)
    known = np.flatnonzero(hole == 0)
    places = np.zeros(int(labels.max()) + 1, np.intp)
    places[labels.reshape(-1)[known]] = known
    rows, columns = np.divmod(places[labels], hole.shape[1])
    offsets = np.stack([columns - np.arange(hole.shape[1]), rows - np.arange(hole.shape[0])[:, None]], axis=2)
    offsets = np.asarray(cv2.blur(offsets.astype(np.float32), (3, 3)), np.float32)
    height, width = unknown.shape
    jumps = np.rint(sample(offsets, *_coarse(wanted, width, MIRROR_PX)) * (2 * MIRROR_PX)).astype(np.intp)
    y, x = np.divmod(wanted, width)
    x, y = np.clip(x + jumps[:, 0], 0, width - 1), np.clip(y + jumps[:, 1], 0, height - 1)
    return np.asarray(y * width + x, np.intp)


def _shrunk(plane: Bytes, shrink: int) -> Bytes:
    """Means over whole squares of `shrink` pixels; the last rows and columns that fill none are left out."""
    rows, columns = max(1, plane.shape[0] // shrink), max(1, plane.shape[1] // shrink)
    whole = plane[: rows * shrink, : columns * shrink]
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)


def _coarse(places: NDArray[np.intp], width: int, shrink: int) -> tuple[Floats, Floats]:
    """Fractional column and row numbers in the shrunk picture of pixels given by their number in the whole one."""
    rows, columns = np.divmod(places, width)
    x, y = (np.asarray(pixel_indices(pixel_centres(n) / np.float32(shrink)), np.float32) for n in (columns, rows))
    return x, y
