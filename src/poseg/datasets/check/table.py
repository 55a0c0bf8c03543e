"""The persons of a file as columns, as far as their numbers are sound; what is not becomes NaN and a finding.

Letters: A annotations of the person category, K joints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.datasets.check.faults import Findings

Record = Mapping[str, Any]
Floats = NDArray[np.float64]
Size = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Sound numbers of A records; NaN where there are none.

    records     the A records
    sizes       (A, 2) height and width of their pictures
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
        """What messages call the annotation."""
        return named(self.records[row])

    @property
    def placed(self) -> NDArray[np.bool_]:
        """(A, K) joints with v > 0."""
        return np.asarray(np.nan_to_num(self.triplets[..., 2]) > 0, np.bool_)

    @property
    def boxes_xyxy(self) -> Floats:
        """(A, 4) two corners."""
        return np.concatenate([self.boxes_xywh[:, :2], self.boxes_xywh[:, :2] + self.boxes_xywh[:, 2:]], axis=1)


def build_table(records: Sequence[Record], sizes: Mapping[int, Size], joints: int, findings: Findings) -> Table:
    """Columns of the records. `sizes` are (height, width) by image id, where they are known."""
    unknown = (np.nan, np.nan)
    places = np.array([sizes.get(_image_id(record), unknown) for record in records], np.float64)
    for key in ("score", "keypoint_scores"):
        _column(records, key, joints if key == "keypoint_scores" else 0, findings)
    return Table(
        records,
        places.reshape(-1, 2),
        _column(records, "keypoints", 3 * joints, findings).reshape(len(records), joints, 3),
        _column(records, "bbox", 4, findings),
        _column(records, "area", 0, findings),
        np.array([bool(record.get("iscrowd") or record.get("ignore")) for record in records], np.bool_),
    )


def named(record: Record) -> str:
    """Such as "annotation 17 of image 4"."""
    return f"annotation {record.get('id')} of image {record.get('image_id')}"


def given(record: Record, key: str) -> bool:
    """Whether the record says something under the key."""
    return record.get(key) not in (None, [])


def _image_id(record: Record) -> int:
    number = record.get("image_id")
    return number if isinstance(number, int) else -1


def _column(records: Sequence[Record], key: str, length: int, findings: Findings) -> Floats:
    """(A, length) or, for length 0, (A,) numbers of one key."""
    shape = (length,) if length else ()
    table = np.full((len(records), *shape), np.nan)
    rows = [row for row, record in enumerate(records) if given(record, key)]
    bulk = _sound([records[row][key] for row in rows])
    if bulk is not None and bulk.shape == (len(rows), *shape) and _near(bulk):
        table[rows] = bulk
        return table
    for row in rows:  # slowly now, to say which
        values = _row(records[row], key, shape, findings)
        if values is not None:
            table[row] = values
    return table


def _row(record: Record, key: str, shape: tuple[int, ...], findings: Findings) -> Floats | None:
    values, text = _sound(record[key]), False
    if values is None:
        values, text = _from_text(record[key]), True
    if values is None or not _near(values):
        findings.add("not-a-number", f"{named(record)}: {key} {_short(record[key])}")
        return None
    if values.shape != shape:
        wanted = f"{shape[0]} numbers" if shape else "one number"
        got = f"{values.size} numbers" if values.ndim == 1 else f"shape {values.shape}"
        kind = "keypoints-length" if key == "keypoints" else "not-a-number"
        findings.add(kind, f"{named(record)}: {key} of {got}, wanted {wanted}")
        return None
    if text:
        findings.add("number-as-text", f"{named(record)}: {key} {_short(record[key])}")
    return values


def _near(values: Floats) -> bool:
    """Whether all are finite in the 32 bits that they are kept in."""
    return bool((np.abs(values) <= np.finfo(np.float32).max).all())


def _sound(value: object) -> Floats | None:
    """The numbers as an array, None where something is no number."""
    try:
        array = np.array(value)
    except ValueError:
        return None
    return array.astype(np.float64) if array.dtype.kind in "iufb" else None


def _from_text(value: object) -> Floats | None:
    try:
        return np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
