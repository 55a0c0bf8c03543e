"""A table for the terminal, as Markdown for the docs, and its numbers as JSON."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from poseg.io.files import write_json

WIDTH = 170


@dataclass(slots=True)
class Grid:
    """Rows of text under titles; the first column is a name, the others are numbers."""

    title: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)

    def rich(self) -> Table:
        """For the terminal."""
        table = Table(title=self.title)
        for index, column in enumerate(self.columns):
            table.add_column(column, justify="right" if index else "left")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """For the docs."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        return "\n".join([f"{self.title}\n", *("| " + " | ".join(line) + " |" for line in lines)]) + "\n"


def add_output_args(parser: argparse.ArgumentParser) -> None:
    """Add --json and --markdown."""
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument("--markdown", type=Path, help="write the tables here, as Markdown")


def write_outputs(
    args: argparse.Namespace, grids: Sequence[Grid], numbers: dict[str, Any], remarks: Sequence[str] = ()
) -> None:
    """Print tables and remarks, and write the files of --json and --markdown."""
    console = Console(width=WIDTH)
    for grid in grids:
        console.print(grid.rich())
    for remark in remarks:
        console.print(remark, highlight=False, markup=False)
    if args.json:
        write_json(args.json, numbers)
    if args.markdown:
        args.markdown.write_text("\n".join([*(grid.markdown() for grid in grids), *remarks]) + "\n")


def score(value: float, interval: Sequence[float] | None = None) -> str:
    """A number with its interval; a dash where there was nothing to measure."""
    if value < 0:
        return "-"
    return f"{value:.3f}" + (f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")
