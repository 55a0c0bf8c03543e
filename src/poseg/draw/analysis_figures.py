"""Figures of an analysis: matrices between joints (correlation, co-sparsity), and averaged patches of neurons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize, to_rgba
from matplotlib.figure import Figure
from numpy.typing import NDArray

from poseg.errors import ShapeError

Bytes = NDArray[np.uint8]
Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]

MAX_NUMBERED_JOINTS = 17  # numbers in the cells of larger matrices would be illegible
_DIVERGING = ("#08306b", "#2f78b7", "#a9cfe5", "#ffffff", "#f7b799", "#cf5246", "#67001f")
_SEQUENTIAL = ("#ffffff", "#c7e6d3", "#5fb59a", "#1c7a78", "#0b3f51")
_CHANCE = "#e6e7ea"
_INK, _MUTED, _FAINT = "#1b1f27", "#6b7280", "#9aa0aa"
_CELL_IN = 0.32
_LABELS_IN = 1.1
_BELOW_IN = 0.85
_HEADING_IN = 0.7

PATCH_COLUMNS = 8
MAX_PATCH_ROWS = 8
PATCH_GAP_PX = 3
_PATCH = 92.0  # hundredths of an inch, as all sizes below; about this, in whole page pixels for a pixel of the patch
_LINE = 11.0
_EDGE = 24.0
_HEADING = 64.0
_LETTER = 5.3  # width of a letter of the note
_UNDEFINED = 0.86


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One matrix: its title, (J, J) values with NaN where undefined, and the |value| of the chance level."""

    title: str
    matrix: Doubles
    baseline: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Style:
    """Colours of values, their range, and the format of numbers."""

    colours: Colormap
    scale: Normalize
    form: str


def correlation_figure(
    panels: Sequence[Panel], joints: Sequence[str], *, breaks: Sequence[int] = (), heading: str = "", note: str = ""
) -> Figure:
    """Correlations in [-1, 1]: blue below 0, white at 0, red above; grey below the chance level.

    panels  of J joints each, in the order of `joints`; up to three in a row, four in two rows
    breaks  indices of joints before which a line is drawn, such as between parts of the body
    Raises ShapeError for matrices of another size and without panels.
    """
    style = _Style(LinearSegmentedColormap.from_list("diverging", _DIVERGING, N=257), Normalize(-1, 1), "{:.2f}")
    return _figure(panels, joints, breaks, style, heading, note)


def sparsity_figure(
    panels: Sequence[Panel], joints: Sequence[str], *, breaks: Sequence[int] = (), heading: str = "", note: str = ""
) -> Figure:
    """Co-sparsity, darker for higher values, from the minimum to the maximum off the diagonals."""
    values = [panel.matrix[~np.eye(len(panel.matrix), dtype=np.bool_)] for panel in panels]
    finite = np.concatenate([part[np.isfinite(part)] for part in values]) if values else np.zeros(0)
    ends = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    style = _Style(LinearSegmentedColormap.from_list("rising", _SEQUENTIAL), Normalize(*ends, clip=True), "{:.1f}")
    return _figure(panels, joints, breaks, style, heading, note)


def _figure(
    panels: Sequence[Panel], joints: Sequence[str], breaks: Sequence[int], style: _Style, heading: str, note: str
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

    def add_axes(x_in: float, y_in: float, wide_in: float, high_in: float) -> Axes:
        return page.add_axes((x_in / width, 1 - (y_in + high_in) / height, wide_in / width, high_in / height))

    for number, panel in enumerate(panels):
        x, y = number % columns * step_x + _LABELS_IN, number // columns * step_y + _HEADING_IN + 0.3
        _draw(add_axes(x, y, side, side), panel, joints, breaks, style)
    bar = page.colorbar(
        ScalarMappable(style.scale, style.colours), add_axes(columns * step_x + 0.1, _HEADING_IN + 0.3, 0.14, side)
    )
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7, length=2, colors=_INK)
    page.text(0.2 / width, 1 - 0.2 / height, heading, fontsize=13, color=_INK, va="top")
    page.text(0.2 / width, 1 - 0.48 / height, note, fontsize=8, color=_MUTED, va="top")
    return page


