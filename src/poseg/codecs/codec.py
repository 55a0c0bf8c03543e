"""What a codec is: people to fields and back, in one file, with NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.pixel_assignment import PixelAssignment
from poseg.fields import Fields, FieldSpec
from poseg.people import People
from poseg.skeletons import Skeleton

Self = TypeVar("Self", bound="Codec")

# By the name of an axis: its permutation in a flipped image, and -1 for vectors that change their sign.
FlipRules = Mapping[str, tuple[NDArray[np.intp], NDArray[np.float32]]]


class Codec(Protocol):
    """How one system encodes people as fields and decodes them: decode(encode(people)) = people.

    The other arguments of `encode` and `decode` differ: PersonLab detects people, Pose2Seg takes people of any source.
    """

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the people."""
        ...

    @property
    def specs(self) -> tuple[FieldSpec, ...]:
        """The fields that the network outputs."""
        ...

    def fields_from_outputs(self, outputs: Mapping[str, NDArray[np.float32]]) -> Fields:
        """Fields of one image from a network's outputs by field name."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain data for a model's card."""
        ...

    @classmethod
    def from_dict(cls: type[Self], plain: Mapping[str, Any], skeleton: Skeleton) -> Self:
        """The codec that `to_dict` described."""
        ...


class BottomUpCodec(Codec, Protocol):
    """A codec that detects people by itself, in three verbs: `detect` poses, `assign` pixels, render masks.

    The last is the same for all (`mask_rendering.render_masks`). Each system has its own decoder settings.
    """

    @property
    def default_config(self) -> Any:
        """The decoder's default settings (`decoder_config`)."""
        ...

    @property
    def flip_rules(self) -> FlipRules:
        """What flipping the image does to the axes of fields."""
        ...

    @property
    def scale_averaged_fields(self) -> tuple[str, ...]:
        """Fields (h, w) that are better as the mean over views at several scales than in the finest alone."""
        ...

    def detect(self, fields: Fields, config: Any = ...) -> People:
        """All poses of one view, highest score first, in pixels of the network's input, without masks.

        Raises FieldError for fields that are not finite.
        """
        ...

    def assign(self, fields: Fields, people: People, config: Any = ...) -> PixelAssignment | None:
        """The cells of people, who are in pixels of the network's input; None where the network has no mask fields."""
        ...

    def decode(self, fields: Fields, config: Any = ...) -> People:
        """People of one view with masks, highest score first, in pixels of the network's input."""
        ...
