"""Temporal smoothing of masks: each is blended with the previous one, shifted by the person's motion.

Only a thin band along the edge is blended. Changes farther from the edge are no flicker but motion, such as an arm that
moved or another person who steps in front: these pixels change at once, and no trail is wider than the band.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.errors import VideoError
from poseg.geometry.boxes import CropXYXY
from poseg.geometry.masks import Masks
from poseg.people import People
from poseg.runtime.tracker import body_scales, median_motion

Floats = NDArray[np.float32]

_MARGIN_PX = 2
_HALF = 0.5
_ROUNDING = 1e-5  # of a mean of zeros or of ones


@dataclass(frozen=True, slots=True)
class MaskSmootherConfig:
    """Settings of the blend.

    weight     of the present mask in the blend for a standing person, 0 to 1; below 0.5 a change must persist
    band       half the width of the band along the edge, in body scales
    max_speed  body scales a second from which on only the present mask counts: moving edges are blurred anyway
    max_gap_s  a person missing for longer starts anew
    """

    weight: float = 0.25
    band: float = 0.08
    max_speed: float = 6.0
    max_gap_s: float = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class MaskCrop:
    """One person's mask on the crop of the image that holds it.

    soft       (h, w) float32 in [0, 1], zero along each edge of the crop that is no edge of the image
    left, top  of the crop on the image, in whole pixels
    size       (H, W) of the image
    """

    soft: Floats
    left: int
    top: int
    size: tuple[int, int]

    @property
    def xyxy(self) -> CropXYXY:
        """The crop: left, top, right and bottom in whole pixels."""
        return self.left, self.top, self.left + self.soft.shape[1], self.top + self.soft.shape[0]

    def shifted(self, shift: ArrayLike, crop_xyxy: CropXYXY) -> Floats:
        """The mask moved by (2,) pixels, x before y, on another crop (h, w) of the image.

        Pixels at the image's edge are repeated beyond it.
        """
        x, y = np.add(shift, (self.left - crop_xyxy[0], self.top - crop_xyxy[1]))
        size = crop_xyxy[2] - crop_xyxy[0], crop_xyxy[3] - crop_xyxy[1]
        onto = np.array([[1, 0, x], [0, 1, y]], np.float64)
        return np.asarray(cv2.warpAffine(self.soft, onto, size, borderMode=cv2.BORDER_REPLICATE), np.float32)


def mask_crops(masks: Masks, margins_px: Sequence[int]) -> list[MaskCrop | None]:
    """For each person the crop around their mask with a margin (at least 1), inside the image; None for an empty mask.

    Masks are rendered on the pixels of the image: 0 or 1.
    """
    exact = Masks.from_bitmaps([masks.bitmap(row) for row in range(len(masks))], masks.size)
    crops: list[MaskCrop | None] = []
    for row, (box, margin) in enumerate(zip(exact.boxes_xyxy, margins_px, strict=True)):
        if not exact.nonempty[row]:
            crops.append(None)
            continue
        left, top, right, bottom = _crop_around(box, margin, masks.size)
        bits, x, y = exact.bitmap(row)
        soft = np.zeros((bottom - top, right - left), np.float32)
        soft[y - top : y - top + bits.shape[0], x - left : x - left + bits.shape[1]] = bits
        crops.append(MaskCrop(soft, left, top, masks.size))
    return crops


def masks_from_crops(crops: Sequence[MaskCrop | None], size: tuple[int, int]) -> Masks:
    """Masks of the pixels above one half; empty for None."""
    none = (np.zeros((0, 0), np.bool_), 0, 0)
    return Masks.from_bitmaps([none if c is None else (c.soft > _HALF, c.left, c.top) for c in crops], size)


@dataclass(frozen=True, slots=True, eq=False)
class _TrackMask:
    """The last state of a person: a row of People without masks, and the smoothed mask."""

    person: People
    mask: MaskCrop
    seen_s: float


@dataclass(slots=True)
class MaskSmoother:
    """Smooths the masks of frame after frame: `smoother.update(people, time_s)`; people need ids.

    One smoother follows one clip or camera.
    """

    config: MaskSmootherConfig = field(default_factory=MaskSmootherConfig)
    _tracks: dict[int, _TrackMask] = field(default_factory=dict, init=False)

    def update(self, people: People, time_s: float) -> People:
        """The same people with smoothed masks and tight boxes; unchanged without masks.

        An empty mask stays empty. Raises VideoError for people without ids.
        """
        if people.ids is None:
            raise VideoError("Smoothing needs people with ids; pass them through a Tracker first.")
        if people.masks is None:
            return people
        size = people.masks.size
        kept = {
            person: track
            for person, track in self._tracks.items()
            if time_s - track.seen_s <= self.config.max_gap_s and track.mask.size == size
        }
        scales = body_scales(people).tolist()
        crops = mask_crops(people.masks, [_radius(scale_px, self.config.band) + _MARGIN_PX for scale_px in scales])
        bare = replace(people, masks=None, timings=None)
        for row, person in enumerate(people.ids.tolist()):
            crop = crops[row]
            if crop is not None:
                crops[row] = crop = self._blend(bare[[row]], crop, kept.get(person), scales[row], time_s)
                kept[person] = _TrackMask(bare[[row]], crop, time_s)
        self._tracks = kept
        return people.with_masks(masks_from_crops(crops, size))

    def _blend(
        self, person: People, mask: MaskCrop, before: _TrackMask | None, scale_px: float, time_s: float
    ) -> MaskCrop:  # fmt: skip
        """The mask blended with the previous one, on the crop of the present one."""
        if before is None or time_s <= before.seen_s:
            return mask
        radius_px = _radius(scale_px, self.config.band)
        shift = median_motion(before.person, person)[0]
        past, present = before.mask.shifted(shift, mask.xyxy), mask.soft
        speed = float(np.hypot(*shift)) / scale_px / (time_s - before.seen_s)
        weight = self.config.weight + (1 - self.config.weight) * min(1.0, speed / self.config.max_speed)
        blend = weight * present + (1 - weight) * past
        soft = np.where(_band(present, radius_px) & _band(past, radius_px), blend, present)
        return replace(mask, soft=soft.astype(np.float32))


def majority_vote(present: MaskCrop, others: Sequence[tuple[MaskCrop, Floats]], scale_px: float) -> MaskCrop:
    """The majority of an odd number of masks (0 or 1) along the edge of the present one; elsewhere the present one.

    For offline use: with as many frames before as after, the result does not depend on the direction of time. The crop
    of the present mask has a margin of `vote_margin`.

    others    masks of the person in other frames, with the shift (2,) in pixels from there to here
    scale_px  body scale
    """
    radius_px = _radius(scale_px, MaskSmootherConfig().band)
    votes, near = present.soft, _band(present.soft, radius_px)
    for mask, shift in others:
        vote = mask.shifted(shift, present.xyxy)
        near &= _band(vote, radius_px)
        votes = votes + vote
    soft = np.where(near, votes > (1 + len(others)) / 2, present.soft)
    return replace(present, soft=soft.astype(np.float32))


def vote_margin(scale_px: float) -> int:
    """The margin in pixels that the crop of the present mask needs for a vote."""
    return _radius(scale_px, MaskSmootherConfig().band) + _MARGIN_PX


def _radius(scale_px: float, band: float) -> int:
    return max(1, round(band * scale_px))


def _band(mask: Floats, radius_px: int) -> NDArray[np.bool_]:
    """Pixels within a distance of the edge of a mask, on both sides."""
    side = 2 * radius_px + 1
    inside = (mask > _HALF).astype(np.float32)
    fraction = cv2.blur(inside, (side, side), borderType=cv2.BORDER_REPLICATE)
    return np.asarray((fraction > _ROUNDING) & (fraction < 1 - _ROUNDING))


def _crop_around(box_xyxy: Floats, margin_px: int, size: tuple[int, int]) -> CropXYXY:
    """The whole pixels of a box with a margin, inside the image."""
    x0, y0, x1, y1 = (int(value) for value in box_xyxy)
    return max(0, x0 - margin_px), max(0, y0 - margin_px), min(size[1], x1 + margin_px), min(size[0], y1 + margin_px)
