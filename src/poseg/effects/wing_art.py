"""Wing art: one wing as a list of vector shapes, painted at any size; or a pair of wings cut from a picture with alpha.

A drawing shows the wing on the right of the image; the other one is its mirror image. Lengths are body scales S, the
root (where the wing joins the back) is the origin, x points outwards and y down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.errors import EffectError, ShapeError

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Points = NDArray[np.float64]
Colour = tuple[float, float, float]

SHIFT = 4  # fractional bits of cv2's drawing coordinates
SHADOW_BLUR, SHADOW_DROP, SHADOW_OPACITY = 0.05, 0.05, 0.3  # in S, in S, of black


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """One stroke of the brush.

    points   (P, 2) closed outline; where `width` is given a line, or (L, P, 2) several lines
    colours  from the first to the second along `axis`, RGB 0 to 255
    axis     (2, 2) where the gradient starts and ends; None for the first colour alone
    opacity  0 to 1
    blur     standard deviation of a Gaussian over the shape
    width    of the line; None fills the outline
    clip     (Q, 2) outline that the shape does not leave; None for no such limit
    """

    points: Points
    colours: tuple[Colour, Colour]
    axis: Points | None = None
    opacity: float = 1.0
    blur: float = 0.0
    width: float | None = None
    clip: Points | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Wing:
    """One wing as pixels.

    pixels         (h, w, 4) uint8, premultiplied RGBA
    root           (x, y) of the root in these pixels, continuous
    px_per_unit    pixels of a body scale S
    """

    pixels: Bytes
    root: tuple[float, float]
    px_per_unit: float

    def mirrored(self) -> Wing:
        """The wing of the other side."""
        flipped = np.ascontiguousarray(self.pixels[:, ::-1])
        return Wing(flipped, (flipped.shape[1] - self.root[0], self.root[1]), self.px_per_unit)


@dataclass(frozen=True, slots=True, eq=False)
class WingPair:
    """Two wings, as on the left and on the right of the image, and the distance of each root from the spine in S."""

    left: Wing
    right: Wing
    root_offset: float


def bezier(controls: ArrayLike, count: int = 24) -> Points:
    """(count, 2) points of the Bezier curve of any degree with these control points (D + 1, 2)."""
    control = np.asarray(controls, np.float64)
    degree, t = len(control) - 1, np.linspace(0, 1, count)[:, None]
    return sum(
        (comb(degree, i) * t**i * (1 - t) ** (degree - i) * control[i] for i in range(degree + 1)),
        start=np.zeros((count, 2)),
    )


def through(points: ArrayLike, *, closed: bool = True, steps: int = 10) -> Points:
    """A smooth line through points (P, 2): Bezier pieces with the tangents of Catmull and Rom."""
    knots = np.asarray(points, np.float64)
    if closed:
        before, after, end = np.roll(knots, 1, axis=0), np.roll(knots, -1, axis=0), len(knots)
    else:
        before = np.concatenate([knots[:1], knots[:-1]])
        after, end = np.concatenate([knots[1:], knots[-1:]]), len(knots) - 1
    tangents = (after - before) / 6
    pieces = []
    for i in range(end):
        j = (i + 1) % len(knots)
        pieces.append(bezier([knots[i], knots[i] + tangents[i], knots[j] - tangents[j], knots[j]], steps + 1)[:-1])
    return np.concatenate(pieces if closed else [*pieces, knots[-1:]])


def moved(points: Points, x: float, y: float) -> Points:
    """Points (..., 2) shifted by (x, y)."""
    return np.asarray(points + np.array([x, y]), np.float64)


def ribbon(line: Points, first: float, last: float) -> Points:
    """(2 P, 2) outline of a line (P, 2) that is `first` wide at its start and `last` wide at its end."""
    along = np.gradient(line, axis=0)
    normal = along[:, ::-1] * (1, -1) / np.linalg.norm(along, axis=1, keepdims=True)
    half = np.linspace(first, last, len(line))[:, None] / 2
    return np.concatenate([line + half * normal, (line - half * normal)[::-1]])


def paint(shapes: Sequence[Shape], px_per_unit: float, *, shadow: bool = True) -> Wing:
    """The drawing as pixels, first shape lowest; with `shadow` a soft one falls behind the wing."""
    reach = SHADOW_DROP + 3 * SHADOW_BLUR if shadow else 0.0
    low = np.min([shape.points.reshape(-1, 2).min(axis=0) - _spread(shape) for shape in shapes], axis=0) - reach
    high = np.max([shape.points.reshape(-1, 2).max(axis=0) + _spread(shape) for shape in shapes], axis=0) + reach
    origin = np.floor(low * px_per_unit) - 1
    columns, rows = np.ceil(high * px_per_unit - origin).astype(int) + 1
    canvas = np.zeros((rows, columns, 4), np.float32)
    for shape in shapes:
        _lay(canvas, shape, px_per_unit, origin)
    if shadow:
        _shade(canvas, px_per_unit)
    pixels = np.rint(np.clip(canvas, 0, 1) * 255).astype(np.uint8)
    return Wing(pixels, (float(-origin[0]), float(-origin[1])), px_per_unit)


def cut_pair(art: Bytes, anchors: tuple[tuple[float, float], tuple[float, float]]) -> WingPair:
    """Two wings from one picture, cut down its middle between the anchors.

    art      (H, W, 4) uint8 RGBA, colours not multiplied by alpha
    anchors  (x, y) on the left and on the right that go onto the shoulders, in shares of width and height

    Raises ShapeError for a picture without alpha, EffectError for anchors that are not left and right of each other.
    """
    if art.ndim != 3 or art.shape[2] != 4 or art.dtype != np.uint8 or 0 in art.shape:
        raise ShapeError("wing art", wanted=("height", "width", "4 (RGBA), uint8"), got=(*art.shape, art.dtype))
    height, width = art.shape[:2]
    (left_x, left_y), (right_x, right_y) = ((x * width, y * height) for x, y in anchors)
    if right_x - left_x < 1:
        raise EffectError(
            "The first anchor of wing art lies on the left, the second on the right of it, 1 px at least."
        )
    alpha = art[..., 3:].astype(np.uint16)
    colour = (art[..., :3] * alpha + 127) // 255
    pixels = np.concatenate([colour, alpha], axis=2).astype(np.uint8)
    middle, unit = int(np.clip(round((left_x + right_x) / 2), 1, max(1, width - 1))), right_x - left_x
    return WingPair(
        Wing(np.ascontiguousarray(pixels[:, :middle]), (left_x, left_y), unit),
        Wing(np.ascontiguousarray(pixels[:, middle:]), (right_x - middle, right_y), unit),
        root_offset=0.5,
    )


def shrunk(wing: Wing, px_per_unit: float) -> Wing:
    """The wing no more than about 1.4 times finer than asked for, by area averages; else the same."""
    factor = 2.0 ** (np.ceil(2 * np.log2(px_per_unit / wing.px_per_unit)) / 2)
    if factor >= 0.8:
        return wing
    height, width = wing.pixels.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small = np.asarray(cv2.resize(wing.pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    x_scale, y_scale = size[0] / width, size[1] / height
    return Wing(small, (wing.root[0] * x_scale, wing.root[1] * y_scale), wing.px_per_unit * y_scale)


def _spread(shape: Shape) -> float:
    return 3 * shape.blur + (shape.width or 0.0) / 2


def _lay(canvas: Floats, shape: Shape, px_per_unit: float, origin: Points) -> None:
    """Paint one shape over the premultiplied canvas."""
    margin = _spread(shape) * px_per_unit + 2
    at = shape.points * px_per_unit - origin
    limit = np.array(canvas.shape[1::-1])
    x0, y0 = np.clip(np.floor(at.reshape(-1, 2).min(axis=0) - margin).astype(int), 0, limit)
    x1, y1 = np.clip(np.ceil(at.reshape(-1, 2).max(axis=0) + margin).astype(int), 0, limit)
    if x1 <= x0 or y1 <= y0:
        return
    corner = np.array([x0, y0], np.float64)
    cover = np.zeros((y1 - y0, x1 - x0), np.uint8)
    if shape.width is None:
        cv2.fillPoly(cover, [_fixed(at - corner)], 255, cv2.LINE_AA, SHIFT)
    else:
        _line(cover, at - corner, shape.width * px_per_unit)
    amount = cover.astype(np.float32) * np.float32(shape.opacity / 255)
    if shape.blur > 0:
        amount = np.asarray(cv2.GaussianBlur(amount, (0, 0), shape.blur * px_per_unit), np.float32)
    if shape.clip is not None:
        inside = np.zeros_like(cover)
        cv2.fillPoly(inside, [_fixed(shape.clip * px_per_unit - origin - corner)], 255, cv2.LINE_AA, SHIFT)
        amount *= inside.astype(np.float32) / np.float32(255)
    part = canvas[y0:y1, x0:x1]
    part *= 1 - amount[..., None]
    part[..., :3] += amount[..., None] * _gradient(shape, px_per_unit, origin + corner, amount.shape)
    part[..., 3] += amount


def _line(cover: Bytes, at: Points, width_px: float) -> None:
    """A line or several, of whole pixels; what they are wider than asked for makes them fainter."""
    drawn = max(1, int(np.ceil(width_px)))
    cv2.polylines(cover, list(_fixed(at.reshape(-1, *at.shape[-2:]))), False, 255, drawn, cv2.LINE_AA, SHIFT)
    cover[:] = (cover * (width_px / drawn)).astype(np.uint8)


def _gradient(shape: Shape, px_per_unit: float, corner: Points, size: tuple[int, ...]) -> Floats:
    """(h, w, 3) colours in [0, 1] over the window whose first pixel is `corner`; or one colour for all of it."""
    first, second = (np.asarray(colour, np.float32) / np.float32(255) for colour in shape.colours)
    if shape.axis is None:
        return first
    start, along = shape.axis[0], shape.axis[1] - shape.axis[0]
    along = along / float(along @ along)
    x = ((np.arange(size[1]) + 0.5 + corner[0]) / px_per_unit - start[0]) * along[0]
    y = ((np.arange(size[0]) + 0.5 + corner[1]) / px_per_unit - start[1]) * along[1]
    share = np.clip(x + y[:, None], 0, 1).astype(np.float32)[..., None]
    return np.asarray(first + (second - first) * share, np.float32)


def _shade(canvas: Floats, px_per_unit: float) -> None:
    """A soft dark shadow under what is painted."""
    drop = SHADOW_DROP * px_per_unit
    moved = np.array([[1, 0, 0.4 * drop], [0, 1, drop]])
    alpha = np.ascontiguousarray(canvas[..., 3])
    fallen = cv2.warpAffine(alpha, moved, (alpha.shape[1], alpha.shape[0]))
    dark = cv2.GaussianBlur(fallen, (0, 0), SHADOW_BLUR * px_per_unit)
    canvas[..., 3] += (1 - alpha) * dark * np.float32(SHADOW_OPACITY)


def _fixed(points: Points) -> NDArray[np.int32]:
    """Continuous pixels as cv2's fixed-point pixel numbers."""
    return np.rint((points - 0.5) * (1 << SHIFT)).astype(np.int32)
