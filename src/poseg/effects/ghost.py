"""Ghost: people fade away, and what could be behind them shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.effects.compositing import alpha_blend, bounding_window, dilate, missing_people, padded_window, union
from poseg.effects.effect import Effect, EffectResult, Image
from poseg.effects.inpaint_patchmatch import inpaint
from poseg.effects.matte import Mattes
from poseg.errors import EffectError
from poseg.people import People

MIN_LEVEL = 2  # of 255: a matte of no more is none
SURROUNDINGS = 0.6  # how far around the people there is something to fill with, in their larger side


@dataclass(frozen=True, kw_only=True, eq=False)
class Ghost(Effect):
    """The selected people removed, the hole filled from around them; all other people stay.

    margin  how far beyond people's edges their colour may still be, in square roots of their area

    strength below 1 leaves them half visible. Shadows and reflections of people stay, and so does what they hold.
    """

    name: ClassVar[str] = "ghost"

    margin: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.margin <= 0.5:
            raise EffectError(f"The margin of a ghost lies between 0 and 0.5, got {self.margin}.")

    def render(self, image: Image, people: People, selected: tuple[int, ...]) -> EffectResult:
        """The image without the selected people."""
        mattes = Mattes(image, people)
        removed = [mattes[person] for person in selected]
        missing = missing_people(selected, removed)
        rows, columns = bounding_window(removed)
        if rows.stop == rows.start:
            return EffectResult(image.copy(), missing)
        reach = SURROUNDINGS * max(rows.stop - rows.start, columns.stop - columns.start)
        window = padded_window((rows, columns), int(np.ceil(reach)), int(np.ceil(reach)), image.shape)
        gone = union(removed, window)
        others = [mattes[person] for person in range(len(people)) if person not in selected]
        staying = union(others, window)
        margin = max(round(self.margin * float(np.sqrt(gone.sum() / len(selected)))), 2)
        # In bytes all of this is several times as fast.
        wide, stay = dilate(_to_bytes(gone), margin, closing=3), _to_bytes(staying)
        hole = (wide > MIN_LEVEL) & (stay < 255 - MIN_LEVEL)
        source = (dilate(wide, 1) <= MIN_LEVEL) & (dilate(stay, margin) <= MIN_LEVEL)
        filled = inpaint(image[window], hole, source)
        soft = np.asarray(cv2.LUT(wide, np.minimum(np.arange(256, dtype=np.float32) / 127.5, 1)), np.float32)
        if others:
            soft *= 1 - staying
        if self.strength < 1:
            soft *= np.float32(self.strength)
        out = image.copy()
        out[window] = alpha_blend(image[window], filled, soft)
        return EffectResult(out, missing)


def _to_bytes(alpha: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A matte times 255."""
    return np.asarray(cv2.convertScaleAbs(alpha, alpha=255), np.uint8)
