"""3D people in front of a camera, and their projections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from poseg.geometry.camera import looking_at
from poseg.people import People
from poseg.skeletons import BODY17_3D

# A standing person, y-up, mm about the pelvis; facing +z with the left arm lifted.
BODY = np.array(
    [(0, 0, 0), (-90, 0, 0), (-95, -420, 10), (-95, -830, -20), (90, 0, 0), (95, -420, 10), (95, -830, -20),
     (0, 230, 0), (0, 480, 0), (0, 690, 90), (0, 830, 0),
     (180, 470, 0), (300, 690, 30), (330, 930, 60), (-180, 470, 0), (-210, 190, -20), (-210, -60, 40)],
    np.float64,
)  # fmt: skip


@pytest.fixture
def before_camera() -> Callable[..., People]:
    """Builds people at positions (x to the right, z towards the camera, mm) about 5 m away."""

    def build(positions: Sequence[tuple[float, float]], height: int = 480, width: int = 640) -> People:
        camera = looking_at((0, 0, 0), distance_mm=5000, focal_px=1.2 * width, centre_px=(width / 2, height / 2))
        joints = np.stack([BODY + np.array([x, 0, z]) for x, z in positions])
        flat = People.from_poses(BODY17_3D, camera.project(joints), np.ones(joints.shape[:2]))
        relative = camera.to_camera(joints)
        return replace(flat, keypoints_3d=(relative - relative[:, :1]).astype(np.float32), skeleton_3d=BODY17_3D)

    return build
