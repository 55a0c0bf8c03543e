"""Where a face, a head or a whole person may be: the region to hide. In doubt it is larger, never smaller.

Three joints of the face or more show where it is and how large. With fewer the size is judged by the shoulders, on the
large side; without any the place is too, and all of the mask above the shoulders is taken along; without shoulders the
upper third of the mask, or of the box.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.effects.body import Body, Point
from poseg.effects.head import head_of
from poseg.effects.layers import around
from poseg.effects.matte import Matte, Window
from poseg.geometry.grid import pixel_centres

Floats = NDArray[np.float32]

SURE_JOINTS = 3
# Breadth of a head in body scales: usually 0.43. The least that is believed where the face is seen, and in doubt.
LEAST_BREADTH, DOUBTFUL_BREADTH = 0.3, 0.55
FACE_RADIUS, FACE_DROP = 0.74, 0.16  # in breadths: covers hairline, chin and ears, from any side
HEAD_RADIUS = 1.0
JOINT_RADIUS = 0.35  # around each joint of the face, wherever it may have been found
GUESSED_RADIUS = 1.45
UPPER_SHARE = 1 / 3
LEAST_ALPHA = 0.02


class Disc(NamedTuple):
    """A disc in image pixels."""

    centre: Point
    radius_px: float


class Hidden(NamedTuple):
    """region (h, w) bool on a window; breadth_px of the head, as good as it is known."""

    region: NDArray[np.bool_]
    window: Window
    breadth_px: float


def hidden(part: str, body: Body, one: Matte, box_xyxy: Floats, size: tuple[int, ...]) -> Hidden | None:
    """What to hide of a person: "face", "head" or "person"; None where nothing tells where the person is.

    box_xyxy  (4,) the person's box, for one who has neither joints nor mask
    size      (height, width) of the picture
    """
    discs, breadth = _discs(body, part)
    seen = one.alpha > LEAST_ALPHA
    if not discs:
        seen = _upper(seen) if part != "person" else seen
    elif part != "person":
        seen = _beyond_shoulders(seen, one, body) if breadth is None else np.zeros_like(seen)
    if not discs and not seen.any():
        return _box(part, box_xyxy, size)
    scale = body.scale_px
    if breadth is None:
        breadth = DOUBTFUL_BREADTH * scale if scale is not None else 0.4 * float(np.sqrt(seen.sum() or 1.0))
    return _joined(discs, seen, one, breadth, size)


def _discs(body: Body, part: str) -> tuple[list[Disc], float | None]:
    """Discs that cover the face or the head, none where neither face nor shoulders were found.

    The breadth of the head comes with them where the face itself gives it.
    """
    head, scale = head_of(body), body.scale_px or 0.0
    if head is not None and len(body.face) >= SURE_JOINTS:
        breadth = max(head.breadth_px, LEAST_BREADTH * scale)
        joints = [Disc(joint, JOINT_RADIUS * breadth) for joint in body.face]
        if part == "face":
            return [Disc(head.eyes + FACE_DROP * breadth * head.down, FACE_RADIUS * breadth), *joints], breadth
        return [Disc(head.middle, HEAD_RADIUS * breadth), *joints], breadth
    breadth = max(DOUBTFUL_BREADTH * scale, 0.0 if head is None else head.breadth_px)
    if breadth < 1:
        return [], None
    discs = [Disc(joint, GUESSED_RADIUS * breadth) for joint in body.face]
    if body.head is not None:
        discs.append(Disc(body.head.centre, max(GUESSED_RADIUS * breadth, body.head.core_px)))
    return discs, None


def _upper(seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The upper part of a mask."""
    upper = seen.copy()
    upper[int(np.ceil(UPPER_SHARE * len(seen))) :] = False
    return upper


def _beyond_shoulders(seen: NDArray[np.bool_], one: Matte, body: Body) -> NDArray[np.bool_]:
    """What a mask has beyond the shoulders, away from the hips, and not to the side of them."""
    if body.neck is None or body.down is None or body.scale_px is None:
        return np.zeros_like(seen)
    x = (pixel_centres(np.arange(seen.shape[1])) + (one.x0 - body.neck[0]))[None]
    y = (pixel_centres(np.arange(seen.shape[0])) + (one.y0 - body.neck[1]))[:, None]
    along, across = x * body.down[0] + y * body.down[1], x * body.down[1] - y * body.down[0]
    return np.asarray(seen & (along < 0) & (np.abs(across) < body.scale_px), np.bool_)


def _joined(
    discs: list[Disc], seen: NDArray[np.bool_], one: Matte, breadth_px: float, size: tuple[int, ...]
) -> Hidden | None:
    """Discs and part of a mask as one region; None where all of it lies outside the picture."""
    lows = [disc.centre - disc.radius_px - 1 for disc in discs]
    highs = [disc.centre + disc.radius_px + 1 for disc in discs]
    if seen.any():
        x, y, columns, rows = cv2.boundingRect(seen.view(np.uint8))
        lows.append(np.array([one.x0 + x, one.y0 + y], np.float64))
        highs.append(np.array([one.x0 + x + columns, one.y0 + y + rows], np.float64))
    window = around(np.min(lows, axis=0), np.max(highs, axis=0), size)
    if window is None:
        return None
    rows_px, columns_px = window
    region = np.zeros((rows_px.stop - rows_px.start, columns_px.stop - columns_px.start), np.bool_)
    if seen.any():
        region |= Matte(seen.astype(np.float32), one.x0, one.y0, one.size).on(window) > 0
    down, right = pixel_centres(np.arange(rows_px.start, rows_px.stop)), np.arange(columns_px.start, columns_px.stop)
    for (x0, y0), radius in discs:
        region |= (pixel_centres(right) - x0) ** 2 + ((down - y0) ** 2)[:, None] <= (radius + 1) ** 2
    return Hidden(region, window, breadth_px)


def _box(part: str, box_xyxy: Floats, size: tuple[int, ...]) -> Hidden | None:
    """A box, or its upper part."""
    x0, y0, x1, y1 = box_xyxy.astype(np.float64)
    window = around((x0, y0), (x1, y1 if part == "person" else y0 + UPPER_SHARE * (y1 - y0)), size)
    if window is None:
        return None
    region = np.ones((window[0].stop - window[0].start, window[1].stop - window[1].start), np.bool_)
    return Hidden(region, window, float(x1 - x0) / 2)
