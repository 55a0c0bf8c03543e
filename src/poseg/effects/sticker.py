"""Stickers at a head, a joint or a bone: hat, glasses, masks, or a picture of your own."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.effects.body import Body, bodies, depth_order
from poseg.effects.effect import Effect, Image, Outcome, Skipped
from poseg.effects.head import head_of
from poseg.effects.layers import around, in_front_of
from poseg.effects.matte import Window, mattes
from poseg.effects.sticker_art import STICKERS, Art, sticker_art
from poseg.errors import EffectError, ShapeError
from poseg.geometry.affine import Matrix, apply, compose, for_cv2
from poseg.people import People
from poseg.skeletons import OPENPOSE18

Floats = NDArray[np.float32]

FACE_PLACES = ("eyes", "face")
PLACES = (*FACE_PLACES, "head")
# A joint's sticker is so wide at size 1, in body scales.
JOINT_UNIT = 0.5
# Where the middle of a user's picture lies at a place of the head, in breadths below the eyes.
BELOW_EYES = {"eyes": 0.0, "face": 0.1, "head": -0.9}


@dataclass(frozen=True, kw_only=True)
class Sticker(Effect):
    """A picture with transparency at a place of the body; it moves, turns and grows with it.

    kind     one of `sticker_art.STICKERS`, where no picture is given
    picture  (h, w, 4) uint8 RGBA of your own, or None
    at       where your picture goes: "eyes", "face" or "head" (its middle between the eyes, in the middle of the face,
             over the head; its width is the breadth of the head), a joint such as "left_wrist" (half a body scale
             wide, upright as the torso), or two with a dash such as "left_elbow-left_wrist" (as wide as they are apart)
    size     times its usual size, about the middle of the place
    shift    (x, y): moved by so many units of the place, along its own axes

    People nearer to the camera cover it. strength below 1 makes it transparent.
    """

    name: ClassVar[str] = "sticker"

    kind: str = "hat"
    picture: Image | None = field(default=None, compare=False)
    at: str = "eyes"
    size: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind not in STICKERS:
            raise EffectError(f"There is no sticker {self.kind!r}; there are {', '.join(STICKERS)}.")
        if not 0 < self.size <= 20:
            raise EffectError(f"The size of a sticker lies above 0 and at most at 20, got {self.size}.")
        if len(self.shift) != 2 or not np.isfinite(self.shift).all():
            raise EffectError(f"The shift of a sticker is two numbers, x and y, got {self.shift}.")
        joints = self.at.split("-")
        if self.at not in PLACES and (len(joints) > 2 or any(joint not in OPENPOSE18.joints for joint in joints)):
            raise EffectError(
                f"A sticker goes at {', '.join(PLACES)}, a joint such as left_wrist, or two such as "
                f"left_elbow-left_wrist; got {self.at!r}."
            )
        if self.picture is not None:
            self._own_art(self.picture)

    def settings(self) -> dict[str, Any]:
        """The settings as plain data; of a picture only its size."""
        return {**asdict(self), "picture": None if self.picture is None else list(self.picture.shape)}

    def render(self, image: Image, people: People, chosen: tuple[int, ...]) -> Outcome:
        """The picture with a sticker on each of the chosen people, far ones first."""
        art = sticker_art(self.kind) if self.picture is None else self._own_art(self.picture)
        measured = bodies(people)
        order = depth_order(measured, image.shape[0])
        made = mattes(image, people) if len(people) > 1 else ()
        out, skipped = image.copy(), []
        for person in order:
            if person not in chosen:
                continue
            frame = place(measured[person], art)
            if isinstance(frame, str):
                skipped.append(Skipped(person, frame))
                continue
            warped = warp(art, compose(frame, self._moved()), image.shape)
            if warped is None:
                continue
            layer, window = warped
            share = np.full((*layer.shape[:2], 1), self.strength, np.float32)
            if made:
                share *= 1 - in_front_of(person, order, made, window)[..., None]
            under = out[window].astype(np.float32)
            out[window] = np.rint(under * (1 - layer[..., 3:] * share) + layer[..., :3] * share).astype(np.uint8)
        return Outcome(out, tuple(sorted(skipped, key=lambda one: one.person)))

    def _own_art(self, picture: Image) -> Art:
        """The user's picture, one unit wide, its middle at the place."""
        if picture.ndim != 3 or picture.shape[2] != 4 or picture.dtype != np.uint8 or not picture.size:
            raise ShapeError(
                "The picture of a sticker", wanted="(height, width, 4) uint8, RGBA",
                got=(*picture.shape, picture.dtype),
            )  # fmt: skip
        middle, half = BELOW_EYES.get(self.at, 0.0), picture.shape[0] / picture.shape[1] / 2
        return Art(picture, (-0.5, middle - half, 0.5, middle + half), self.at, self.at in FACE_PLACES)

    def _moved(self) -> Matrix:
        """The map of the sticker's own units that `size` and `shift` make."""
        return np.array([[self.size, 0, self.shift[0]], [0, self.size, self.shift[1]]])


