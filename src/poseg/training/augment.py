"""Which part of a picture a network sees in training, and how large."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from poseg.geometry import affine
from poseg.people import Sample


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Ranges of the random view.

    person_px     long side of the chosen person's box on the canvas, drawn log-uniformly
    enlarge       largest enlargement of the picture; beyond it there is only blur to learn from
    picture_px    the long side of the whole picture stays within these bounds on the canvas
    rotation_deg  standard deviation of the rotation; cut at three times that
    mirror        probability of a mirrored view
    colour        strength of the photometric jitter
    """

    person_px: tuple[float, float] = (40.0, 420.0)
    enlarge: float = 2.5
    picture_px: tuple[float, float] = (256.0, 1100.0)
    rotation_deg: float = 10.0
    mirror: float = 0.5
    colour: float = 0.3


def random_view(
    sample: Sample, size: tuple[int, int], rng: np.random.Generator, augmentation: Augmentation
) -> affine.Matrix:
    """A map from the picture to a canvas of `size` that shows one of its people, or any part where there is nobody."""
    height, width = sample.image.shape[:2]
    long_side = max(height, width)
    boxes = sample.people.boxes_xyxy
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) if len(boxes) else np.zeros(0)
    centre, person = np.array([width, height]) * rng.uniform(0.3, 0.7, 2), 0.6 * long_side
    if (sides > 8).any():
        chosen = rng.choice(np.flatnonzero(sides > 8))
        centre, person = (boxes[chosen, :2] + boxes[chosen, 2:]) / 2, float(sides[chosen])
    low, high = augmentation.person_px
    scale = np.exp(rng.uniform(np.log(low), np.log(high))) / person
    least, most = (side / long_side for side in augmentation.picture_px)
    scale = float(np.clip(scale, least, min(most, max(augmentation.enlarge, least))))
    turn = np.clip(rng.normal(0, augmentation.rotation_deg), *np.array([-3, 3]) * augmentation.rotation_deg)
    mirror = bool(rng.random() < augmentation.mirror)
    # The person may stand anywhere on the canvas; a picture smaller than the canvas stays on it as a whole.
    canvas = np.array([size[1], size[0]], np.float64)
    target = canvas * rng.uniform(0.25, 0.75, 2)
    for axis, side in enumerate((width, height)):
        if side * scale <= canvas[axis]:
            slack = canvas[axis] - side * scale
            before = side - centre[axis] if mirror and axis == 0 else centre[axis]
            target[axis] = rng.uniform(0, slack) + before * scale
    return affine.similarity(
        scale,
        np.deg2rad(turn),
        centre=(float(centre[0]), float(centre[1])),
        target=(float(target[0]), float(target[1])),
        flip=mirror,
    )
