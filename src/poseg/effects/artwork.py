"""Art: images with transparency that are put on people, bundled wings and stickers or the user's own.

Bundled art lies in `art/` as lossless RGBA files with an index of the box that each covers; `scripts/draw_art.py`
draws it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from poseg.effects.compositing import union, window_between
from poseg.effects.matte import Matte
from poseg.errors import ShapeError
from poseg.geometry.grid import PIXEL_CENTRE

Bytes = NDArray[np.uint8]
Points = NDArray[np.float64]

FOLDER = Path(__file__).with_name("art")


@dataclass(frozen=True, slots=True, eq=False)
class Art:
    """An image with transparency and where it lies; built by `Art.from_rgba` and `load_art`.

    pixels        (h, w, 4) uint8, premultiplied RGBA
    box_xyxy      what it covers, in units of the place it is put at (body scales, breadths of the head, lengths of the
                  bone); the origin is its anchor
    foreshortens  whether it lies flat on the face and narrows as the head turns away
    """

    pixels: Bytes
    box_xyxy: tuple[float, float, float, float]
    foreshortens: bool = False
    _smaller: dict[tuple[int, int], Bytes] = field(default_factory=dict, repr=False)

    @classmethod
    def from_rgba(cls, rgba: Bytes, box_xyxy: tuple[float, float, float, float], *, foreshortens: bool = False) -> Art:
        """Art of an image (h, w, 4) uint8 whose colours are not premultiplied. Raises ShapeError for another image."""
        check_rgba(rgba)
        alpha = rgba[..., 3:].astype(np.uint16)
        pixels = np.concatenate([(rgba[..., :3] * alpha + 127) // 255, alpha], axis=2).astype(np.uint8)
        return cls(pixels, box_xyxy, foreshortens)

    @property
    def corners(self) -> Points:
        """(4, 2) corners of the box, clockwise from the top left."""
        x0, y0, x1, y1 = self.box_xyxy
        return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])

    @property
    def area(self) -> float:
        """Of the box, in square units."""
        x0, y0, x1, y1 = self.box_xyxy
        return (x1 - x0) * (y1 - y0)

    def flipped(self) -> Art:
        """The same art left to right, about its anchor."""
        x0, y0, x1, y1 = self.box_xyxy
        return Art(np.ascontiguousarray(self.pixels[:, ::-1]), (-x1, y0, -x0, y1), self.foreshortens)

    def downscale(self, width_px: float, height_px: float) -> Bytes:
        """The pixels for a size: on each axis as they are, or fewer, about 1.4 times as many as asked for at most.

        Averages over areas, so that small art does not flicker; kept for the next frame.
        """
        factors = np.log2(np.maximum((width_px, height_px), 1) / self.pixels.shape[1::-1])
        steps = np.minimum(np.ceil(2 * factors), 0) / 2
        width, height = np.maximum(np.rint(2**steps * self.pixels.shape[1::-1]), 1).astype(int).tolist()
        if (height, width) == self.pixels.shape[:2]:
            return self.pixels
        if (width, height) not in self._smaller:
            small = cv2.resize(self.pixels, (width, height), interpolation=cv2.INTER_AREA)
            self._smaller[width, height] = np.asarray(small, np.uint8)
        return self._smaller[width, height]


def check_rgba(image: Bytes) -> None:
    """Raises ShapeError unless an image is (h, w, 4) uint8."""
    if image.ndim != 3 or image.shape[2] != 4 or image.dtype != np.uint8 or not image.size:
        raise ShapeError("art", expected="(height, width, 4) uint8, RGBA", got=(*image.shape, image.dtype))


def art_names(kind: str) -> tuple[str, ...]:
    """Names of the bundled "wings" or "stickers"."""
    return tuple(_index()[kind])


@cache
def load_art(kind: str, name: str) -> Art:
    """Bundled art: one of the "wings", the one on the right of the image, or of the "stickers"; read once."""
    with Image.open(FOLDER / kind / f"{name}.webp") as image:
        rgba = np.asarray(image.convert("RGBA"))
    entry = _index()[kind][name]
    x0, y0, x1, y1 = entry["box_xyxy"]
    return Art.from_rgba(rgba, (x0, y0, x1, y1), foreshortens=entry.get("foreshortens", False))


@cache
def _index() -> dict[str, dict[str, dict[str, Any]]]:
    index: dict[str, dict[str, dict[str, Any]]] = json.loads((FOLDER / "index.json").read_text())
    return index


def draw_art(canvas: Bytes, art: Art, quad: Points, occluders: Sequence[Matte], opacity: float) -> None:
    """Draw art into the canvas (H, W, 3), its corners on `quad`, where no matte of the `occluders` covers it.

    quad  (4, 2) image points, clockwise from the top left. Art less than a pixel wide or high is not drawn.
    """
    window = window_between(quad.min(axis=0) - 1, quad.max(axis=0) + 1, canvas.shape)
    sides = np.linalg.norm(quad - np.roll(quad, 1, axis=0), axis=1)  # left, top, right, bottom
    width_px, height_px = max(sides[1], sides[3]), max(sides[0], sides[2])
    if window is None or min(width_px, height_px) < 1:
        return
    rows, columns = window
    pixels = art.downscale(width_px, height_px)
    size = (columns.stop - columns.start, rows.stop - rows.start)
    warped = _warp(pixels, quad - (columns.start, rows.start), size)
    visible = np.float32(opacity) * (1 - union(occluders, window))
    layer = warped.astype(np.float32) * visible[..., None]
    under = canvas[window].astype(np.float32)
    under *= 1 - layer[..., 3:] * np.float32(1 / 255)
    under += layer[..., :3]
    canvas[window] = np.rint(under).astype(np.uint8)


def _warp(pixels: Bytes, quad: Points, size: tuple[int, int]) -> Bytes:
    """Pixels with their corners on `quad`, (h, w, 4) of `size` (width, height); transparent outside."""
    height, width = pixels.shape[:2]
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32) - np.float32(PIXEL_CENTRE)
    matrix = cv2.getPerspectiveTransform(corners, (quad - PIXEL_CENTRE).astype(np.float32))
    return np.asarray(cv2.warpPerspective(pixels, matrix, size, flags=cv2.INTER_LINEAR), np.uint8)
