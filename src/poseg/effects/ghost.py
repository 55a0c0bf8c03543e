"""Ghost: people fade away, and what could be behind them shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.effects.bokeh import widened
from poseg.effects.effect import Effect, Image, Outcome
from poseg.effects.filling import fill
from poseg.effects.layers import around, lay, nowhere, span, union
from poseg.effects.matte import mattes
from poseg.errors import EffectError
from poseg.people import People

LEAST_LEVEL = 2  # of 255: a matte of no more is none
SURROUNDINGS = 0.6  # how far around the people is looked for something to fill with, in their larger side


@dataclass(frozen=True, kw_only=True, eq=False)
class Ghost(Effect):
    """The chosen people removed, the hole filled from around them; everybody else stays.

    margin  how far beyond people's edges their colour may still be, in square roots of their area

    strength below 1 leaves them half seen. Shadows and mirror images of people stay, and so does what they hold.
    """

    name: ClassVar[str] = "ghost"

    margin: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.margin <= 0.5:
            raise EffectError(f"The margin of a ghost lies between 0 and 0.5, got {self.margin}.")

    def render(self, image: Image, people: People, chosen: tuple[int, ...]) -> Outcome:
        """The picture without the chosen people."""
        made = mattes(image, people)
        leaving = [made[person] for person in chosen]
        rows, columns = span(leaving)
        if rows.stop == rows.start:
            return Outcome(image.copy(), nowhere(made, chosen))
        reach = SURROUNDINGS * max(rows.stop - rows.start, columns.stop - columns.start)
        low = np.array([columns.start, rows.start]) - reach
        window = around(low, np.array([columns.stop, rows.stop]) + reach, image.shape)
        assert window is not None
        gone = union(leaving, window)
        others = [made[person] for person in range(len(people)) if person not in chosen]
        staying = union(others, window)
        margin = max(round(self.margin * float(np.sqrt(gone.sum() / len(chosen)))), 2)
        # In bytes all of this is several times as fast.
        wide, stay = widened(_levels(gone), margin, closing=3), _levels(staying)
        hole = (wide > LEAST_LEVEL) & (stay < 255 - LEAST_LEVEL)
        known = (widened(wide, 1) <= LEAST_LEVEL) & (widened(stay, margin) <= LEAST_LEVEL)
        filled = fill(image[window], hole, known)
        soft = np.asarray(cv2.LUT(wide, np.minimum(np.arange(256, dtype=np.float32) / 127.5, 1)), np.float32)
        if others:
            soft *= 1 - staying
        if self.strength < 1:
            soft *= np.float32(self.strength)
        out = image.copy()
        out[window] = lay(image[window], filled, soft)
        return Outcome(out, nowhere(made, chosen))


def _levels(alpha: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A matte in bytes."""
    return np.asarray(cv2.convertScaleAbs(alpha, alpha=255), np.uint8)