def _draw(axes: Axes, panel: Panel, joints: Sequence[str], breaks: Sequence[int], style: _Style) -> None:
    """One matrix with its names, lines between groups, and numbers where they are legible."""
    matrix, count = panel.matrix, len(joints)
    colours = style.colours(style.scale(np.nan_to_num(matrix)))
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
    if count > MAX_NUMBERED_JOINTS:
        return
    light = colours[..., :3] @ (0.3, 0.59, 0.11) > 0.55
    for row, column in zip(*np.nonzero(np.isfinite(matrix)), strict=True):
        ink = _FAINT if chance[row, column] else _INK if light[row, column] else "white"
        text = _short(style.form.format(matrix[row, column]))
        axes.text(column + 0.5, row + 0.52, text, fontsize=5.5, color=ink, ha="center", va="center")


def _short(number: str) -> str:
    """A number without its leading zero and with a minus sign, as narrow as a cell; -0 is written as 0."""
    sign = "\N{MINUS SIGN}" if number.startswith("-") and float(number) else ""
    digits = number.removeprefix("-")
    return sign + (digits[1:] if digits.startswith("0.") else digits)


def contrast_stretch(patches: Floats, low: float = 1, high: float = 99) -> Floats:
    """Patches (C, S, S, 3) each stretched from its `low` to its `high` percentile to [0, 1]; NaN becomes grey.

    The three channels of a patch are stretched equally, so that its hue stays.
    """
    if patches.ndim != 4 or patches.shape[3] != 3:
        raise ShapeError("patches", expected=("channels", "size", "size", 3), got=patches.shape)
    tiles = np.full(patches.shape, _UNDEFINED, np.float32)
    for tile, patch in zip(tiles, patches, strict=True):
        finite = np.isfinite(patch)
        if finite.any():
            bottom, top = np.percentile(patch[finite], [low, high])
            tile[finite] = np.clip((patch[finite] - bottom) / max(top - bottom, 1e-6), 0, 1)
    return tiles


def neuron_figure(patches: Floats, captions: Sequence[str], *, heading: str = "", note: str = "") -> Figure:
    """Patches (C, S, S, 3) in 0..255 in rows of 8, 3 of their pixels apart, each with a caption of up to two lines.

    Patches beyond 8 rows are left out, so give the strongest first. Raises ShapeError where captions differ in number.
    """
    if len(captions) != len(patches) or not len(patches):
        raise ShapeError("captions", expected=f"one for each of {len(patches)} patches", got=len(captions))
    tiles = contrast_stretch(patches[: PATCH_COLUMNS * MAX_PATCH_ROWS])
    zoom = max(round(_PATCH / tiles.shape[1]), 1)
    side, gap = tiles.shape[1] * zoom, PATCH_GAP_PX * zoom
    step_x, step_y = side + gap, side + gap + 2 * _LINE
    rows = -(-len(tiles) // PATCH_COLUMNS)
    width, height = 2 * _EDGE + PATCH_COLUMNS * step_x - gap, _EDGE + _HEADING + rows * step_y
    page = Figure(figsize=(width / 100, height / 100), facecolor="white")
    axes = page.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    words: dict[str, Any] = {"ha": "center", "va": "top", "color": _INK, "fontsize": 6, "linespacing": 1.1}
    for number, (tile, caption) in enumerate(zip(tiles, captions, strict=False)):
        x, y = _EDGE + number % PATCH_COLUMNS * step_x, _EDGE + _HEADING + number // PATCH_COLUMNS * step_y
        axes.imshow(tile, extent=(x, x + side, y + side, y), interpolation="none")
        axes.text(x + side / 2, y + side + 3, caption, **words)
    axes.text(_EDGE, _EDGE, heading, fontsize=13, va="top", color=_INK)
    lines = fill(note, int((width - 2 * _EDGE) / _LETTER))
    axes.text(_EDGE, _EDGE + 26, lines, fontsize=7.5, va="top", color=_MUTED)
    axes.set(xlim=(0, width), ylim=(height, 0))
    return page
