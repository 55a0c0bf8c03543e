"""Winged: wings at the shoulders, behind a person seen from the front, in front of the back of one seen from behind.

Each wing is a flat image hinged at its root beside the spine and swept back. It rotates with the torso about the
torso's axis, is seen in weak perspective, and lies in the shoulder line's frame: x along the shoulders, y down.
With S the body scale and T the length of the torso, its yaw is estimated from how short the shoulder line is,

    cos(yaw) = clip(|left shoulder - right shoulder| / (0.7 T), 0.35, 1)                                  (1)

and its sign from the side of the neck that the nose is on; whether the back is seen, from `Body.facing`. What is
nearer hides the wing: with a its alpha and o that
of the person and of all people nearer, out = image (1 - a (1 - o)) + colour a (1 - o), so pixels with o = 1 stay bit
for bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from poseg.effects.artwork import Art, art_names, check_rgba, draw_art, load_art
from poseg.effects.body import Body, bodies, depth_order
from poseg.effects.effect import Effect, EffectResult, Image, SkippedPerson
from poseg.effects.matte import Mattes
from poseg.errors import EffectError
from poseg.people import People

Points = NDArray[np.float64]
Anchors = tuple[tuple[float, float], tuple[float, float]]

ROOT_OFFSET = 0.16  # of bundled wings from the spine, in S
SHOULDERS_OF_TORSO = 0.7
MIN_COS = 0.35
DROP = 0.15  # of S: wings join the back below the shoulder line
DEPTH = 0.1  # of S: and behind it
SWEEP_DEG = 16.0  # back from the plane of the shoulders, at rest
CAMERA = 12.0  # distance of the camera in S
NOSE_OFFSET = 0.12  # of S: with the nose this far beside the neck the torso is turned
MIN_AREA = 0.02  # of the wing seen flat: a wing seen on its edge is not drawn


class WingPair(NamedTuple):
    """Two wings, as on the left and on the right of the image, and the distance of each root from the spine in S."""

    left: Art
    right: Art
    root_offset: float


@dataclass(frozen=True, kw_only=True)
class Winged(Effect):
    """Wings for all people whose shoulders were detected.

    style     angel, bat, butterfly, fairy or morpho
    image     (H, W, 4) uint8 RGBA of a pair of wings seen from the front, instead of a style; colours not
              premultiplied
    anchors   where the image's left and right wing join the shoulders, (x, y) in fractions of width and height; the
              distance between them becomes that between the shoulders
    size      1 for wings as drawn
    flap_hz   beats per second, read from `time_s`; 0 keeps them still
    flap_deg  how far they beat
    strength  their opacity

    At `time_s` 0 wings are at rest. Raises EffectError for an unknown style and for settings out of range.
    """

    name: ClassVar[str] = "winged"

    style: str = "angel"
    image: Image | None = field(default=None, compare=False)
    anchors: Anchors = ((0.44, 0.5), (0.56, 0.5))
    size: float = 1.0
    flap_hz: float = 1.2
    flap_deg: float = 12.0

    def __post_init__(self) -> None:
        super().__post_init__()
        styles = art_names("wings")
        if self.image is None and self.style not in styles:
            raise EffectError(
                f"There are no {self.style!r} wings; there are {', '.join(styles)}, or give an image of your own."
            )
        if not 0 < self.size <= 10:
            raise EffectError(f"The size of wings is above 0 and at most 10, got {self.size}.")
        if self.flap_hz < 0 or not 0 <= self.flap_deg <= 60:
            raise EffectError(
                f"Wings beat 0 or more times a second by 0 to 60 degrees, got {self.flap_hz} and {self.flap_deg}."
            )
        if self.image is not None:
            split_wing_pair(self.image, self.anchors)

    def render(self, image: Image, people: People, selected: tuple[int, ...]) -> EffectResult:
        """The image with wings; people without shoulders are skipped."""
        measured = bodies(people)
        skipped = tuple(
            SkippedPerson(person, measured[person].missing_reason("left_shoulder", "right_shoulder"))
            for person in selected
            if measured[person].shoulders is None or measured[person].scale_px is None
        )
        without = {skip.person for skip in skipped}
        order = depth_order(measured, image.shape[0])
        mattes = Mattes(image, people)
        canvas = image.copy()
        for rank, person in enumerate(order):
            if person in selected and person not in without:
                behind = measured[person].seen_from_behind
                occluders = [mattes[other] for other in order[rank + behind :]]
                for wing, quad in self.placed(measured[person]):
                    draw_art(canvas, wing, quad, occluders, self.strength)
        return EffectResult(canvas, skipped)

    def placed(self, body: Body) -> list[tuple[Art, Points]]:
        """The wings of one person, the farther first, each with the (4, 2) image points of its corners.

        Corners run clockwise from the top left. Nothing for a body without shoulders.
        """
        scale, shoulders = body.scale_px, body.shoulders
        if scale is None or shoulders is None:
            return []
        unit = scale * self.size
        left, right, root_offset = self._pair()
        across = (shoulders[1] - shoulders[0]) / np.linalg.norm(shoulders[1] - shoulders[0])
        frame = np.stack([across, [-across[1], across[0]]])
        down = frame[1] if body.down is None else body.down
        base = (shoulders[0] + shoulders[1]) / 2 + DROP * scale * down
        cosine, side = _yaw(body, scale, across)
        towards_us = 1 if body.seen_from_behind else -1
        beat = np.sin(2 * np.pi * self.flap_hz * self.time_s) * np.deg2rad(self.flap_deg)
        placed = []
        for wing, sign in ((left, -1), (right, 1)):
            local, depth = _hinged(wing, sign, root_offset / self.size, beat, (cosine, side), towards_us)
            quad = base + unit * local @ frame
            if _area(quad) >= MIN_AREA * wing.area * unit**2:
                placed.append((depth, wing, quad))
        return [(wing, quad) for _, wing, quad in sorted(placed, key=lambda entry: entry[0])]

    def _pair(self) -> WingPair:
        return bundled_pair(self.style) if self.image is None else split_wing_pair(self.image, self.anchors)


@cache
def bundled_pair(style: str) -> WingPair:
    """The wings of a style."""
    wing = load_art("wings", style)
    return WingPair(wing.flipped(), wing, ROOT_OFFSET)


def split_wing_pair(image: Image, anchors: Anchors) -> WingPair:
    """Two wings from one image, cut down its centre between the anchors; the unit is the distance between them.

    image    (H, W, 4) uint8 RGBA, colours not premultiplied
    anchors  (x, y) on the left and on the right that go onto the shoulders, in fractions of width and height

    Raises ShapeError for an image without alpha, EffectError for anchors that are not left and right of each other.
    """
    check_rgba(image)
    height, width = image.shape[:2]
    (left_x, left_y), (right_x, right_y) = ((x * width, y * height) for x, y in anchors)
    unit = right_x - left_x
    if unit < 1:
        raise EffectError("The first anchor of wings lies on the left, the second on the right of it, 1 px at least.")
    centre = int(np.clip(round((left_x + right_x) / 2), 1, max(1, width - 1)))
    left = (-left_x / unit, -left_y / unit, (centre - left_x) / unit, (height - left_y) / unit)
    right = ((centre - right_x) / unit, -right_y / unit, (width - right_x) / unit, (height - right_y) / unit)
    return WingPair(Art.from_rgba(image[:, :centre], left), Art.from_rgba(image[:, centre:], right), 0.5)


def _yaw(body: Body, scale: float, across: Points) -> tuple[float, float]:
    """Cosine of the torso's yaw, equation (1), and its side: 1 facing the image's right, -1 the left, 0 unknown."""
    if body.shoulders is None or body.torso_px is None or body.torso_px == 0:
        return 1.0, 0.0
    length = float(np.linalg.norm(body.shoulders[1] - body.shoulders[0]))
    cosine = float(np.clip(length / (SHOULDERS_OF_TORSO * body.torso_px), MIN_COS, 1))
    nose = body.joint("nose")
    if nose is None or body.neck is None:
        return cosine, 0.0
    return cosine, float(np.tanh((nose - body.neck) @ across / (NOSE_OFFSET * scale)))


def _hinged(
    wing: Art, sign: int, root_offset: float, beat: float, yaw: tuple[float, float], towards_us: int
) -> tuple[Points, float]:  # fmt: skip
    """(4, 2) corners of a wing in the shoulder frame, in S about the base, and how near its centre is.

    towards_us  1 where wings point to the camera, as on a back that is seen, else -1
    """
    cosine, side = yaw
    flat = wing.corners
    rotation = np.array([[np.cos(beat), sign * np.sin(beat)], [-sign * np.sin(beat), np.cos(beat)]])
    flat = flat @ rotation.T
    sweep = np.deg2rad(SWEEP_DEG) + 0.8 * beat
    outwards = sign * flat[:, 0]
    x = sign * (root_offset + outwards * np.cos(sweep))
    z = towards_us * (DEPTH + outwards * np.sin(sweep))
    sine = -towards_us * side * np.sqrt(1 - cosine**2)
    yawed_x, yawed_z = x * cosine + z * sine, z * cosine - x * sine
    nearness = 1 / (1 - yawed_z / CAMERA)
    return np.stack([yawed_x, flat[:, 1]], axis=1) * nearness[:, None], float(yawed_z.mean())


def _area(quad: Points) -> float:
    x, y = quad.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
