"""Mattes: how much of each pixel is a person, soft at the edge and snapped to the edges of the picture.

A mask becomes a matte in four steps: crumbs and pinholes go; a guided filter (He, Sun and Tang 2013) moves the edge to
where the picture has one; a Gaussian of 0.005 sqrt(area) pixels feathers it; and a limit by the distance from the
mask's contour makes it exactly 1 deep inside and exactly 0 away from the person. A matte is kept on a crop.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.effects.stand_in import stand_in, torso_corners
from poseg.errors import EffectError, ShapeError
from poseg.people import People
from poseg.skeletons import OPENPOSE18

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Window = tuple[slice, slice]

FEATHER = 0.005  # of the square root of the person's area
GUIDE_EPS = 1e-3  # of intensities in [0, 1]: contrasts well below 0.03 are no edge
GUIDE_RADIUS_PX = (3, 9)
CRUMB = 0.005  # of the largest piece: smaller ones that hold no joint go
PINHOLE = 0.012  # of the person's area: smaller holes are filled
SHARE: Floats = (np.arange(256, dtype=np.float32) / 255).astype(np.float32)
SMOOTH: Floats = SHARE * SHARE * (3 - 2 * SHARE)


@dataclass(frozen=True, slots=True, eq=False)
class Matte:
    """One person's matte on a crop of the picture; 0 everywhere else.

    alpha  (h, w) float32 in [0, 1]; (0, 0) for a person who is nowhere
    x0 y0  the picture's pixel that is the crop's first
    size   (height, width) of the picture
    """

    alpha: Floats
    x0: int
    y0: int
    size: tuple[int, int]

    @property
    def window(self) -> Window:
        """Rows and columns of the crop: `image[matte.window]`."""
        rows, columns = self.alpha.shape
        return slice(self.y0, self.y0 + rows), slice(self.x0, self.x0 + columns)

    @property
    def empty(self) -> bool:
        """Whether there is no pixel of the person."""
        return self.alpha.size == 0

    def whole(self) -> Floats:
        """(H, W) float32 matte of the picture's size."""
        return self.on((slice(0, self.size[0]), slice(0, self.size[1])))

    def on(self, window: Window) -> Floats:
        """(h, w) float32 matte on another window of the picture (whole numbers, no steps, inside the picture)."""
        rows, columns = window
        out = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.float32)
        mine_rows, mine_columns = self.window
        top, bottom = max(rows.start, mine_rows.start), min(rows.stop, mine_rows.stop)
        left, right = max(columns.start, mine_columns.start), min(columns.stop, mine_columns.stop)
        if top < bottom and left < right:
            part = self.alpha[top - self.y0 : bottom - self.y0, left - self.x0 : right - self.x0]
            out[top - rows.start : bottom - rows.start, left - columns.start : right - columns.start] = part
        return out


def mattes(image: Bytes, people: People, *, feather: float = FEATHER) -> tuple[Matte, ...]:
    """Everybody's matte, in the order of `people`.

    image    (H, W, 3) uint8 RGB
    feather  how soft edges are: standard deviation over the square root of the area

    The torso between shoulders and hips belongs to the person even where the mask has a gap, but for other people's
    pixels. A person whose mask nobody knows gets that of `stand_in`: thick limbs around the joints found, a rough
    shape. A person without joints too gets an empty matte. Raises ShapeError for masks of another picture's size.
    """
    if people.masks is not None and people.masks.shape[1:] != image.shape[:2]:
        raise ShapeError("people.masks", expected=(len(people), *image.shape[:2]), got=people.masks.shape)
    named = people.remap_to(OPENPOSE18)
    made = []
    for person, (points, sure) in enumerate(zip(named.keypoints, named.keypoint_scores, strict=True)):
        mask = None if people.masks is None else _whole_torso(people.masks.full(), person, points, sure > 0)
        if mask is None or not mask.any():
            mask = stand_in(points, sure > 0, image.shape[:2])
        made.append(matte(image, mask, joints=points[sure > 0], feather=feather))
    return tuple(made)


