"""A plate: the network's input enlarged and darkened, on which fields are drawn cell by cell.

Letters: h x w cells, H x W pixels of the plate. Points given to a plate are in pixels of the network's input.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.draw.figures import fit
from poseg.draw.ink import Bytes, Floats, lay
from poseg.draw.palette import PAPER, tint
from poseg.errors import ShapeError
from poseg.fields import Fields
from poseg.geometry.grid import Grid, pixel_centres

_SUBPIXEL_BITS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Plate:
    """The picture to draw on, how much larger than the network's input it is, and where the cells stand in that.

    picture  (H, W, 3) uint8 RGB
    scale    plate pixels for a pixel of the network's input, x and y
    """

    picture: Bytes
    scale: Floats
    grid: Grid
    cells: tuple[int, int]

    @classmethod
    def of(cls, image: Bytes, fields: Fields, long_side_px: int) -> Plate:
        """A plate for a network's input (H, W, 3) and its fields; ShapeError where the two do not fit."""
        wanted = fields.grid.shape(*image.shape[:2])
        if max(abs(a - b) for a, b in zip(wanted, fields.shape_hw, strict=True)) > 1:
            raise ShapeError(
                "the cells of the fields", expected=f"{wanted} for a picture {image.shape}", got=fields.shape_hw
            )
        picture, _ = fit(image, long_side_px)
        scale = np.array([picture.shape[1] / image.shape[1], picture.shape[0] / image.shape[0]], np.float32)
        return cls(picture, scale, fields.grid, fields.shape_hw)

    def dark(self, mean_level: float = 50) -> Bytes:
        """The picture darkened, as a ground for colours; a new array."""
        return darkened(self.picture, mean_level)

    def spread(self, field: Floats) -> Floats:
        """A field (..., h, w) at every pixel of the plate, (..., H, W): bilinear, cells at the border carried on."""
        down = _weights(self.picture.shape[0], self.cells[0], self.scale[1], self.grid)
        across = _weights(self.picture.shape[1], self.cells[1], self.scale[0], self.grid)
        rows, columns = self.cells
        # One matrix product over all channels, then one for each: several times faster than a broadcast product.
        wide = np.ascontiguousarray(field, np.float32).reshape(-1, columns) @ np.ascontiguousarray(across.T)
        spread: Floats = np.matmul(down, wide.reshape(*field.shape[:-2], rows, -1))
        return spread

    def spread_within(self, vectors: Floats, weight: Floats) -> Floats:
        """Vectors (..., 2, h, w) at every pixel, averaged only over cells that `weight` (..., h, w) vouches for."""
        share = weight[..., None, :, :] + np.float32(1e-6)
        return self.spread(vectors * share) / self.spread(share)

    def sparse(self, spacing_px: float) -> NDArray[np.bool_]:
        """(h, w): cells that are to carry an arrow, in a quincunx no denser than a spacing on the plate."""
        step = max(1, round(spacing_px / (self.grid.stride * float(self.scale.mean()))))
        row, column = np.mgrid[: self.cells[0], : self.cells[1]]
        carried: NDArray[np.bool_] = (row % step == 0) & ((column + (row // step % 2) * (step // 2)) % step == 0)
        return carried

    def positions(self) -> Floats:
        """Where the cells stand: (2, h, w), in pixels of the network's input."""
        return self.grid.positions(*self.cells)

    def pixel_positions(self) -> Floats:
        """Where the plate's pixels stand: (2, H, W), in pixels of the network's input."""
        height, width = self.picture.shape[:2]
        x, y = pixel_centres(np.arange(width)) / self.scale[0], pixel_centres(np.arange(height)) / self.scale[1]
        return np.stack(np.meshgrid(x, y)).astype(np.float32)

    def arrows(self, image: Bytes, starts: ArrayLike, ends: ArrayLike, colours: Bytes) -> None:
        """Draw M arrows in place: starts and ends (M, 2) in pixels of the network's input, colours (M, 3)."""
        a = np.asarray(starts, np.float32) * self.scale
        b = np.asarray(ends, np.float32) * self.scale
        fine = np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1)
        for tail, tip, colour in zip(a[fine], np.clip(b[fine], -9e3, 9e3), colours[fine], strict=True):
            _arrow(image, tail, tip, tuple(int(c) for c in colour))


def darkened(picture: Bytes, mean_level: float) -> Bytes:
    """A picture darkened to a mean grey level (0 to 255) and paled, so that colours laid on it stand out."""
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.float32)[..., None]
    muted = 0.65 * grey + 0.35 * picture.astype(np.float32)
    brightness = min(mean_level / max(float(grey.mean()), 1.0), 0.8)
    return np.rint(muted * brightness).astype(np.uint8)


def solid(values: Floats, threshold: float) -> Floats:
    """Share of ink: none below a threshold, all above, with an edge soft enough not to stair."""
    share: Floats = np.clip((values - np.float32(threshold)) / np.float32(0.08) + np.float32(0.5), 0, 1)
    return share


def dye(image: Bytes, share: Floats, colour: ArrayLike) -> None:
    """Mix a colour (3,) or colours (H, W, 3) into an image, in place, by a share (H, W) in [0, 1]."""
    under = image.astype(np.float32)
    image[:] = np.rint(under + (np.asarray(colour, np.float32) - under) * share[..., None]).astype(np.uint8)


def glow(image: Bytes, energy: Floats, colour: Bytes) -> None:
    """Let light (H, W) in [0, 1] fall on an image, in place; colour (3,) or (H, W, 3), the strongest turns white."""
    light = energy[..., None]
    hot = tint(colour, PAPER, 0.85).astype(np.float32)
    shade = colour.astype(np.float32) + (hot - colour.astype(np.float32)) * light**3
    image[:] = np.rint(255 - (255 - image.astype(np.float32)) * (1 - light * shade / 255)).astype(np.uint8)


def level_line(image: Bytes, values: Floats, level: float, colour: Bytes, half_width_px: float = 1.1) -> None:
    """Draw where values (H, W) cross a level, in place; the slope turns a difference of values into pixels."""
    slope_y, slope_x = np.gradient(values)
    away = np.abs(values - level) / np.maximum(np.hypot(slope_x, slope_y), 1e-4)
    lay(image, np.clip(half_width_px + 0.5 - away, 0, 1).astype(np.float32), colour)


def _weights(pixels: int, cells: int, scale: float, grid: Grid) -> Floats:
    """(pixels, cells) weights of bilinear interpolation along one axis; rows sum to 1."""
    place = np.clip(grid.to_cells(pixel_centres(np.arange(pixels)) / scale), 0, cells - 1)
    weights = np.clip(1 - np.abs(place[:, None] - np.arange(cells, dtype=np.float32)), 0, None)
    kept: NDArray[np.float32] = weights.astype(np.float32)
    return kept


def _arrow(image: Bytes, tail: Floats, tip: Floats, colour: tuple[int, ...]) -> None:
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
