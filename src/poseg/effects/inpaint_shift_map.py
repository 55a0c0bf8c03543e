"""Copies pixels into a hole by shifts, and hides the seams and the step at the hole's edge.

Shifts are given for cells (see `inpaint_patchmatch`). A pixel mixes the copies of the four cells around it, with narrow
seams; then a smooth field of colour, measured in a ring around the hole, removes the step at its edge.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.geometry.grid import pixel_centres

Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
Shorts = NDArray[np.int16]
Indices = NDArray[np.intp]

SEAM = 2  # how narrow the seams between shifts are: the power of the weights that mix them
SQUARE = 4  # pixels on a side: the step at the edge is measured on an image so many times smaller
BAND = 128  # rows at a time, so that they stay in the processor's cache; whole squares
RING = 0.01  # of the image's diagonal: the width of the ring
BOXES = range(2, 8)  # powers of 2: sides of the boxes over which the step is averaged, near ones counting most


def apply_shifts(image: Bytes, hole: Bools, valid: Bools, shifts: Indices) -> Bytes:
    """The image (h, w, 3), of whole squares, with pixels copied into its hole (h, w) by shifts of cells.

    valid   (h, w) bool: pixels that the step at the edge may be measured on
    shifts  (2, rows, columns) of cells that tile the image: in cells, y then x; 0 for cells outside the hole
    """
    height, width = hole.shape
    reach = max(round(RING * float(np.hypot(height, width))), 2)
    rows, columns = _padded_window(hole, reach + SQUARE)
    step_px = np.array([[[width / shifts.shape[2]]], [[height / shifts.shape[1]]]])
    steps = np.rint(_extrapolate(shifts)[::-1] * step_px).astype(np.int16)
    sides, sideways = _two_nearest(width, shifts.shape[2], columns)
    strips = [_strip(steps, beside, columns) for beside in sides]
    ring = _ring(hole[rows, columns], valid[rows, columns], reach)
    filled, residuals = np.empty((*ring.shape, 3), np.uint8), []
    for start in range(rows.start, rows.stop, BAND):
        band = slice(start, min(start + BAND, rows.stop))
        lines, downward = _two_nearest(height, shifts.shape[1], band)
        weights = [np.repeat(weight[:, None], ring.shape[1], axis=1) for weight in downward]
        halves = [
            cv2.blendLinear(*(_copy_band(image, strip, line, band) for line in lines), *weights) for strip in strips
        ]
        across = [np.tile(weight, (len(weights[0]), 1)) for weight in sideways]
        part = slice(start - rows.start, band.stop - rows.start)
        filled[part] = cv2.blendLinear(halves[0], halves[1], across[0], across[1])
        residuals.append(_residual(image[band, columns], filled[part], ring[part]))
    level = cv2.add(filled, _smooth(np.concatenate(residuals)), dtype=cv2.CV_8U)
    out = image.copy()
    out[rows, columns] = cv2.copyTo(level, hole[rows, columns].view(np.uint8), out[rows, columns].copy())
    return out


def _padded_window(hole: Bools, reach: int) -> tuple[slice, slice]:
    """Rows and columns around a hole and `reach` pixels more, in whole squares."""
    x, y, columns, rows = cv2.boundingRect(hole.view(np.uint8))
    low, high = np.array([y, x]) - reach, np.array([y + rows, x + columns]) + reach
    starts, stops = np.maximum(low, 0) // SQUARE * SQUARE, np.minimum(-(-high // SQUARE) * SQUARE, hole.shape)
    spans = [slice(int(start), int(stop)) for start, stop in zip(starts, stops, strict=True)]
    return spans[0], spans[1]


def _extrapolate(shifts: Indices) -> Indices:
    """Shifts of the nearest cells of the hole for all cells, so that the step at its edge can be measured."""
    outside = (shifts == 0).all(axis=0)
    _, nearest = cv2.distanceTransformWithLabels(
        outside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    numbers = np.zeros(nearest.max() + 1, np.intp)
    numbers[nearest[~outside]] = np.flatnonzero(~outside)
    return np.asarray(shifts.reshape(2, -1)[:, numbers[nearest]], np.intp)


def _two_nearest(pixels: int, cells: int, part: slice) -> tuple[tuple[Indices, Indices], tuple[Floats, Floats]]:
    """For each pixel of a part of an axis the two cells around it, and their weights, which sum to 1."""
    position = pixel_centres(np.arange(part.start, part.stop)) * np.float32(cells / pixels) - np.float32(0.5)
    first = np.floor(position)
    weight = np.asarray(position - first, np.float32)
    near, far = (1 - weight) ** SEAM, weight**SEAM
    index = first.astype(np.intp)
    both = np.clip(index, 0, cells - 1), np.clip(index + 1, 0, cells - 1)
    return both, (np.asarray(near / (near + far), np.float32), np.asarray(far / (near + far), np.float32))


def _strip(steps: Shorts, beside: Indices, columns: slice) -> Shorts:
    """(rows of cells, width, 2) columns that pixels come from, and how many rows away, by the cells beside them."""
    strip = np.ascontiguousarray(steps[:, :, beside].transpose(1, 2, 0))
    strip[..., 0] += np.arange(columns.start, columns.stop, dtype=np.int16)
    return strip


def _copy_band(image: Bytes, strip: Shorts, line: Indices, band: slice) -> Bytes:
    """A band of rows of the image, shifted; `line` tells which line of the strip each row takes its shifts from."""
    # x and y lie side by side as one number, x in its lower half: what is added to the upper half is added to y.
    positions = strip.view("<i4")[..., 0].take(line, axis=0)
    positions += (np.arange(band.start, band.stop, dtype=np.int32) << 16)[:, None]
    both, no_fractions = positions[..., None].view("<i2"), np.zeros(0, np.float32)
    return np.asarray(
        cv2.remap(image, both, no_fractions, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT_101), np.uint8
    )


def _ring(hole: Bools, valid: Bools, reach: int) -> Bytes:
    """0 or 1: valid pixels up to `reach` around the hole."""
    near = cv2.dilate(hole.view(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8))
    return np.asarray(cv2.bitwise_and(near, valid.view(np.uint8)), np.uint8)


def _residual(image: Bytes, filled: Bytes, ring: Bytes) -> Floats:
    """(rows, columns of squares, 4) image less fill in the ring, as sums, and how much of a square is ring."""
    size = ring.shape[1] // SQUARE, ring.shape[0] // SQUARE
    original, copied, weight = (
        np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.float32)
        for part in (cv2.copyTo(image, ring), cv2.copyTo(filled, ring), ring * np.uint8(255))
    )
    return np.concatenate([original - copied, weight[..., None] * np.float32(1 / 255)], axis=2)


def _smooth(residual: Floats) -> Shorts:
    """(h, w, 3) the residual in grey levels, extended smoothly from the ring over the hole."""
    total = np.zeros_like(residual)
    for power in BOXES:
        total += cv2.blur(residual, (2**power + 1,) * 2, borderType=cv2.BORDER_CONSTANT) * np.float32(8.0**-power)
    step = np.rint(total[..., :3] / (total[..., 3:] + np.float32(1e-6))).astype(np.int16)
    return np.asarray(cv2.resize(step, (residual.shape[1] * SQUARE, residual.shape[0] * SQUARE)), np.int16)
