"""People in space, put where the picture says they stand: what side views and turning views look at.

A pose in space tells nothing of where its root is. How large and where a person is in the picture does, for a lens
that we have to guess; how high they stand does not, so everybody's lowest joint is set on one floor. Nobody knows
how far the camera was tilted: if it looked down, everybody leans towards it.
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

FOCAL = 1.2  # of the guessed lens, in the picture's longer side: about 45 degrees across
SPREAD_MM = 3000.0  # people farther from the middle one than this are drawn nearer
FLOOR_MM = 60.0  # a foot is that much below its ankle
STEADY_FRAMES = 3.0
_TALL_MM = 1700.0


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """People of one picture in one space, the floor at height 0.

    joints_mm   (N, J, 3) float64: x right, y up, z towards the camera of the picture; NaN where nobody knows
    ids         (N,) whose they are, for colours
    """

    skeleton: Skeleton
    joints_mm: Floats64
    ids: NDArray[np.int64]

    @property
    def known(self) -> NDArray[np.bool_]:
        """(N, J): which joints are there."""
        return np.asarray(np.isfinite(self.joints_mm).all(axis=2), np.bool_)


def scenes(frames: Sequence[People], size: tuple[int, int] | None = None) -> list[Scene]:
    """The people of each frame in a space common to all frames.

    frames  people with `keypoints_3d`, frame after frame of one video or one alone; a frame may lack them where it
            has nobody
    size    (height, width) of the pictures; by default, what the boxes reach

    Where people have ids, where they stand is averaged over a few frames, since its depth is a rough guess. People
    of a frame without joints in space are left out where other frames have them. Raises SkeletonError where nobody
    has any, or frames have them on different skeletons.
    """
    named = {people.skeleton_3d for people in frames if people.skeleton_3d is not None}
    if len(named) > 1 or (not named and any(len(people) for people in frames)) or not frames:
        got = ", ".join(sorted(skeleton.name for skeleton in named)) or "none"
        raise SkeletonError(
            f"Views in space need people with keypoints_3d on one skeleton, got {got}; lift them first."
        )
    skeleton = named.pop() if named else frames[0].skeleton
    height, width = size or _reach(frames)
    ids = [_ids(people) for people in frames]
    roots = [_roots(people, (height, width)) for people in frames]
    if len(frames) > 1:
        roots = _steady(roots, ids)
    middle = _middle(roots)
    return [
        Scene(skeleton, _standing(people, _squeezed(root - middle), skeleton), number)
        for people, root, number in zip(frames, roots, ids, strict=True)
    ]


def _ids(people: People) -> NDArray[np.int64]:
    if people.keypoints_3d is None:
        return np.zeros(0, np.int64)
    return np.arange(len(people), dtype=np.int64) if people.ids is None else people.ids


def _reach(frames: Sequence[People]) -> tuple[int, int]:
    corners = np.concatenate([people.boxes_xyxy[:, 2:] for people in frames])
    across, down = np.maximum(np.nan_to_num(corners), 1).max(axis=0, initial=1)
    return int(down), int(across)


def _roots(people: People, size: tuple[int, int]) -> Floats64:
    """(N, 2) where roots stand before the guessed lens: x to the right and z towards the camera, mm."""
    if people.keypoints_3d is None or people.skeleton_3d is None:
        return np.zeros((0, 2))
    flat, sure = remap(people.keypoints, people.keypoint_scores, people.skeleton, people.skeleton_3d)
    space = people.keypoints_3d[..., :2].astype(np.float64)
    weight = ((sure > 0) & np.isfinite(people.keypoints_3d).all(axis=2)).astype(np.float64)[..., None]
    space, total = np.where(weight > 0, space, 0), np.maximum(weight.sum(axis=1, keepdims=True), 1)
    flat_mean, space_mean = ((weight * points).sum(axis=1, keepdims=True) / total for points in (flat, space))
    away, apart = weight * (space - space_mean), weight * (flat - flat_mean)
    spread = (away**2).sum(axis=(1, 2))
    box = people.boxes_xyxy.astype(np.float64)
    guess = np.maximum(box[:, 3] - box[:, 1], 1) / _TALL_MM
    # Flat = scale * space + place: weak perspective, by least squares; a box tells less, but always something.
    scale = np.where(spread > 1e4, (away * apart).sum(axis=(1, 2)) / np.maximum(spread, 1), 0)
    fits = scale > guess / 8
    scale = np.where(fits, scale, guess)
    place = np.where(fits, flat_mean[:, 0, 0] - scale * space_mean[:, 0, 0], (box[:, 0] + box[:, 2]) / 2)
    return np.stack([(place - size[1] / 2) / scale, -FOCAL * max(size) / scale], axis=1)


def _steady(roots: list[Floats64], ids: list[NDArray[np.int64]]) -> list[Floats64]:
    """Places (N, 2) of each frame, averaged over neighbouring frames for each id."""
    reach = int(3 * STEADY_FRAMES)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / STEADY_FRAMES) ** 2)
    smooth = [root.copy() for root in roots]
    sightings: dict[int, list[tuple[int, int]]] = {}
    for frame, who in enumerate(ids):
        for row, person in enumerate(who.tolist()):
            sightings.setdefault(person, []).append((frame, row))
    for rows in sightings.values():
        first, last = rows[0][0], rows[-1][0]
        sums, there = np.zeros((last - first + 1 + 2 * reach, 2)), np.zeros(last - first + 1 + 2 * reach)
        for frame, row in rows:
            span = slice(frame - first, frame - first + 2 * reach + 1)
            sums[span] += kernel[:, None] * roots[frame][row]
            there[span] += kernel
        for frame, row in rows:
            smooth[frame][row] = sums[frame - first + reach] / there[frame - first + reach]
    return smooth


def _middle(roots: Sequence[Floats64]) -> Floats64:
    """(2,) the median of all places, 0 where there are none."""
    every = np.concatenate(roots)
    middle: Floats64 = np.median(every, axis=0) if len(every) else np.zeros(2)
    return middle


def _squeezed(places: Floats64) -> Floats64:
    """Places (N, 2) about the middle, those far from it brought nearer; who is left of or before whom stays so."""
    nearer: Floats64 = SPREAD_MM * np.tanh(places / SPREAD_MM)
    return nearer


def _standing(people: People, places: Floats64, skeleton: Skeleton) -> Floats64:
    """(N, J, 3) joints at their places, the lowest one of each person on the floor."""
    if people.keypoints_3d is None:
        return np.zeros((0, len(skeleton), 3))
    joints = people.keypoints_3d * np.array([1.0, -1.0, -1.0])
    there = np.isfinite(joints).all(axis=2)
    joints[~there] = np.nan
    lowest = np.where(there, joints[..., 1], np.inf).min(axis=1, initial=np.inf)
    joints[..., 1] += np.where(np.isfinite(lowest), FLOOR_MM - lowest, 0)[:, None]
    joints[..., [0, 2]] += places[:, None]
    standing: Floats64 = joints
    return standing
