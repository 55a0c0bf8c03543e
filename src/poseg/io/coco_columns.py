"""A COCO annotation file as columns: checked once, so that whoever reads rows need not check again.

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
from poseg.geometry.rle import Mask, tight_boxes
from poseg.io.coco_skeleton import build_skeleton, read_skeleton_file, skeleton_file_beside, skeleton_plain
from poseg.skeletons import COCO17, Skeleton

Floats = NDArray[np.float32]
Record = Mapping[str, Any]

_BEYOND = 2**63  # the columns hold 64 bits


@dataclass(frozen=True, slots=True)
class CocoImage:
    """One entry of `images`; `size` is (height, width) in pixels, None where the file does not say."""

    id: int
    file_name: str
    size: tuple[int, int] | None


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Annotations of one category.

    ids              (A,) int64
    image_ids        (A,) int64
    triplets         (A, K, 3) float32 as in the file: pixel numbers x, y and visibility v; zeros where none
    joint_scores     (A, K) float32: `keypoint_scores` of the record where it has them, else 1
    scores           (A,) float32: `score` of the record where it has one, else 1
    boxes_xyxy       (A, 4) float32; NaN where the record has no box
    areas            (A,) float32 square pixels, which OKS is scaled by; NaN where the record has none
    unsure           (A,) bool: crowds (`iscrowd`) and records marked `ignore`, whose pixels say nothing
    segmentations    A raw segmentations or None
    """

    ids: NDArray[np.int64]
    image_ids: NDArray[np.int64]
    triplets: Floats
    joint_scores: Floats
    scores: Floats
    boxes_xyxy: Floats
    areas: Floats
    unsure: NDArray[np.bool_]
    segmentations: tuple[object, ...]


def parse_images(plain: Sequence[Record], source: str) -> dict[int, CocoImage]:
    """Images by id; entries repeated word for word count once. Raises AnnotationError."""
    images: dict[int, CocoImage] = {}
    for record in plain:
        number = _whole(record, "id", "images", source)
        name = record.get("file_name", "")
        sides = record.get("height"), record.get("width")
        if not isinstance(name, str) or not all(side is None or (_is_whole(side) and side > 0) for side in sides):
            raise AnnotationError(f"{source}: image {number} needs a file_name, and a height and width in pixels.")
        image = CocoImage(number, name, None if None in sides else (int(sides[0]), int(sides[1])))  # type: ignore[arg-type]
        if images.setdefault(number, image) != image:
            raise AnnotationError(f"{source}: two different images have the id {number}; give each its own.")
    return images


def person_category(plain: Sequence[Record], source: str) -> Record:
    """The category named person, else the only one. Raises AnnotationError."""
    named = [category for category in plain if str(category.get("name", "")).lower() == "person"]
    for found in (named, plain):
        if len(found) == 1:
            _whole(found[0], "id", "categories", source)
            return found[0]
    names = ", ".join(str(category.get("name", "?")) for category in plain) or "none"
    raise AnnotationError(f"{source}: wanted one category named 'person', found {names}; rename the right one.")


