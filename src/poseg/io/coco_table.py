"""The annotations of a COCO file as arrays, validated once when they are read.

Letters: A annotations of the person category, in the order of the file; K joints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.errors import AnnotationError, SkeletonError
from poseg.geometry.boxes import boxes_from_points, xywh_to_xyxy
from poseg.geometry.masks import Masks
from poseg.geometry.rle import MAX_COORDINATE_PX, MIN_POLYGON, parse_segmentation
from poseg.io.coco_skeleton import build_skeleton, describe_skeleton, read_skeleton_file, skeleton_file_beside
from poseg.io.coco_values import Record, is_integer
from poseg.skeletons import COCO17, Skeleton

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CocoImage:
    """One entry of `images`; `size` is (height, width) in pixels, None where the file has none."""

    id: int
    file_name: str
    size: tuple[int, int] | None


@dataclass(frozen=True, slots=True, eq=False)
class CocoTable:
    """Annotations of one category.

    ids              (A,) int64
    image_ids        (A,) int64
    triplets         (A, K, 3) float32 as in the file: pixel indices x, y and visibility v; zeros where none
    joint_scores     (A, K) float32: `keypoint_scores` of the record where it has them, else 1
    scores           (A,) float32: `score` of the record where it has one, else 1
    boxes_xyxy       (A, 4) float32; NaN where the record has no box
    areas            (A,) float32 square pixels, which OKS is scaled by; NaN where the record has none
    crowd_or_ignore  (A,) bool: crowds (`iscrowd`) and records marked `ignore`, whose pixels are not used
    segmentations    A raw segmentations or None
    mask_agreement   (A,) float32: IoU of the networks that made the mask, of pseudo-labels that have it; else 1
    """

    ids: NDArray[np.int64]
    image_ids: NDArray[np.int64]
    triplets: Floats
    joint_scores: Floats
    scores: Floats
    boxes_xyxy: Floats
    areas: Floats
    crowd_or_ignore: NDArray[np.bool_]
    segmentations: tuple[object, ...]
    mask_agreement: Floats


def parse_images(raw: Sequence[Record], source: str) -> dict[int, CocoImage]:
    """Images by id; identical repeated entries count once. Raises AnnotationError."""
    images: dict[int, CocoImage] = {}
    for record in raw:
        number = _integer(record, "id", "images", source)
        name = record.get("file_name", "")
        sides = record.get("height"), record.get("width")
        if not isinstance(name, str) or not all(side is None or (is_integer(side) and side > 0) for side in sides):
            raise AnnotationError(f"{source}: image {number} needs a file_name, and a height and width in pixels.")
        image = CocoImage(number, name, None if None in sides else (int(sides[0]), int(sides[1])))  # type: ignore[arg-type]
        if images.setdefault(number, image) != image:
            raise AnnotationError(f"{source}: two different images have the id {number}; give each its own.")
    return images


def person_category(raw: Sequence[Record], annotations: Sequence[Record], source: str) -> Record:
    """The category named person, else the only one; of several, the one that annotations use. Raises AnnotationError.

    The same category may be listed several times: the entry with joints counts.
    """
    by_id: dict[object, Record] = {}
    for category in sorted(raw, key=lambda category: not category.get("keypoints")):
        by_id.setdefault(_key(category.get("id")), category)
    named = [category for category in by_id.values() if str(category.get("name", "")).strip().lower() == "person"]
    if len(named) > 1:
        used = {_key(record.get("category_id")) for record in annotations}
        named = [category for category in named if _key(category.get("id")) in used] or named[:1]
    for candidates in (named, list(by_id.values())):
        if len(candidates) == 1:
            _integer(candidates[0], "id", "categories", source)
            return candidates[0]
    if len(named) > 1:
        ids = " and ".join(str(category.get("id")) for category in named)
        raise AnnotationError(f"{source}: the categories {ids} are both named 'person' and used; merge or rename them.")
    names = ", ".join(str(category.get("name", "?")) for category in raw) or "none"
    raise AnnotationError(f"{source}: expected one category named 'person', got {names}; rename the right one.")


def people_records(annotations: Sequence[Record], category: Record, source: str) -> list[Record]:
    """The annotations of a category. Raises AnnotationError for one whose category cannot be read."""
    people = []
    for record in annotations:
        number = record.get("category_id")
        if number is None:
            raise AnnotationError(f"{source}: annotation {record.get('id')} has no category_id; add it.")
        if not is_integer(number):
            raise AnnotationError(
                f"{source}: annotation {record.get('id')} has category_id {number!r}, expected an integer."
            )
        if number == category["id"]:
            people.append(record)
    return people


def parse_skeleton(category: Record, annotations: Sequence[Record], source: str) -> Skeleton:
    """The skeleton of a category, of the TOML file beside `source`, or a built-in one (`io.coco_skeleton`).

    Without names it is COCO's 17 joints, if no record has another number of them. Raises AnnotationError.
    """
    lengths = {len(row) for record in annotations if isinstance(row := record.get("keypoints"), list) and row}
    beside = skeleton_file_beside(source)
    description = describe_skeleton(category, read_skeleton_file(beside) if beside else None)
    odd = max(lengths - {3 * len(COCO17)}, default=None)
    try:
        return build_skeleton(description, None if odd is None else odd // 3)
    except SkeletonError as fault:
        raise AnnotationError(
            f"{source}: the category's keypoints and skeleton do not fit: {fault} Bones are pairs from 1."
        ) from None


def parse_annotations(raw: Sequence[Record], images: Mapping[int, CocoImage], joints: int, source: str) -> CocoTable:
    """The records as a table. Raises AnnotationError that names the annotation."""
    ids = [_integer(record, "id", "annotations", source) for record in raw]
    if len(set(ids)) != len(ids):
        twice = next(number for number in ids if ids.count(number) > 1)
        raise AnnotationError(f"{source}: two annotations have the id {twice}; give each its own.")
    image_ids = [
        _integer(record, "image_id", f"annotation {number}", source) for number, record in zip(ids, raw, strict=True)
    ]
    for number, image_id in zip(ids, image_ids, strict=True):
        if image_id not in images:
            raise AnnotationError(
                f"{source}: annotation {number} belongs to image {image_id}, which `images` does not list; add it."
            )
    triplets = _rows(raw, ids, "keypoints", [0.0] * (3 * joints), source).reshape(-1, joints, 3)
    boxes = _rows(raw, ids, "bbox", [np.nan] * 4, source)
    return CocoTable(
        ids=np.array(ids, np.int64),
        image_ids=np.array(image_ids, np.int64),
        triplets=triplets,
        joint_scores=_rows(raw, ids, "keypoint_scores", [1.0] * joints, source),
        scores=_rows(raw, ids, "score", 1.0, source),
        boxes_xyxy=xywh_to_xyxy(boxes),
        areas=_rows(raw, ids, "area", np.nan, source),
        crowd_or_ignore=_crowds(raw, ids, source),
        segmentations=tuple(
            _segmentation(record, f"{source}: annotation {number}") for number, record in zip(ids, raw, strict=True)
        ),
        mask_agreement=_rows(raw, ids, "mask_agreement", 1.0, source),
    )


def record_list(raw: object, key: str, source: str) -> list[Record]:
    """The list of objects under `key` of an annotation file. Raises AnnotationError."""
    if not isinstance(raw, Mapping):
        raise AnnotationError(
            f"{source} holds a {type(raw).__name__}, expected an object with images, annotations and categories; "
            "a list is a result file, not ground truth."
        )
    records = raw.get(key)
    if not isinstance(records, list) or not all(isinstance(record, Mapping) for record in records):
        raise AnnotationError(f"{source} has no list of objects under `{key}`; give a COCO annotation file.")
    return records


def boxes_or_fallback(boxes_xyxy: Floats, masks: Masks | None, points: Floats, visible: NDArray[np.bool_]) -> Floats:
    """(N, 4) boxes with rows of NaN replaced by the tight box of the mask, else by that of the visible joints."""
    fallback = boxes_from_points(points, visible)
    if masks is not None:
        fallback = np.where(masks.nonempty[:, None], masks.boxes_xyxy, fallback)
    return np.where(np.isnan(boxes_xyxy), fallback, boxes_xyxy)


def has_key(record: Record, key: str) -> bool:
    """Whether the record has a value for the key that is neither null nor an empty list."""
    return record.get(key) not in (None, [])


def parse_numbers(value: Any, key: str, shape: tuple[int, ...], where: str) -> Floats:
    """One entry of a record as finite float32 of a shape. Raises AnnotationError; `where` is for its message."""
    expected = f"{shape[0]} finite numbers" if shape else "a finite number"
    try:
        with np.errstate(over="ignore"):
            numbers = np.array(value, np.float32)
    except (TypeError, ValueError, OverflowError):
        raise AnnotationError(f"{where} has `{key}` that is not made of numbers; expected {expected}.") from None
    if numbers.shape != shape:
        got = f"{numbers.size} numbers" if numbers.ndim <= 1 else f"shape {numbers.shape}"
        raise AnnotationError(f"{where} has `{key}` of {got}, expected {expected}; correct or remove it.")
    if not np.isfinite(numbers).all():
        raise AnnotationError(f"{where} has `{key}` with NaN or infinity; expected {expected}.")
    if np.abs(numbers).max(initial=0) > max_number(key):
        raise AnnotationError(f"{where} has `{key}` with a number far outside any image; correct or remove it.")
    return numbers


def max_number(key: str) -> float:
    """The largest number that an entry of a record may have; what is allocated for boxes and joints depends on it."""
    return MAX_COORDINATE_PX if key in ("bbox", "keypoints") else float(np.finfo(np.float32).max)


def _rows(raw: Sequence[Record], ids: Sequence[int], key: str, default: Any, source: str) -> Floats:
    """(A, ...) float32 of one key of every record; `default` where a record lacks it or it is empty."""
    shape = np.shape(default)
    table = np.full((len(raw), *shape), default, np.float32)
    rows = [row for row, record in enumerate(raw) if has_key(record, key)]
    if not rows:
        return table
    try:
        table[rows] = parse_numbers([raw[row][key] for row in rows], key, (len(rows), *shape), source)
    except AnnotationError:  # again one by one, to name the annotation
        for row in rows:
            table[row] = parse_numbers(raw[row][key], key, shape, f"{source}: annotation {ids[row]}")
    return table


def _crowds(raw: Sequence[Record], ids: Sequence[int], source: str) -> NDArray[np.bool_]:
    """(A,) bool: records marked as crowds or to be ignored."""
    for number, record in zip(ids, raw, strict=True):
        for key in ("iscrowd", "ignore"):
            if not is_integer(record.get(key, 0) or 0):
                raise AnnotationError(f"{source}: annotation {number} has {key} {record[key]!r}; write 0 or 1.")
    return np.array([bool(record.get("iscrowd") or record.get("ignore")) for record in raw], np.bool_)


def _segmentation(record: Record, where: str) -> object:
    """The raw segmentation, None where it covers nothing; others are parsed only when they are used."""
    segmentation = record.get("segmentation")
    if isinstance(segmentation, dict) and segmentation:
        return segmentation
    if isinstance(segmentation, list) and any(_may_cover(ring) for ring in segmentation):
        return segmentation
    try:
        return parse_segmentation(segmentation)
    except AnnotationError as fault:
        raise AnnotationError(f"{where}: {fault}") from None


def _may_cover(ring: object) -> bool:
    return not isinstance(ring, list) or len(ring) >= MIN_POLYGON


def _key(number: object) -> object:
    """An id that can be looked up, whatever it is."""
    return number if is_integer(number) else repr(number)


def _integer(record: Record, key: str, where: str, source: str) -> int:
    value = record.get(key)
    if not is_integer(value):
        raise AnnotationError(f"{source}: an entry of {where} has {key} {value!r}, expected an integer of 64 bits.")
    return value
