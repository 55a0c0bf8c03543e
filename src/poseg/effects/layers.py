"""Layers: mattes of several people together, who stands in front of whom, and one picture laid over another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.effects.effect import Skipped
from poseg.effects.matte import Matte, Window

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

NOWHERE = "Neither a mask nor enough joints tell where this person is."


def nowhere(made: Sequence[Matte], chosen: Iterable[int]) -> tuple[Skipped, ...]:
    """Those of the chosen people who have no matte, as people left out."""
    return tuple(Skipped(person, NOWHERE) for person in chosen if made[person].empty)


def together(made: Sequence[Matte], chosen: Iterable[int]) -> tuple[Floats, Window]:
    """The matte of several people as one, 1 - prod(1 - alpha), on the smallest window that holds them all.

    (h, w) float32 and the rows and columns of the window; of no pixels where nobody is anywhere.
    """
    there = [made[person] for person in chosen if not made[person].empty]
    if not there:
        return np.zeros((0, 0), np.float32), (slice(0, 0), slice(0, 0))
    spans = [
        slice(min(one.window[axis].start for one in there), max(one.window[axis].stop for one in there))
        for axis in (0, 1)
    ]
    window = (spans[0], spans[1])
    return union(there, window), window


def union(made: Sequence[Matte], window: Window) -> Floats:
    """1 - prod(1 - alpha) of mattes on a window (h, w) of the picture."""
    if len(made) == 1:
        return made[0].on(window)
    rows, columns = window
    clear = np.ones((rows.stop - rows.start, columns.stop - columns.start), np.float32)
    for one in made:
        place, part = _shared(one, window)
        clear[place] *= 1 - part
    return np.asarray(1 - clear, np.float32)


def in_front_of(person: int, order: Sequence[int], made: Sequence[Matte], window: Window) -> Floats:
    """The matte (h, w) of everybody nearer than a person, on a window; `order` runs from far to near."""
    nearer = order[list(order).index(person) + 1 :]
    return union([made[other] for other in nearer], window)


def around(low: ArrayLike, high: ArrayLike, size: Sequence[int]) -> Window | None:
    """The pixels between two corners (x, y), cut to a picture of `size`; None where there are none."""
    height, width = size[:2]
    x0, y0 = np.floor(np.clip(np.asarray(low, np.float64), 0, (width, height))).astype(int).tolist()
    x1, y1 = np.ceil(np.clip(np.asarray(high, np.float64), 0, (width, height))).astype(int).tolist()
    return (slice(y0, y1), slice(x0, x1)) if x1 > x0 and y1 > y0 else None


def lay(under: Bytes, over: ArrayLike, share: Floats) -> Bytes:
    """Mix a picture or a colour over a picture: (h, w, 3) uint8; where share (h, w) is 0, `under` bit for bit.

    over  (h, w, 3) or (3,), 0 to 255
    """
    out = np.ascontiguousarray(under.copy())
    if not share.size:
        return out
    top = np.asarray(over)
    if top.ndim == 3 and top.dtype == np.uint8:
        cv2.copyTo(top, (share >= 1).view(np.uint8), out)
        mixed = np.flatnonzero((share > 0) & (share < 1))
    else:
        mixed = np.flatnonzero(share > 0)
    pixels = out.reshape(-1, 3)
    ground = pixels[mixed].astype(np.float32)
    colour = np.ascontiguousarray(top).reshape(-1, 3)[mixed] if top.ndim == 3 else top
    ground += (colour - ground) * share.reshape(-1)[mixed, None]
    pixels[mixed] = np.rint(ground, out=ground).astype(np.uint8)
    return out


def _shared(one: Matte, window: Window) -> tuple[Window, Floats]:
    """Where a matte meets a window, in the window's own rows and columns, and that part of the matte."""
    spans, parts = [], []
    for mine, theirs in zip(one.window, window, strict=True):
        start, stop = max(mine.start, theirs.start), max(mine.start, theirs.start, min(mine.stop, theirs.stop))
        spans.append(slice(start - theirs.start, stop - theirs.start))
        parts.append(slice(start - mine.start, stop - mine.start))
    return (spans[0], spans[1]), one.alpha[parts[0], parts[1]]
