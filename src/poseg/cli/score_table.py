"""A report as a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path

from rich.table import Table
from rich.text import Text

from poseg.evaluation import Report

Row = tuple[str, str, str]


def score_table(report: Report, poses: str) -> Table:
    """The report as one table: poses to the left, masks to the right, the rest below.

    poses  where they come from: scores are not to be compared between poses that were found and those that were given
    """
    protocol = f"poses: {poses}{'; people without annotated joints ignored' * report.posed}"
    if report.about:
        protocol += f"\ndata: {report.about}"
    shown = Table(
        title=f"{Path(report.data).name}: {report.images} pictures, {report.persons} persons", caption=Text(protocol)
    )
    for kind in ("Keypoints", "Masks"):
        shown.add_column(kind)
        shown.add_column("Score", justify="right")
        shown.add_column("95 %", justify="right")
    left, right = _rows(report, "keypoints", report.keypoints), _rows(report, "masks", report.masks)
    for pose, mask in zip_longest(left, right, fillvalue=("", "", "")):
        shown.add_row(*pose, *mask)
    shown.add_section()
    times = [("ms a picture" if name == "total" else f"ms {name}", _ms(ms), "") for name, ms in report.ms.items()]
    counts = [
        ("person IoU", _score(report.person_iou), _interval(report, "person_iou")),
        ("people found", str(report.found), ""),
        ("not on disk", str(report.skipped), ""),
    ]
    for count, time in zip_longest(counts, times, fillvalue=("", "", "")):
        shown.add_row(*count, *time)
    return shown


def _rows(report: Report, kind: str, numbers: Mapping[str, float]) -> Iterator[Row]:
    for name, value in numbers.items():
        yield name, _score(value), _interval(report, f"{kind}.{name}")


def _score(value: float) -> str:
    return "-" if value < 0 else f"{value:.3f}"


def _interval(report: Report, name: str) -> str:
    low, high = report.intervals.get(name, (-1.0, -1.0))
    return "" if high < 0 else f"{low:.3f}-{high:.3f}"


def _ms(ms: float | None) -> str:
    return "-" if ms is None else f"{ms:.1f}"
