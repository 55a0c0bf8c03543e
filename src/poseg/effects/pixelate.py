"""Coarse squares over faces, heads or people, so that they are not recognised.

The region to hide is rather too large than too small. Three joints of the face or more show its position and size. With
fewer the size is estimated from the shoulders, on the large side; without any the position is too, and all of the mask
above the shoulders is added; without shoulders it is the upper third of the mask, or of the box.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.effects.body import Body, Point, bodies
from poseg.effects.compositing import NOT_LOCATED, window_between
from poseg.effects.effect import Colour, Effect, EffectResult, Image, SkippedPerson, check_colour
from poseg.effects.head import head_frame
from poseg.effects.matte import Matte, Mattes, Window
from poseg.errors import EffectError
from poseg.geometry.grid import pixel_centres
from poseg.people import People

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]

PARTS = ("face", "head", "person")
MIN_CELL_PX = 2
MIN_FACE_JOINTS = 3
# Breadth of a head in body scales, usually 0.43: the minimum where the face is visible, and the estimate where not.
MIN_BREADTH, ESTIMATED_BREADTH = 0.3, 0.55
FACE_RADIUS, FACE_DROP = 0.74, 0.16  # in breadths: covers hairline, chin and ears, from any side
HEAD_RADIUS = 1.0
JOINT_RADIUS = 0.35  # around each joint of the face, wherever it was predicted
ESTIMATED_RADIUS = 1.45
UPPER_FRACTION = 1 / 3
MIN_ALPHA = 0.02


@dataclass(frozen=True, kw_only=True)
class Pixelate(Effect):
    """Squares of one colour each over a part of people and whatever is in front of it.

    part    "face", "head" or "person"
    cells   squares across the breadth of a head, at full strength; fewer hide more
    colour  red, green and blue to fill the squares with, which hides most; None for the mean of what each covers

    Below strength 1 the squares are smaller; for privacy leave it at 1. In doubt more is covered: see `region_to_hide`.
    """

    name: ClassVar[str] = "pixelate"

    part: str = "face"
    cells: int = 5
    colour: Colour | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.part not in PARTS:
            raise EffectError(f"What can be pixelated is {', '.join(PARTS)}, got {self.part!r}.")
        if not 1 <= self.cells <= 64:
            raise EffectError(f"Squares across a head are 1 to 64, got {self.cells}.")
        if self.colour is not None:
            check_colour(self.colour)

    def render(self, image: Image, people: People, selected: tuple[int, ...]) -> EffectResult:
        """The image with squares over the selected people."""
        out, skipped = image.copy(), []
        picked = people[list(selected)]
        persons = zip(selected, bodies(picked), Mattes(image, picked, feather=0), picked.boxes_xyxy, strict=True)
        for person, body, matte, box in persons:
            region = region_to_hide(self.part, body, matte, box)
            if region is None:
                skipped.append(SkippedPerson(person, NOT_LOCATED))
                continue
            cell_px = max(round(self.strength * region.breadth_px / self.cells), MIN_CELL_PX)
            draw_mosaic(out, region, cell_px, self.colour)
        return EffectResult(out, tuple(skipped))


class PrivacyRegion(NamedTuple):
    """mask (h, w) bool on a window; breadth_px of the head, as good as it is known."""

    mask: Bools
    window: Window
    breadth_px: float


class Disc(NamedTuple):
    """A disc in image pixels."""

    centre: Point
    radius_px: float


def draw_mosaic(image: Image, region: PrivacyRegion, cell_px: int, colour: Colour | None) -> None:
    """Fill each square that touches the region with one colour, in place. Squares begin at the region's corner."""
    rows, columns = region.mask.shape
    cell_px = min(cell_px, max(image.shape[:2]))  # of a person far larger than the image
    down, across = -(-rows // cell_px), -(-columns // cell_px)
    y, x = region.window[0].start, region.window[1].start
    part = image[y : y + down * cell_px, x : x + across * cell_px]
    whole = np.zeros((down * cell_px, across * cell_px), np.bool_)
    whole[:rows, :columns] = region.mask
    touched = whole.reshape(down, cell_px, across, cell_px).any(axis=(1, 3))
    if colour is None:
        padding = (down * cell_px - part.shape[0], across * cell_px - part.shape[1])
        padded = cv2.copyMakeBorder(part, 0, padding[0], 0, padding[1], cv2.BORDER_REPLICATE)
        squares: Image = np.asarray(cv2.resize(padded, (across, down), interpolation=cv2.INTER_AREA), np.uint8)
    else:
        squares = np.empty((down, across, 3), np.uint8)
        squares[:] = colour
    large = (across * cell_px, down * cell_px)
    filled = cv2.resize(squares, large, interpolation=cv2.INTER_NEAREST)[: part.shape[0], : part.shape[1]]
    over = cv2.resize(np.asarray(touched, np.uint8), large, interpolation=cv2.INTER_NEAREST)
    np.copyto(part, filled, where=(over[: part.shape[0], : part.shape[1], None] > 0))


def region_to_hide(part: str, body: Body, matte: Matte, box_xyxy: Floats) -> PrivacyRegion | None:
    """What to hide of a person: "face", "head" or "person"; None where the person's position is not known.

    box_xyxy  (4,) the person's box, for one who has neither joints nor mask
    """
    discs, breadth = _discs(body, part)
    mask = matte.alpha > MIN_ALPHA
    if not discs:
        mask = _upper(mask) if part != "person" else mask
    elif part != "person":
        mask = _above_shoulders(mask, matte, body) if breadth is None else np.zeros_like(mask)
    if not discs and not mask.any():
        return _box_region(part, box_xyxy, matte.size)
    scale = body.scale_px
    if breadth is None:
        breadth = ESTIMATED_BREADTH * scale if scale is not None else 0.4 * float(np.sqrt(mask.sum() or 1.0))
    return _joined_region(discs, mask, matte, breadth)


def _discs(body: Body, part: str) -> tuple[list[Disc], float | None]:
    """Discs that cover the face or the head, none where neither face nor shoulders are visible.

    The breadth of the head is returned with them where the face itself gives it.
    """
    head, scale = head_frame(body), body.scale_px or 0.0
    if head is not None and len(body.face) >= MIN_FACE_JOINTS:
        breadth = max(head.breadth_px, MIN_BREADTH * scale)
        joints = [Disc(joint, JOINT_RADIUS * breadth) for joint in body.face]
        if part == "face":
            return [Disc(head.eyes + FACE_DROP * breadth * head.y_axis, FACE_RADIUS * breadth), *joints], breadth
        return [Disc(head.centre, HEAD_RADIUS * breadth), *joints], breadth
    breadth = max(ESTIMATED_BREADTH * scale, 0.0 if head is None else head.breadth_px)
    if breadth < 1:
        return [], None
    discs = [Disc(joint, ESTIMATED_RADIUS * breadth) for joint in body.face]
    if body.head is not None:
        discs.append(Disc(body.head.centre, max(ESTIMATED_RADIUS * breadth, body.head.inner_radius_px)))
    return discs, None


def _upper(mask: Bools) -> Bools:
    """The upper part of a mask."""
    upper = mask.copy()
    upper[int(np.ceil(UPPER_FRACTION * len(mask))) :] = False
    return upper


def _above_shoulders(mask: Bools, matte: Matte, body: Body) -> Bools:
    """The part of a mask beyond the shoulders, away from the hips, and not to the side of them."""
    if body.neck is None or body.down is None or body.scale_px is None:
        return np.zeros_like(mask)
    x = (pixel_centres(np.arange(mask.shape[1])) + (matte.x0 - body.neck[0]))[None]
    y = (pixel_centres(np.arange(mask.shape[0])) + (matte.y0 - body.neck[1]))[:, None]
    along, across = x * body.down[0] + y * body.down[1], x * body.down[1] - y * body.down[0]
    return np.asarray(mask & (along < 0) & (np.abs(across) < body.scale_px), np.bool_)


def _joined_region(discs: list[Disc], mask: Bools, matte: Matte, breadth_px: float) -> PrivacyRegion | None:
    """Discs and part of a mask as one region; None where all of it lies outside the image."""
    lows = [disc.centre - disc.radius_px - 1 for disc in discs]
    highs = [disc.centre + disc.radius_px + 1 for disc in discs]
    if mask.any():
        x, y, columns, rows = cv2.boundingRect(mask.view(np.uint8))
        lows.append(np.array([matte.x0 + x, matte.y0 + y], np.float64))
        highs.append(np.array([matte.x0 + x + columns, matte.y0 + y + rows], np.float64))
    window = window_between(np.min(lows, axis=0), np.max(highs, axis=0), matte.size)
    if window is None:
        return None
    across, down = (pixel_centres(np.arange(span.start, span.stop)) for span in window[::-1])
    region = Matte(mask.astype(np.float32), matte.x0, matte.y0, matte.size).crop_to(window) > 0
    for (x0, y0), radius in discs:
        region |= (across - x0) ** 2 + ((down - y0) ** 2)[:, None] <= (radius + 1) ** 2
    return PrivacyRegion(region, window, breadth_px)


def _box_region(part: str, box_xyxy: Floats, size: tuple[int, int]) -> PrivacyRegion | None:
    """A box, or its upper part."""
    x0, y0, x1, y1 = box_xyxy.astype(np.float64)
    window = window_between((x0, y0), (x1, y1 if part == "person" else y0 + UPPER_FRACTION * (y1 - y0)), size)
    if window is None:
        return None
    mask = np.ones((window[0].stop - window[0].start, window[1].stop - window[1].start), np.bool_)
    return PrivacyRegion(mask, window, float(x1 - x0) / 2)
