"""What a photograph says besides its pixels, and images that keep it: the colour profile and EXIF.

Without its profile a wide-gamut photograph has dull colours. Of EXIF the camera, the exposure, times, places and names
are kept. Orientation is not, since images are read upright, nor previews and makers' notes, which show the image as
it was before.
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from poseg.errors import OutputError
from poseg.io.files import write_bytes
from poseg.io.images import DECODE_ERRORS, readable_formats

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
JPEG_QUALITY = 95
JPEG_EXIF_BYTES = 65_000  # what fits into its segment

_MAIN = (
    ExifTags.Base.ImageDescription, ExifTags.Base.Make, ExifTags.Base.Model, ExifTags.Base.XResolution,
    ExifTags.Base.YResolution, ExifTags.Base.ResolutionUnit, ExifTags.Base.Software, ExifTags.Base.DateTime,
    ExifTags.Base.Artist, ExifTags.Base.Copyright,
)  # fmt: skip
# Makers' notes, and the size of the image before it was upright.
_LEFT_OUT = (
    ExifTags.Base.MakerNote, ExifTags.IFD.Interop, ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight,
)  # fmt: skip
_RGB_MODES = ("RGB", "RGBA", "P", "PA")


@dataclass(frozen=True, slots=True)
class Metadata:
    """icc_profile: the colour profile of RGB pixels; exif: what is kept of it; empty where there is none."""

    icc_profile: bytes = b""
    exif: bytes = b""


def read_metadata(path: str | PathLike[str]) -> Metadata:
    """The metadata of an image file; empty where it is damaged, which says nothing about the pixels."""
    with warnings.catch_warnings(), suppress(*DECODE_ERRORS):
        warnings.simplefilter("ignore")  # Pillow's own, about damaged EXIF
        with Image.open(path, formats=readable_formats()) as image:
            profile = image.info.get("icc_profile") or b""
            fits = image.mode in _RGB_MODES and profile[16:20] == b"RGB " and profile[36:40] == b"acsp"
            return Metadata(profile if fits else b"", _kept_exif(image))
    return Metadata()


def write_image(path: str | Path, image: NDArray[np.uint8], metadata: Metadata = Metadata()) -> None:
    """Write an image (H, W, 3) or (H, W, 4) uint8 in the format that the suffix names, whole or not at all.

    PNG and WebP are lossless. Raises OutputError, also for another suffix and for transparency in a JPEG file.
    """
    target = Path(path)
    kind = FORMATS.get(target.suffix.lower())
    if kind is None:
        raise OutputError(f"Cannot write {target}: name a file that ends in {', '.join(FORMATS)}.")
    if kind == "JPEG" and image.shape[2] == 4:
        raise OutputError(f"Cannot write {target}: a JPEG file has no transparency; name a .png or .webp file.")
    options: dict[str, Any] = {"quality": JPEG_QUALITY, "subsampling": 0} if kind == "JPEG" else {}
    if kind == "WEBP":
        options["lossless"] = True
    if metadata.icc_profile:
        options["icc_profile"] = metadata.icc_profile
    if metadata.exif and (kind != "JPEG" or len(metadata.exif) <= JPEG_EXIF_BYTES):
        options["exif"] = metadata.exif
    stream = BytesIO()
    Image.fromarray(image).save(stream, kind, **options)
    write_bytes(target, stream.getvalue())


def _kept_exif(image: Image.Image) -> bytes:
    with suppress(*DECODE_ERRORS):
        source, kept = image.getexif(), Image.Exif()
        for tag in _MAIN:
            if tag in source:
                kept[tag] = source[tag]
        for block in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            values = {tag: value for tag, value in source.get_ifd(block).items() if tag not in _LEFT_OUT}
            if values:
                kept.get_ifd(block).update(values)
                kept[block] = kept.get_ifd(block)
        return kept.tobytes() if len(kept) else b""
    return b""
