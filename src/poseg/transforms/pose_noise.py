"""Poses as a network would find them: a little off, and with joints missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from poseg.geometry import boxes
from poseg.people import People

PLAIN_SIGMA = 0.08  # of a joint whose annotators' spread nobody measured


def with_pose_noise(
    people: People, rng: np.random.Generator, *, spread: float = 1.0, most_missing: float = 0.4, clean: float = 0.4
) -> People:
    """People with joints moved and missing; masks and boxes stay.

    spread        how far joints move, in units of the annotators' own (COCO's sigmas times the root of the box's area)
    most_missing  each person loses a share of the joints, drawn up to this one
    clean         share of people who are left as they are
    """
    n, k = people.keypoint_scores.shape
    sigmas = np.array(people.skeleton.sigmas or (PLAIN_SIGMA,) * k)
    scale = np.asarray(np.sqrt(np.maximum(boxes.areas(people.boxes_xyxy), 1)))
    touched = np.asarray(rng.random(n) >= clean)
    moved = rng.normal(size=(n, k, 2)) * (spread * touched[:, None] * scale[:, None] * sigmas)[..., None]
    missing = rng.random((n, k)) < (rng.uniform(0, most_missing, n) * touched)[:, None]
    return replace(
        people,
        keypoints=(people.keypoints + moved).astype(np.float32),
        keypoint_scores=np.where(missing, 0, people.keypoint_scores).astype(np.float32),
    )
