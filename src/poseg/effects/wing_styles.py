"""The wings we draw: angel, bat, butterfly, morpho and fairy, painted at the size that is needed."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from poseg.effects.wing_art import Shape, WingPair, paint
from poseg.effects.wing_feathers import angel
from poseg.effects.wing_lobes import fairy, monarch, morpho
from poseg.effects.wing_skin import bat
from poseg.errors import EffectError

STYLES: dict[str, Callable[[], list[Shape]]] = {
    "angel": angel,
    "bat": bat,
    "butterfly": monarch,
    "fairy": fairy,
    "morpho": morpho,
}
ROOT_OFFSET = 0.16  # of every drawn wing from the spine, in S
FINEST_PX = 362.0  # of a body scale: larger people get smoothly enlarged wings


@lru_cache(maxsize=12)
def drawn_pair(style: str, px_per_unit: float) -> WingPair:
    """The wings of a style with so many pixels a body scale, root to root 0.32 S. Raises EffectError."""
    if style not in STYLES:
        raise EffectError(f"There are no {style!r} wings; there are {', '.join(STYLES)}, or give art of your own.")
    wing = paint(STYLES[style](), px_per_unit)
    return WingPair(wing.mirrored(), wing, ROOT_OFFSET)


def fineness(scale_px: float) -> float:
    """Pixels a body scale to draw wings with for a person of this scale: a step of sqrt 2 at or above it."""
    return float(min(FINEST_PX, 2.0 ** (np.ceil(2 * np.log2(max(scale_px, 8.0))) / 2)))
