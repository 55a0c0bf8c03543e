"""Colours of people without the background that shines in at their edges.

A pixel at the edge of a person shows I = alpha F + (1 - alpha) B. Put before another background it keeps the old one's
colour: the fringe. F is estimated by blur fusion (Forte, "Approximate fast foreground colour estimation", 2021): means
of F and B over boxes, weighted by powers of alpha and 1 - alpha, then the step that makes the equation hold; a wide
box first, then a narrow one.
"""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.effects.sampling import put

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Planes = list[Floats]
Kind = TypeVar("Kind", np.uint8, np.float32)

WIDE, NARROW = 0.06, 0.006  # radii of the boxes, in the square root of the window's area
UNSEEN = np.float32(0.5 / 255)
WIDE_SHRINK, NARROW_SHRINK = 8, 2  # the means are taken on a picture so many times smaller


def clean_colours(image: Bytes, alpha: Floats) -> Bytes:
    """Colours (h, w, 3) uint8 of the people of a window; where alpha (h, w) is 1, `image` bit for bit.

    So they are where alpha is so near to 0 or 1 that it is not seen.
    """
    out = np.ascontiguousarray(image.copy())
    mixed = np.flatnonzero((alpha > UNSEEN) & (alpha < 1 - UNSEEN))
    if not len(mixed):
        return out
    reach = float(np.sqrt(alpha.size))
    picture, share = _smaller(_whole(image), NARROW_SHRINK), _smaller(_whole(alpha), NARROW_SHRINK)
    again = WIDE_SHRINK // NARROW_SHRINK
    little, little_share = _smaller(picture, again), _smaller(share, again)
    planes = _planes(little)
    wide = _means(planes, planes, planes, little_share, max(round(WIDE * reach / WIDE_SHRINK), 1))
    fore, back = ([np.asarray(cv2.resize(one, share.shape[::-1]), np.float32) for one in part] for part in wide)
    fore, back = _means(_planes(picture), fore, back, share, max(round(NARROW * reach / NARROW_SHRINK), 1))
    at, own = _nearest(mixed, alpha.shape[1], share.shape[1]), out.reshape(-1, 3).take(mixed, axis=0)
    there = alpha.reshape(-1).take(mixed)
    fitted = np.empty(own.shape, np.uint8)
    for channel in range(3):
        near, far = fore[channel].reshape(-1).take(at), back[channel].reshape(-1).take(at)
        fitted[:, channel] = np.rint(_fitted(own[:, channel].astype(np.float32), near, far, there))
    put(out.reshape(-1, 3), mixed, fitted)
    return out


def _whole(picture: NDArray[Kind]) -> NDArray[Kind]:
    """The picture carried on at its lower right to whole squares of the wide means: those shrink far quicker."""
    more = (-picture.shape[0] % WIDE_SHRINK, -picture.shape[1] % WIDE_SHRINK)
    return np.asarray(cv2.copyMakeBorder(picture, 0, more[0], 0, more[1], cv2.BORDER_REPLICATE), picture.dtype)


def _smaller(picture: NDArray[Kind], shrink: int) -> NDArray[Kind]:
    size = picture.shape[1] // shrink, picture.shape[0] // shrink
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), picture.dtype)


def _planes(picture: Bytes) -> Planes:
    """The channels apart: sums over (h, w) planes are several times as fast as over (h, w, 3) with a weight (h, w)."""
    return [np.asarray(plane, np.float32) for plane in cv2.split(picture)]


def _nearest(places: NDArray[np.intp], width: int, small_width: int) -> NDArray[np.intp]:
    """Numbers of the narrow means' pixels that hold pixels of the picture, all in flattened pictures."""
    rows, columns = np.divmod(places, width)
    return np.asarray(rows // NARROW_SHRINK * small_width + columns // NARROW_SHRINK, np.intp)


def _means(image: Planes, fore: Planes, back: Planes, share: Floats, radius: int) -> tuple[Planes, Planes]:
    """One round: foreground and background made to fit the picture, and their means over boxes."""
    box = (2 * radius + 1, 2 * radius + 1)
    mine, theirs = _sureness(share), _sureness(1 - share)
    total_mine, total_theirs = (cv2.blur(part, box) + np.float32(1e-6) for part in (mine, theirs))
    fitted = (_fitted(*planes, share) for planes in zip(image, fore, back, strict=True))
    mean_fore = [np.asarray(cv2.blur(plane * mine, box) / total_mine, np.float32) for plane in fitted]
    mean_back = [np.asarray(cv2.blur(plane * theirs, box) / total_theirs, np.float32) for plane in back]
    return mean_fore, mean_back


def _sureness(share: Floats) -> Floats:
    """The fourth power: mixed pixels hardly count in a mean."""
    squared = share * share
    return np.asarray(squared * squared, np.float32)


def _fitted(image: Floats, fore: Floats, back: Floats, weight: Floats) -> Floats:
    """The foreground moved so that it and the background make up the picture."""
    # fore + w (image - w fore - (1 - w) back), with fewer passes over memory
    lack = fore - back
    lack *= weight
    np.subtract(image, lack, out=lack)
    lack -= back
    lack *= weight
    lack += fore
    return np.asarray(np.clip(lack, 0, 255, out=lack), np.float32)
