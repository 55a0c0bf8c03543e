"""The size in an image's header is that of its pixels when they are upright."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from poseg.io.images import image_size, is_rotated, read_image

SUFFIXES = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "TIFF": "tif", "BMP": "bmp", "GIF": "gif", "PPM": "ppm"}


@pytest.mark.parametrize("orientation", [None, *range(10)])
@pytest.mark.parametrize("kind", SUFFIXES)
def test_image_size_is_that_of_the_image_that_is_read(tmp_path: Path, kind: str, orientation: int | None) -> None:
    path = tmp_path / f"a.{SUFFIXES[kind]}"
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    Image.new("RGB", (40, 24), (200, 30, 30)).save(path, kind, exif=exif)
    height, width = read_image(path).shape[:2]
    assert image_size(path) == (height, width)
    assert is_rotated(path) == (height > width)
