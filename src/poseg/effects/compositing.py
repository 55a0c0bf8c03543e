"""Compositing: mattes of several people, who is in front of whom, one image over another, and people's own colours.

A pixel at the edge of a person shows I = alpha F + (1 - alpha) B. On another background it keeps the old one's colour:
the fringe. F is estimated by blur fusion (Forte, "Approximate fast foreground colour estimation", 2021): means of F and
B over boxes, weighted by powers of alpha and 1 - alpha, then the step that makes the equation hold; a wide box first,
then a narrow one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.effects.effect import SkippedPerson
from poseg.effects.matte import Matte, Mattes, Window

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Indices = NDArray[np.intp]
Planes = list[Floats]
Kind = TypeVar("Kind", np.uint8, np.float32)

NOT_LOCATED = "Neither a mask nor enough joints tell where this person is."
WIDE, NARROW = 0.06, 0.006  # radii of the boxes, in the square root of the window's area
WIDE_SHRINK, NARROW_SHRINK = 8, 2  # the means are taken on an image so many times smaller
MIN_ALPHA = np.float32(0.5 / 255)  # less is not seen
MAX_COLUMNS = 1024  # `cv2.remap` makes images of no more than 32767 columns: a list is folded into rows


def missing_people(selected: Iterable[int], mattes: Iterable[Matte]) -> tuple[SkippedPerson, ...]:
    """Those of the selected people, each with their matte, who have none."""
    return tuple(
        SkippedPerson(person, NOT_LOCATED) for person, matte in zip(selected, mattes, strict=True) if matte.empty
    )


def merge_mattes(mattes: Sequence[Matte]) -> tuple[Floats, Window]:
    """Several mattes as one, 1 - prod(1 - alpha), (h, w) float32 on the smallest window that holds them all."""
    window = bounding_window(mattes)
    return union(mattes, window), window


def union(mattes: Sequence[Matte], window: Window) -> Floats:
    """1 - prod(1 - alpha) of mattes on a window (h, w) of the image."""
    rows, columns = window
    size = (rows.stop - rows.start, columns.stop - columns.start)
    if not mattes:
        return np.zeros(size, np.float32)
    if len(mattes) == 1:
        return mattes[0].crop_to(window)
    transparent = np.ones(size, np.float32)
    for matte in mattes:
        inside, part = matte.overlap(window)
        transparent[inside] *= 1 - part
    return np.asarray(np.subtract(1, transparent, out=transparent), np.float32)


def occluders(person: int, order: Sequence[int], mattes: Mattes | Sequence[Matte]) -> list[Matte]:
    """The mattes of all people nearer than a person; `order` runs from far to near."""
    return [mattes[other] for other in order[list(order).index(person) + 1 :]]


def bounding_window(mattes: Iterable[Matte]) -> Window:
    """The smallest window that holds mattes; of no pixels where all are empty."""
    windows = [matte.window for matte in mattes if not matte.empty]
    if not windows:
        return slice(0, 0), slice(0, 0)
    rows, columns = (
        slice(min(window[axis].start for window in windows), max(window[axis].stop for window in windows))
        for axis in (0, 1)
    )
    return rows, columns


def padded_window(window: Window, rows_px: int, columns_px: int, size: Sequence[int]) -> Window:
    """A window grown on each side, clipped to an image of `size` (height, width)."""
    rows, columns = (
        slice(max(span.start - padding, 0), min(span.stop + padding, side))
        for span, padding, side in zip(window, (rows_px, columns_px), size[:2], strict=True)
    )
    return rows, columns


def window_between(low: ArrayLike, high: ArrayLike, size: Sequence[int]) -> Window | None:
    """The pixels between two corners (x, y), clipped to an image of `size`; None where there are none."""
    height, width = size[:2]
    x0, y0 = np.floor(np.clip(np.asarray(low, np.float64), 0, (width, height))).astype(int).tolist()
    x1, y1 = np.ceil(np.clip(np.asarray(high, np.float64), 0, (width, height))).astype(int).tolist()
    return (slice(y0, y1), slice(x0, x1)) if x1 > x0 and y1 > y0 else None


def alpha_blend(under: Bytes, over: ArrayLike, alpha: Floats) -> Bytes:
    """An image or a colour over an image: (h, w, 3) uint8; where alpha (h, w) is 0, `under` bit for bit.

    over  (h, w, 3) or (3,), 0 to 255
    """
    if not alpha.size:
        return under.copy()
    top = np.asarray(over)
    if top.ndim == 3 and top.dtype == np.uint8:
        return np.asarray(cv2.blendLinear(top, under, alpha, 1 - alpha), np.uint8)
    out = np.ascontiguousarray(under.copy())
    indices = np.flatnonzero(alpha > 0)
    pixels = out.reshape(-1, 3)
    mixed = pixels.take(indices, axis=0).astype(np.float32)
    colour = np.ascontiguousarray(top).reshape(-1, 3).take(indices, axis=0) if top.ndim == 3 else top
    mixed += (colour - mixed) * alpha.reshape(-1).take(indices)[:, None]
    scatter_pixels(pixels, indices, np.rint(mixed, out=mixed).astype(np.uint8))
    return out


def dilate(alpha: NDArray[Kind], margin_px: int, *, closing: int = 0) -> NDArray[Kind]:
    """A matte whose edge lies about so many pixels farther out; nowhere is it less than before.

    closing  times the margin: gaps and bays up to twice as wide are filled too
    """
    if margin_px < 1 or not alpha.size:
        return alpha
    # A wide kernel costs as many steps as it has pixels, so it works on a smaller matte.
    shrink = max(margin_px // 2, 1)
    height, width = alpha.shape
    whole = cv2.copyMakeBorder(alpha, 0, -height % shrink, 0, -width % shrink, cv2.BORDER_REPLICATE)
    size = whole.shape[1] // shrink, whole.shape[0] // shrink
    grown = cv2.dilate(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), _ellipse(-(-margin_px // shrink)))
    if closing:
        reach = -(-closing * margin_px // shrink)
        padded = cv2.copyMakeBorder(grown, reach, reach, reach, reach, cv2.BORDER_CONSTANT)
        closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, _ellipse(reach))
        grown = closed[reach : reach + size[1], reach : reach + size[0]]
    large = cv2.resize(grown, whole.shape[::-1])[:height, :width]
    return np.asarray(cv2.max(alpha, large), alpha.dtype)


def _ellipse(radius: int) -> Bytes:
    side = 2 * radius + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def gather_pixels(image: NDArray[Kind], x: Floats, y: Floats, interpolation: int = cv2.INTER_LINEAR) -> NDArray[Kind]:
    """The values of an image (h, w, C) at fractional pixel numbers x, y (M,): (M, C) of its own type.

    What `cv2.remap` does, for only the pixels that are needed; the border is replicated.
    """
    count = len(x)
    if not count:
        return np.zeros((0, image.shape[2]), image.dtype)
    rows = -(-count // MAX_COLUMNS)
    folded = []
    for values in (x, y):
        plane = np.zeros(rows * MAX_COLUMNS, np.float32)
        plane[:count] = values
        folded.append(plane.reshape(rows, MAX_COLUMNS))
    gathered = cv2.remap(image, folded[0], folded[1], interpolation, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(gathered, image.dtype).reshape(-1, image.shape[2])[:count]


def scatter_pixels(pixels: Bytes, indices: Indices, colours: Bytes) -> None:
    """Write colours (M, 3) over pixels (N, 3), both of them contiguous, at their indices (M,)."""
    # A pixel copied as one item takes a quarter of the time of three.
    whole = np.dtype((np.void, pixels.shape[1]))
    np.put(pixels.view(whole), indices, colours.view(whole))


def estimate_foreground(image: Bytes, alpha: Floats) -> Bytes:
    """Colours (h, w, 3) uint8 of the people alone; `image` bit for bit where alpha (h, w) is 0 or 1, or nearly so."""
    out = np.ascontiguousarray(image.copy())
    mixed = np.flatnonzero((alpha > MIN_ALPHA) & (alpha < 1 - MIN_ALPHA))
    if not len(mixed):
        return out
    side = float(np.sqrt(alpha.size))
    small, weight = _shrunk(_padded(image), NARROW_SHRINK), _shrunk(_padded(alpha), NARROW_SHRINK)
    shrink = WIDE_SHRINK // NARROW_SHRINK
    planes, weight_wide = _planes(_shrunk(small, shrink)), _shrunk(weight, shrink)
    wide = _means(planes, planes, planes, weight_wide, max(round(WIDE * side / WIDE_SHRINK), 1))
    fore, back = ([np.asarray(cv2.resize(mean, weight.shape[::-1]), np.float32) for mean in part] for part in wide)
    fore, back = _means(_planes(small), fore, back, weight, max(round(NARROW * side / NARROW_SHRINK), 1))
    rows, columns = np.divmod(mixed, alpha.shape[1])
    nearest = rows // NARROW_SHRINK * weight.shape[1] + columns // NARROW_SHRINK
    own, own_alpha = out.reshape(-1, 3).take(mixed, axis=0), alpha.reshape(-1).take(mixed)
    fitted = np.empty(own.shape, np.uint8)
    for channel in range(3):
        near, far = fore[channel].reshape(-1).take(nearest), back[channel].reshape(-1).take(nearest)
        fitted[:, channel] = np.rint(_fitted(own[:, channel].astype(np.float32), near, far, own_alpha))
    scatter_pixels(out.reshape(-1, 3), mixed, fitted)
    return out


def _padded(image: NDArray[Kind]) -> NDArray[Kind]:
    """The image padded at its lower right to whole squares of the wide means: those shrink far quicker."""
    more = (-image.shape[0] % WIDE_SHRINK, -image.shape[1] % WIDE_SHRINK)
    return np.asarray(cv2.copyMakeBorder(image, 0, more[0], 0, more[1], cv2.BORDER_REPLICATE), image.dtype)


def _shrunk(image: NDArray[Kind], shrink: int) -> NDArray[Kind]:
    size = image.shape[1] // shrink, image.shape[0] // shrink
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), image.dtype)


def _planes(image: Bytes) -> Planes:
    """The channels apart: sums over (h, w) planes are several times as fast as over (h, w, 3) with a weight (h, w)."""
    return [np.asarray(plane, np.float32) for plane in cv2.split(image)]


def _means(image: Planes, fore: Planes, back: Planes, alpha: Floats, radius: int) -> tuple[Planes, Planes]:
    """One round: foreground and background made to fit the image, and their means over boxes."""
    box = (2 * radius + 1, 2 * radius + 1)
    mine, theirs = _alpha_certainty(alpha), _alpha_certainty(1 - alpha)
    total_mine, total_theirs = (cv2.blur(part, box) + np.float32(1e-6) for part in (mine, theirs))
    fitted = (_fitted(*planes, alpha) for planes in zip(image, fore, back, strict=True))
    mean_fore = [np.asarray(cv2.blur(plane * mine, box) / total_mine, np.float32) for plane in fitted]
    mean_back = [np.asarray(cv2.blur(plane * theirs, box) / total_theirs, np.float32) for plane in back]
    return mean_fore, mean_back


def _alpha_certainty(alpha: Floats) -> Floats:
    """The fourth power: mixed pixels hardly count in a mean."""
    squared = alpha * alpha
    return np.asarray(squared * squared, np.float32)


def _fitted(image: Floats, fore: Floats, back: Floats, alpha: Floats) -> Floats:
    """The foreground moved so that it and the background make up the image."""
    # fore + alpha (image - alpha fore - (1 - alpha) back), with fewer passes over memory
    residual = fore - back
    residual *= alpha
    np.subtract(image, residual, out=residual)
    residual -= back
    residual *= alpha
    residual += fore
    return np.asarray(np.clip(residual, 0, 255, out=residual), np.float32)
