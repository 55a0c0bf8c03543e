"""Checks of joints, boxes and areas: numbers that are sound by themselves but cannot be true."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from poseg.datasets.check.faults import Findings
from poseg.datasets.check.structure import whole
from poseg.datasets.check.table import Table, given
from poseg.skeletons import Skeleton

SLACK_PX = 1.0  # COCO's own boxes are rounded
JOINTS_IN_BOX = 0.5
BOX_MARGIN = 0.1  # of the box's longer side: wrists may reach out


def check_people(table: Table, skeleton: Skeleton | None, findings: Findings) -> None:
    """Joints, boxes, areas, crowds and doubles."""
    _check_joints(table, skeleton, findings)
    _check_num_keypoints(table, findings)
    _check_boxes(table, findings)
    _check_areas(table, findings)
    odd = [row for row, record in enumerate(table.records) if record.get("iscrowd", 0) not in (0, 1)]
    findings.add_all("iscrowd-value", odd, lambda row: f"{table.name(row)}: {table.records[row]['iscrowd']!r}")
    _check_doubles(table, findings)


def _check_joints(table: Table, skeleton: Skeleton | None, findings: Findings) -> None:
    def tell(place: NDArray[np.intp]) -> str:
        row, joint = (int(v) for v in place)
        x, y, v = table.triplets[row, joint]
        name = skeleton.joints[joint] if skeleton is not None else f"joint {joint + 1}"
        return f"{table.name(row)}: {name} at ({x:g}, {y:g}) with v = {v:g}"

    points, v, placed = table.triplets[..., :2], table.triplets[..., 2], table.placed
    findings.add_all("visibility", np.argwhere(np.isfinite(v) & ~np.isin(v, (0, 1, 2))), tell)
    corner = placed & (points == 0).all(axis=-1)
    findings.add_all("joint-in-corner", np.argwhere(corner), tell)
    # A joint at pixel number W - 1 stands in the middle of the last pixel; annotators' tools allow W.
    beyond = ((points < -SLACK_PX) | (points > table.sizes[:, None, ::-1] - 1 + SLACK_PX)).any(axis=-1)
    findings.add_all("joint-outside", np.argwhere(placed & beyond), tell)
    unsure = ~placed & (np.nan_to_num(points) != 0).any(axis=-1) & ~table.crowds[:, None]
    findings.add_all("joints-unsure", np.argwhere(unsure), tell)
    without = np.flatnonzero(~placed.any(axis=1) & ~table.crowds)
    findings.add_all("no-keypoints", without, table.name)


def _check_num_keypoints(table: Table, findings: Findings) -> None:
    counts = table.placed.sum(axis=1)
    broken = np.asarray(np.isnan(table.triplets).any(axis=(1, 2)))
    for row, record in enumerate(table.records):
        stated = record.get("num_keypoints")
        if stated is None or (broken[row] and given(record, "keypoints")):
            continue
        if not whole(stated) or stated != counts[row]:
            findings.add("num-keypoints", f"{table.name(row)}: {stated!r}, but {counts[row]} have v > 0")


def _check_boxes(table: Table, findings: Findings) -> None:
    def tell(row: int) -> str:
        height, width = table.sizes[row]
        picture = "" if np.isnan(height) else f" in a picture {width:g} wide and {height:g} high"
        return f"{table.name(row)}: {[round(float(v), 2) for v in table.boxes_xywh[row]]}{picture}"

    missing = [row for row, record in enumerate(table.records) if not given(record, "bbox")]
    findings.add_all("box-missing", missing, table.name)
    boxes = table.boxes_xyxy
    empty = (table.boxes_xywh[:, 2:] <= 0).any(axis=1)
    findings.add_all("box-empty", np.flatnonzero(empty), tell)
    limits = table.sizes[:, ::-1] + SLACK_PX
    outside = ~empty & ((boxes[:, :2] < -SLACK_PX) | (boxes[:, 2:] > limits)).any(axis=1)
    findings.add_all("box-outside", np.flatnonzero(outside), tell)
    margin = BOX_MARGIN * table.boxes_xywh[:, 2:].max(axis=1, initial=0)[:, None, None]
    points = table.triplets[..., :2]
    inside = ((points >= boxes[:, None, :2] - margin) & (points <= boxes[:, None, 2:] + margin)).all(axis=-1)
    placed = table.placed.sum(axis=1)
    astray = ~empty & ~np.isnan(boxes).any(axis=1) & ((table.placed & inside).sum(axis=1) < JOINTS_IN_BOX * placed)
    findings.add_all("box-misses-joints", np.flatnonzero(astray & ~table.crowds), tell)


def _check_areas(table: Table, findings: Findings) -> None:
    people = map(int, np.flatnonzero(table.placed.any(axis=1) & ~table.crowds))
    missing = [row for row in people if not given(table.records[row], "area")]
    findings.add_all("area-missing", missing, table.name)
    wrong = np.flatnonzero(table.areas <= 0)
    findings.add_all("area-not-positive", wrong, lambda row: f"{table.name(row)}: {table.areas[row]:g}")


def _check_doubles(table: Table, findings: Findings) -> None:
    """The same joints and box in the same picture."""
    same = defaultdict(list)
    for row, record in enumerate(table.records):
        if not np.isnan(table.boxes_xywh[row]).any():
            content = (record["image_id"], table.boxes_xywh[row].tobytes(), table.triplets[row].tobytes())
            same[content].append(record["id"])
    twice = [ids for ids in same.values() if len(ids) > 1]
    findings.add_all("person-twice", twice, lambda ids: f"annotations {', '.join(map(str, ids[:5]))}")
