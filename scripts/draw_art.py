"""Draws the art of `poseg.effects`: one wing of each style, and the stickers.

run    python scripts/draw_art.py [FOLDER]

Writes FOLDER/wings/NAME.webp, FOLDER/stickers/NAME.webp (lossless RGBA, colours not premultiplied) and
FOLDER/index.json with what each covers in its own units; FOLDER is src/poseg/effects/art. Nothing is random:
the same OpenCV draws the same pixels.

Wings are drawn in body scales (the breadth of the shoulders): the wing on the right of the image, its root, where it
joins the back, at the origin, x outwards and y down. Stickers are drawn in breadths of a head: the origin lies between
the eyes, x along the eye line, y down the face, so eyes are at about (-0.21, 0) and (0.21, 0), the chin at (0, 0.76)
and the top of the skull at (0, -0.72).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import comb
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from poseg.geometry.grid import PIXEL_CENTRE, pixel_centres

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Points = NDArray[np.float64]
Colour = tuple[float, float, float]
Box = tuple[float, float, float, float]
# Colours (h, w, 3) from 0 to 255 of points x and y (h, w).
Shade = Callable[[Floats, Floats], Floats]

FOLDER = Path(__file__).resolve().parents[1] / "src" / "poseg" / "effects" / "art"
WING_PX_PER_UNIT = 362.0  # of a body scale
STICKER_PX_PER_UNIT = 256  # of the breadth of a head
SHIFT = 4  # fractional bits of OpenCV's drawing coordinates
SHADOW_BLUR, SHADOW_DROP, SHADOW_OPACITY = 0.05, 0.05, 0.3  # in body scales, in body scales, of black
SUPERSAMPLING = 4  # shapes of stickers are filled on a grid so many times finer, then averaged: smooth edges


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """One stroke of the brush.

    points   (P, 2) closed contour; where `width` is given a line, or (L, P, 2) several lines
    colours  from the first to the second along `axis`, RGB 0 to 255
    axis     (2, 2) where the gradient starts and ends; None for the first colour alone
    opacity  0 to 1
    blur     standard deviation of a Gaussian over the shape
    width    of the line; None fills the contour
    clip     (Q, 2) contour that the shape does not leave; None for no such limit
    """

    points: Points
    colours: tuple[Colour, Colour]
    axis: Points | None = None
    opacity: float = 1.0
    blur: float = 0.0
    width: float | None = None
    clip: Points | None = None


def bezier(controls: ArrayLike, count: int = 24) -> Points:
    """(count, 2) points of the Bezier curve of any degree with these control points (D + 1, 2)."""
    control = np.asarray(controls, np.float64)
    degree, t = len(control) - 1, np.linspace(0, 1, count)[:, None]
    return sum(
        (comb(degree, i) * t**i * (1 - t) ** (degree - i) * control[i] for i in range(degree + 1)),
        start=np.zeros((count, 2)),
    )


def spline(points: ArrayLike, *, closed: bool = True, steps: int = 10) -> Points:
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


def translate(points: Points, x: float, y: float) -> Points:
    """Points (..., 2) shifted by (x, y)."""
    return np.asarray(points + np.array([x, y]), np.float64)


def tapered_line(line: Points, first: float, last: float) -> Points:
    """(2 P, 2) contour of a line (P, 2) that is `first` wide at its start and `last` wide at its end."""
    along = np.gradient(line, axis=0)
    normal = along[:, ::-1] * (1, -1) / np.linalg.norm(along, axis=1, keepdims=True)
    half = np.linspace(first, last, len(line))[:, None] / 2
    return np.concatenate([line + half * normal, (line - half * normal)[::-1]])


def render_shapes(shapes: Sequence[Shape], px_per_unit: float) -> tuple[Bytes, Box]:
    """The drawing as premultiplied RGBA (h, w, 4) over a soft shadow, first shape lowest, and the box it covers."""
    margin = SHADOW_DROP + 3 * SHADOW_BLUR
    low = np.min([shape.points.reshape(-1, 2).min(axis=0) - _reach(shape) for shape in shapes], axis=0) - margin
    high = np.max([shape.points.reshape(-1, 2).max(axis=0) + _reach(shape) for shape in shapes], axis=0) + margin
    origin = np.floor(low * px_per_unit) - 1
    columns, rows = np.ceil(high * px_per_unit - origin).astype(int) + 1
    canvas = np.zeros((rows, columns, 4), np.float32)
    for shape in shapes:
        _draw_shape(canvas, shape, px_per_unit, origin)
    _add_shadow(canvas, px_per_unit)
    x0, y0 = origin
    corners = np.array([x0, y0, x0 + columns, y0 + rows]) / px_per_unit
    return np.rint(np.clip(canvas, 0, 1) * 255).astype(np.uint8), tuple(corners.tolist())


def _reach(shape: Shape) -> float:
    return 3 * shape.blur + (shape.width or 0.0) / 2


def _draw_shape(canvas: Floats, shape: Shape, px_per_unit: float, origin: Points) -> None:
    """Draw one shape over the premultiplied canvas."""
    margin = _reach(shape) * px_per_unit + 2
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
    fraction = np.clip(x + y[:, None], 0, 1).astype(np.float32)[..., None]
    return np.asarray(first + (second - first) * fraction, np.float32)


def _add_shadow(canvas: Floats, px_per_unit: float) -> None:
    """A soft dark shadow under what is drawn."""
    drop = SHADOW_DROP * px_per_unit
    shift = np.array([[1, 0, 0.4 * drop], [0, 1, drop]])
    alpha = np.ascontiguousarray(canvas[..., 3])
    fallen = cv2.warpAffine(alpha, shift, (alpha.shape[1], alpha.shape[0]))
    dark = cv2.GaussianBlur(fallen, (0, 0), SHADOW_BLUR * px_per_unit)
    canvas[..., 3] += (1 - alpha) * dark * np.float32(SHADOW_OPACITY)


def _fixed(points: Points) -> NDArray[np.int32]:
    """Continuous pixels as cv2's fixed-point pixel numbers."""
    return np.rint((points - PIXEL_CENTRE) * (1 << SHIFT)).astype(np.int32)


