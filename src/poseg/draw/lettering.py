"""Text as coverage, in the typeface that comes with Pillow."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Floats = NDArray[np.float32]


@lru_cache(maxsize=32)
def _font(size_px: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size_px)


@lru_cache(maxsize=512)
def letter(text: str, size_px: float) -> Floats:
    """One line of text as coverage, (h, w) float32 in [0, 1], read-only; h depends on `size_px` alone."""
    font = _font(size_px)
    left, _, right, _ = font.getbbox(text)
    _, top, _, bottom = font.getbbox("Hgjpq|#")
    size = max(int(np.ceil(right - left)), 1), max(int(np.ceil(bottom - top)), 1)
    plate = Image.new("L", size, 0)
    ImageDraw.Draw(plate).text((-left, -top), text, fill=255, font=font)
    cover = np.asarray(plate, np.float32) / np.float32(255)
    cover.flags.writeable = False
    return cover
