"""A view: what a network made of an image, or a part of it, at one scale."""

from __future__ import annotations

from dataclasses import dataclass

from poseg.fields import Fields
from poseg.people import People, Timings
from poseg.transforms.letterbox import Crop, Letterbox


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """An image at one scale, whole or cropped, with its fields and the poses in it.

    letterbox  where it lies on the network's input
    fields     over that input; of the image and its flip, their mean
    people     the poses detected in it, highest score first, in pixels of the image
    timings    milliseconds of each step
    """

    letterbox: Letterbox
    fields: Fields
    people: People
    timings: Timings
    weight: float = 1.0

    @property
    def scale(self) -> float:
        """Input pixels per image pixel."""
        return max(self.letterbox.scale_xy)

    @property
    def crop_xyxy(self) -> Crop | None:
        """The part of the image that is shown; all of it where None."""
        return self.letterbox.crop_xyxy
