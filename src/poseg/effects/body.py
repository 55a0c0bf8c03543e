"""A person's measures, from joints by their names: shoulders, neck, hips, scale, axis of the torso, disc of the head.

Lengths are given in units of the body scale S, so that effects do not depend on the size of the image:

    S = max(|left shoulder - right shoulder|, 0.6 |neck - centre of the hips|)                            (1)

with 1.9 |nose - neck| for the torso where the hips are missing. Left and right are those of the person, so seen from
behind they are swapped: `facing` compares them. A measure whose joints are missing is None, and
`missing_reason` says so in a sentence. Coordinates are continuous image pixels, x before y.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from poseg.people import People
from poseg.skeletons import OPENPOSE18

Point = NDArray[np.float64]

TORSO_OF_SHOULDERS = 0.6
TORSO_OF_NECK = 1.9
FACE = ("nose", "right_eye", "left_eye", "right_ear", "left_ear")
# The distance from neck to head centre, in distances between two joints of a face seen from any side.
NECK_OF_FACE = {
    ("right_ear", "left_ear"): 1.6,
    ("right_eye", "left_eye"): 3.8,
    ("nose", "right_ear"): 2.0,
    ("nose", "left_ear"): 2.0,
    ("nose", "right_eye"): 4.5,
    ("nose", "left_eye"): 4.5,
    ("right_eye", "right_ear"): 2.8,
    ("left_eye", "left_ear"): 2.8,
}
# How far apart, in S, the left and the right joint of a person seen from the front are at least, and their weight.
# Models place joints that are hidden too, so those of the face weigh less.
WIDTHS = {"shoulder": (0.8, 1.0), "hip": (0.45, 1.0), "ear": (0.3, 0.5), "eye": (0.15, 0.5)}
BEHIND = -0.25  # who faces us less is seen from behind
# People whose lowest row is this close to the image's lower edge, in its height, are cut off there: the position of
# their feet is not known.
CUT_OFF = 0.02
MIN_SCORE = 0.2  # of a joint: models give a low one to hidden joints, such as eyes seen from behind


@dataclass(frozen=True, slots=True, eq=False)
class HeadDisc:
    """The disc of a head: all within `inner_radius_px` of the centre is head, all beyond `outer_radius_px` is not.

    centre  (2,) continuous image pixels
    """

    centre: Point
    inner_radius_px: float
    outer_radius_px: float


@dataclass(frozen=True, eq=False)
class Body:
    """One person's joints and what is measured on them. Built by `bodies`.

    points     (18, 2) float64 joints of OPENPOSE18
    visible    (18,) bool
    bottom_px  y of the lowest row of mask, or of the box where there is no mask
    """

    points: NDArray[np.float64]
    visible: NDArray[np.bool_]
    bottom_px: float

    def joint(self, name: str) -> Point | None:
        """(2,) position of a joint; None where it is not visible. Raises SkeletonError for an unknown name."""
        index = OPENPOSE18.index(name)
        return self.points[index] if self.visible[index] else None

    def centre(self, *names: str) -> Point | None:
        """(2,) mean of joints; None unless all are visible."""
        indices = [OPENPOSE18.index(name) for name in names]
        return np.asarray(self.points[indices].mean(axis=0)) if self.visible[indices].all() else None

    def missing_reason(self, *names: str) -> str:
        """A sentence saying which of these joints were not detected."""
        absent = [name.replace("_", " ") for name in names if self.joint(name) is None]
        if not absent:
            return "The joints lie too close together to measure the person."
        listed = absent[0] if len(absent) == 1 else f"{', '.join(absent[:-1])} and {absent[-1]}"
        return f"The {listed} {'was' if len(absent) == 1 else 'were'} not detected."

    @cached_property
    def neck(self) -> Point | None:
        """The neck: the skeleton's own, or the centre of the shoulders."""
        neck = self.joint("neck")
        return self.centre("left_shoulder", "right_shoulder") if neck is None else neck

    @cached_property
    def mid_hip(self) -> Point | None:
        """The centre of the hips; with one hip alone, that hip."""
        hips = self.centre("left_hip", "right_hip")
        return hips if hips is not None else _first(self.joint("left_hip"), self.joint("right_hip"))

    @cached_property
    def shoulders(self) -> tuple[Point, Point] | None:
        """The two shoulders, the one on the left of the image first, whichever side of the body it is."""
        a, b = self.joint("right_shoulder"), self.joint("left_shoulder")
        if a is None or b is None or bool(np.all(a == b)):
            return None
        return (a, b) if tuple(a) <= tuple(b) else (b, a)

    @cached_property
    def torso_px(self) -> float | None:
        """Length of the torso, neck to hips; 1.9 times nose to neck where the hips are missing."""
        if self.neck is None:
            return None
        if self.mid_hip is not None:
            return _length(self.mid_hip - self.neck)
        nose = self.joint("nose")
        return None if nose is None else TORSO_OF_NECK * _length(nose - self.neck)

    @cached_property
    def scale_px(self) -> float | None:
        """The body scale S in pixels, equation (1); None where neither shoulders nor torso can be measured."""
        across = 0.0 if self.shoulders is None else _length(self.shoulders[1] - self.shoulders[0])
        scale = max(across, TORSO_OF_SHOULDERS * (self.torso_px or 0.0))
        return scale if scale >= 1 else None

    @cached_property
    def down(self) -> Point | None:
        """Unit vector down the torso, neck to hips; without hips square to the shoulders, away from the nose."""
        if self.neck is not None and self.mid_hip is not None and _length(self.mid_hip - self.neck) > 0:
            return _unit(self.mid_hip - self.neck)
        if self.shoulders is None:
            return None
        across = self.shoulders[1] - self.shoulders[0]
        normal = _unit(np.array([-across[1], across[0]]))
        nose = self.joint("nose")
        upside_down = nose is not None and self.neck is not None and float((nose - self.neck) @ normal) > 0
        return -normal if upside_down else normal

    @cached_property
    def facing(self) -> float:
        """1 for a person seen from the front, -1 from behind, about 0 from the side or where it cannot be measured.

        The mean over the pairs that are visible of how far left lies on the side where it is seen from the front; ears
        without eyes and nose are a head seen from behind.
        """
        return self._facing(*WIDTHS)

    def _facing(self, *parts: str) -> float:
        if self.down is None or self.scale_px is None:
            return 0.0
        across = np.array([self.down[1], -self.down[0]])
        total = weights = 0.0
        for part in parts:
            left, right = self.joint(f"left_{part}"), self.joint(f"right_{part}")
            width, weight = WIDTHS[part]
            if left is not None and right is not None:
                apart = float((left - right) @ across) / (width * self.scale_px)
                total, weights = total + weight * min(max(apart, -1.0), 1.0), weights + weight
        if len(self.face) and all(self.joint(name) is None for name in FACE[:3]):
            total, weights = total - WIDTHS["eye"][1], weights + WIDTHS["eye"][1]
        return total / weights if weights else 0.0

    @property
    def seen_from_behind(self) -> bool:
        """Whether the back is what is seen."""
        return self.facing < BEHIND

    @property
    def face_turned_away(self) -> bool:
        """Whether the head is seen from behind, by its own joints."""
        return self._facing("ear", "eye") < BEHIND

    @cached_property
    def face(self) -> NDArray[np.float64]:
        """(F, 2) visible joints of the face."""
        indices = [OPENPOSE18.index(name) for name in FACE]
        return self.points[indices][self.visible[indices]]

    @cached_property
    def head(self) -> HeadDisc | None:
        """The disc of the head; None where neither face nor neck and torso are known.

        The inner disc covers every visible joint of the face and, where there is a neck, ends short of it.
        """
        centre = self.centre("left_ear", "right_ear")
        if centre is None and len(self.face):
            centre = np.asarray(self.face.mean(axis=0))
        if centre is None and self.neck is not None and self.down is not None and self.scale_px is not None:
            centre = self.neck - 0.95 * self.scale_px * self.down
        if centre is None:
            return None
        reach = self._neck_distance(centre)
        if reach is None:
            return None
        inner = min(max(0.75 * reach, 0.45 * (self.scale_px or 0.0)), 0.95 * reach)
        if len(self.face):
            inner = max(inner, 1.15 * float(np.linalg.norm(self.face - centre, axis=1).max()))
        return HeadDisc(centre, inner, max(1.15 * reach, 1.25 * inner))

    def _neck_distance(self, centre: Point) -> float | None:
        """From head to neck; without a neck, the longest estimate from the joints of the face."""
        if self.neck is not None and _length(self.neck - centre) >= 1:
            return _length(self.neck - centre)
        lengths = [
            times * _length(a - b)
            for (one, other), times in NECK_OF_FACE.items()
            if (a := self.joint(one)) is not None and (b := self.joint(other)) is not None
        ]
        return max(lengths) if lengths and max(lengths) >= 1 else None


