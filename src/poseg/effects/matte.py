"""Mattes: how much of each pixel is a person, soft at the edge and snapped to the edges of the image.

A mask becomes a matte in four steps: small components and pinholes are removed; a guided filter (He, Sun and Tang 2013)
moves the edge to where the image has one; a Gaussian of 0.005 sqrt(area) pixels feathers it; and a limit by the
distance from the mask's contour makes it exactly 1 deep inside and exactly 0 away from the person. A matte is kept on a
crop of the image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.effects.body import Body
from poseg.errors import EffectError, ShapeError
from poseg.geometry.grid import PIXEL_CENTRE
from poseg.geometry.masks import Masks
from poseg.people import People
from poseg.skeletons import OPENPOSE18

Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
Window = tuple[slice, slice]  # rows and columns of the image, without steps

FEATHER = 0.005  # of the square root of the person's area
GUIDE_EPS = 1e-3  # of intensities in [0, 1]: contrasts well below 0.03 are no edge
GUIDE_RADIUS_PX = (3, 9)
MIN_COMPONENT = 0.005  # of the largest component: smaller ones without a joint are removed
MIN_HOLE = 0.012  # of the person's area: smaller holes are filled
TO_UNIT: Floats = (np.arange(256, dtype=np.float32) / 255).astype(np.float32)
SMOOTHSTEP: Floats = TO_UNIT * TO_UNIT * (3 - 2 * TO_UNIT)

TORSO = ("left_shoulder", "right_shoulder", "right_hip", "left_hip")
# Limbs that stand in for a missing mask, and how thick they are, in body scales.
LIMBS = tuple(
    (f"{side}_{upper}", f"{side}_{lower}", thickness)
    for side in ("left", "right")
    for upper, lower, thickness in (
        ("shoulder", "elbow", 0.30),
        ("elbow", "wrist", 0.24),
        ("hip", "knee", 0.42),
        ("knee", "ankle", 0.32),
    )
)
SHIFT = 4  # fractional bits of OpenCV's drawing coordinates
FAR_PX = 30_000.0


@dataclass(frozen=True, slots=True, eq=False)
class Matte:
    """One person's matte on a crop of the image; 0 everywhere else.

    alpha  (h, w) float32 in [0, 1]; (0, 0) for a person whose position is not known
    x0 y0  the image's pixel that is the crop's first
    size   (height, width) of the image
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

    def full_size(self) -> Floats:
        """(H, W) float32 matte of the image's size."""
        return self.crop_to((slice(0, self.size[0]), slice(0, self.size[1])))

    def crop_to(self, window: Window) -> Floats:
        """(h, w) float32 matte on another window inside the image."""
        rows, columns = window
        out = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.float32)
        inside, part = self.overlap(window)
        out[inside] = part
        return out

    def overlap(self, window: Window) -> tuple[Window, Floats]:
        """Where the matte meets a window, in the window's own rows and columns, and that part of the matte."""
        inside, own = [], []
        for mine, theirs in zip(self.window, window, strict=True):
            start, stop = max(mine.start, theirs.start), max(mine.start, theirs.start, min(mine.stop, theirs.stop))
            inside.append(slice(start - theirs.start, stop - theirs.start))
            own.append(slice(start - mine.start, stop - mine.start))
        return (inside[0], inside[1]), self.alpha[own[0], own[1]]


@dataclass(frozen=True, slots=True, eq=False)
class Mattes:
    """The mattes of people, each made when it is first asked for: `mattes[person]`.

    image    (H, W, 3) uint8 RGB
    feather  how soft edges are: standard deviation over the square root of the area

    The torso between shoulders and hips belongs to the person even where the mask has a gap, but for other people's
    pixels. A person without a mask gets that of `mask_from_pose`, a rough shape; a person without joints too gets an
    empty matte. Raises ShapeError for masks of another image's size, EffectError for a negative feather.
    """

    image: Bytes
    people: People
    feather: float = FEATHER
    _made: dict[int, Matte] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        masks = self.people.masks
        if masks is not None and masks.size != self.image.shape[:2]:
            raise ShapeError("people.masks", expected=(len(self.people), *self.image.shape[:2]), got=masks.shape)
        if self.feather < 0:
            raise EffectError(f"A feather is 0 or more, a fraction of the person's size, got {self.feather}.")

    def __len__(self) -> int:
        return len(self.people)

    def __iter__(self) -> Iterator[Matte]:
        return (self[person] for person in range(len(self)))

    def __getitem__(self, person: int) -> Matte:
        if person not in self._made:
            self._made[person] = self._make(person)
        return self._made[person]

    def _make(self, person: int) -> Matte:
        named, masks = self.people[[person]].remap_to(OPENPOSE18), self.people.masks
        points, visible = named.keypoints[0], named.keypoint_scores[0] > 0
        if masks is not None and masks.nonempty[person]:
            bits, left, top = _fill_torso(masks, person, points, visible)
        else:
            bits, left, top = mask_from_pose(points, visible, self.image.shape), 0, 0
        return matte(self.image, bits, left, top, joints=points[visible], feather=self.feather)


