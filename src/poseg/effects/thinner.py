"""Thinner, wider, taller: people of another shape, with heads and background as they were."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from poseg.effects.body import Body, bodies, depth_order
from poseg.effects.effect import Effect, Image, Outcome, Skipped
from poseg.effects.layers import in_front_of, union
from poseg.effects.matte import Matte, mattes
from poseg.effects.reshape import Shift, reshape
from poseg.effects.squeeze import WIDEST, squeezed, torso_of
from poseg.effects.stretch import stretched
from poseg.errors import EffectError
from poseg.people import People

LEAST_KEEP = 0.6
TALLEST = 1.4


@dataclass(frozen=True, kw_only=True)
class Reshaping(Effect):
    """What the effects that change a person's shape share: far people first, each with the others kept."""

    @abstractmethod
    def shift(self, body: Body, matte: Matte) -> Shift | str:
        """The map for one person with the effect's strength; a sentence where there is none, saying why."""

    def render(self, image: Image, people: People, chosen: tuple[int, ...]) -> Outcome:
        """The picture with the chosen people reshaped; those without mask or the joints needed are left out."""
        measured = bodies(people)
        known = [people.masks is not None and bool(people.masks.nonempty[person]) for person in range(len(people))]
        shapes = list(mattes(image, people)) if any(known[person] for person in chosen) else []
        canvas, skipped = image.copy(), []
        order = depth_order(measured, image.shape[0])
        for person in order:
            if person not in chosen:
                continue
            shift = self.shift(measured[person], shapes[person]) if known[person] else "The person has no mask."
            if isinstance(shift, str):
                skipped.append(Skipped(person, shift))
                continue
            nearer = in_front_of(person, order, shapes, shift.window)
            others = union([shape for other, shape in enumerate(shapes) if other != person], shift.window)
            shapes[person] = reshape(canvas, shapes[person], shift, nearer, others)
        return Outcome(canvas, tuple(sorted(skipped, key=lambda skip: skip.person)))


@dataclass(frozen=True, kw_only=True)
class Thinner(Reshaping):
    """Thinner people: squeezed across the torso; the disc of the head stays bit for bit.

    keep  width kept at strength 1, 0.6 to 1; at strength s the width is 1 - s (1 - keep) of what it was

    Things held do not shrink with the hand. Raises EffectError for a `keep` out of range.
    """

    name: ClassVar[str] = "thinner"

    keep: float = 0.8

    def __post_init__(self) -> None:
        super().__post_init__()
        if not LEAST_KEEP <= self.keep <= 1:
            raise EffectError(f"Thinner people keep {LEAST_KEEP} to 1 of their width, got {self.keep}.")

    @property
    def factor(self) -> float:
        """New width over old width."""
        return 1 - self.strength * (1 - self.keep)

    def shift(self, body: Body, matte: Matte) -> Shift | str:
        """The map of `squeeze`."""
        return _across(body, matte, self.factor)


@dataclass(frozen=True, kw_only=True)
class Wider(Reshaping):
    """Wider people: stretched across the torso; the disc of the head stays bit for bit.

    widen  width at strength 1 over the old one, 1 to 1.3; at strength s it is 1 + s (widen - 1)

    Raises EffectError for a `widen` out of range.
    """

    name: ClassVar[str] = "wider"

    widen: float = 1.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.widen <= WIDEST:
            raise EffectError(f"Wider people get 1 to {WIDEST} times as wide, got {self.widen}.")

    @property
    def factor(self) -> float:
        """New width over old width."""
        return 1 + self.strength * (self.widen - 1)

    def shift(self, body: Body, matte: Matte) -> Shift | str:
        """The map of `squeeze`."""
        return _across(body, matte, self.factor)


@dataclass(frozen=True, kw_only=True)
class Taller(Reshaping):
    """Taller people: legs and, less, torso are drawn out upwards from the feet; the head moves up as it is.

    stretch  height at strength 1 over the old one, 1 to 1.4; at strength s it is 1 + s (stretch - 1), or as much as
             the room above the person allows

    Raises EffectError for a `stretch` out of range.
    """

    name: ClassVar[str] = "taller"

    stretch: float = 1.15

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.stretch <= TALLEST:
            raise EffectError(f"Taller people get 1 to {TALLEST} times as tall, got {self.stretch}.")

    @property
    def factor(self) -> float:
        """New height over old height, where there is room."""
        return 1 + self.strength * (self.stretch - 1)

    def shift(self, body: Body, matte: Matte) -> Shift | str:
        """The map of `stretch`."""
        torso = torso_of(body)
        if torso is None:
            return body.why("left_shoulder", "right_shoulder")
        if torso.down[1] < np.sqrt(0.5):
            return "The person is not upright: the torso leans by more than 45 degrees."
        shift = stretched(torso, body, matte, self.factor)
        return "There is no room above the person." if shift is None else shift


def _across(body: Body, matte: Matte, factor: float) -> Shift | str:
    torso = torso_of(body)
    return body.why("left_shoulder", "right_shoulder") if torso is None else squeezed(torso, matte, factor)
