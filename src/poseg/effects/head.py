"""The head as a frame for drawing: between the eyes, along the eye line, in breadths of the head.

Proportions of an adult head seen from the front, in its breadth (152 mm): the eyes are 0.42 apart, the ears 1, eye and
ear 0.31, nose and ear 0.5. A turned head only shortens these in the image, except from the ear to nose and eye; so the
breadth is the longest estimate from the visible joints.
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
MIN_YAW_COSINE = 0.45
NOSE_DROP = 0.25  # below the eye line, in breadths
MIN_BREADTH_PX = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A frame: a point (x, y) in breadths of the head lies at origin + breadth_px (x x_axis + y y_axis).

    eyes        (2,) between the eyes
    centre      (2,) on the eye line at the centre of the skull, which the eyes leave when the head turns
    x_axis      (2,) unit vector along the eye line, to the right of an upright head
    breadth_px  breadth of the head
    yaw_cosine  breadth of the face as it appears over its own: 1 seen from the front
    """

    eyes: Point
    centre: Point
    x_axis: Point
    breadth_px: float
    yaw_cosine: float

    @property
    def y_axis(self) -> Point:
        """(2,) unit vector from the eyes to the chin."""
        return _rotate_90(self.x_axis)

    def frame(self, origin: Point, width: float = 1.0) -> Matrix:
        """The map (2, 3) from breadths to image pixels, x narrowed by `width`."""
        return np.column_stack([self.breadth_px * width * self.x_axis, self.breadth_px * self.y_axis, origin])


def head_frame(body: Body) -> Head | None:
    """The frame of a head; None where fewer than two joints of the face are visible, or all at one point."""
    lengths = [
        times * _length(a - b)
        for (one, other), times in BREADTH_OF.items()
        if (a := body.joint(one)) is not None and (b := body.joint(other)) is not None
    ]
    breadth, x_axis = max(lengths, default=0.0), _eye_line(body)
    if breadth < MIN_BREADTH_PX or x_axis is None:
        return None
    eyes, ears = body.centre("left_eye", "right_eye"), body.centre("left_ear", "right_ear")
    left_eye, right_eye, nose = (body.joint(name) for name in ("left_eye", "right_eye", "nose"))
    yaw_cosine = 1.0
    if left_eye is not None and right_eye is not None:
        eye_breadth = BREADTH_OF["left_eye", "right_eye"] * _length(left_eye - right_eye)
        yaw_cosine = float(np.clip(eye_breadth / breadth, MIN_YAW_COSINE, 1))
    between = eyes if eyes is not None else _only_visible(body, "eye")
    if between is None:
        between = ears if nose is None else nose - NOSE_DROP * breadth * _rotate_90(x_axis)
    if between is None:
        return None
    one_ear = _only_visible(body, "ear")
    centre = between
    if ears is not None:
        centre = between + x_axis * float((ears - between) @ x_axis)
    elif one_ear is not None:
        # Both eyes and one ear: half turned, the centre is half way; one eye: seen from the side, it is near the ear.
        fraction = 0.5 if eyes is not None else 0.75
        centre = between + fraction * x_axis * float((one_ear - between) @ x_axis)
    return Head(between, centre, x_axis, breadth, yaw_cosine)


def _eye_line(body: Body) -> Point | None:
    """Unit vector along the eye line, to the right of an upright head; None where no two joints give it."""
    upward = _upward(body)
    line = np.zeros(2)
    for part in ("eye", "ear"):
        left, right = body.joint(f"left_{part}"), body.joint(f"right_{part}")
        if left is not None and right is not None:
            line += left - right
    if _length(line) < MIN_BREADTH_PX / 2:
        # Seen from the side: the line from ear to eye is level too, or else it is square to the neck.
        eye, ear = _only_visible(body, "eye"), _only_visible(body, "ear")
        front = eye if eye is not None else body.joint("nose")
        if front is None or ear is None or _length(front - ear) < MIN_BREADTH_PX / 2:
            return None
        line = _rotate_90(upward) if eye is None else front - ear
    line = line / _length(line)
    return line if float(np.array([line[1], -line[0]]) @ upward) >= 0 else -line


def _upward(body: Body) -> Point:
    """Unit vector from the neck to the face; up the torso, then up the image, where there is no neck."""
    if body.neck is not None and len(body.face):
        towards = body.face.mean(axis=0) - body.neck
        if _length(towards) >= MIN_BREADTH_PX:
            return np.asarray(towards / _length(towards))
    return np.array([0.0, -1.0]) if body.down is None else -body.down


def _only_visible(body: Body, part: str) -> Point | None:
    """The one visible joint of a pair; None where both or none are visible."""
    left, right = body.joint(f"left_{part}"), body.joint(f"right_{part}")
    if (left is None) == (right is None):
        return None
    return left if left is not None else right


def _rotate_90(vector: Point) -> Point:
    """Clockwise on the image: x to y."""
    return np.array([-vector[1], vector[0]])


def _length(vector: Point) -> float:
    return float(np.hypot(*vector))
