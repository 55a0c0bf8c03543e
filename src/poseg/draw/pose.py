"""Poses: anti-aliased limbs and joints with dark contours, legible on any image.

Letters: N people, K joints. Large people are drawn first, so that small ones stay visible.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseg.draw.antialias import Bytes, Floats, blend, clipped_slices, draw_disk, draw_line
from poseg.draw.palette import INK, PAPER, person_colours, tint
from poseg.geometry import boxes
from poseg.people import CONFIDENT_JOINT, People
from poseg.skeletons import Skeleton


@dataclass(frozen=True, slots=True)
class Limb:
    """A bone to draw: its ends, half its width and its side ("left", "right" or "")."""

    start: Floats
    end: Floats
    radius_px: float
    side: str


def draw_poses(image: Bytes, people: People, *, min_score: float = CONFIDENT_JOINT) -> Bytes:
    """The image with the poses of all people.

    image (H, W, 3) uint8 RGB, not modified. A joint is drawn if its score is above 0 and at least `min_score`, a limb
    if both its joints are. Left limbs are paler than right ones.
    """
    canvas = image.copy()
    colours = person_colours(people)
    shown = shown_joints(people, min_score)
    for person in drawing_order(people):
        _draw_person(
            canvas,
            people.keypoints[person],
            shown[person],
            people.skeleton,
            colours[person],
            half_width_px(people.boxes_xyxy[person], people.keypoints[person][shown[person]], image.shape),
        )
    return canvas


def drawing_order(people: People) -> NDArray[np.intp]:
    """(N,) indices, large people first, later ones cover earlier ones. Of equals, the first is on top."""
    size = boxes.areas(people.boxes_xyxy)
    if people.masks is not None:
        areas = people.masks.areas.astype(np.float32)
        size = np.where(areas > 0, areas, size)
    return np.lexsort((-np.arange(len(people)), -size))


def half_width_px(box_xyxy: Floats, points: Floats, shape: tuple[int, ...]) -> float:
    """Half the width of a person's limbs: proportional to the person, within bounds that depend on the image."""
    image = float(np.hypot(shape[0], shape[1]))
    width, height = np.clip(box_xyxy[2:] - box_xyxy[:2], 0, None)
    if not width * height > 0 and len(points):
        width, height = np.ptp(points, axis=0)
    person = float(np.hypot(width, height))
    return float(np.clip(0.009 * person, max(0.9, 0.0011 * image), max(1.2, 0.0048 * image)))


def shown_joints(people: People, min_score: float) -> NDArray[np.bool_]:
    """(N, K): which joints are drawn."""
    scores = people.keypoint_scores
    return (scores > 0) & (scores >= min_score) & np.isfinite(people.keypoints).all(axis=2)


def _limbs(points: Floats, shown: NDArray[np.bool_], skeleton: Skeleton, half_width: float) -> list[Limb]:
    """Bones with both ends shown. Short bones (faces, foreshortened limbs) are thinner, so that they stay legible."""
    limbs = []
    for a, b in skeleton.indices(skeleton.bones):
        if shown[a] and shown[b]:
            length = float(np.hypot(*(points[b] - points[a])))
            radius = float(np.clip(0.11 * length, min(0.8, half_width), half_width))
            limbs.append(Limb(points[a], points[b], radius, _side(skeleton.joints[a], skeleton.joints[b])))
    return limbs


def _side(first: str, second: str) -> str:
    for side in ("left", "right"):
        ends = [joint.startswith(side + "_") for joint in (first, second)]
        other = any(joint.startswith(("left_", "right_")) and not joint.startswith(side) for joint in (first, second))
        if any(ends) and not other:
            return side
    return ""


def _joint_radii(points: Floats, limbs: list[Limb], half_width: float) -> Floats:
    """Radii of joints: a little over the thickest limb that ends there; isolated joints are as thick as a limb."""
    radii = np.zeros(len(points), np.float32)
    for limb in limbs:
        for end in (limb.start, limb.end):
            at = (points == end).all(axis=1)
            radii[at] = np.maximum(radii[at], limb.radius_px * 1.35)
    return np.where(radii > 0, radii, half_width * 1.35).astype(np.float32)


def _draw_person(
    canvas: Bytes, points: Floats, shown: NDArray[np.bool_], skeleton: Skeleton, colour: Bytes, half_width: float
) -> None:
    """Draw one person into the canvas: contour, limbs by side, joints."""
    limbs = _limbs(points, shown, skeleton, half_width)
    radii = _joint_radii(points, limbs, half_width)[shown]
    joints = points[shown]
    contour = float(np.clip(0.45 * half_width, 0.8, 2.5))
    reach = 1.5 * half_width + contour + 2
    region = (
        clipped_slices(joints.min(axis=0) - reach, joints.max(axis=0) + reach, canvas.shape) if len(joints) else None
    )
    if region is None:
        return
    part, offset = canvas[region], (region[1].start, region[0].start)

    edge = np.zeros(part.shape[:2], np.float32)
    for limb in limbs:
        draw_line(edge, limb.start, limb.end, limb.radius_px + contour, offset)
    for joint, radius in zip(joints, radii, strict=True):
        draw_disk(edge, joint, radius + contour, offset)
    blend(part, edge, INK, 0.85)

    for side, shade in (("", colour), ("right", colour), ("left", tint(colour, PAPER, 0.4))):
        cover = np.zeros(part.shape[:2], np.float32)
        for limb in limbs:
            if limb.side == side:
                draw_line(cover, limb.start, limb.end, limb.radius_px, offset)
        blend(part, cover, shade)

    for shade, factor in ((INK, 1.0), (PAPER, 0.72)):
        cover = np.zeros(part.shape[:2], np.float32)
        for joint, radius in zip(joints, radii, strict=True):
            draw_disk(cover, joint, radius * factor, offset)
        blend(part, cover, shade)
