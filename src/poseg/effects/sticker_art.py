"""Stickers of our own, drawn as shapes: hat, glasses, and two masks.

They are drawn in the head's own units: the origin lies between the eyes, x runs along the eye line, y down the face,
and 1 is the breadth of a head. So eyes stand at about (-0.21, 0) and (0.21, 0), the chin at (0, 0.76), the top of the
skull at (0, -0.72).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.errors import ShapeError
from poseg.geometry.grid import pixel_centres

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Shape = NDArray[np.float64]
# Colours (h, w, 3) from 0 to 255 of points x and y (h, w).
Shade = Callable[[Floats, Floats], Floats]

PIXELS_A_UNIT = 256
_FINER = 4  # shapes are filled on a grid so many times finer, then averaged: smooth edges
_BITS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Art:
    """A picture with transparency and where it lies.

    rgba      (h, w, 4) uint8, colours not multiplied by their opacity
    box_xyxy  what it covers, in units of the place it is put at (the breadth of the head, the length of the bone)
    at        the place, as in `stickers.places`
    turns     whether it lies flat on the face and narrows as the head turns away
    """

    rgba: Bytes
    box_xyxy: tuple[float, float, float, float]
    at: str = "eyes"
    turns: bool = False

    def __post_init__(self) -> None:
        if self.rgba.ndim != 3 or self.rgba.shape[2] != 4 or self.rgba.dtype != np.uint8 or not self.rgba.size:
            raise ShapeError(
                "The art of a sticker", wanted="(height, width, 4) uint8", got=(*self.rgba.shape, self.rgba.dtype)
            )


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One colour on some shapes, whose overlaps are holes."""

    shapes: Sequence[Shape]
    colour: tuple[int, int, int] | Shade
    opacity: float = 1.0


def _ellipse(
    centre: tuple[float, float], radii: tuple[float, float], turn: tuple[float, float] = (0, 360), power: float = 2
) -> Shape:
    """Points of an ellipse from one angle to another, in degrees clockwise from the right; `power` 4 is squarish."""
    angle = np.radians(np.linspace(*turn, 120))
    c, s = np.cos(angle), np.sin(angle)
    round_off = 2 / power
    return np.column_stack(
        [
            centre[0] + radii[0] * np.sign(c) * np.abs(c) ** round_off,
            centre[1] + radii[1] * np.sign(s) * np.abs(s) ** round_off,
        ]
    )


def _curve(points: ArrayLike) -> Shape:
    """A closed smooth line through points (Catmull and Rom's spline)."""
    p = np.asarray(points, np.float64)
    before, after, beyond = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
    t = np.linspace(0, 1, 16, endpoint=False)[None, :, None]
    a, b, c, d = (q[:, None] for q in (before, p, after, beyond))
    spline = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return spline.reshape(-1, 2)


def _both(shape: Shape) -> list[Shape]:
    """A shape and its mirror image."""
    return [shape, shape * (-1, 1)]


def _symmetric(half: Sequence[tuple[float, float]]) -> Shape:
    """A smooth closed shape from its right half, top to bottom; the first and last point lie on the middle line."""
    right = np.asarray(half, np.float64)
    return _curve(np.concatenate([right, right[-2:0:-1] * (-1, 1)]))


def _band(start: tuple[float, float], end: tuple[float, float], sag: float, thickness: float) -> Shape:
    """A bent strip between two points; `sag` is how far its middle hangs down."""
    t = np.linspace(0, 1, 40)
    line = np.outer(1 - t, start) + np.outer(t, end)
    line[:, 1] += 4 * sag * t * (1 - t)
    aside = np.gradient(line, axis=0)[:, ::-1] * (-1, 1)
    aside *= thickness / 2 / np.hypot(*aside.T)[:, None]
    return np.concatenate([line + aside, (line - aside)[::-1]])


def _rounded(base: tuple[int, int, int], half_width: float, contrast: float = 0.55) -> Shade:
    """The colour of an upright cylinder lit from the upper left."""

    def shade(x: Floats, y: Floats) -> Floats:
        across = np.clip(x / half_width, -1, 1)
        light = 1 + contrast * (0.45 - np.abs(across + 0.35) ** 1.5)
        return np.asarray(light[..., None] * np.asarray(base), np.float32)

    return shade


