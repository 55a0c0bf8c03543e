"""Coarse squares over faces, heads or people, so that nobody is recognised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.effects.background import Colour, check_colour
from poseg.effects.body import bodies
from poseg.effects.effect import Effect, Image, Outcome, Skipped
from poseg.effects.hiding import Hidden, hidden
from poseg.effects.layers import NOWHERE
from poseg.effects.matte import mattes
from poseg.errors import EffectError
from poseg.people import People

PARTS = ("face", "head", "person")
LEAST_CELL_PX = 2


@dataclass(frozen=True, kw_only=True)
class Pixelate(Effect):
    """Squares of one colour each over a part of people, whoever stands before it.

    part    "face", "head" or "person"
    cells   squares across the breadth of a head, at full strength; fewer hide more
    colour  red, green and blue to paint the squares with, which hides most; None for the mean of what each covers

    Below strength 1 the squares are smaller; for privacy leave it at 1. In doubt more is covered: see `hiding`.
    """

    name: ClassVar[str] = "pixelate"

    part: str = "face"
    cells: int = 5
    colour: Colour | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.part not in PARTS:
            raise EffectError(f"What can be pixelated is {', '.join(PARTS)}, got {self.part!r}.")
        if not 1 <= self.cells <= 64:
            raise EffectError(f"Squares across a head are 1 to 64, got {self.cells}.")
        if self.colour is not None:
            check_colour(self.colour)

    def render(self, image: Image, people: People, chosen: tuple[int, ...]) -> Outcome:
        """The picture with squares over the chosen people."""
        out, skipped = image.copy(), []
        picked = people[list(chosen)]
        known = zip(chosen, bodies(picked), mattes(image, picked, feather=0), picked.boxes_xyxy, strict=True)
        for person, body, one, box in known:
            what = hidden(self.part, body, one, box, image.shape)
            if what is None:
                skipped.append(Skipped(person, NOWHERE))
                continue
            cell_px = max(round(self.strength * what.breadth_px / self.cells), LEAST_CELL_PX)
            mosaic(out, what, cell_px, self.colour)
        return Outcome(out, tuple(skipped))


def mosaic(image: Image, what: Hidden, cell_px: int, colour: Colour | None) -> None:
    """Paint each square that touches the region in one colour, in place. Squares begin at the region's corner."""
    rows, columns = what.region.shape
    down, across = -(-rows // cell_px), -(-columns // cell_px)
    y, x = what.window[0].start, what.window[1].start
    part = image[y : y + down * cell_px, x : x + across * cell_px]
    touched = _by_cell(what.region, down, across, cell_px).any(axis=(1, 3))
    if colour is None:
        whole = cv2.copyMakeBorder(
            part, 0, down * cell_px - part.shape[0], 0, across * cell_px - part.shape[1], cv2.BORDER_REPLICATE
        )
        squares: Image = np.asarray(cv2.resize(whole, (across, down), interpolation=cv2.INTER_AREA), np.uint8)
    else:
        squares = np.empty((down, across, 3), np.uint8)
        squares[:] = colour
    large = (across * cell_px, down * cell_px)
    painted = cv2.resize(squares, large, interpolation=cv2.INTER_NEAREST)[: part.shape[0], : part.shape[1]]
    over = cv2.resize(np.asarray(touched, np.uint8), large, interpolation=cv2.INTER_NEAREST)
    np.copyto(part, painted, where=(over[: part.shape[0], : part.shape[1], None] > 0))


def _by_cell(region: NDArray[np.bool_], down: int, across: int, cell_px: int) -> NDArray[np.bool_]:
    """(down, cell, across, cell): a region cut into squares, nothing beyond its border."""
    whole = np.zeros((down * cell_px, across * cell_px), np.bool_)
    whole[: region.shape[0], : region.shape[1]] = region
    return whole.reshape(down, cell_px, across, cell_px)
