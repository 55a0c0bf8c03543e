"""How large a person is: the unit in which motion and noise are measured, whatever the size of the picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseg.geometry.boxes import areas
from poseg.people import People

Floats = NDArray[np.float32]

TORSO = 0.6  # of the torso's length is about the width of the shoulders
BOX = 0.35  # of the box's side (square root of its area) is about the width of the shoulders of who stands
LEAST = 0.1  # of the box's side: somebody seen from the side, bending over


def body_scales(people: People) -> Floats:
    """(N,) pixels: width of the shoulders, or 0.6 of the torso's length where that is more; about 0.24 of the height.

    By the box where shoulders and hips were not found or the skeleton has none. At least 1.
    """
    side = np.sqrt(areas(people.boxes_xyxy))
    named = {joint: place for place, joint in enumerate(people.skeleton.joints)}
    joints = [named.get(f"{side}_{joint}") for joint in ("shoulder", "hip") for side in ("left", "right")]
    if None in joints:
        return np.maximum(BOX * side, 1)
    chosen = np.array(joints, np.intp)
    points, found = people.keypoints[:, chosen], people.keypoint_scores[:, chosen] > 0
    width = np.linalg.norm(points[:, 0] - points[:, 1], axis=1) * found[:, :2].all(axis=1)
    torso = np.linalg.norm(points[:, :2].mean(axis=1) - points[:, 2:].mean(axis=1), axis=1) * found.all(axis=1)
    scale = np.maximum(width, TORSO * torso)
    return np.asarray(np.maximum(np.where(scale > LEAST * side, scale, BOX * side), 1), np.float32)