SNOW, CLOUD, MIST, DUSK = (255, 254, 250), (240, 242, 248), (192, 204, 225), (66, 82, 122)
ARM = ((0.0, 0.0), (0.06, -0.72), (0.34, -1.42), (0.84, -1.42), (1.28, -1.42), (1.56, -1.0), (1.62, -0.5))
PEAK = 0.8  # position along the arm with the longest feathers
# Rows of feathers: how many, lengths at hand, peak and body, half width, angles at hand and body (degrees from x).
ROWS = (
    (20, 2.0, 2.5, 0.55, 0.125, 62.0, 118.0),
    (17, 1.1, 1.45, 0.46, 0.108, 60.0, 116.0),
    (16, 0.62, 0.86, 0.36, 0.095, 56.0, 112.0),
    (18, 0.34, 0.46, 0.24, 0.080, 50.0, 106.0),
    (24, 0.18, 0.24, 0.15, 0.056, 40.0, 96.0),
)


def angel() -> list[Shape]:
    """Five rows of feathers along a raised arm: flight feathers, then ever shorter coverts over their roots."""
    arm = bezier(ARM, 200)
    shapes: list[Shape] = []
    for row, (count, hand, longest, body, half, outer, inner) in enumerate(ROWS):
        for t in np.linspace(0, 1, count):  # from the body outwards, so that outer feathers lie on top
            base = arm[round((0.05 + 0.95 * t) * 199)]
            fraction = t / PEAK if t < PEAK else (1 - t) / (1 - PEAK)
            ease = fraction * fraction * (3 - 2 * fraction)
            length = (body if t < PEAK else hand) * (1 - ease) + longest * ease
            angle = np.deg2rad(inner + (outer - inner) * t)
            shapes += _feather(base, angle, length, half * (0.75 + 0.35 * ease), row)
    return [*shapes, *_leading_edge(arm)]


