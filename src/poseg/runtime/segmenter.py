"""Masks of people whose poses are known, by whoever found them (Pose2Seg)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.pose2seg import Pose2SegCodec
from poseg.errors import PosegError, SkeletonError
from poseg.fields import Fields
from poseg.fields.align import MIN_SHARED_JOINTS, AlignedCrops
from poseg.geometry.masks import Masks
from poseg.io.images import Source, read_image
from poseg.people import People, Timings
from poseg.runtime.card import Card
from poseg.runtime.predictor import LARGEST_PX, SMALLEST_PX, Predictor
from poseg.skeletons import Skeleton
from poseg.transforms.letterbox import letterbox

Floats = NDArray[np.float32]

SYSTEM = "pose2seg"
MOST_AT_ONCE = 48  # windows in one run of the network; more people take another


class WindowRunner(Protocol):
    """What a segmenter needs of a model; `runtime.session.Session` is one."""

    @property
    def card(self) -> Card:
        """The size, the mean and the spread that the model wants."""

    @property
    def codec(self) -> Pose2SegCodec:
        """What finds windows and reads masks."""

    def run(self, tensor: Floats, **given: Floats) -> Fields:
        """Fields of a normalised input (1, 3, h, w), with windows (1, N, 2, 3) and joints (1, N, K, 3)."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What a network is asked about the people of one picture.

    tensor   normalised input (1, 3, h, w)
    given    what it takes besides, N first: windows (N, 2, 3) and joints (N, K, 3)
    windows  where people of the picture, not of the input, lie in their windows
    """

    tensor: Floats
    given: Mapping[str, Floats]
    windows: AlignedCrops


@dataclass(frozen=True, slots=True, eq=False)
class Segmenter:
    """Gives people masks: `segmenter(image, people)`.

    session            the model
    size_px            long side of the network's input; None takes the one that the model is meant for
    exclusive          where masks meet, a pixel belongs to the person that is surest of it
    least_probability  of a mask's pixels
    trust              how much masks that people have already count, against the new ones: 0 not at all, 1 alone
    rescored           people's scores are multiplied by how sure their masks are, and they come surest first;
                       otherwise scores and order stay

    Settings out of range raise PosegError. One segmenter may serve several threads.
    """

    session: WindowRunner
    size_px: int | None = None
    exclusive: bool = True
    least_probability: float = 0.5
    trust: float = 0.3
    rescored: bool = True

    def __post_init__(self) -> None:
        card = self.session.card
        if card.system != SYSTEM:
            raise PosegError(
                f"The model {card.name!r} is of the system {card.system!r}, which is not given people; "
                f"refine with one of {SYSTEM!r}."
            )
        if self.size_px is not None and not SMALLEST_PX <= self.size_px <= LARGEST_PX:
            raise PosegError(f"An input of {self.size_px} pixels is out of range; take {SMALLEST_PX} to {LARGEST_PX}.")
        if not 0 < self.least_probability < 1:
            raise PosegError(f"The least probability is {self.least_probability}; it lies between 0 and 1.")
        if not 0 <= self.trust <= 1:
            raise PosegError(f"The trust in masks there are is {self.trust}; it lies between 0 and 1.")

    def __call__(self, image: Source, people: People, *, name: str = "") -> People:
        """The people with masks (N, H, W), boxes around them, and timings of this step.

        `image` and `name` as in `io.images.read_image`. People keep their skeleton; their joints go by name to the
        model's. A person without three joints is looked for in its box, and without one in the whole picture. Raises
        ImageError, SkeletonError where hardly a joint has a name that the model knows, and FieldError where the network
        puts out numbers that are not finite.
        """
        picture = read_image(image, name=name)
        size = (picture.shape[0], picture.shape[1])
        if not len(people):
            return replace(people, masks=Masks.empty(0, size), timings=Timings(0, 0, 0))
        start = perf_counter()
        asked = self.ask(picture, people)
        ready = perf_counter()
        fields = self._run(asked)
        done = perf_counter()
        found = self.session.codec.decode(
            fields, people, asked.windows, size, exclusive=self.exclusive,
            least_probability=self.least_probability, trust=self.trust,
            rescored=self.rescored,
        )  # fmt: skip
        spent = Timings(1e3 * (ready - start), 1e3 * (done - ready), 1e3 * (perf_counter() - done))
        return replace(found, timings=spent)

    def ask(self, picture: NDArray[np.uint8], people: People) -> Question:
        """What the network is asked about people of a picture (H, W, 3) uint8 RGB. Raises SkeletonError."""
        codec, card = self.session.codec, self.session.card
        self._check(people.skeleton, codec.skeleton)
        tensor, box = letterbox(
            picture, self.size_px or card.size_px,
            multiple=card.size_multiple, remainder=card.size_remainder, mean=card.mean, std=card.std,
        )  # fmt: skip
        seen = box.apply(people).remap_to(codec.skeleton)
        windows = codec.windows(seen, box.content_size)
        onto_input = np.column_stack([np.diag(box.scale_xy), np.zeros(2)])
        return Question(tensor, codec.given(seen, windows), windows.compose(onto_input))

    def _run(self, asked: Question) -> Fields:
        """The fields of all people, a few at a time."""
        parts = [
            self.session.run(
                asked.tensor, **{key: array[None, first : first + MOST_AT_ONCE] for key, array in asked.given.items()}
            )
            for first in range(0, len(asked.windows), MOST_AT_ONCE)
        ]
        if len(parts) == 1:
            return parts[0]
        return self.session.codec.fields_from(
            {name: np.concatenate([part[name] for part in parts])[:, None] for name in parts[0]}
        )

    @staticmethod
    def _check(given: Skeleton, wanted: Skeleton) -> None:
        shared = set(given.joints) & set(wanted.joints)
        if len(shared) < MIN_SHARED_JOINTS:
            raise SkeletonError(
                f"People on the skeleton {given.name} have {len(shared)} joints that the model knows by name "
                f"({', '.join(wanted.joints)}); rename them, or use a model of their skeleton."
            )


@dataclass(frozen=True, slots=True, eq=False)
class Refined:
    """A predictor whose people get their masks from a segmenter: `refined(image)`."""

    predictor: Predictor
    segmenter: Segmenter

    @property
    def name(self) -> str:
        """Both models' names."""
        return f"{self.predictor.session.card.name}+{self.segmenter.session.card.name}"

    def __call__(self, image: Source, *, name: str = "") -> People:
        """The people of a picture, surest first, with the timings of both steps together. Raises as both do."""
        picture = read_image(image, name=name)
        found = self.predictor(picture)
        people = self.segmenter(picture, found)
        first, second = found.timings, people.timings
        if first is None or second is None:
            return people
        return replace(people, timings=first + second)
