"""People in a picture become people in space, by whoever found their joints (a lifter)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.lifting import LiftingCodec
from poseg.errors import PosegError
from poseg.fields import Fields
from poseg.people import People
from poseg.runtime.card import Card

Floats = NDArray[np.float32]

SYSTEM = "lifter"


class JointRunner(Protocol):
    """What a lifter needs of a model; `runtime.session.Session` is one."""

    @property
    def card(self) -> Card:
        """Its name and system."""

    @property
    def codec(self) -> LiftingCodec:
        """What makes its input and reads its output."""

    def run(self, tensor: Floats) -> Fields:
        """Fields of people (N, 3 K, 1, 1)."""


@dataclass(frozen=True, slots=True, eq=False)
class Lifter:
    """Gives people joints in space: `lifter(people)`.

    session   the model; one of another kind raises PosegError

    Left and right, near and far are the lifter's guess from the pose alone, and so is the size: joints are in
    millimetres of an average grown-up. One lifter may serve several threads.
    """

    session: JointRunner

    def __post_init__(self) -> None:
        card = self.session.card
        if card.system != SYSTEM:
            raise PosegError(
                f"The model {card.name!r} is of the system {card.system!r}; people are lifted into space by a model "
                f"of the system {SYSTEM!r}."
            )

    def __call__(self, people: People) -> People:
        """The people with `keypoints_3d` (N, K, 3) mm about the pelvis, in camera axes: x right, y down, z away.

        Joints are taken by their names, from any skeleton. Somebody with too few of them has NaN. Raises FieldError
        where the network puts out numbers that are not finite.
        """
        start = perf_counter()
        codec = self.session.codec
        read, enough = codec.given(people)
        if enough.any():
            fields = self.session.run(np.ascontiguousarray(read[enough]))
        else:
            none = {spec.name: np.zeros((0, spec.channels, 1, 1), np.float32) for spec in codec.specs}
            fields = codec.fields_from(none)
        lifted = codec.decode(fields, people, enough)
        spent = people.timings
        if spent is None:
            return lifted
        return replace(
            lifted, timings=replace(spent, postprocess_ms=spent.postprocess_ms + 1e3 * (perf_counter() - start))
        )
