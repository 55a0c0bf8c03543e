"""Figures: titled contact sheets, the colour wheel of directions, and curves over thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.draw.antialias import Bytes, Floats, blend, draw_disk, draw_line, text_coverage
from poseg.draw.palette import colours, direction_colours, tint
from poseg.errors import ShapeError
from poseg.geometry.grid import pixel_centres

BACKGROUND: Bytes = np.array([19, 21, 27], np.uint8)
BRIGHT: Bytes = np.array([236, 238, 243], np.uint8)
MUTED: Bytes = np.array([150, 156, 170], np.uint8)

MARGIN_PX = 24
GAP_PX = 14
TITLE_PX = 15
HEADING_PX = 26

LEFT_PX, TOP_PX, BOTTOM_PX, RIGHT_PX = 52, 14, 46, 14
LABEL_PX, TICK_PX, LABEL_STEP_PX = 15, 13, 18
LINE_RADIUS_PX, GRID_RADIUS_PX = 1.25, 0.5
BAND_OPACITY = 0.2
TICKS = np.linspace(0, 1, 6)


def contact_sheet(
    images: Sequence[Bytes],
    titles: Sequence[str],
    columns: int,
    *,
    heading: str = "",
    note: str = "",
    legend: Bytes | None = None,
) -> Bytes:
    """Images on a titled contact sheet: (H, W, 3) uint8 RGB.

    images   RGB uint8 of any sizes; all tiles are as large as the largest image, no image is scaled
    titles   one above each image, cut at the width of the tile
    heading  above all tiles, with `note` in small letters below and `legend` (an image) on the right
    Raises ShapeError where titles and images differ in number or `columns` is not positive.
    """
    if len(titles) != len(images) or columns < 1 or not images:
        raise ShapeError(
            "titles",
            expected=f"one for each of {len(images)} images in 1 or more columns",
            got=f"{len(titles)} titles, {columns} columns",
        )
    columns = min(columns, len(images))
    tile_h, tile_w = (max(image.shape[axis] for image in images) for axis in (0, 1))
    step_y, step_x = tile_h + TITLE_PX + 14 + GAP_PX, tile_w + GAP_PX
    head = _header(columns * step_x - GAP_PX, heading, note, legend)
    rows = -(-len(images) // columns)
    top = MARGIN_PX + len(head)
    page = np.empty((top + rows * step_y - GAP_PX + MARGIN_PX, columns * step_x - GAP_PX + 2 * MARGIN_PX, 3), np.uint8)
    page[:] = BACKGROUND
    page[MARGIN_PX:top, MARGIN_PX : MARGIN_PX + head.shape[1]] = head
    for number, (image, title) in enumerate(zip(images, titles, strict=True)):
        y, x = top + number // columns * step_y, MARGIN_PX + number % columns * step_x
        write_text(page[:, : x + tile_w], title, (x, y), TITLE_PX, BRIGHT)
        y += TITLE_PX + 14 - 4
        page[y : y + image.shape[0], x : x + image.shape[1]] = image
    return page


def write_text(image: Bytes, text: str, corner_xy: tuple[int, int], size_px: float, colour: Bytes) -> None:
    """Write one line in place, its top left corner at a pixel; text beyond the image is cut."""
    if not text:
        return
    x, y = corner_xy
    letters = text_coverage(text, size_px)
    part = image[y : y + letters.shape[0], x : x + letters.shape[1]]
    blend(part, letters[: part.shape[0], : part.shape[1]], colour)


def joint_label(joint: str) -> str:
    """The name of a joint as a title: "left_wrist" becomes "left wrist"."""
    return joint.replace("_", " ")


def direction_legend(size_px: int = 84) -> Bytes:
    """The colour wheel of `palette.direction_colours` on the sheet's background: (size_px, size_px, 3)."""
    radius = size_px / 2
    y, x = (np.mgrid[:size_px, :size_px] + 0.5 - radius).astype(np.float32)
    wheel = direction_colours(np.stack([x, y]), radius - 1)
    legend = np.empty_like(wheel)
    legend[:] = BACKGROUND
    blend(legend, np.clip(radius - 0.5 - np.hypot(x, y), 0, 1), wheel[np.hypot(x, y) < radius - 0.5])
    return legend


def resize_to(image: Bytes, long_edge_px: int) -> tuple[Bytes, float]:
    """The image with its long edge at a length, and the scale factor."""
    scale = long_edge_px / max(image.shape[:2])
    size = max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1)
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size, interpolation=interpolation), np.uint8), scale


