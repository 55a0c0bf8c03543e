"""Conversion of any pixel format to (H, W, 3) uint8 RGB."""

from __future__ import annotations

import warnings
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from poseg.errors import ImageError, ImageWarning

_WHITE = 255
_DEPTHS = (8, 10, 12, 14)  # bits of sensors, which are stored in 16
_MODES_16_BIT = ("I;16", "I;16L", "I;16B", "I;16N")


def pillow_to_rgb(image: Image.Image, name: str) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of a decoded Pillow image of any mode. Raises ImageError.

    Pillow itself converts CMYK (also Adobe's inverted kind), YCbCr and 16-bit colour to 8-bit RGB.
    """
    if image.mode in _MODES_16_BIT:
        return array_to_rgb(np.asarray(image).astype(np.uint16), name)
    if image.mode == "I":
        return array_to_rgb(_to_uint16(np.asarray(image), name), name)
    if image.mode == "F":
        return array_to_rgb(np.asarray(image), name)
    if image.has_transparency_data:
        return array_to_rgb(np.asarray(image.convert("RGBA")), name)
    try:
        return np.array(image.convert("RGB"), np.uint8)
    except (ValueError, ImportError):  # LAB needs a library that not every Pillow has
        raise ImageError(f"{name} has colour mode {image.mode}, which has no RGB form here; save it as RGB.") from None


CHANNELS = (1, 3, 4)
ROUNDING = 1e-3  # floats so far outside of [0, 1] come from resizing or half precision


def array_to_rgb(array: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4, RGBA over white). Raises ImageError.

    uint16 keeps its upper 8 bits; where its colours fit into 8, 10, 12 or 14 bits, the upper 8 of those, with an
    ImageWarning. bool becomes 0 and 255, float must lie in [0, 1], up to rounding.
    """
    check_array_shape(array, name)
    values = _to_uint8(array, name)
    if values.ndim == 2 or values.shape[2] == 1:
        return np.repeat(values.reshape(*values.shape[:2], 1), 3, axis=2)
    if values.shape[2] == 4:
        return _composite_white(values)
    return np.ascontiguousarray(values)


def check_array_shape(array: NDArray[Any], name: str) -> None:
    """Raise ImageError where an array has not the shape of an image, with what it may be instead."""
    shape = array.shape
    if array.ndim == 2 or (array.ndim == 3 and shape[2] in CHANNELS):
        return
    if array.ndim == 4:
        advice = "it is a batch: give its images one by one, or as a list"
    elif array.ndim == 3 and shape[0] in CHANNELS:
        advice = "its channels come first: give array.transpose(1, 2, 0)"
    else:
        advice = "take one image of this shape"
    raise ImageError(
        f"{name} has shape {shape}, and an image is (height, width), (height, width, 1), (height, width, 3) RGB or "
        f"(height, width, 4) RGBA; {advice}."
    )


def _to_uint8(array: NDArray[Any], name: str) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return np.asarray(array, np.uint8)
    if array.dtype == np.uint16:
        return _upper_bits(array, name)
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if not np.issubdtype(array.dtype, np.floating):
        raise ImageError(f"{name} holds {array.dtype}; an image holds uint8, uint16, bool or float in [0, 1].")
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    if not np.isfinite((low, high)).all():
        raise ImageError(f"{name} holds floats that are not finite numbers (NaN or infinity); replace them.")
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise ImageError(
            f"{name} holds floats from {low:.9g} to {high:.9g}, expected 0 to 1; divide by the largest possible value."
        )
    return np.asarray(np.rint(np.clip(array, 0, 1) * 255), np.uint8)


def _upper_bits(array: NDArray[np.uint16], name: str) -> NDArray[np.uint8]:
    """The upper 8 bits in use; the alpha of RGBA, which may use others, by itself."""
    colours = array[..., :3] if array.ndim == 3 else array
    high = int(colours.max(initial=0))
    depth = next((bits for bits in _DEPTHS if high < 1 << bits), 16)
    if depth < 16 and high:
        warnings.warn(
            f"{name} holds values up to {high} in 16 bits and is read as an image of {depth} bits.",
            ImageWarning,
            stacklevel=3,
        )
    upper = np.asarray(np.right_shift(colours, depth - 8), np.uint8)
    if array.ndim == 3 and array.shape[2] == 4:
        alpha = array[..., 3:]
        shift = 8 if int(alpha.max(initial=0)) >= 1 << depth else depth - 8
        return np.concatenate([upper, np.right_shift(alpha, shift).astype(np.uint8)], axis=2)
    return upper


def is_deep_colour(image: Image.Image) -> bool:
    """Whether an image that is not loaded yet has colours of 16 bits, of which Pillow keeps the upper 8."""
    return any(";16" in str(tile[3]) for tile in getattr(image, "tile", ())) and image.mode in ("RGB", "RGBA", "LA")


def is_dark(image: Image.Image) -> bool:
    """Whether the upper 8 of 16 bits leave so little of a loaded image that its values must use fewer bits."""
    return int(np.asarray(image)[..., :3].max(initial=0)) < 1 << (_DEPTHS[-1] - 8)


def decode_deep(data: bytes) -> NDArray[np.uint16]:
    """(H, W, 3) or (H, W, 4) all 16 bits of the colours of a file, not upright; by OpenCV, since Pillow cannot."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None or image.dtype != np.uint16 or image.ndim != 3:
        raise ValueError("its 16-bit colours cannot be decoded")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB if image.shape[2] == 3 else cv2.COLOR_BGRA2RGBA))


def _to_uint16(values: NDArray[Any], name: str) -> NDArray[np.uint16]:
    """Values of a 32-bit grey image; some 16-bit files are decoded so."""
    if values.min() < 0 or values.max() > 65535:
        raise ImageError(
            f"{name} holds integers from {values.min()} to {values.max()}, expected 16-bit grey (0 to 65535); "
            "scale it first."
        )
    return values.astype(np.uint16)


def _composite_white(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Composite over white by alpha, rounded to the nearest integer."""
    alpha = rgba[..., 3:].astype(np.uint16)
    mixed = rgba[..., :3] * alpha + _WHITE * (_WHITE - alpha)
    return ((mixed + _WHITE // 2) // _WHITE).astype(np.uint8)
