"""Labels as COCO annotations: what is sure is a label, what is half believed is a region to ignore."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.geometry.boxes import boxes_from_points, xywh_to_xyxy
from poseg.geometry.grid import pixel_indices
from poseg.geometry.rle import encode_rle, tight_boxes
from poseg.labelling.looking import Finding
from poseg.skeletons import COCO17

WIDER = 0.1  # a body reaches beyond its joints: the box is widened by this share on each side
COVERED = 0.6  # of a region to ignore, in the box of a label, is that label's own body
FILLED = 0.5  # of its box, a body of which no mask is known


@dataclass(frozen=True, slots=True)
class Cuts:
    """What is sure enough.

    person     least score of a labelled person
    ignore     least score of a person to ignore
    joint      least score of a joint with v = 2
    mask       least agreement (IoU) of a mask that is kept
    min_joints a labelled person has at least so many joints with v = 2
    """

    person: float = 0.2
    ignore: float = 0.1
    joint: float = 0.35
    mask: float = 0.5
    min_joints: int = 3


def label_records(finding: Finding, size: tuple[int, int], cuts: Cuts = Cuts()) -> list[dict[str, Any]]:
    """COCO annotations of one picture of `size` (height, width), without ids, surest first.

    keypoints        x, y, v: v = 2 confident and inside the picture, v = 0 unsure, with the place still given
    keypoint_scores  one a joint; score: the person's
    segmentation     run lengths, only where teachers agree; `mask_agreement` says how much. Box and area are the
                     mask's then, else the widened extent of the joints and half of it
    ignore           1 for somebody half believed: no joints, no mask, box only; left out where it covers a labelled one
    """
    people = finding.agreed.people
    records: list[dict[str, Any]] = []
    for person in range(len(people)):
        if people.scores[person] >= cuts.ignore:
            records.append(_one_record(finding, person, size, cuts))
    labels = [record["bbox"] for record in records if "ignore" not in record]
    return [record for record in records if "ignore" not in record or not _covered(record["bbox"], labels)]


def _one_record(finding: Finding, person: int, size: tuple[int, int], cuts: Cuts) -> dict[str, Any]:
    people = finding.agreed.people
    points, sure = people.keypoints[person], people.keypoint_scores[person]
    score, agreement = float(people.scores[person]), float(finding.mask_agreement[person])
    inside = ((points >= 0) & (points <= (size[1], size[0]))).all(axis=1)
    confident = (sure >= cuts.joint) & inside
    believed = score >= cuts.person and int(confident.sum()) >= cuts.min_joints
    record = _pose(points, sure, confident & believed, score)
    if believed and agreement >= cuts.mask:
        mask = finding.masks[person]
        record |= _extent(tight_boxes(mask[None])[0], float(np.count_nonzero(mask)))
        return record | {"segmentation": encode_rle(mask), "mask_agreement": round(agreement, 2)}
    box = _around(points, confident if confident.sum() > 1 else inside, size)
    record |= _extent(box, FILLED * float(np.prod(np.maximum(box[2:] - box[:2], 1))))
    return record if believed else record | {"ignore": 1}


def _covered(bbox: Sequence[float], labels: Sequence[Sequence[float]]) -> bool:
    """Whether most of a box lies in that of one label: a second opinion on the same body, not another one."""
    if not labels:
        return False
    low, high = np.split(xywh_to_xyxy([bbox])[0], 2)
    others = xywh_to_xyxy(labels)
    shared = np.clip(np.minimum(others[:, 2:], high) - np.maximum(others[:, :2], low), 0, None).prod(axis=1)
    return bool((shared > COVERED * max(float((high - low).prod()), 1.0)).any())


def category() -> dict[str, Any]:
    """The person category as COCO writes it."""
    return {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(COCO17.joints),
        "skeleton": (COCO17.indices(COCO17.bones) + 1).tolist(),
    }


def _pose(
    points: NDArray[np.float32], sure: NDArray[np.float32], confident: NDArray[np.bool_], score: float
) -> dict[str, Any]:
    triplets = np.column_stack([pixel_indices(points), np.where(confident, 2, 0)]).astype(np.float64)
    keypoints = [round(value, 1) + 0.0 for value in triplets.reshape(-1).tolist()]
    keypoints[2::3] = [int(flag) for flag in keypoints[2::3]]
    return {
        "category_id": 1,
        "iscrowd": 0,
        "score": round(score, 3),
        "num_keypoints": int(confident.sum()),
        "keypoints": keypoints,
        "keypoint_scores": [round(value, 2) for value in sure.astype(np.float64).tolist()],
    }


def _extent(box: NDArray[np.float32], area: float) -> dict[str, Any]:
    left, top, right, bottom = (float(side) for side in box)
    return {"bbox": [round(side, 1) for side in (left, top, right - left, bottom - top)], "area": round(area, 1)}


def _around(points: NDArray[np.float32], counts: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.float32]:
    """The widened box (4,) xyxy of the joints that count, inside the picture."""
    box = boxes_from_points(points[None], counts[None] if counts.any() else np.ones((1, len(points)), np.bool_))[0]
    margin = WIDER * (box[2:] - box[:2])
    low, high = box[:2] - margin, box[2:] + margin
    edge = np.array(size[::-1], np.float32)
    return np.concatenate([np.clip(low, 0, edge), np.clip(high, 0, edge)])
