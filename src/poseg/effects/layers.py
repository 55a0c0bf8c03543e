"""Layers: mattes of several people together, who stands in front of whom, and one picture laid over another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.effects.effect import Skipped
from poseg.effects.matte import Matte, Window
from poseg.effects.sampling import put

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
    there = [made[person] for person in chosen]
    window = span(there)
    return union(there, window), window


def span(made: Iterable[Matte]) -> Window:
    """Rows and columns of the smallest window that holds mattes; of no pixels where nobody is anywhere."""
    there = [one.window for one in made if not one.empty]
    if not there:
        return slice(0, 0), slice(0, 0)
    rows, columns = (
        slice(min(one[axis].start for one in there), max(one[axis].stop for one in there)) for axis in (0, 1)
    )
    return rows, columns


def union(made: Sequence[Matte], window: Window) -> Floats:
    """1 - prod(1 - alpha) of mattes on a window (h, w) of the picture."""
    rows, columns = window
    size = (rows.stop - rows.start, columns.stop - columns.start)
    if not made:
        return np.zeros(size, np.float32)
    if len(made) == 1:
        return made[0].on(window)
    clear = np.ones(size, np.float32)
    for one in made:
        place, part = _shared(one, window)
        clear[place] *= 1 - part
    return np.asarray(np.subtract(1, clear, out=clear), np.float32)


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
    if not share.size:
        return under.copy()
    top = np.asarray(over)
    if top.ndim == 3 and top.dtype == np.uint8:
        return np.asarray(cv2.blendLinear(top, under, share, 1 - share), np.uint8)
    out = np.ascontiguousarray(under.copy())
    mixed = np.flatnonzero(share > 0)
    pixels = out.reshape(-1, 3)
    ground = pixels.take(mixed, axis=0).astype(np.float32)
    colour = np.ascontiguousarray(top).reshape(-1, 3).take(mixed, axis=0) if top.ndim == 3 else top
    ground += (colour - ground) * share.reshape(-1).take(mixed)[:, None]
    put(pixels, mixed, np.rint(ground, out=ground).astype(np.uint8))
    return out


def _shared(one: Matte, window: Window) -> tuple[Window, Floats]:
    """Where a matte meets a window, in the window's own rows and columns, and that part of the matte."""
    spans, parts = [], []
    for mine, theirs in zip(one.window, window, strict=True):
        start, stop = max(mine.start, theirs.start), max(mine.start, theirs.start, min(mine.stop, theirs.stop))
        spans.append(slice(start - theirs.start, stop - theirs.start))
        parts.append(slice(start - mine.start, stop - mine.start))
    return (spans[0], spans[1]), one.alpha[parts[0], parts[1]]
