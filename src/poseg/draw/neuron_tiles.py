"""A figure of averaged patches: what each neuron of a layer looks for, a tile each."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from poseg.errors import ShapeError

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

COLUMNS = 8
ROWS = 8
MARGIN_PX = 3
_TILE = 92.0  # hundredths of an inch, as all sizes here; about this, in whole page pixels for a pixel of the patch
_LINE = 11.0
_EDGE = 24.0
_HEADING = 64.0
_LETTER = 5.3  # width of one of the note's
_UNSEEN = 0.86
_INK, _MUTED = "#1b1f27", "#6b7280"


def stretched(patches: Floats, low: float = 1, high: float = 99) -> Floats:
    """Patches (C, S, S, 3) each stretched from their `low` to their `high` percentile to [0, 1]; NaN turns grey.

    The three colours of a patch are stretched alike, so that its hue stays.
    """
    if patches.ndim != 4 or patches.shape[3] != 3:
        raise ShapeError("patches", expected=("channels", "size", "size", 3), got=patches.shape)
    tiles = np.full(patches.shape, _UNSEEN, np.float32)
    for tile, patch in zip(tiles, patches, strict=True):
        known = np.isfinite(patch)
        if known.any():
            bottom, top = np.percentile(patch[known], [low, high])
            tile[known] = np.clip((patch[known] - bottom) / max(top - bottom, 1e-6), 0, 1)
    return tiles


def neuron_figure(patches: Floats, captions: Sequence[str], *, heading: str = "", note: str = "") -> Figure:
    """Patches (C, S, S, 3) in 0..255 in rows of 8, 3 of their pixels apart, each with a caption of up to two lines.

    What is beyond 8 rows is left out, so give the strongest first. Raises ShapeError where captions differ in number.
    """
    if len(captions) != len(patches) or not len(patches):
        raise ShapeError("captions", expected=f"one for each of {len(patches)} patches", got=len(captions))
    tiles = stretched(patches[: COLUMNS * ROWS])
    zoom = max(round(_TILE / tiles.shape[1]), 1)
    side, gap = tiles.shape[1] * zoom, MARGIN_PX * zoom
    step_x, step_y = side + gap, side + gap + 2 * _LINE
    rows = -(-len(tiles) // COLUMNS)
    width, height = 2 * _EDGE + COLUMNS * step_x - gap, _EDGE + _HEADING + rows * step_y
    page = Figure(figsize=(width / 100, height / 100), facecolor="white")
    axes = page.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    words: dict[str, Any] = {"ha": "center", "va": "top", "color": _INK, "fontsize": 6, "linespacing": 1.1}
    for number, (tile, caption) in enumerate(zip(tiles, captions, strict=False)):
        x, y = _EDGE + number % COLUMNS * step_x, _EDGE + _HEADING + number // COLUMNS * step_y
        axes.imshow(tile, extent=(x, x + side, y + side, y), interpolation="none")
        axes.text(x + side / 2, y + side + 3, caption, **words)
    axes.text(_EDGE, _EDGE, heading, fontsize=13, va="top", color=_INK)
    lines = fill(note, int((width - 2 * _EDGE) / _LETTER))
    axes.text(_EDGE, _EDGE + 26, lines, fontsize=7.5, va="top", color=_MUTED)
    axes.set(xlim=(0, width), ylim=(height, 0))
    return page
