"""From a picture to its people: read, letterbox, run, decode, undo. The one road of the house."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from poseg.codecs import Decoding, Finder, PafDecoding
from poseg.codecs.agreement import Look, agree
from poseg.codecs.fusion import averaged, fuse_fields, mirror_fields
from poseg.codecs.suiting_look import put_together, suiting_looks
from poseg.errors import PosegError
from poseg.fields import Fields
from poseg.io.images import Source, read_image
from poseg.people import People, Timings
from poseg.runtime.card import Card
from poseg.transforms.letterbox import Letterbox, letterbox

Floats = NDArray[np.float32]

SYSTEMS = ("personlab", "poseg")
SMALLEST_PX, LARGEST_PX = 64, 4097
# Before looks are compared: what one of them alone hardly believes may be what all see.
MOST_IN_A_LOOK, LEAST_IN_A_LOOK = 40, 0.02


class Runner(Protocol):
    """What a predictor needs of a model; `runtime.session.Session` is one."""

    @property
    def card(self) -> Card:
        """The size, the mean and the spread that the model wants."""

    @property
    def codec(self) -> Finder:
        """What reads the fields."""

    def run(self, tensor: Floats) -> Fields:
        """Fields of a normalised input (1, 3, h, w)."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What the network made of a picture in one size.

    box     where the picture lies on the network's input
    fields  over that input; of the picture and its mirror image, their mean
    """

    box: Letterbox
    fields: Fields


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the network made of a picture.

    image   (H, W, 3) uint8 RGB as it was read
    views   one for each scale
    pre_ms  milliseconds spent on the way to the network
    net_ms  milliseconds spent in it and on the mean
    """

    image: NDArray[np.uint8]
    views: tuple[View, ...]
    pre_ms: float
    net_ms: float

    @property
    def finest(self) -> View:
        """The view in the largest size."""
        return max(self.views, key=lambda view: view.box.input_size)

    @property
    def box(self) -> Letterbox:
        """Where the picture lies on the largest input."""
        return self.finest.box

    @property
    def fields(self) -> Fields:
        """The fields over the largest input."""
        return self.finest.fields


