"""Colours of people, joints and directions. RGB uint8 throughout.

The colours of people were searched for in OKLab (Ottosson 2020). The first eight have a distance of at least 0.13 from
each other for normal vision and, simulated after Machado et al. (2009), for protanopia and deuteranopia. Each later
one is the colour farthest from all before it, so a person's colour does not depend on the number of people.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.people import People

Bytes = NDArray[np.uint8]

_PEOPLE = """
    4fb0ff ff9600 00cfa2 df28a3 fbeb55 8b61ff e33b00 93ffff
    ffb3cc 66994d 0099b3 cc8080 ff80e6 00ffb3 4dcc1a cccc80
    b366cc 00e6ff 0099ff 99b366 cc801a 99e600 e666b3 4db3cc
    ff9980 b380ff ff664d 80e6cc 1ab333 e6b3ff 00b380 00e680
    99ff80 e64d66 e699b3 66cccc ffcc4d e666e6 66ccff cc99ff
    ffe699 6680e6 80cc66 8099e6 b3e699 b3cc33 ffb366 e63380
    b380b3 99ffcc ff4d99 cc994d ccb34d 00ffe6 ffb399 00e6b3
    ff8080 99b31a e680cc ff8033 b3ff33 e68099 999933 b3e666
"""
PEOPLE_COLOURS: Bytes = np.frombuffer(bytes.fromhex(_PEOPLE), np.uint8).reshape(-1, 3)

INK: Bytes = np.array([16, 18, 24], np.uint8)
PAPER: Bytes = np.array([255, 255, 255], np.uint8)

# Linear RGB to cone responses and back, and OKLab's axes: the published constants of OKLab.
_CONES_OF_OKLAB = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_RGB_OF_CONES = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def colours(numbers: ArrayLike) -> Bytes:
    """Colours of integers of any shape: (..., 3); they repeat after `len(PEOPLE_COLOURS)`."""
    chosen: Bytes = PEOPLE_COLOURS[np.asarray(numbers, np.int64) % len(PEOPLE_COLOURS)]
    return chosen


def person_colours(people: People) -> Bytes:
    """(N, 3): by `people.ids` if any, so that a person keeps a colour over time; else by index."""
    return colours(np.arange(len(people)) if people.ids is None else people.ids)


def tint(colour: ArrayLike, towards: ArrayLike, amount: float) -> Bytes:
    """Mix of colours: `amount` 0 gives `colour`, 1 gives `towards`; shapes (..., 3) broadcast."""
    mixed = np.asarray(colour, np.float32) * (1 - amount) + np.asarray(towards, np.float32) * amount
    return np.rint(mixed).astype(np.uint8)


def oklch(lightness: ArrayLike, chroma: ArrayLike, hue_rad: ArrayLike) -> Bytes:
    """Colours (sRGB) of OKLab's polar form; arguments broadcast, the result is (..., 3); out of gamut is clipped."""
    light, strength, hue = np.broadcast_arrays(
        np.asarray(lightness, np.float64), np.asarray(chroma, np.float64), np.asarray(hue_rad, np.float64)
    )
    lab = np.stack([light, strength * np.cos(hue), strength * np.sin(hue)], axis=-1)
    linear = np.clip(((lab @ _CONES_OF_OKLAB.T) ** 3) @ _RGB_OF_CONES.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    rounded: Bytes = np.rint(encoded * 255).astype(np.uint8)
    return rounded


def joint_colours(count: int) -> Bytes:
    """(K, 3): a rainbow over the joints in their order, of even lightness; all different up to 64."""
    steps = np.arange(count)
    return oklch(np.where(steps % 2 == 0, 0.80, 0.70), 0.17, 2 * np.pi * steps / max(count, 1) + 0.4)


@cache
def _hues() -> Bytes:
    """(256, 3): the circle of directions; entry 0 points right, entry 64 down (y points down)."""
    return oklch(0.72, 0.19, 2 * np.pi * np.arange(256) / 256 + 0.5)


def direction_colours(vectors: ArrayLike, full_px: float) -> Bytes:
    """Colour wheel: hue is direction, white is length 0, full colour is `full_px` or more.

    vectors (2, ...) x before y; returns (..., 3).
    """
    x, y = np.asarray(vectors, np.float32)
    index = np.rint(np.arctan2(y, x) * (256 / (2 * np.pi))).astype(np.int64) % 256
    length = np.clip(np.hypot(x, y) / max(full_px, 1e-6), 0, 1)[..., None]
    hue = _hues()[index].astype(np.float32)
    mixed: Bytes = np.rint(255 + (hue - 255) * length).astype(np.uint8)
    return mixed
