"""Displacement fields that change a person's width and height.

Width: in the torso's frame (t across, s down it, origin in the head's centre) the new image reads t' = t + u with

    u = a w T sat((t - c(s)) / T),    a = 1 / k - 1,    w = smoothstep(r0, r1, |(t, s)|)                   (1)

k is the new width over the old one; c(s) the axis, a line from the head through hips, knees and ankles; sat(q) = q up
to 1, so everything within T = 0.9 k S of the axis is scaled by k exactly, and constant from 1.5 on, so that a far arm
moves but keeps its width. c passes through the head's centre in all rows of the disc, so w never folds the field for
k < 1; for k > 1 the disc's falloff is made wide enough that du/dt >= -3/4 (`head_falloff`).

Height: a row y of the old image moves up by the integral of q g from y down to the feet. The profile g is 0 above the
chin, 0.5 in the torso and 1 in the legs, with soft steps; q makes the whole a whole number of pixels, by which the head
and all above it move unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.effects.body import Body, HeadDisc
from poseg.effects.compositing import padded_window
from poseg.effects.matte import Matte, Window
from poseg.geometry.grid import pixel_centres

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

HALF_WIDTH = 0.9  # of S: within this distance of the axis the person is scaled, farther out moved
KNEE = 0.25  # half the length over which scaling turns into moving, in half widths
MAX_SLOPE = 0.75
STEP_PX = 4  # the width's field is smooth: it is computed at every fourth pixel
TORSO_STRETCH = 0.5  # of the stretch of the legs
SOFT_STEP = 0.4  # of S


@dataclass(frozen=True, slots=True, eq=False)
class DisplacementField:
    """Where the pixels of a window come from: pixel (x, y) shows what was at (x, y) + displacement.

    window  rows and columns of the image
    x y     (h, w) float32 pixels
    """

    window: Window
    x: Floats
    y: Floats

    def sources(self) -> tuple[Floats, Floats]:
        """Columns and rows (h, w) float32 of the window that are read, in fractional pixel numbers of the window."""
        rows, columns = self.x.shape
        across, down = np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32)[:, None]
        return np.asarray(self.x + across, np.float32), np.asarray(self.y + down, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Torso:
    """What the fields need of a body: the frame, the head's disc, the axis and the scale."""

    across: Doubles
    down: Doubles
    head: HeadDisc
    axis: Doubles  # (P, 2) s and t of its corners, s rising
    scale_px: float


def torso_frame(body: Body) -> Torso | None:
    """The torso of a body; None where shoulders, scale, axis or head are not known."""
    if body.shoulders is None or body.scale_px is None or body.down is None or body.head is None or body.neck is None:
        return None
    down = body.down
    across = np.array([down[1], -down[0]])
    head, scale = body.head, body.scale_px
    corners = [np.array([head.outer_radius_px, 0.0])]
    below = body.neck + max(scale, body.torso_px or 0.0) * down
    legs = (body.centre("left_knee", "right_knee"), body.centre("left_ankle", "right_ankle"))
    for point in (below if body.mid_hip is None else body.mid_hip, *legs):
        if point is not None:
            s, t = float((point - head.centre) @ down), float((point - head.centre) @ across)
            if s > corners[-1][0] + 0.2 * scale:
                corners.append(np.array([s, t]))
    return Torso(across, down, head, np.stack(corners), scale)


def torso_width_warp(torso: Torso, matte: Matte, factor: float) -> DisplacementField:
    """Equation (1) on a window around the matte, for a person `factor` (k) times as wide.

    Where the person is cut off at the left or right edge of the image the field falls to 0 towards that edge, since
    nothing is known beyond it.
    """
    a = 1 / factor - 1
    reach = abs(a) * HALF_WIDTH * factor * torso.scale_px * (1 + KNEE)
    padding = int(np.ceil(reach)) + 2
    window = padded_window(matte.window, padding, padding, matte.size)
    x, y = _nodes(window)
    along = (x - torso.head.centre[0]) * torso.across[0] + (y - torso.head.centre[1]) * torso.across[1]
    deep = (x - torso.head.centre[0]) * torso.down[0] + (y - torso.head.centre[1]) * torso.down[1]
    half = HALF_WIDTH * factor * torso.scale_px
    shift = a * half * soft_clip((along - np.interp(deep, torso.axis[:, 0], torso.axis[:, 1])) / half)
    inner, outer = head_falloff(torso.head, a)
    shift *= smoothstep(inner, outer, np.hypot(along, deep))
    shift *= _edge_falloff(matte, x, y, 3 * reach)
    size = (window[1].stop - window[1].start, window[0].stop - window[0].start)
    fine = np.asarray(cv2.resize(shift.astype(np.float32), size, interpolation=cv2.INTER_LINEAR), np.float32)
    return DisplacementField(window, fine * np.float32(torso.across[0]), fine * np.float32(torso.across[1]))


