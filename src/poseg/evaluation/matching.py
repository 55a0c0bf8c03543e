"""Which found person is which annotated one, where only poses are compared."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseg.geometry.boxes import boxes_from_points
from poseg.geometry.similarity import box_iou_matrix
from poseg.people import People

GROWN = 0.1  # of the longer side, on every side: poses of one joint or in one line have a box too
LEAST_SIDE_PX = 1.0

RULE = "people matched one to one by the IoU of boxes around their joints, the largest first, those that overlap at all"


def match_poses(found: People, true: People) -> NDArray[np.intp]:
    """(M,) which of the N found people each true one is, -1 for nobody; both on one skeleton.

    Boxes lie around the joints with a score above 0, grown by a tenth of their longer side. Of all pairs that
    overlap, the one with the largest IoU is matched first, then the largest among people still free. Neither scores
    nor the order of people matter.
    """
    overlaps = box_iou_matrix(pose_boxes(true), pose_boxes(found)).astype(np.float64)
    matched = np.full(len(true), -1, np.intp)
    for _ in range(min(overlaps.shape)):
        row, column = np.unravel_index(int(overlaps.argmax()), overlaps.shape)
        if overlaps[row, column] <= 0:
            break
        matched[row] = column
        overlaps[row], overlaps[:, column] = 0, 0
    return matched


def pose_boxes(people: People) -> NDArray[np.float32]:
    """(N, 4) xyxy boxes around the joints that were found, grown by a tenth; people without joints have none."""
    there = people.keypoint_scores > 0
    tight = boxes_from_points(people.keypoints, there)
    longer = np.maximum((tight[:, 2:] - tight[:, :2]).max(axis=1, keepdims=True), LEAST_SIDE_PX)
    grown = tight + np.array([-1, -1, 1, 1], np.float32) * longer * np.float32(GROWN)
    return np.where(there.any(axis=1, keepdims=True), grown, 0).astype(np.float32)
