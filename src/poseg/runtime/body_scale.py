"""Size of a person in pixels: the unit of motion and noise on images of any size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseg.geometry import pose_size
from poseg.people import People


def body_scales(people: People) -> NDArray[np.float32]:
    """(N,) pixels, see `geometry.pose_size.body_scales`."""
    return pose_size.body_scales(
        people.keypoints, people.keypoint_scores > 0, people.boxes_xyxy, people.skeleton.joints
    )
