"""COCO result files: a list with one record per person, which pycocotools' `loadRes` takes unchanged.

A record holds both pose and mask. Keypoints are COCO's pixel indices (half a pixel less than ours); boxes and masks
need no shift. `loadRes` itself fails on an empty list and on image ids that the ground truth lacks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.errors import AnnotationError
from poseg.geometry import boxes
from poseg.geometry.grid import pixel_centres, pixel_indices
from poseg.geometry.masks import Masks
from poseg.geometry.rle import decode_rle
from poseg.io.coco_table import boxes_or_fallback, has_key, parse_numbers
from poseg.io.coco_values import Record, canonical_results, is_integer
from poseg.io.files import read_json, write_json
from poseg.people import CONFIDENT_JOINT, People
from poseg.skeletons import COCO17, SKELETONS, Skeleton

PERSON = 1  # COCO's category of people
_MISSING = (None, None, None)

ImageId = int | str


def coco_results(
    people: People, image_id: ImageId, *, first_id: int = 1, file_name: str | None = None
) -> list[dict[str, Any]]:
    """One record per person, in the order of `people`, coordinates to 0.01 px.

    id, image_id, category_id, score, and file_name where provided; `id` counts up from `first_id`
    bbox               x, y, width, height: tight around the mask, or the person's box where the mask is empty
    area               pixels of the mask, or of the box
    keypoints          x, y, v for each joint: v = 1 where its score is at least `CONFIDENT_JOINT`, else 0. Such joints
                       keep their coordinates, since COCO's evaluator measures all joints
    keypoint_scores    one number per joint, to 0.0001
    segmentation       compressed run lengths; absent where the people have no masks
    skeleton           its name, unless it is COCO17
    keypoints_3d       x, y, z of each 3D joint, mm about the person's root, x right, y down, z away from the camera,
                       to 0.01 mm; null where missing. Absent, with `skeleton_3d`, for people without 3D joints
    skeleton_3d        name of the skeleton of those joints
    """
    records = []
    points = pixel_indices(people.keypoints)
    flags = people.keypoint_scores >= CONFIDENT_JOINT
    # Rounding must not clear a joint.
    scores = np.where(people.keypoint_scores > 0, np.maximum(people.keypoint_scores, 1e-4), 0)
    boxes_xywh, pixels = _extents(people)
    for row in range(len(people)):
        record: dict[str, Any] = {
            "id": first_id + row,
            "image_id": image_id,
            "category_id": PERSON,
            "score": round(float(people.scores[row]), 6),
            "bbox": _rounded(boxes_xywh[row], 2),
            "area": round(float(pixels[row]), 2),
            "keypoints": _triplets(points[row], flags[row]),
            "keypoint_scores": _rounded(scores[row], 4),
        }
        if people.masks is not None:
            record["segmentation"] = people.masks.rle(row)
        if file_name is not None:
            record["file_name"] = file_name
        if people.skeleton != COCO17:
            record["skeleton"] = people.skeleton.name
        records.append(record | keypoints_3d_record(people, row))
    return records


def write_results(
    path: str | Path, records: Iterable[dict[str, Any]], *, images: Collection[ImageId] | None = None
) -> None:
    """Write records as a COCO result file, whole or not at all.

    images   ids of the images in the ground truth; with them, a record of another image raises AnnotationError here,
             rather than an assertion in the evaluator

    Raises OutputError where the file cannot be written.
    """
    listed = list(records)
    if images is not None:
        ids = set(images)
        for record in listed:
            if record["image_id"] not in ids:
                raise AnnotationError(
                    f"Cannot write {path}: image {record['image_id']!r} is not one of the {len(ids)} of the ground "
                    "truth; predict on its images, or name them as it does."
                )
    write_json(path, listed)


def read_results(path: str | Path, *, skeleton: Skeleton = COCO17) -> dict[ImageId, People]:
    """People by image id from a COCO result file, in the order of its records; plain or .gz.

    Records of other categories than 1 are left out. Records that name another built-in skeleton are remapped to
    `skeleton` by joint names. Joint scores are `keypoint_scores`, else 1 where the flag is set. An image without
    records is absent. Raises AnnotationError.
    """
    source = str(path)
    raw = read_json(path)
    if not isinstance(raw, list) or not all(isinstance(record, dict) for record in raw):
        raise AnnotationError(f"{source} is not a list of records; give a COCO result file, not ground truth.")
    return {
        image_id: people_from_records(records, skeleton, f"{source}: image {image_id}")
        for image_id, records in group_by_image(canonical_results(raw), PERSON, source).items()
    }


def group_by_image(raw: Sequence[Record], category: int, source: str) -> dict[ImageId, list[Record]]:
    """Records of one category by image id, in the order of the file. Raises AnnotationError for invalid ids."""
    by_image: dict[ImageId, list[Record]] = {}
    for index, record in enumerate(raw):
        number = record.get("category_id", category)
        if not is_integer(number):
            raise AnnotationError(f"{source}: record {index} has category_id {number!r}, expected an integer.")
        if number != category:
            continue
        image_id = record.get("image_id")
        if not is_integer(image_id) and not isinstance(image_id, str):
            raise AnnotationError(f"{source}: record {index} has image_id {image_id!r}, expected a number or a name.")
        by_image.setdefault(image_id, []).append(record)
    return by_image


def _extents(people: People) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """(N, 4) xywh boxes and (N,) areas: of the mask where there is one, else of the box."""
    boxes_xyxy, pixels = people.boxes_xyxy, boxes.areas(people.boxes_xyxy).astype(np.float64)
    if people.masks is not None:
        counts = people.masks.areas
        boxes_xyxy = np.where(counts[:, None] > 0, people.masks.boxes_xyxy, boxes_xyxy)
        pixels = np.where(counts > 0, counts, pixels)
    return boxes.xyxy_to_xywh(boxes_xyxy), pixels


def _triplets(points: NDArray[np.float32], flags: NDArray[np.bool_]) -> list[float]:
    """x, y to 0.01 and an integer flag for each joint."""
    triplets = _rounded(np.column_stack([points, flags]).reshape(-1), 2)
    triplets[2::3] = [int(flag) for flag in flags]
    return triplets


def _rounded(values: NDArray[Any], digits: int) -> list[float]:
    """Python numbers; adding 0 turns -0.0 into 0.0."""
    return [round(value, digits) + 0.0 for value in values.astype(np.float64).tolist()]


def people_from_records(records: Sequence[Record], skeleton: Skeleton, where: str) -> People:
    """The people of one image's records, remapped to `skeleton`; `where` is for messages."""
    source = _skeleton(records, skeleton, where)
    rows = [_row(record, source, where) for record in records]
    points, keypoint_scores, scores, boxes_xywh = (np.stack(column) for column in zip(*rows, strict=True))
    masks = masks_from_records(records, where)
    keypoints_3d, skeleton_3d = _read_keypoints_3d(records, where) or (None, None)
    people = People(
        skeleton=source,
        keypoints=points,
        keypoint_scores=keypoint_scores,
        scores=scores,
        boxes_xyxy=boxes_or_fallback(boxes.xywh_to_xyxy(boxes_xywh), masks, points, keypoint_scores > 0),
        masks=masks,
        keypoints_3d=keypoints_3d,
        skeleton_3d=skeleton_3d,
    )
    return people if source == skeleton else people.remap_to(skeleton)


