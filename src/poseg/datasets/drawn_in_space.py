"""Poses of motion capture drawn as figures before random cameras: pictures with true joints in space.

Flesh is thick lines, nearer parts over farther ones; clothes, light and ground are drawn at random. They teach what a
body in space looks like as far as outlines and occlusions tell, and are no training data for photographs.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.datasets.drawn_people import SHIFT, textured_ground
from poseg.datasets.mocap import Poses, views
from poseg.people import People, Sample
from poseg.skeletons import BODY17_3D

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

# (from, to, radius in mm, which of the colours): skin, shirt, trousers, shoes and hair.
SKIN, SHIRT, TROUSERS, HAIR = range(4)
FLESH = (
    ("pelvis", "right_hip", 85, TROUSERS), ("pelvis", "left_hip", 85, TROUSERS),
    ("right_hip", "right_knee", 75, TROUSERS), ("left_hip", "left_knee", 75, TROUSERS),
    ("right_knee", "right_ankle", 52, TROUSERS), ("left_knee", "left_ankle", 52, TROUSERS),
    ("pelvis", "spine", 120, SHIRT), ("spine", "neck", 125, SHIRT),
    ("neck", "left_shoulder", 70, SHIRT), ("neck", "right_shoulder", 70, SHIRT),
    ("left_shoulder", "left_elbow", 50, SHIRT), ("right_shoulder", "right_elbow", 50, SHIRT),
    ("left_elbow", "left_wrist", 38, SKIN), ("right_elbow", "right_wrist", 38, SKIN),
    ("neck", "head_top", 55, SKIN),
)  # fmt: skip
HEAD_MM, FACE_MM = 95, 60  # radii of the skull, and of the face around the nose
SIDE_PX = 160
FILLED = 0.62  # of the picture's side that a figure takes, its longer one


class DrawnInSpace:
    """Drawn pictures of poses: number i shows pose i modulo how many there are, the same every time.

    poses    to be drawn
    length   pictures
    seed     of cameras, bodies and colours
    """

    def __init__(self, name: str, poses: Poses, *, length: int, seed: int) -> None:
        self.name, self.skeleton, self.complete = name, BODY17_3D, True
        self.known = np.ones(len(BODY17_3D), np.bool_)
        self._poses, self._length, self._seed = poses, length, seed
        # Neighbours in a recording look alike: pictures go through all recordings.
        self._order = np.random.default_rng(seed).permutation(len(poses))

    def __len__(self) -> int:
        return self._length

    def key(self, index: int) -> str:
        """Number with the set's name before it."""
        return f"{self.name}/{self._seed}/{index}"

    def __getitem__(self, index: int) -> Sample:
        pose = self._poses.joints_mm[self._order[index % len(self._order)]]
        return drawn_in_space(pose, np.random.default_rng((self._seed, index)), name=self.key(index))


def drawn_in_space(joints_mm: Floats, rng: np.random.Generator, *, name: str = "") -> Sample:
    """A pose (17, 3), y-up in mm, before a random camera: its picture, joints in it and in space."""
    seen = views(joints_mm[None], rng)
    joints, points = seen.joints_mm[0], seen.keypoints[0].astype(np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    scale = FILLED * SIDE_PX / max(float((high - low).max()), 1.0)
    away = rng.uniform(-0.06, 0.06, 2) * SIDE_PX
    points = (points - (low + high) / 2) * scale + SIDE_PX / 2 + away
    px_per_mm = scale * float(seen.cameras.focal_px[0]) / joints[:, 2].astype(np.float64)
    image = textured_ground(rng, (SIDE_PX, SIDE_PX))
    _draw(image, joints, points, px_per_mm, rng)
    noisy = image.astype(np.float32) + rng.normal(0, 4, image.shape)
    inside = ((points >= 0) & (points < SIDE_PX)).all(axis=1)
    people = People(
        BODY17_3D, points[None].astype(np.float32), inside[None].astype(np.float32), np.ones(1, np.float32),
        np.array([[0, 0, SIDE_PX, SIDE_PX]], np.float32),
        keypoints_3d=(joints - joints[0])[None], skeleton_3d=BODY17_3D,
    )  # fmt: skip
    return Sample(np.clip(noisy, 0, 255).astype(np.uint8), people, name=name)


def _draw(
    image: Bytes, joints: Floats, points: NDArray[np.float64], px_per_mm: NDArray[np.float64], rng: np.random.Generator
) -> None:
    """The figure, far parts first; what is farther from the camera than the pelvis is a little darker."""
    index = {joint: number for number, joint in enumerate(BODY17_3D.joints)}
    spans = ((120, 256), (0, 256), (0, 160), (0, 120))
    colours = [rng.integers(*span, 3).astype(np.float64) for span in spans]
    stout = rng.uniform(0.85, 1.25)
    at = np.rint((points - 0.5) * (1 << SHIFT)).astype(int)
    parts = []
    for start, end, radius_mm, colour in FLESH:
        a, b = index[start], index[end]
        parts.append((float(joints[[a, b], 2].mean()), a, b, radius_mm * stout, colour))
    top, nose = index["head_top"], index["nose"]
    skull = (joints[top] + joints[nose]) / 2
    parts.append((float(skull[2]), top, nose, -HEAD_MM, HAIR))
    parts.append((float(joints[nose, 2]) - 20, nose, nose, -FACE_MM, SKIN))
    light = rng.uniform(0.0006, 0.0014)
    for depth, a, b, thick_mm, colour in sorted(parts, reverse=True):
        shade = np.clip(1 - light * (depth - float(joints[0, 2])), 0.5, 1.3)
        tone = [int(v) for v in np.clip(colours[colour] * shade, 0, 255)]
        width = abs(thick_mm) * float(px_per_mm[[a, b]].mean())
        if thick_mm < 0:
            middle = ((at[a] + at[b]) // 2).tolist()
            cv2.circle(image, middle, max(1, round(width * (1 << SHIFT))), tone, -1, cv2.LINE_AA, SHIFT)
        else:
            cv2.line(image, at[a].tolist(), at[b].tolist(), tone, max(1, round(2 * width)), cv2.LINE_AA, SHIFT)
