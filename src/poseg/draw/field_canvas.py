"""A canvas for fields: the network's input enlarged and darkened, on which fields are drawn cell by cell.

Letters: h x w cells, H x W pixels of the canvas. Points on a canvas are in pixels of the network's input.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.draw.antialias import Bytes, Floats, blend
from poseg.draw.figures import resize_to
from poseg.draw.palette import PAPER, tint
from poseg.errors import ShapeError
from poseg.fields import Fields
from poseg.geometry.grid import Grid, pixel_centres

_SUBPIXEL_BITS = 4


@dataclass(frozen=True, slots=True, eq=False)
class FieldCanvas:
    """The image to draw on, its scale relative to the network's input, and the grid of the cells.

    image     (H, W, 3) uint8 RGB
    scale     (2,) canvas pixels per pixel of the network's input, x and y
    shape_hw  rows and columns of the cells
    """

    image: Bytes
    scale: Floats
    grid: Grid
    shape_hw: tuple[int, int]

    @classmethod
    def of(cls, image: Bytes, fields: Fields, long_edge_px: int) -> FieldCanvas:
        """A canvas for a network's input (H, W, 3) and its fields; ShapeError where the two do not fit."""
        expected = fields.grid.shape(*image.shape[:2])
        if max(abs(a - b) for a, b in zip(expected, fields.shape_hw, strict=True)) > 1:
            raise ShapeError(
                "the cells of the fields", expected=f"{expected} for an image {image.shape}", got=fields.shape_hw
            )
        large, _ = resize_to(image, long_edge_px)
        scale = np.array([large.shape[1] / image.shape[1], large.shape[0] / image.shape[0]], np.float32)
        return cls(large, scale, fields.grid, fields.shape_hw)

    def darkened(self, mean_level: float = 50) -> Bytes:
        """The image darkened, as a background for colours; a new array."""
        return darken(self.image, mean_level)

    def upsample(self, field: Floats) -> Floats:
        """A field (..., h, w) at every pixel of the canvas, (..., H, W): bilinear, constant beyond the border cells."""
        down = _weights(self.image.shape[0], self.shape_hw[0], self.scale[1], self.grid)
        across = _weights(self.image.shape[1], self.shape_hw[1], self.scale[0], self.grid)
        rows, columns = self.shape_hw
        # One matrix product over all channels, then one for each: several times faster than a broadcast product.
        wide = np.ascontiguousarray(field, np.float32).reshape(-1, columns) @ np.ascontiguousarray(across.T)
        upsampled: Floats = np.matmul(down, wide.reshape(*field.shape[:-2], rows, -1))
        return upsampled

    def upsample_weighted(self, vectors: Floats, weight: Floats) -> Floats:
        """Vectors (..., 2, h, w) at every pixel, averaged over cells with weights (..., h, w)."""
        weights = weight[..., None, :, :] + np.float32(1e-6)
        return self.upsample(vectors * weights) / self.upsample(weights)

    def grid_points(self, spacing_px: float) -> NDArray[np.bool_]:
        """(h, w): a subset of the cells for arrows, in a quincunx with at least this spacing on the canvas."""
        step = max(1, round(spacing_px / (self.grid.stride * float(self.scale.mean()))))
        row, column = np.mgrid[: self.shape_hw[0], : self.shape_hw[1]]
        chosen: NDArray[np.bool_] = (row % step == 0) & ((column + (row // step % 2) * (step // 2)) % step == 0)
        return chosen

    def positions(self) -> Floats:
        """Positions of the cells: (2, h, w), in pixels of the network's input."""
        return self.grid.positions(*self.shape_hw)

    def pixel_positions(self) -> Floats:
        """Positions of the canvas pixels: (2, H, W), in pixels of the network's input."""
        height, width = self.image.shape[:2]
        x, y = pixel_centres(np.arange(width)) / self.scale[0], pixel_centres(np.arange(height)) / self.scale[1]
        return np.stack(np.meshgrid(x, y)).astype(np.float32)

    def draw_arrows(self, tile: Bytes, starts: ArrayLike, ends: ArrayLike, colours: Bytes) -> None:
        """Draw M arrows in place: starts and ends (M, 2) in pixels of the network's input, colours (M, 3)."""
        a = np.asarray(starts, np.float32) * self.scale
        b = np.asarray(ends, np.float32) * self.scale
        finite = np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1)
        for tail, tip, colour in zip(a[finite], np.clip(b[finite], -9e3, 9e3), colours[finite], strict=True):
            _draw_arrow(tile, tail, tip, tuple(int(c) for c in colour))


def darken(image: Bytes, mean_level: float) -> Bytes:
    """An image darkened to a mean grey level (0 to 255) and desaturated, so that colours on it stand out."""
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float32)[..., None]
    muted = 0.65 * grey + 0.35 * image.astype(np.float32)
    brightness = min(mean_level / max(float(grey.mean()), 1.0), 0.8)
    return np.rint(muted * brightness).astype(np.uint8)


def soft_threshold(values: Floats, threshold: float) -> Floats:
    """Opacity: 0 below a threshold, 1 above, with a soft edge."""
    opacity: Floats = np.clip((values - np.float32(threshold)) / np.float32(0.08) + np.float32(0.5), 0, 1)
    return opacity


def tint_mask(image: Bytes, opacity: Floats, colour: ArrayLike) -> None:
    """Blend a colour (3,) or colours (H, W, 3) into an image, in place, with opacity (H, W) in [0, 1]."""
    under = image.astype(np.float32)
    image[:] = np.rint(under + (np.asarray(colour, np.float32) - under) * opacity[..., None]).astype(np.uint8)


def add_light(image: Bytes, energy: Floats, colour: Bytes) -> None:
    """Additive light (H, W) in [0, 1] on an image, in place; colour (3,) or (H, W, 3), white where it is strongest."""
    light = energy[..., None]
    hot = tint(colour, PAPER, 0.85).astype(np.float32)
    shade = colour.astype(np.float32) + (hot - colour.astype(np.float32)) * light**3
    image[:] = np.rint(255 - (255 - image.astype(np.float32)) * (1 - light * shade / 255)).astype(np.uint8)


def draw_level_line(image: Bytes, values: Floats, level: float, colour: Bytes, half_width_px: float = 1.1) -> None:
    """Draw the contour where values (H, W) cross a level, in place; the gradient converts differences into pixels."""
    slope_y, slope_x = np.gradient(values)
    distance = np.abs(values - level) / np.maximum(np.hypot(slope_x, slope_y), 1e-4)
    blend(image, np.clip(half_width_px + 0.5 - distance, 0, 1).astype(np.float32), colour)


def _weights(pixels: int, cells: int, scale: float, grid: Grid) -> Floats:
    """(pixels, cells) weights of bilinear interpolation along one axis; rows sum to 1."""
    position = np.clip(grid.to_cells(pixel_centres(np.arange(pixels)) / scale), 0, cells - 1)
    weights: Floats = np.clip(1 - np.abs(position[:, None] - np.arange(cells, dtype=np.float32)), 0, None)
    return weights.astype(np.float32)


def _draw_arrow(image: Bytes, tail: Floats, tip: Floats, colour: tuple[int, ...]) -> None:
    """One anti-aliased arrow; very short ones are dots."""
    whole = 1 << _SUBPIXEL_BITS
    along = tip - tail
    length = float(np.hypot(*along))
    head = min(5.5, 0.5 * length)

    def fixed(point: Floats) -> tuple[int, int]:
        x, y = np.rint((point - 0.5) * whole).astype(int)
        return int(x), int(y)

    if length < 2:
        cv2.circle(image, fixed(tail), round(1.4 * whole), colour, -1, cv2.LINE_AA, _SUBPIXEL_BITS)
        return
    unit = along / length
    aside = np.array([-unit[1], unit[0]], np.float32) * (0.38 * head)
    neck = tip - unit * head
    cv2.line(image, fixed(tail), fixed(neck), colour, 1, cv2.LINE_AA, _SUBPIXEL_BITS)
    corners = np.array([fixed(tip), fixed(neck + aside), fixed(neck - aside)], np.int32)
    cv2.fillConvexPoly(image, corners, colour, cv2.LINE_AA, _SUBPIXEL_BITS)
