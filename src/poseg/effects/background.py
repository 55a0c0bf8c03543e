"""Effects on everything but people: blur, another background, grey, and nothing at all.

The people they are for stay as they are; all other people belong to the background. Without people, everything is
background.

A plain blur mixes the colours of people into the background around them: the halo. `bokeh` averages background only,

    B = K * (I w) / (K * w),   w = 1 - alpha of the people, slightly dilated                                (1)

with a disc K, in linear light, so that small lights become bright discs.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.effects.compositing import (
    alpha_blend,
    dilate,
    estimate_foreground,
    merge_mattes,
    missing_people,
    padded_window,
)
from poseg.effects.effect import Colour, Effect, EffectResult, Image, check_colour
from poseg.effects.matte import Mattes, Window
from poseg.errors import EffectError, ShapeError
from poseg.geometry.grid import PIXEL_CENTRE, pixel_centres
from poseg.people import People

Floats = NDArray[np.float32]

MARGIN = 0.012  # of the image's height: how far beyond people's edges their colour may still be
GAMMA = 2.2
# The blur works on the image made so small that its disc has this radius: a wider one shows no finer detail.
WORKING_RADIUS_PX = 6.0
TO_LINEAR: Floats = ((np.arange(256, dtype=np.float32) / 255) ** GAMMA).astype(np.float32)
FROM_LINEAR: Image = np.rint(255 * (np.arange(4097) / 4096) ** (1 / GAMMA)).astype(np.uint8)


@dataclass(frozen=True, kw_only=True)
class Background(Effect):
    """What the effects on backgrounds have in common: the people's matte, and people over a background."""

    def render(self, image: Image, people: People, selected: tuple[int, ...]) -> EffectResult:
        """The image with another background."""
        mattes = list(Mattes(image, people[list(selected)]))
        alpha, window = merge_mattes(mattes)
        behind = self.behind(image, alpha, window)
        out = cv2.addWeighted(image, 1 - self.strength, behind, self.strength, 0) if self.strength < 1 else behind
        out = np.asarray(out, np.uint8)
        out[window] = alpha_blend(out[window], self.in_front(image, alpha, window, behind), alpha)
        return EffectResult(out, missing_people(selected, mattes))

    @abstractmethod
    def behind(self, image: Image, alpha: Floats, window: Window) -> Image:
        """The new background (H, W, 3), a new array; alpha (h, w) is the people's matte on the window."""

    def in_front(self, image: Image, alpha: Floats, window: Window, behind: Image) -> Image:
        """The people's colours (h, w, 3) on the window; unchanged where alpha is 1."""
        return image[window]


@dataclass(frozen=True, kw_only=True)
class Blur(Background):
    """The background out of focus, as behind a wide lens; people's colours do not run into it.

    radius  of the blur, in heights of the image
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
        if alpha.size:
            margin = max(round(MARGIN * height), 1)
            around = padded_window(window, margin, margin, image.shape)
            covered[around] = dilate(covered[around], margin)
        return bokeh(image, covered, self.radius * height)


@dataclass(frozen=True, kw_only=True)
class Replace(Background):
    """Another background, an image or a colour; the old one's colours are taken out of people's edges.

    image   (h, w, 3) uint8 RGB, scaled to cover the whole and cropped evenly; None for the colour
    colour  red, green and blue, 0 to 255
    wrap    0 to 1: how much light of the new background falls on people's edges
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

    def behind(self, image: Image, alpha: Floats, window: Window) -> Image:
        """The new background in the size of the image."""
        if self.image is None:
            out = np.empty_like(image)
            out[:] = self.colour
            return out
        return resize_to_cover(self.image, (image.shape[0], image.shape[1]))

    def in_front(self, image: Image, alpha: Floats, window: Window, behind: Image) -> Image:
        """The people with clean edges, and light of the new background on them."""
        if not alpha.size:
            return image[window]
        people = estimate_foreground(image[window], alpha)
        if self.strength < 1:
            people = np.asarray(cv2.addWeighted(image[window], 1 - self.strength, people, self.strength, 0), np.uint8)
        return _light_wrap(people, alpha, behind[window], self.wrap * self.strength)


@dataclass(frozen=True, kw_only=True)
class Grey(Background):
    """The background without colour."""

    name: ClassVar[str] = "grey"

    def behind(self, image: Image, alpha: Floats, window: Window) -> Image:
        """The image in greys."""
        return np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)


