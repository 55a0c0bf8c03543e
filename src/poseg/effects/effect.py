"""What an effect is: a value that maps an image and its people to an image, and says whom it skipped and why.

`chain` joins several to one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from poseg.errors import EffectError, ShapeError
from poseg.people import People

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class SkippedPerson:
    """A person whom an effect left unchanged.

    person  index in the people
    reason  a sentence: what was missing
    """

    person: int
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class EffectResult:
    """The image after an effect, (H, W, 3) or, of a cut-out, (H, W, 4) uint8, and the people it skipped."""

    image: Image
    skipped: tuple[SkippedPerson, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Effect(ABC):
    """An effect with its settings: `effect(image, people)` is the image after it.

    strength  0 to 1: how much of it; 0 returns the image bit for bit
    person    index of the one person it is for; None for all people

    Effects are pure: the same image and people give the same result, and neither is changed. Effects that move in
    time read the time from `time_s`.
    """

    name: ClassVar[str] = ""
    removes_background: ClassVar[bool] = False

    strength: float = 1.0
    person: int | None = None
    time_s: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise EffectError(f"The strength of an effect lies between 0 and 1, got {self.strength}.")

    def __call__(self, image: Image, people: People) -> Image:
        """The image (H, W, 3) uint8 RGB after the effect. Raises ShapeError for people of another image."""
        return self.apply(image, people).image

    def apply(self, image: Image, people: People) -> EffectResult:
        """The image after the effect, and whom it skipped."""
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ShapeError("image", expected=("height", "width", 3), got=(*image.shape, image.dtype))
        if people.masks is not None and people.masks.size != image.shape[:2]:
            raise ShapeError("people.masks", expected=(len(people), *image.shape[:2]), got=people.masks.shape)
        selected = self.selected(people)
        if self.strength == 0:
            return EffectResult(image)
        return self.render(image, people, selected)

    @abstractmethod
    def render(self, image: Image, people: People, selected: tuple[int, ...]) -> EffectResult:
        """The image after the effect on the selected people; strength is above 0 and shapes are right."""

    def selected(self, people: People) -> tuple[int, ...]:
        """Indices of the people it is for. Raises EffectError where there is no such person."""
        if self.person is None:
            return tuple(range(len(people)))
        if not 0 <= self.person < len(people):
            raise EffectError(
                f"There is no person {self.person}; the image has {len(people)}, counted from 0, highest score first."
            )
        return (self.person,)

    def settings(self) -> dict[str, Any]:
        """The settings as plain data, for records; of an image only its shape."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: list(value.shape) if isinstance(value, np.ndarray) else value for name, value in values.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """Effects applied in turn, each to the result of the one before. Called as one effect is; built by `chain`.

    All of them use the people of the first image: put effects that change people's shape last.
    """

    effects: tuple[Effect, ...]

    def __post_init__(self) -> None:
        if any(effect.removes_background for effect in self.effects[:-1]):
            raise EffectError("A cut-out has no background for another effect to work on; put cutout last in a chain.")

    def __call__(self, image: Image, people: People) -> Image:
        """The image after all effects: (H, W, 3), or (H, W, 4) where the last is a cut-out."""
        return self.apply(image, people).image

    def apply(self, image: Image, people: People) -> EffectResult:
        """The image after all effects, and whom each skipped; where there are several, the reason names the effect."""
        skipped: list[SkippedPerson] = []
        for effect in self.effects:
            result = effect.apply(image, people)
            image = result.image
            label = f"{effect.name}: " if len(self.effects) > 1 else ""
            skipped += (SkippedPerson(skip.person, label + skip.reason) for skip in result.skipped)
        return EffectResult(image, tuple(skipped))

    def at(self, time_s: float) -> Chain:
        """The same effects at a time, for videos."""
        return Chain(tuple(replace(effect, time_s=time_s) for effect in self.effects))

    def settings(self) -> list[dict[str, Any]]:
        """Names and settings in turn, as plain data."""
        return [{"effect": effect.name, **effect.settings()} for effect in self.effects]


def chain(*effects: Effect | Chain) -> Chain:
    """Effects, or chains of them, one after the other; of none, the image comes back. Raises EffectError."""
    return Chain(
        tuple(step for effect in effects for step in (effect.effects if isinstance(effect, Chain) else [effect]))
    )


def check_colour(colour: Colour) -> None:
    """Raises EffectError unless a colour is three numbers from 0 to 255."""
    if len(colour) != 3 or not all(0 <= value <= 255 for value in colour):
        raise EffectError(f"A colour is red, green and blue from 0 to 255, got {colour}.")
