"""The pixel rule, stated once.

Image coordinates are continuous: x to the right, y down, the origin at the outer corner of the first
pixel. Pixel i covers [i, i + 1) and its centre is

    centre(i) = i + 0.5                                                   (1)

COCO keypoints are pixel indices: `io.coco_json` adds the half on reading and subtracts it on writing,
and no other code needs to. Rescaling an image by r multiplies continuous coordinates by r, nothing more.

A grid of field cells lies over an image. Cell c of a grid is at

    image(c) = origin + stride * c                                        (2)

on each axis. `Grid(stride)` is PersonLab's grid: cell 0 is at the centre of the first pixel, so an
image side of stride * n + 1 pixels has n + 1 cells and the last cell is at the last pixel's centre
(the alignment of odd kernels with symmetric padding; spec section 1.4). `Grid(stride, stride / 2)` is that of
networks that pool blocks of pixels: a side of stride * n pixels has n cells, each at the centre of its block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

PIXEL_CENTRE = 0.5


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells over an image: image = origin + stride * cell, on each axis, in continuous pixels."""

    stride: int
    origin: float = PIXEL_CENTRE

    def to_image(self, cells: ArrayLike) -> NDArray[np.float32]:
        """Continuous image coordinates of (fractional) cells; any shape."""
        return np.asarray(cells, np.float32) * np.float32(self.stride) + np.float32(self.origin)

    def to_cells(self, points: ArrayLike) -> NDArray[np.float32]:
        """Fractional cells of continuous image coordinates; the inverse of `to_image`."""
        return (np.asarray(points, np.float32) - np.float32(self.origin)) / np.float32(self.stride)

    def shape(self, height_px: int, width_px: int) -> tuple[int, int]:
        """Rows and columns of cells whose positions fall inside an image."""
        first = int(self.origin)
        return (height_px - 1 - first) // self.stride + 1, (width_px - 1 - first) // self.stride + 1

    def size(self, rows: int, columns: int) -> tuple[int, int]:
        """Height and width in pixels of the image below a grid of cells with equal margins on all sides.

        The inverse of `shape` for valid input sizes of a network with this grid.
        """
        beyond = round(2 * self.origin)
        return (rows - 1) * self.stride + beyond, (columns - 1) * self.stride + beyond

    def positions(self, rows: int, columns: int) -> NDArray[np.float32]:
        """Positions of the cells: (2, rows, columns) float32, x then y, in image pixels."""
        y, x = np.mgrid[:rows, :columns]
        return self.to_image(np.stack([x, y]))


def pixel_centres(indices: ArrayLike) -> NDArray[np.float32]:
    """Continuous coordinates of pixel indices: equation (1)."""
    return np.asarray(indices, np.float32) + np.float32(PIXEL_CENTRE)


def pixel_indices(points: ArrayLike) -> NDArray[np.float32]:
    """Fractional pixel indices of continuous coordinates; the inverse of `pixel_centres`."""
    return np.asarray(points, np.float32) - np.float32(PIXEL_CENTRE)
