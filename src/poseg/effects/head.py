"""The head as a frame for drawing: between the eyes, along the eye line, in breadths of the head.

Measures of a grown head seen from the front, in its breadth (152 mm): the eyes stand 0.42 apart, the ears 1, eye and
ear 0.31, nose and ear 0.5. Turning the head only shortens what is seen of these, but brings nose and eye away from
the ear; so the breadth is the longest of the answers that the joints found give.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseg.effects.body import Body
from poseg.geometry.affine import Matrix

Point = NDArray[np.float64]


# Breadths of the head in distances between two joints; never much too long, whichever way the head is turned.
BREADTH_OF = {
    ("left_ear", "right_ear"): 1.0,
    ("left_eye", "right_eye"): 2.4,
    ("nose", "left_ear"): 1.2,
    ("nose", "right_ear"): 1.2,
    ("left_eye", "left_ear"): 1.5,
    ("right_eye", "right_ear"): 1.5,
}
NARROWEST = 0.45  # of its breadth, what lies flat on a face that is turned away
NOSE_DROP = 0.25  # below the eye line, in breadths
LEAST_BREADTH_PX = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A frame: a point (x, y) in breadths of the head lies at origin + breadth_px (x along + y down).

    eyes        (2,) between the eyes
    middle      (2,) on the eye line in the middle of the skull, which the eyes leave when the head turns
    along       (2,) unit vector along the eye line; x to the right of a head that stands upright
    breadth_px  breadth of the head
    turned      breadth of the face as it is seen, in its own: 1 seen from the front
    """

    eyes: Point
    middle: Point
    along: Point
    breadth_px: float
    turned: float

    @property
    def down(self) -> Point:
        """(2,) unit vector from the eyes to the chin."""
        return np.array([-self.along[1], self.along[0]])

    def frame(self, origin: Point, width: float = 1.0) -> Matrix:
        """The map from breadths to image pixels, x narrowed by `width`."""
        return np.column_stack([self.breadth_px * width * self.along, self.breadth_px * self.down, origin])


def head_of(body: Body) -> Head | None:
    """The frame of a head; None where fewer than two joints of the face were found, or all in one place."""
    breadth = max(
        (times * _length(a - b) for (one, other), times in BREADTH_OF.items()
         if (a := body.joint(one)) is not None and (b := body.joint(other)) is not None),
        default=0.0,
    )  # fmt: skip
    along = _along(body)
    if breadth < LEAST_BREADTH_PX or along is None:
        return None
    down = np.array([-along[1], along[0]])
    eyes, ears = body.middle("left_eye", "right_eye"), body.middle("left_ear", "right_ear")
    nose = body.joint("nose")
    turned = 1.0
    if eyes is not None:
        a, b = body.joint("left_eye"), body.joint("right_eye")
        assert a is not None
        assert b is not None
        turned = float(np.clip(BREADTH_OF["left_eye", "right_eye"] * _length(a - b) / breadth, NARROWEST, 1))
    between = eyes if eyes is not None else _one(body, "eye")
    if between is None:
        between = ears if nose is None else nose - NOSE_DROP * breadth * down
    if between is None:
        return None
    one_ear = _one(body, "ear")
    middle = between
    if ears is not None:
        middle = between + along * float((ears - between) @ along)
    elif one_ear is not None:
        # Both eyes and one ear: half turned, the skull lies half way; one eye: seen from the side, it is at the ear.
        share = 0.5 if eyes is not None else 0.75
        middle = between + share * along * float((one_ear - between) @ along)
    return Head(between, middle, along, breadth, turned)


def _along(body: Body) -> Point | None:
    """Unit vector along the eye line, x to the right of an upright head; None where no two joints give it."""
    upward = _upward(body)
    pairs = (
        [body.joint(f"left_{part}") for part in ("eye", "ear")],
        [body.joint(f"right_{part}") for part in ("eye", "ear")],
    )
    line = np.zeros(2)
    for left, right in zip(*pairs, strict=True):
        if left is not None and right is not None:
            line += left - right
    if _length(line) < LEAST_BREADTH_PX / 2:
        # Seen from the side: the line from ear to eye lies level too, or else it is square to the neck.
        eye, ear = _one(body, "eye"), _one(body, "ear")
        front = eye if eye is not None else body.joint("nose")
        if front is None or ear is None or _length(front - ear) < LEAST_BREADTH_PX / 2:
            return None
        line = np.array([-upward[1], upward[0]]) if eye is None else front - ear
    line = line / _length(line)
    return line if float(np.array([line[1], -line[0]]) @ upward) >= 0 else -line


def _upward(body: Body) -> Point:
    """Unit vector from the neck to the face; up the torso, then up the picture, where there is no neck."""
    if body.neck is not None and len(body.face):
        towards = body.face.mean(axis=0) - body.neck
        if _length(towards) >= LEAST_BREADTH_PX:
            return np.asarray(towards / _length(towards))
    return np.array([0.0, -1.0]) if body.down is None else -body.down


def _one(body: Body, part: str) -> Point | None:
    """The one of a pair that was found; None where both or none were."""
    left, right = body.joint(f"left_{part}"), body.joint(f"right_{part}")
    if (left is None) == (right is None):
        return None
    return left if left is not None else right


def _length(vector: Point) -> float:
    return float(np.hypot(*vector))
