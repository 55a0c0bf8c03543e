"""What a user's annotations lack, completed by the default model: joints of masks, and masks of poses.

A data set with masks alone would teach a network nothing about whose pixels they are, and one with poses alone would
let it forget masks. People of the file whom the model detects get from it what the file does not annotate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.geometry.grid import pixel_indices
from poseg.geometry.similarity import box_iou_matrix, greedy_match, oks_matrix
from poseg.io.coco_json import parse_coco
from poseg.io.image_names import match_files
from poseg.io.images import read_image
from poseg.people import People
from poseg.runtime.models import DEFAULT, load
from poseg.skeletons import Skeleton
from poseg.skeletons.remap import remap_weights

MIN_IOU, MIN_OKS = 0.5, 0.4  # of an annotated person and the detection that completes them
CONFIDENT, UNCERTAIN = 0.4, 0.1  # joint scores: from the first a joint is a label, from the second no background
BYSTANDER = 0.5  # score from which a person whom the file does not annotate is ignored
MATCHING_SIGMA = 0.1  # annotators of other sets place joints elsewhere
MIN_SHARED = 3  # joints; with fewer people are matched by their boxes
MASK_AGREEMENT = 0.5  # below what is cut out and pasted elsewhere


def complete_labels(
    part: dict[str, Any], images: Path, skeleton: Skeleton, own: tuple[str, ...], *, has_joints: bool, has_masks: bool,
    progress: Callable[[int, int | None], None],
) -> tuple[dict[str, Any], tuple[str, ...]]:  # fmt: skip
    """A COCO file with the masks and the joints of a skeleton that it lacks, where the default model detects them.

    own   the joints of the file itself, which stay as they are

    Where no image shows more than one annotated person, others who are detected become crowds, whose pixels are
    ignored. Returns the file and sentences about what was completed; a file with both stays as it is.
    """
    hidden = [joint for joint in skeleton.joints if joint not in own or not has_joints]
    if has_masks and not hidden:
        return part, ()
    data, predictor = parse_coco(part, "the training part"), load(DEFAULT)
    paths = match_files(images, [image["file_name"] for image in part["images"]]).paths
    records = {record["id"]: dict(record) for record in part["annotations"]}
    alone = all(len(people) <= 1 for people, _ in data.rows.values())
    done, bystanders = 0, []
    for index, image in enumerate(part["images"], start=1):
        pixels = read_image(paths[image["file_name"]])
        people, detected = data.people(image["id"], pixels.shape[:2]), predictor(pixels)
        similarity, threshold = _similarity(detected, people, own, by_masks=has_masks)
        matched = greedy_match(similarity, threshold)
        for row, column in enumerate(matched):
            if column >= 0:
                record = records[int(data.annotation_ids(image["id"])[column])]
                record |= {} if has_masks else _mask(detected, row)
                record |= _joints(detected, row, skeleton, hidden, record.get("keypoints"))
                done += 1
            elif alone and detected.scores[row] >= BYSTANDER:
                bystanders.append(_bystander(detected, row, image["id"]))
        progress(index, len(part["images"]))
    first = max(records, default=0) + 1
    extra = [{"id": first + n, **record} for n, record in enumerate(bystanders)]
    what = " and ".join(w for w, given in (("masks", not has_masks), (f"{len(hidden)} joints", hidden)) if given)
    notes = [f"`{DEFAULT}` gives {what} that the file lacks to {done} of {len(records)} people in training."]
    if extra:
        notes.append(f"One person an image is annotated: {len(extra)} others who are detected are ignored.")
    return {**part, "annotations": [*records.values(), *extra]}, tuple(notes)


def _similarity(
    detected: People, people: People, own: tuple[str, ...], *, by_masks: bool
) -> tuple[NDArray[np.float32], float]:
    """(N, M) of detected and annotated people by what the file annotates, and the threshold that goes with it."""
    if by_masks and people.masks is not None and detected.masks is not None:
        return detected.masks.iou(people.masks), MIN_IOU
    shared = (remap_weights(detected.skeleton, people.skeleton).sum(axis=1) > 0) & np.isin(people.skeleton.joints, own)
    if shared.sum() < MIN_SHARED:
        return box_iou_matrix(detected.boxes_xyxy, people.boxes_xyxy), MIN_IOU
    remapped, sides = detected.remap_to(people.skeleton), people.boxes_xyxy[:, 2:] - people.boxes_xyxy[:, :2]
    similarity = oks_matrix(
        remapped.keypoints, people.keypoints, areas_px=np.maximum(sides.prod(axis=1), 1),
        sigmas=np.full(len(people.skeleton), MATCHING_SIGMA), weights=(people.keypoint_scores > 0) * shared,
    )  # fmt: skip
    return np.asarray(similarity, np.float32), MIN_OKS


def _mask(detected: People, row: int) -> dict[str, Any]:
    if detected.masks is None or not detected.masks.nonempty[row]:
        return {}
    return {"segmentation": detected.masks.rle(row), "mask_agreement": MASK_AGREEMENT}


def _joints(
    detected: People, row: int, skeleton: Skeleton, hidden: list[str], given: list[float] | None
) -> dict[str, Any]:
    """Joints as COCO has them, those that are hidden from the detection; an uncertain one has a position and v = 0."""
    person = detected[[row]].remap_to(skeleton)
    points, scores = pixel_indices(person.keypoints[0]), person.keypoint_scores[0]
    placed = (scores >= UNCERTAIN)[:, None]
    triplets = np.column_stack([np.where(placed, points, 0), np.where(scores >= CONFIDENT, 2, 0)])
    if given is not None:
        stays = np.array([joint not in hidden for joint in skeleton.joints])
        triplets = np.where(stays[:, None], np.reshape(given, (-1, 3)), triplets)
    numbers = [round(float(n), 2) for n in triplets.ravel()]
    return {"keypoints": numbers, "num_keypoints": int((triplets[:, 2] > 0).sum())}


def _bystander(detected: People, row: int, image_id: int) -> Mapping[str, Any]:
    x, y, right, bottom = (round(float(n), 2) for n in detected.boxes_xyxy[row])
    box = {"image_id": image_id, "category_id": 1, "iscrowd": 1, "bbox": [x, y, right - x, bottom - y]}
    return {**box, **{name: value for name, value in _mask(detected, row).items() if name == "segmentation"}}
