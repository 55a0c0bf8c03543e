"""Bat wings: a skin between fingers of bone. Lengths as in `wing_art`."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from poseg.effects.wing_art import Points, Shape, bezier, moved, ribbon

NIGHT, WINE, EMBER, BONE = (26, 14, 24), (92, 18, 36), (168, 48, 44), (58, 34, 44)


def bat() -> list[Shape]:
    """A skin between four fingers and the body, scalloped below, lit through, with bones and a claw."""
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
        middle = (a + b) / 2
        shapes.append(Shape(panel, (NIGHT, WINE), np.array([wrist, middle])))
        glow = wrist + (panel - wrist) * 0.5 + 0.32 * (middle - wrist)
        shapes.append(Shape(glow, (EMBER, EMBER), opacity=0.42, blur=0.1, clip=panel))
        shapes += _folds(one, other, panel)
        shapes.append(Shape(scallop, (NIGHT, NIGHT), opacity=0.9, width=0.03))
    for finger in fingers:
        shapes += _bone(finger, 0.05, 0.016)
    shapes += _bone(arm, 0.1, 0.075)
    outside = bezier([moved(wrist, -0.06, 0), moved(wrist, -0.1, -0.2), moved(wrist, 0.1, -0.34)], 10)
    claw = np.concatenate([outside, bezier([outside[-1], moved(wrist, 0.0, -0.16), moved(wrist, 0.06, 0)], 10)])
    shapes.append(Shape(claw, ((214, 200, 178), BONE), np.array([moved(wrist, 0.08, -0.3), wrist])))
    return shapes


def _folds(one: Points, other: Points, panel: Points) -> list[Shape]:
    """Shade beside each finger, and thin veins across the skin."""
    shapes = [Shape(edge, (NIGHT, NIGHT), opacity=0.65, blur=0.04, width=0.09, clip=panel) for edge in (one, other)]
    for share in (0.35, 0.55, 0.75, 0.9):
        a, b = one[int(share * (len(one) - 1))], other[int(share * 0.9 * (len(other) - 1))]
        sag = 0.06 * (b - a)[::-1] * (-1, 1)
        shapes.append(
            Shape(bezier([a, (a + b) / 2 + sag, b], 12), (NIGHT, NIGHT), opacity=0.3, width=0.012, clip=panel)
        )
    return shapes


def _bone(line: Points, first: float, last: float) -> list[Shape]:
    """A tapering bone with a light upper side."""
    whole = ribbon(line, first, last)
    light = np.concatenate([whole[: len(line)], (0.6 * whole[: len(line)] + 0.4 * line)[::-1]])
    return [
        Shape(moved(whole, 0.01, 0.03), (NIGHT, NIGHT), opacity=0.5, blur=0.02),
        Shape(whole, (BONE, (36, 18, 28)), np.array([line[0], line[-1]])),
        Shape(light, ((150, 104, 100), BONE), np.array([line[0], line[-1]]), opacity=0.8),
    ]
