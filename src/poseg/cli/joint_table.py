"""A report of joints as tables for the terminal, and its curves as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.table import Table
from rich.text import Text

from poseg.draw.curves import Line, draw_curves
from poseg.draw.figures import sheet, spoken
from poseg.evaluation.joints import JointsReport
from poseg.metrics.score import Measured, Score

BY_JOINT = ("pck_torso", "pck_box", "pckh")
BY_STICK = ("pcp_strict", "pcp_loose")

NOTHING = Measured(float("nan"), 0)


def joint_tables(report: JointsReport, poses: str) -> Group:
    """All scores, those of joints and sticks, and the protocols below; `poses` says where people come from."""
    rules = [score.protocol.replace(f"; {report.compared}", "") for score in report.scores.values()]
    told = [*rules, report.compared, f"poses: {poses}", *([f"data: {report.about}"] if report.about else [])]
    tables = [_by_group(report, title, names) for title, names in (("Joints", BY_JOINT), ("Sticks", BY_STICK))]
    return Group(_overall(report), *(table for table in tables if table.row_count), Text("\n".join(told), style="dim"))


def curve_sheet(report: JointsReport) -> NDArray[np.uint8]:
    """PCK over thresholds, by its sizes and by joints: (H, W, 3) uint8 RGB."""
    scores = [report.scores[name] for name in BY_JOINT if name in report.scores]
    said = f"{report.persons:,} people in {report.images:,} pictures, {len(report.joints)} joints of {report.skeleton}"
    return sheet(
        [_panel(scores[0], _size_lines(scores)), _panel(scores[0], _joint_lines(scores[0]))],
        ["Share of all joints right, 95 % over pictures", f"By joint: {scores[0].name}"],
        columns=2,
        heading=f"PCK on {Path(report.data).name}",
        note=said,
    )


def _panel(score: Score, lines: Sequence[Line]) -> NDArray[np.uint8]:
    assert score.curve is not None, "PCK has a curve"
    return draw_curves(score.curve.thresholds, lines, axis="error, as a part of the size")


def _size_lines(scores: Sequence[Score]) -> list[Line]:
    return [
        Line(f"{score.name}  {_share(score.overall)}", curve.values, curve.low, curve.high, score.threshold)
        for score in scores
        if (curve := score.curve) is not None
    ]


def _joint_lines(score: Score) -> list[Line]:
    return [Line(spoken(name), curve.values, mark=score.threshold) for name, curve in score.group_curves.items()]


def _overall(report: JointsReport) -> Table:
    people = f"{report.images:,} pictures, {report.persons:,} persons, {report.matched:,} of them found"
    table = Table(title=f"{Path(report.data).name}: {people}")
    for column in ("Metric", "Score", "95 %", "AUC", "95 %", "Counted"):
        table.add_column(column, justify="left" if column == "Metric" else "right")
    for score in report.scores.values():
        area = ("", "") if score.auc is None else (_share(score.auc), _interval(score.auc))
        what = "sticks" if score.curve is None else "joints"
        table.add_row(
            score.name, _share(score.overall), _interval(score.overall), *area, f"{score.overall.count:,} {what}"
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
        measured = [score.groups.get(group, NOTHING) for score in scores]
        table.add_row(spoken(group), *map(_share, measured), f"{max(one.count for one in measured):,}")
    return table


def _share(measured: Measured) -> str:
    return "n/a" if np.isnan(measured.value) else f"{measured.value:.3f}"


def _interval(measured: Measured) -> str:
    return "" if measured.interval is None else "{:.3f}-{:.3f}".format(*measured.interval)
