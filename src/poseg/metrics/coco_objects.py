"""Ground truth and results as the official evaluator expects them: one kind of label at a time, people only.

pycocotools decides by the keys of the first record what a result file is about, and takes the area of every record
from there: from its box if there is one, else from its mask, else from the extent of its keypoints. Records with
all three would be measured by their boxes, so records are stripped to one kind first.
"""

from __future__ import annotations

import io
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any, Literal

import numpy as np
from pycocotools import mask as runs  # type: ignore[import-untyped]
from pycocotools.coco import COCO  # type: ignore[import-untyped]

from poseg.errors import AnnotationError
from poseg.geometry.rle import segmentation_rle

Kind = Literal["keypoints", "masks"]
Record = Mapping[str, Any]

_LABEL: dict[Kind, str] = {"keypoints": "keypoints", "masks": "segmentation"}


@contextmanager
def suppress_stdout() -> Iterator[None]:
    """Discard what pycocotools prints."""
    with redirect_stdout(io.StringIO()):
        yield


def coco_ground_truth(
    truth: Mapping[str, Any] | Any, kind: Kind, joints: int, image_ids: Collection[int] | None = None
) -> Any:
    """A pycocotools `COCO` of the people of `image_ids` (all where None), labelled for `kind`.

    truth is a COCO dictionary or `COCO` object and is not modified. People without the label do not count: their
    box is a crowd region, in which results are ignored. Missing areas and boxes are computed from the other labels.
    Raises AnnotationError.
    """
    data = truth.dataset if isinstance(truth, COCO) else truth
    category = _person_category(data.get("categories", ()))
    chosen = None if image_ids is None else set(image_ids)
    images = {image["id"]: image for image in data.get("images", ()) if chosen is None or image["id"] in chosen}
    people = [
        _annotation(record, number, images[record["image_id"]], kind, joints)
        for number, record in enumerate(data.get("annotations", ()), start=1)
        if record["category_id"] == category["id"] and record["image_id"] in images
    ]
    return _coco({"images": list(images.values()), "annotations": people, "categories": [dict(category)]})


def coco_results(truth: Any, results: Sequence[Record], kind: Kind, joints: int) -> Any:
    """A pycocotools `COCO` of results for `kind`; areas come from that kind alone.

    truth comes from `coco_ground_truth`. Records without the label, of other images and of other categories
    are left out. Raises AnnotationError for a record that cannot be measured.
    """
    label, (category,) = _LABEL[kind], truth.getCatIds()
    records = [
        {key: record[key] for key in ("image_id", "category_id", "score", label)}
        for record in results
        if record.get(label) and record.get("category_id") == category and record.get("image_id") in truth.imgs
    ]
    for record in records:
        if not np.isfinite(record["score"]):
            raise AnnotationError(f"A result for image {record['image_id']} has the score {record['score']}; drop it.")
        if kind == "keypoints" and len(record[label]) != 3 * joints:
            raise AnnotationError(
                f"A result for image {record['image_id']} has {len(record[label])} keypoint numbers, "
                f"expected {3 * joints}: x, y, v of {joints} joints; is it for another skeleton?"
            )
    if not records:  # loadRes looks at the first record
        return _coco({**truth.dataset, "annotations": []})
    with suppress_stdout():
        return truth.loadRes(records)


def _person_category(categories: Sequence[Record]) -> Record:
    named = [category for category in categories if str(category.get("name")).lower() == "person"] or list(categories)
    if len(named) != 1:
        names = ", ".join(str(category.get("name")) for category in categories) or "none"
        raise AnnotationError(f"The ground truth must have one category named 'person'; it has {names}.")
    return named[0]


def _annotation(record: Record, number: int, image: Record, kind: Kind, joints: int) -> dict[str, Any]:
    """A copy (the evaluator modifies it) with all keys that the evaluator reads."""
    full = dict(record)
    full["id"] = number  # the evaluator takes an id of 0 for "not matched"
    full["iscrowd"] = int(bool(record.get("iscrowd", 0)))
    needs_mask = kind == "masks" or not (_has(record, "bbox") and _has(record, "area"))
    segmentation = _segmentation(record, image) if needs_mask else None
    full["bbox"] = _box(record, segmentation)
    if not _has(record, "area"):
        full["area"] = float(full["bbox"][2] * full["bbox"][3] if segmentation is None else runs.area(segmentation))
    full["area"] = _numbers(full, "area", 1)[0]
    if kind == "keypoints":
        points = _numbers(record, "keypoints", 3 * joints) if _has(record, "keypoints") else [0] * (3 * joints)
        full["keypoints"] = points
        full["num_keypoints"] = int(np.count_nonzero(np.asarray(points[2::3]) > 0))
    elif segmentation is None:
        x, y, width, height = full["bbox"]
        corners = [x, y, x, y + height, x + width, y + height, x + width, y]
        full.update(segmentation=[corners], iscrowd=1)
    else:
        full["segmentation"] = segmentation
    return full


def _has(record: Record, key: str) -> bool:
    return record.get(key) not in (None, [])


def _numbers(record: Record, key: str, length: int) -> list[float]:
    """`length` finite numbers of a record, as they are. Raises AnnotationError that names it."""
    values = record[key] if isinstance(record[key], list) else [record[key]]
    numeric = all(isinstance(value, (int, float)) and math.isfinite(value) for value in values)
    if not numeric or len(values) != length:
        got = f"{len(values)} numbers" if numeric else f"{record[key]!r:.60}"
        raise AnnotationError(
            f"Annotation {record.get('id')} of image {record.get('image_id')} has `{key}` of {got}, "
            f"expected {length} finite; is it for another skeleton?"
        )
    return values


def _segmentation(record: Record, image: Record) -> Any:
    """Run lengths of a record, None where it covers nothing or the image has no size and only a box is needed."""
    size = image.get("height"), image.get("width")
    if not record.get("segmentation"):
        return None
    if not all(isinstance(side, int) and side > 0 for side in size):
        raise AnnotationError(f"Image {image['id']} has no height and width, so its masks have no size; add both.")
    try:
        return segmentation_rle(record["segmentation"], (int(size[0]), int(size[1])))  # type: ignore[arg-type]
    except AnnotationError as fault:
        raise AnnotationError(f"Annotation {record.get('id')} of image {image['id']}: {fault}") from None


def _box(record: Record, segmentation: Any) -> list[float]:
    """The box, else that of the mask or the joints; without any of them the record covers nothing and is ignored."""
    if _has(record, "bbox"):
        return _numbers(record, "bbox", 4)
    if segmentation is not None:
        return [float(side) for side in runs.toBbox(segmentation)]
    values = _numbers(record, "keypoints", len(record["keypoints"]) // 3 * 3) if _has(record, "keypoints") else []
    points = np.asarray(values, np.float64).reshape(-1, 3)
    points = points[points[:, 2] > 0, :2]
    return [*points.min(axis=0).tolist(), *np.ptp(points, axis=0).tolist()] if len(points) else [0.0] * 4


def _coco(data: Mapping[str, Any]) -> Any:
    coco = COCO()
    coco.dataset = dict(data)
    with suppress_stdout():
        coco.createIndex()
    return coco
