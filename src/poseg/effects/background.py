"""Effects on everything but people: blur, another background, grey, and nothing at all.

The people they are for stay as they are; everybody else belongs to the background. Where nobody is found, everything
is background.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.effects.bokeh import bokeh, widened
from poseg.effects.effect import Effect, Image, Outcome, Skipped
from poseg.effects.foreground import clean_colours
from poseg.effects.layers import lay, nowhere, together
from poseg.effects.matte import Matte, Window, mattes
from poseg.errors import EffectError, ShapeError
from poseg.people import People

Floats = NDArray[np.float32]
Colour = tuple[int, int, int]

MARGIN = 0.012  # of the picture's height: how far beyond people's edges their colour may still be


@dataclass(frozen=True, kw_only=True)
class Background(Effect):
    """What the effects on backgrounds share: the matte of the people who stay, and the two pictures put together."""

    def render(self, image: Image, people: People, chosen: tuple[int, ...]) -> Outcome:
        """The picture with another background."""
        made = mattes(image, people[list(chosen)])
        alpha, window = together(made, range(len(made)))
        behind = self.behind(image, alpha, window)
        out = cv2.addWeighted(image, 1 - self.strength, behind, self.strength, 0) if self.strength < 1 else behind
        out = np.asarray(out, np.uint8)
        out[window] = lay(out[window], self.in_front(image, alpha, window, behind), alpha)
        return Outcome(out, left_out(made, chosen))

    @abstractmethod
    def behind(self, image: Image, alpha: Floats, window: Window) -> Image:
        """The new background (H, W, 3), a picture of its own; alpha (h, w) is the people's matte on the window."""

    def in_front(self, image: Image, alpha: Floats, window: Window, behind: Image) -> Image:
        """The people's colours (h, w, 3) on the window; as they are where alpha is 1."""
        return image[window]


@dataclass(frozen=True, kw_only=True)
class Blur(Background):
    """The background out of focus, as behind a wide lens; people's colours do not run into it.

    radius  of the blur, in heights of the picture
    """

    name: ClassVar[str] = "blur"

    radius: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.radius <= 0.25:
            raise EffectError(f"The radius of a blur lies above 0 and at most at 0.25 heights, got {self.radius}.")

    def behind(self, image: Image, alpha: Floats, window: Window) -> Image:
        """The background, out of focus."""
        height = image.shape[0]
        covered = np.zeros(image.shape[:2], np.float32)
        covered[window] = alpha
        margin = max(round(MARGIN * height), 1)
        rows, columns = (
            slice(max(span.start - margin, 0), span.stop + margin) if span.stop > span.start else span
            for span in window
        )
        covered[rows, columns] = widened(covered[rows, columns], margin)
        return bokeh(image, covered, self.radius * height)


@dataclass(frozen=True, kw_only=True)
class Replace(Background):
    """Another background, a picture or a colour; the old one's colours are taken out of people's edges.

    image    (h, w, 3) uint8 RGB, scaled to cover the whole and cut evenly; None for the colour
    colour   red, green and blue, 0 to 255
    wrap     0 to 1: how much light of the new background falls on people's edges
    """

    name: ClassVar[str] = "replace"

    image: Image | None = field(default=None, compare=False)
    colour: Colour = (36, 92, 110)
    wrap: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        own = self.image
        if own is not None and (own.ndim != 3 or own.shape[2] != 3 or own.dtype != np.uint8 or not own.size):
            raise ShapeError("The new background", expected="(height, width, 3) uint8", got=own.shape)
        check_colour(self.colour)
        if not 0 <= self.wrap <= 1:
            raise EffectError(f"The wrap of light lies between 0 and 1, got {self.wrap}.")

    def settings(self) -> dict[str, Any]:
        """The settings as plain data; of a picture only its size."""
        return {**asdict(self), "image": None if self.image is None else list(self.image.shape)}

    def behind(self, image: Image, alpha: Floats, window: Window) -> Image:
        """The picture or colour, in the size of the image."""
        if self.image is None:
            row = np.tile(np.array(self.colour, np.uint8), (1, image.shape[1], 1))
            return row.repeat(image.shape[0], axis=0)
        return covering(self.image, (image.shape[0], image.shape[1]))

    def in_front(self, image: Image, alpha: Floats, window: Window, behind: Image) -> Image:
        """The people with clean edges, and light of the new background on them."""
        if not alpha.size:
            return image[window]
        people = clean_colours(image[window], alpha)
        if self.strength < 1:
            people = np.asarray(cv2.addWeighted(image[window], 1 - self.strength, people, self.strength, 0), np.uint8)
        return np.asarray(_lit(people, alpha, behind[window], self.wrap * self.strength), np.uint8)


