"""COCO result files: a plain list with one record a person, which pycocotools' `loadRes` takes unchanged.

A record holds both answers, pose and mask. Keypoints are COCO's pixel numbers (half a pixel less than ours); boxes
and masks need no shift. `loadRes` itself fails on an empty list and on image ids that the ground truth lacks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.errors import AnnotationError
from poseg.geometry import boxes
from poseg.geometry.grid import pixel_centres, pixel_indices
from poseg.geometry.masks import Masks
from poseg.geometry.rle import decode_rle
from poseg.io.coco_columns import complete_boxes
from poseg.io.files import read_json, write_json
from poseg.io.joints_in_space import joints_in_space, read_joints_in_space
from poseg.people import People
from poseg.skeletons import COCO17, SKELETONS, Skeleton

PERSON = 1

ImageId = int | str


def coco_results(
    people: People, image_id: ImageId, *, first_id: int = 1, file_name: str | None = None
) -> list[dict[str, Any]]:
    """One record a person, in the order of `people`, coordinates to 0.01 px.

    id, image_id, category_id, score, and file_name where it is given; `id` counts up from `first_id`
    bbox               x, y, width, height: tight around the mask, or the person's box where the mask is empty
    area               pixels of the mask, or of the box
    keypoints          x, y, flag for each joint: flag 1 where it was found, 0 where not. Joints not found keep their
                       coordinates, since COCO's evaluator measures them all
    keypoint_scores    one number a joint, to 0.0001
    segmentation       compressed run lengths; absent where the people have no masks
    skeleton           its name, unless it is COCO17
    keypoints_3d       x, y, z for each joint in space, mm about the person's root, x right, y down, z away from the
                       camera, to 0.01 mm; null where nobody knows. Absent, with `skeleton_3d`, for those who have none
    skeleton_3d        name of the skeleton of those joints
    """
    records = []
    points = pixel_indices(people.keypoints)
    flags = people.keypoint_scores > 0
    sure = np.where(flags, np.maximum(people.keypoint_scores, 1e-4), 0)  # a found joint stays found when rounded
    boxes_xywh, pixels = _extents(people)
    for row in range(len(people)):
        triplets = np.column_stack([points[row], flags[row]])
        record: dict[str, Any] = {
            "id": first_id + row,
            "image_id": image_id,
            "category_id": PERSON,
            "score": round(float(people.scores[row]), 6),
            "bbox": _rounded(boxes_xywh[row], 2),
            "area": round(float(pixels[row]), 2),
            "keypoints": _rounded(triplets.reshape(-1), 2),
            "keypoint_scores": _rounded(sure[row], 4),
        }
        record["keypoints"][2::3] = [int(flag) for flag in flags[row]]
        if people.masks is not None:
            record["segmentation"] = people.masks.rle(row)
        if file_name is not None:
            record["file_name"] = file_name
        if people.skeleton != COCO17:
            record["skeleton"] = people.skeleton.name
        records.append(record | joints_in_space(people, row))
    return records


def write_results(
    path: str | Path, records: Iterable[dict[str, Any]], *, images: Collection[ImageId] | None = None
) -> None:
    """Write records as a COCO result file, whole or not at all.

    images   ids of the pictures in the ground truth; with them, a record of another picture is an AnnotationError
             here, rather than an assertion in the evaluator

    Raises OutputError where the place cannot be written.
    """
    listed = list(records)
    if images is not None:
        known = set(images)
        for record in listed:
            if record["image_id"] not in known:
                raise AnnotationError(
                    f"Cannot write {path}: image {record['image_id']!r} is not one of the {len(known)} of the ground "
                    "truth; predict on its pictures, or name them as it does."
                )
    write_json(path, listed)


def read_results(path: str | Path, *, skeleton: Skeleton = COCO17) -> dict[ImageId, People]:
    """People by image id from a COCO result file, in the order of its records; plain or .gz.

    Records of other categories than 1 are left out. Records that name another known skeleton come back on `skeleton`
    by the names of the joints. Joint scores are `keypoint_scores`, else 1 where the flag is set. A picture without
    records is absent: the list does not speak of it. Raises AnnotationError.
    """
    source = str(path)
    plain = read_json(path)
    if not isinstance(plain, list) or not all(isinstance(record, dict) for record in plain):
        raise AnnotationError(f"{source} is not a list of records; give a COCO result file, not ground truth.")
    by_image: dict[ImageId, list[dict[str, Any]]] = {}
    for place, record in enumerate(plain):
        if record.get("category_id", PERSON) != PERSON:
            continue
        image_id = record.get("image_id")
        if not isinstance(image_id, (int, str)) or isinstance(image_id, bool):
            raise AnnotationError(f"{source}: record {place} has image_id {image_id!r}, wanted a number or a name.")
        by_image.setdefault(image_id, []).append(record)
    return {
        image_id: people_of_records(records, skeleton, f"{source}: image {image_id}")
        for image_id, records in by_image.items()
    }


def _extents(people: People) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """(N, 4) xywh boxes and (N,) areas: of the mask where there is one, else of the box."""
    boxes_xyxy, pixels = people.boxes_xyxy, boxes.areas(people.boxes_xyxy).astype(np.float64)
    if people.masks is not None:
        counts = people.masks.areas
        boxes_xyxy = np.where(counts[:, None] > 0, people.masks.boxes_xyxy, boxes_xyxy)
        pixels = np.where(counts > 0, counts, pixels)
    return boxes.xyxy_to_xywh(boxes_xyxy), pixels


def _rounded(values: NDArray[Any], digits: int) -> list[float]:
    """Plain numbers; adding 0 turns -0.0 into 0.0."""
    return [round(value, digits) + 0.0 for value in values.astype(np.float64).tolist()]


def people_of_records(records: Sequence[dict[str, Any]], wanted: Skeleton, where: str) -> People:
    """The people of one picture's records, on the skeleton that is wanted; `where` is for messages."""
    source = _skeleton(records, wanted, where)
    rows = [_row(record, source, where) for record in records]
    points, sure, scores, given = (np.stack(column) for column in zip(*rows, strict=True))
    masks = masks_of_records(records, where)
    keypoints_3d, skeleton_3d = read_joints_in_space(records, where) or (None, None)
    found = People(
        skeleton=source,
        keypoints=points,
        keypoint_scores=sure,
        scores=scores,
        boxes_xyxy=complete_boxes(boxes.xywh_to_xyxy(given), masks, points, sure > 0),
        masks=None if masks is None else Masks.from_full(masks),
        keypoints_3d=keypoints_3d,
        skeleton_3d=skeleton_3d,
    )
    return found if source == wanted else found.remap_to(wanted)


