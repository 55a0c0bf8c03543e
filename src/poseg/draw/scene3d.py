"""3D people placed in a common scene by their position and size on the image, for side views and the 3D viewer.

A 3D pose is relative to its root. Distance and lateral position follow from the size and position of the person on
the image, for an assumed lens. Height does not, so the lowest joint of each person is put on a common floor. The tilt
of the camera is unknown: if it looked down, all people lean towards it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseg.errors import SkeletonError
from poseg.people import People
from poseg.skeletons import Skeleton, remap

Floats64 = NDArray[np.float64]

FOCAL = 1.2  # of the assumed lens, relative to the long edge of the image: about 45 degrees across
MAX_DISTANCE_MM = 3000.0  # people farther from the median than this are drawn nearer
FLOOR_MM = 60.0  # of the floor below an ankle
SMOOTH_FRAMES = 3.0
_HEIGHT_MM = 1700.0  # of a standing person


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """People of one image in a common 3D frame, the floor at height 0.

    joints_mm   (N, J, 3) float64: x right, y up, z towards the camera; NaN where unknown
    ids         (N,) of the people, for colours
    """

    skeleton: Skeleton
    joints_mm: Floats64
    ids: NDArray[np.int64]

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(N, J): joints that are known."""
        return np.asarray(np.isfinite(self.joints_mm).all(axis=2), np.bool_)


def place_people(frames: Sequence[People], size: tuple[int, int] | None = None) -> list[Scene]:
    """The people of each frame in a 3D frame common to all.

    frames  people with `keypoints_3d`, of the frames of a video or of one image; frames without people may lack them
    size    (height, width) of the images; by default the extent of the boxes

    Positions of people with ids are averaged over a few frames, since their depth is a rough estimate. Frames without
    `keypoints_3d` have no people if other frames have them. Raises SkeletonError if no frame has any, or frames have
    different skeletons.
    """
    named = {people.skeleton_3d for people in frames if people.skeleton_3d is not None}
    if len(named) > 1 or (not named and any(len(people) for people in frames)) or not frames:
        got = ", ".join(sorted(skeleton.name for skeleton in named)) or "none"
        raise SkeletonError(f"3D views need people with keypoints_3d on one skeleton, got {got}; lift them first.")
    skeleton = named.pop() if named else frames[0].skeleton
    height, width = size or _image_size(frames)
    ids = [_ids(people) for people in frames]
    roots = [_roots(people, (height, width)) for people in frames]
    if len(frames) > 1:
        roots = _smooth_roots(roots, ids)
    centre = _median(roots)
    return [
        Scene(skeleton, _ground_feet(people, _compress_distances(root - centre), skeleton), number)
        for people, root, number in zip(frames, roots, ids, strict=True)
    ]


def _ids(people: People) -> NDArray[np.int64]:
    if people.keypoints_3d is None:
        return np.zeros(0, np.int64)
    return np.arange(len(people), dtype=np.int64) if people.ids is None else people.ids


def _image_size(frames: Sequence[People]) -> tuple[int, int]:
    corners = np.concatenate([people.boxes_xyxy[:, 2:] for people in frames])
    across, down = np.maximum(np.nan_to_num(corners), 1).max(axis=0, initial=1)
    return int(down), int(across)


def _roots(people: People, size: tuple[int, int]) -> Floats64:
    """(N, 2) positions of the roots before the assumed lens: x to the right and z towards the camera, mm."""
    if people.keypoints_3d is None or people.skeleton_3d is None:
        return np.zeros((0, 2))
    flat, scores = remap(people.keypoints, people.keypoint_scores, people.skeleton, people.skeleton_3d)
    joints = people.keypoints_3d[..., :2].astype(np.float64)
    weight = ((scores > 0) & np.isfinite(people.keypoints_3d).all(axis=2)).astype(np.float64)[..., None]
    joints, total = np.where(weight > 0, joints, 0), np.maximum(weight.sum(axis=1, keepdims=True), 1)
    flat_mean, joints_mean = ((weight * points).sum(axis=1, keepdims=True) / total for points in (flat, joints))
    a, b = weight * (joints - joints_mean), weight * (flat - flat_mean)
    variance = (a**2).sum(axis=(1, 2))
    box = people.boxes_xyxy.astype(np.float64)
    guess = np.maximum(box[:, 3] - box[:, 1], 1) / _HEIGHT_MM
    # flat = scale * joints + shift: weak perspective, by least squares; the box is less accurate, but always there.
    scale = np.where(variance > 1e4, (a * b).sum(axis=(1, 2)) / np.maximum(variance, 1), 0)
    fits = scale > guess / 8
    scale = np.where(fits, scale, guess)
    shift = np.where(fits, flat_mean[:, 0, 0] - scale * joints_mean[:, 0, 0], (box[:, 0] + box[:, 2]) / 2)
    return np.stack([(shift - size[1] / 2) / scale, -FOCAL * max(size) / scale], axis=1)


def _smooth_roots(roots: list[Floats64], ids: list[NDArray[np.int64]]) -> list[Floats64]:
    """Positions (N, 2) of each frame, averaged over neighbouring frames for each id."""
    reach = int(3 * SMOOTH_FRAMES)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SMOOTH_FRAMES) ** 2)
    smooth = [root.copy() for root in roots]
    rows_of: dict[int, list[tuple[int, int]]] = {}
    for frame, frame_ids in enumerate(ids):
        for row, person in enumerate(frame_ids.tolist()):
            rows_of.setdefault(person, []).append((frame, row))
    for rows in rows_of.values():
        first, last = rows[0][0], rows[-1][0]
        sums, weights = np.zeros((last - first + 1 + 2 * reach, 2)), np.zeros(last - first + 1 + 2 * reach)
        for frame, row in rows:
            span = slice(frame - first, frame - first + 2 * reach + 1)
            sums[span] += kernel[:, None] * roots[frame][row]
            weights[span] += kernel
        for frame, row in rows:
            smooth[frame][row] = sums[frame - first + reach] / weights[frame - first + reach]
    return smooth


def _median(roots: Sequence[Floats64]) -> Floats64:
    """(2,) the median of all positions; 0 without any."""
    positions = np.concatenate(roots)
    median: Floats64 = np.median(positions, axis=0) if len(positions) else np.zeros(2)
    return median


def _compress_distances(positions: Floats64) -> Floats64:
    """Positions (N, 2) about the centre, large distances compressed; their order on each axis stays."""
    nearer: Floats64 = MAX_DISTANCE_MM * np.tanh(positions / MAX_DISTANCE_MM)
    return nearer


def _ground_feet(people: People, positions: Floats64, skeleton: Skeleton) -> Floats64:
    """(N, J, 3) joints at the positions, the lowest one of each person on the floor."""
    if people.keypoints_3d is None:
        return np.zeros((0, len(skeleton), 3))
    joints = people.keypoints_3d * np.array([1.0, -1.0, -1.0])
    valid = np.isfinite(joints).all(axis=2)
    joints[~valid] = np.nan
    lowest = np.where(valid, joints[..., 1], np.inf).min(axis=1, initial=np.inf)
    joints[..., 1] += np.where(np.isfinite(lowest), FLOOR_MM - lowest, 0)[:, None]
    joints[..., [0, 2]] += positions[:, None]
    grounded: Floats64 = joints
    return grounded
