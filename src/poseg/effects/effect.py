"""What an effect is: a value that maps a picture and its people to a picture, and says whom it left out and why."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from poseg.errors import EffectError, ShapeError
from poseg.people import People

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A person whom an effect left as he or she was.

    person  number in the people given
    reason  a sentence: what was missing
    """

    person: int
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came of an effect: the picture (H, W, 3) or, from a cut-out, (H, W, 4) uint8, and who was left out."""

    image: Image
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Effect(ABC):
    """An effect with its settings: `effect(image, people)` is the picture after it.

    strength  0 to 1: how much of it; 0 gives the picture back bit for bit
    person    the number of the one person it is for, as in `people`; None for everybody

    Effects are pure: the same picture and people give the same result, and neither is changed. Effects that move in
    time read the time from `time_s`.
    """

    name: ClassVar[str] = ""

    strength: float = 1.0
    person: int | None = None
    time_s: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise EffectError(f"The strength of an effect lies between 0 and 1, got {self.strength}.")

    def __call__(self, image: Image, people: People) -> Image:
        """The picture (H, W, 3) uint8 RGB after the effect; EffectError for people of another picture."""
        return self.apply(image, people).image

    def apply(self, image: Image, people: People) -> Outcome:
        """The picture after the effect, and whom it left out."""
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ShapeError("image", expected=("height", "width", 3), got=(*image.shape, image.dtype))
        if people.masks is not None and people.masks.shape[1:] != image.shape[:2]:
            raise ShapeError("people.masks", expected=(len(people), *image.shape[:2]), got=people.masks.shape)
        chosen = self.chosen(people)
        if self.strength == 0:
            return Outcome(image)
        return self.render(image, people, chosen)

    @abstractmethod
    def render(self, image: Image, people: People, chosen: tuple[int, ...]) -> Outcome:
        """The picture after the effect on the `chosen` people; strength is above 0 and shapes are right."""

    def chosen(self, people: People) -> tuple[int, ...]:
        """Numbers of the people it is for. Raises EffectError where there is no such person."""
        if self.person is None:
            return tuple(range(len(people)))
        if not 0 <= self.person < len(people):
            raise EffectError(
                f"There is no person {self.person}; the picture has {len(people)}, counted from 0, the surest first."
            )
        return (self.person,)

    def settings(self) -> dict[str, Any]:
        """The settings as plain data, for records."""
        return asdict(self)
