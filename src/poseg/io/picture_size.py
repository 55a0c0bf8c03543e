"""The size of a picture from its header, without decoding it."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from poseg.errors import ImageError
from poseg.io.images import FORMATS, ImageLimits

_ORIENTATION_TAG = 0x0112
_ON_THE_SIDE = (5, 6, 7, 8)
# What Pillow's readers let out when a header is broken.
_BROKEN = (OSError, SyntaxError, ValueError, KeyError, IndexError, TypeError, AttributeError, struct.error, zlib.error)


def picture_size(path: str | Path) -> tuple[int, int]:
    """(height, width) that `read_image` will give: upright. Raises ImageError for what is no picture.

    A file whose header is sound may still be cut short; only decoding tells.
    """
    Image.init()
    try:
        with Image.open(path, formats=[name for name in FORMATS if name in Image.OPEN]) as image:
            width, height = image.size
            sideways = _orientation(image) in _ON_THE_SIDE
    except UnidentifiedImageError:
        raise ImageError(f"{path} is not a picture that we can read; give a JPEG, PNG, WebP, TIFF or BMP.") from None
    except (*_BROKEN, Image.DecompressionBombError) as fault:
        raise ImageError(f"{path} cannot be opened ({fault}); copy it again.") from None
    limits = ImageLimits()
    if min(width, height) < limits.min_side_px or width * height > limits.max_pixels:
        raise ImageError(f"{path} has {width} x {height} pixels, too small or too large to be of use.")
    return (width, height) if sideways else (height, width)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation; a damaged EXIF block says nothing about the pixels."""
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except _BROKEN:
        return 1