def _feather(base: Points, angle: float, length: float, half: float, row: int) -> list[Shape]:
    """One feather: its shadow on those below, two vanes, barbs and the shaft."""
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([np.sin(angle), -np.cos(angle)])
    bend = -0.1 * length * across
    curve = bezier([base, base + 0.45 * length * along - 0.5 * bend, base + length * along + bend], 101)
    s = np.sin(np.linspace(0, np.pi / 2, 26))  # closer together towards the round tip
    shaft = np.stack([np.interp(s, np.linspace(0, 1, 101), curve[:, i]) for i in range(2)], axis=1)
    tip = min(0.5, 1.5 * half / length)
    swell = (0.4 + 0.6 * np.clip(s / 0.5, 0, 1) ** 0.8) * np.sqrt(1 - np.clip((s - 1 + tip) / tip, 0, 1) ** 2)
    slope = np.gradient(shaft, s, axis=0)
    normal = slope[:, ::-1] * (1, -1) / np.linalg.norm(slope, axis=1, keepdims=True)
    lead, trail = (shaft + side * half * (swell * wide)[:, None] * normal for side, wide in ((1, 0.8), (-1, 1.0)))
    contour = np.concatenate([lead, trail[::-1]])
    axis = np.array([shaft[0], shaft[-1]])
    shapes = [
        Shape(translate(contour, 0.012, 0.035), (DUSK, DUSK), opacity=0.34 if row else 0.22, blur=0.024),
        Shape(contour, (MIST if row < 4 else (222, 228, 240), SNOW), axis),
        Shape(np.concatenate([shaft, lead[::-1]]), (CLOUD, SNOW), axis, opacity=0.8),
    ]
    if row < 4:
        barbs = [
            bezier([shaft[i], (shaft[i] + edge[i + 1]) / 2, edge[i + 2]], 5)
            for i in range(3, 22, 2)
            for edge in (lead, trail)
        ]
        shapes.append(Shape(np.stack(barbs), (MIST, MIST), opacity=0.42, width=0.006))
    shapes.append(Shape(contour, (DUSK, DUSK), opacity=0.14, width=0.008))
    if row < 4:
        shapes.append(Shape(shaft[:-2], ((206, 208, 220), SNOW), axis, opacity=0.9, width=0.012))
    return shapes


def _leading_edge(arm: Points) -> list[Shape]:
    """A soft rim along the arm, and on it small feathers that lie along the arm."""
    rim = arm[4:] - (0.0, 0.01)
    shapes = [
        Shape(tapered_line(translate(rim, 0.0, 0.03), 0.12, 0.02), (DUSK, DUSK), opacity=0.22, blur=0.03),
        Shape(tapered_line(rim, 0.13, 0.03), (CLOUD, SNOW), np.array([rim[0], rim[-1]]), blur=0.004),
    ]
    for rotation_deg, sizes in ((34.0, (0.17, 0.2)), (14.0, (0.15, 0.16))):
        for t in np.linspace(0, 1, 30):
            index = round(4 + t * 188)
            along = arm[index + 6] - arm[index - 4]
            angle = np.arctan2(along[1], along[0]) + np.deg2rad(rotation_deg)
            shapes += _feather(
                arm[index] - (0.012, 0.012), float(angle), sizes[0] + t * (sizes[1] - sizes[0]), 0.045, 5
            )
    return shapes


FORE = ((0.0, 0.0), (0.35, -0.62), (1.0, -1.32), (1.72, -1.62), (2.02, -1.5), (2.0, -1.12), (1.82, -0.66), (1.62, -0.2),
        (1.3, 0.12), (0.7, 0.18), (0.2, 0.12))  # fmt: skip
HIND = ((0.0, 0.05), (0.5, 0.0), (1.12, 0.1), (1.48, 0.42), (1.5, 0.88), (1.24, 1.3), (0.86, 1.5), (0.5, 1.32),
        (0.22, 0.86), (0.06, 0.4))  # fmt: skip
FAIRY_FORE = ((0.0, 0.0), (0.3, -0.52), (0.95, -1.3), (1.68, -1.84), (2.1, -1.94), (2.12, -1.62), (1.72, -0.96),
              (1.1, -0.4), (0.5, -0.04), (0.16, 0.06))  # fmt: skip
FAIRY_HIND = ((0.0, 0.04), (0.46, 0.08), (1.06, 0.3), (1.5, 0.72), (1.6, 1.12), (1.36, 1.24), (0.9, 0.98), (0.42, 0.56),
              (0.1, 0.24))  # fmt: skip


def monarch() -> list[Shape]:
    """Amber cells in brown."""
    ink, amber, rust = (24, 14, 12), (255, 178, 52), (214, 82, 20)
    return _butterfly(ink, amber, rust, (255, 246, 226))


def morpho() -> list[Shape]:
    """Sky blue cells in the colour of night."""
    return _butterfly((10, 14, 30), (124, 226, 255), (18, 74, 210), (226, 246, 255))