def _fading(top: tuple[int, int, int], bottom: tuple[int, int, int], y0: float, y1: float) -> Shade:
    """From one colour down to another."""

    def shade(x: Floats, y: Floats) -> Floats:
        share = np.clip((y - y0) / (y1 - y0), 0, 1)[..., None]
        return np.asarray(np.asarray(top) * (1 - share) + np.asarray(bottom) * share, np.float32)

    return shade


def draw(layers: Sequence[Layer], box_xyxy: tuple[float, float, float, float]) -> Bytes:
    """Lay shapes over each other: (h, w, 4) uint8, colours not multiplied by their opacity."""
    x0, y0, x1, y1 = box_xyxy
    width, height = round((x1 - x0) * PIXELS_A_UNIT), round((y1 - y0) * PIXELS_A_UNIT)
    x = pixel_centres(np.arange(width))[None].repeat(height, axis=0) / np.float32(PIXELS_A_UNIT) + np.float32(x0)
    y = pixel_centres(np.arange(height))[:, None].repeat(width, axis=1) / np.float32(PIXELS_A_UNIT) + np.float32(y0)
    colour, opacity = np.zeros((height, width, 3), np.float32), np.zeros((height, width, 1), np.float32)
    for layer in layers:
        over = _coverage(layer.shapes, (x0, y0), (height, width))[..., None] * np.float32(layer.opacity)
        shade = layer.colour(x, y) if callable(layer.colour) else np.asarray(layer.colour, np.float32)
        colour = colour * (1 - over) + shade * over
        opacity = opacity * (1 - over) + over
    straight = colour / np.maximum(opacity, 1e-6)
    rgba: Floats = np.rint(np.clip(np.concatenate([straight, 255 * opacity], axis=2), 0, 255))
    return rgba.astype(np.uint8)