def place(body: Body, art: Art) -> Matrix | str:
    """The map from an art's units to image pixels on a body; a sentence where the joints for it are missing."""
    if art.at in PLACES:
        return _on_head(body, art)
    joints = art.at.split("-")
    places = [body.joint(joint) for joint in joints]
    found = [point for point in places if point is not None]
    if len(found) < len(joints):
        return body.why(*joints)
    if len(found) == 2:
        bone = found[1] - found[0]
        if float(np.hypot(*bone)) < 1:
            return f"The {' and '.join(joints).replace('_', ' ')} lie in one place."
        return np.column_stack([bone, (-bone[1], bone[0]), (found[0] + found[1]) / 2])
    if body.scale_px is None:
        return "The shoulders and the torso were not found, so the size of the sticker is not known."
    down = np.array([0.0, 1.0]) if body.down is None else body.down
    unit = JOINT_UNIT * body.scale_px
    return np.column_stack([(unit * down[1], -unit * down[0]), unit * down, found[0]])


def _on_head(body: Body, art: Art) -> Matrix | str:
    head = head_of(body)
    if head is None:
        return "Fewer than two joints of the face were found, so there is no telling how the head is held."
    if art.turns:
        if body.joint("left_eye") is None or body.joint("right_eye") is None:
            return body.why("left_eye", "right_eye")
        return head.frame(head.eyes, head.turned)
    return head.frame(head.middle)


def warp(art: Art, frame: Matrix, size: tuple[int, ...]) -> tuple[Floats, Window] | None:
    """An art as it lies in a picture of `size`: (h, w, 4) float32, colours multiplied by opacity, and the window.

    frame  from the art's units to image pixels. None where nothing of it lies in the picture.

    It is averaged down first where it shrinks, so that it does not flicker.
    """
    rgba = art.rgba
    x0, y0, x1, y1 = art.box_xyxy
    corners = apply(frame, [(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    window = around(corners.min(axis=0) - 1, corners.max(axis=0) + 1, size)
    lengths = np.hypot(*frame[:, :2]) * (x1 - x0, y1 - y0)
    if window is None or lengths.min() < 1:
        return None
    smaller = np.minimum(np.ceil(lengths), (rgba.shape[1], rgba.shape[0])).astype(int)
    layer = rgba.astype(np.float32)
    layer[..., :3] *= layer[..., 3:] / 255
    layer[..., 3] /= 255
    layer = np.asarray(cv2.resize(layer, smaller.tolist(), interpolation=cv2.INTER_AREA), np.float32)
    to_units = np.array([[(x1 - x0) / smaller[0], 0, x0], [0, (y1 - y0) / smaller[1], y0]])
    matrix = compose(frame, to_units) - np.array([[0, 0, window[1].start], [0, 0, window[0].start]])
    extent = (window[1].stop - window[1].start, window[0].stop - window[0].start)
    laid = cv2.warpAffine(
        layer, for_cv2(matrix), extent, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(0, 0, 0, 0)
    )
    return np.asarray(laid, np.float32), window
