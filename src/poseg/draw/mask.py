"""Masks: translucent people with crisp contours, and label maps.

Letters: N people, H x W pixels of the image.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.draw.antialias import Bytes, Floats, Slices, blend, clipped_slices
from poseg.draw.palette import INK, PAPER, colours, person_colours, tint
from poseg.draw.pose import drawing_order
from poseg.errors import ShapeError
from poseg.geometry.masks import Masks
from poseg.people import People

Labels = NDArray[np.uint8 | np.uint16]


def draw_masks(image: Bytes, people: People, *, opacity: float = 0.45) -> Bytes:
    """The image with the masks of all people: a translucent fill and a contour, large people below small ones.

    image (H, W, 3) uint8 RGB, not modified. People without masks, or with empty ones, are not drawn. A pixel in
    several masks shows the topmost one only, so that colours never mix. Raises ShapeError where the masks are not of
    the image's size.
    """
    canvas = image.copy()
    if people.masks is None:
        return canvas
    if people.masks.size != image.shape[:2]:
        raise ShapeError("people.masks", expected=(len(people), *image.shape[:2]), got=people.masks.shape)
    half_width = contour_half_width_px(image.shape)
    shades = person_colours(people)
    for person in drawing_order(people):
        padded = _padded_mask(people.masks, int(person), padding_px=int(np.ceil(2 * half_width + 3)))
        if padded is not None:
            part, mask = padded
            _draw_mask(canvas[part], image[part], mask, shades[person], opacity, half_width)
    return canvas


def contour_half_width_px(shape: tuple[int, ...]) -> float:
    """Half the width of contours on an image of this shape."""
    return float(np.clip(0.0011 * np.hypot(shape[0], shape[1]), 0.75, 4.0))


def label_map(people: People, size: tuple[int, int] | None = None) -> Labels:
    """(H, W): 0 for background and i + 1 for person i; where masks overlap the higher score wins.

    uint8 up to 255 people, uint16 beyond. `size` (height, width) is needed only where `people.masks` is None
    (then all labels are 0). Raises ShapeError without masks and size.
    """
    shape = size if people.masks is None else people.masks.size
    if shape is None:
        raise ShapeError("people.masks", expected="(N, H, W), or else pass size=(height, width)", got=None)
    labels: Labels = np.zeros(shape, np.uint8 if len(people) <= np.iinfo(np.uint8).max else np.uint16)
    if people.masks is not None:
        # Lowest score first; among equals the later person first, so that the order of the people decides.
        for person in np.lexsort((-np.arange(len(people)), people.scores)):
            bits, left, top = people.masks.bitmap(int(person))
            labels[top : top + bits.shape[0], left : left + bits.shape[1]][bits] = person + 1
    return labels


def colour_label_map(labels: Labels, people: People | None = None) -> Bytes:
    """A label map as an image: (H, W, 3) uint8 RGB, black for background, else the colours of drawings.

    `people` gives colours by their ids; without it label i + 1 has the colour of index i.
    """
    top = int(labels.max(initial=0))
    shades = colours(np.arange(top)) if people is None else person_colours(people)
    if len(shades) < top:
        raise ShapeError("people", expected=f"{top} people for labels up to {top}", got=len(shades))
    table: Bytes = np.concatenate([np.zeros((1, 3), np.uint8), shades])
    image: Bytes = table[labels]
    return image


def _padded_mask(masks: Masks, person: int, padding_px: int) -> tuple[Slices, NDArray[np.bool_]] | None:
    """The padded box around a mask, and the mask in it; None for an empty mask."""
    bits, left, top = masks.bitmap(person)
    rows, columns = np.flatnonzero(bits.any(axis=1)), np.flatnonzero(bits.any(axis=0))
    if not len(rows):
        return None
    bits = bits[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    low = np.array([left + columns[0], top + rows[0]])
    part = clipped_slices(low - padding_px, low + bits.shape[::-1] + padding_px, masks.size)
    assert part is not None
    mask = np.zeros((part[0].stop - part[0].start, part[1].stop - part[1].start), np.bool_)
    x, y = low[0] - part[1].start, low[1] - part[0].start
    mask[y : y + bits.shape[0], x : x + bits.shape[1]] = bits
    return part, mask


def _draw_mask(
    part: Bytes, original: Bytes, mask: NDArray[np.bool_], colour: Bytes, opacity: float, half_width: float
) -> None:
    """Fill and contour one mask; `part` is modified."""
    under = original[mask].astype(np.float32)
    part[mask] = np.rint(under + (colour.astype(np.float32) - under) * opacity).astype(np.uint8)
    distance = _signed_distance(mask)
    outer = np.clip(2 * half_width + 1.0 - np.abs(distance), 0, 1)
    blend(part, np.where(distance < 0, outer, 0).astype(np.float32), INK, 0.45)
    blend(part, np.clip(half_width + 0.5 - np.abs(distance), 0, 1), tint(colour, PAPER, 0.15))


def _signed_distance(mask: NDArray[np.bool_]) -> Floats:
    """Signed distance from the contour in pixels, positive inside; the image's border is not a contour."""
    if mask.all():
        return np.full(mask.shape, np.float32(mask.size), np.float32)
    filled = mask.astype(np.uint8)
    inside = cv2.distanceTransform(filled, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    outside = cv2.distanceTransform(1 - filled, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Both transforms count from pixel centres, so they jump by one across the contour; then the steps are smoothed.
    distance = np.where(mask, inside - 0.5, 0.5 - outside).astype(np.float32)
    smooth: Floats = np.asarray(cv2.GaussianBlur(distance, (0, 0), 0.8), np.float32)
    return np.where(np.abs(distance) < 6, smooth, distance)
