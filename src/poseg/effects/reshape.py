"""Reshaping one person: the person is warped by a displacement field, the background around stays where it is.

With a the person's matte and F the image, both read through the field, and B the clean plate, the new image is
B (1 - a') + F' a'. Where the field is 0 everything stays bit for bit, and so does what is not near the person.

The clean plate is what to show in the thin ring that a person leaves free. Its low frequencies are extended into the
hole by fast marching (Telea 2004, `cv2.inpaint`) on a small image; the high ones are those of the background reflected
at the hole's edge, so that the grain of a wall or of grass goes on. It is made for rings and fast; `inpaint_patchmatch`
fills large holes.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.effects.compositing import gather_pixels, scatter_pixels
from poseg.effects.displacement import DisplacementField
from poseg.effects.matte import Matte
from poseg.geometry.grid import pixel_centres, pixel_indices

Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
Indices = NDArray[np.intp]

RIM = 0.012  # of the root of the person's area: this far around the matte pixels are no pure background
SOLID = 0.998  # bilinear sampling of ones comes out a little lower; nothing shines through
FILLED_FROM_PX = 2.0  # a displacement this long opens a hole; shorter ones do so in part
MAX_INPAINTED = 1500  # pixels that are inpainted, about a millisecond
INPAINT_RADIUS_PX = 3
REFLECTION_PX = 4  # the hole's edge is found on a grid this coarse and smoothed: a ragged one would draw streaks


def reshape(canvas: Bytes, matte: Matte, field: DisplacementField, nearer: Floats, others: Floats) -> Matte:
    """Warp one person in the canvas, in place; returns the matte of the warped person.

    nearer  (h, w) on the field's window: the matte of all people in front, who stay as they are
    others  (h, w): the matte of all other people, in front or behind, who are no background to fill holes from
    """
    part = canvas[field.window].copy()
    alpha = matte.crop_to(field.window)
    columns, rows = field.sources()
    read = cv2.remap(alpha, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    cover = np.asarray(cv2.multiply(read, 1 - nearer, dst=read), np.float32)
    person = np.flatnonzero(cover > 0)
    moved = gather_pixels(part, columns.reshape(-1).take(person), rows.reshape(-1).take(person), cv2.INTER_CUBIC)
    _fill_revealed(part, alpha, cover, field, others)
    opacity = cover.reshape(-1).take(person)
    soft = np.flatnonzero(opacity < SOLID)
    plate = part.reshape(-1, 3)
    ground = plate.take(person.take(soft), axis=0).astype(np.float32)
    mixed = (moved.take(soft, axis=0) - ground) * opacity.take(soft)[:, None] + ground
    scatter_pixels(moved, soft, np.rint(mixed).astype(np.uint8))
    scatter_pixels(plate, person, moved)
    canvas[field.window] = part
    return Matte(cover, field.window[1].start, field.window[0].start, matte.size)


def _fill_revealed(part: Bytes, alpha: Floats, cover: Floats, field: DisplacementField, others: Floats) -> None:
    """Fill the window (h, w, 3) with background where the person was and no longer is, in place."""
    rim = max(2, round(RIM * float(np.sqrt(alpha.sum()))))
    person = (alpha > 0).view(np.uint8)
    around = cv2.dilate(person, np.ones((2 * rim + 1, 2 * rim + 1), np.uint8)).view(np.bool_)
    indices = np.flatnonzero(around & (cover < SOLID) & (others < 0.5))
    if not len(indices):
        return
    dx, dy = (along.reshape(-1).take(indices) for along in (field.x, field.y))
    weight = np.minimum(cv2.magnitude(dx, dy).reshape(-1) / np.float32(FILLED_FROM_PX), 1)
    indices, weight = indices[weight > 0], weight[weight > 0]
    flat = part.reshape(-1, 3)
    own = flat.take(indices, axis=0).astype(np.float32)
    filled = fill_ring(part, around | (others > 0), indices)
    filled -= own
    filled *= weight[:, None]
    filled += own
    scatter_pixels(flat, indices, np.rint(filled, out=filled).astype(np.uint8))


def fill_ring(image: Bytes, invalid: Bools, indices: Indices) -> Floats:
    """(M, 3) float32 colours of the background at pixels given by their indices (M,) in the flattened image.

    image    (h, w, 3) uint8
    invalid  (h, w) bool: pixels that are no background

    Where all are invalid the image's own colours are returned.
    """
    own = image.reshape(-1, 3)
    if not len(indices) or invalid.all():
        return own.take(indices, axis=0).astype(np.float32)
    width = invalid.shape[1]
    rows, columns = np.divmod(indices.astype(np.int32), np.int32(width))
    x, y = _reflect(invalid, columns.astype(np.float32), rows.astype(np.float32))
    reflected = y.astype(np.intp) * width + x.astype(np.intp)
    low = _blurred_background(image, invalid).reshape(-1, 3)
    colours, detail = (low.take(pixels, axis=0).astype(np.float32) for pixels in (indices, reflected))
    np.subtract(own.take(reflected, axis=0), detail, out=detail)
    detail *= ~invalid.reshape(-1).take(reflected)[:, None]
    colours += detail
    return np.asarray(np.clip(colours, 0, 255, out=colours), np.float32)


def _blurred_background(image: Bytes, invalid: Bools) -> Bytes:
    """The valid part of the image (h, w, 3) without its detail, extended smoothly over the invalid part."""
    shrink = max(2, round(float(np.sqrt(np.count_nonzero(invalid) / MAX_INPAINTED))))
    valid = 1 - invalid.view(np.uint8)
    weight = _shrunk(valid * np.uint8(255), shrink).astype(np.float32) / 255
    sums = _shrunk(np.asarray(cv2.copyTo(image, valid), np.uint8), shrink)
    small = np.clip(sums / np.maximum(weight, 0.1)[..., None], 0, 255).astype(np.uint8)
    filled = cv2.inpaint(small, (weight < 0.5).astype(np.uint8), INPAINT_RADIUS_PX, cv2.INPAINT_TELEA)
    large = cv2.resize(filled, (filled.shape[1] * shrink, filled.shape[0] * shrink))
    more = [max(0, length - large.shape[axis]) for axis, length in enumerate(invalid.shape)]
    large = cv2.copyMakeBorder(large, 0, more[0], 0, more[1], cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(large[: invalid.shape[0], : invalid.shape[1]], np.uint8)


def _reflect(invalid: Bools, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Columns and rows (M,) of the pixels that are as far behind the hole's edge as pixels (x, y) are before it."""
    hole = (_shrunk(invalid.view(np.uint8) * np.uint8(255), REFLECTION_PX) > 0).astype(np.uint8)
    if hole.all():
        return x, y
    _, labels = cv2.distanceTransformWithLabels(hole, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL)
    across, down = (np.arange(length, dtype=np.float32) for length in hole.shape[::-1])
    rows, columns = np.nonzero(hole == 0)
    label = labels[rows, columns]
    nearest = np.zeros((int(labels.max()) + 1, 2), np.float32)
    nearest[label, 0], nearest[label, 1] = columns, rows
    offsets = nearest.take(np.asarray(labels, np.intp), axis=0)
    offsets[..., 0] -= across
    offsets[..., 1] -= down[:, None]
    offsets = np.asarray(cv2.blur(offsets, (3, 3)), np.float32)
    coarse_x, coarse_y = (
        np.asarray(pixel_indices(pixel_centres(along) / np.float32(REFLECTION_PX)), np.float32) for along in (x, y)
    )
    jumps = gather_pixels(offsets, coarse_x, coarse_y)
    jumps *= 2 * REFLECTION_PX
    np.rint(jumps, out=jumps)
    height, width = invalid.shape
    return np.clip(x + jumps[:, 0], 0, width - 1), np.clip(y + jumps[:, 1], 0, height - 1)


def _shrunk(plane: Bytes, shrink: int) -> Bytes:
    """Means over whole squares of `shrink` pixels; the last rows and columns that fill none are left out."""
    rows, columns = max(1, plane.shape[0] // shrink), max(1, plane.shape[1] // shrink)
    whole = plane[: rows * shrink, : columns * shrink]
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
