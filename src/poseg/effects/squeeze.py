"""The map of `Thinner` and `Wider`: across the torso towards its axis, or away from it, but not in a disc at the head.

In the torso's frame (t across, s down it, origin in the head's centre h) the new picture reads t' = t + u with

    u = a w T sat((t - c(s)) / T),    a = 1 / k - 1,    w = smoothstep(r0, r1, |(t, s)|)                   (1)

k is the new width over the old one; c(s) the axis, a line from the head through hips, knees and ankles; sat(q) = q up
to 1, so everything within T = 0.9 k S of the axis is scaled by k exactly, and constant from 1.5 on, so that a far arm
moves but keeps its width. c runs through h in all rows of the disc, so w never folds the map for k < 1; for k > 1 the
disc's falloff is made wide enough that du/dt >= -3/4 (`rim_for`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.effects.body import Body, HeadDisc
from poseg.effects.matte import Matte, Window
from poseg.effects.reshape import Shift, padded
from poseg.geometry.grid import pixel_centres

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

HALF_WIDTH = 0.9  # of S: within this distance of the axis the person is scaled, farther out moved
KNEE = 0.25  # half the length over which scaling turns into moving, in half widths
STEEPEST = 0.75
STEP_PX = 4  # the map is smooth: it is computed at every fourth pixel
WIDEST = 1.3


@dataclass(frozen=True, slots=True, eq=False)
class Torso:
    """What the map needs of a body: the frame, the head's disc, the axis and the scale."""

    across: Doubles
    down: Doubles
    head: HeadDisc
    axis: Doubles  # (P, 2) s and t of its corners, s rising
    scale_px: float


def torso_of(body: Body) -> Torso | None:
    """The torso of a body; None where shoulders, scale, axis or head are not known."""
    if body.shoulders is None or body.scale_px is None or body.down is None or body.head is None or body.neck is None:
        return None
    down = body.down
    across = np.array([down[1], -down[0]])
    head, scale = body.head, body.scale_px
    corners = [np.array([head.rim_px, 0.0])]
    below = body.neck + max(scale, body.torso_px or 0.0) * down
    legs = (body.middle("left_knee", "right_knee"), body.middle("left_ankle", "right_ankle"))
    for point in (below if body.mid_hip is None else body.mid_hip, *legs):
        if point is not None:
            s, t = float((point - head.centre) @ down), float((point - head.centre) @ across)
            if s > corners[-1][0] + 0.2 * scale:
                corners.append(np.array([s, t]))
    return Torso(across, down, head, np.stack(corners), scale)


def squeezed(torso: Torso, matte: Matte, factor: float) -> Shift:
    """Equation (1) on a window around the matte, for a person `factor` (k) times as wide.

    0 < factor <= WIDEST. Where the person is cut off at the left or right edge of the picture the shift dies out
    towards that edge, since nothing is known beyond it.
    """
    a = 1 / factor - 1
    reach = abs(a) * HALF_WIDTH * factor * torso.scale_px * (1 + KNEE)
    margin = int(np.ceil(reach)) + 2
    window = padded(matte.window, (margin, margin), matte.size)
    x, y = _nodes(window)
    along = (x - torso.head.centre[0]) * torso.across[0] + (y - torso.head.centre[1]) * torso.across[1]
    deep = (x - torso.head.centre[0]) * torso.down[0] + (y - torso.head.centre[1]) * torso.down[1]
    half = HALF_WIDTH * factor * torso.scale_px
    pull = a * half * saturated((along - np.interp(deep, torso.axis[:, 0], torso.axis[:, 1])) / half)
    core, rim = rim_for(torso.head, a)
    pull *= smoothstep(core, rim, np.hypot(along, deep))
    pull *= _from_edges(matte, x, y, 3 * reach)
    size = (window[1].stop - window[1].start, window[0].stop - window[0].start)
    pulled = np.asarray(cv2.resize(pull.astype(np.float32), size, interpolation=cv2.INTER_LINEAR), np.float32)
    return Shift(window, pulled * np.float32(torso.across[0]), pulled * np.float32(torso.across[1]))


def rim_for(head: HeadDisc, a: float) -> tuple[float, float]:
    """Radii r0 and r1 of the falloff at the head, in pixels; the core is kept free of what bilinear sampling spreads.

    For a < 0 the slope 1 + a (1 + 3/2 r1 / (r1 - r0)) of equation (1) must not fall below 1 - STEEPEST.
    """
    core = head.core_px + 2 * STEP_PX
    rim = max(head.rim_px, 1.7 * core)
    if a < 0:
        ratio = (STEEPEST / -a - 1) / 1.5
        rim = max(rim, core * ratio / (ratio - 1))
    return core, rim


def saturated(q: ArrayLike) -> Doubles:
    """sat: q up to 1, 1 + KNEE from 1 + 2 KNEE on, a parabola between; odd, with a continuous slope in [0, 1]."""
    size = np.abs(np.asarray(q, np.float64))
    over = np.clip(size - 1, 0, 2 * KNEE)
    return np.asarray(np.sign(q) * (np.minimum(size, 1) + over - over * over / (4 * KNEE)), np.float64)


def smoothstep(low: float, high: float, value: ArrayLike) -> Doubles:
    """0 up to low, 1 from high on, 3 t^2 - 2 t^3 between."""
    t = np.clip((np.asarray(value, np.float64) - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float64)


def _nodes(window: Window) -> tuple[Doubles, Doubles]:
    """Picture x (1, w) and y (h, 1) of a coarse grid over a window, as `cv2.resize` lays it."""
    places = []
    for span in window:
        length = span.stop - span.start
        count = max(1, -(-length // STEP_PX))
        places.append(span.start + pixel_centres(np.arange(count)).astype(np.float64) * length / count)
    return places[1][None, :], places[0][:, None]


def _from_edges(matte: Matte, x: Doubles, y: Doubles, within_px: float) -> Doubles:
    """1, but falling to 0 towards those edges of the picture that cut the person off."""
    width = matte.size[1]
    share = np.ones(np.broadcast_shapes(x.shape, y.shape))
    if within_px > 0 and matte.x0 == 0 and matte.alpha[:, 0].max(initial=0) > 0:
        share = share * smoothstep(0, within_px, x)
    if within_px > 0 and matte.window[1].stop == width and matte.alpha[:, -1].max(initial=0) > 0:
        share = share * smoothstep(0, within_px, width - x)
    return share