def _coverage(shapes: Sequence[Shape], origin: tuple[float, float], size: tuple[int, int]) -> Floats:
    """How much of each pixel (h, w) the shapes cover, 0 to 1."""
    fine = np.zeros((size[0] * _FINER, size[1] * _FINER), np.uint8)
    scale = PIXELS_A_UNIT * _FINER
    points = [np.rint((((shape - origin) * scale) - 0.5) * (1 << _BITS)).astype(np.int32)[:, None] for shape in shapes]
    cv2.fillPoly(fine, points, 255, cv2.LINE_8, _BITS)
    covered = cv2.resize(fine, size[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(covered, np.float32) / np.float32(255)


def _hat() -> Art:
    """A top hat with a band, brim across the forehead."""
    brim, felt, ribbon = -0.4, (74, 40, 102), (232, 178, 52)
    top = brim - 1.06

    def crown(low: float, high: float) -> Shape:
        """The part of the crown between two heights over the brim; it widens towards the top."""
        wide_low, wide_high = 0.6 + 0.06 * low, 0.6 + 0.06 * high
        lower = _ellipse((0, brim - 0.03 - low), (wide_low, 0.11), (0, 180))
        upper = _ellipse((0, brim - 0.03 - high), (wide_high, 0.11), (180, 0))
        return np.concatenate([lower, upper])

    layers = (
        Layer([_ellipse((0, brim), (0.98, 0.2))], _rounded((52, 27, 74), 0.98)),
        Layer([_ellipse((0, brim - 0.025), (0.98, 0.185))], _rounded(felt, 0.98)),
        Layer([_ellipse((0, brim + 0.01), (0.68, 0.13))], (30, 14, 44), 0.5),
        Layer([crown(0, 1)], _rounded(felt, 0.66)),
        Layer([crown(0.02, 0.24)], _rounded(ribbon, 0.62)),
        Layer([_ellipse((0, brim - 1.03), (0.66, 0.11))], _rounded((96, 58, 128), 0.66, 0.3)),
    )
    box = (-1.02, top - 0.12, 1.02, brim + 0.24)
    return Art(draw(layers, box), box)


def _glasses() -> Art:
    """Sunglasses."""
    frame = (28, 24, 30)
    rim = _ellipse((0.235, 0.02), (0.215, 0.175), power=2.8)
    lens = _ellipse((0.235, 0.02), (0.185, 0.147), power=2.8)
    glint = np.array([(0.12, 0.1), (0.17, -0.1), (0.225, -0.112), (0.165, 0.13)])
    layers = (
        Layer(_both(_band((0.43, -0.06), (0.53, -0.05), 0, 0.05)), frame),
        Layer([_band((-0.06, -0.02), (0.06, -0.02), -0.03, 0.036)], frame),
        Layer([*_both(lens)], _fading((22, 24, 34), (86, 66, 84), -0.12, 0.17), 0.86),
        Layer([glint, glint - (0.47, 0)], (255, 255, 255), 0.22),
        Layer([*_both(rim), *_both(lens)], _fading((70, 58, 66), frame, -0.16, 0.02)),
    )
    box = (-0.58, -0.2, 0.58, 0.24)
    return Art(draw(layers, box), box, turns=True)


def _mask() -> Art:
    """A carnival's half mask."""
    edge = [(0, -0.15), (0.2, -0.23), (0.42, -0.27), (0.66, -0.44), (0.6, -0.2), (0.53, 0.03), (0.42, 0.19),
            (0.25, 0.24), (0.12, 0.18), (0.06, 0.16), (0, 0.19)]  # fmt: skip
    outer = _symmetric(edge)
    inner = _symmetric([(x * 0.935, (y - 0.0) * 0.9 - 0.003) for x, y in edge])
    eye = [(0.09, 0.03), (0.15, -0.045), (0.24, -0.06), (0.33, -0.035), (0.365, -0.005), (0.3, 0.06), (0.2, 0.075)]
    hole = _curve(eye)
    trim = _curve((np.array(eye) - (0.226, 0.005)) * 1.24 + (0.226, 0.005))
    gold = _fading((250, 220, 120), (196, 132, 30), -0.4, 0.25)
    beads = [shape for x, y, r in ((0.44, -0.15, 0.022), (0.51, -0.22, 0.017), (0.565, -0.285, 0.013))
             for shape in _both(_ellipse((x, y), (r, r)))]  # fmt: skip
    drop = _curve([(0, -0.125), (0.03, -0.06), (0, -0.015), (-0.03, -0.06)])
    layers = (
        Layer([outer, *_both(hole)], gold),
        Layer([inner, *_both(trim)], _fading((190, 40, 84), (92, 14, 66), -0.35, 0.22)),
        Layer([*beads, drop], (255, 236, 170)),
    )
    box = (-0.72, -0.5, 0.72, 0.3)
    return Art(draw(layers, box), box, turns=True)


def _medical_mask() -> Art:
    """A pleated mask over nose and mouth, with loops to the ears."""
    cloth = _symmetric(
        [(0, 0.15), (0.12, 0.19), (0.3, 0.26), (0.44, 0.3), (0.45, 0.5), (0.38, 0.68), (0.22, 0.81), (0, 0.85)]
    )
    pleats = [_band((-0.44 + pinch, y), (0.44 - pinch, y), 0.05, 0.012)
              for y, pinch in ((0.4, 0), (0.51, 0.01), (0.62, 0.05))]  # fmt: skip
    wire = _band((-0.2, 0.235), (0.2, 0.235), -0.035, 0.016)
    loops = (*_both(_band((0.43, 0.31), (0.54, 0.04), -0.02, 0.016)),
             *_both(_band((0.4, 0.64), (0.55, 0.2), 0.02, 0.016)))  # fmt: skip

    def folded(x: Floats, y: Floats) -> Floats:
        light = 1.02 - 0.28 * np.abs(x / 0.47) ** 2.2 - 0.1 * np.clip(y - 0.55, 0, 1)
        return np.asarray(light[..., None] * np.array([150, 205, 226]), np.float32)

    layers = (
        *(Layer([loop], (236, 240, 242)) for loop in loops),
        Layer([cloth], folded),
        *(Layer([pleat + np.array([0, 0.014])], (232, 248, 252), 0.5) for pleat in pleats),
        *(Layer([pleat], (86, 142, 170), 0.75) for pleat in pleats),
        Layer([wire], (206, 232, 242), 0.9),
    )
    box = (-0.6, 0.0, 0.6, 0.9)
    return Art(draw(layers, box), box, turns=True)


_ART: dict[str, Callable[[], Art]] = {
    "glasses": _glasses,
    "hat": _hat,
    "mask": _mask,
    "medical_mask": _medical_mask,
}
STICKERS = tuple(_ART)


@cache
def sticker_art(name: str) -> Art:
    """The art of one of `STICKERS`; drawn once. Its array is read-only."""
    art = _ART[name]()
    art.rgba.flags.writeable = False
    return art