def _butterfly(ink: Colour, inner: Colour, outer: Colour, dots: Colour) -> list[Shape]:
    """Hind wing, then fore wing over it."""
    hind = _lobe(HIND, (0.08, 0.1), 7, ink, inner, outer, dots)
    return [*hind, *_lobe(FORE, (0.06, -0.02), 8, ink, inner, outer, dots)]


def _lobe(
    contour: tuple[tuple[float, float], ...], hub: tuple[float, float], cells: int, ink: Colour, inner: Colour,
    outer: Colour, dots: Colour,
) -> list[Shape]:  # fmt: skip
    """One lobe: dark margin with two rows of dots, bright cells between veins that fan out from the hub."""
    edge, centre = spline(contour), np.array(hub)
    rays = _fan(edge, centre, cells)
    far = edge[np.argmax(np.linalg.norm(edge - centre, axis=1))]
    shapes = [
        Shape(translate(edge, 0.02, 0.04), (ink, ink), opacity=0.35, blur=0.03),
        Shape(edge, (ink, ink)),
    ]
    for left, right in pairwise(rays):
        cell = _cell(left, right, centre)
        shapes.append(Shape(cell, (inner, outer), np.array([centre, centre + 0.92 * (far - centre)])))
        shine = centre + (cell - centre) * 0.82 + 0.05 * (cell.mean(axis=0) - centre)
        shapes.append(Shape(shine, (inner, inner), opacity=0.4, blur=0.05, clip=cell))
        if abs(_sine_between(left + right - 2 * centre, right - left)) < 0.62:
            continue  # along the front and the body the margin is too narrow for dots
        for fraction, size, at in ((0.93, 0.036, 0.3), (0.93, 0.036, 0.7), (0.865, 0.026, 0.5)):
            spot = centre + fraction * (left + at * (right - left) - centre)
            shapes.append(Shape(spot + size * _circle(), (dots, dots), opacity=0.92))
    core = centre + 0.4 * (rays[len(rays) // 2] - centre)
    base = spline([centre + 0.04 * (rays[0] - centre), centre + 0.32 * (rays[1] - centre), core,
                    centre + 0.32 * (rays[-2] - centre), centre + 0.04 * (rays[-1] - centre)])  # fmt: skip
    shapes.append(Shape(base, (outer, inner), np.array([centre, core])))
    shapes.append(Shape(edge, (dots, dots), opacity=0.10, blur=0.02, width=0.05, clip=edge))
    return shapes


def _cell(left: Points, right: Points, hub: Points) -> Points:
    """A rounded cell between two veins, from 0.36 to 0.8 of the way out."""
    a, b = left - hub, right - hub
    near, far, gap = 0.38, 0.8, 0.09

    def at(fraction: float, across: float) -> Points:
        return hub + fraction * (a + across * (b - a))

    corners = [at(near, 0.3), at(near, 0.7), at(0.55, 1 - gap), at(far - 0.06, 1 - gap), at(far, 0.74)]
    return spline([*corners, at(far + 0.015, 0.5), at(far, 0.26), at(far - 0.06, gap), at(0.55, gap)])


def _fan(edge: Points, hub: Points, cells: int) -> Points:
    """(cells + 1, 2) points of the edge that veins from the hub run to, evenly along the outer part of the edge."""
    reach = np.linalg.norm(edge - hub, axis=1)
    outside = np.flatnonzero(reach > 0.34 * reach.max())
    part = edge[outside[0] : outside[-1] + 1]
    walked = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(part, axis=0), axis=1))])
    stops = np.linspace(0.0, walked[-1], cells + 1)
    return np.stack([np.interp(stops, walked, part[:, i]) for i in range(2)], axis=1)


