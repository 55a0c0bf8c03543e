"""Angel wings: rows of feathers along a raised arm. Lengths as in `wing_art`."""

from __future__ import annotations

import numpy as np

from poseg.effects.wing_art import Points, Shape, bezier, moved, ribbon

SNOW, CLOUD, MIST, DUSK = (255, 254, 250), (240, 242, 248), (192, 204, 225), (66, 82, 122)
ARM = ((0.0, 0.0), (0.06, -0.72), (0.34, -1.42), (0.84, -1.42), (1.28, -1.42), (1.56, -1.0), (1.62, -0.5))
PEAK = 0.8  # place on the arm with the longest feathers
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
            share = t / PEAK if t < PEAK else (1 - t) / (1 - PEAK)
            ease = share * share * (3 - 2 * share)
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
    outline = np.concatenate([lead, trail[::-1]])
    axis = np.array([shaft[0], shaft[-1]])
    shapes = [
        Shape(moved(outline, 0.012, 0.035), (DUSK, DUSK), opacity=0.34 if row else 0.22, blur=0.024),
        Shape(outline, (MIST if row < 4 else (222, 228, 240), SNOW), axis),
        Shape(np.concatenate([shaft, lead[::-1]]), (CLOUD, SNOW), axis, opacity=0.8),
    ]
    if row < 4:
        barbs = [
            bezier([shaft[i], (shaft[i] + edge[i + 1]) / 2, edge[i + 2]], 5)
            for i in range(3, 22, 2)
            for edge in (lead, trail)
        ]
        shapes.append(Shape(np.stack(barbs), (MIST, MIST), opacity=0.42, width=0.006))
    shapes.append(Shape(outline, (DUSK, DUSK), opacity=0.14, width=0.008))
    if row < 4:
        shapes.append(Shape(shaft[:-2], ((206, 208, 220), SNOW), axis, opacity=0.9, width=0.012))
    return shapes


def _leading_edge(arm: Points) -> list[Shape]:
    """A soft rim along the arm, and on it small feathers that lie along the arm."""
    rim = arm[4:] - (0.0, 0.01)
    shapes = [
        Shape(ribbon(moved(rim, 0.0, 0.03), 0.12, 0.02), (DUSK, DUSK), opacity=0.22, blur=0.03),
        Shape(ribbon(rim, 0.13, 0.03), (CLOUD, SNOW), np.array([rim[0], rim[-1]]), blur=0.004),
    ]
    for turn, sizes in ((34.0, (0.17, 0.2)), (14.0, (0.15, 0.16))):
        for t in np.linspace(0, 1, 30):
            place = round(4 + t * 188)
            along = arm[place + 6] - arm[place - 4]
            angle = np.arctan2(along[1], along[0]) + np.deg2rad(turn)
            shapes += _feather(
                arm[place] - (0.012, 0.012), float(angle), sizes[0] + t * (sizes[1] - sizes[0]), 0.045, 5
            )
    return shapes
