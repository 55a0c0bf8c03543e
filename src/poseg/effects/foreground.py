"""Colours of people without the background that shines in at their edges.

A pixel at the edge of a person shows I = alpha F + (1 - alpha) B. Put before another background it keeps the old one's
colour: the fringe. F is estimated by blur fusion (Forte, "Approximate fast foreground colour estimation", 2021): means
of F and B over boxes, weighted by powers of alpha and 1 - alpha, then the step that makes the equation hold; a wide
box first, then a narrow one.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

WIDE, NARROW = 0.06, 0.006  # radii of the boxes, in the square root of the window's area
SURENESS = 4  # pixels count in a mean by this power of how much they show: mixed ones hardly at all
WIDE_SHRINK, NARROW_SHRINK = 8, 2  # the means are taken on a picture so many times smaller


def clean_colours(image: Bytes, alpha: Floats) -> Bytes:
    """Colours (h, w, 3) uint8 of the people of a window; where alpha (h, w) is 1, `image` bit for bit."""
    mixed = np.flatnonzero((alpha > 0) & (alpha < 1))
    out = np.ascontiguousarray(image.copy())
    if not len(mixed):
        return out
    reach = float(np.sqrt(alpha.size))
    picture, share = _smaller(image, NARROW_SHRINK), _smaller(alpha, NARROW_SHRINK)
    little, little_share = _smaller(picture, WIDE_SHRINK / NARROW_SHRINK), _smaller(share, WIDE_SHRINK / NARROW_SHRINK)
    fore, back = _means(little, little, little, little_share, max(round(WIDE * reach / WIDE_SHRINK), 1))
    fore, back = (np.asarray(cv2.resize(part, share.shape[::-1]), np.float32) for part in (fore, back))
    fore, back = _means(picture, fore, back, share, max(round(NARROW * reach / NARROW_SHRINK), 1))
    rows, columns = np.divmod(mixed, alpha.shape[1])
    at = (rows * fore.shape[0]) // alpha.shape[0] * fore.shape[1] + (columns * fore.shape[1]) // alpha.shape[1]
    pixels, share = out.reshape(-1, 3), alpha.reshape(-1)[mixed, None]
    fore, back = fore.reshape(-1, 3)[at], back.reshape(-1, 3)[at]
    fitted = _fitted(pixels[mixed].astype(np.float32), fore, back, share)
    pixels[mixed] = np.rint(fitted).astype(np.uint8)
    return out


def _smaller(picture: NDArray[Any], shrink: float) -> Floats:
    size = max(round(picture.shape[1] / shrink), 1), max(round(picture.shape[0] / shrink), 1)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)


def _means(image: Floats, fore: Floats, back: Floats, share: Floats, radius: int) -> tuple[Floats, Floats]:
    """One round: foreground and background made to fit the picture, and their means over boxes."""
    box, weight = (2 * radius + 1, 2 * radius + 1), share[..., None]
    fore = _fitted(image, fore, back, weight)
    mine, theirs = share**SURENESS, (1 - share) ** SURENESS
    mean_fore = cv2.blur(fore * mine[..., None], box) / (cv2.blur(mine, box)[..., None] + np.float32(1e-6))
    mean_back = cv2.blur(back * theirs[..., None], box) / (cv2.blur(theirs, box)[..., None] + np.float32(1e-6))
    return np.asarray(mean_fore, np.float32), np.asarray(mean_back, np.float32)


def _fitted(image: Floats, fore: Floats, back: Floats, weight: Floats) -> Floats:
    """The foreground moved so that it and the background make up the picture."""
    return np.asarray(np.clip(fore + weight * (image - weight * fore - (1 - weight) * back), 0, 255), np.float32)