def bodies(people: People) -> tuple[Body, ...]:
    """The measures of all people, in their order, from joints of `MIN_SCORE` or more."""
    named = people.remap_to(OPENPOSE18)
    bottoms = people.boxes_xyxy[:, 3].astype(np.float64)
    if people.masks is not None:
        mask_bottoms = people.masks.boxes_xyxy[:, 3]
        bottoms = np.where(mask_bottoms > 0, mask_bottoms, bottoms)
    return tuple(
        Body(points.astype(np.float64), scores >= MIN_SCORE, float(bottom))
        for points, scores, bottom in zip(named.keypoints, named.keypoint_scores, bottoms, strict=True)
    )


def depth_order(measured: Sequence[Body], height_px: int) -> tuple[int, ...]:
    """Indices of the people from far to near: whose lowest row lies lower is nearer, among equals the larger person.

    height_px  height of the image; people cut off at its lower edge count as equals
    """
    edge = (1 - CUT_OFF) * height_px
    keys = [(min(body.bottom_px, edge), body.scale_px or 0.0) for body in measured]
    return tuple(sorted(range(len(measured)), key=lambda person: keys[person]))


def _first(*points: Point | None) -> Point | None:
    return next((point for point in points if point is not None), None)


def _length(vector: Point) -> float:
    return float(np.hypot(*vector))


def _unit(vector: Point) -> Point:
    return vector / _length(vector)
