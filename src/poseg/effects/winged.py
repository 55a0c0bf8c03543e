"""Winged: wings at the shoulders, behind the person and in front of the background.

Each wing is a flat picture hinged at its root beside the spine and swept back. It turns with the torso about the
torso's axis, is seen in weak perspective, and lies in the shoulder line's frame: x along the shoulders, y down.
With S the body scale and T the length of the torso, the turn comes from how short the shoulder line looks,

    cos(yaw) = clip(|left shoulder - right shoulder| / (0.7 T), 0.35, 1)                                  (1)

and its side from where the nose stands. What is nearer hides the wing: with a its alpha and o that of the person and
of everybody nearer, out = image (1 - a (1 - o)) + colour a (1 - o), so pixels with o = 1 stay bit for bit.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.effects.body import Body, bodies, depth_order
from poseg.effects.effect import Effect, Image, Outcome, Skipped
from poseg.effects.layers import around, union
from poseg.effects.matte import Matte, mattes
from poseg.effects.wing_art import Bytes, Points, Wing, WingPair, cut_pair, shrunk
from poseg.effects.wing_styles import STYLES, drawn_pair, fineness
from poseg.errors import EffectError
from poseg.geometry.grid import PIXEL_CENTRE
from poseg.people import People

SHOULDERS_OF_TORSO = 0.7
LEAST_COS = 0.35
DROP = 0.15  # of S: wings join the back below the shoulder line
DEPTH = 0.1  # of S: and behind it
SWEEP_DEG = 16.0  # back from the plane of the shoulders, at rest
CAMERA = 12.0  # distance of the camera in S
TURNED = 0.12  # of S: the nose this far beside the neck is a torso turned for sure
LEAST_AREA = 0.02  # of the wing seen flat: a wing seen on its edge is not drawn


@dataclass(frozen=True, kw_only=True)
class Winged(Effect):
    """Wings for everybody whose shoulders were found.

    style     angel, bat, butterfly, fairy or morpho: wings drawn at any size
    art       (H, W, 4) uint8 RGBA of a pair of wings seen from the front, instead of a style; colours not
              multiplied by alpha
    anchors   where the art's left and right wing join the shoulders, (x, y) in shares of width and height; the
              distance between them becomes that between the shoulders
    size      1 for wings as drawn
    flap_hz   beats a second, read from `time_s`; 0 keeps them still
    flap_deg  how far they beat
    strength  their opacity

    At `time_s` 0 wings are at rest. Raises EffectError for an unknown style and for settings out of range.
    """

    name: ClassVar[str] = "winged"

    style: str = "angel"
    art: NDArray[np.uint8] | None = field(default=None, compare=False)
    anchors: tuple[tuple[float, float], tuple[float, float]] = ((0.44, 0.5), (0.56, 0.5))
    size: float = 1.0
    flap_hz: float = 1.2
    flap_deg: float = 12.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.art is None and self.style not in STYLES:
            raise EffectError(
                f"There are no {self.style!r} wings; there are {', '.join(STYLES)}, or give art of your own."
            )
        if not 0 < self.size <= 10:
            raise EffectError(f"The size of wings is above 0 and at most 10, got {self.size}.")
        if self.flap_hz < 0 or not 0 <= self.flap_deg <= 60:
            raise EffectError(
                f"Wings beat 0 or more times a second by 0 to 60 degrees, got {self.flap_hz} and {self.flap_deg}."
            )
        if self.art is not None:
            cut_pair(self.art, self.anchors)

    def settings(self) -> dict[str, Any]:
        """The settings as plain data; of art only its size."""
        return {**asdict(self), "art": None if self.art is None else list(self.art.shape)}

    def render(self, image: Image, people: People, chosen: tuple[int, ...]) -> Outcome:
        """The picture with wings; people without shoulders are left out."""
        measured = bodies(people)
        skipped = tuple(
            Skipped(person, measured[person].why("left_shoulder", "right_shoulder"))
            for person in chosen
            if measured[person].shoulders is None or measured[person].scale_px is None
        )
        left_out = {skip.person for skip in skipped}
        order = depth_order(measured, image.shape[0])
        shapes = mattes(image, people) if len(left_out) < len(chosen) else ()
        own = None if self.art is None else cut_pair(self.art, self.anchors)
        canvas = image.copy()
        for rank, person in enumerate(order):
            if person in chosen and person not in left_out:
                hiding = [shapes[other] for other in order[rank:]]
                for wing, quad in self.placed(measured[person], own):
                    _lay_behind(canvas, wing, quad, hiding, self.strength)
        return Outcome(canvas, skipped)

    def placed(self, body: Body, own: WingPair | None = None) -> list[tuple[Wing, Points]]:
        """The wings of one person, the farther first, each with the (4, 2) image points of its picture's corners.

        Corners run clockwise from the picture's top left. `own` is a pair cut from art; None draws the style.
        Nothing for a body without shoulders.
        """
        scale, shoulders = body.scale_px, body.shoulders
        if scale is None or shoulders is None:
            return []
        unit = scale * self.size
        pair = drawn_pair(self.style, fineness(unit)) if own is None else own
        across = (shoulders[1] - shoulders[0]) / np.linalg.norm(shoulders[1] - shoulders[0])
        frame = np.stack([across, [-across[1], across[0]]])
        down = frame[1] if body.down is None else body.down
        base = (shoulders[0] + shoulders[1]) / 2 + DROP * scale * down
        cosine, side = _turn(body, scale, across)
        beat = np.sin(2 * np.pi * self.flap_hz * self.time_s) * np.deg2rad(self.flap_deg)
        placed = []
        for wing, sign in ((pair.left, -1), (pair.right, 1)):
            local, depth = _hinged(wing, sign, pair.root_offset / self.size, beat, cosine, side)
            quad = base + unit * local @ frame
            if _area(quad) >= LEAST_AREA * wing.pixels[..., 0].size * (unit / wing.px_per_unit) ** 2:
                placed.append((depth, shrunk(wing, unit), quad))
        return [(wing, quad) for _, wing, quad in sorted(placed, key=lambda entry: entry[0])]


def _turn(body: Body, scale: float, across: Points) -> tuple[float, float]:
    """Cosine of the torso's turn, equation (1), and its side: 1 facing the image's right, -1 the left, 0 unknown."""
    if body.shoulders is None or body.torso_px is None or body.torso_px == 0:
        return 1.0, 0.0
    looks = float(np.linalg.norm(body.shoulders[1] - body.shoulders[0]))
    cosine = float(np.clip(looks / (SHOULDERS_OF_TORSO * body.torso_px), LEAST_COS, 1))
    nose = body.joint("nose")
    if nose is None or body.neck is None:
        return cosine, 0.0
    return cosine, float(np.tanh((nose - body.neck) @ across / (TURNED * scale)))


def _hinged(wing: Wing, sign: int, root_offset: float, beat: float, cosine: float, side: float) -> tuple[Points, float]:
    """(4, 2) corners of a wing's picture in the shoulder frame, in S about the base, and how near its middle is."""
    height, width = wing.pixels.shape[:2]
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    flat = (corners - wing.root) / wing.px_per_unit
    turn = np.array([[np.cos(beat), sign * np.sin(beat)], [-sign * np.sin(beat), np.cos(beat)]])
    flat = flat @ turn.T
    sweep = np.deg2rad(SWEEP_DEG) + 0.8 * beat
    outwards = sign * flat[:, 0]
    x = sign * (root_offset + outwards * np.cos(sweep))
    z = -DEPTH - outwards * np.sin(sweep)
    sine = side * np.sqrt(1 - cosine**2)
    turned_x, turned_z = x * cosine + z * sine, z * cosine - x * sine
    nearness = 1 / (1 - turned_z / CAMERA)
    return np.stack([turned_x, flat[:, 1]], axis=1) * nearness[:, None], float(turned_z.mean())