def matte(
    image: Bytes, mask: Bools, left: int = 0, top: int = 0, *, joints: Floats | None = None, feather: float = FEATHER
) -> Matte:
    """The matte of one mask (h, w) bool that begins at a column and a row of the image; empty for an empty mask.

    joints   (J, 2) joints of the person: a component of the mask with one of them is kept
    feather  as in `Mattes`
    """
    size = (image.shape[0], image.shape[1])
    x, y, columns, rows = cv2.boundingRect(mask.view(np.uint8)) if mask.size else (0, 0, 0, 0)
    if columns == 0:
        return Matte(np.zeros((0, 0), np.float32), 0, 0, size)
    tight = np.ascontiguousarray(mask[y : y + rows, x : x + columns]).view(np.uint8)
    area = float(cv2.countNonZero(tight))
    sigma = feather * float(np.sqrt(area))
    radius = int(np.clip(round(0.03 * np.sqrt(area)), *GUIDE_RADIUS_PX))
    band = 2 * ((radius + int(np.ceil(2.5 * sigma)) + 1) // 2)
    x, y = left + x, top + y
    x0, y0 = max(x - band - 1, 0), max(y - band - 1, 0)
    x1, y1 = min(x + columns + band + 1, size[1]), min(y + rows + band + 1, size[0])
    part = np.zeros((y1 - y0, x1 - x0), np.uint8)
    part[y - y0 : y - y0 + rows, x - x0 : x - x0 + columns] = tight
    points = np.zeros((0, 2), np.float32) if joints is None else joints
    part = _clean(part, points - np.array([x0, y0], np.float32), area)
    guide = cv2.cvtColor(image[y0:y1, x0:x1], cv2.COLOR_RGB2GRAY)
    return Matte(_feathered(part, np.asarray(guide, np.uint8), radius, sigma, band), x0, y0, size)


def mask_from_pose(points: Floats, visible: Bools, size: tuple[int, ...]) -> Bools:
    """(H, W) bool mask of a person without one: thick limbs, a filled torso and the disc of the head; rough.

    points   (18, 2) joints of OPENPOSE18, visible (18,) bool; the mask is empty where the body scale is not known
    """
    mask = np.zeros(size[:2], np.uint8)
    body = Body(np.clip(points.astype(np.float64), -FAR_PX, FAR_PX), visible, 0.0)
    scale = body.scale_px
    if scale is None:
        return mask.astype(np.bool_)
    for upper, lower, thickness in LIMBS:
        a, b = OPENPOSE18.index(upper), OPENPOSE18.index(lower)
        if visible[a] and visible[b]:
            _thick_line(mask, body.points[a], body.points[b], thickness * scale)
    corners = torso_corners(body.points, visible)
    if corners is not None:
        torso = _fixed_point(corners)
        cv2.fillConvexPoly(mask, torso, 1, cv2.LINE_8, SHIFT)
        cv2.polylines(mask, [torso], True, 1, max(1, round(0.3 * scale)), cv2.LINE_8, SHIFT)
    elif body.neck is not None and body.down is not None:
        _thick_line(mask, body.neck, body.neck + 1.5 * scale * body.down, scale)
    if body.head is not None:
        _thick_line(mask, body.head.centre, body.head.centre, 1.6 * body.head.inner_radius_px)
        if body.neck is not None:
            _thick_line(mask, body.head.centre, body.neck, 0.4 * scale)
    return mask.astype(np.bool_)


def torso_corners(points: ArrayLike, visible: Bools) -> Floats | None:
    """(C, 2) corners of the convex torso between shoulders and hips; None unless all four are visible."""
    corners = [OPENPOSE18.index(name) for name in TORSO]
    if not visible[corners].all():
        return None
    hull = cv2.convexHull(np.asarray(points, np.float32)[corners])
    return np.asarray(hull, np.float32).reshape(-1, 2)


def _thick_line(mask: Bytes, start: ArrayLike, end: ArrayLike, thickness_px: float) -> None:
    a, b = (_fixed_point(point).tolist() for point in (start, end))
    cv2.line(mask, a, b, 1, max(1, round(thickness_px)), cv2.LINE_8, SHIFT)


def _fixed_point(points: ArrayLike) -> NDArray[np.int32]:
    """Points in continuous pixels as OpenCV's fixed-point pixel numbers."""
    return np.rint((np.asarray(points) - PIXEL_CENTRE) * (1 << SHIFT)).astype(np.int32)


def _fill_torso(masks: Masks, person: int, points: Floats, visible: Bools) -> tuple[Bools, int, int]:
    """The person's mask with the torso, where it meets the mask and no other person is; as `Masks.bitmap`."""
    bits, left, top = masks.bitmap(person)
    torso = torso_corners(points, visible)
    if torso is None or not bits.size:
        return bits, left, top
    low, high = np.floor(torso.min(axis=0)), np.ceil(torso.max(axis=0))
    x0, y0 = np.clip(low, 0, masks.size[::-1]).astype(int).tolist()
    x1, y1 = np.clip(high, 0, masks.size[::-1]).astype(int).tolist()
    part = bits[max(y0 - top, 0) : max(y1 - top, 0), max(x0 - left, 0) : max(x1 - left, 0)]
    if x1 <= x0 or y1 <= y0 or not part.any():
        return bits, left, top
    filled = np.zeros((y1 - y0, x1 - x0), np.uint8)
    cv2.fillConvexPoly(filled, np.rint(torso - (x0, y0) - PIXEL_CENTRE).astype(np.int32), 1)
    others = masks[np.arange(len(masks)) != person].crop((x0, y0, x1, y1))
    column, row = min(left, x0), min(top, y0)
    right, bottom = max(left + bits.shape[1], x1), max(top + bits.shape[0], y1)
    out = np.zeros((bottom - row, right - column), np.bool_)
    out[top - row : top - row + bits.shape[0], left - column : left - column + bits.shape[1]] = bits
    out[y0 - row : y1 - row, x0 - column : x1 - column] |= filled.view(np.bool_) & ~others.union()
    return out, column, row


def _feathered(mask: Bytes, guide: Bytes, radius: int, sigma: float, band: int) -> Floats:
    """Alpha of a 0/1 mask: guided, feathered, and limited to a band around the contour."""
    full = mask * np.uint8(255)
    soft = cv2.LUT(_guided(full, guide, radius), SMOOTHSTEP)
    if sigma > 0.3:
        soft = cv2.GaussianBlur(soft, (0, 0), sigma)
    box = np.ones((band + 1, band + 1), np.uint8)
    limits = (cv2.blur(cv2.erode(full, box), box.shape), cv2.blur(cv2.dilate(full, box), box.shape))
    floor, ceiling = (cv2.LUT(limit, TO_UNIT) for limit in limits)
    return np.asarray(cv2.min(cv2.max(soft, floor, dst=soft), ceiling, dst=soft), np.float32)


def _guided(mask: Bytes, guide: Bytes, radius: int) -> Bytes:
    """The guided filter with a grey guide: near every pixel, the mask (0 or 255) as a linear function of the guide.

    The central half of its range, 0.25 to 0.75, comes back as 0 to 255. The coefficients are fitted at half the size
    (He and Sun 2015), which changes little and is four times as fast.
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
    coefficients = [cv2.resize(cv2.blur(part, box), size) for part in (slope, mean_m - slope * mean_g)]
    scaled = cv2.multiply(coefficients[0], guide, dst=coefficients[0], dtype=cv2.CV_32F)
    whole = cv2.addWeighted(scaled, 2, coefficients[1], 510, -0.25 * 510, dtype=cv2.CV_8U)
    return np.asarray(whole[:height, :width], np.uint8)


def _clean(mask: Bytes, joints: NDArray[np.float32], area: float) -> Bytes:
    """The mask (0 and 1) without small components that hold no joint and without pinholes; changed in place."""
    contours, tree = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if len(contours) < 2:
        return mask
    sizes = np.array([cv2.contourArea(contour) for contour in contours])
    hole = tree.reshape(-1, 4)[:, 3] >= 0
    for index in np.flatnonzero(hole & (sizes < MIN_HOLE * area)):
        cv2.drawContours(mask, contours, int(index), 1, cv2.FILLED)
    for index in np.flatnonzero(~hole & (sizes < MIN_COMPONENT * sizes.max())):
        contour = contours[int(index)]
        has_joint = any(cv2.pointPolygonTest(contour, (float(x), float(y)), False) >= 0 for x, y in joints)
        if not has_joint:
            cv2.drawContours(mask, contours, int(index), 0, cv2.FILLED)
    return mask
