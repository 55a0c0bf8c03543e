"""Figures and tables as files: PNG, SVG and CSV, each written whole or not at all."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from poseg.io.files import write_bytes, write_text

_DPI = 200


def write_figure(figure: Figure, stem: Path) -> list[Path]:
    """The figure as `stem`.png and `stem`.svg; the files. Raises OutputError."""
    files = []
    for kind, about in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        page = io.BytesIO()
        # Letters stay letters, to be searched and edited; and one figure gives the same file every time.
        with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "poseg"}):
            figure.savefig(page, format=kind, dpi=_DPI, metadata=about)
        files.append(stem.with_name(f"{stem.name}.{kind}"))
        write_bytes(files[-1], page.getvalue())
    return files


def write_table(path: Path, heading: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Rows below a heading as CSV; numbers with six digits, NaN as an empty field. Raises OutputError."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heading)
    writer.writerows([_field(value) for value in row] for row in rows)
    write_text(path, text.getvalue())
    return path


def write_matrices(path: Path, joints: Sequence[str], matrices: Iterable[tuple[str, NDArray[np.float64]]]) -> Path:
    """Matrices (J, J) by name below each other as CSV: matrix, joint, then a column for each joint."""
    rows = [(name, joint, *row) for name, matrix in matrices for joint, row in zip(joints, matrix, strict=True)]
    return write_table(path, ("matrix", "joint", *joints), rows)


def _field(value: object) -> object:
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:.6g}"
    return value
