"""Effects one after the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from poseg.effects.background import Cutout
from poseg.effects.effect import Effect, Image, Outcome, Skipped
from poseg.errors import EffectError
from poseg.people import People


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """Effects applied in turn, each to what the one before made. Called as one effect is; built by `chain`.

    All of them go by the people of the first picture: put effects that change people's shape last.
    """

    effects: tuple[Effect, ...]

    def __post_init__(self) -> None:
        if any(isinstance(effect, Cutout) for effect in self.effects[:-1]):
            raise EffectError("A cut-out has no background for another effect to work on; put cutout last in a chain.")

    def __call__(self, image: Image, people: People) -> Image:
        """The picture after all effects: (H, W, 3), or (H, W, 4) where the last is a cut-out."""
        return self.apply(image, people).image

    def apply(self, image: Image, people: People) -> Outcome:
        """The picture after all effects, and whom each left out; where there are several, the reason names which."""
        skipped: list[Skipped] = []
        for effect in self.effects:
            outcome = effect.apply(image, people)
            image = outcome.image
            label = f"{effect.name}: " if len(self.effects) > 1 else ""
            skipped += (Skipped(one.person, label + one.reason) for one in outcome.skipped)
        return Outcome(image, tuple(skipped))

    def at(self, time_s: float) -> Chain:
        """The same effects at a time, for videos."""
        return Chain(tuple(replace(effect, time_s=time_s) for effect in self.effects))

    def settings(self) -> list[dict[str, Any]]:
        """Names and settings in turn, as plain data."""
        return [{"effect": effect.name, **effect.settings()} for effect in self.effects]


def chain(*effects: Effect | Chain) -> Chain:
    """Effects, or chains of them, one after the other; of none, the picture comes back. Raises EffectError."""
    return Chain(
        tuple(one for effect in effects for one in (effect.effects if isinstance(effect, Chain) else [effect]))
    )
