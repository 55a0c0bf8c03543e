"""Thinner, wider, taller: people of another shape, with heads and background as they were."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from poseg.effects.body import Body, bodies, depth_order
from poseg.effects.compositing import occluders
from poseg.effects.displacement import DisplacementField, leg_length_warp, torso_frame, torso_width_warp
from poseg.effects.effect import Effect, EffectResult, Image, SkippedPerson
from poseg.effects.matte import Matte, Mattes
from poseg.effects.reshape import reshape
from poseg.errors import EffectError
from poseg.people import People


@dataclass(frozen=True, kw_only=True)
class Reshaping(Effect):
    """What the effects that change a person's shape have in common: far people first, each with the others kept.

    factor  new size over old size at strength 1; at strength s it is 1 + s (factor - 1)

    Raises EffectError for a `factor` out of range.
    """

    limits: ClassVar[tuple[float, float]]

    factor: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self.limits
        if not low <= self.factor <= high:
            raise EffectError(f"The factor of {self.name} lies between {low:g} and {high:g}, got {self.factor}.")

    @property
    def scale(self) -> float:
        """New size over old size, with the strength."""
        return 1 + self.strength * (self.factor - 1)

    @abstractmethod
    def field(self, body: Body, matte: Matte) -> DisplacementField | str:
        """The displacement field for one person; a sentence where there is none, saying why."""

    def render(self, image: Image, people: People, selected: tuple[int, ...]) -> EffectResult:
        """The image with the selected people reshaped; those without mask or the joints needed are skipped."""
        measured = bodies(people)
        has_mask = np.zeros(len(people), np.bool_) if people.masks is None else people.masks.nonempty
        mattes = list(Mattes(image, people)) if has_mask[list(selected)].any() else []
        canvas, skipped = image.copy(), []
        order = depth_order(measured, image.shape[0])
        for person in order:
            if person not in selected:
                continue
            field = self.field(measured[person], mattes[person]) if has_mask[person] else "The person has no mask."
            if isinstance(field, str):
                skipped.append(SkippedPerson(person, field))
                continue
            nearer = occluders(person, order, mattes)
            others = [matte for other, matte in enumerate(mattes) if other != person]
            mattes[person] = reshape(canvas, mattes[person], field, nearer, others)
        return EffectResult(canvas, tuple(sorted(skipped, key=lambda skip: skip.person)))


@dataclass(frozen=True, kw_only=True)
class _AcrossTorso(Reshaping):
    """Changes the width across the torso."""

    def field(self, body: Body, matte: Matte) -> DisplacementField | str:
        """The field of `torso_width_warp`."""
        torso = torso_frame(body)
        if torso is None:
            return body.missing_reason("left_shoulder", "right_shoulder")
        return torso_width_warp(torso, matte, self.scale)


@dataclass(frozen=True, kw_only=True)
class Thinner(_AcrossTorso):
    """Thinner people: squeezed across the torso; the disc of the head stays bit for bit.

    factor  new width over old width at strength 1, 0.6 to 1

    Things held do not shrink with the hand.
    """

    name: ClassVar[str] = "thinner"
    limits: ClassVar[tuple[float, float]] = (0.6, 1.0)

    factor: float = 0.8


@dataclass(frozen=True, kw_only=True)
class Wider(_AcrossTorso):
    """Wider people: stretched across the torso; the disc of the head stays bit for bit.

    factor  new width over old width at strength 1, 1 to 1.3
    """

    name: ClassVar[str] = "wider"
    limits: ClassVar[tuple[float, float]] = (1.0, 1.3)

    factor: float = 1.2


@dataclass(frozen=True, kw_only=True)
class Taller(Reshaping):
    """Taller people: legs and, less, torso are stretched upwards from the feet; the head moves up unchanged.

    factor  new height over old height at strength 1, 1 to 1.4, or as much as the room above the person allows
    """

    name: ClassVar[str] = "taller"
    limits: ClassVar[tuple[float, float]] = (1.0, 1.4)

    factor: float = 1.15

    def field(self, body: Body, matte: Matte) -> DisplacementField | str:
        """The field of `leg_length_warp`."""
        torso = torso_frame(body)
        if torso is None:
            return body.missing_reason("left_shoulder", "right_shoulder")
        if torso.down[1] < np.sqrt(0.5):
            return "The person is not upright: the torso leans by more than 45 degrees."
        field = leg_length_warp(torso, body, matte, self.scale)
        return "There is no room above the person." if field is None else field