def _skeleton(records: Sequence[Record], expected: Skeleton, where: str) -> Skeleton:
    names = {str(record.get("skeleton", COCO17.name if expected == COCO17 else expected.name)) for record in records}
    skeletons = {**SKELETONS, expected.name: expected}
    if len(names) > 1 or not names <= set(skeletons):
        raise AnnotationError(
            f"{where} has records on skeleton {', '.join(sorted(names))}; "
            f"expected one of {', '.join(sorted(skeletons))}."
        )
    return skeletons[names.pop()]


def _row(record: Record, skeleton: Skeleton, where: str) -> tuple[NDArray[np.float32], ...]:
    """Points (K, 2), joint scores (K,), score () and xywh box (4,), NaN where there is none."""
    k, where = len(skeleton), f"{where}: a record"
    if "score" not in record:
        raise AnnotationError(f"{where} has no score; every result needs one.")
    score = parse_numbers(record["score"], "score", (), where)
    triplets, box = np.zeros((k, 3), np.float32), np.full(4, np.nan, np.float32)
    if has_key(record, "bbox"):
        box = parse_numbers(record["bbox"], "bbox", (4,), where)
    if not has_key(record, "keypoints"):
        scores, points = triplets[:, 2], triplets[:, :2]
    else:
        triplets = parse_numbers(record["keypoints"], "keypoints", (3 * k,), where).reshape(k, 3)
        scores, points = (triplets[:, 2] > 0).astype(np.float32), pixel_centres(triplets[:, :2])
    if record.get("keypoint_scores"):
        scores = parse_numbers(record["keypoint_scores"], "keypoint_scores", (k,), where)
    return points, scores, score, box