@dataclass(frozen=True, slots=True, eq=False)
class Predictor:
    """Finds the people of a picture: `predictor(image)`.

    session     the model
    size_px     long side of the network's input; None takes the one that the model is meant for
    max_people  the surest are kept
    min_score   people with a lower score are left out
    scales      the picture is looked at in these sizes, relative to `size_px`, and people are those that the looks
                agree on (`codecs.agreement`); None takes the ones that the model is meant for, or, where a size is
                given, that size alone
    flip        its mirror image is looked at as well, and the fields are averaged; None: as the model is meant to,
                or, where a size is given, not
    masks       False leaves the masks out, which saves time
    decoding    the other choices of the decoder; None takes those that find most

    Settings out of range raise PosegError. One predictor may serve several threads.
    """

    session: Runner
    size_px: int | None = None
    max_people: int = 20
    min_score: float = 0.4
    scales: tuple[float, ...] | None = None
    flip: bool | None = None
    masks: bool = True
    decoding: Decoding | PafDecoding | None = None

    def __post_init__(self) -> None:
        card = self.session.card
        if card.system not in SYSTEMS:
            raise PosegError(
                f"The model {card.name!r} is of the system {card.system!r}, which is given people and does not find "
                f"them; take one of {' or '.join(SYSTEMS)} to find them, then give them to this one."
            )
        best = self.session.codec.best
        if self.decoding is None:
            object.__setattr__(self, "decoding", best)
        elif type(self.decoding) is not type(best):
            raise PosegError(
                f"The model {card.name!r} is decoded by choices of the kind {type(best).__name__}, "
                f"got {type(self.decoding).__name__}."
            )
        meant = self.size_px is None
        if self.scales is None:
            object.__setattr__(self, "scales", card.scales if meant else (1.0,))
        if self.flip is None:
            object.__setattr__(self, "flip", card.flip if meant else False)
        object.__setattr__(self, "scales", tuple(self.scales or ()))
        if not self.scales or not all(scale > 0 for scale in self.scales):
            raise PosegError(f"Scales are numbers above 0, got {self.scales}; 1 is the size of the model itself.")
        for side_px in map(self._side_px, self.scales):
            if not SMALLEST_PX <= side_px <= LARGEST_PX:
                raise PosegError(
                    f"The network's input would be {side_px} pixels long; "
                    f"choose sizes and scales that give {SMALLEST_PX} to {LARGEST_PX}."
                )
        if self.max_people < 1:
            raise PosegError(f"At most {self.max_people} people are wanted; ask for 1 or more.")
        if not 0 <= self.min_score <= 1:
            raise PosegError(f"The least score is {self.min_score}; scores lie between 0 and 1.")

    def __call__(self, image: Source, *, name: str = "") -> People:
        """The people of a picture, surest first, in its own pixels, with masks and timings.

        `image` and `name` as in `io.images.read_image`. Nobody is a fine answer: People of length 0. Raises ImageError
        for a bad picture and FieldError where the network puts out numbers that are not finite.
        """
        return self.decode(self.see(image, name=name))

    def see(self, image: Source, *, name: str = "") -> Seen:
        """The first half of the road: what the network says of a picture. Raises ImageError."""
        picture = read_image(image, name=name)
        card, pre_ms, net_ms = self.session.card, 0.0, 0.0
        views: list[View] = []
        for scale in self.scales or ():
            start = perf_counter()
            tensor, box = letterbox(
                picture, self._side_px(scale),
                multiple=card.size_multiple, remainder=card.size_remainder, mean=card.mean, std=card.std,
            )  # fmt: skip
            ready = perf_counter()
            views.append(View(box, self._look(tensor)))
            pre_ms += 1e3 * (ready - start)
            net_ms += 1e3 * (perf_counter() - ready)
        return Seen(picture, tuple(views), pre_ms, net_ms)

    def decode(self, seen: Seen) -> People:
        """The second half: the people of what was seen. Raises FieldError."""
        start = perf_counter()
        choices = replace(
            self.decoding or self.session.codec.best,
            max_people=self.max_people, min_score=self.min_score, masks=self.masks,
        )  # fmt: skip
        if len(seen.views) == 1:
            people = seen.box.undo(self.session.codec.decode(seen.fields, choices))
        else:
            people = self._agreed(seen, choices)
        return replace(people, timings=Timings(seen.pre_ms, seen.net_ms, 1e3 * (perf_counter() - start)))

    def _agreed(self, seen: Seen, choices: Decoding | PafDecoding) -> People:
        """The people that the views agree on, each outlined in the view that suits him."""
        each = replace(choices, max_people=MOST_IN_A_LOOK, min_score=LEAST_IN_A_LOOK, masks=False)
        codec = self.session.codec
        looks = [
            Look(view.box.undo(codec.decode(view.fields, each)), detail=max(view.box.scale_xy)) for view in seen.views
        ]
        people, views = agree(looks).people, self._outlining(seen)
        which = suiting_looks(people, [view.box.scale_xy for view in views], choices.longest_px)
        parts = []
        for number in np.unique(which) if len(people) else (0,):
            view = views[number]
            outlined = codec.outlined(view.fields, view.box.apply(people), choices, shown=which == number)
            parts.append(view.box.undo(outlined))
        return put_together(parts, choices.max_people, choices.exclusive)

    def _outlining(self, seen: Seen) -> list[View]:
        """The views that people are outlined in, the finest first; what looks average stands in that."""
        views = sorted(seen.views, key=lambda view: view.box.input_size, reverse=True)
        names = self.session.codec.averaged
        if names:
            box, fields = views[0].box, views[0].fields
            places = box.to_image(fields.grid.positions(*fields.cells).reshape(2, -1).T)
            mean = averaged(fields, [(view.fields, view.box.to_input(places)) for view in views], names)
            views[0] = View(box, mean)
        return views

    def _side_px(self, scale: float) -> int:
        return round((self.size_px or self.session.card.size_px) * scale)

    def _look(self, tensor: Floats) -> Fields:
        """What the network says of an input, alone or with its mirror image mirrored back."""
        fields = self.session.run(tensor)
        if not self.flip:
            return fields
        mirrored = self.session.run(np.ascontiguousarray(tensor[..., ::-1]))
        codec = self.session.codec
        return fuse_fields([fields, mirror_fields(mirrored, codec.mirrors)], codec.skeleton)
