"""Random perturbations for training: colours and focus of an image, joints of poses."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.geometry import boxes
from poseg.people import People

Image = NDArray[np.uint8]


def jitter_colours(image: Image, rng: np.random.Generator, strength: float = 0.3) -> Image:
    """Random brightness, contrast, saturation and colour cast; sometimes grey or blurred.

    image (H, W, 3) uint8 RGB; strength 0 returns it unchanged.
    """
    if strength <= 0:
        return image
    gain = rng.uniform(1 - strength, 1 + strength)
    cast = rng.uniform(1 - strength / 3, 1 + strength / 3, 3)
    shift = rng.uniform(-strength, strength) * 64
    saturation = 0.0 if rng.random() < 0.08 else rng.uniform(1 - strength, 1 + strength)
    luma = np.array([0.299, 0.587, 0.114])
    # One 3x3 matrix does gain, cast and saturation: s I + (1 - s) 1 luma^T, rows scaled.
    mix = (gain * cast)[:, None] * (saturation * np.eye(3) + (1 - saturation) * luma)
    changed = cv2.transform(image, np.column_stack([mix, np.full(3, shift)]))
    if rng.random() < 0.1:
        changed = cv2.GaussianBlur(changed, (0, 0), rng.uniform(0.5, 1.5))
    return np.asarray(changed, np.uint8)


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
