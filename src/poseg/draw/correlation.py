"""Figures of matrices between joints: correlations, and co-sparsity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize, to_rgba
from matplotlib.figure import Figure
from numpy.typing import NDArray

from poseg.errors import ShapeError

Doubles = NDArray[np.float64]

MOST_NUMBERED = 17  # joints; numbers in the cells of larger matrices could not be read
_DIVERGING = ("#08306b", "#2f78b7", "#a9cfe5", "#ffffff", "#f7b799", "#cf5246", "#67001f")
_RISING = ("#ffffff", "#c7e6d3", "#5fb59a", "#1c7a78", "#0b3f51")
_CHANCE = "#e6e7ea"
_INK, _MUTED, _FAINT = "#1b1f27", "#6b7280", "#9aa0aa"
_CELL_IN = 0.32
_LABELS_IN = 1.1
_BELOW_IN = 0.85
_HEADING_IN = 0.7


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One matrix: its title, (J, J) values with NaN where there are none, and the |value| that chance comes to."""

    title: str
    matrix: Doubles
    baseline: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """How values are shown: colours, the range they stand for, and how numbers are written."""

    colours: Colormap
    scale: Normalize
    form: str


def correlation_figure(
    panels: Sequence[Panel], joints: Sequence[str], *, breaks: Sequence[int] = (), heading: str = "", note: str = ""
) -> Figure:
    """Correlations in [-1, 1]: blue below 0, white at 0, red above; grey where chance comes to as much.

    panels  of J joints each, in the order of `joints`; up to three in a row, four in two rows
    breaks  places between joints that get a line, such as between parts of the body
    Raises ShapeError for matrices of another size and where there are no panels.
    """
    look = _Look(LinearSegmentedColormap.from_list("diverging", _DIVERGING, N=257), Normalize(-1, 1), "{:.2f}")
    return _figure(panels, joints, breaks, look, heading, note)


def sparsity_figure(
    panels: Sequence[Panel], joints: Sequence[str], *, breaks: Sequence[int] = (), heading: str = "", note: str = ""
) -> Figure:
    """Co-sparsity, the higher the darker, from the smallest to the largest value off the diagonals."""
    values = [panel.matrix[~np.eye(len(panel.matrix), dtype=np.bool_)] for panel in panels]
    known = np.concatenate([part[np.isfinite(part)] for part in values]) if values else np.zeros(0)
    ends = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    look = _Look(LinearSegmentedColormap.from_list("rising", _RISING), Normalize(*ends, clip=True), "{:.1f}")
    return _figure(panels, joints, breaks, look, heading, note)


def _figure(
    panels: Sequence[Panel], joints: Sequence[str], breaks: Sequence[int], look: _Look, heading: str, note: str
) -> Figure:
    count = len(joints)
    if not panels or not count:
        raise ShapeError("panels", expected="1 or more of 1 or more joints", got=f"{len(panels)} of {count}")
    for panel in panels:
        if panel.matrix.shape != (count, count):
            raise ShapeError(f"the matrix of {panel.title}", expected=(count, count), got=panel.matrix.shape)
    columns = len(panels) if len(panels) <= 3 else 2
    rows = -(-len(panels) // columns)
    side = count * _CELL_IN
    step_x, step_y = side + _LABELS_IN + 0.25, side + _BELOW_IN + 0.45
    width, height = max(columns * step_x + 0.9, 5.0), rows * step_y + _HEADING_IN
    page = Figure(figsize=(width, height), facecolor="white")

    def place(x_in: float, y_in: float, wide_in: float, high_in: float) -> Axes:
        return page.add_axes((x_in / width, 1 - (y_in + high_in) / height, wide_in / width, high_in / height))

    for number, panel in enumerate(panels):
        x, y = number % columns * step_x + _LABELS_IN, number // columns * step_y + _HEADING_IN + 0.3
        _draw(place(x, y, side, side), panel, joints, breaks, look)
    bar = page.colorbar(
        ScalarMappable(look.scale, look.colours), place(columns * step_x + 0.1, _HEADING_IN + 0.3, 0.14, side)
    )
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7, length=2, colors=_INK)
    page.text(0.2 / width, 1 - 0.2 / height, heading, fontsize=13, color=_INK, va="top")
    page.text(0.2 / width, 1 - 0.48 / height, note, fontsize=8, color=_MUTED, va="top")
    return page


def _draw(axes: Axes, panel: Panel, joints: Sequence[str], breaks: Sequence[int], look: _Look) -> None:
    """One matrix with its names, lines between groups, and numbers where they can be read."""
    matrix, count = panel.matrix, len(joints)
    colours = look.colours(look.scale(np.nan_to_num(matrix)))
    chance = np.abs(matrix) < panel.baseline
    colours[chance] = to_rgba(_CHANCE)
    colours[np.isnan(matrix)] = to_rgba("white")
    axes.imshow(colours, interpolation="none", extent=(0, count, count, 0))
    axes.set_title(panel.title, fontsize=10, color=_INK, pad=6)
    axes.set_xticks(np.arange(count) + 0.5, joints, rotation=90, fontsize=7, color=_INK)
    axes.set_yticks(np.arange(count) + 0.5, joints, fontsize=7, color=_INK)
    axes.tick_params(length=0, pad=3)
    axes.spines[:].set_linewidth(0.6)
    for at in breaks:
        axes.axhline(at, color=_INK, linewidth=0.6)
        axes.axvline(at, color=_INK, linewidth=0.6)
    if count > MOST_NUMBERED:
        return
    light = colours[..., :3] @ (0.3, 0.59, 0.11) > 0.55
    for row, column in zip(*np.nonzero(np.isfinite(matrix)), strict=True):
        ink = _FAINT if chance[row, column] else _INK if light[row, column] else "white"
        text = _short(look.form.format(matrix[row, column]))
        axes.text(column + 0.5, row + 0.52, text, fontsize=5.5, color=ink, ha="center", va="center")


def _short(number: str) -> str:
    """A number without its leading zero and with a true minus, as narrow as a cell; no minus before nothing."""
    sign = "\N{MINUS SIGN}" if number.startswith("-") and float(number) else ""
    digits = number.removeprefix("-")
    return sign + (digits[1:] if digits.startswith("0.") else digits)