def _skeleton(records: Sequence[dict[str, Any]], wanted: Skeleton, where: str) -> Skeleton:
    names = {str(record.get("skeleton", COCO17.name if wanted == COCO17 else wanted.name)) for record in records}
    known = {**SKELETONS, wanted.name: wanted}
    if len(names) > 1 or not names <= set(known):
        raise AnnotationError(
            f"{where} has records on skeleton {', '.join(sorted(names))}; wanted one of {', '.join(sorted(known))}."
        )
    return known[names.pop()]


def _row(record: dict[str, Any], skeleton: Skeleton, where: str) -> tuple[NDArray[np.float32], ...]:
    """Points (K, 2), joint scores (K,), score () and xywh box (4,), NaN where there is none."""
    k = len(skeleton)
    triplets = _numbers(record, "keypoints", (3 * k,), 0.0, where).reshape(k, 3)
    flags = (triplets[:, 2] > 0).astype(np.float32)
    if "score" not in record:
        raise AnnotationError(f"{where} has a record without a score; every result needs one.")
    sure = _numbers(record, "keypoint_scores", (k,), None, where) if record.get("keypoint_scores") else flags
    score = _numbers(record, "score", (), None, where)
    points = pixel_centres(triplets[:, :2]) if record.get("keypoints") else triplets[:, :2]
    return points, sure, score, _numbers(record, "bbox", (4,), np.nan, where)


def _numbers(
    record: dict[str, Any], key: str, shape: tuple[int, ...], default: float | None, where: str
) -> NDArray[np.float32]:
    value = record.get(key)
    if default is not None and (value is None or value == []):
        return np.full(shape, default, np.float32)
    try:
        numbers = np.array(value, np.float32)
    except (TypeError, ValueError, OverflowError):
        numbers = np.full(1, np.nan, np.float32)
    if numbers.shape != shape or not np.isfinite(numbers).all():
        wanted = f"{shape[0]} finite numbers" if shape else "a finite number"
        raise AnnotationError(f"{where} has a record whose `{key}` is not {wanted}; write the results again.")
    return numbers


def masks_of_records(records: Sequence[Mapping[str, Any]], where: str) -> NDArray[np.bool_] | None:
    """(N, H, W) bool, all false where a record has no run lengths; None where none has. `where` is for messages."""
    masks = []
    for record in records:
        runs = record.get("segmentation")
        if runs is not None and not isinstance(runs, dict):
            raise AnnotationError(f"{where} has a segmentation that is not run lengths; results need size and counts.")
        try:
            masks.append(None if runs is None else decode_rle(runs))
        except AnnotationError as fault:
            raise AnnotationError(f"{where}: {fault}") from None
    sizes = {mask.shape for mask in masks if mask is not None}
    if len(sizes) > 1:
        raise AnnotationError(f"{where} has masks of different sizes: {sorted(sizes)}; write the results again.")
    if not sizes:
        return None
    size = sizes.pop()
    return np.stack([np.zeros(size, np.bool_) if mask is None else mask for mask in masks])
