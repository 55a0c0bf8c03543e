"""Checks of joints, boxes, areas and masks: entries that are valid numbers but cannot be correct."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco  # type: ignore[import-untyped]

from poseg.datasets.check.rules import Issues
from poseg.datasets.check.tables import AnnotationTable
from poseg.errors import AnnotationError
from poseg.geometry.rle import MIN_POLYGON, decode_rle, encode_rle, parse_polygon, segmentation_rle
from poseg.io.coco_table import has_key
from poseg.io.coco_values import is_integer
from poseg.skeletons import Skeleton

TOLERANCE_PX = 1.0  # COCO's own boxes are rounded
MIN_JOINTS_IN_BOX = 0.5
BOX_PADDING = 0.1  # of the box's longer side: wrists may reach beyond it
AREA_TOLERANCE = 0.25  # polygons cover half pixels that a raster does not, most of all in small people
AREA_TOLERANCE_PX = 64
MIN_BOX_IOU = 0.3


def check_people(table: AnnotationTable, skeleton: Skeleton | None, issues: Issues) -> None:
    """Check joints, boxes, areas, crowds and duplicates."""
    _check_joints(table, skeleton, issues)
    _check_num_keypoints(table, issues)
    _check_boxes(table, issues)
    _check_areas(table, issues)
    for row, record in enumerate(table.records):
        for key in ("iscrowd", "ignore"):
            flag = record.get(key) or 0
            if flag not in (0, 1) or not is_integer(flag):
                issues.add("iscrowd-value" if is_integer(flag) else "flag", f"{table.name(row)}: {key} {flag!r:.60}")
    _check_duplicates(table, issues)


def check_masks(table: AnnotationTable, issues: Issues) -> list[bool]:
    """Check the segmentations; for each record whether it has a mask with pixels."""
    return [_check_mask(table, row, issues) for row in range(len(table.records))]


def _check_joints(table: AnnotationTable, skeleton: Skeleton | None, issues: Issues) -> None:
    def describe(index: NDArray[np.intp]) -> str:
        row, joint = (int(v) for v in index)
        x, y, v = table.triplets[row, joint]
        name = skeleton.joints[joint] if skeleton is not None else f"joint {joint + 1}"
        return f"{table.name(row)}: {name} at ({x:g}, {y:g}) with v = {v:g}"

    points, v, annotated = table.triplets[..., :2], table.triplets[..., 2], table.annotated
    issues.add_all("visibility", np.argwhere(np.isfinite(v) & ~np.isin(v, (0, 1, 2))), describe)
    corner = annotated & (points == 0).all(axis=-1)
    issues.add_all("joint-in-corner", np.argwhere(corner), describe)
    # A joint at pixel index W - 1 is at the centre of the last pixel; annotation tools allow W.
    outside = ((points < -TOLERANCE_PX) | (points > table.sizes[:, None, ::-1] - 1 + TOLERANCE_PX)).any(axis=-1)
    issues.add_all("joint-outside", np.argwhere(annotated & outside), describe)
    uncertain = ~annotated & (np.nan_to_num(points) != 0).any(axis=-1) & ~table.crowds[:, None]
    issues.add_all("joints-uncertain", np.argwhere(uncertain), describe)
    without = np.flatnonzero(~annotated.any(axis=1) & ~table.crowds)
    issues.add_all("no-keypoints", without, table.name)


def _check_num_keypoints(table: AnnotationTable, issues: Issues) -> None:
    counts = table.annotated.sum(axis=1)
    broken = np.asarray(np.isnan(table.triplets).any(axis=(1, 2)))
    for row, record in enumerate(table.records):
        stated = record.get("num_keypoints")
        if stated is None or (broken[row] and has_key(record, "keypoints")):
            continue
        if not is_integer(stated) or stated != counts[row]:
            issues.add("num-keypoints", f"{table.name(row)}: {stated!r}, but {counts[row]} have v > 0")


def _check_boxes(table: AnnotationTable, issues: Issues) -> None:
    def describe(row: int) -> str:
        height, width = table.sizes[row]
        image = "" if np.isnan(height) else f" in an image of {width:g} x {height:g} (width x height)"
        return f"{table.name(row)}: {[round(float(v), 2) for v in table.boxes_xywh[row]]}{image}"

    missing = [row for row, record in enumerate(table.records) if not has_key(record, "bbox")]
    issues.add_all("box-missing", missing, table.name)
    boxes = table.boxes_xyxy
    empty = (table.boxes_xywh[:, 2:] <= 0).any(axis=1)
    issues.add_all("box-empty", np.flatnonzero(empty), describe)
    limits = table.sizes[:, ::-1] + TOLERANCE_PX
    outside = ~empty & ((boxes[:, :2] < -TOLERANCE_PX) | (boxes[:, 2:] > limits)).any(axis=1)
    issues.add_all("box-outside", np.flatnonzero(outside), describe)
    padding = BOX_PADDING * table.boxes_xywh[:, 2:].max(axis=1, initial=0)[:, None, None]
    points, annotated = table.triplets[..., :2], table.annotated
    inside = ((points >= boxes[:, None, :2] - padding) & (points <= boxes[:, None, 2:] + padding)).all(axis=-1)
    few = (annotated & inside).sum(axis=1) < MIN_JOINTS_IN_BOX * annotated.sum(axis=1)
    misses = ~empty & ~np.isnan(boxes).any(axis=1) & few
    issues.add_all("box-misses-joints", np.flatnonzero(misses & ~table.crowds), describe)


def _check_areas(table: AnnotationTable, issues: Issues) -> None:
    people = map(int, np.flatnonzero(table.annotated.any(axis=1) & ~table.crowds))
    missing = [row for row in people if not has_key(table.records[row], "area")]
    issues.add_all("area-missing", missing, table.name)
    wrong = np.flatnonzero(table.areas <= 0)
    issues.add_all("area-not-positive", wrong, lambda row: f"{table.name(row)}: {table.areas[row]:g}")


def _check_duplicates(table: AnnotationTable, issues: Issues) -> None:
    """The same joints and box in the same image."""
    same = defaultdict(list)
    for row, record in enumerate(table.records):
        if not np.isnan(table.boxes_xywh[row]).any():
            content = (record["image_id"], table.boxes_xywh[row].tobytes(), table.triplets[row].tobytes())
            same[content].append(record["id"])
    twice = [ids for ids in same.values() if len(ids) > 1]
    issues.add_all("person-twice", twice, lambda ids: f"annotations {', '.join(map(str, ids[:5]))}")


def _check_mask(table: AnnotationTable, row: int, issues: Issues) -> bool:
    record = table.records[row]
    segmentation = record.get("segmentation")
    if record.get("iscrowd") and not isinstance(segmentation, Mapping):
        issues.add("crowd-without-rle", table.name(row))
    if segmentation is not None and not isinstance(segmentation, (list, dict)):
        issues.add("segmentation-type", f"{table.name(row)}: a {type(segmentation).__name__}")
        return False
    if not segmentation:
        if not table.crowds[row]:
            issues.add("mask-missing" if table.annotated[row].any() else "box-only", table.name(row))
        return False
    if isinstance(segmentation, Mapping):
        runs = _runs(segmentation, table, row, issues)
    else:
        runs = _polygons(segmentation, table, row, issues)
    if runs is None:
        return False
    pixels = int(coco.area(runs))
    if pixels == 0:
        issues.add("mask-empty", table.name(row))
        return False
    if not table.crowds[row]:
        _compare(runs, pixels, table, row, issues)
    return True


def _runs(segmentation: Any, table: AnnotationTable, row: int, issues: Issues) -> Any:
    """Compressed run lengths of the size of the image, or None."""
    try:
        mask = decode_rle(segmentation)
    except AnnotationError as fault:
        issues.add("rle-broken", f"{table.name(row)}: {fault}")
        return None
    if not np.isnan(table.sizes[row]).any() and mask.shape != tuple(table.sizes[row]):
        height, width = table.sizes[row]
        got = f"{mask.shape[0]} x {mask.shape[1]}"
        issues.add("rle-size", f"{table.name(row)}: {got}, the image is {height:g} x {width:g} (height x width)")
        return None
    return encode_rle(mask)


def _polygons(segmentation: Sequence[Any], table: AnnotationTable, row: int, issues: Issues) -> Any:
    """Compressed run lengths of the polygons, or None where a polygon is broken or the image's size unknown."""
    for entry in segmentation:
        try:
            polygon = parse_polygon(entry)
        except AnnotationError as fault:
            issues.add("polygon-odd", f"{table.name(row)}: {_describe_polygon(entry, fault)}")
            return None
        if len(polygon) < MIN_POLYGON:
            issues.add("polygon-short", f"{table.name(row)}: {len(polygon)} numbers")
        if any(isinstance(value, str) for value in entry):
            issues.add("number-as-text", f"{table.name(row)}: coordinates of a polygon")
    if np.isnan(table.sizes[row]).any():
        return None
    height, width = (int(side) for side in table.sizes[row])
    runs = segmentation_rle(segmentation, (height, width))
    if runs is None:
        issues.add("mask-empty", table.name(row))
    return runs