def _lay_behind(canvas: Bytes, wing: Wing, quad: Points, hiding: list[Matte], opacity: float) -> None:
    """Paint a wing into the canvas where no matte of `hiding` covers it."""
    window = around(quad.min(axis=0) - 1, quad.max(axis=0) + 1, canvas.shape)
    if window is None:
        return
    rows, columns = window
    size = columns.stop - columns.start, rows.stop - rows.start
    warped = _warped(wing.pixels, quad - (columns.start, rows.start), size)
    visible = np.float32(opacity) * (1 - union(hiding, window))
    layer = warped.astype(np.float32) * visible[..., None]
    under = canvas[window].astype(np.float32)
    under *= 1 - layer[..., 3:] * np.float32(1 / 255)
    under += layer[..., :3]
    canvas[window] = np.rint(under).astype(np.uint8)


def _warped(pixels: Bytes, quad: Points, size: tuple[int, int]) -> Bytes:
    """The picture with its corners on `quad`, (h, w, 4) of `size` (width, height); clear outside."""
    height, width = pixels.shape[:2]
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32) - np.float32(PIXEL_CENTRE)
    matrix = cv2.getPerspectiveTransform(corners, (quad - PIXEL_CENTRE).astype(np.float32))
    return np.asarray(cv2.warpPerspective(pixels, matrix, size, flags=cv2.INTER_LINEAR), np.uint8)


def _area(quad: Points) -> float:
    x, y = quad.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
