"""How sure we are of joints and of people, and which people are the same (PersonLab, section 3.1).

Letters: N people, K joints, V votes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseg.fields import Fields, sigmoid
from poseg.fields.hough import Votes
from poseg.fields.offsets import sample
from poseg.geometry import boxes
from poseg.skeletons import Skeleton

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

# A joint this probable tells how large the person is; a wild one would stretch the box (spec section 6.2).
FOUND = 0.1
LEAST_SCALE_PX = 4.0
# COCO's mean over its joints, for skeletons whose annotators nobody measured.
TYPICAL_SIGMA = 0.065


def probabilities(fields: Fields, keypoints: Floats, sampling: str) -> Floats:
    """The heatmap's probability at each joint: (N, K)."""
    n, k = keypoints.shape[:2]
    channel = np.broadcast_to(np.arange(k), (n, k)).reshape(-1)
    logits = sample(fields["heatmap"], channel, keypoints.reshape(-1, 2), fields.grid, sampling)
    return sigmoid(logits).reshape(n, k)


def found_joints(probability: Floats) -> Flags:
    """The joints (N, K) that a person's box goes around: the probable ones, or all where fewer than two are."""
    found = probability > FOUND
    return found | (found.sum(axis=1, keepdims=True) < 2)


def person_scales(keypoints: Floats, probability: Floats) -> Floats:
    """Lambda, the square root of the area of the tight box around the joints found: (N,) pixels."""
    area = boxes.areas(boxes.around_points(keypoints, found_joints(probability)))
    scales: Floats = np.maximum(np.sqrt(area), np.float32(LEAST_SCALE_PX))
    return scales


def spreads(skeleton: Skeleton) -> Floats:
    """Kappa, twice the annotators' sigma of each joint: (K,)."""
    return 2 * np.array(skeleton.sigmas or [TYPICAL_SIGMA] * len(skeleton), np.float32)


def expected_oks(
    votes: Votes, fields: Fields, skeleton: Skeleton, keypoints: Floats, probability: Floats, radius_px: float
) -> Floats:
    """Score of each joint: its probability times the OKS to expect where votes say how far it may be off: (N, K).

    s = p(y) E[exp(-|x - y|^2 / (2 lambda^2 kappa^2))], x being drawn from the votes within R of y. The votes
    themselves are summed, not their map, so that its resolution does not blur the small joints of small people.
    """
    n, k = probability.shape
    h, w = fields.cells
    person_joint, vote = _votes_around(votes, keypoints, fields, radius_px)
    gap = votes.position[vote] - keypoints.reshape(-1, 2)[person_joint]
    squared = np.einsum("ij,ij->i", gap, gap)
    width = 2 * (person_scales(keypoints, probability)[:, None] * spreads(skeleton)) ** 2
    mass = np.where(squared <= radius_px**2, votes.mass[vote], 0)
    weighed = mass * np.exp(-squared / width.reshape(-1)[person_joint])
    total = np.bincount(person_joint, mass, minlength=n * k)
    expected = np.bincount(person_joint, weighed, minlength=n * k) / np.maximum(total, 1e-9)
    return (probability * expected.reshape(n, k)).astype(np.float32)


def _votes_around(votes: Votes, keypoints: Floats, fields: Fields, radius_px: float) -> tuple[NDArray[np.intp], ...]:
    """Pairs of a joint of a person and a vote for that joint, cast within 2 R of it: two lists of numbers.

    Offsets point at most R away, so no vote that lands within R is cast from farther.
    """
    n, k = keypoints.shape[:2]
    h, w = fields.cells
    reach = int(np.ceil(2 * radius_px / fields.grid.stride))
    # Numbers of the votes by cell, in a frame so wide that windows may leave the grid.
    number = np.full((k, h + 2 * reach, w + 2 * reach), -1, np.int32)
    number[votes.joint, votes.cell[:, 1] + reach, votes.cell[:, 0] + reach] = np.arange(len(votes.joint))
    centre = np.rint(fields.grid.to_cells(keypoints)).astype(np.intp)
    centre = np.minimum(np.maximum(centre, 0), np.array([w - 1, h - 1]))
    joint = np.arange(k)
    first = (joint * number.shape[1] + centre[..., 1]) * number.shape[2] + centre[..., 0]
    side = np.arange(2 * reach + 1)
    window = (side[:, None] * number.shape[2] + side).reshape(-1)
    around = number.reshape(-1).take(first.reshape(-1, 1) + window)
    pair, slot = np.nonzero(around >= 0)
    return pair, around[pair, slot]


def claimed_joints(keypoints: Floats, radius_px: float) -> Flags:
    """Joints (N, K) that lie within the radius of the same joint of a person listed before, the radius included."""
    gap = keypoints[:, None] - keypoints[None]
    near = (gap**2).sum(axis=3) <= np.float32(radius_px) ** 2
    earlier = np.tri(len(keypoints), k=-1, dtype=bool)
    claimed: Flags = (near & earlier[:, :, None]).any(axis=1)
    return claimed


def suppress_in_order(keypoints: Floats, keypoint_scores: Floats, radius_px: float) -> Floats:
    """Mean score (N,) over all K joints, of those joints alone that nobody listed before has."""
    free: Floats = np.where(claimed_joints(keypoints, radius_px), np.float32(0), keypoint_scores).mean(axis=1)
    return free


def suppress_softly(keypoints: Floats, keypoint_scores: Floats, radius_px: float) -> Floats:
    """As `suppress_in_order`, after listing people by their mean joint score: (N,)."""
    order = np.argsort(-keypoint_scores.mean(axis=1), kind="stable")
    scores = np.empty(len(order), np.float32)
    scores[order] = suppress_in_order(keypoints[order], keypoint_scores[order], radius_px)
    return scores


def suppress_similar(
    keypoints: Floats, keypoint_scores: Floats, scales: Floats, kappas: Floats, oks_threshold: float
) -> Floats:
    """Mean joint scores (N,), 0 for a person whose OKS with a surer one that stands is above the threshold."""
    scores = keypoint_scores.mean(axis=1)
    squared = ((keypoints[:, None] - keypoints[None]) ** 2).sum(axis=3)
    oks = np.exp(-squared / (2 * (scales[:, None, None] * kappas) ** 2)).mean(axis=2)
    kept: list[int] = []
    for person in np.argsort(-scores, kind="stable"):
        if (oks[kept, person] > oks_threshold).any():
            scores[person] = 0
        else:
            kept.append(int(person))
    return scores
