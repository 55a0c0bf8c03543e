"""Reshaping one person: the layer of the person is warped by a map, the background around stays where it is.

A map goes backwards: the new picture at (x, y) shows what was at (x, y) + shift(x, y). With a the person's matte and
F the picture, both read through the map, and B the background plate, the new picture is B (1 - a') + F' a'. Where the
shift is 0 everything stays bit for bit, and so does what is not near the person.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.effects.matte import Matte, Window
from poseg.effects.plate import ring_colours
from poseg.effects.sampling import put, sample

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

RIM = 0.012  # of the root of the person's area: this far around the matte pixels are no pure background
SOLID = 0.998  # bilinear sampling of ones comes out a little lower; nothing shines through
FILLED_FROM_PX = 2.0  # a shift this long opens a hole; shorter ones do so in part


@dataclass(frozen=True, slots=True, eq=False)
class Shift:
    """Where the pixels of a window come from: pixel (x, y) shows what was at (x, y) + shift.

    window  rows and columns of the picture
    x y     (h, w) float32 pixels
    """

    window: Window
    x: Floats
    y: Floats

    def sources(self) -> tuple[Floats, Floats]:
        """Columns and rows (h, w) float32 of the window that are read, in fractional pixel numbers of the window."""
        rows, columns = self.x.shape
        across, down = np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32)[:, None]
        return np.asarray(self.x + across, np.float32), np.asarray(self.y + down, np.float32)


def padded(window: Window, margin: tuple[int, int], size: tuple[int, int]) -> Window:
    """A window grown by (rows, columns) on each side, inside a picture of `size` (height, width)."""
    spans = [
        slice(max(0, span.start - more), min(limit, span.stop + more))
        for span, more, limit in zip(window, margin, size, strict=True)
    ]
    return spans[0], spans[1]


def reshape(canvas: Bytes, matte: Matte, shift: Shift, nearer: Floats, others: Floats) -> Matte:
    """Warp one person in the canvas, which is written; the matte of where the person is now comes back.

    nearer  (h, w) on the shift's window: the matte of everybody in front, who stays as he or she is
    others  (h, w): the matte of everybody else, in front or behind, who is no background to fill holes from
    """
    part = canvas[shift.window].copy()
    alpha = matte.on(shift.window)
    columns, rows = shift.sources()
    read = cv2.remap(alpha, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    cover = np.asarray(cv2.multiply(read, 1 - nearer, dst=read), np.float32)
    person = np.flatnonzero(cover > 0)
    moved = sample(part, columns.reshape(-1).take(person), rows.reshape(-1).take(person), cv2.INTER_CUBIC)
    _fill_ring(part, alpha, cover, shift, others)
    share = cover.reshape(-1).take(person)
    soft = np.flatnonzero(share < SOLID)
    plate = part.reshape(-1, 3)
    ground = plate.take(person.take(soft), axis=0).astype(np.float32)
    mixed = (moved.take(soft, axis=0) - ground) * share.take(soft)[:, None] + ground
    put(moved, soft, np.rint(mixed).astype(np.uint8))
    put(plate, person, moved)
    canvas[shift.window] = part
    return Matte(cover, shift.window[1].start, shift.window[0].start, matte.size)


def _fill_ring(part: Bytes, alpha: Floats, cover: Floats, shift: Shift, others: Floats) -> None:
    """Put background into the window (h, w, 3) where the person was and is no more."""
    rim = max(2, round(RIM * float(np.sqrt(alpha.sum()))))
    person = (alpha > 0).view(np.uint8)
    around = cv2.dilate(person, np.ones((2 * rim + 1, 2 * rim + 1), np.uint8)).view(np.bool_)
    wanted = np.flatnonzero(around & (cover < SOLID) & (others < 0.5))
    if not len(wanted):
        return
    dx, dy = (along.reshape(-1).take(wanted) for along in (shift.x, shift.y))
    share = np.minimum(cv2.magnitude(dx, dy).reshape(-1) / np.float32(FILLED_FROM_PX), 1)
    wanted, share = wanted[share > 0], share[share > 0]
    flat = part.reshape(-1, 3)
    own = flat.take(wanted, axis=0).astype(np.float32)
    filled = ring_colours(part, around | (others > 0), wanted)
    filled -= own
    filled *= share[:, None]
    filled += own
    put(flat, wanted, np.rint(filled, out=filled).astype(np.uint8))