@dataclass(frozen=True, kw_only=True)
class Grey(Background):
    """The background without colour."""

    name: ClassVar[str] = "grey"

    def behind(self, image: Image, alpha: Floats, window: Window) -> Image:
        """The picture in greys."""
        return np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)


@dataclass(frozen=True, kw_only=True)
class Cutout(Effect):
    """People alone, cut out: (H, W, 4) RGBA, colours not multiplied by their opacity.

    The background fades by `strength`; at 1 nothing of it is left in the file. At 0 the picture comes back as it is,
    (H, W, 3): nothing was cut.
    """

    name: ClassVar[str] = "cutout"

    def render(self, image: Image, people: People, chosen: tuple[int, ...]) -> Outcome:
        """The people, with alpha."""
        made = mattes(image, people[list(chosen)])
        alpha, window = together(made, range(len(made)))
        out = np.zeros((*image.shape[:2], 4), np.uint8)
        rest = 1 - self.strength
        if rest > 0:
            out[..., :3], out[..., 3] = image, round(255 * rest)
        if not alpha.size:
            return Outcome(out, left_out(made, chosen))
        opacity = alpha * np.float32(self.strength) + np.float32(rest)
        colours = clean_colours(image[window], alpha)
        if rest > 0:
            colours = np.asarray(cv2.addWeighted(image[window], rest, colours, self.strength, 0), np.uint8)
        level = np.rint(255 * opacity).astype(np.uint8)
        out[window] = cv2.copyTo(cv2.merge([*cv2.split(colours), level]), (level > 0).view(np.uint8))
        return Outcome(out, left_out(made, chosen))


def left_out(made: Sequence[Matte], chosen: Sequence[int]) -> tuple[Skipped, ...]:
    """Those without a matte among the chosen people, whose mattes are given in that order."""
    return tuple(Skipped(chosen[one.person], one.reason) for one in nowhere(made, range(len(made))))


def covering(picture: Image, size: tuple[int, int]) -> Image:
    """A picture scaled to cover `size` (height, width) and cut evenly on both sides."""
    height, width = size
    scale = max(height / picture.shape[0], width / picture.shape[1])
    rows, columns = min(picture.shape[0], height / scale), min(picture.shape[1], width / scale)
    y, x = (picture.shape[0] - rows) / 2, (picture.shape[1] - columns) / 2
    part = picture[int(y) : int(np.ceil(y + rows)), int(x) : int(np.ceil(x + columns))]
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(part, (width, height), interpolation=way), np.uint8)


def check_colour(colour: Colour) -> None:
    """Raise EffectError for what is not three numbers from 0 to 255."""
    if len(colour) != 3 or not all(0 <= level <= 255 for level in colour):
        raise EffectError(f"A colour is red, green and blue from 0 to 255, got {colour}.")


def _lit(people: Image, alpha: Floats, behind: Image, amount: float) -> Image:
    """People with light of the background on their edges, screened over them."""
    if amount <= 0:
        return people
    reach = 0.012 * float(np.sqrt(alpha.size))
    clear = cv2.addWeighted(alpha, -255, alpha, 0, 255, dtype=cv2.CV_8U)
    thin = cv2.blur(clear, (2 * max(round(reach), 1) + 1,) * 2)
    thin = cv2.threshold(thin, 2, 0, cv2.THRESH_TOZERO)[1]
    small = max(alpha.shape[1] // 4, 1), max(alpha.shape[0] // 4, 1)
    whole = behind[: 4 * small[1], : 4 * small[0]]  # squares of four pixels shrink quickest
    light = cv2.blur(cv2.resize(whole, small, interpolation=cv2.INTER_AREA), (2 * max(round(reach / 2), 1) + 1,) * 2)
    light = cv2.resize(light, alpha.shape[::-1], interpolation=cv2.INTER_LINEAR)
    shade = cv2.bitwise_not(cv2.multiply(light, cv2.merge([thin] * 3), scale=amount / 255))
    return np.asarray(cv2.bitwise_not(cv2.multiply(cv2.bitwise_not(people), shade, scale=1 / 255)), np.uint8)
