"""Reshaping one person: the person is warped by a displacement field, the background around stays where it is.

With a the person's matte and F the image, both read through the field, and B the clean plate, the new image is
B (1 - a') + F' a'. Where the field is 0 everything stays bit for bit, and so does what is not near the person.

The clean plate is what to show in the thin ring that a person leaves free: background from beside it, such that lines
and textures continue (`inpaint_tiles`). Where there is none near by, colours are extended into the hole by fast
marching (Telea 2004, `cv2.inpaint`) on a small image. `inpaint_patchmatch` fills large holes.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.effects.compositing import gather_pixels, padded_window, scatter_pixels, union
from poseg.effects.displacement import DisplacementField
from poseg.effects.inpaint_tiles import continue_ground
from poseg.effects.matte import Matte

Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
Indices = NDArray[np.intp]

SURROUNDINGS = 6.0  # how far around the person background is looked for, in the longest displacement
RIM = 0.012  # of the root of the person's area: this far around the matte pixels are no pure background
SOLID = 0.998  # bilinear sampling of ones comes out a little lower; nothing shines through
FILLED_FROM_PX = 2.0  # a displacement this long opens a hole; shorter ones do so in part
MAX_INPAINTED = 1500  # pixels that are inpainted, about a millisecond
INPAINT_RADIUS_PX = 3
ARM = 0.2  # of the root of the person's area: what is in front of them is an arm where it is no wider
ARM_SHRINK = 4


def reshape(
    canvas: Bytes, matte: Matte, field: DisplacementField, nearer: Sequence[Matte], others: Sequence[Matte]
) -> Matte:  # fmt: skip
    """Warp one person in the canvas, in place; returns the matte of the warped person.

    nearer  the mattes of all people in front, who stay as they are
    others  those of all other people, in front or behind, who are no background to fill holes from
    """
    part = canvas[field.window].copy()
    alpha, front = matte.crop_to(field.window), union(nearer, field.window)
    columns, rows = _in_sight(alpha, front, field) if nearer else field.sources()
    read = cv2.remap(alpha, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    cover = np.asarray(cv2.multiply(read, 1 - front, dst=read), np.float32)
    person = np.flatnonzero(cover > 0)
    moved = gather_pixels(part, columns.reshape(-1).take(person), rows.reshape(-1).take(person), cv2.INTER_CUBIC)
    _fill_revealed(part, canvas, matte, cover, field, others)
    opacity = cover.reshape(-1).take(person)
    soft = np.flatnonzero(opacity < SOLID)
    plate = part.reshape(-1, 3)
    ground = plate.take(person.take(soft), axis=0).astype(np.float32)
    mixed = (moved.take(soft, axis=0) - ground) * opacity.take(soft)[:, None] + ground
    scatter_pixels(moved, soft, np.rint(mixed).astype(np.uint8))
    scatter_pixels(plate, person, moved)
    canvas[field.window] = part
    return Matte(cover, field.window[1].start, field.window[0].start, matte.size)


def _in_sight(alpha: Floats, front: Floats, field: DisplacementField) -> tuple[Floats, Floats]:
    """The sources of the field; but a person stays in place where they would come from behind an arm in front of them.

    What is behind it is not known, but where the person is on both sides of it, it is the person.
    """
    columns, rows = field.sources()
    width = round(ARM * float(np.sqrt(alpha.sum())) / ARM_SHRINK)
    size = -(-alpha.shape[1] // ARM_SHRINK), -(-alpha.shape[0] // ARM_SHRINK)
    small = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width + 1, width + 1))
    padded = cv2.copyMakeBorder(small, width, width, width, width, cv2.BORDER_CONSTANT)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, kernel)[width : width + size[1], width : width + size[0]]
    behind = cv2.resize(closed, alpha.shape[::-1]) * front
    hidden = cv2.remap(behind, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    stays = (hidden > 0.5) & (alpha > 0)
    across, down = np.arange(alpha.shape[1], dtype=np.float32), np.arange(alpha.shape[0], dtype=np.float32)[:, None]
    return np.where(stays, across, columns), np.where(stays, down, rows)


def _fill_revealed(
    part: Bytes, canvas: Bytes, matte: Matte, cover: Floats, field: DisplacementField, others: Sequence[Matte]
) -> None:  # fmt: skip
    """Fill the window (h, w, 3) with background where the person was and no longer is, in place."""
    reach = max(2, round(SURROUNDINGS * float(cv2.magnitude(field.x, field.y).max(initial=0))))
    around = padded_window(field.window, reach, reach, canvas.shape)
    rows, columns = (
        slice(own.start - span.start, own.stop - span.start) for own, span in zip(field.window, around, strict=True)
    )
    person, other = matte.crop_to(around), union(others, around)
    rim = max(2, round(RIM * float(np.sqrt(matte.alpha.sum()))))
    grown = cv2.dilate((person > 0).view(np.uint8), np.ones((2 * rim + 1, 2 * rim + 1), np.uint8)).view(np.bool_)
    weight = np.minimum(cv2.magnitude(field.x, field.y) / np.float32(FILLED_FROM_PX), 1)
    revealed = grown[rows, columns] & (cover < SOLID) & (other[rows, columns] < 0.5) & (weight > 0)
    if not revealed.any():
        return
    hole = np.zeros(grown.shape, np.bool_)
    hole[rows, columns] = revealed
    filled = fill_ring(canvas[around], grown, other > 0, np.flatnonzero(hole))
    indices = np.flatnonzero(revealed)
    flat = part.reshape(-1, 3)
    own = flat.take(indices, axis=0).astype(np.float32)
    filled -= own
    filled *= weight.reshape(-1).take(indices)[:, None]
    filled += own
    scatter_pixels(flat, indices, np.rint(filled, out=filled).astype(np.uint8))


def fill_ring(image: Bytes, person: Bools, others: Bools, indices: Indices) -> Floats:
    """(M, 3) float32 colours of what is behind a person, at pixels given by their indices (M,) in the flattened image.

    image    (h, w, 3) uint8
    person   (h, w) bool: pixels that are the person
    others   (h, w) bool: pixels that are other people, of whom a hole is filled where no background is near

    Where there is nothing but people the image's own colours are returned.
    """
    own = image.reshape(-1, 3)
    invalid = person | others
    if not len(indices) or invalid.all():
        return own.take(indices, axis=0).astype(np.float32)
    left = np.zeros(invalid.shape, np.bool_)
    left.reshape(-1)[indices] = True
    filled, left = continue_ground(image, invalid, left)
    if left.any() and others.any():
        filled, left = continue_ground(filled, person, left)
    colours = filled.reshape(-1, 3).take(indices, axis=0).astype(np.float32)
    unreached = left.reshape(-1).take(indices)
    if unreached.any():
        low = _blurred_background(image, invalid).reshape(-1, 3)
        colours[unreached] = low.take(indices[unreached], axis=0)
    return colours


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


def _shrunk(plane: Bytes, shrink: int) -> Bytes:
    """Means over whole squares of `shrink` pixels; the last rows and columns that fill none are left out."""
    rows, columns = max(1, plane.shape[0] // shrink), max(1, plane.shape[1] // shrink)
    whole = plane[: rows * shrink, : columns * shrink]
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
