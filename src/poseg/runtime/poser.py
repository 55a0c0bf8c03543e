"""Poses of people whose places are known, by whoever found them: one crop each (the multi-task network)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.codecs.multitask import MultitaskCodec
from poseg.errors import AnnotationError, PosegError, ShapeError
from poseg.fields import Fields
from poseg.io.images import Source, read_image
from poseg.people import People, Timings
from poseg.runtime.card import Card
from poseg.transforms.warp import warp_image

Floats = NDArray[np.float32]

SYSTEM = "multitask"
MOST_AT_ONCE = 16  # crops in one run of the network; more people take another


class CropRunner(Protocol):
    """What a poser needs of a model; `runtime.session.Session` is one."""

    @property
    def card(self) -> Card:
        """The mean and the spread that the model wants."""

    @property
    def codec(self) -> MultitaskCodec:
        """What cuts crops and reads joints."""

    def run(self, tensor: Floats) -> Fields:
        """Fields of normalised crops (N, 3, S, S)."""


@dataclass(frozen=True, slots=True, eq=False)
class Poser:
    """Finds the joints of people whose places are given: `poser(image, boxes)`, or `poser(image)` for a crop of one.

    session    the model
    flip       crops are looked at in the mirror too, and joints are the mean
    min_score  people whose windows say with less certainty that they are there are left out

    Settings out of range, and a model of another kind, raise PosegError. One poser may serve several threads.
    """

    session: CropRunner
    flip: bool = True
    min_score: float = 0.0

    wants_boxes = True

    def __post_init__(self) -> None:
        card = self.session.card
        if card.system != SYSTEM:
            raise PosegError(
                f"The model {card.name!r} is of the system {card.system!r}; joints in crops are found by a model of "
                f"the system {SYSTEM!r}."
            )
        if not 0 <= self.min_score <= 1:
            raise PosegError(f"The least score is {self.min_score}; scores lie between 0 and 1.")

    @property
    def name(self) -> str:
        """The model's name."""
        return self.session.card.name

    def __call__(self, image: Source, boxes_xyxy: ArrayLike | None = None, *, name: str = "") -> People:
        """The people in the boxes (N, 4), in their order, in pixels of the picture, with timings.

        Without boxes the whole picture is the crop of one person. `image` and `name` as in `io.images.read_image`. A
        person's boxes are those given. Raises ImageError for a bad picture, ShapeError for boxes of another shape,
        AnnotationError for those that show nothing of it, and FieldError where the network puts out numbers that are
        not finite.
        """
        picture = read_image(image, name=name)
        height, width = picture.shape[:2]
        start = perf_counter()
        codec = self.session.codec
        if boxes_xyxy is None:
            boxes = np.array([[0, 0, width, height]], np.float32)
            maps = codec.crops(boxes, margin=0)
        else:
            boxes = _checked(boxes_xyxy, (height, width))
            maps = codec.body_crops(boxes)
        if not len(boxes):
            return replace(People.empty(codec.skeleton), timings=Timings(0, 0, 0))
        tensor = self.crops(picture, maps)
        ready = perf_counter()
        fields = self._run(tensor)
        done = perf_counter()
        people = codec.decode(fields, maps)
        people = replace(people, boxes_xyxy=boxes)[people.scores >= self.min_score]
        spent = Timings(1e3 * (ready - start), 1e3 * (done - ready), 1e3 * (perf_counter() - done))
        return replace(people, timings=spent)

    def crops(self, picture: NDArray[np.uint8], maps: NDArray[np.float64]) -> Floats:
        """What the network sees of a picture (H, W, 3) through maps (N, 2, 3): normalised crops (N, 3, S, S)."""
        card, side = self.session.card, self.session.codec.crop_px
        seen = np.stack([warp_image(picture, one, (side, side)) for one in maps]).transpose(0, 3, 1, 2)
        mean, std = (np.array(v, np.float32)[:, None, None] for v in (card.mean, card.std))
        return np.ascontiguousarray((seen - mean) / std, np.float32)

    def _run(self, tensor: Floats) -> Fields:
        """The fields of all crops, a few at a time."""
        parts = []
        for first in range(0, len(tensor), MOST_AT_ONCE):
            some = tensor[first : first + MOST_AT_ONCE]
            fields = self.session.run(some)
            if self.flip:
                mirrored = self.session.run(np.ascontiguousarray(some[..., ::-1]))
                fields = self.session.codec.with_mirrored(fields, mirrored)
            parts.append(fields)
        names = list(parts[0])
        return Fields(parts[0].specs, {n: np.concatenate([part[n] for part in parts], axis=-2) for n in names})


def _checked(boxes_xyxy: ArrayLike, size: tuple[int, int]) -> Floats:
    """Boxes (N, 4) that each show something of a picture of `size`. Raises ShapeError and AnnotationError."""
    boxes = np.asarray(boxes_xyxy, np.float32)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ShapeError("boxes_xyxy", expected=("people", 4), got=boxes.shape)
    bad = np.flatnonzero(~in_picture(boxes, size))
    if len(bad):
        raise AnnotationError(
            f"Box {bad[0]} ({', '.join(f'{v:g}' for v in boxes[bad[0]])}) shows nothing of the picture of {size[1]} x "
            f"{size[0]} pixels; give x0, y0, x1 and y1 in its pixels."
        )
    return boxes


def in_picture(boxes_xyxy: Floats, size: tuple[int, int]) -> NDArray[np.bool_]:
    """(N,) which boxes (N, 4) show something of a picture of `size` (height, width)."""
    low, high = np.maximum(boxes_xyxy[:, :2], 0), np.minimum(boxes_xyxy[:, 2:], size[::-1])
    return np.asarray(np.isfinite(boxes_xyxy).all(axis=1) & (high > low).all(axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class Posed:
    """A finder of people who get their poses from a poser: `posed(image)`; masks, boxes and scores stay.

    People found whose box shows nothing of the picture are left out.
    """

    finder: Callable[[NDArray[np.uint8]], People]
    poser: Poser

    def __call__(self, image: Source, *, name: str = "") -> People:
        """The people of a picture, in the finder's order, with the timings of both together. Raises as both do."""
        picture = read_image(image, name=name)
        found = self.finder(picture)
        found = found[in_picture(found.boxes_xyxy, picture.shape[:2])]
        posed = replace(self.poser, min_score=0.0)(
            picture, found.boxes_xyxy
        )  # those found stay in step with their poses
        people = replace(posed, scores=found.scores, masks=found.masks, ids=found.ids)
        if found.timings is not None and posed.timings is not None:
            people = replace(people, timings=found.timings + posed.timings)
        return people[posed.scores >= self.poser.min_score]
