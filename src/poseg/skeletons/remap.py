"""From one skeleton to another, by the names of the joints."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseg.skeletons.skeleton import Skeleton

# Joints that a skeleton lacks, as the mean of joints that it has.
# OpenPose defines its neck so; LSP's neck sits a little higher, within the variation of its annotators.
# The spine of a straight back is half way between the centres of shoulders and hips.
MIDPOINTS = {
    "neck": ("left_shoulder", "right_shoulder"),
    "pelvis": ("left_hip", "right_hip"),
    "spine": ("left_shoulder", "right_shoulder", "left_hip", "right_hip"),
    "head": ("neck", "head_top"),
}


def remap_weights(source: Skeleton, target: Skeleton) -> NDArray[np.float32]:
    """(K_target, K_source) weights: a row of zeros where the target's joint has no counterpart.

    Rows sum to 1 or 0. A joint present in both skeletons is copied; one in `MIDPOINTS` whose parts the source
    has is their mean.
    """
    weights = np.zeros((len(target), len(source)), np.float32)
    for row, joint in enumerate(target.joints):
        parts = (joint,) if joint in source.joints else MIDPOINTS.get(joint, ())
        if parts and all(part in source.joints for part in parts):
            for part in parts:
                weights[row, source.index(part)] = 1 / len(parts)
    return weights


def remap(
    keypoints: NDArray[np.float32], scores: NDArray[np.float32], source: Skeleton, target: Skeleton
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Joints of `target` from joints of `source`.

    keypoints (N, K_source, 2), scores (N, K_source); returns the same for K_target. A joint without counterpart
    lies at (0, 0) with score 0, and so does one that is not finite; a midpoint has the lowest score of its parts.
    """
    finite = np.asarray(np.isfinite(keypoints).all(axis=-1))
    keypoints, scores = np.where(finite[..., None], keypoints, 0), np.where(finite, scores, 0)
    weights = remap_weights(source, target)
    points = np.einsum("ts,nsd->ntd", weights, keypoints).astype(np.float32)
    parts = np.where(weights > 0, scores[:, None, :], np.inf).min(axis=2, initial=np.inf)
    joint_scores = np.where(np.isfinite(parts), parts, 0).astype(np.float32)
    return np.where(joint_scores[..., None] > 0, points, 0).astype(np.float32), joint_scores
