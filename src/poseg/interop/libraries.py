"""People as the values of libraries: supervision and FiftyOne, which the extra `interop` does not bring."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from poseg.people import CONFIDENT_JOINT, People

if TYPE_CHECKING:
    import fiftyone as fo
    import supervision as sv


def to_supervision(people: People) -> tuple[sv.Detections, sv.KeyPoints]:
    """Supervision's Detections (boxes, masks, scores, ids) and KeyPoints (joints, scores). Needs supervision.

    Both are in the order of the people, class 0, pixels of the image.
    """
    import supervision as sv

    classes = np.zeros(len(people), int)
    detections = sv.Detections(
        xyxy=people.boxes_xyxy.copy(),
        mask=None if people.masks is None else people.masks.full(),
        confidence=people.scores.copy(),
        class_id=classes,
        tracker_id=None if people.ids is None else people.ids.copy(),
        data={"class_name": np.full(len(people), "person")},
    )
    keypoints = sv.KeyPoints(
        xy=people.keypoints.copy(),
        keypoint_confidence=people.keypoint_scores.copy(),
        detection_confidence=people.scores.copy(),
        class_id=classes,
        visible=people.keypoint_scores >= CONFIDENT_JOINT,
    )
    return detections, keypoints


def to_fiftyone(people: People, size: tuple[int, int]) -> tuple[fo.Detections, fo.Keypoints]:
    """FiftyOne's Detections (boxes, masks in them, scores, ids as `index`) and Keypoints. Needs fiftyone.

    size  (height, width) of the image: FiftyOne's coordinates are fractions of it

    Joints that were not detected are NaN. Set `dataset.default_skeleton` to see the bones.
    """
    import fiftyone as fo

    scale = np.array(size[::-1], np.float64)
    detections, keypoints = [], []
    for person in people:
        left, top, right, bottom = _whole_box(person.box_xyxy, size)
        mask = person.mask
        inside = None if mask is None else mask[top:bottom, left:right]
        box = np.array([left, top, right - left, bottom - top]) / np.tile(scale, 2)
        index = {} if person.id is None else {"index": person.id}
        detections.append(
            fo.Detection(label="person", bounding_box=box.tolist(), mask=inside, confidence=person.score, **index)
        )
        points = np.where(person.keypoint_scores[:, None] > 0, person.keypoints / scale, np.nan)
        keypoints.append(
            fo.Keypoint(
                label="person",
                points=points.tolist(),
                confidence=person.keypoint_scores.astype(float).tolist(),
                **index,
            )
        )
    return fo.Detections(detections=detections), fo.Keypoints(keypoints=keypoints)


def _whole_box(box_xyxy: np.ndarray[tuple[int, ...], np.dtype[np.float32]], size: tuple[int, int]) -> tuple[int, ...]:
    """The whole pixels of a box inside the image: masks of FiftyOne fill their box."""
    low = np.clip(np.floor(box_xyxy[:2]), 0, size[::-1]).astype(int)
    high = np.clip(np.ceil(box_xyxy[2:]), low, size[::-1]).astype(int)
    return (*low.tolist(), *high.tolist())