def _header(width: int, heading: str, note: str, legend: Bytes | None) -> Bytes:
    """The strip with heading, note and legend; no rows without any of them."""
    if not heading and not note and legend is None:
        return np.empty((0, width, 3), np.uint8)
    height = max(HEADING_PX + TITLE_PX + 34, 0 if legend is None else legend.shape[0] + 18)
    strip = np.empty((height, width, 3), np.uint8)
    strip[:] = BACKGROUND
    room = width if legend is None else max(width - legend.shape[1] - GAP_PX, 1)
    write_text(strip[:, :room], heading, (0, 0), HEADING_PX, BRIGHT)
    write_text(strip[:, :room], note, (0, HEADING_PX + 16), TITLE_PX, MUTED)
    if legend is not None:
        part = strip[: legend.shape[0], max(width - legend.shape[1], 0) :]
        part[:] = legend[:, : part.shape[1]]
    return strip


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A curve of fractions in [0, 1] over T thresholds: NaN where undefined.

    low, high  its band, optional
    mark       threshold that is marked with a dot
    """

    name: str
    values: ArrayLike
    low: ArrayLike | None = None
    high: ArrayLike | None = None
    mark: float | None = None


def draw_curves(
    thresholds: ArrayLike, lines: Sequence[Line], *, axis: str = "", width_px: int = 620, height_px: int = 420
) -> Bytes:
    """A panel (height_px or more, width_px, 3) with a coloured curve for each line, its name at the right end.

    thresholds (T,) increase; `axis` is their label. The panel is higher if the names need it. Raises ShapeError for
    curves without T values.
    """
    x = np.asarray(thresholds, np.float64)
    for line in lines:
        if np.shape(line.values) != x.shape or len(x) < 2:
            raise ShapeError(f"the curve {line.name}", expected=f"{x.shape}, at least 2", got=np.shape(line.values))
    height_px = max(height_px, TOP_PX + BOTTOM_PX + LABEL_STEP_PX * len(lines))
    names = max((text_coverage(line.name, LABEL_PX).shape[1] for line in lines), default=0)
    frame = _Axes(LEFT_PX, TOP_PX, width_px - RIGHT_PX - names - 12, height_px - BOTTOM_PX, float(x[0]), float(x[-1]))
    panel = np.empty((height_px, width_px, 3), np.uint8)
    panel[:] = BACKGROUND
    _draw_grid(panel, frame, axis)
    shades = colours(np.arange(len(lines)))
    for line, colour in zip(lines, shades, strict=True):
        _draw_band(panel, frame, x, line, colour)
    for line, colour in reversed(list(zip(lines, shades, strict=True))):
        _draw_curve(panel, frame, x, line, colour)
    _write_names(panel, frame, lines, shades)
    return panel


@dataclass(frozen=True, slots=True)
class _Axes:
    """Position of the axes on a panel, in pixels, and the thresholds at their ends."""

    left: int
    top: int
    right: int
    bottom: int
    low: float
    high: float

    def x(self, thresholds: ArrayLike) -> NDArray[np.float64]:
        fraction = (np.asarray(thresholds, np.float64) - self.low) / (self.high - self.low)
        return self.left + fraction * (self.right - self.left)

    def y(self, values: ArrayLike) -> NDArray[np.float64]:
        return np.asarray(self.bottom - np.asarray(values, np.float64) * (self.bottom - self.top))


def _draw_grid(panel: Bytes, frame: _Axes, axis: str) -> None:
    coverage: Floats = np.zeros(panel.shape[:2], np.float32)
    ticks = np.linspace(frame.low, frame.high, 6)
    for x in frame.x(ticks).tolist():
        draw_line(coverage, (x, frame.top), (x, frame.bottom), GRID_RADIUS_PX)
    for y in frame.y(TICKS).tolist():
        draw_line(coverage, (frame.left, y), (frame.right, y), GRID_RADIUS_PX)
    blend(panel, coverage, MUTED, 0.28)
    for tick in ticks:
        text = f"{tick:g}"
        width = text_coverage(text, TICK_PX).shape[1]
        write_text(panel, text, (round(float(frame.x(tick)) - width / 2), frame.bottom + 6), TICK_PX, MUTED)
    for tick in TICKS:
        text = f"{tick:.1f}"
        width, height = text_coverage(text, TICK_PX).shape[1::-1]
        write_text(panel, text, (frame.left - width - 9, round(float(frame.y(tick)) - height / 2)), TICK_PX, MUTED)
    left = round((frame.left + frame.right - text_coverage(axis, TICK_PX).shape[1]) / 2) if axis else 0
    write_text(panel, axis, (max(left, 0), frame.bottom + 25), TICK_PX, MUTED)


def _draw_band(panel: Bytes, frame: _Axes, x: NDArray[np.float64], line: Line, colour: Bytes) -> None:
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
    blend(panel, covered.astype(np.float32), colour, BAND_OPACITY)


def _draw_curve(panel: Bytes, frame: _Axes, x: NDArray[np.float64], line: Line, colour: Bytes) -> None:
    values = np.asarray(line.values, np.float64)
    points = np.column_stack([frame.x(x), frame.y(values)])[np.isfinite(values)]
    coverage: Floats = np.zeros(panel.shape[:2], np.float32)
    for start, end in pairwise(points):
        draw_line(coverage, start, end, LINE_RADIUS_PX)
    if line.mark is not None and len(points):
        draw_disk(coverage, (frame.x(line.mark), np.interp(frame.x(line.mark), *points.T)), 3.5)
    blend(panel, coverage, colour)


def _write_names(panel: Bytes, frame: _Axes, lines: Sequence[Line], shades: Bytes) -> None:
    """Names beside the right ends of the curves, moved apart where they would overlap."""
    ends = np.array([np.nan_to_num(np.asarray(line.values, np.float64)[-1]) for line in lines])
    order = np.argsort(-ends, kind="stable")
    steps = LABEL_STEP_PX * np.arange(len(lines))
    tops = np.maximum.accumulate(frame.y(ends[order]) - LABEL_PX / 2 - steps) + steps
    lowest = frame.bottom - steps[::-1] - LABEL_PX
    for top, row in zip(np.maximum(np.minimum(tops, lowest), 0), order, strict=True):
        shade = tint(shades[row], BRIGHT, 0.15)
        write_text(panel, lines[row].name, (frame.right + 10, round(float(top))), LABEL_PX, shade)
