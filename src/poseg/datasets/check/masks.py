"""Checks of segmentations: polygons, run lengths, and how they agree with boxes and areas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco  # type: ignore[import-untyped]

from poseg.datasets.check.faults import Findings
from poseg.datasets.check.table import Table
from poseg.errors import AnnotationError
from poseg.geometry.rle import decode_rle, encode_rle

AREA_SHARE = 0.25  # polygons cover half pixels that a raster does not, most of all in small people
AREA_PX = 64
LEAST_IOU = 0.3
FARTHEST_PX = 1e6


def check_masks(table: Table, findings: Findings) -> list[bool]:
    """For each record whether it has a mask with pixels."""
    return [_check_record(table, row, findings) for row in range(len(table.records))]


def _check_record(table: Table, row: int, findings: Findings) -> bool:
    record = table.records[row]
    segmentation = record.get("segmentation")
    crowd = bool(record.get("iscrowd"))
    if crowd and not isinstance(segmentation, Mapping):
        findings.add("crowd-without-rle", table.name(row))
    if segmentation is not None and not isinstance(segmentation, (list, dict)):
        findings.add("segmentation-type", f"{table.name(row)}: a {type(segmentation).__name__}")
        return False
    if not segmentation:
        return _without_mask(table, row, findings)
    if isinstance(segmentation, Mapping):
        runs = _runs(segmentation, table, row, findings)
    else:
        runs = _polygons(segmentation, table, row, findings)
    if runs is None:
        return False
    pixels = int(coco.area(runs))
    if pixels == 0:
        findings.add("mask-empty", table.name(row))
        return False
    if not table.crowds[row]:
        _compare(runs, pixels, table, row, findings)
    return True


def _without_mask(table: Table, row: int, findings: Findings) -> bool:
    if not table.crowds[row]:
        findings.add("mask-missing" if table.placed[row].any() else "box-only", table.name(row))
    return False


def _runs(segmentation: Mapping[str, Any], table: Table, row: int, findings: Findings) -> Any:
    """Compressed run lengths that fit the picture, or None."""
    try:
        mask = decode_rle(segmentation)
    except AnnotationError as fault:
        findings.add("rle-broken", f"{table.name(row)}: {fault}")
        return None
    if not np.isnan(table.sizes[row]).any() and mask.shape != tuple(table.sizes[row]):
        height, width = table.sizes[row]
        findings.add(
            "rle-size", f"{table.name(row)}: {mask.shape[0]} x {mask.shape[1]}, the picture is {height:g} x {width:g}"
        )
        return None
    return encode_rle(mask)


def _polygons(segmentation: Sequence[Any], table: Table, row: int, findings: Findings) -> Any:
    """Compressed run lengths of the polygons, or None where a polygon is broken or the picture's size unknown."""
    rings: list[list[float]] = []
    for polygon in segmentation:
        ring = _ring(polygon)
        if ring is None:
            findings.add("polygon-odd", f"{table.name(row)}: {_told(polygon)}")
            return None
        if len(ring) < 6:
            findings.add("polygon-short", f"{table.name(row)}: {len(ring)} numbers")
            continue
        rings.append(ring)
    if np.isnan(table.sizes[row]).any():
        return None
    height, width = (int(side) for side in table.sizes[row])
    if not rings:
        findings.add("mask-empty", table.name(row))
        return None
    return coco.merge(coco.frPyObjects(rings, height, width))


def _ring(polygon: Any) -> list[float] | None:
    try:
        ring = np.array(polygon, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    if ring.ndim != 1 or len(ring) % 2 or not bool((np.abs(ring) <= FARTHEST_PX).all()):
        return None
    return [float(value) for value in ring]


def _told(polygon: Any) -> str:
    if isinstance(polygon, (int, float)):
        return "a number where a polygon should be; one pair of brackets is missing"
    if isinstance(polygon, Sequence) and not isinstance(polygon, str):
        nested = any(isinstance(entry, (list, tuple)) for entry in polygon)
        return "points in brackets of their own" if nested else f"{len(polygon)} numbers, some perhaps not finite"
    return f"a {type(polygon).__name__}"


def _compare(runs: Any, pixels: int, table: Table, row: int, findings: Findings) -> None:
    """The mask against the record's area and box."""
    area, box = table.areas[row], table.boxes_xywh[row]
    if area > 0 and abs(area - pixels) > max(AREA_SHARE * pixels, AREA_PX):
        boxed = box[2] * box[3]
        hint = ", which is the box's" if abs(area - boxed) <= 0.01 * boxed else ""
        findings.add("area-differs", f"{table.name(row)}: area {area:.0f}{hint}, the mask has {pixels} pixels")
    if not np.isnan(box).any() and (box[2:] > 0).all():
        overlap = float(coco.iou([coco.toBbox(runs)], [box], [0])[0, 0])
        if overlap < LEAST_IOU:
            findings.add("box-misses-mask", f"{table.name(row)}: intersection over union {overlap:.2f}")
