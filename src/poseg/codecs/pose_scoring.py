"""Scores of joints and people, and suppression of duplicates (PersonLab, section 3.1).

Letters: N people, K joints, V votes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseg.fields import Fields, sigmoid
from poseg.fields.hough import Seeds, Votes
from poseg.fields.offsets import sample
from poseg.geometry.pose_size import pose_areas
from poseg.skeletons import Skeleton

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

MIN_SCALE_PX = 4.0
MIN_BOX_JOINTS = 2  # poses with fewer probable joints have the box of all joints


def keypoint_probabilities(fields: Fields, keypoints: Floats, sampling: str) -> Floats:
    """The heatmap's probability at each joint: (N, K)."""
    n, k = keypoints.shape[:2]
    channel = np.broadcast_to(np.arange(k), (n, k)).reshape(-1)
    logits = sample(fields["heatmap"], channel, keypoints.reshape(-1, 2), fields.grid, sampling)
    return sigmoid(logits).reshape(n, k)


def person_scales(keypoints: Floats, probability: Floats) -> Floats:
    """Lambda, the square root of the area of the tight box around the probable joints: (N,) pixels (spec 6.2)."""
    area = pose_areas(keypoints, probability, min_joints=MIN_BOX_JOINTS, min_aspect=0, min_area_px=MIN_SCALE_PX**2)
    return np.asarray(np.sqrt(area), np.float32)


def kappas(skeleton: Skeleton) -> Floats:
    """Kappa, twice the annotators' sigma of each joint: (K,)."""
    return 2 * skeleton.oks_sigmas.astype(np.float32)


def with_seed_scores(probability: Floats, seeds: Seeds) -> Floats:
    """The scores (N, K), with the seed's own score at each person's seed joint: its offset may lead to another cell."""
    scores = probability.copy()
    scores[np.arange(len(scores)), seeds.joint] = seeds.score
    return scores


def expected_oks(votes: Votes, fields: Fields, keypoints: Floats, reach_px: Floats, radius_px: float) -> Floats:
    """The expected OKS of J joints under the distribution of their votes: (J,); 0 without votes.

    keypoints  (J, 3) x, y and which joint it is
    reach_px   (J,) lambda kappa

    E[exp(-|x - y|^2 / (2 reach^2))], where x is drawn from the votes within `radius_px` R of the joint y. The votes
    themselves are summed, not their map, so that its resolution does not blur the joints of small people.
    """
    x, y = np.ascontiguousarray(keypoints[:, :2].T)
    row, vote = _votes_around(votes, keypoints, fields, radius_px)
    dx, dy = (votes.position[:, axis].take(vote) - at.take(row) for axis, at in enumerate((x, y)))
    squared = np.add(np.square(dx, out=dx), np.square(dy, out=dy), out=dx)
    mass = np.where(squared <= radius_px**2, votes.weight.take(vote), np.float32(0))
    squared *= (-0.5 / reach_px**2).take(row)
    total = np.bincount(row, mass, minlength=len(x))
    mass *= np.exp(squared, out=squared)
    expected = np.bincount(row, mass, minlength=len(x)) / np.maximum(total, 1e-9)
    return expected.astype(np.float32)


def _votes_around(votes: Votes, keypoints: Floats, fields: Fields, radius_px: float) -> tuple[NDArray[np.intp], ...]:
    """Pairs of a row of `keypoints` (J, 3) and a vote for it, cast from a cell within 1.5 R: two arrays of indices.

    A joint's own voters lie within R of it; votes from farther away are meant for another person.
    """
    h, w = fields.shape_hw
    reach = int(np.ceil(1.5 * radius_px / fields.grid.stride))
    # Indices of the votes by cell, with a border so wide that neighbourhoods may leave the grid.
    rows, columns = h + 2 * reach, w + 2 * reach
    index = np.full((len(fields["heatmap"]), rows, columns), -1, np.int32)
    inner = np.full((len(index), h * w), -1, np.int32)
    inner.reshape(-1)[votes.joint * (h * w) + votes.cell] = np.arange(len(votes.joint), dtype=np.int32)
    index[:, reach : reach + h, reach : reach + w] = inner.reshape(-1, h, w)
    centre = np.rint(fields.grid.to_cells(keypoints[:, :2])).astype(np.intp)
    column, row = np.minimum(np.maximum(centre, 0), np.array([w - 1, h - 1])).T
    first = (keypoints[:, 2].astype(np.intp) * rows + row) * columns + column
    side = np.arange(2 * reach + 1)
    neighbourhood = (side[:, None] * columns + side).reshape(-1)
    around = index.reshape(-1).take(first[:, None] + neighbourhood)
    cast = around >= 0
    return np.repeat(np.arange(len(first)), np.count_nonzero(cast, axis=1)), around[cast]


def duplicate_joints(keypoints: Floats, radius_px: float) -> Flags:
    """Joints (N, K) that lie within the radius of the same joint of a person listed before, the radius included."""
    near = _squared_distances(keypoints) <= np.float32(radius_px) ** 2
    earlier = np.tri(len(keypoints), k=-1, dtype=bool)
    duplicate: Flags = (near & earlier[:, :, None]).any(axis=1)
    return duplicate


def _squared_distances(keypoints: Floats) -> Floats:
    """Squared distances between the same joints of any two people: (N, N, K)."""
    dx, dy = (keypoints[:, None, :, axis] - keypoints[None, :, :, axis] for axis in (0, 1))
    squared: Floats = dx * dx + dy * dy
    return squared


def sequential_nms(keypoints: Floats, keypoint_scores: Floats, radius_px: float) -> Floats:
    """Mean score (N,) over all K joints, where joints that an earlier person has count 0."""
    scores: Floats = np.where(duplicate_joints(keypoints, radius_px), np.float32(0), keypoint_scores).mean(axis=1)
    return scores


def soft_nms(keypoints: Floats, keypoint_scores: Floats, radius_px: float) -> Floats:
    """As `sequential_nms`, with people sorted by their mean joint score: (N,)."""
    order = np.argsort(-keypoint_scores.mean(axis=1), kind="stable")
    scores = np.empty(len(order), np.float32)
    scores[order] = sequential_nms(keypoints[order], keypoint_scores[order], radius_px)
    return scores


def oks_nms(keypoints: Floats, keypoint_scores: Floats, reach_px: Floats, oks_threshold: float) -> Floats:
    """Mean joint scores (N,), -1 where the OKS with a kept person of a higher score is above the threshold.

    reach_px  (N, K) lambda kappa, the tolerance of each joint
    """
    scores: Floats = keypoint_scores.mean(axis=1)
    oks = np.exp(-_squared_distances(keypoints) / (2 * reach_px[:, None] ** 2)).mean(axis=2)
    kept: list[int] = []
    for person in np.argsort(-scores, kind="stable"):
        if (oks[kept, person] > oks_threshold).any():
            scores[person] = -1
        else:
            kept.append(int(person))
    return scores