def matte(
    image: Bytes, mask: NDArray[np.bool_], *, joints: NDArray[np.float32] | None = None, feather: float = FEATHER
) -> Matte:
    """The matte of one mask, (H, W) bool over `image`; empty for an empty mask.

    joints   (J, 2) joints of the person: a piece of mask with one of them is no crumb
    feather  as in `mattes`. Raises EffectError below 0.
    """
    if feather < 0:
        raise EffectError(f"A feather is 0 or more, a share of the person's size, got {feather}.")
    size = (mask.shape[0], mask.shape[1])
    x, y, columns, rows = cv2.boundingRect(mask.view(np.uint8))
    if columns == 0:
        return Matte(np.zeros((0, 0), np.float32), 0, 0, size)
    area = float(cv2.countNonZero(np.ascontiguousarray(mask[y : y + rows, x : x + columns]).view(np.uint8)))
    sigma = feather * float(np.sqrt(area))
    radius = int(np.clip(round(0.03 * np.sqrt(area)), *GUIDE_RADIUS_PX))
    band = 2 * ((radius + int(np.ceil(2.5 * sigma)) + 1) // 2)
    x0, y0 = max(x - band - 1, 0), max(y - band - 1, 0)
    x1, y1 = min(x + columns + band + 1, size[1]), min(y + rows + band + 1, size[0])
    points = np.zeros((0, 2), np.float32) if joints is None else joints
    part = _clean(mask[y0:y1, x0:x1].astype(np.uint8), points - np.array([x0, y0], np.float32), area)
    guide = cv2.cvtColor(image[y0:y1, x0:x1], cv2.COLOR_RGB2GRAY)
    return Matte(_feathered(part, np.asarray(guide, np.uint8), radius, sigma, band), x0, y0, size)


def _whole_torso(
    masks: NDArray[np.bool_], person: int, points: NDArray[np.float32], found: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """The person's mask with the torso, where there is a mask and no other person."""
    mask: NDArray[np.bool_] = masks[person]
    torso = torso_corners(points, found)
    if torso is None:
        return mask
    low, high = np.floor(torso.min(axis=0)).astype(int), np.ceil(torso.max(axis=0)).astype(int)
    (x0, y0), (x1, y1) = np.clip(low, 0, mask.shape[::-1]), np.clip(high, 0, mask.shape[::-1])
    if x1 <= x0 or y1 <= y0 or not mask[y0:y1, x0:x1].any():
        return mask
    torso_here = np.zeros((y1 - y0, x1 - x0), np.uint8)
    cv2.fillConvexPoly(torso_here, np.rint(torso - (x0, y0) - 0.5).astype(np.int32), 1)
    free = torso_here.astype(np.bool_)
    for other in range(len(masks)):
        if other != person:
            free &= ~masks[other, y0:y1, x0:x1]
    whole = mask.copy()
    whole[y0:y1, x0:x1] |= free
    return whole


def _feathered(mask: Bytes, guide: Bytes, radius: int, sigma: float, band: int) -> Floats:
    """Alpha of a 0/1 mask: guided, feathered, and limited to a band around the contour."""
    full = mask * np.uint8(255)
    soft = cv2.LUT(_guided(full, guide, radius), SMOOTH)
    if sigma > 0.3:
        soft = cv2.GaussianBlur(soft, (0, 0), sigma)
    box = np.ones((band + 1, band + 1), np.uint8)
    limits = (cv2.blur(cv2.erode(full, box), box.shape), cv2.blur(cv2.dilate(full, box), box.shape))
    floor, ceiling = (cv2.LUT(limit, SHARE) for limit in limits)
    return np.asarray(cv2.min(cv2.max(soft, floor, dst=soft), ceiling, dst=soft), np.float32)


def _guided(mask: Bytes, guide: Bytes, radius: int) -> Bytes:
    """The guided filter with a grey guide: near every pixel, the mask (0 or 255) as a straight line of the guide.

    The middle half of its range, 0.25 to 0.75, comes back as 0 to 255. The lines are found at half the size (He and
    Sun 2015), which changes little and is four times as fast.
    """
    height, width = mask.shape
    # Halves of even sizes are far quicker than those of odd ones.
    mask, guide = (
        np.asarray(cv2.copyMakeBorder(plane, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE), np.uint8)
        for plane in (mask, guide)
    )
    size = (mask.shape[1], mask.shape[0])
    m, g = (
        cv2.resize(plane, (size[0] // 2, size[1] // 2), interpolation=cv2.INTER_AREA) * np.float32(1 / 255)
        for plane in (mask, guide)
    )
    box = (radius | 1, radius | 1)
    mean_g, mean_m = cv2.blur(g, box), cv2.blur(m, box)
    covariance = cv2.blur(g * m, box) - mean_g * mean_m
    slope = covariance / (np.maximum(cv2.blur(g * g, box) - mean_g * mean_g, 0) + np.float32(GUIDE_EPS))
    lines = [cv2.resize(cv2.blur(part, box), size) for part in (slope, mean_m - slope * mean_g)]
    risen = cv2.multiply(lines[0], guide, dst=lines[0], dtype=cv2.CV_32F)
    whole = cv2.addWeighted(risen, 2, lines[1], 510, -0.25 * 510, dtype=cv2.CV_8U)
    return np.asarray(whole[:height, :width], np.uint8)


def _clean(mask: Bytes, joints: NDArray[np.float32], area: float) -> Bytes:
    """The mask without crumbs that hold no joint and without pinholes; 0 and 1, `mask` is written into."""
    outlines, tree = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if len(outlines) < 2:
        return mask
    sizes = np.array([cv2.contourArea(outline) for outline in outlines])
    hole = tree.reshape(-1, 4)[:, 3] >= 0
    for which in np.flatnonzero(hole & (sizes < PINHOLE * area)):
        cv2.drawContours(mask, outlines, int(which), 1, cv2.FILLED)
    for which in np.flatnonzero(~hole & (sizes < CRUMB * sizes.max())):
        outline = outlines[int(which)]
        held = any(cv2.pointPolygonTest(outline, (float(x), float(y)), False) >= 0 for x, y in joints)
        if not held:
            cv2.drawContours(mask, outlines, int(which), 0, cv2.FILLED)
    return mask
