"""Masks of people found, painted by a network of its own, all people of a picture in one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.claiming import Claims
from poseg.codecs.outlines import Unpainted
from poseg.codecs.painter import PainterCodec
from poseg.codecs.suiting_look import joined
from poseg.errors import PosegError
from poseg.fields import Fields
from poseg.fields.align import AlignedCrops, crop_images
from poseg.geometry.masks import Masks
from poseg.people import People
from poseg.runtime.card import Card
from poseg.transforms.letterbox import Letterbox

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

SYSTEM = "painter"
MOST_AT_ONCE = 64  # windows in one run of the network; more people take another


class WindowRunner(Protocol):
    """What a painter needs of a model; `runtime.session.Session` is one."""

    @property
    def card(self) -> Card:
        """The mean and the spread of the picture that the model wants."""

    @property
    def codec(self) -> PainterCodec:
        """What finds windows and reads masks."""

    def run(self, tensor: Floats) -> Fields:
        """Fields of windows (N, 6, S, S)."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What a painter is asked about some people of a picture.

    people    (N) in pixels of the picture, without masks
    windows   where they lie
    pictures  (N, S, S, 3) uint8 RGB, what the windows show
    evidence  (N, 2, S, S) probability of person and margin there
    joints    (N, K, 3) in the windows
    """

    people: People
    windows: AlignedCrops
    pictures: Bytes
    evidence: Floats
    joints: Floats


def question(codec: PainterCodec, picture: Bytes, box: Letterbox, people: People, claims: Claims) -> Question:
    """What is asked about people (N) with their claims, who lie where `box` says, on a picture (H, W, 3) uint8 RGB."""
    onto = people if people.skeleton == codec.skeleton else people.remap_to(codec.skeleton)
    boxes_xyxy = box.to_image(codec.boxes(onto, claims).reshape(-1, 2, 2)).reshape(-1, 4)
    windows = codec.windows(boxes_xyxy, (picture.shape[0], picture.shape[1]))
    evidence = codec.evidence(claims, box.onto_image, windows)
    return Question(
        box.undo(people), windows, crop_images(picture, windows), evidence,
        codec.joints(onto, windows.compose(box.onto_image)),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Painter:
    """Paints the masks that people claim.

    session            the model
    least_probability  of a mask's pixels

    Settings out of range raise PosegError. One painter may serve several threads.
    """

    session: WindowRunner
    least_probability: float = 0.5

    def __post_init__(self) -> None:
        card = self.session.card
        if card.system != SYSTEM:
            raise PosegError(
                f"The model {card.name!r} is of the system {card.system!r}, which paints no masks of people found; "
                f"take one of {SYSTEM!r}."
            )
        if not 0 < self.least_probability < 1:
            raise PosegError(f"The least probability is {self.least_probability}; it lies between 0 and 1.")

    def __call__(self, picture: Bytes, parts: Sequence[tuple[Letterbox, Unpainted]], *, exclusive: bool) -> People:
        """The people of all parts in pixels of the picture (H, W, 3) uint8 RGB, with masks and boxes around them.

        parts      different people of the picture with what they claim, and where the input lies that each are on
        exclusive  a pixel belongs to the person that is surest of it, and to nobody else

        Raises FieldError where the network puts out numbers that are not finite.
        """
        asked, size = self.ask(picture, parts), (picture.shape[0], picture.shape[1])
        if not len(asked.people):
            return replace(asked.people, masks=Masks.empty(0, size))
        seen, codec = self.planes(asked), self.session.codec
        runs = [self.session.run(seen[first : first + MOST_AT_ONCE]) for first in range(0, len(seen), MOST_AT_ONCE)]
        fields = codec.fields_from({name: np.concatenate([run[name] for run in runs])[:, None] for name in runs[0]})
        return codec.decode(
            fields, asked.people, asked.windows, size, exclusive=exclusive, least_probability=self.least_probability
        )

    def ask(self, picture: Bytes, parts: Sequence[tuple[Letterbox, Unpainted]]) -> Question:
        """What the network is asked about the people of all parts that claim something."""
        codec = self.session.codec
        asked = [question(codec, picture, box, part.people, part.claims) for box, part in parts if part.claims]
        return Question(
            joined([one.people for one in asked]), AlignedCrops.concatenate([one.windows for one in asked]),
            np.concatenate([one.pictures for one in asked]), np.concatenate([one.evidence for one in asked]),
            np.concatenate([one.joints for one in asked]),
        )  # fmt: skip

    def planes(self, asked: Question) -> Floats:
        """The network's input (N, 6, S, S)."""
        card = self.session.card
        return self.session.codec.planes(asked.pictures, asked.evidence, asked.joints, card.mean, card.std)