def fairy() -> list[Shape]:
    """Two long clear lobes that shimmer, with a net of fine veins."""
    shapes: list[Shape] = []
    for contour, hub, cells in ((FAIRY_HIND, (0.04, 0.06), 7), (FAIRY_FORE, (0.04, -0.02), 9)):
        edge, centre = spline(contour), np.array(hub)
        far = edge[np.argmax(np.linalg.norm(edge - centre, axis=1))]
        axis = np.array([centre, far])
        shapes.append(Shape(edge, ((214, 250, 255), (236, 196, 255)), axis, opacity=0.40))
        for fraction, tint in ((0.86, (150, 255, 226)), (0.62, (255, 206, 244)), (0.4, (255, 250, 206))):
            shimmer = centre + fraction * (edge - centre)
            shapes.append(Shape(shimmer, (tint, tint), opacity=0.22, blur=0.08, clip=edge))
        rays = _fan(edge, centre, cells)
        for ray in rays[1:-1]:
            bow = 0.05 * (ray - centre)[::-1] * (-1, 1)
            vein = bezier([centre, (centre + ray) / 2 + bow, ray], 16)
            shapes.append(Shape(vein, ((250, 255, 255), (196, 224, 255)), axis, opacity=0.75, width=0.014))
        for fraction in (0.45, 0.62, 0.78, 0.9):
            ring = spline(centre + fraction * (rays - centre), closed=False)
            shapes.append(Shape(ring, ((240, 252, 255), (214, 226, 255)), axis, opacity=0.5, width=0.009))
        shapes.append(
            Shape(
                edge[np.r_[0 : len(edge), 0]],
                ((255, 255, 255), (206, 232, 255)),
                axis,
                opacity=0.5,
                blur=0.03,
                width=0.05,
            )
        )
        shapes.append(
            Shape(edge[np.r_[0 : len(edge), 0]], ((255, 255, 255), (226, 240, 255)), axis, opacity=0.95, width=0.022)
        )
    return shapes


def _sine_between(a: Points, b: Points) -> float:
    """Sine of the angle between two vectors."""
    return float(a[0] * b[1] - a[1] * b[0]) / float(np.linalg.norm(a) * np.linalg.norm(b))


def _circle() -> Points:
    angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


NIGHT, WINE, EMBER, BONE = (26, 14, 24), (92, 18, 36), (168, 48, 44), (58, 34, 44)


def bat() -> list[Shape]:
    """A skin between four fingers and the body, scalloped below, lit spline, with bones and a claw."""
    elbow, wrist = np.array([0.52, -0.42]), np.array([0.98, -1.32])
    tips = np.array([(2.55, -0.62), (2.12, 0.42), (1.38, 0.95), (0.66, 1.12)])
    bows = np.array([(0.42, -0.42), (0.42, -0.16), (0.26, 0.02), (0.1, 0.06)])
    body = np.array([0.0, 0.72])
    fingers = [bezier([wrist, (wrist + tip) / 2 + bow, tip], 24) for tip, bow in zip(tips, bows, strict=True)]
    arm = np.concatenate(
        [bezier(np.stack([(0, 0), (0.3, -0.12), elbow]), 12), bezier(np.stack([elbow, (0.6, -0.95), wrist]), 12)]
    )
    edges = [*fingers, np.concatenate([arm[::-1], [body]])]
    shapes: list[Shape] = []
    for one, other in pairwise(edges):
        a, b = one[-1], other[-1]
        scallop = bezier([a, a + 0.42 * (b - a) - 0.24 * (a - wrist), b + 0.3 * (a - b) - 0.2 * (b - wrist), b], 20)
        panel = np.concatenate([one, scallop, other[::-1]])
        centre = (a + b) / 2
        shapes.append(Shape(panel, (NIGHT, WINE), np.array([wrist, centre])))
        glow = wrist + (panel - wrist) * 0.5 + 0.32 * (centre - wrist)
        shapes.append(Shape(glow, (EMBER, EMBER), opacity=0.42, blur=0.1, clip=panel))
        shapes += _folds(one, other, panel)
        shapes.append(Shape(scallop, (NIGHT, NIGHT), opacity=0.9, width=0.03))
    for finger in fingers:
        shapes += _bone(finger, 0.05, 0.016)
    shapes += _bone(arm, 0.1, 0.075)
    outside = bezier([translate(wrist, -0.06, 0), translate(wrist, -0.1, -0.2), translate(wrist, 0.1, -0.34)], 10)
    claw = np.concatenate([outside, bezier([outside[-1], translate(wrist, 0.0, -0.16), translate(wrist, 0.06, 0)], 10)])
    shapes.append(Shape(claw, ((214, 200, 178), BONE), np.array([translate(wrist, 0.08, -0.3), wrist])))
    return shapes


def _folds(one: Points, other: Points, panel: Points) -> list[Shape]:
    """Shade beside each finger, and thin veins across the skin."""
    shapes = [Shape(edge, (NIGHT, NIGHT), opacity=0.65, blur=0.04, width=0.09, clip=panel) for edge in (one, other)]
    for fraction in (0.35, 0.55, 0.75, 0.9):
        a, b = one[int(fraction * (len(one) - 1))], other[int(fraction * 0.9 * (len(other) - 1))]
        sag = 0.06 * (b - a)[::-1] * (-1, 1)
        shapes.append(
            Shape(bezier([a, (a + b) / 2 + sag, b], 12), (NIGHT, NIGHT), opacity=0.3, width=0.012, clip=panel)
        )
    return shapes


