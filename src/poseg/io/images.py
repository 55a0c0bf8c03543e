"""Reading images as (H, W, 3) uint8 RGB, their size without decoding, and writing PNG files.

Pillow is the decoder, so that an image gives the same pixels everywhere. It gives the size before decoding and it
reports a truncated file, which OpenCV fills with grey. HEIF files need pillow-heif, the extra `heif`. Colour profiles
are not applied: training images are read the same way.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from io import BytesIO
from os import PathLike, fspath
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from poseg.errors import ImageError, ImageWarning, ShapeError
from poseg.io.cut_jpeg import mend_jpeg
from poseg.io.files import write_bytes
from poseg.io.image_faults import DamagedError, check_file, damaged, read_start, unidentified
from poseg.io.pixels import array_to_rgb, check_array_shape, decode_deep, is_dark, is_deep_colour, pillow_to_rgb
from poseg.io.sources import HEIF_READER, is_address

Source = str | PathLike[str] | bytes | bytearray | memoryview | NDArray[Any] | Image.Image | BinaryIO
Color = Literal["rgb", "bgr"]

# Formats of photographs. Pillow knows more, among them ones that start other programs (EPS).
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF", "HEIF")
# Formats whose further images are of the same kind; those of the others are previews, gain maps and depths.
_MULTI_FRAME = {"GIF": "frames", "WEBP": "frames", "PNG": "frames", "AVIF": "frames", "TIFF": "pages"}

# What Pillow's readers raise for a broken file; any other exception is a bug here and is not caught.
DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, TypeError, OverflowError,
                  AttributeError, RuntimeError, struct.error, zlib.error)  # fmt: skip
_BOMB_ERRORS = (Image.DecompressionBombError, Image.DecompressionBombWarning)

_ORIENTATION_TAG = 0x0112
_TIFF_WIDTH, _TIFF_LENGTH = 256, 257
_EXIF_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Limits on an image.

    max_pixels    width times height; checked against the file's header, before anything is decoded. The default
                  lies just under the size at which Pillow warns; above twice that size Pillow refuses by itself
    max_bytes     size of the file
    min_side_px   an image with a shorter side than this cannot show a person
    """

    max_pixels: int = 89_000_000
    max_bytes: int = 256_000_000
    min_side_px: int = 16


def read_image(
    source: Source, *, limits: ImageLimits = ImageLimits(), name: str = "", color: Color = "rgb"
) -> NDArray[np.uint8]:
    """Read an image as (H, W, 3) uint8 RGB, upright (EXIF orientation applied).

    source   path, bytes of a file, open binary file, Pillow image, or array (H, W), (H, W, 1), (H, W, 3) RGB or
             (H, W, 4) RGBA of uint8, uint16, bool or float in [0, 1]; an array that is RGB already is not copied
    name     name of the image in messages; its path by default
    color    order of the channels of an array: "rgb", or "bgr" as OpenCV reads them

    Grey is copied to all channels and transparency is composited over white. 16 bits keep their upper 8; where the
    largest value fits into 8, 10, 12 or 14 bits, the upper 8 of those, with an ImageWarning. So it is for the first
    frame of an animation or the first page of several, and for a JPEG file that lacks its end. Safe to call from
    threads. Raises ImageError.
    """
    if color not in get_args(Color):
        raise ImageError(f'color is {color!r}; arrays are "rgb" or "bgr".')
    if isinstance(source, np.ndarray):
        name = name or "The array"
        check_array_shape(source, name)
        _check_size((source.shape[1], source.shape[0]), limits, name)
        if color == "bgr" and source.ndim == 3 and source.shape[2] > 1:
            source = source[..., [2, 1, 0, 3][: source.shape[2]]]
        return array_to_rgb(source, name)
    if isinstance(source, Image.Image):
        name = name or "The image"
        return _decode(source, limits, name)
    name, data = _load(source, limits.max_bytes, name)
    if not data:
        raise ImageError(f"{name} is empty (0 bytes); copy or download it again.")
    try:
        return _decode_file(data, limits, name)
    except DamagedError:
        mended = mend_jpeg(data)
        if mended is None:
            raise
        image = _decode_file(mended[0], limits, name)
        _warn(f"{name} is cut short: {mended[1]}; copy or download it again.")
        return image


