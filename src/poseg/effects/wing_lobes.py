"""Butterfly and fairy wings: two lobes with veins that fan out. Lengths as in `wing_art`."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from poseg.effects.wing_art import Colour, Points, Shape, bezier, moved, through

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
    outline: tuple[tuple[float, float], ...], hub: tuple[float, float], cells: int, ink: Colour, inner: Colour,
    outer: Colour, dots: Colour,
) -> list[Shape]:  # fmt: skip
    """One lobe: dark margin with two rows of dots, bright cells between veins that fan out from the hub."""
    edge, middle = through(outline), np.array(hub)
    rays = _fan(edge, middle, cells)
    far = edge[np.argmax(np.linalg.norm(edge - middle, axis=1))]
    shapes = [
        Shape(moved(edge, 0.02, 0.04), (ink, ink), opacity=0.35, blur=0.03),
        Shape(edge, (ink, ink)),
    ]
    for left, right in pairwise(rays):
        cell = _cell(left, right, middle)
        shapes.append(Shape(cell, (inner, outer), np.array([middle, middle + 0.92 * (far - middle)])))
        shine = middle + (cell - middle) * 0.82 + 0.05 * (cell.mean(axis=0) - middle)
        shapes.append(Shape(shine, (inner, inner), opacity=0.4, blur=0.05, clip=cell))
        if abs(_turn(left + right - 2 * middle, right - left)) < 0.62:
            continue  # along the front and the body the margin is too narrow for dots
        for share, size, at in ((0.93, 0.036, 0.3), (0.93, 0.036, 0.7), (0.865, 0.026, 0.5)):
            spot = middle + share * (left + at * (right - left) - middle)
            shapes.append(Shape(spot + size * _circle(), (dots, dots), opacity=0.92))
    core = middle + 0.4 * (rays[len(rays) // 2] - middle)
    base = through([middle + 0.04 * (rays[0] - middle), middle + 0.32 * (rays[1] - middle), core,
                    middle + 0.32 * (rays[-2] - middle), middle + 0.04 * (rays[-1] - middle)])  # fmt: skip
    shapes.append(Shape(base, (outer, inner), np.array([middle, core])))
    shapes.append(Shape(edge, (dots, dots), opacity=0.10, blur=0.02, width=0.05, clip=edge))
    return shapes


def _cell(left: Points, right: Points, hub: Points) -> Points:
    """A rounded cell between two veins, from 0.36 to 0.8 of the way out."""
    a, b = left - hub, right - hub
    near, far, gap = 0.38, 0.8, 0.09

    def at(share: float, turn: float) -> Points:
        return hub + share * (a + turn * (b - a))

    corners = [at(near, 0.3), at(near, 0.7), at(0.55, 1 - gap), at(far - 0.06, 1 - gap), at(far, 0.74)]
    return through([*corners, at(far + 0.015, 0.5), at(far, 0.26), at(far - 0.06, gap), at(0.55, gap)])


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
    for outline, hub, cells in ((FAIRY_HIND, (0.04, 0.06), 7), (FAIRY_FORE, (0.04, -0.02), 9)):
        edge, middle = through(outline), np.array(hub)
        far = edge[np.argmax(np.linalg.norm(edge - middle, axis=1))]
        axis = np.array([middle, far])
        shapes.append(Shape(edge, ((214, 250, 255), (236, 196, 255)), axis, opacity=0.40))
        for share, tint in ((0.86, (150, 255, 226)), (0.62, (255, 206, 244)), (0.4, (255, 250, 206))):
            shimmer = middle + share * (edge - middle)
            shapes.append(Shape(shimmer, (tint, tint), opacity=0.22, blur=0.08, clip=edge))
        rays = _fan(edge, middle, cells)
        for ray in rays[1:-1]:
            bow = 0.05 * (ray - middle)[::-1] * (-1, 1)
            vein = bezier([middle, (middle + ray) / 2 + bow, ray], 16)
            shapes.append(Shape(vein, ((250, 255, 255), (196, 224, 255)), axis, opacity=0.75, width=0.014))
        for share in (0.45, 0.62, 0.78, 0.9):
            ring = through(middle + share * (rays - middle), closed=False)
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


def _turn(a: Points, b: Points) -> float:
    """Sine of the angle between two vectors."""
    return float(a[0] * b[1] - a[1] * b[0]) / float(np.linalg.norm(a) * np.linalg.norm(b))


def _circle() -> Points:
    turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    return np.stack([np.cos(turn), np.sin(turn)], axis=1)
