"""Figures: titled contact sheets, and the wheel that explains colours of directions."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.draw.ink import Bytes, lay
from poseg.draw.lettering import letter
from poseg.draw.palette import direction_colours
from poseg.errors import ShapeError

GROUND: Bytes = np.array([19, 21, 27], np.uint8)
BRIGHT: Bytes = np.array([236, 238, 243], np.uint8)
MUTED: Bytes = np.array([150, 156, 170], np.uint8)

MARGIN_PX = 24
GAP_PX = 14
TITLE_PX = 15
HEADING_PX = 26


def sheet(
    images: Sequence[Bytes],
    titles: Sequence[str],
    columns: int,
    *,
    heading: str = "",
    note: str = "",
    emblem: Bytes | None = None,
) -> Bytes:
    """Pictures on a titled contact sheet: (H, W, 3) uint8 RGB.

    images   RGB uint8 of any sizes; each cell is as large as the largest, nothing is scaled
    titles   one above each picture, cut at the cell's width
    heading  over the whole sheet, with `note` in small letters below and `emblem` (a legend) at the right
    Raises ShapeError where titles and images differ in number or `columns` is not positive.
    """
    if len(titles) != len(images) or columns < 1 or not images:
        raise ShapeError(
            "titles",
            expected=f"one for each of {len(images)} pictures in 1 or more columns",
            got=f"{len(titles)} titles, {columns} columns",
        )
    columns = min(columns, len(images))
    tile_h, tile_w = (max(image.shape[axis] for image in images) for axis in (0, 1))
    step_y, step_x = tile_h + TITLE_PX + 14 + GAP_PX, tile_w + GAP_PX
    head = _header(columns * step_x - GAP_PX, heading, note, emblem)
    rows = -(-len(images) // columns)
    top = MARGIN_PX + len(head)
    page = np.empty((top + rows * step_y - GAP_PX + MARGIN_PX, columns * step_x - GAP_PX + 2 * MARGIN_PX, 3), np.uint8)
    page[:] = GROUND
    page[MARGIN_PX:top, MARGIN_PX : MARGIN_PX + head.shape[1]] = head
    for number, (image, title) in enumerate(zip(images, titles, strict=True)):
        y, x = top + number // columns * step_y, MARGIN_PX + number % columns * step_x
        write(page[:, : x + tile_w], title, (x, y), TITLE_PX, BRIGHT)
        y += TITLE_PX + 14 - 4
        page[y : y + image.shape[0], x : x + image.shape[1]] = image
    return page


def write(image: Bytes, text: str, corner_xy: tuple[int, int], size_px: float, colour: Bytes) -> None:
    """Write one line in place, its top left at a pixel; what runs over the edge is cut."""
    if not text:
        return
    x, y = corner_xy
    letters = letter(text, size_px)
    part = image[y : y + letters.shape[0], x : x + letters.shape[1]]
    lay(part, letters[: part.shape[0], : part.shape[1]], colour)


def spoken(joint: str) -> str:
    """A joint's name as a title: "left_wrist" becomes "left wrist"."""
    return joint.replace("_", " ")


def legend_wheel(size_px: int = 84) -> Bytes:
    """The colour wheel of `palette.direction_colours` on the sheet's ground: (size_px, size_px, 3)."""
    radius = size_px / 2
    y, x = (np.mgrid[:size_px, :size_px] + 0.5 - radius).astype(np.float32)
    wheel = direction_colours(np.stack([x, y]), radius - 1)
    picture = np.empty_like(wheel)
    picture[:] = GROUND
    lay(picture, np.clip(radius - 0.5 - np.hypot(x, y), 0, 1), wheel[np.hypot(x, y) < radius - 0.5])
    return picture


def fit(image: Bytes, long_side_px: int) -> tuple[Bytes, float]:
    """The picture with its long side at a length, and the factor it was scaled by."""
    scale = long_side_px / max(image.shape[:2])
    size = max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized: NDArray[np.uint8] = np.asarray(cv2.resize(image, size, interpolation=way), np.uint8)
    return resized, scale


def _header(width: int, heading: str, note: str, emblem: Bytes | None) -> Bytes:
    """The strip with heading, note and emblem; no rows at all where there is nothing to say."""
    if not heading and not note and emblem is None:
        return np.empty((0, width, 3), np.uint8)
    height = max(HEADING_PX + TITLE_PX + 34, 0 if emblem is None else emblem.shape[0] + 18)
    strip = np.empty((height, width, 3), np.uint8)
    strip[:] = GROUND
    room = width if emblem is None else max(width - emblem.shape[1] - GAP_PX, 1)
    write(strip[:, :room], heading, (0, 0), HEADING_PX, BRIGHT)
    write(strip[:, :room], note, (0, HEADING_PX + 16), TITLE_PX, MUTED)
    if emblem is not None:
        part = strip[: emblem.shape[0], max(width - emblem.shape[1], 0) :]
        part[:] = emblem[:, : part.shape[1]]
    return strip
