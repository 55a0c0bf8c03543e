"""Masks whose edges do not flicker: each is blended with the one before, moved by as much as the person moved.

Only a thin band along the edge is blended, since what changes far from the edge is no flicker but an arm that moved, or
somebody who steps in front: such pixels change at once, and nobody leaves a trail wider than the band.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.errors import VideoError
from poseg.geometry.masks import Masks
from poseg.geometry.rle import tight_boxes
from poseg.people import People
from poseg.runtime.body_scale import body_scales
from poseg.runtime.tracker import motions

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Window = tuple[slice, slice]

_MARGIN_PX = 2
_HALF = 0.5
_ROUNDING = 1e-5  # of a mean of zeros or of ones


@dataclass(frozen=True, slots=True)
class Blending:
    """Choices of the blend.

    share   of the present mask in the blend of who stands still, 0 to 1; below a half, a change must last
    band    half the width of the band along the edge, in body scales
    speed   body scales a second at which the present counts alone: who moves fast blurs anyway
    gap_s   somebody who was away for longer starts anew
    """

    share: float = 0.25
    band: float = 0.08
    speed: float = 6.0
    gap_s: float = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class _Trace:
    """What is kept of a person: who, row by row, and the soft mask in a window of the picture."""

    person: People
    soft: Floats
    window: Window
    seen_s: float


@dataclass(slots=True)
class MaskSteadier:
    """Steadies the masks of frame after frame: `steadier.update(people, time_s)`; people need ids.

    One steadier follows one clip or camera.
    """

    choices: Blending = field(default_factory=Blending)
    _traces: dict[int, _Trace] = field(default_factory=dict, init=False)

    def update(self, people: People, time_s: float) -> People:
        """The same people with steadied masks, and boxes tight around them; as they are where there are no masks.

        A mask that nobody knows (all false) stays so. Raises VideoError for people without ids.
        """
        if people.ids is None:
            raise VideoError("Masks are steadied by the people's ids, which are missing; give them to a Tracker first.")
        if people.masks is None:
            return people
        size = people.masks.shape[1:]
        kept = {
            person: trace
            for person, trace in self._traces.items()
            if time_s - trace.seen_s <= self.choices.gap_s and _fits(trace.window, size)
        }
        full = people.masks.full()
        masks = np.zeros_like(full)
        scales = body_scales(people).tolist()
        tight = tight_boxes(full)
        for row, (person, scale_px) in enumerate(zip(people.ids.tolist(), scales, strict=True)):
            if not tight[row].any():
                continue
            trace = self._blend(people[[row]], tight[row], kept.get(person), scale_px, time_s)
            masks[row][trace.window] = trace.soft > _HALF
            kept[person] = trace
        self._traces = kept
        around = tight_boxes(masks)
        known = around.any(axis=1, keepdims=True)
        return replace(people, masks=Masks.from_full(masks), boxes_xyxy=np.where(known, around, people.boxes_xyxy))

    def _blend(self, person: People, box: Floats, before: _Trace | None, scale_px: float, time_s: float) -> _Trace:
        """The soft mask of a person now, in a window around both masks."""
        assert person.masks is not None
        mask = person.masks.full(0)
        radius_px = max(1, round(self.choices.band * scale_px))
        bare = replace(person, masks=None, timings=None)
        if before is None or time_s <= before.seen_s:
            window = _window(box, radius_px + _MARGIN_PX, mask.shape)
            return _Trace(bare, mask[window].astype(np.float32), window, time_s)
        shift = motions(before.person, bare)[0]
        window = _window(box, radius_px + _MARGIN_PX, mask.shape)
        present = mask[window].astype(np.float32)
        past = _moved(before.soft, before.window, shift, window)
        speed = float(np.hypot(*shift)) / scale_px / (time_s - before.seen_s)
        share = self.choices.share + (1 - self.choices.share) * min(1.0, speed / self.choices.speed)
        blend = share * present + (1 - share) * past
        soft = np.where(_band(present, radius_px) & _band(past, radius_px), blend, present)
        return _Trace(bare, soft.astype(np.float32), window, time_s)


def moved_mask(mask: Mask, shift: Floats) -> Mask:
    """A (H, W) mask moved by (2,) pixels, x before y; what comes in from outside is false."""
    whole = (slice(0, mask.shape[0]), slice(0, mask.shape[1]))
    return _moved(mask.astype(np.float32), whole, shift, whole) > _HALF


def majority(present: Mask, others: Sequence[tuple[Mask, Floats]], scale_px: float) -> Mask:
    """What most of an odd number of (H, W) masks say along the edge of the present one, and the present one elsewhere.

    For files: where the others are as many frames before as after, turning time round changes nothing.

    others    masks of the person in other frames, with the shift (2,) in pixels from there to here
    scale_px  of the body
    """
    radius_px = max(1, round(Blending().band * scale_px))
    box = tight_boxes(present[None])[0]
    if not box.any():
        return present
    window = _window(box, radius_px + _MARGIN_PX, present.shape)
    votes = present[window].astype(np.float32)
    near = _band(votes, radius_px)
    for mask, shift in others:
        there = (box.reshape(2, 2) - shift).reshape(4)
        source = _window(there, radius_px + 2 * _MARGIN_PX, mask.shape)
        if source[0].start >= source[0].stop or source[1].start >= source[1].stop:
            return present
        vote = _moved(mask[source].astype(np.float32), source, shift, window)
        near &= _band(vote, radius_px)
        votes = votes + vote
    result = np.zeros_like(present)
    result[window] = np.where(near, votes > (1 + len(others)) / 2, present[window])
    return result


def _band(mask: Floats, radius_px: int) -> Mask:
    """Pixels within a distance of the edge of a mask, on both sides."""
    side = 2 * radius_px + 1
    filled = (mask > _HALF).astype(np.float32)
    share = cv2.blur(filled, (side, side), borderType=cv2.BORDER_REPLICATE)
    return np.asarray((share > _ROUNDING) & (share < 1 - _ROUNDING))


def _window(box_xyxy: Floats, margin_px: int, size: tuple[int, ...]) -> Window:
    """Rows and columns of a box with a margin, inside the picture."""
    x0, y0, x1, y1 = (int(value) for value in box_xyxy)
    rows = slice(max(0, y0 - margin_px), min(size[0], y1 + margin_px))
    return rows, slice(max(0, x0 - margin_px), min(size[1], x1 + margin_px))


def _fits(window: Window, size: tuple[int, ...]) -> bool:
    """Whether a window lies in a picture of this size: a clip whose pictures become smaller starts anew."""
    return bool(window[0].stop <= size[0] and window[1].stop <= size[1])


def _moved(soft: Floats, window: Window, shift: Floats, target: Window) -> Floats:
    """A soft mask in one window moved by a shift, seen in another window."""
    x = float(shift[0]) + window[1].start - target[1].start
    y = float(shift[1]) + window[0].start - target[0].start
    size = (target[1].stop - target[1].start, target[0].stop - target[0].start)
    # The person goes on beyond the edge of the picture; every other edge of a window is empty.
    shifted = cv2.warpAffine(soft, np.array([[1, 0, x], [0, 1, y]]), size, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(shifted, np.float32)
