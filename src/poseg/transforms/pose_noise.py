"""Poses as a network would predict them: with localisation errors and missing joints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from poseg.geometry import boxes
from poseg.people import People


def jitter_poses(
    people: People, rng: np.random.Generator, *,
    sigma_scale: float = 1.0, max_missing: float = 0.4, clean_fraction: float = 0.4,
) -> People:  # fmt: skip
    """People with joints moved and missing; masks and boxes stay.

    sigma_scale     noise of the joints, in units of the annotators' (`Skeleton.oks_sigmas` times the square root of the
                    box's area)
    max_missing     each person loses a fraction of the joints, uniform between 0 and this
    clean_fraction  probability that a person is left unchanged
    """
    n, k = people.keypoint_scores.shape
    scale = np.asarray(np.sqrt(np.maximum(boxes.areas(people.boxes_xyxy), 1)))
    touched = np.asarray(rng.random(n) >= clean_fraction)
    moved = (
        rng.normal(size=(n, k, 2))
        * (sigma_scale * touched[:, None] * scale[:, None] * people.skeleton.oks_sigmas)[..., None]
    )
    missing = rng.random((n, k)) < (rng.uniform(0, max_missing, n) * touched)[:, None]
    return replace(
        people,
        keypoints=(people.keypoints + moved).astype(np.float32),
        keypoint_scores=np.where(missing, 0, people.keypoint_scores).astype(np.float32),
    )
