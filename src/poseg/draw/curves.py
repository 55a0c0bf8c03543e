"""Curves over thresholds, with their bands, in a panel on the ground of `draw.figures`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.draw.figures import BRIGHT, GROUND, MUTED, write
from poseg.draw.ink import Bytes, Floats, ink_disk, ink_line, lay
from poseg.draw.lettering import letter
from poseg.draw.palette import colours, tint
from poseg.errors import ShapeError
from poseg.geometry.grid import pixel_centres

LEFT_PX, TOP_PX, BOTTOM_PX, RIGHT_PX = 52, 14, 46, 14
LABEL_PX, TICK_PX, NAME_STEP_PX = 15, 13, 18
LINE_RADIUS_PX, GRID_RADIUS_PX = 1.25, 0.5
BAND_OPACITY = 0.2
SHARES = np.linspace(0, 1, 6)


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A curve of shares in [0, 1] over T thresholds: NaN where there is none.

    low, high  its band; none where they are left out
    mark       threshold at which it is marked with a dot
    """

    name: str
    values: ArrayLike
    low: ArrayLike | None = None
    high: ArrayLike | None = None
    mark: float | None = None


def draw_curves(
    thresholds: ArrayLike, lines: Sequence[Line], *, axis: str = "", width_px: int = 620, height_px: int = 420
) -> Bytes:
    """A panel (height_px or more, width_px, 3) with one coloured curve a line, named at its right end.

    thresholds (T,) rise; axis is written below. Higher where the names need it. Raises ShapeError where a curve has not
    T values.
    """
    x = np.asarray(thresholds, np.float64)
    for line in lines:
        if np.shape(line.values) != x.shape or len(x) < 2:
            raise ShapeError(f"the curve {line.name}", expected=f"{x.shape}, at least 2", got=np.shape(line.values))
    height_px = max(height_px, TOP_PX + BOTTOM_PX + NAME_STEP_PX * len(lines))
    names = max((letter(line.name, LABEL_PX).shape[1] for line in lines), default=0)
    frame = _Frame(LEFT_PX, TOP_PX, width_px - RIGHT_PX - names - 12, height_px - BOTTOM_PX, float(x[0]), float(x[-1]))
    panel = np.empty((height_px, width_px, 3), np.uint8)
    panel[:] = GROUND
    _draw_grid(panel, frame, axis)
    shades = colours(np.arange(len(lines)))
    for line, colour in zip(lines, shades, strict=True):
        _draw_band(panel, frame, x, line, colour)
    for line, colour in reversed(list(zip(lines, shades, strict=True))):
        _draw_line(panel, frame, x, line, colour)
    _write_names(panel, frame, lines, shades)
    return panel


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where the axes lie on a panel, in pixels, and the thresholds at their ends."""

    left: int
    top: int
    right: int
    bottom: int
    low: float
    high: float

    def x(self, thresholds: ArrayLike) -> NDArray[np.float64]:
        share = (np.asarray(thresholds, np.float64) - self.low) / (self.high - self.low)
        return self.left + share * (self.right - self.left)

    def y(self, shares: ArrayLike) -> NDArray[np.float64]:
        return np.asarray(self.bottom - np.asarray(shares, np.float64) * (self.bottom - self.top))


def _draw_grid(panel: Bytes, frame: _Frame, axis: str) -> None:
    coverage: Floats = np.zeros(panel.shape[:2], np.float32)
    ticks = np.linspace(frame.low, frame.high, 6)
    for x in frame.x(ticks).tolist():
        ink_line(coverage, (x, frame.top), (x, frame.bottom), GRID_RADIUS_PX, (0, 0))
    for y in frame.y(SHARES).tolist():
        ink_line(coverage, (frame.left, y), (frame.right, y), GRID_RADIUS_PX, (0, 0))
    lay(panel, coverage, MUTED, 0.28)
    for tick in ticks:
        text = f"{tick:g}"
        width = letter(text, TICK_PX).shape[1]
        write(panel, text, (round(float(frame.x(tick)) - width / 2), frame.bottom + 6), TICK_PX, MUTED)
    for share in SHARES:
        text = f"{share:.1f}"
        width, height = letter(text, TICK_PX).shape[1::-1]
        write(panel, text, (frame.left - width - 9, round(float(frame.y(share)) - height / 2)), TICK_PX, MUTED)
    middle = round((frame.left + frame.right - letter(axis, TICK_PX).shape[1]) / 2) if axis else 0
    write(panel, axis, (max(middle, 0), frame.bottom + 25), TICK_PX, MUTED)


def _draw_band(panel: Bytes, frame: _Frame, x: NDArray[np.float64], line: Line, colour: Bytes) -> None:
    """Fill between the two edges, column by column of the panel."""
    if line.low is None or line.high is None:
        return
    columns = pixel_centres(np.arange(panel.shape[1]))
    inside = (columns >= frame.left) & (columns <= frame.right)
    top, bottom = (
        np.interp(columns, frame.x(x), frame.y(np.nan_to_num(np.asarray(edge, np.float64))))
        for edge in (line.high, line.low)
    )
    rows = pixel_centres(np.arange(panel.shape[0]))[:, None]
    covered = np.minimum(np.clip(rows - top + 0.5, 0, 1), np.clip(bottom - rows + 0.5, 0, 1)) * inside
    lay(panel, covered.astype(np.float32), colour, BAND_OPACITY)


def _draw_line(panel: Bytes, frame: _Frame, x: NDArray[np.float64], line: Line, colour: Bytes) -> None:
    values = np.asarray(line.values, np.float64)
    points = np.column_stack([frame.x(x), frame.y(values)])[np.isfinite(values)]
    coverage: Floats = np.zeros(panel.shape[:2], np.float32)
    for start, end in pairwise(points):
        ink_line(coverage, start, end, LINE_RADIUS_PX, (0, 0))
    if line.mark is not None and len(points):
        ink_disk(coverage, (frame.x(line.mark), np.interp(frame.x(line.mark), *points.T)), 3.5, (0, 0))
    lay(panel, coverage, colour)


def _write_names(panel: Bytes, frame: _Frame, lines: Sequence[Line], shades: Bytes) -> None:
    """Beside the right ends, moved apart where they would lie on each other."""
    ends = np.array([np.nan_to_num(np.asarray(line.values, np.float64)[-1]) for line in lines])
    order = np.argsort(-ends, kind="stable")
    wanted = frame.y(ends[order]) - LABEL_PX / 2
    places = np.maximum.accumulate(wanted - NAME_STEP_PX * np.arange(len(lines))) + NAME_STEP_PX * np.arange(len(lines))
    lowest = frame.bottom - NAME_STEP_PX * np.arange(len(lines))[::-1] - LABEL_PX
    for place, row in zip(np.maximum(np.minimum(places, lowest), 0), order, strict=True):
        shade = tint(shades[row], BRIGHT, 0.15)
        write(panel, lines[row].name, (frame.right + 10, round(float(place))), LABEL_PX, shade)
