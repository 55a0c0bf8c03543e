"""The values of COCO files as other programs and people write them: the one reader of their numbers, ids and flags.

What has one meaning is read: 1.0 and "1" are the integer 1, "4.5" is 4.5, "0" and "false" are no crowd. What has none
stays as it is, and is named by whoever needs it (`io.coco_table`, `datasets.check`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeGuard

Record = Mapping[str, Any]

_INT64_LIMIT = 2**63
_FLAGS = {"": 0, "false": 0, "no": 0, "true": 1, "yes": 1}


def is_integer(value: object) -> TypeGuard[int]:
    """Whether it is an integer of 64 bits, and no boolean."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _INT64_LIMIT


def read_integer(value: object) -> int | None:
    """1 of 1, 1.0, "1" and "1.0"; None of anything else, such as 1.5, booleans and more than 64 bits."""
    if isinstance(value, str) and not isinstance(value := _number(value), (int, float)):
        return None
    if isinstance(value, float):
        value = int(value) if value.is_integer() else None
    return value if is_integer(value) else None


def read_flag(value: object) -> int | None:
    """0 of 0, 0.0, "0", false, "false", null and an empty text; another number as an integer; else None."""
    if isinstance(value, str) and value.strip().lower() in _FLAGS:
        return _FLAGS[value.strip().lower()]
    return int(value) if isinstance(value, bool) else 0 if value is None else read_integer(value)


def canonical_coco(raw: object) -> Any:
    """An annotation file with the values of its entries read; lists and entries that need nothing are the same objects.

    Annotations of image ids that are text, as `canonical_results` keeps them, are left to the checks.
    """
    if not isinstance(raw, Mapping):
        return raw
    lists = {
        key: _each(raw[key], readers)
        for key, readers in (("images", _IMAGE), ("annotations", _ANNOTATION), ("categories", _CATEGORY))
        if isinstance(raw.get(key), list)
    }
    return {**raw, **lists}


def canonical_results(raw: Sequence[Record]) -> list[Any]:
    """The records of a result file with their values read; an image's name as its id stays, "42" is the number 42."""
    return _each(raw, _RESULT)


def _each(records: Sequence[Any], readers: Mapping[str, Callable[[Any], Any]]) -> list[Any]:
    return [_canonical(record, readers) if isinstance(record, Mapping) else record for record in records]


def _canonical(record: Record, readers: Mapping[str, Callable[[Any], Any]]) -> Record:
    changed = {}
    for key, read in readers.items():
        value = record.get(key)
        if value is not None and (new := read(value)) is not None and new is not value:
            changed[key] = new
    return {**record, **changed} if changed else record


def _number(text: Any) -> Any:
    """The number that a text is; anything else as it is."""
    if not isinstance(text, str):
        return text
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def _numbers(values: Any) -> Any:
    """A list of numbers, some of which may be text."""
    if not isinstance(values, list) or not any(isinstance(value, str) for value in values):
        return values
    return [_number(value) for value in values]


def _integer(value: Any) -> int | None:
    return value if is_integer(value) else read_integer(value)


def _flag(value: Any) -> int | None:
    return value if is_integer(value) else read_flag(value)


def _name(value: Any) -> Any:
    """A file name that is only a number may be written without quotes."""
    return str(number) if (number := None if isinstance(value, str) else read_integer(value)) is not None else value


def _image_key(value: Any) -> Any:
    """The number of an image; a name stays, and so does a number with zeros before it, which is part of a name."""
    number = _integer(value)
    return value if isinstance(value, str) and str(number) != value.strip() else number


_CATEGORY: Mapping[str, Callable[[Any], Any]] = {"id": _integer}
_IMAGE: Mapping[str, Callable[[Any], Any]] = {
    "id": _integer, "height": _integer, "width": _integer, "file_name": _name,
}  # fmt: skip
_LABELS: Mapping[str, Callable[[Any], Any]] = {
    "category_id": _integer, "num_keypoints": _integer, "iscrowd": _flag, "ignore": _flag, "keypoints": _numbers,
    "bbox": _numbers, "keypoint_scores": _numbers, "area": _number, "score": _number, "mask_agreement": _number,
}  # fmt: skip
_ANNOTATION: Mapping[str, Callable[[Any], Any]] = {"id": _integer, "image_id": _integer, **_LABELS}
_RESULT: Mapping[str, Callable[[Any], Any]] = {"image_id": _image_key, **_LABELS}