def _bone(line: Points, first: float, last: float) -> list[Shape]:
    """A tapering bone with a light upper side."""
    whole = tapered_line(line, first, last)
    light = np.concatenate([whole[: len(line)], (0.6 * whole[: len(line)] + 0.4 * line)[::-1]])
    return [
        Shape(translate(whole, 0.01, 0.03), (NIGHT, NIGHT), opacity=0.5, blur=0.02),
        Shape(whole, (BONE, (36, 18, 28)), np.array([line[0], line[-1]])),
        Shape(light, ((150, 104, 100), BONE), np.array([line[0], line[-1]]), opacity=0.8),
    ]


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """A sticker: its layers, lowest first, the box it covers, and whether it lies flat on the face."""

    layers: Sequence[Layer]
    box: Box
    foreshortens: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One colour on some shapes, whose overlaps are holes."""

    shapes: Sequence[Points]
    colour: tuple[int, int, int] | Shade
    opacity: float = 1.0


def _ellipse(
    centre: tuple[float, float], radii: tuple[float, float], arc_deg: tuple[float, float] = (0, 360), power: float = 2
) -> Points:
    """Points of an ellipse from one angle to another, in degrees clockwise from the right; `power` 4 is squarish."""
    angle = np.radians(np.linspace(*arc_deg, 120))
    c, s = np.cos(angle), np.sin(angle)
    round_off = 2 / power
    return np.column_stack(
        [
            centre[0] + radii[0] * np.sign(c) * np.abs(c) ** round_off,
            centre[1] + radii[1] * np.sign(s) * np.abs(s) ** round_off,
        ]
    )


def _curve(points: ArrayLike) -> Points:
    """A closed smooth line spline points (Catmull and Rom's spline)."""
    p = np.asarray(points, np.float64)
    before, after, beyond = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
    t = np.linspace(0, 1, 16, endpoint=False)[None, :, None]
    a, b, c, d = (q[:, None] for q in (before, p, after, beyond))
    points = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return points.reshape(-1, 2)


def _with_flipped(shape: Points) -> list[Points]:
    """A shape and its flipped copy."""
    return [shape, shape * (-1, 1)]


def _symmetric(half: Sequence[tuple[float, float]]) -> Points:
    """A smooth closed shape from its right half, top to bottom; the first and last point lie on the centre line."""
    right = np.asarray(half, np.float64)
    return _curve(np.concatenate([right, right[-2:0:-1] * (-1, 1)]))


def _band(start: tuple[float, float], end: tuple[float, float], sag: float, thickness: float) -> Points:
    """A bent strip between two points; `sag` is how far its centre hangs down."""
    t = np.linspace(0, 1, 40)
    line = np.outer(1 - t, start) + np.outer(t, end)
    line[:, 1] += 4 * sag * t * (1 - t)
    aside = np.gradient(line, axis=0)[:, ::-1] * (-1, 1)
    aside *= thickness / 2 / np.hypot(*aside.T)[:, None]
    return np.concatenate([line + aside, (line - aside)[::-1]])


def _cylinder(base: tuple[int, int, int], half_width: float, contrast: float = 0.55) -> Shade:
    """The colour of an upright cylinder lit from the upper left."""

    def shade(x: Floats, y: Floats) -> Floats:
        across = np.clip(x / half_width, -1, 1)
        light = 1 + contrast * (0.45 - np.abs(across + 0.35) ** 1.5)
        return np.asarray(light[..., None] * np.asarray(base), np.float32)

    return shade


def _vertical_gradient(top: tuple[int, int, int], bottom: tuple[int, int, int], y0: float, y1: float) -> Shade:
    """From one colour down to another."""

    def shade(x: Floats, y: Floats) -> Floats:
        fraction = np.clip((y - y0) / (y1 - y0), 0, 1)[..., None]
        return np.asarray(np.asarray(top) * (1 - fraction) + np.asarray(bottom) * fraction, np.float32)

    return shade


def render_layers(layers: Sequence[Layer], box: Box) -> Bytes:
    """Lay shapes over each other: (h, w, 4) uint8, colours not multiplied by their opacity."""
    x0, y0, x1, y1 = box
    width, height = round((x1 - x0) * STICKER_PX_PER_UNIT), round((y1 - y0) * STICKER_PX_PER_UNIT)
    x = pixel_centres(np.arange(width))[None].repeat(height, axis=0) / np.float32(STICKER_PX_PER_UNIT) + np.float32(x0)
    y = pixel_centres(np.arange(height))[:, None].repeat(width, axis=1) / np.float32(STICKER_PX_PER_UNIT) + np.float32(
        y0
    )
    colour, opacity = np.zeros((height, width, 3), np.float32), np.zeros((height, width, 1), np.float32)
    for layer in layers:
        over = _coverage(layer.shapes, (x0, y0), (height, width))[..., None] * np.float32(layer.opacity)
        shade = layer.colour(x, y) if callable(layer.colour) else np.asarray(layer.colour, np.float32)
        colour = colour * (1 - over) + shade * over
        opacity = opacity * (1 - over) + over
    straight = colour / np.maximum(opacity, 1e-6)
    rgba: Floats = np.rint(np.clip(np.concatenate([straight, 255 * opacity], axis=2), 0, 255))
    return rgba.astype(np.uint8)


def _coverage(shapes: Sequence[Points], origin: tuple[float, float], size: tuple[int, int]) -> Floats:
    """How much of each pixel (h, w) the shapes cover, 0 to 1."""
    fine = np.zeros((size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING), np.uint8)
    scale = STICKER_PX_PER_UNIT * SUPERSAMPLING
    points = [np.rint((((shape - origin) * scale) - 0.5) * (1 << SHIFT)).astype(np.int32)[:, None] for shape in shapes]
    cv2.fillPoly(fine, points, 255, cv2.LINE_8, SHIFT)
    covered = cv2.resize(fine, size[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(covered, np.float32) / np.float32(255)


def _hat() -> Drawing:
    """A top hat with a band, brim across the forehead."""
    brim, felt, tapered_line = -0.4, (74, 40, 102), (232, 178, 52)
    top = brim - 1.06

    def crown(low: float, high: float) -> Points:
        """The part of the crown between two heights over the brim; it widens towards the top."""
        wide_low, wide_high = 0.6 + 0.06 * low, 0.6 + 0.06 * high
        lower = _ellipse((0, brim - 0.03 - low), (wide_low, 0.11), (0, 180))
        upper = _ellipse((0, brim - 0.03 - high), (wide_high, 0.11), (180, 0))
        return np.concatenate([lower, upper])

    layers = (
        Layer([_ellipse((0, brim), (0.98, 0.2))], _cylinder((52, 27, 74), 0.98)),
        Layer([_ellipse((0, brim - 0.025), (0.98, 0.185))], _cylinder(felt, 0.98)),
        Layer([_ellipse((0, brim + 0.01), (0.68, 0.13))], (30, 14, 44), 0.5),
        Layer([crown(0, 1)], _cylinder(felt, 0.66)),
        Layer([crown(0.02, 0.24)], _cylinder(tapered_line, 0.62)),
        Layer([_ellipse((0, brim - 1.03), (0.66, 0.11))], _cylinder((96, 58, 128), 0.66, 0.3)),
    )
    box = (-1.02, top - 0.12, 1.02, brim + 0.24)
    return Drawing(layers, box)


def _glasses() -> Drawing:
    """Sunglasses."""
    frame = (28, 24, 30)
    rim = _ellipse((0.235, 0.02), (0.215, 0.175), power=2.8)
    lens = _ellipse((0.235, 0.02), (0.185, 0.147), power=2.8)
    glint = np.array([(0.12, 0.1), (0.17, -0.1), (0.225, -0.112), (0.165, 0.13)])
    layers = (
        Layer(_with_flipped(_band((0.43, -0.06), (0.53, -0.05), 0, 0.05)), frame),
        Layer([_band((-0.06, -0.02), (0.06, -0.02), -0.03, 0.036)], frame),
        Layer([*_with_flipped(lens)], _vertical_gradient((22, 24, 34), (86, 66, 84), -0.12, 0.17), 0.86),
        Layer([glint, glint - (0.47, 0)], (255, 255, 255), 0.22),
        Layer([*_with_flipped(rim), *_with_flipped(lens)], _vertical_gradient((70, 58, 66), frame, -0.16, 0.02)),
    )
    box = (-0.58, -0.2, 0.58, 0.24)
    return Drawing(layers, box, foreshortens=True)


def _mask() -> Drawing:
    """A carnival's half mask."""
    edge = [(0, -0.15), (0.2, -0.23), (0.42, -0.27), (0.66, -0.44), (0.6, -0.2), (0.53, 0.03), (0.42, 0.19),
            (0.25, 0.24), (0.12, 0.18), (0.06, 0.16), (0, 0.19)]  # fmt: skip
    outer = _symmetric(edge)
    inner = _symmetric([(x * 0.935, (y - 0.0) * 0.9 - 0.003) for x, y in edge])
    eye = [(0.09, 0.03), (0.15, -0.045), (0.24, -0.06), (0.33, -0.035), (0.365, -0.005), (0.3, 0.06), (0.2, 0.075)]
    hole = _curve(eye)
    trim = _curve((np.array(eye) - (0.226, 0.005)) * 1.24 + (0.226, 0.005))
    gold = _vertical_gradient((250, 220, 120), (196, 132, 30), -0.4, 0.25)
    beads = [shape for x, y, r in ((0.44, -0.15, 0.022), (0.51, -0.22, 0.017), (0.565, -0.285, 0.013))
             for shape in _with_flipped(_ellipse((x, y), (r, r)))]  # fmt: skip
    drop = _curve([(0, -0.125), (0.03, -0.06), (0, -0.015), (-0.03, -0.06)])
    layers = (
        Layer([outer, *_with_flipped(hole)], gold),
        Layer([inner, *_with_flipped(trim)], _vertical_gradient((190, 40, 84), (92, 14, 66), -0.35, 0.22)),
        Layer([*beads, drop], (255, 236, 170)),
    )
    box = (-0.72, -0.5, 0.72, 0.3)
    return Drawing(layers, box, foreshortens=True)


def _medical_mask() -> Drawing:
    """A pleated mask over nose and mouth, with loops to the ears."""
    cloth = _symmetric(
        [(0, 0.15), (0.12, 0.19), (0.3, 0.26), (0.44, 0.3), (0.45, 0.5), (0.38, 0.68), (0.22, 0.81), (0, 0.85)]
    )
    pleats = [_band((-0.44 + pinch, y), (0.44 - pinch, y), 0.05, 0.012)
              for y, pinch in ((0.4, 0), (0.51, 0.01), (0.62, 0.05))]  # fmt: skip
    wire = _band((-0.2, 0.235), (0.2, 0.235), -0.035, 0.016)
    loops = (*_with_flipped(_band((0.43, 0.31), (0.54, 0.04), -0.02, 0.016)),
             *_with_flipped(_band((0.4, 0.64), (0.55, 0.2), 0.02, 0.016)))  # fmt: skip

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
    return Drawing(layers, box, foreshortens=True)


WINGS = {"angel": angel, "bat": bat, "butterfly": monarch, "fairy": fairy, "morpho": morpho}
STICKERS = {"glasses": _glasses, "hat": _hat, "mask": _mask, "medical_mask": _medical_mask}


def wing(name: str) -> tuple[Bytes, dict[str, object]]:
    """The wing of a style, RGBA (h, w, 4), and its entry of the index."""
    pixels, box = render_shapes(WINGS[name](), WING_PX_PER_UNIT)
    alpha = np.maximum(pixels[..., 3:], 1).astype(np.float32)
    pixels[..., :3] = np.rint(np.minimum(pixels[..., :3] * np.float32(255) / alpha, 255))
    return pixels, {"box_xyxy": list(box)}


def sticker(name: str) -> tuple[Bytes, dict[str, object]]:
    """A sticker, RGBA (h, w, 4), and its entry of the index."""
    drawing = STICKERS[name]()
    return render_layers(drawing.layers, drawing.box), {
        "box_xyxy": [*drawing.box],
        "foreshortens": drawing.foreshortens,
    }


def main() -> None:
    """Write the art and its index."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    index: dict[str, dict[str, object]] = {}
    for kind, names, make in (("wings", WINGS, wing), ("stickers", STICKERS, sticker)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        index[kind] = {}
        for name in names:
            pixels, index[kind][name] = make(name)
            Image.fromarray(pixels).save(folder / kind / f"{name}.webp", lossless=True, quality=100, method=6)
    (folder / "index.json").write_text(json.dumps(index, indent=2) + "\n")


if __name__ == "__main__":
    main()
