"""People who walk, stand and pass through each other, as a detector would see them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from poseg.people import People
from poseg.skeletons import COCO17

Floats = NDArray[np.float64]
Clip = list[tuple[float, People]]

FPS = 25
HEIGHT_PX = 200.0
# Joints of a standing person, in heights, x to the right of the centre, seen half from the side.
STANDING = np.array(
    [(0, 0.08), (0.02, 0.06), (-0.02, 0.06), (0.04, 0.07), (-0.04, 0.07), (0.07, 0.22), (-0.07, 0.22), (0.1, 0.38),
     (-0.1, 0.38), (0.11, 0.52), (-0.11, 0.52), (0.05, 0.54), (-0.05, 0.54), (0.06, 0.74), (-0.06, 0.74), (0.06, 0.94),
     (-0.06, 0.94)]
)  # fmt: skip
SWINGS = np.zeros(17)
SWINGS[[7, 9, 13, 15]] = 0.05, 0.13, 0.08, 0.2
SWINGS[[8, 10, 14, 16]] = -SWINGS[[7, 9, 13, 15]]


@dataclass(frozen=True)
class Walker:
    """Somebody who walks past x at a moment; lengths in pixels, speeds in pixels a second."""

    x: float
    y: float = 40.0
    height: float = HEIGHT_PX
    speed: float = 0.0
    at_s: float = 0.0
    phase: float = 0.0

    def joints(self, time_s: float) -> Floats:
        """(17, 2) where the joints are; arms and legs swing once a second while the person moves."""
        points = STANDING.copy()
        points[:, 0] += SWINGS * np.sin(2 * np.pi * time_s + self.phase) * np.sign(self.speed)
        return points * self.height + (self.x + self.speed * (time_s - self.at_s), self.y)


def silhouette(joints: Floats, height: float, size: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W) thick limbs."""
    mask = np.zeros(size, np.uint8)
    for a, b in COCO17.indices(COCO17.bones):
        ends = [tuple(int(value) for value in np.rint(joints[end] * 16)) for end in (a, b)]
        cv2.line(mask, *ends, 1, max(2, int(0.1 * height)), shift=4)
    cv2.fillPoly(mask, [np.rint(joints[[5, 6, 12, 11]]).astype(np.int32)], 1)
    return mask.astype(bool)


def filmed(
    walkers: Sequence[Walker],
    seconds: float,
    *,
    noise: float = 0.0,
    seed: int = 0,
    fps: float = FPS,
    missed: Callable[[int, int], bool] = lambda who, frame: False,
    size: tuple[int, int] | None = None,
) -> tuple[Clip, list[list[int]]]:
    """A clip of detections in shuffled order, and who each of them is.

    noise    standard deviation of joints, in heights
    missed   whether a person (by number) is not detected in a frame
    size     of the images, to have masks; the first of `walkers` stands in front
    """
    rng = np.random.default_rng(seed)
    clip, who = [], []
    for frame in range(round(seconds * fps)):
        time_s = frame / fps
        there = [number for number in rng.permutation(len(walkers)) if not missed(number, frame)]
        points = [walkers[number].joints(time_s) for number in there]
        shaken = [
            joints + rng.normal(0, noise * walkers[n].height, joints.shape)
            for n, joints in zip(there, points, strict=True)
        ]
        masks = None
        if size is not None:
            masks = np.zeros((len(there), *size), bool)
            silhouettes = [silhouette(one.joints(time_s), one.height, size) for one in walkers]
            for row, number in enumerate(there):
                masks[row] = silhouettes[number] & ~np.any([np.zeros(size, bool), *silhouettes[:number]], axis=0)
        people = People.from_poses(COCO17, np.array(shaken).reshape(-1, 17, 2), np.ones((len(there), 17)), masks=masks)
        clip.append((time_s, people))
        who.append([int(number) for number in there])
    return clip, who


def with_ids(clip: Clip, who: list[list[int]]) -> Clip:
    """The clip with the truth for ids."""
    return [
        (time_s, replace(people, ids=np.array(ids, np.int64))) for (time_s, people), ids in zip(clip, who, strict=True)
    ]


@pytest.fixture
def film() -> Callable[..., tuple[Clip, list[list[int]]]]:
    return filmed


@pytest.fixture
def film_known() -> Callable[..., Clip]:
    """A clip whose people have their true ids."""
    return lambda *arguments, **options: with_ids(*filmed(*arguments, **options))


@pytest.fixture
def walker() -> type[Walker]:
    return Walker