def parse_skeleton(category: Record, annotations: Sequence[Record], source: str) -> Skeleton:
    """The skeleton of a category, of the TOML file beside `source`, or a known one (`io.coco_skeleton`).

    Without names it is COCO's 17 joints, provided that no record has another number of them. Raises AnnotationError.
    """
    lengths = {len(row) for record in annotations if isinstance(row := record.get("keypoints"), list) and row}
    beside = skeleton_file_beside(source)
    said = skeleton_plain(category, read_skeleton_file(beside) if beside else None)
    odd = max(lengths - {3 * len(COCO17)}, default=None)
    try:
        return build_skeleton(said, None if odd is None else odd // 3)
    except SkeletonError as fault:
        raise AnnotationError(
            f"{source}: the category's keypoints and skeleton do not fit: {fault} Bones are pairs from 1."
        ) from None


def parse_annotations(plain: Sequence[Record], images: Mapping[int, CocoImage], joints: int, source: str) -> Columns:
    """Columns of the given records. Raises AnnotationError that names the annotation."""
    ids = [_whole(record, "id", "annotations", source) for record in plain]
    if len(set(ids)) != len(ids):
        twice = next(number for number in ids if ids.count(number) > 1)
        raise AnnotationError(f"{source}: two annotations have the id {twice}; give each its own.")
    places = [
        _whole(record, "image_id", f"annotation {number}", source) for number, record in zip(ids, plain, strict=True)
    ]
    for number, place in zip(ids, places, strict=True):
        if place not in images:
            raise AnnotationError(
                f"{source}: annotation {number} belongs to image {place}, which `images` does not list; add it."
            )
    triplets = _rows(plain, ids, "keypoints", [0.0] * (3 * joints), source).reshape(-1, joints, 3)
    boxes = _rows(plain, ids, "bbox", [np.nan] * 4, source)
    return Columns(
        ids=np.array(ids, np.int64),
        image_ids=np.array(places, np.int64),
        triplets=triplets,
        joint_scores=_rows(plain, ids, "keypoint_scores", [1.0] * joints, source),
        scores=_rows(plain, ids, "score", 1.0, source),
        boxes_xyxy=xywh_to_xyxy(boxes),
        areas=_rows(plain, ids, "area", np.nan, source),
        unsure=np.array([bool(record.get("iscrowd") or record.get("ignore")) for record in plain], np.bool_),
        segmentations=tuple(
            _segmentation(record, f"{source}: annotation {number}") for number, record in zip(ids, plain, strict=True)
        ),
    )


def records_of(plain: object, key: str, source: str) -> list[Record]:
    """The list of objects under `key` of an annotation file. Raises AnnotationError."""
    if not isinstance(plain, Mapping):
        raise AnnotationError(
            f"{source} holds a {type(plain).__name__}, wanted an object with images, annotations and categories; "
            "a list is a result file, not ground truth."
        )
    records = plain.get(key)
    if not isinstance(records, list) or not all(isinstance(record, Mapping) for record in records):
        raise AnnotationError(f"{source} has no list of objects under `{key}`; give a COCO annotation file.")
    return records


def complete_boxes(boxes_xyxy: Floats, masks: Mask | None, points: Floats, found: NDArray[np.bool_]) -> Floats:
    """(N, 4) boxes with rows of NaN replaced: tight around the mask, where that is empty around the joints found."""
    substitutes = boxes_from_points(points, found)
    if masks is not None:
        tight = tight_boxes(masks)
        substitutes = np.where(tight.any(axis=1, keepdims=True), tight, substitutes)
    return np.where(np.isnan(boxes_xyxy), substitutes, boxes_xyxy)


def _rows(plain: Sequence[Record], ids: Sequence[int], key: str, default: Any, source: str) -> Floats:
    """(A, ...) float32 of one key of every record; `default` where a record lacks it or it is empty."""
    shape = np.shape(default)
    table = np.full((len(plain), *shape), default, np.float32)
    given = [row for row, record in enumerate(plain) if record.get(key) not in (None, [])]
    try:
        with np.errstate(over="ignore"):  # infinity is found below
            values = np.array([plain[row][key] for row in given], np.float32)
        sound = not given or (values.shape == (len(given), *shape) and bool(np.isfinite(values).all()))
    except (TypeError, ValueError, OverflowError):
        sound = False
    if not sound:  # slowly now, to say which one
        values = np.stack([_row(plain[row][key], key, shape, f"{source}: annotation {ids[row]}") for row in given])
    if given:
        table[given] = values
    return table


def _row(row: Any, key: str, shape: tuple[int, ...], where: str) -> Floats:
    wanted = f"{shape[0]} finite numbers" if shape else "a finite number"
    try:
        with np.errstate(over="ignore"):
            values = np.array(row, np.float32)
    except (TypeError, ValueError, OverflowError):
        raise AnnotationError(f"{where} has `{key}` that is not made of numbers; wanted {wanted}.") from None
    if values.shape != shape:
        got = f"{values.size} numbers" if values.ndim <= 1 else f"shape {values.shape}"
        raise AnnotationError(f"{where} has `{key}` of {got}, wanted {wanted}; correct or remove it.")
    if not np.isfinite(values).all():
        raise AnnotationError(f"{where} has `{key}` with NaN or infinity; wanted {wanted}.")
    return values


def _segmentation(record: Record, where: str) -> object:
    segmentation = record.get("segmentation")
    if segmentation is not None and not isinstance(segmentation, (list, dict)):
        raise AnnotationError(
            f"{where} has a segmentation that is a {type(segmentation).__name__}; "
            "wanted a list of polygons or run lengths with size and counts."
        )
    return segmentation or None


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _BEYOND


def _whole(record: Record, key: str, where: str, source: str) -> int:
    value = record.get(key)
    if not _is_whole(value):
        raise AnnotationError(f"{source}: an entry of {where} has {key} {value!r}, wanted a whole number of 64 bits.")
    return int(value)  # type: ignore[arg-type]