def image_size(path: str | Path) -> tuple[int, int]:
    """(height, width) that `read_image` will give: upright, from the header alone. Raises ImageError.

    A file with a valid header may still be truncated; only decoding tells.
    """
    (width, height), rotated = _header(path)
    _check_size((width, height), ImageLimits(), str(path))
    return (width, height) if rotated else (height, width)


def is_rotated(path: str | Path) -> bool:
    """Whether the EXIF orientation of an image swaps its height and width. Raises ImageError as `image_size`."""
    return _header(path)[1]


def _header(path: str | Path) -> tuple[tuple[int, int], bool]:
    """(width, height) as stored, and whether the EXIF orientation swaps them: the one place that knows both."""
    try:
        check_file(path)
        with Image.open(path, formats=readable_formats()) as image:
            width, height = image.size
            if isinstance(image, TiffImageFile):  # of which Pillow swaps the size by itself, before decoding or after
                width, height = int(image.tag_v2[_TIFF_WIDTH]), int(image.tag_v2[_TIFF_LENGTH])
            return (width, height), _orientation(image) in (5, 6, 7, 8)
    except UnidentifiedImageError:
        raise unidentified(str(path), read_start(path)) from None
    except ImageError:
        raise
    except (*DECODE_ERRORS, *_BOMB_ERRORS) as fault:
        raise ImageError(f"{path} cannot be opened ({fault}); copy it again.") from None


def write_png(path: str | Path, image: NDArray[Any], *, palette: NDArray[np.uint8] | None = None) -> None:
    """Write an array as a PNG file, whole or not at all.

    image     (H, W, 3) RGB or (H, W, 4) RGBA uint8; (H, W) bool (written as 0 and 255) or integers in 0..65535,
              such as a label map, in 8 bits where they fit and else in 16
    palette   (M, 3) uint8 colours of the labels 0..M-1 of a (H, W) image; the labels themselves stay exact

    Raises ShapeError for other arrays and OutputError where the file cannot be written.
    """
    png = Image.fromarray(_encodable(image))
    if palette is not None:
        colours = np.asarray(palette)
        top = int(image.max(initial=0)) + 1
        if png.mode != "L" or colours.ndim != 2 or colours.shape[1] != 3 or not top <= len(colours) <= 256:
            raise ShapeError("palette", expected=(f"{top} to 256 for 8-bit labels (H, W)", 3), got=colours.shape)
        png.putpalette(colours.astype(np.uint8).tobytes())
    stream = BytesIO()
    png.save(stream, "PNG")
    write_bytes(path, stream.getvalue())


