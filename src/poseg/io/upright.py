"""Frames as a viewer shows them: turned by the file's display matrix, with square pixels."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

_ODDEST_PIXEL = 4  # a stated pixel longer than this times its width is a fault of the file

Matrix = tuple[int, int, int, int]
UPRIGHT: Matrix = (1, 0, 0, 1)


def display_matrix(side_data: bytes | None) -> Matrix:
    """(a, b, c, d) of -1, 0, 1: a stored pixel (x, y) is shown at (a x + c y, b x + d y), but for a shift.

    side_data   the nine 32-bit numbers of an MP4 display matrix in this machine's byte order, or None. Other angles
                than quarter turns count as the nearest one; a matrix without a meaning as upright
    """
    if side_data is None or len(side_data) < 36:
        return UPRIGHT
    a, b, _, c, d = (int(value) for value in np.frombuffer(side_data[:20], np.int32))
    if abs(a * d) >= abs(b * c):
        return (_sign(a), 0, 0, _sign(d)) if a and d else UPRIGHT
    return 0, _sign(b), _sign(c), 0


def quarter_turns(degrees: float) -> Matrix:
    """The matrix that turns pictures by the quarter turn nearest to an angle, counter-clockwise."""
    return ((1, 0, 0, 1), (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0))[round(degrees / 90) % 4]


def turn(image: NDArray[np.uint8], matrix: Matrix) -> NDArray[np.uint8]:
    """The picture (H, W, 3) as the display matrix shows it; (W, H, 3) after a quarter turn."""
    a, b, c, d = matrix
    if a == 0:
        image = np.asarray(cv2.transpose(image), np.uint8)
    across, down = (a or c) < 0, (b or d) < 0
    if not across and not down:
        return image
    return np.asarray(cv2.flip(image, -1 if across and down else int(across)), np.uint8)


def square_size(size: tuple[int, int], pixel_aspect: Fraction | None) -> tuple[int, int]:
    """(height, width) after stretching one side so that pixels are square; no side shrinks.

    pixel_aspect   width over height of a stored pixel; 0, None and what no camera makes count as 1
    """
    height, width = size
    if not pixel_aspect or not 1 <= max(pixel_aspect, 1 / pixel_aspect) <= _ODDEST_PIXEL:
        return size
    return (height, round(width * pixel_aspect)) if pixel_aspect >= 1 else (round(height / pixel_aspect), width)


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)
