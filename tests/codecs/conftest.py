"""People to paint into fields: stick figures with thick limbs, standing in rows."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from poseg.people import People
from poseg.skeletons import COCO17

# A standing figure of height 2 around its hips, in the order of COCO's joints.
STANDING = np.array(
    [
        (0, -0.8), (0.05, -0.85), (-0.05, -0.85), (0.1, -0.8), (-0.1, -0.8),
        (0.18, -0.6), (-0.18, -0.6), (0.25, -0.3), (-0.25, -0.3), (0.28, -0.05), (-0.28, -0.05),
        (0.11, 0), (-0.11, 0), (0.13, 0.45), (-0.13, 0.45), (0.14, 0.9), (-0.14, 0.9),
    ]
)  # fmt: skip


def figure_mask(points: np.ndarray, size: tuple[int, int], thickness_px: int) -> np.ndarray:
    """(H, W) bool: all bones of a figure as thick lines."""
    mask = np.zeros(size, np.uint8)
    for a, b in COCO17.indices(COCO17.bones):
        ends = [tuple(round(float(v)) for v in points[joint] * 8) for joint in (a, b)]
        cv2.line(mask, *ends, 1, thickness_px, cv2.LINE_8, 3)
    return mask.astype(bool)


@pytest.fixture
def crowd() -> Callable[..., People]:
    """crowd(n, size, height_px, seed): n people in rows, each joint jittered by a fortieth of the height."""

    def stand(n: int, size: tuple[int, int] = (257, 257), height_px: float = 110.0, seed: int = 0) -> People:
        rng = np.random.default_rng(seed)
        columns = max(int(np.ceil(np.sqrt(1.6 * n))), 1)
        rows = -(-n // columns)
        row, column = np.divmod(np.arange(n), columns)
        centres = np.stack([(column + 0.5) * size[1] / columns, (row + 0.5) * size[0] / max(rows, 1)], axis=1)
        points = centres[:, None] + STANDING * height_px / 2 + rng.normal(0, height_px / 40, (n, 17, 2))
        masks = [figure_mask(person, size, max(int(height_px / 6), 1)) for person in points]
        stacked = np.array(masks, bool).reshape(n, *size)
        return People.from_poses(COCO17, points, np.ones((n, 17)), masks=stacked)

    return stand
