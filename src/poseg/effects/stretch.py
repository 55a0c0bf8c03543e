"""The map of `Taller`: rows of the picture, drawn out between the feet and the chin.

A row y of the old picture moves up by the integral of q g from y down to the feet. The profile g is 0 above the chin,
0.5 in the torso and 1 in the legs, with soft steps; q makes the whole a whole number of pixels, by which the head and
all above it move as they are.
"""

from __future__ import annotations

import numpy as np

from poseg.effects.body import Body
from poseg.effects.matte import Matte
from poseg.effects.reshape import Shift, padded
from poseg.effects.squeeze import Torso, smoothstep
from poseg.geometry.grid import pixel_centres

TORSO_SHARE = 0.5  # of the stretch of the legs
SOFT_STEP = 0.4  # of S


def stretched(torso: Torso, body: Body, matte: Matte, factor: float) -> Shift | None:
    """The map for a person `factor` times as tall, or as tall as the room above allows; None for less than a pixel."""
    seen = np.flatnonzero(matte.alpha.max(axis=1) > 0.5)
    if not len(seen):
        return None
    top, feet = matte.y0 + int(seen[0]), matte.y0 + int(seen[-1]) + 1
    rise = min(round((factor - 1) * (feet - top)), top)
    chin = float(torso.head.centre[1]) + torso.head.core_px
    if rise < 1 or feet - chin < torso.scale_px:
        return None
    rows, columns = padded(matte.window, (rise, 1), matte.size)
    # Row edges of the old picture, and where they come to lie.
    edges = np.arange(rows.start, max(rows.stop, feet) + 1, dtype=np.float64)
    soft = SOFT_STEP * torso.scale_px
    hips = float(body.mid_hip[1]) if body.mid_hip is not None else float("inf")
    centres = pixel_centres(edges[:-1]).astype(np.float64)
    profile = TORSO_SHARE * smoothstep(chin, chin + soft, centres)
    if np.isfinite(hips):
        profile += (1 - TORSO_SHARE) * smoothstep(max(chin, hips - soft), max(chin, hips - soft) + 2 * soft, centres)
    profile[(centres > feet) | (centres < chin)] = 0
    total = float(profile.sum())
    if total <= 0:
        return None
    above = np.concatenate([np.cumsum(profile[::-1])[::-1], [0.0]]) * (rise / total)
    moved = edges - above
    shown = pixel_centres(np.arange(rows.start, rows.stop)).astype(np.float64)
    shift = np.interp(shown, moved, above, left=float(rise))
    size = (rows.stop - rows.start, columns.stop - columns.start)
    column = np.where(np.abs(shift - rise) < 1e-6, rise, shift).astype(np.float32)
    return Shift((rows, columns), np.zeros(size, np.float32), np.repeat(column[:, None], size[1], axis=1))
