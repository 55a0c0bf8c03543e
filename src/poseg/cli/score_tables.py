"""Evaluation reports as tables for the terminal, and PCK curves as an image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.table import Table
from rich.text import Text

from poseg.draw.figures import Line, contact_sheet, draw_curves, joint_label
from poseg.evaluation import EvaluationReport
from poseg.evaluation.joints import JointsReport
from poseg.metrics.score import Estimate, Score

BY_JOINT = ("pck_torso", "pck_box", "pckh")
BY_STICK = ("pcp_strict", "pcp_loose")

EMPTY = Estimate(float("nan"), 0)

Row = tuple[str, str, str]


def score_table(report: EvaluationReport, poses: str) -> Table:
    """The report as one table: poses to the left, masks to the right, the rest below.

    poses  where they come from: scores of detected and of provided poses are not to be compared
    """
    protocol = f"poses: {poses}{'; people without annotated joints ignored' * report.keypoints_only}"
    if report.description:
        protocol += f"\ndata: {report.description}"
    shown = Table(
        title=f"{Path(report.data).name}: {report.images} images, {report.persons} persons", caption=Text(protocol)
    )
    for kind in ("Keypoints", "Masks"):
        shown.add_column(kind)
        shown.add_column("Score", justify="right")
        shown.add_column("95 %", justify="right")
    left, right = _rows(report, "keypoints", report.keypoints), _rows(report, "masks", report.masks)
    for pose, mask in zip_longest(left, right, fillvalue=("", "", "")):
        shown.add_row(*pose, *mask)
    shown.add_section()
    times = [("ms an image" if name == "total" else f"ms {name}", _ms(ms), "") for name, ms in report.ms.items()]
    counts = [
        ("person IoU", _score(report.person_iou), _ap_interval(report, "person_iou")),
        ("people detected", str(report.num_detected), ""),
        ("not on disk", str(report.num_missing), ""),
    ]
    for count, time in zip_longest(counts, times, fillvalue=("", "", "")):
        shown.add_row(*count, *time)
    return shown


def _rows(report: EvaluationReport, kind: str, numbers: Mapping[str, float]) -> Iterator[Row]:
    for name, value in numbers.items():
        yield name, _score(value), _ap_interval(report, f"{kind}.{name}")


def _score(value: float) -> str:
    return "-" if value < 0 else f"{value:.3f}"


def _ap_interval(report: EvaluationReport, name: str) -> str:
    low, high = report.intervals.get(name, (-1.0, -1.0))
    return "" if high < 0 else f"{low:.3f}-{high:.3f}"


def _ms(ms: float | None) -> str:
    return "-" if ms is None else f"{ms:.1f}"


def joint_tables(report: JointsReport, poses: str) -> Group:
    """All scores, those of joints and sticks, and the protocols below; `poses` says where people come from."""
    rules = [score.protocol.replace(f"; {report.protocol}", "") for score in report.scores.values()]
    notes = [*rules, report.protocol, f"poses: {poses}"]
    notes += [f"data: {report.description}"] if report.description else []
    tables = [_by_group(report, title, names) for title, names in (("Joints", BY_JOINT), ("Sticks", BY_STICK))]
    return Group(_overall(report), *(table for table in tables if table.row_count), Text("\n".join(notes), style="dim"))


def curve_sheet(report: JointsReport) -> NDArray[np.uint8]:
    """PCK over thresholds, by its sizes and by joints: (H, W, 3) uint8 RGB."""
    scores = [report.scores[name] for name in BY_JOINT if name in report.scores]
    note = f"{report.persons:,} people in {report.images:,} images, {len(report.joints)} joints of {report.skeleton}"
    return contact_sheet(
        [_panel(scores[0], _size_lines(scores)), _panel(scores[0], _joint_lines(scores[0]))],
        ["Correct joints, 95 % over images", f"By joint: {scores[0].name}"],
        columns=2,
        heading=f"PCK on {Path(report.data).name}",
        note=note,
    )


def _panel(score: Score, lines: Sequence[Line]) -> NDArray[np.uint8]:
    assert score.curve is not None, "PCK has a curve"
    return draw_curves(score.curve.thresholds, lines, axis="error, as a fraction of the size")


def _size_lines(scores: Sequence[Score]) -> list[Line]:
    return [
        Line(f"{score.name}  {_format(score.overall)}", curve.values, curve.low, curve.high, score.threshold)
        for score in scores
        if (curve := score.curve) is not None
    ]


def _joint_lines(score: Score) -> list[Line]:
    return [Line(joint_label(name), curve.values, mark=score.threshold) for name, curve in score.group_curves.items()]


def _overall(report: JointsReport) -> Table:
    people = f"{report.images:,} images, {report.persons:,} persons, {report.num_matched:,} of them detected"
    table = Table(title=f"{Path(report.data).name}: {people}")
    for column in ("Metric", "Score", "95 %", "AUC", "95 %", "Counted"):
        table.add_column(column, justify="left" if column == "Metric" else "right")
    for score in report.scores.values():
        area = ("", "") if score.auc is None else (_format(score.auc), _interval(score.auc))
        what = "sticks" if score.curve is None else "joints"
        table.add_row(
            score.name, _format(score.overall), _interval(score.overall), *area, f"{score.overall.count:,} {what}"
        )
    return table


def _by_group(report: JointsReport, title: str, names: Sequence[str]) -> Table:
    """A row for each group of joints or sticks: left and right together."""
    scores = [report.scores[name] for name in names if name in report.scores]
    table = Table()
    table.add_column(title)
    for heading in (*(score.name for score in scores), "Counted"):
        table.add_column(heading, justify="right")
    for group in dict.fromkeys(group for score in scores for group in score.groups):
        measured = [score.groups.get(group, EMPTY) for score in scores]
        table.add_row(joint_label(group), *map(_format, measured), f"{max(one.count for one in measured):,}")
    return table


def _format(estimate: Estimate) -> str:
    return "n/a" if np.isnan(estimate.value) else f"{estimate.value:.3f}"


def _interval(estimate: Estimate) -> str:
    return "" if estimate.interval is None else "{:.3f}-{:.3f}".format(*estimate.interval)