def masks_from_records(records: Sequence[Record], where: str) -> Masks | None:
    """Masks of records, empty where a record has no run lengths; None where none has. `where` is for messages."""
    masks = []
    for record in records:
        runs = record.get("segmentation")
        if runs is not None and not isinstance(runs, dict):
            raise AnnotationError(f"{where} has a segmentation that is not run lengths; results need size and counts.")
        try:
            masks.append(np.zeros((0, 0), np.bool_) if runs is None else decode_rle(runs))
        except AnnotationError as fault:
            raise AnnotationError(f"{where}: {fault}") from None
    sizes = {mask.shape for mask in masks if mask.size}
    if len(sizes) > 1:
        raise AnnotationError(f"{where} has masks of different sizes: {sorted(sizes)}; write the results again.")
    return Masks.from_bitmaps([(mask, 0, 0) for mask in masks], sizes.pop()) if sizes else None


def keypoints_3d_record(people: People, row: int) -> dict[str, Any]:
    """The keys `keypoints_3d` and `skeleton_3d` of one person's record; empty where all 3D joints are missing.

    Millimetres to 0.01, x, y, z of one joint after the other; null for a joint that is missing.
    """
    if people.keypoints_3d is None or people.skeleton_3d is None:
        return {}
    joints = people.keypoints_3d[row].astype(np.float64)
    valid = np.isfinite(joints).all(axis=1)
    if not valid.any():
        return {}
    rounded = np.round(joints, 2) + 0.0  # adding 0 turns -0.0 into 0.0
    triplets = [triplet if ok else _MISSING for triplet, ok in zip(rounded.tolist(), valid, strict=True)]
    return {
        "keypoints_3d": [value for triplet in triplets for value in triplet],
        "skeleton_3d": people.skeleton_3d.name,
    }


def _read_keypoints_3d(records: Sequence[Record], where: str) -> tuple[NDArray[np.float32], Skeleton] | None:
    """(N, J, 3) 3D joints of N records and their skeleton, NaN where missing; None where no record has any."""
    names = {str(record.get("skeleton_3d")) for record in records if record.get("keypoints_3d") is not None}
    if not names:
        return None
    if len(names) > 1 or not names <= set(SKELETONS):
        raise AnnotationError(
            f"{where} has 3D joints on skeleton_3d {', '.join(sorted(names))}; "
            f"expected one of {', '.join(sorted(SKELETONS))}."
        )
    skeleton = SKELETONS[names.pop()]
    return np.stack([_row_3d(record.get("keypoints_3d"), skeleton, where) for record in records]), skeleton


def _row_3d(values: object, skeleton: Skeleton, where: str) -> NDArray[np.float32]:
    """(J, 3) joints of one record."""
    if values is None:
        return np.full((len(skeleton), 3), np.nan, np.float32)
    try:
        joints = np.array(values, np.float32)  # JSON's null becomes NaN
    except (TypeError, ValueError, OverflowError):
        joints = np.zeros(0, np.float32)
    if joints.shape != (3 * len(skeleton),) or np.isinf(joints).any():
        raise AnnotationError(
            f"{where} has a record whose `keypoints_3d` is not {3 * len(skeleton)} finite numbers or null; "
            "write the results again."
        )
    return joints.reshape(-1, 3)
