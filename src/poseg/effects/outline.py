"""A line or a glow around people. Both lie behind them, and in front of those who stand farther away."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.effects.body import bodies, depth_order
from poseg.effects.compositing import alpha_blend, missing_people, padded_window, union
from poseg.effects.effect import Colour, Effect, EffectResult, Image, check_colour
from poseg.effects.matte import Matte, Mattes, Window
from poseg.errors import EffectError
from poseg.people import People

Floats = NDArray[np.float32]

# The body scale of a person with too few joints, in square roots of the area of the matte.
SCALE_OF_AREA = 0.4
LEVELS = 256  # of light, in the table of what a glow makes of them


@dataclass(frozen=True, kw_only=True)
class Contour(Effect):
    """What a line and a glow have in common: how far they reach, and what covers them.

    colour    red, green and blue, 0 to 255
    width     how far it reaches, in body scales (the breadth of the shoulders, see `body.Body.scale_px`)
    width_px  the same in pixels; comes before `width`
    """

    colour: Colour = (255, 255, 255)
    width: float = 0.06
    width_px: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_colour(self.colour)
        if not 0 < self.width <= 5 or (self.width_px is not None and not 0 < self.width_px <= 1000):
            raise EffectError(
                "The width of a contour lies above 0, and at most at 5 body scales or 1000 pixels, "
                f"got {self.width if self.width_px is None else self.width_px}."
            )

    def render(self, image: Image, people: People, selected: tuple[int, ...]) -> EffectResult:
        """The image with contours, far people first."""
        mattes, measured = Mattes(image, people), bodies(people)
        order = depth_order(measured, image.shape[0])
        out = image.copy()
        for rank, person in enumerate(order):
            if person not in selected or mattes[person].empty:
                continue
            matte = mattes[person]
            scale = measured[person].scale_px or SCALE_OF_AREA * float(np.sqrt(matte.alpha.sum()))
            reach = max(self.width * scale if self.width_px is None else self.width_px, 1.0)
            padding = int(np.ceil(1.5 * reach)) + 2
            window = padded_window(matte.window, padding, padding, image.shape)
            alpha = self.coverage(matte, window, reach) * np.float32(self.strength)
            alpha *= 1 - union([mattes[other] for other in order[rank:]], window)
            out[window] = self.blend(out[window], alpha)
        return EffectResult(out, missing_people(selected, [mattes[person] for person in selected]))

    @abstractmethod
    def coverage(self, matte: Matte, window: Window, reach_px: float) -> Floats:
        """How much of each pixel (h, w) of the window it colours behind the person."""

    def blend(self, under: Image, alpha: Floats) -> Image:
        """The colour over a part of the image."""
        return alpha_blend(under, self.colour, alpha)


@dataclass(frozen=True, kw_only=True)
class Outline(Contour):
    """A line around people, as around a cut-out sticker."""

    name: ClassVar[str] = "outline"

    def coverage(self, matte: Matte, window: Window, reach_px: float) -> Floats:
        """All within the width of the person's rounded shape."""
        return np.asarray(np.clip(reach_px + 0.5 - distance(matte, window, 0.4 * reach_px), 0, 1), np.float32)


@dataclass(frozen=True, kw_only=True)
class Glow(Contour):
    """Light around people that fades outwards."""

    name: ClassVar[str] = "glow"

    colour: Colour = (90, 200, 255)
    width: float = 0.45

    def coverage(self, matte: Matte, window: Window, reach_px: float) -> Floats:
        """1 at the person, fading to 0 at the width."""
        near = np.clip(1 - distance(matte, window, 0.06 * reach_px) / np.float32(reach_px), 0, 1)
        return np.asarray(near * near * (3 - 2 * near) * near, np.float32)

    def blend(self, under: Image, alpha: Floats) -> Image:
        """Half laid on, so that it shows on white, half added, so that it shines; white where it is strongest."""
        light = np.linspace(0, 1, LEVELS, dtype=np.float32)[:, None]
        hot = np.asarray(self.colour, np.float32) * (1 - 0.6 * light**4) + 255 * 0.6 * light**4
        # laid = before (1 - 0.65 light) + hot 0.65 light, then screened with 0.6 light hot: linear in what was before.
        through = 1 - 0.6 * light * hot / 255
        factor, addend = (1 - 0.65 * light) * through, 255 - (255 - 0.65 * light * hot) * through
        level = cv2.merge([np.rint(alpha * (LEVELS - 1)).astype(np.uint8)] * 3)
        factors, addends = (cv2.LUT(level, table.astype(np.float32)[None]) for table in (factor, addend))
        return np.asarray(cv2.add(cv2.multiply(under, factors, dtype=cv2.CV_32F), addends, dtype=cv2.CV_8U), np.uint8)


def distance(matte: Matte, window: Window, rounding_px: float) -> Floats:
    """Pixels from a person's shape (h, w) on a window, 0 inside; corners of the shape are rounded so much."""
    alpha = matte.crop_to(window)
    if rounding_px >= 0.5:
        alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), rounding_px), np.float32)
    inside = alpha >= 0.5
    away = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    # The contour lies between the last pixel inside and the first outside, where the blurred matte crosses one half.
    return np.asarray(np.maximum(away - np.float32(0.5), 0), np.float32)
