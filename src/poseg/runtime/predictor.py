"""From a picture to its people: read, letterbox, run, decode, undo. The one road of the house."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from poseg.codecs import Decoding, Finder, PafDecoding
from poseg.codecs.agreement import Look, agree
from poseg.codecs.fusion import averaged, fuse_fields, mirror_fields, turned_round
from poseg.codecs.outlines import Unpainted
from poseg.codecs.suiting_look import part_to_see, put_together, suiting_looks, surest, too_long
from poseg.errors import PosegError
from poseg.fields import Fields
from poseg.geometry.boxes import CropXYXY
from poseg.io.images import Source, read_image
from poseg.people import People, Timings
from poseg.runtime.card import Card
from poseg.runtime.painter import Painter
from poseg.runtime.views import Poses, Seen, View
from poseg.transforms.letterbox import Letterbox, letterbox, plan

Floats = NDArray[np.float32]
Image = NDArray[np.uint8]
Choices = Decoding | PafDecoding

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

    def run_pair(self, first: Floats, second: Floats) -> tuple[Fields, Fields]:
        """`run` of both."""


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
    everywhere  with several sizes: whether all of the picture is looked at in every size. False begins with the second
                largest, takes smaller ones where somebody is too long in it, and looks in the largest at the part
                where people are for whom that is the best size (`codecs.suiting_look`): faster, and about as good.
                None: as the model is meant to, or, where sizes are given, True
    flip        its mirror image is looked at as well, and the fields are averaged; without `everywhere` that of the
                largest size alone, where it is worth most. None: as the model is meant to, or, where a size is given,
                not
    masks       False leaves the masks out, which saves time
    decoding    the other choices of the decoder; None takes those that find most
    painter     paints the masks, where there are any; None leaves that to the decoder, whose edges are coarser

    Settings out of range raise PosegError. One predictor may serve several threads.
    """

    session: Runner
    size_px: int | None = None
    max_people: int = 20
    min_score: float = 0.4
    scales: tuple[float, ...] | None = None
    everywhere: bool | None = None
    flip: bool | None = None
    masks: bool = True
    decoding: Choices | None = None
    painter: Painter | None = None

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
        if self.everywhere is None:
            object.__setattr__(self, "everywhere", card.everywhere or not meant or self.scales is not None)
        if not self.everywhere and self._averaged:
            raise PosegError(f"The model {card.name!r} averages what it sees in all sizes; give it everywhere=True.")
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
        """The first half of the road: what the network says of a picture. Raises ImageError, and FieldError.

        Where not all sizes are looked at everywhere, people are read on the way, to know where it is worth it.
        """
        picture = read_image(image, name=name)
        scales = self.scales or ()
        if self.everywhere or len(scales) == 1:
            return Seen(picture, tuple(self._view(picture, scale, flip=self.flip) for scale in scales))
        return Seen(picture, tuple(self._views_worth_it(picture, sorted(scales))))

    def decode(self, seen: Seen) -> People:
        """The second half: the people of what was seen. Raises FieldError."""
        start, spent = perf_counter(), seen.timings
        parts, choices = self.unpainted(seen), self._choices
        if self.painter is not None and all(part.claims for _, part in parts):
            people = surest(self.painter(seen.image, parts, exclusive=choices.exclusive), self.max_people)
        else:
            painted = [box.undo(part.painted(choices)) for box, part in parts]
            people = put_together(painted, self.max_people, choices.exclusive)
        return replace(
            people, timings=replace(spent, postprocess_ms=spent.postprocess_ms + 1e3 * (perf_counter() - start))
        )

    def unpainted(self, seen: Seen) -> list[tuple[Letterbox, Unpainted]]:
        """The people of what was seen before masks are painted, and where the inputs lie that they are on.

        Everybody is there once. Raises FieldError.
        """
        if len(self.scales or ()) == 1:
            return [(seen.box, self.session.codec.found(seen.fields, self._choices))]
        return self._agreed(seen, self._choices)

    def _views_worth_it(self, picture: Image, scales: list[float]) -> list[View]:
        """The whole picture in the second largest size, and what that says is worth looking at in others."""
        *smaller, middle, largest = scales
        longest_px = self._decoding.longest_px
        view = self._posed(self._view(picture, middle))
        views = [view]
        while smaller and too_long(self._poses(view), view.box.scale_xy, longest_px):
            view = self._posed(self._view(picture, smaller.pop()))
            views.append(view)
        people = [self._poses(view) for view in views]
        size = (picture.shape[0], picture.shape[1])
        window_xyxy = part_to_see(people, self._plan(size, largest).scale_xy, size, longest_px)
        if window_xyxy is None:
            return views
        return [*views, self._view(picture, largest, window_xyxy=window_xyxy, flip=self.flip)]

    def _agreed(self, seen: Seen, choices: Choices) -> list[tuple[Letterbox, Unpainted]]:
        """The people that the views agree on, each with what he claims in the view that suits him."""
        looks = [Look(self._poses(view), window_xyxy=view.box.window_xyxy, detail=view.detail) for view in seen.views]
        people, views = agree(looks).people, self._outlining(seen)
        boxes = [view.box for view in views]
        which = suiting_looks(
            people, [box.scale_xy for box in boxes], choices.longest_px, [box.shown_xyxy for box in boxes]
        )
        parts = []
        for number in np.unique(which) if len(people) else (len(views) - 1,):
            view = views[number]
            on_input = view.box.apply(people)
            parts.append((
                view.box, self.session.codec.claimed(view.fields, on_input, choices, shown=which == number)
            ))  # fmt: skip
        return parts

    def _posed(self, view: View) -> View:
        """The view with the people found in it."""
        start = perf_counter()
        poses = Poses(self._poses(view), self._each)
        spent = replace(view.timings, postprocess_ms=1e3 * (perf_counter() - start))
        return replace(view, poses=poses, timings=spent)

    def _poses(self, view: View) -> People:
        """The people found in a view, those known or else those read now."""
        if view.poses is not None and view.poses.choices == self._each:
            return view.poses.people
        return view.box.undo(self.session.codec.decode(view.fields, self._each))

    def _outlining(self, seen: Seen) -> list[View]:
        """The views that people are outlined in, the finest first; what looks average stands in that."""
        views = sorted(seen.views, key=lambda view: view.detail, reverse=True)
        names = self._averaged
        if names:
            box, fields = views[0].box, views[0].fields
            places = box.to_image(fields.grid.positions(*fields.shape_hw).reshape(2, -1).T)
            mean = averaged(fields, [(view.fields, view.box.to_input(places)) for view in views], names)
            views[0] = replace(views[0], fields=mean)
        return views

    @property
    def _averaged(self) -> tuple[str, ...]:
        return tuple(self.session.codec.averaged)

    @property
    def _decoding(self) -> Choices:
        return self.decoding or self.session.codec.best

    @property
    def _choices(self) -> Choices:
        """The choices that the people put out are read by."""
        return replace(self._decoding, max_people=self.max_people, min_score=self.min_score, masks=self.masks)

    @property
    def _each(self) -> Choices:
        """The choices that each of several views is read by."""
        return replace(self._decoding, max_people=MOST_IN_A_LOOK, min_score=LEAST_IN_A_LOOK, masks=False)

    def _view(
        self, picture: Image, scale: float, *, window_xyxy: CropXYXY | None = None, flip: bool | None = False
    ) -> View:
        """What the network makes of a picture, or of a part, in one size."""
        start, card = perf_counter(), self.session.card
        tensor, box = letterbox(
            picture, self._side_px(scale), multiple=card.size_multiple, remainder=card.size_remainder, mean=card.mean,
            std=card.std, window_xyxy=window_xyxy,
        )  # fmt: skip
        ready = perf_counter()
        fields = self._look(tensor, flip=bool(flip))
        return View(box, fields, Timings(1e3 * (ready - start), 1e3 * (perf_counter() - ready), 0.0))

    def _plan(self, size: tuple[int, int], scale: float) -> Letterbox:
        card = self.session.card
        return plan(size, self._side_px(scale), multiple=card.size_multiple, remainder=card.size_remainder)

    def _side_px(self, scale: float) -> int:
        return round((self.size_px or self.session.card.size_px) * scale)

    def _look(self, tensor: Floats, *, flip: bool) -> Fields:
        """What the network says of an input, alone or with its mirror image mirrored back."""
        if not flip:
            return self.session.run(tensor)
        fields, mirrored = self.session.run_pair(tensor, turned_round(tensor))
        codec = self.session.codec
        return fuse_fields([fields, mirror_fields(mirrored, codec.mirrors)], codec.skeleton)
