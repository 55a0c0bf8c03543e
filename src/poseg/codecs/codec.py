"""What a codec is: people to fields and back, in one file, with NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.outlines import Unpainted
from poseg.fields import Fields, FieldSpec
from poseg.people import People
from poseg.skeletons import Skeleton

Self = TypeVar("Self", bound="Codec")

# By the name of an axis: its permutation in a mirror image, and -1 for what then runs the other way.
Mirrors = Mapping[str, tuple[NDArray[np.intp], NDArray[np.float32]]]


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


class Finder(Codec, Protocol):
    """A codec that finds people by itself; what it may choose differs from system to system."""

    @property
    def best(self) -> Any:
        """The choices that find most, a dataclass with `max_people`, `min_score` and `masks` among its fields."""
        ...

    @property
    def mirrors(self) -> Mirrors:
        """What a mirror image does to the axes of fields."""
        ...

    @property
    def averaged(self) -> tuple[str, ...]:
        """Fields (h, w) that are better as the mean over looks in several sizes than in the finest alone."""
        ...

    def decode(self, fields: Fields, decoding: Any = ...) -> People:
        """People of the picture, surest first, in pixels of the network's input."""
        ...

    def found(self, fields: Fields, decoding: Any = ...) -> Unpainted:
        """`decode` before it paints masks."""
        ...

    def claimed(
        self, fields: Fields, people: People, decoding: Any = ..., *, shown: NDArray[np.bool_] | None = None
    ) -> Unpainted:
        """People given on the network's input, surest first, with what they claim: scored and cut as `decode` does.

        All compete for pixels; those of `shown` (N,), or else all, are put out.
        """
        ...
