"""Grow people from seeds along the tree of joints (PersonLab, section 3.1).

On a tree only one path leads from the seed to a joint. So depth-first order, a fixed order of edges (TensorFlow.js)
and highest score first (Coral) give the same joints: the decoders differ in the step, not in the traversal. A pose
therefore depends on its seed alone, and many seeds are grown together, one level of the tree at a time.

Letters: S seeds, N people, K joints, E directed edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.decoder_config import PersonLabDecoder
from poseg.codecs.pose_scoring import keypoint_probabilities
from poseg.fields import Fields
from poseg.fields.hough import Seeds
from poseg.fields.offsets import clamp, follow, refine, sample
from poseg.skeletons import Skeleton

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]

# Seeds are grown a third at a time, within these limits: in 999 of 1000 cases a person with all joints visible has a
# seed in the first third, and then none of that person's other seeds needs growing.
MIN_BATCH, MAX_BATCH = 64, 192


@dataclass(frozen=True, slots=True, eq=False)
class GrownPoses:
    """People grown from seeds, in the order they were accepted: keypoints (N, K, 2) in input pixels."""

    seeds: Seeds
    keypoints: Floats

    def __len__(self) -> int:
        return len(self.keypoints)

    def __getitem__(self, which: Indices | NDArray[np.bool_] | slice) -> GrownPoses:
        return GrownPoses(self.seeds[which], self.keypoints[which])


@lru_cache(maxsize=16)
def tree_levels(skeleton: Skeleton) -> tuple[Indices, ...]:
    """For every root, the directed edges at each distance from it: one array (K, edges) a distance, padded with -1."""
    k, edges = len(skeleton), skeleton.edges
    leaving = [np.flatnonzero(edges[:, 0] == joint) for joint in range(k)]
    frontier = [[(root, -1)] for root in range(k)]
    levels: list[Indices] = []
    while True:
        walked = [
            [int(e) for joint, parent in reached for e in leaving[joint] if edges[e, 1] != parent]
            for reached in frontier
        ]
        widest = max(map(len, walked))
        if widest == 0:
            return tuple(levels)
        levels.append(np.array([row + [-1] * (widest - len(row)) for row in walked], np.intp))
        frontier = [[(int(edges[e, 1]), int(edges[e, 0])) for e in row] for row in walked]


def follow_edge(fields: Fields, points: Floats, edge: Indices, target: Indices, steps: int, sampling: str) -> Floats:
    """From joints at `points` (n, 2) along directed edges (n,) to their target joints (n,): (n, 2).

    The mid offset gives a first position, and the target's short offsets refine it `steps` times.
    """
    if sampling == "bilinear":
        legs = [(fields.vectors("mid_offsets"), edge, 1), (fields.vectors("short_offsets"), target, steps)]
        return follow(points, legs, fields.grid)
    mid, short, grid = fields["mid_offsets"], fields["short_offsets"], fields.grid
    guess = points + sample(mid, edge, points, grid, sampling)
    return refine(guess, short, target, grid, steps, sampling, from_cells=True)


def decode_seeds(fields: Fields, skeleton: Skeleton, seeds: Seeds, config: PersonLabDecoder) -> Floats:
    """All joints of the person of each seed: (S, K, 2) input pixels."""
    keypoints = np.empty((len(seeds), len(skeleton), 2), np.float32)
    rooted = clamp(seeds.position, fields.grid, fields.shape_hw) if config.clamp_to_grid else seeds.position
    keypoints[np.arange(len(seeds)), seeds.joint] = rooted
    for edges_of_root in tree_levels(skeleton):
        edges = edges_of_root[seeds.joint]
        slot = np.flatnonzero(edges >= 0)
        seed, edge = slot // edges.shape[1], edges.reshape(-1)[slot]
        source, target = skeleton.edges[edge].T
        moved = follow_edge(fields, keypoints[seed, source], edge, target, config.mid_refine_steps, config.sampling)
        keypoints[seed, target] = clamp(moved, fields.grid, fields.shape_hw) if config.clamp_to_grid else moved
    return keypoints


def near_seeds(keypoints: Floats, seeds: Seeds, radius_px: float) -> NDArray[np.bool_]:
    """Whether a person has the seed's joint within the radius of the seed, the radius included: (N, S)."""
    dx, dy = (keypoints[:, seeds.joint, axis] - seeds.position[:, axis] for axis in (0, 1))
    near: NDArray[np.bool_] = dx * dx + dy * dy <= np.float32(radius_px) ** 2
    return near


def grow_poses(seeds: Seeds, fields: Fields, skeleton: Skeleton, config: PersonLabDecoder) -> GrownPoses:
    """Accept people in the order of their seeds, unless a seed lies on the same joint of an accepted person.

    People whose mean joint probability is below `min_pose_score` are dropped and suppress no other.
    """
    radius_px = config.nms_radius_px
    kept: list[GrownPoses] = []
    remaining = config.max_candidates
    while len(seeds) and remaining:
        count = min(max(MIN_BATCH, len(seeds) // 3), MAX_BATCH)
        batch, seeds = seeds[:count], seeds[count:]
        poses = GrownPoses(batch, decode_seeds(fields, skeleton, batch, config))
        accepted = np.ones(len(batch), bool)
        if config.min_pose_score > 0:
            probability = keypoint_probabilities(fields, poses.keypoints, config.sampling).mean(axis=1)
            accepted = probability >= config.min_pose_score
        chosen = _greedy_nms(near_seeds(poses.keypoints, batch, radius_px), accepted, remaining)
        kept.append(poses[chosen])
        remaining -= len(chosen)
        near = near_seeds(kept[-1].keypoints, seeds, radius_px)
        seeds = seeds[np.flatnonzero(~near.any(axis=0))]
    if not kept:
        return GrownPoses(seeds, np.zeros((0, len(skeleton), 2), np.float32))
    seeds = Seeds(
        np.concatenate([poses.seeds.joint for poses in kept]),
        np.concatenate([poses.seeds.position for poses in kept]),
        np.concatenate([poses.seeds.score for poses in kept]),
    )
    return GrownPoses(seeds, np.concatenate([poses.keypoints for poses in kept]))


def _greedy_nms(suppresses: NDArray[np.bool_], accepted: NDArray[np.bool_], max_count: int) -> Indices:
    """At most `max_count` accepted ones that no chosen one before them suppresses; `suppresses` (S, S) by row."""
    chosen: list[int] = []
    free = accepted.copy()
    while free.any() and len(chosen) < max_count:
        first = int(free.argmax())
        chosen.append(first)
        free &= ~suppresses[first]
        free[: first + 1] = False
    return np.array(chosen, np.intp)
