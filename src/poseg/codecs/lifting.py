"""The lifter: 2D joints to 3D joints, from the pose alone.

Inputs are joints relative to the person's centre in units of the person's size, so position and size in the image do
not matter. Outputs are joints relative to their parents (Li and Chan, ACCV 2014, section 3.1).

Letters: N people, K joints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.codecs.targets import Targets
from poseg.errors import FieldError, ShapeError
from poseg.fields import Fields, FieldSpec
from poseg.geometry import boxes
from poseg.geometry.grid import Grid
from poseg.people import People
from poseg.skeletons import BODY17_3D, Skeleton
from poseg.skeletons.bones import from_parent_relative, to_parent_relative

Floats = NDArray[np.float32]

FIELD = "bones"
FEATURES_PER_JOINT = 3  # x, y, and 1 where the joint is visible


@dataclass(frozen=True, slots=True)
class LiftingCodec:
    """How people become a network's input, and its output 3D joints.

    skeleton            of the 3D joints; 2D joints are remapped to it by name
    bone_scale_mm       millimetres of 1 in the field "bones"
    min_joints          people with fewer visible joints are not lifted
    min_keypoint_score  joints with a lower score are not visible
    """

    skeleton: Skeleton = BODY17_3D
    bone_scale_mm: float = 1000.0
    min_joints: int = 6
    min_keypoint_score: float = 0.1

    def __post_init__(self) -> None:
        if not (self.bone_scale_mm > 0 and self.min_joints >= 2 and 0 <= self.min_keypoint_score < 1):
            raise FieldError(
                "A lifter needs a bone_scale_mm above 0, min_joints of 2 or more and a min_keypoint_score from 0 to "
                f"below 1; got {self.bone_scale_mm}, {self.min_joints} and {self.min_keypoint_score}."
            )

    @property
    def specs(self) -> tuple[FieldSpec, ...]:
        """One field (K, 3, N, 1): people are its rows, and it has one column."""
        return (FieldSpec(FIELD, ("joint", "xyz"), (len(self.skeleton), 3), "scalar", Grid(1)),)

    @property
    def inputs(self) -> int:
        """The number of input channels."""
        return FEATURES_PER_JOINT * len(self.skeleton)

    def fields_from_outputs(self, outputs: Mapping[str, Floats]) -> Fields:
        """Fields of N people from a network's outputs (N, C, 1, 1) by name."""
        return Fields.from_flat(self.specs, {name: np.moveaxis(a[..., 0], 0, 1) for name, a in outputs.items()})

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain data for a model's card; the skeleton is stored beside them."""
        return {name: getattr(self, name) for name in ("bone_scale_mm", "min_joints", "min_keypoint_score")}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], skeleton: Skeleton) -> LiftingCodec:
        """The codec that `to_dict` described. Raises FieldError where a setting is missing or invalid."""
        try:
            score = float(plain["min_keypoint_score"])
            return cls(skeleton, float(plain["bone_scale_mm"]), int(plain["min_joints"]), score)
        except (KeyError, TypeError, ValueError) as fault:
            raise FieldError(
                "The settings of the lifter lack a valid bone_scale_mm, min_joints or min_keypoint_score "
                f"({fault!r}); export the model again."
            ) from None

    def network_inputs(self, people: People) -> tuple[Floats, NDArray[np.bool_]]:
        """The network's input (N, 3 K, 1, 1), and which people have enough visible joints to be lifted (N,)."""
        remapped = people.remap_to(self.skeleton)
        scores = remapped.keypoint_scores
        visible = np.asarray((scores >= self.min_keypoint_score) & (scores > 0))
        box = boxes.boxes_from_points(remapped.keypoints, visible)
        centre, side = (box[:, :2] + box[:, 2:]) / 2, (box[:, 2:] - box[:, :2]).max(axis=1, initial=0)
        relative = (remapped.keypoints - centre[:, None]) * (2 / np.maximum(side, 1e-6))[:, None, None]
        features = np.concatenate([relative * visible[..., None], visible[..., None]], axis=2).astype(np.float32)
        liftable = (visible.sum(axis=1) >= self.min_joints) & (side > 0)
        return features.reshape(len(people), self.inputs, 1, 1), np.asarray(liftable, np.bool_)

    def encode(self, joints_mm: ArrayLike) -> Targets:
        """The targets of joints (N, K, 3) in camera axes: x right, y down, z away; weight 0 where one is not finite."""
        joints = np.asarray(joints_mm, np.float64)
        if joints.ndim != 3 or joints.shape[1:] != (len(self.skeleton), 3):
            raise ShapeError("joints_mm", expected=("people", len(self.skeleton), 3), got=joints.shape)
        bones = to_parent_relative(joints, self.skeleton) / self.bone_scale_mm
        valid = np.asarray(np.isfinite(bones).all(axis=2))
        target = np.where(valid[..., None], bones, 0)
        return Targets(
            self.specs,
            {FIELD: np.moveaxis(target, 0, -1)[..., None].astype(np.float32)},
            {FIELD: np.moveaxis(valid, 0, -1)[..., None].astype(np.float32)},
        )

    def decode(self, fields: Fields, people: People, liftable: NDArray[np.bool_]) -> People:
        """People with 3D joints (N, K, 3): mm about the root, in camera axes; NaN for those not `liftable` (N,).

        The fields hold the liftable people only, in their order. Raises FieldError for fields that are not finite.
        """
        fields.check_finite()
        bones = np.moveaxis(fields[FIELD][..., 0], -1, 0).astype(np.float64) * self.bone_scale_mm
        joints = np.full((len(people), len(self.skeleton), 3), np.nan, np.float32)
        joints[liftable] = from_parent_relative(bones, self.skeleton)
        return replace(people, keypoints_3d=joints, skeleton_3d=self.skeleton)
