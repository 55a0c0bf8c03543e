"""The lists of an annotation file and its people as arrays, as far as they are valid; the rest becomes issues.

Letters: A annotations of the person category, K joints.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.datasets.check.rules import Issues
from poseg.errors import AnnotationError
from poseg.io.coco_table import has_key, max_number, person_category, record_list
from poseg.io.coco_values import Record, canonical_coco, is_integer

Floats = NDArray[np.float64]
Size = tuple[int, int]

_MAX_SIDE_PX = 10**6  # no image is larger


@dataclass(frozen=True, slots=True, eq=False)
class AnnotationTable:
    """The valid numbers of A records; NaN elsewhere.

    records     the A records
    sizes       (A, 2) height and width of their images
    triplets    (A, K, 3)
    boxes_xywh  (A, 4)
    areas       (A,)
    crowds      (A,) bool: `iscrowd` or `ignore`, of which nothing is learnt
    """

    records: Sequence[Record]
    sizes: Floats
    triplets: Floats
    boxes_xywh: Floats
    areas: Floats
    crowds: NDArray[np.bool_]

    def name(self, row: int) -> str:
        """The annotation in messages."""
        return describe(self.records[row])

    @property
    def annotated(self) -> NDArray[np.bool_]:
        """(A, K) joints with v > 0."""
        return np.asarray(np.nan_to_num(self.triplets[..., 2]) > 0, np.bool_)

    @property
    def boxes_xyxy(self) -> Floats:
        """(A, 4) two corners."""
        return np.concatenate([self.boxes_xywh[:, :2], self.boxes_xywh[:, :2] + self.boxes_xywh[:, 2:]], axis=1)


def required_lists(raw: object, issues: Issues) -> dict[str, list[Record]] | None:
    """The three lists with the values of their entries read, None where one is missing."""
    canonical = canonical_coco(raw)
    lists = {}
    for key in ("images", "annotations", "categories"):
        try:
            lists[key] = record_list(canonical, key, "The file")
            _report_forms(record_list(raw, key, "The file"), lists[key], key, issues)
        except AnnotationError as fault:
            if not isinstance(raw, Mapping):
                issues.add("unreadable", str(fault))
                return None
            issues.add("list-missing", f"`{key}`: {_list_state(raw, key)}")
    return lists if len(lists) == 3 else None


def _report_forms(raw: Sequence[Record], read: Sequence[Record], key: str, issues: Issues) -> None:
    """Values that had to be read, since other tools refuse them."""
    for before, after in zip(raw, read, strict=True):
        for name in [] if before is after else [name for name in after if after[name] is not before.get(name)]:
            rule = "number-as-text" if "'" in repr(before[name]) or '"' in repr(before[name]) else "number-form"
            issues.add(rule, f"{key[:-1].replace('ie', 'y')} {before.get('id')!r}: {name} {_shorten(before[name])}")


def unique_images(images: Sequence[Record], issues: Issues) -> dict[int, Record]:
    """Images by id, the first of each."""
    by_id: dict[int, Record] = {}
    for record in images:
        number = record.get("id")
        if not is_integer(number):
            issues.add("id", f"an image has id {number!r}")
            continue
        assert isinstance(number, int)
        if number in by_id:
            same = all(by_id[number].get(key) == record.get(key) for key in ("file_name", "height", "width"))
            issues.add("image-repeated" if same else "image-id-twice", f"image {number}")
            continue
        by_id[number] = record
        _check_entry(number, record, issues)
    names = defaultdict(list)
    for number, record in by_id.items():
        if record.get("file_name"):
            names[str(record["file_name"])].append(number)
    twice = [(name, numbers) for name, numbers in names.items() if len(numbers) > 1]
    issues.add_all("file-twice", twice, lambda pair: f"{pair[0]}: images {', '.join(map(str, pair[1][:5]))}")
    return by_id


def image_sizes(images: Mapping[int, Record]) -> dict[int, Size]:
    """(height, width) of the images whose entry has it."""
    sides = {number: (record.get("height"), record.get("width")) for number, record in images.items()}
    return {number: (h, w) for number, (h, w) in sides.items() if _is_side(h) and _is_side(w)}  # type: ignore[misc]


def find_category(categories: Sequence[Record], annotations: Sequence[Record], issues: Issues) -> Record | None:
    """The category of people."""
    try:
        return person_category(categories, annotations, "The file")
    except AnnotationError as fault:
        unique = sum(str(category.get("name", "")).strip().lower() == "person" for category in categories) == 1
        issues.add("id" if unique or len(categories) == 1 else "category", str(fault))
        return None


def person_annotations(
    annotations: Sequence[Record], category: Record, images: Mapping[int, Record], issues: Issues
) -> list[Record]:
    """Annotations of the category with valid ids and a listed image."""
    without = [record for record in annotations if not is_integer(record.get("category_id"))]
    issues.add_all("id", without, lambda record: f"{describe(record)} has category_id {record.get('category_id')!r}")
    people = [record for record in annotations if record.get("category_id") == category["id"]]
    others = len(annotations) - len(without) - len(people)
    issues.add_all("other-categories", range(others), lambda _: "")
    if not people:
        issues.add("no-people")
    valid = [record for record in people if is_integer(record.get("id")) and is_integer(record.get("image_id"))]
    invalid = [record for record in people if not (is_integer(record.get("id")) and is_integer(record.get("image_id")))]
    issues.add_all("id", invalid, lambda record: f"{describe(record)}: id and image_id must be integers")
    counts = Counter(record["id"] for record in valid)
    shared = [number for number, count in counts.items() if count > 1]
    issues.add_all("annotation-id-twice", shared, lambda number: f"annotation {number}: {counts[number]} times")
    issues.add_all("unknown-image", [record for record in valid if record["image_id"] not in images], describe)
    labelled = {record.get("image_id") for record in annotations if is_integer(record.get("image_id"))}
    empty = [number for number in images if number not in labelled]
    issues.add_all("image-empty", empty, lambda n: f"image {n} ({images[n].get('file_name')})")
    return [record for record in valid if record["image_id"] in images]


def build_table(records: Sequence[Record], sizes: Mapping[int, Size], joints: int, issues: Issues) -> AnnotationTable:
    """The records as arrays. `sizes` are (height, width) by image id, where there are any."""
    image_sizes = np.array([sizes.get(record["image_id"], (np.nan, np.nan)) for record in records], np.float64)
    for key in ("score", "keypoint_scores"):
        _column(records, key, joints if key == "keypoint_scores" else None, issues)
    return AnnotationTable(
        records,
        image_sizes.reshape(-1, 2),
        _column(records, "keypoints", 3 * joints, issues).reshape(len(records), joints, 3),
        _column(records, "bbox", 4, issues),
        _column(records, "area", None, issues),
        np.array([bool(record.get("iscrowd") or record.get("ignore")) for record in records], np.bool_),
    )


def describe(record: Record) -> str:
    """Such as "annotation 17 of image 4"."""
    return f"annotation {record.get('id')} of image {record.get('image_id')}"


def _check_entry(number: int, record: Record, issues: Issues) -> None:
    sides = record.get("height"), record.get("width")
    if any(side is not None and not _is_side(side) for side in sides):
        issues.add("image-entry", f"image {number}: height {sides[0]!r}, width {sides[1]!r}")
    elif None in sides:
        issues.add("image-without-size", f"image {number}")
    name = record.get("file_name", "")
    if not isinstance(name, str):
        issues.add("image-entry", f"image {number}: file_name {name!r} is not text")
    elif not name:
        issues.add("image-name", f"image {number}")


def _is_side(value: Any) -> bool:
    return is_integer(value) and 0 < value < _MAX_SIDE_PX


def _list_state(raw: Mapping[str, Any], key: str) -> str:
    if key not in raw:
        return f"missing; the file has {', '.join(map(str, list(raw)[:8])) or 'nothing'}"
    return f"a {type(raw[key]).__name__}" if not isinstance(raw[key], list) else "not only objects"


def _column(records: Sequence[Record], key: str, length: int | None, issues: Issues) -> Floats:
    """(A, length) or, without a length, (A,) numbers of one key."""
    shape = () if length is None else (length,)
    column = np.full((len(records), *shape), np.nan)
    rows = [row for row, record in enumerate(records) if has_key(record, key)]
    values = _as_floats([records[row][key] for row in rows])
    if values is not None and values.shape == (len(rows), *shape) and _in_range(values, key):
        column[rows] = values
        return column
    for row in rows:  # again one by one, to name the annotations
        value = _entry(records[row], key, shape, issues)
        if value is not None:
            column[row] = value
    return column


def _entry(record: Record, key: str, shape: tuple[int, ...], issues: Issues) -> Floats | None:
    values = _as_floats(record[key])
    if values is None or not _in_range(values, key):
        issues.add("not-a-number", f"{describe(record)}: {key} {_shorten(record[key])}")
        return None
    if values.shape != shape:
        expected = f"{shape[0]} numbers" if shape else "one number"
        got = f"{values.size} numbers" if values.ndim == 1 else f"shape {values.shape}"
        rule = "keypoints-length" if key == "keypoints" else "not-a-number"
        issues.add(rule, f"{describe(record)}: {key} of {got}, expected {expected}")
        return None
    return values


def _in_range(values: Floats, key: str) -> bool:
    """Whether all are finite, and such as the reader takes."""
    return bool((np.abs(values) <= max_number(key)).all())


def _as_floats(value: object) -> Floats | None:
    """The numbers as an array, None where something is not a number, as for the reader."""
    try:
        return np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
