"""What is wrong with an image file, in a sentence."""

from __future__ import annotations

import os
import stat
from os import PathLike, fspath
from pathlib import Path

from poseg.errors import ImageError
from poseg.io.sources import HEIF_ADVICE

_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


class DamagedError(ImageError):
    """A file that can be identified and not decoded."""


def damaged(name: str, fault: BaseException) -> DamagedError:
    """The error of a file that a decoder gave up on."""
    return DamagedError(f"{name} is damaged or cut short ({fault}); copy or download it again.")


def check_file(path: str | PathLike[str]) -> None:
    """Raises ImageError for a pipe, on which reading would wait without end, and for a device."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ImageError(f"{fspath(path)} is a device or a pipe; name a file, or give an open one.")


def unidentified(name: str, data: bytes) -> ImageError:
    """The error of a file that begins with `data`, which no decoder knows."""
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        return ImageError(f"{name} is a HEIF file; {HEIF_ADVICE}, or save it as JPEG.")
    return ImageError(f"{name} is not an image that can be read; give a JPEG, PNG, WebP, TIFF or BMP file.")


def read_start(path: str | Path) -> bytes:
    """The first bytes of a file, which tell its format."""
    with open(path, "rb") as stream:
        return stream.read(16)
