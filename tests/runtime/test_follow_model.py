"""A photograph that moves, through a real model: one person, steadier than she was found."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

import poseg
from poseg.runtime.follow import Follower

FRAMES, STEP_PX = 12, 2


def test_a_moving_photograph_is_one_person_with_steadier_joints_and_edges():
    data = pytest.importorskip("skimage.data")
    photo = cv2.resize(data.astronaut(), (320, 320), interpolation=cv2.INTER_AREA)
    model = poseg.load("fast", threads=1, max_people=1)
    rng = np.random.default_rng(0)
    steady, plain = Follower(), Follower(smooth=False)
    joints, masks = ([], []), ([], [])
    for frame in range(FRAMES):
        shift = -STEP_PX * frame
        image = cv2.warpAffine(
            photo, np.float64([[1, 0, shift], [0, 1, 0]]), (320, 320), borderMode=cv2.BORDER_REPLICATE
        )
        noisy = np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)
        found = model(noisy)
        for follower, paths, edges in zip((plain, steady), joints, masks, strict=True):
            people = follower.update(found, frame / 25)
            assert people.ids.tolist() == [0]
            paths.append(people.keypoints[0] - (shift, 0))
            edges.append(np.roll(people.masks[0], -shift, axis=1)[:, : 320 - STEP_PX * FRAMES])
    sure = found.keypoint_scores[0] > 0.5
    assert sure.sum() >= 5
    shaking = [np.diff(np.stack(paths)[4:, sure], axis=0).std() for paths in joints]
    flicker = [np.mean([np.count_nonzero(a ^ b) for a, b in pairwise(m[4:])]) for m in masks]
    assert shaking[1] < 0.6 * shaking[0]
    assert flicker[1] < 0.7 * flicker[0]