def leg_length_warp(torso: Torso, body: Body, matte: Matte, factor: float) -> DisplacementField | None:
    """The field for a person `factor` times as tall, or as the room above allows; None for less than a pixel."""
    rows_of_person = np.flatnonzero(matte.alpha.max(axis=1) > 0.5)
    if not len(rows_of_person):
        return None
    top, feet = matte.y0 + int(rows_of_person[0]), matte.y0 + int(rows_of_person[-1]) + 1
    rise = min(round((factor - 1) * (feet - top)), top)
    chin = float(torso.head.centre[1]) + torso.head.inner_radius_px
    if rise < 1 or feet - chin < torso.scale_px:
        return None
    rows, columns = padded_window(matte.window, rise, 1, matte.size)
    # Row edges of the old image, and where they are moved to.
    edges = np.arange(rows.start, max(rows.stop, feet) + 1, dtype=np.float64)
    soft = SOFT_STEP * torso.scale_px
    centres = pixel_centres(edges[:-1]).astype(np.float64)
    profile = TORSO_STRETCH * smoothstep(chin, chin + soft, centres)
    if body.mid_hip is not None:
        start = max(chin, float(body.mid_hip[1]) - soft)
        profile += (1 - TORSO_STRETCH) * smoothstep(start, start + 2 * soft, centres)
    profile[(centres > feet) | (centres < chin)] = 0
    total = float(profile.sum())
    if total <= 0:
        return None
    above = np.concatenate([np.cumsum(profile[::-1])[::-1], [0.0]]) * (rise / total)
    shown = pixel_centres(np.arange(rows.start, rows.stop)).astype(np.float64)
    shift = np.interp(shown, edges - above, above, left=float(rise))
    size = (rows.stop - rows.start, columns.stop - columns.start)
    column = np.where(np.abs(shift - rise) < 1e-6, rise, shift).astype(np.float32)
    down = np.repeat(column[:, None], size[1], axis=1)
    return DisplacementField((rows, columns), np.zeros(size, np.float32), down)


def head_falloff(head: HeadDisc, a: float) -> tuple[float, float]:
    """Radii r0 and r1 of the falloff at the head, in pixels, beyond the reach of bilinear sampling into the inner disc.

    For a < 0 the slope 1 + a (1 + 3/2 r1 / (r1 - r0)) of equation (1) must not fall below 1 - MAX_SLOPE.
    """
    inner = head.inner_radius_px + 2 * STEP_PX
    outer = max(head.outer_radius_px, 1.7 * inner)
    if a < 0:
        ratio = (MAX_SLOPE / -a - 1) / 1.5
        outer = max(outer, inner * ratio / (ratio - 1))
    return inner, outer


def soft_clip(q: ArrayLike) -> Doubles:
    """sat: q up to 1, 1 + KNEE from 1 + 2 KNEE on, a parabola between; odd, with a continuous slope in [0, 1]."""
    size = np.abs(np.asarray(q, np.float64))
    over = np.clip(size - 1, 0, 2 * KNEE)
    return np.asarray(np.sign(q) * (np.minimum(size, 1) + over - over * over / (4 * KNEE)), np.float64)


def smoothstep(low: float, high: float, value: ArrayLike) -> Doubles:
    """0 up to low, 1 from high on, 3 t^2 - 2 t^3 between."""
    t = np.clip((np.asarray(value, np.float64) - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float64)


def _nodes(window: Window) -> tuple[Doubles, Doubles]:
    """Image x (1, w) and y (h, 1) of a coarse grid over a window, as `cv2.resize` places it."""
    nodes = []
    for span in window:
        length = span.stop - span.start
        count = max(1, -(-length // STEP_PX))
        nodes.append(span.start + pixel_centres(np.arange(count)).astype(np.float64) * length / count)
    return nodes[1][None, :], nodes[0][:, None]


def _edge_falloff(matte: Matte, x: Doubles, y: Doubles, within_px: float) -> Doubles:
    """1, but falling to 0 towards those edges of the image that cut the person off."""
    width = matte.size[1]
    falloff = np.ones(np.broadcast_shapes(x.shape, y.shape))
    if within_px > 0 and matte.x0 == 0 and matte.alpha[:, 0].max(initial=0) > 0:
        falloff = falloff * smoothstep(0, within_px, x)
    if within_px > 0 and matte.window[1].stop == width and matte.alpha[:, -1].max(initial=0) > 0:
        falloff = falloff * smoothstep(0, within_px, width - x)
    return falloff