@dataclass(frozen=True, kw_only=True)
class Cutout(Effect):
    """People alone, cut out: (H, W, 4) RGBA, colours not premultiplied.

    The background fades by `strength`; at 1 nothing of it is left in the file. At 0 the image comes back as it is,
    (H, W, 3): nothing was cut.
    """

    name: ClassVar[str] = "cutout"
    removes_background: ClassVar[bool] = True

    def render(self, image: Image, people: People, selected: tuple[int, ...]) -> EffectResult:
        """The people, with alpha."""
        mattes = list(Mattes(image, people[list(selected)]))
        alpha, window = merge_mattes(mattes)
        out = np.zeros((*image.shape[:2], 4), np.uint8)
        rest = 1 - self.strength
        if rest > 0:
            out[..., :3], out[..., 3] = image, round(255 * rest)
        if alpha.size:
            opacity = alpha * np.float32(self.strength) + np.float32(rest)
            colours = estimate_foreground(image[window], alpha)
            if rest > 0:
                colours = np.asarray(cv2.addWeighted(image[window], rest, colours, self.strength, 0), np.uint8)
            level = np.rint(255 * opacity).astype(np.uint8)
            out[window] = cv2.copyTo(cv2.merge([*cv2.split(colours), level]), (level > 0).view(np.uint8))
        return EffectResult(out, missing_people(selected, mattes))


def resize_to_cover(image: Image, size: tuple[int, int]) -> Image:
    """An image scaled to cover `size` (height, width) and cropped evenly on both sides."""
    height, width = size
    scale = max(height / image.shape[0], width / image.shape[1])
    rows, columns = min(image.shape[0], height / scale), min(image.shape[1], width / scale)
    y, x = (image.shape[0] - rows) / 2, (image.shape[1] - columns) / 2
    part = image[int(y) : int(np.ceil(y + rows)), int(x) : int(np.ceil(x + columns))]
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(part, (width, height), interpolation=interpolation), np.uint8)


def bokeh(image: Image, people: Floats, radius_px: float) -> Image:
    """The background (H, W, 3) uint8 out of focus; where people are, it is continued from around them.

    people     (H, W) float32, how much of each pixel is people; none of their colour comes in
    radius_px  of the disc
    """
    height, width = image.shape[:2]
    shrink = max(1.0, radius_px / WORKING_RADIUS_PX)
    size = max(round(width / shrink), 1), max(round(height / shrink), 1)
    if shrink >= 2:  # halved in whole numbers first, which is quick
        image = np.asarray(cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.uint8)
    light = np.asarray(cv2.LUT(image, TO_LINEAR), np.float32)
    weight = 1 - people
    if shrink > 1:
        light = np.asarray(cv2.resize(light, size, interpolation=cv2.INTER_AREA), np.float32)
        weight = np.asarray(cv2.resize(weight, size, interpolation=cv2.INTER_AREA), np.float32)
    kernel = disc(radius_px / shrink)
    # Far inside a person there is no background near: a trace of a much wider average is used there.
    wide = round(max(size) / 8) | 1
    weighted = np.concatenate([light * weight[..., None], weight[..., None]], axis=2)
    near = cv2.filter2D(weighted, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    far = cv2.blur(weighted, (wide, wide), borderType=cv2.BORDER_REPLICATE)
    total = near + np.float32(1e-3) * far
    mean = total[..., :3] / np.maximum(total[..., 3:], 1e-6)
    small = FROM_LINEAR[np.rint(np.clip(mean, 0, 1) * 4096).astype(np.uint16)]
    if shrink == 1:
        return small
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def disc(radius_px: float) -> Floats:
    """A disc of sum 1 with a soft rim, on an odd square."""
    half = int(np.ceil(radius_px))
    across = pixel_centres(np.arange(-half, half + 1)) - np.float32(PIXEL_CENTRE)
    kernel = np.clip(radius_px + 0.5 - np.hypot(across[:, None], across[None, :]), 0, 1)
    return np.asarray(kernel / kernel.sum(), np.float32)


def _light_wrap(people: Image, alpha: Floats, behind: Image, amount: float) -> Image:
    """People with light of the background on their edges, screened over them."""
    if amount <= 0:
        return people
    reach = 0.012 * float(np.sqrt(alpha.size))
    clear = cv2.addWeighted(alpha, -255, alpha, 0, 255, dtype=cv2.CV_8U)
    edge = cv2.blur(clear, (2 * max(round(reach), 1) + 1,) * 2)
    edge = cv2.threshold(edge, 2, 0, cv2.THRESH_TOZERO)[1]
    small = max(alpha.shape[1] // 4, 1), max(alpha.shape[0] // 4, 1)
    whole = behind[: 4 * small[1], : 4 * small[0]]  # squares of four pixels shrink quickest
    light = cv2.blur(cv2.resize(whole, small, interpolation=cv2.INTER_AREA), (2 * max(round(reach / 2), 1) + 1,) * 2)
    light = cv2.resize(light, alpha.shape[::-1], interpolation=cv2.INTER_LINEAR)
    shade = cv2.bitwise_not(cv2.multiply(light, cv2.merge([edge] * 3), scale=amount / 255))
    return np.asarray(cv2.bitwise_not(cv2.multiply(cv2.bitwise_not(people), shade, scale=1 / 255)), np.uint8)
