"""What a codec is: people to fields and back, in one file, with NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from poseg.fields import Fields, FieldSpec
from poseg.skeletons import Skeleton

Self = TypeVar("Self", bound="Codec")


class Codec(Protocol):
    """How one system paints people into fields and reads them back: decode(encode(people)) = people.

    What `encode` and `decode` take besides differs: PersonLab finds people, Pose2Seg is given them.
    """

    @property
    def skeleton(self) -> Skeleton:
        """Names the joints of the people."""
        ...

    @property
    def specs(self) -> tuple[FieldSpec, ...]:
        """The fields that the network puts out."""
        ...

    def fields_from(self, outputs: Mapping[str, NDArray[np.float32]]) -> Fields:
        """Fields of one picture from a network's outputs by field name."""
        ...

    def to_plain(self) -> dict[str, Any]:
        """The settings as plain data for a model's card."""
        ...

    @classmethod
    def from_plain(cls: type[Self], plain: Mapping[str, Any], skeleton: Skeleton) -> Self:
        """The codec that `to_plain` described."""
        ...
