"""A mask for a person who has joints but no mask: thick limbs, a filled torso and the disc of the head.

Rough, but enough to hide what is behind a person. Clothes and hair stick out of it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.effects.body import Body
from poseg.skeletons import OPENPOSE18

LIMBS = tuple(
    (f"{side}_{upper}", f"{side}_{lower}", share)
    for side in ("left", "right")
    for upper, lower, share in (
        ("shoulder", "elbow", 0.30),
        ("elbow", "wrist", 0.24),
        ("hip", "knee", 0.42),
        ("knee", "ankle", 0.32),
    )
)  # the last number: thickness in body scales
TORSO = ("left_shoulder", "right_shoulder", "right_hip", "left_hip")
SHIFT = 4  # fractional bits of cv2's drawing coordinates
FAR_PX = 30_000.0


def stand_in(points: NDArray[np.float32], found: NDArray[np.bool_], size: tuple[int, ...]) -> NDArray[np.bool_]:
    """(H, W) bool mask around the joints found: (18, 2) of OPENPOSE18, (18,) bool; nothing where S is not known."""
    mask = np.zeros(size[:2], np.uint8)
    body = Body(np.clip(points.astype(np.float64), -FAR_PX, FAR_PX), found, 0.0)
    scale = body.scale_px
    if scale is None:
        return mask.astype(np.bool_)
    at = np.rint((body.points - 0.5) * (1 << SHIFT)).astype(np.int32)
    for upper, lower, share in LIMBS:
        a, b = OPENPOSE18.index(upper), OPENPOSE18.index(lower)
        if found[a] and found[b]:
            thick = max(1, round(share * scale))
            cv2.line(mask, at[a].tolist(), at[b].tolist(), 1, thick, cv2.LINE_8, SHIFT)
    corners = torso_corners(body.points, found)
    if corners is not None:
        torso = np.rint((corners - 0.5) * (1 << SHIFT)).astype(np.int32)
        cv2.fillConvexPoly(mask, torso, 1, cv2.LINE_8, SHIFT)
        outline = max(1, round(0.3 * scale))
        cv2.polylines(mask, [torso], True, 1, outline, cv2.LINE_8, SHIFT)
    elif body.neck is not None and body.down is not None:
        _stub(mask, body.neck, body.neck + 1.5 * scale * body.down, scale)
    if body.head is not None:
        _stub(mask, body.head.centre, body.head.centre, 1.6 * body.head.core_px)
        if body.neck is not None:
            _stub(mask, body.head.centre, body.neck, 0.4 * scale)
    return mask.astype(np.bool_)


def torso_corners(points: ArrayLike, found: NDArray[np.bool_]) -> NDArray[np.float32] | None:
    """(C, 2) corners of the convex torso between shoulders and hips; None unless all four were found."""
    corners = [OPENPOSE18.index(name) for name in TORSO]
    if not found[corners].all():
        return None
    hull = cv2.convexHull(np.asarray(points, np.float32)[corners])
    return np.asarray(hull, np.float32).reshape(-1, 2)


def _stub(mask: NDArray[np.uint8], start: NDArray[np.float64], end: NDArray[np.float64], thick_px: float) -> None:
    a, b = (np.rint((p - 0.5) * (1 << SHIFT)).astype(int).tolist() for p in (start, end))
    cv2.line(mask, a, b, 1, max(1, round(thick_px)), cv2.LINE_8, SHIFT)
