"""Training examples of the lifter: poses of motion capture projected by random cameras, as networks would predict them.

Examples are made in blocks, which is ten times as fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.lifting import FIELD, LiftingCodec
from poseg.codecs.targets import Targets
from poseg.datasets.mocap import MocapPoses, project
from poseg.geometry import boxes
from poseg.people import People
from poseg.skeletons import BODY17_3D, COCO17, LSP14, OPENPOSE18, Skeleton
from poseg.skeletons.bones import from_parent_relative, to_parent_relative
from poseg.training.dataset import Example, TrainInput

Floats = NDArray[np.float32]

# Skeletons of the people that are lifted; they lack some joints of the 3D one.
SOURCE_SKELETONS: tuple[Skeleton, ...] = (BODY17_3D, COCO17, LSP14, OPENPOSE18)


@dataclass(frozen=True, slots=True)
class LiftInput(TrainInput):
    """How a pose is augmented and projected; there is no image, so its side is 1.

    noise         standard deviation of a joint's position, in the person's longer side; drawn for each person up to it
    max_missing   largest fraction of joints that are not predicted
    outlier_prob  probability of a joint that is predicted somewhere else on the person
    scale_jitter  bodies are made larger or smaller by up to this fraction, each limb a little by itself
    flip_prob     probability of a flipped pose
    lean_std_deg  standard deviation of a lean of the whole body, which motion capture hardly shows
    """

    noise: float = 0.02
    max_missing: float = 0.35
    outlier_prob: float = 0.01
    scale_jitter: float = 0.1
    flip_prob: float = 0.5
    lean_std_deg: float = 12.0


@dataclass(frozen=True)
class LifterTargets:
    """Projected poses; a source of motion capture is drawn in proportion to the root of its size."""

    poses: MocapPoses
    codec: LiftingCodec
    input: LiftInput

    block_size: ClassVar[int] = 64

    @cached_property
    def _probabilities(self) -> NDArray[np.float64]:
        _, source, count = np.unique(self.poses.sources, return_inverse=True, return_counts=True)
        weights = (1 / np.sqrt(count))[source]
        return np.asarray(weights / weights.sum(), np.float64)

    def targets(self, rng: np.random.Generator) -> list[Example]:
        """A block of poses, all on one skeleton."""
        rows = rng.choice(len(self.poses), self.block_size, p=self._probabilities)
        poses = augment_poses(self.poses.joints_mm[rows], self.input, rng)
        people, joints_mm = project_poses(poses, self.input, rng)
        inputs, targets = self.codec.network_inputs(people)[0], self.codec.encode(joints_mm)

        def of(row: int) -> Targets:
            parts = (
                {FIELD: part[FIELD][..., row, :, None].astype(np.float32)}
                for part in (targets.targets, targets.weights)
            )
            return Targets(self.codec.specs, *parts)

        return [Example(inputs[row], of(row)) for row in range(self.block_size)]


def augment_poses(joints_mm: Floats, config: LiftInput, rng: np.random.Generator) -> Floats:
    """Poses (N, K, 3) of other bodies: limbs of other lengths, flipped, leaning; y-up, the pelvis at 0."""
    skeleton, n, jitter = BODY17_3D, len(joints_mm), config.scale_jitter
    scale = rng.uniform(1 - jitter, 1 + jitter, (n, 1))
    limb = scale * rng.uniform(1 - jitter / 2, 1 + jitter / 2, (n, len(skeleton)))
    limb = (limb + limb[:, skeleton.flip_index]) / 2  # both sides alike
    joints = from_parent_relative(to_parent_relative(joints_mm, skeleton) * limb[..., None], skeleton)
    flipped = joints[:, skeleton.flip_index] * np.array([-1, 1, 1])
    joints = np.where((rng.random(n) < config.flip_prob)[:, None, None], flipped, joints)
    axis, angle = rng.normal(size=(n, 3)), np.deg2rad(rng.normal(0, config.lean_std_deg, n))[:, None, None]
    axis /= np.linalg.norm(axis, axis=1, keepdims=True) + 1e-9
    cross = np.cross(np.eye(3)[None], axis[:, None])
    # Rodrigues' formula, for rows: both terms transposed.
    rotation = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return np.asarray(joints @ rotation, np.float32)


def project_poses(joints_mm: Floats, config: LiftInput, rng: np.random.Generator) -> tuple[People, Floats]:
    """People (N) as a network would predict them, and their joints (N, K, 3) in camera axes, for poses (N, K, 3)."""
    pairs = project(joints_mm, rng)
    points, n = pairs.keypoints.astype(np.float64), len(pairs)
    box = boxes.boxes_from_points(points, np.ones(points.shape[:2], bool))
    side = (box[:, 2:] - box[:, :2]).max(axis=1)[:, None, None]
    sigma = rng.uniform(0, config.noise, (n, 1, 1)) * side
    noisy = points + rng.normal(size=points.shape) * sigma
    outlier = rng.random(points.shape[:2]) < config.outlier_prob
    anywhere = box[:, None, :2] + rng.random(points.shape) * (box[:, None, 2:] - box[:, None, :2])
    noisy = np.where(outlier[..., None], anywhere, noisy)
    missing = rng.random(points.shape[:2]) < config.max_missing * rng.random((n, 1))
    people = People.from_poses(BODY17_3D, noisy, np.where(missing, 0, 1))
    # As a network with other joints would predict them.
    return people.remap_to(SOURCE_SKELETONS[int(rng.integers(len(SOURCE_SKELETONS)))]), pairs.joints_mm
