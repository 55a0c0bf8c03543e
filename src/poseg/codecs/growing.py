"""Grow people from seeds along the tree of joints (PersonLab, section 3.1).

On a tree only one path leads from the seed to a joint, so walking depth first, in a fixed order of edges
(TensorFlow.js) or surest joint first (Coral) finds the same joints: the decoders differ in the step, not in the
walk. A pose therefore depends on its seed alone, and many seeds are grown together, one level of the tree at a time.

Letters: S seeds, N people, K joints, E directed edges.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from poseg.fields import Fields
from poseg.fields.hough import Seeds
from poseg.fields.offsets import clamp, refine, sample
from poseg.skeletons import Skeleton

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]

# Seeds grown at once: most people are found from the first batch, and their other joints then need no growing.
BATCH = 96


@dataclass(frozen=True, slots=True, eq=False)
class Poses:
    """People grown from seeds, in the order they were accepted: keypoints (N, K, 2) in input pixels."""

    seeds: Seeds
    keypoints: Floats

    def __len__(self) -> int:
        return len(self.keypoints)

    def __getitem__(self, which: Indices | NDArray[np.bool_] | slice) -> Poses:
        return Poses(self.seeds[which], self.keypoints[which])


@lru_cache(maxsize=16)
def tree_levels(skeleton: Skeleton) -> tuple[Indices, ...]:
    """For every root, which directed edges to walk at each distance from it: (K, at most) each, filled up with -1."""
    k, edges = len(skeleton), skeleton.edges
    leaving = [np.flatnonzero(edges[:, 0] == joint) for joint in range(k)]
    frontier = [[(root, -1)] for root in range(k)]
    levels = []
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


def displace(fields: Fields, points: Floats, edge: Indices, target: Indices, steps: int, sampling: str) -> Floats:
    """From joints at `points` (n, 2) along directed edges (n,) to their target joints (n,): (n, 2).

    The mid offset gives a first guess and the target's short offsets correct it `steps` times.
    """
    grid, nearest = fields.grid, sampling == "nearest"
    start = points if nearest else clamp(points, grid, fields.cells)
    guess = start + sample(fields["mid_offsets"], edge, points, grid, sampling)
    return refine(guess, fields["short_offsets"], target, grid, steps, sampling, from_cells=nearest)


def grow(
    fields: Fields, skeleton: Skeleton, seeds: Seeds, *, steps: int, sampling: str, keep_inside: bool
) -> Floats:
    """All joints of the person of each seed: (S, K, 2) input pixels."""
    found = np.empty((len(seeds), len(skeleton), 2), np.float32)
    rooted = clamp(seeds.position, fields.grid, fields.cells) if keep_inside else seeds.position
    found[np.arange(len(seeds)), seeds.joint] = rooted
    for edges_of_root in tree_levels(skeleton):
        edges = edges_of_root[seeds.joint]
        seed, slot = np.nonzero(edges >= 0)
        edge = edges[seed, slot]
        source, target = skeleton.edges[edge].T
        moved = displace(fields, found[seed, source], edge, target, steps, sampling)
        found[seed, target] = clamp(moved, fields.grid, fields.cells) if keep_inside else moved
    return found


def near_seeds(keypoints: Floats, seeds: Seeds, radius_px: float) -> NDArray[np.bool_]:
    """Whether a person has the seed's joint within the radius of the seed, the radius included: (N, S)."""
    gap = keypoints[:, seeds.joint] - seeds.position
    near: NDArray[np.bool_] = (gap**2).sum(axis=2) <= np.float32(radius_px) ** 2
    return near


def grow_people(
    seeds: Seeds,
    grown: Callable[[Seeds], Floats],
    accepts: Callable[[Poses], NDArray[np.bool_]],
    radius_px: float,
    limit: int,
) -> Poses:
    """Accept people in the order of their seeds, unless a seed lies on the same joint of an accepted person.

    grown    keypoints (S, K, 2) of the people of some seeds
    accepts  whether each of some people may stand, and suppress later seeds
    """
    kept: list[Poses] = []
    count = 0
    while len(seeds) and count < limit:
        batch, seeds = seeds[:BATCH], seeds[BATCH:]
        poses = Poses(batch, grown(batch))
        chosen = _first_come(near_seeds(poses.keypoints, batch, radius_px), accepts(poses))[: limit - count]
        kept.append(poses[chosen])
        count += len(chosen)
        seeds = seeds[~near_seeds(poses.keypoints[chosen], seeds, radius_px).any(axis=0)]
    if not kept:
        return Poses(seeds[:0], grown(seeds[:0]))
    together = Seeds(
        np.concatenate([poses.seeds.joint for poses in kept]),
        np.concatenate([poses.seeds.position for poses in kept]),
        np.concatenate([poses.seeds.score for poses in kept]),
    )
    return Poses(together, np.concatenate([poses.keypoints for poses in kept]))


def _first_come(suppresses: NDArray[np.bool_], standing: NDArray[np.bool_]) -> Indices:
    """Those who stand and are suppressed by nobody chosen before them; `suppresses` (S, S) by row."""
    chosen = []
    free = standing.copy()
    while free.any():
        first = int(free.argmax())
        chosen.append(first)
        free &= ~suppresses[first]
        free[: first + 1] = False
    return np.array(chosen, np.intp)