def _describe_polygon(polygon: Any, fault: AnnotationError) -> str:
    if isinstance(polygon, (int, float)):
        return "a number where a polygon should be; one pair of brackets is missing"
    if isinstance(polygon, Sequence) and not isinstance(polygon, str):
        nested = any(isinstance(entry, (list, tuple)) for entry in polygon)
        return "points in nested brackets" if nested else f"{len(polygon)} numbers; {fault}"
    return f"a {type(polygon).__name__}"


def _compare(runs: Any, pixels: int, table: AnnotationTable, row: int, issues: Issues) -> None:
    """Compare the mask with the record's area and box."""
    area, box = table.areas[row], table.boxes_xywh[row]
    if area > 0 and abs(area - pixels) > max(AREA_TOLERANCE * pixels, AREA_TOLERANCE_PX):
        box_area = box[2] * box[3]
        hint = ", which is the box's" if abs(area - box_area) <= 0.01 * box_area else ""
        issues.add("area-differs", f"{table.name(row)}: area {area:.0f}{hint}, the mask has {pixels} pixels")
    if not np.isnan(box).any() and (box[2:] > 0).all():
        iou = float(coco.iou([coco.toBbox(runs)], [box], [0])[0, 0])
        if iou < MIN_BOX_IOU:
            issues.add("box-misses-mask", f"{table.name(row)}: intersection over union {iou:.2f}")
