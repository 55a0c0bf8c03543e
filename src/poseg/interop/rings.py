"""Masks as polygons, for the formats that have nothing else, and back.

A polygon keeps a mask's outer edges to about half a pixel, and loses its holes.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.geometry.masks import Masks
from poseg.geometry.rle import segmentation_mask

Ring = NDArray[np.float32]  # (P, 2) continuous pixels

TOLERANCE_PX = 0.4
MIN_AREA_PX = 2.0  # of a part; a mask of less than this in all has no polygon


def mask_rings(masks: Masks, row: int) -> list[Ring]:
    """The outer edges of the parts of one mask, largest first; empty for an empty mask."""
    bits, left, top = masks.bitmap(row)
    if not bits.size:
        return []
    # On twice the pixels the traced pixel centres lie a quarter of a pixel inside the edge: all pixels whose centre is
    # in the polygon are those of the mask, whichever rule fills it.
    large = np.pad(bits, 1).repeat(2, axis=0).repeat(2, axis=1).astype(np.uint8)
    contours: Any = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
    rings = [cv2.approxPolyDP(contour, 2 * TOLERANCE_PX, True)[:, 0] for contour in contours]
    rings = [(ring.astype(np.float32) + 0.5) / 2 - 1 + np.array([left, top], np.float32) for ring in rings]
    rings = [ring for ring in rings if len(ring) > 2 and cv2.contourArea(ring) >= MIN_AREA_PX]
    return sorted(rings, key=lambda ring: -cv2.contourArea(ring))


def joined_ring(rings: list[Ring]) -> Ring:
    """All parts as one polygon, for formats that have one a person: bridges of no width lead to each part and back."""
    if len(rings) < 2:
        return rings[0] if rings else np.zeros((0, 2), np.float32)
    start = rings[0][:1]
    return np.concatenate([rings[0], start, *chain.from_iterable((ring, ring[:1], start) for ring in rings[1:])])


def rings_mask(rings: list[Ring], size: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W) mask that polygons enclose. Raises AnnotationError for coordinates that are not near the image."""
    return segmentation_mask([ring.astype(np.float64).reshape(-1).tolist() for ring in rings], size)
