"""Stickers on a head, a joint or a bone: hat, glasses, masks, or an image of your own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from poseg.effects.artwork import Art, art_names, draw_art, load_art
from poseg.effects.body import Body, bodies, depth_order
from poseg.effects.compositing import occluders
from poseg.effects.effect import Effect, EffectResult, Image, SkippedPerson
from poseg.effects.head import head_frame
from poseg.effects.matte import Mattes
from poseg.errors import EffectError
from poseg.geometry.affine import Matrix, apply, compose
from poseg.people import People
from poseg.skeletons import OPENPOSE18

# Where the centre of a user's image lies, by its place on the head, in breadths of the head below the eyes.
BELOW_EYES = {"eyes": 0.0, "face": 0.1, "head": -0.9}
ON_FACE = ("eyes", "face")
JOINT_UNIT = 0.5  # the width of a sticker on a joint at size 1, in body scales


@dataclass(frozen=True, kw_only=True)
class Sticker(Effect):
    """An image with transparency on a part of the body; it moves, rotates and grows with it.

    kind   a bundled sticker, `artwork.art_names("stickers")`, where no image is given
    image  (h, w, 4) uint8 RGBA of your own, or None
    at     where your image goes: "eyes", "face" or "head" (its centre between the eyes, on the face, over the head; its
           width is the breadth of the head), a joint such as "left_wrist" (half a body scale wide, upright as the
           torso), or two with a dash such as "left_elbow-left_wrist" (as wide as they are apart)
    size   times its usual size, about the anchor
    shift  (x, y): translated by so many units of the place, along its own axes

    People nearer to the camera cover it. strength below 1 makes it transparent.
    """

    name: ClassVar[str] = "sticker"

    kind: str = "hat"
    image: Image | None = field(default=None, compare=False)
    at: str = "eyes"
    size: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind not in art_names("stickers"):
            raise EffectError(f"There is no sticker {self.kind!r}; there are {', '.join(art_names('stickers'))}.")
        if not 0 < self.size <= 20:
            raise EffectError(f"The size of a sticker lies above 0 and at most at 20, got {self.size}.")
        if len(self.shift) != 2 or not np.isfinite(self.shift).all():
            raise EffectError(f"The shift of a sticker is two numbers, x and y, got {self.shift}.")
        joints = self.at.split("-")
        if self.at not in BELOW_EYES and (len(joints) > 2 or any(joint not in OPENPOSE18.joints for joint in joints)):
            raise EffectError(
                f"A sticker goes at {', '.join(BELOW_EYES)}, a joint such as left_wrist, or two such as "
                f"left_elbow-left_wrist; got {self.at!r}."
            )
        self._art()

    def render(self, image: Image, people: People, selected: tuple[int, ...]) -> EffectResult:
        """The image with a sticker on each of the selected people, far ones first."""
        art, at = self._art(), "eyes" if self.image is None else self.at
        own = np.array([[self.size, 0, self.shift[0]], [0, self.size, self.shift[1]]])
        measured = bodies(people)
        order = depth_order(measured, image.shape[0])
        mattes = Mattes(image, people)
        out, skipped = image.copy(), []
        for person in order:
            if person not in selected:
                continue
            frame = sticker_frame(measured[person], at, foreshortens=art.foreshortens)
            if isinstance(frame, str):
                skipped.append(SkippedPerson(person, frame))
                continue
            quad = apply(compose(frame, own), art.corners).astype(np.float64)
            draw_art(out, art, quad, occluders(person, order, mattes), self.strength)
        return EffectResult(out, tuple(sorted(skipped, key=lambda skip: skip.person)))

    def _art(self) -> Art:
        """The bundled sticker, or the user's image, one unit wide, its centre at the place."""
        if self.image is None:
            return load_art("stickers", self.kind)
        centre, aspect = BELOW_EYES.get(self.at, 0.0), self.image.shape[0] / max(self.image.shape[1], 1)
        box = (-0.5, centre - aspect / 2, 0.5, centre + aspect / 2)
        return Art.from_rgba(self.image, box, foreshortens=self.at in ON_FACE)


def sticker_frame(body: Body, at: str, *, foreshortens: bool) -> Matrix | str:
    """The map (2, 3) from units of a place to image pixels; a sentence where the joints for it are missing."""
    if at in BELOW_EYES:
        return _head_frame(body, foreshortens=foreshortens)
    joints = at.split("-")
    points = [point for joint in joints if (point := body.joint(joint)) is not None]
    if len(points) < len(joints):
        return body.missing_reason(*joints)
    if len(points) == 2:
        bone = points[1] - points[0]
        if float(np.hypot(*bone)) < 1:
            return f"The {' and '.join(joints).replace('_', ' ')} lie in one place."
        return np.column_stack([bone, (-bone[1], bone[0]), (points[0] + points[1]) / 2])
    if body.scale_px is None:
        return "The shoulders and the torso were not detected, so the size of the sticker is not known."
    down = np.array([0.0, 1.0]) if body.down is None else body.down
    unit = JOINT_UNIT * body.scale_px
    return np.column_stack([(unit * down[1], -unit * down[0]), unit * down, points[0]])


def _head_frame(body: Body, *, foreshortens: bool) -> Matrix | str:
    head = head_frame(body)
    if head is None:
        return "Fewer than two joints of the face were detected, so the position of the head is not known."
    if not foreshortens:
        return head.frame(head.centre)
    if body.face_turned_away:
        return "The head is seen from behind."
    if body.joint("left_eye") is None or body.joint("right_eye") is None:
        return body.missing_reason("left_eye", "right_eye")
    return head.frame(head.eyes, head.yaw_cosine)
