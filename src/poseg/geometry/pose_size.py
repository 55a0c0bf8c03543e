"""How large a person is on an image, from the joints of their pose.

Letters: N people, K joints. Keypoints (N, K, 2) are continuous pixels, scores (N, K) are in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.geometry import boxes

Floats = NDArray[np.float32]

MIN_JOINT_SCORE = 0.1  # joints with lower scores would stretch the box of a pose
MIN_ASPECT = 0.25  # the area of a pose is at least this fraction of the square of its longer side
MIN_AREA_PX = 64.0
MIN_BODY_PX = 8.0

# From the joints to the body around them, as fractions of the longer side of their box; above lies the top of the head.
BODY_MARGIN, BODY_MARGIN_TOP = 0.12, 0.15

TORSO_TO_SHOULDER = 0.6  # width of the shoulders of an average person, in lengths of the torso
BOX_TO_SHOULDER = 0.35  # the same, in sides of the box of a standing person (square root of its area)
MIN_BOX_FRACTION = 0.1  # of the box's side; shoulders of people seen from the side or bending over appear narrower


def pose_boxes(
    keypoints: Floats, scores: Floats, *, min_score: float = MIN_JOINT_SCORE, min_joints: int = 3
) -> boxes.Boxes:
    """(N, 4) xyxy boxes around the joints with a score of `min_score` and above.

    A pose with fewer than `min_joints` of them gets the box around all joints.
    """
    confident = scores >= min_score
    confident |= confident.sum(axis=1, keepdims=True) < min_joints
    return boxes.boxes_from_points(keypoints, confident)


def body_boxes(keypoints: Floats, scores: Floats, size: tuple[int, int]) -> boxes.Boxes:
    """(N, 4) xyxy boxes around whole bodies on an image of `size` (height, width), from their joints.

    A box that would lie outside the image is the strip of a pixel at its border.
    """
    boxes_xyxy = pose_boxes(keypoints, scores)
    longer = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).max(axis=1, keepdims=True, initial=MIN_BODY_PX)
    grown = boxes_xyxy + longer * np.array([-BODY_MARGIN, -BODY_MARGIN_TOP, BODY_MARGIN, BODY_MARGIN], np.float32)
    height, width = size
    low = np.clip(grown[:, :2], 0, [width - 1, height - 1])
    high = np.clip(grown[:, 2:], 1, [width, height])
    return np.concatenate([low, high], axis=1).astype(np.float32)


def pose_sides(keypoints: Floats, scores: Floats) -> Floats:
    """(N, 2) width and height of `pose_boxes`."""
    boxes_xyxy = pose_boxes(keypoints, scores)
    sides: Floats = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    return sides


def pose_areas(
    keypoints: Floats,
    scores: Floats,
    *,
    min_score: float = MIN_JOINT_SCORE,
    min_joints: int = 3,
    min_aspect: float = MIN_ASPECT,
    min_area_px: float = MIN_AREA_PX,
) -> Floats:
    """(N,) square pixels of `pose_boxes`; at least `min_aspect` times the square of the longer side, and `min_area_px`.

    People standing upright or lying have narrow boxes, but joints that are annotated no more precisely.
    """
    boxes_xyxy = pose_boxes(keypoints, scores, min_score=min_score, min_joints=min_joints)
    sides = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    areas: Floats = np.maximum(sides.prod(axis=1), min_aspect * sides.max(axis=1) ** 2)
    return np.asarray(np.maximum(areas, min_area_px), np.float32)


def body_scales(keypoints: Floats, visible: ArrayLike, boxes_xyxy: ArrayLike, joints: Sequence[str]) -> Floats:
    """(N,) width of the shoulders in pixels, or 0.6 of the torso's length where that is more; at least 1.

    visible     (N, K) bool
    boxes_xyxy  (N, 4), used where shoulders and hips are not visible, or not among the joints
    joints      names of the K joints

    It is about 0.24 of the person's height: the unit of motion and noise on images of any size.
    """
    side = np.sqrt(boxes.areas(boxes_xyxy))
    names = ["left_shoulder", "right_shoulder", "left_hip", "right_hip"]
    if not set(names) <= set(joints):
        return np.asarray(np.maximum(BOX_TO_SHOULDER * side, 1), np.float32)
    chosen = [list(joints).index(name) for name in names]
    points, flags = keypoints[:, chosen], np.asarray(visible, np.bool_)[:, chosen]
    width = np.linalg.norm(points[:, 0] - points[:, 1], axis=1) * flags[:, :2].all(axis=1)
    torso = np.linalg.norm(points[:, :2].mean(axis=1) - points[:, 2:].mean(axis=1), axis=1) * flags.all(axis=1)
    scale = np.maximum(width, TORSO_TO_SHOULDER * torso)
    scale = np.where(scale > MIN_BOX_FRACTION * side, scale, BOX_TO_SHOULDER * side)
    return np.asarray(np.maximum(scale, 1), np.float32)
