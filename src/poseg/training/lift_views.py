"""Training items for the lifter: poses of motion capture before random cameras, as networks would see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset as TorchDataset

from poseg.codecs.lifting import FIELD, LiftingCodec
from poseg.datasets.mocap import Poses
from poseg.datasets.mocap import views as seen_by_cameras
from poseg.geometry import boxes
from poseg.people import People
from poseg.skeletons import BODY17_3D, COCO17, LSP14, OPENPOSE18, Skeleton
from poseg.skeletons.bones import from_parent_relative, to_parent_relative
from poseg.training.loader import View

Floats = NDArray[np.float32]

# People come on these skeletons, which lack some joints in space.
BLOCK = 64  # views made at once, as one of these skeletons has them
SOURCES: tuple[Skeleton, ...] = (BODY17_3D, COCO17, LSP14, OPENPOSE18)


@dataclass(frozen=True, slots=True)
class LiftView(View):
    """How a pose is seen; there is no picture, so its side is 1.

    noise        standard deviation of a joint's place, in the person's longer side; drawn anew for each person up to it
    missing      largest share of joints that are not found
    strays       probability of a joint that is found somewhere else on the person
    stretch      bodies are made larger or smaller by up to this share, each limb a little by itself
    mirror       probability of a mirrored pose
    lean_deg     standard deviation of a lean of the whole body, which motion capture hardly shows
    """

    noise: float = 0.02
    missing: float = 0.35
    strays: float = 0.01
    stretch: float = 0.1
    mirror: float = 0.5
    lean_deg: float = 12.0


class LiftViews(TorchDataset[dict[str, Any]]):
    """An endless-looking sequence of `length` views of poses; a source is drawn as the root of its size says.

    Views are made in blocks, which is ten times as fast; everything in one follows from the seed and its number.
    """

    def __init__(self, poses: Poses, codec: LiftingCodec, view: LiftView, *, length: int, seed: int) -> None:
        self.poses, self.codec, self.view, self.length, self.seed = poses, codec, view, length, seed
        _, source, count = np.unique(poses.sources, return_inverse=True, return_counts=True)
        self._chance = (1 / np.sqrt(count))[source]
        self._chance /= self._chance.sum()
        self._made: tuple[int, list[dict[str, Any]]] = (-1, [])

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, position: int) -> dict[str, Any]:
        block, place = divmod(position, BLOCK)
        if self._made[0] != block:
            self._made = (block, self._block(block))
        return self._made[1][place]

    def _block(self, number: int) -> list[dict[str, Any]]:
        rng = np.random.default_rng((self.seed, number))
        rows = rng.choice(len(self.poses), BLOCK, p=self._chance)
        people, joints_mm = seen(varied(self.poses.joints_mm[rows], self.view, rng), self.view, rng)
        read, targets = self.codec.network_inputs(people)[0], self.codec.encode(joints_mm)
        parts = {"targets": targets.targets[FIELD], "weights": targets.weights[FIELD]}
        return [
            {
                "image": torch.from_numpy(read[row]),
                **{kind: {FIELD: torch.from_numpy(array[..., row, :, None].copy())} for kind, array in parts.items()},
            }
            for row in range(BLOCK)
        ]


def varied(joints_mm: Floats, view: LiftView, rng: np.random.Generator) -> Floats:
    """Poses (N, K, 3) of other bodies: limbs of other lengths, left for right, leaning; y-up, the pelvis at 0."""
    skeleton, n = BODY17_3D, len(joints_mm)
    scale = rng.uniform(1 - view.stretch, 1 + view.stretch, (n, 1))
    limb = scale * rng.uniform(1 - view.stretch / 2, 1 + view.stretch / 2, (n, len(skeleton)))
    limb = (limb + limb[:, skeleton.flip_index]) / 2  # both sides alike
    joints = from_parent_relative(to_parent_relative(joints_mm, skeleton) * limb[..., None], skeleton)
    mirrored = joints[:, skeleton.flip_index] * np.array([-1, 1, 1])
    joints = np.where((rng.random(n) < view.mirror)[:, None, None], mirrored, joints)
    axis, angle = rng.normal(size=(n, 3)), np.deg2rad(rng.normal(0, view.lean_deg, n))[:, None, None]
    axis /= np.linalg.norm(axis, axis=1, keepdims=True) + 1e-9
    cross = np.cross(np.eye(3)[None], axis[:, None])
    # Rodrigues' formula, for rows: both terms transposed.
    turned = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return np.asarray(joints @ turned, np.float32)


def seen(joints_mm: Floats, view: LiftView, rng: np.random.Generator) -> tuple[People, Floats]:
    """People (N) as a network would find them, and their joints (N, K, 3) in camera axes, for poses (N, K, 3)."""
    pairs = seen_by_cameras(joints_mm, rng)
    points, n = pairs.keypoints.astype(np.float64), len(pairs)
    box = boxes.boxes_from_points(points, np.ones(points.shape[:2], bool))
    side = (box[:, 2:] - box[:, :2]).max(axis=1)[:, None, None]
    spread = rng.uniform(0, view.noise, (n, 1, 1)) * side
    moved = points + rng.normal(size=points.shape) * spread
    stray = rng.random(points.shape[:2]) < view.strays
    anywhere = box[:, None, :2] + rng.random(points.shape) * (box[:, None, 2:] - box[:, None, :2])
    moved = np.where(stray[..., None], anywhere, moved)
    lost = rng.random(points.shape[:2]) < view.missing * rng.random((n, 1))
    people = People.from_poses(BODY17_3D, moved, np.where(lost, 0, 1))
    # As a network that knows other joints would have found them.
    source = SOURCES[int(rng.integers(len(SOURCES)))]
    return people.remap_to(source), pairs.joints_mm
