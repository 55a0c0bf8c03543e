"""Masks: translucent people with crisp contours, and maps of labels.

Letters: N people, H and W of the picture.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.draw.ink import Bytes, Floats, Window, lay, window
from poseg.draw.palette import INK, PAPER, colours, person_colours, tint
from poseg.draw.pose import drawing_order
from poseg.errors import ShapeError
from poseg.people import People

Labels = NDArray[np.uint8 | np.uint16]


def draw_masks(image: Bytes, people: People, *, opacity: float = 0.45) -> Bytes:
    """The picture with everybody's mask: a translucent fill and a contour, large people below small ones.

    image (H, W, 3) uint8 RGB, not written into. People without masks, or with empty ones, leave no trace.
    A pixel that several people claim shows the topmost one only, so that colours never mix.
    Raises ShapeError where the masks are not of the picture's size.
    """
    canvas = image.copy()
    if people.masks is None:
        return canvas
    if people.masks.shape[1:] != image.shape[:2]:
        raise ShapeError("people.masks", expected=(len(people), *image.shape[:2]), got=people.masks.shape)
    half_line = contour_half_width_px(image.shape)
    shades = person_colours(people)
    for person in drawing_order(people):
        mask = people.masks.full(int(person))
        place = _extent(mask, margin_px=int(np.ceil(2 * half_line + 3)))
        if place is not None:
            _draw_mask(canvas[place], image[place], mask[place], shades[person], opacity, half_line)
    return canvas


def contour_half_width_px(shape: tuple[int, ...]) -> float:
    """Half the width of contours in a picture of this shape."""
    return float(np.clip(0.0011 * np.hypot(shape[0], shape[1]), 0.75, 4.0))


def label_map(people: People, size: tuple[int, int] | None = None) -> Labels:
    """Who is where: (H, W), 0 for nobody and i + 1 for person i; where masks overlap the surer person wins.

    uint8 up to 255 people, uint16 beyond. `size` (height, width) is needed only where `people.masks` is None
    (then everything is 0). Raises ShapeError without masks and size.
    """
    shape = size if people.masks is None else people.masks.shape[1:]
    if shape is None:
        raise ShapeError("people.masks", expected="(N, H, W), or else pass size=(height, width)", got=None)
    labels: Labels = np.zeros(shape, np.uint8 if len(people) <= np.iinfo(np.uint8).max else np.uint16)
    if people.masks is not None:
        # Least sure first; among equals the later one first, so that the order of the people decides.
        for person in np.lexsort((-np.arange(len(people)), people.scores)):
            bits, left, top = people.masks.bitmap(int(person))
            labels[top : top + bits.shape[0], left : left + bits.shape[1]][bits] = person + 1
    return labels


def colour_label_map(labels: Labels, people: People | None = None) -> Bytes:
    """A label map as a picture: (H, W, 3) uint8 RGB, black for nobody, else the colours that drawing uses.

    `people` gives colours by their ids; without it label i + 1 has the colour of index i.
    """
    top = int(labels.max(initial=0))
    shades = colours(np.arange(top)) if people is None else person_colours(people)
    if len(shades) < top:
        raise ShapeError("people", expected=f"{top} people for labels up to {top}", got=len(shades))
    table = np.concatenate([np.zeros((1, 3), np.uint8), shades])
    picture: Bytes = table[labels]
    return picture


def _extent(mask: NDArray[np.bool_], margin_px: int) -> Window | None:
    """The window around a mask with a margin; None for an empty mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    low = np.array([columns[0], rows[0]]) - margin_px
    return window(low, np.array([columns[-1], rows[-1]]) + 1 + margin_px, mask.shape)


def _draw_mask(
    part: Bytes, original: Bytes, mask: NDArray[np.bool_], colour: Bytes, opacity: float, half_line: float
) -> None:
    """Fill and contour one mask, all given in its window; `part` is written."""
    under = original[mask].astype(np.float32)
    part[mask] = np.rint(under + (colour.astype(np.float32) - under) * opacity).astype(np.uint8)
    height = _height(mask)
    outer = np.clip(2 * half_line + 1.0 - np.abs(height), 0, 1)
    lay(part, np.where(height < 0, outer, 0).astype(np.float32), INK, 0.45)
    lay(part, np.clip(half_line + 0.5 - np.abs(height), 0, 1), tint(colour, PAPER, 0.15))


def _height(mask: NDArray[np.bool_]) -> Floats:
    """Signed distance from the contour in pixels, positive inside; the picture's border is no contour."""
    if mask.all():
        return np.full(mask.shape, np.float32(mask.size), np.float32)
    filled = mask.astype(np.uint8)
    inside = cv2.distanceTransform(filled, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    outside = cv2.distanceTransform(1 - filled, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Both transforms count from pixel centres, so they jump by one across the contour; then the steps are smoothed.
    height = np.where(mask, inside - 0.5, 0.5 - outside).astype(np.float32)
    smooth: Floats = np.asarray(cv2.GaussianBlur(height, (0, 0), 0.8), np.float32)
    return np.where(np.abs(height) < 6, smooth, height)
