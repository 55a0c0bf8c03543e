"""What a network made of a picture, view by view: what people are read from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseg.codecs import Decoding, PafDecoding
from poseg.fields import Fields
from poseg.people import People, Timings
from poseg.transforms.letterbox import Letterbox


@dataclass(frozen=True, slots=True, eq=False)
class Poses:
    """The people of one view alone, without masks, in pixels of the picture, and the choices they were read by."""

    people: People
    choices: Decoding | PafDecoding


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What the network made of a picture, or of a part of it, in one size.

    box      where that lies on the network's input
    fields   over that input; of the picture and its mirror image, their mean
    timings  milliseconds spent on the way to the network, in it, and on `poses`
    poses    the people in it, where they were asked for to know which other views are worth it
    """

    box: Letterbox
    fields: Fields
    timings: Timings
    poses: Poses | None = None

    @property
    def detail(self) -> float:
        """Pixels of the input in one of the picture."""
        return max(self.box.scale_xy)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the network made of a picture.

    image  (H, W, 3) uint8 RGB as it was read
    views  one for each size that it was looked at in; one of them at least shows all of it
    """

    image: NDArray[np.uint8]
    views: tuple[View, ...]

    @property
    def finest(self) -> View:
        """The view in the largest size that shows all of the picture."""
        return max((view for view in self.views if view.box.window_xyxy is None), key=lambda view: view.detail)

    @property
    def box(self) -> Letterbox:
        """Where the picture lies on the input of `finest`."""
        return self.finest.box

    @property
    def fields(self) -> Fields:
        """The fields of `finest`."""
        return self.finest.fields

    @property
    def timings(self) -> Timings:
        """Milliseconds spent on all views."""
        return sum((view.timings for view in self.views), Timings(0.0, 0.0, 0.0))