def _load(source: Any, max_bytes: int, name: str) -> tuple[str, bytes]:
    """Name and bytes of a path, of bytes, or of an open file."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        name, data = name or "The image", bytes(source)
    elif isinstance(source, (str, PathLike)):
        name = name or str(fspath(source))
        try:
            check_file(source)
            with open(source, "rb") as stream:
                data = stream.read(max_bytes + 1)
        except FileNotFoundError:
            if is_address(name):
                raise ImageError(
                    f"{name[:80]} is an address, not a file; download the image, and give its file."
                ) from None
            raise ImageError(f"There is no file {name}; check the name and the folder.") from None
        except IsADirectoryError:
            raise ImageError(f"{name} is a folder, not an image; name a file in it.") from None
        except ImageError:
            raise
        except (OSError, ValueError) as fault:
            reason = getattr(fault, "strerror", None) or fault
            raise ImageError(f"Cannot read {name}: {reason}; check the name and the permissions.") from None
    elif hasattr(source, "read"):
        name = name or str(getattr(source, "name", "The open file"))
        data = source.read(max_bytes + 1)
    else:
        raise ImageError(
            f"An image is a path, bytes, an open file or a NumPy array, got {type(source).__name__}; convert it."
        )
    if not isinstance(data, bytes):
        raise ImageError(f"{name} is open as text; open it in binary mode ('rb').")
    if len(data) > max_bytes:
        raise ImageError(f"{name} has more than {max_bytes} bytes; make it smaller or raise ImageLimits.max_bytes.")
    return name, data


def _decode_file(data: bytes, limits: ImageLimits, name: str) -> NDArray[np.uint8]:
    try:
        with Image.open(BytesIO(data), formats=readable_formats()) as image:
            return _decode(image, limits, name, data)
    except UnidentifiedImageError:
        raise unidentified(name, data) from None
    except _BOMB_ERRORS as fault:
        raise ImageError(f"{name} is too large to decode ({fault}); make it smaller.") from None
    except ImageError:
        raise
    except DECODE_ERRORS as fault:
        raise damaged(name, fault) from None


def _decode(image: Image.Image, limits: ImageLimits, name: str, data: bytes = b"") -> NDArray[np.uint8]:
    """Check the size in the header, then decode, make upright and convert; `data` is the file, where there is one."""
    _check_size(image.size, limits, name)
    try:
        if data and image.format in _MULTI_FRAME:
            _warn_of_frames(data, _MULTI_FRAME[image.format], name)
        deep = data and is_deep_colour(image)
        image.load()
        transpose = _EXIF_TRANSPOSE.get(_orientation(image))
        if deep and is_dark(image):
            image = Image.fromarray(array_to_rgb(decode_deep(data), name))
        return pillow_to_rgb(image if transpose is None else image.transpose(transpose), name)
    except ImageError:
        raise
    except DECODE_ERRORS as fault:
        raise damaged(name, fault) from None


def _warn_of_frames(data: bytes, kind: str, name: str) -> None:
    """Warn where a file holds more than the image that is read."""
    count = 1
    with suppress(*DECODE_ERRORS), Image.open(BytesIO(data), formats=readable_formats()) as image:
        count = int(getattr(image, "n_frames", 1))
    if count > 1:
        _warn(
            f"{name} has {count} {kind} and the first one is read; save "
            f"{'it as a video' if kind == 'frames' else 'each as a file'} for all of them."
        )


def _warn(message: str) -> None:
    warnings.warn(message, ImageWarning, stacklevel=3)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1..8; a damaged EXIF block says nothing about the pixels and counts as upright."""
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except DECODE_ERRORS:
        return 1


def _check_size(size: tuple[int, int], limits: ImageLimits, name: str) -> None:
    width, height = size
    if min(width, height) < limits.min_side_px:
        raise ImageError(
            f"{name} has {width} x {height} pixels; a side under {limits.min_side_px} cannot show a person, "
            "so give a larger image."
        )
    if width * height > limits.max_pixels:
        raise ImageError(
            f"{name} has {width} x {height} pixels, more than the {limits.max_pixels} allowed; "
            "make it smaller or raise ImageLimits.max_pixels."
        )


def _encodable(image: NDArray[Any]) -> NDArray[Any]:
    """The array in a type that PNG can hold."""
    if image.size and image.ndim == 3 and image.shape[2] in (3, 4) and image.dtype == np.uint8:
        return np.ascontiguousarray(image)
    if image.size and image.ndim == 2 and image.dtype == np.bool_:
        return image.astype(np.uint8) * np.uint8(255)
    if image.size and image.ndim == 2 and np.issubdtype(image.dtype, np.integer):
        low, high = int(image.min()), int(image.max())
        if low >= 0 and high <= 65535:
            return image.astype(np.uint8 if high < 256 else np.uint16)
        raise ShapeError("image", expected="labels in 0..65535", got=f"values {low}..{high}")
    raise ShapeError(
        "image",
        expected="(H, W, 3) or (H, W, 4) uint8, or (H, W) bool or integers",
        got=f"{image.shape} {image.dtype}",
    )


@lru_cache(maxsize=1)
def readable_formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this build of Pillow can read, with its plugin for HEIF where that is installed."""
    Image.init()
    with suppress(ImportError):
        import_module(HEIF_READER).register_heif_opener()
    return tuple(name for name in FORMATS if name in Image.OPEN)
