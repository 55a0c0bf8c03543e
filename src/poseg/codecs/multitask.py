"""The multi-task network: top-down regression of joints, with joint and part detection in sliding windows.

Li, Liu and Chan (CVPRW 2014) regress 2D joints in a crop of one person. Li and Chan (ACCV 2014) regress 3D joints
relative to their parents. Both train detectors beside it: for each sliding window over the crop, whether it contains a
joint or a body part.

Letters: N people with one crop each, K joints, P parts, m x m windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.codecs.targets import Targets
from poseg.errors import FieldError, ShapeError
from poseg.fields import Fields, FieldSpec, sigmoid
from poseg.fields.windows import SlidingWindows
from poseg.geometry import affine, boxes
from poseg.geometry.grid import Grid
from poseg.people import People
from poseg.skeletons import LSP14, Pair, Skeleton
from poseg.skeletons.bones import from_parent_relative, to_parent_relative

Floats = NDArray[np.float32]

JOINTS, BONES, JOINT_WINDOWS, PART_WINDOWS = TASKS = ("joints", "bones", "joint_windows", "part_windows")
LABELS = ("all", "nearest")
BODY_MARGIN = 0.1  # of the body around the box of its joints, on each side, as a fraction of the longer one


@dataclass(frozen=True)
class MultitaskCodec:
    """How crops of people are encoded as the targets of the tasks, and decoded.

    skeleton          the joints
    tasks             outputs of the network: "joints" (2D, in the crop), "bones" (3D), "joint_windows", "part_windows"
    parts             pairs of joints; by default the skeleton's bones
    crop_px           side of the crop
    margin            around the box of a person's joints, on each side, as a fraction of its longer one
    window_px         side of the sliding windows
    window_stride_px  between neighbouring windows
    labels            positive windows of a joint: "all" that contain it, or the "nearest" only
    bone_scale_mm     millimetres of 1 in "bones": the greatest length along any axis
    """

    skeleton: Skeleton = LSP14
    tasks: tuple[str, ...] = (JOINTS, JOINT_WINDOWS, PART_WINDOWS)
    parts: tuple[Pair, ...] = ()
    crop_px: int = 112
    margin: float = 0.15
    window_px: int = 30
    window_stride_px: int = 12
    labels: str = "all"
    bone_scale_mm: float = 1200.0

    def __post_init__(self) -> None:
        if not self.parts:
            object.__setattr__(self, "parts", self.skeleton.bones)
        self.skeleton.indices(self.parts)
        unknown = [task for task in self.tasks if task not in TASKS]
        if unknown or not self.tasks or len(set(self.tasks)) < len(self.tasks):
            raise FieldError(f"Tasks are some of {', '.join(TASKS)}, each once; got {', '.join(self.tasks) or 'none'}.")
        if self.labels not in LABELS:
            raise FieldError(f"`labels` is one of {', '.join(LABELS)}, got {self.labels!r}.")
        if not (self.bone_scale_mm > 0 and self.margin >= 0):
            raise FieldError(
                "Bones need a bone_scale_mm above 0, boxes a margin of 0 or more; "
                f"got {self.bone_scale_mm}, {self.margin}."
            )
        self.windows  # noqa: B018  its own checks

    @cached_property
    def windows(self) -> SlidingWindows:
        """The sliding windows over the crop."""
        return SlidingWindows(self.crop_px, self.window_px, self.window_stride_px)

    @property
    def grid(self) -> Grid:
        """The positions of the windows' centres."""
        return Grid(self.window_stride_px, self.window_px / 2)

    @property
    def specs(self) -> tuple[FieldSpec, ...]:
        """One field (..., N, 1) for each task: people are its rows, and it has one column."""
        k, p, m2 = len(self.skeleton), len(self.parts), self.windows.per_side**2
        every = {
            JOINTS: FieldSpec(JOINTS, ("joint", "xy"), (k, 2), "scalar", self.grid),
            BONES: FieldSpec(BONES, ("joint", "xyz"), (k, 3), "scalar", self.grid),
            JOINT_WINDOWS: FieldSpec(JOINT_WINDOWS, ("joint", "window"), (k, m2), "logit", self.grid),
            PART_WINDOWS: FieldSpec(PART_WINDOWS, ("part", "window"), (p, m2), "logit", self.grid),
        }
        return tuple(every[task] for task in TASKS if task in self.tasks)

    def fields_from_outputs(self, outputs: Mapping[str, Floats]) -> Fields:
        """Fields of N crops from a network's outputs (N, C, 1, 1) by name."""
        return Fields.from_flat(self.specs, {name: np.moveaxis(array[..., 0], 0, 1) for name, array in outputs.items()})

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain data for a model's card; the skeleton is stored beside them."""
        plain = {name: getattr(self, name) for name in asdict(self) if name not in ("skeleton", "parts", "tasks")}
        return {**plain, "tasks": list(self.tasks), "parts": [list(part) for part in self.parts]}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], skeleton: Skeleton) -> MultitaskCodec:
        """The codec that `to_dict` described. Raises FieldError where a setting is missing or invalid."""
        try:
            return cls(
                skeleton,
                tuple(str(task) for task in plain["tasks"]),
                tuple((str(a), str(b)) for a, b in plain["parts"]),
                int(plain["crop_px"]), float(plain["margin"]), int(plain["window_px"]),
                int(plain["window_stride_px"]), str(plain["labels"]), float(plain["bone_scale_mm"]),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as fault:
            raise FieldError(
                f"The settings of the multi-task codec are incomplete or invalid ({fault!r}); export the model again."
            ) from None

    def crops(self, boxes_xyxy: ArrayLike, margin: float | None = None) -> NDArray[np.float64]:
        """(N, 2, 3) maps from the image to square crops around boxes of joints (N, 4); they keep the aspect ratio.

        margin  instead of the codec's own, such as 0 for an image that is a crop already
        """
        margin = self.margin if margin is None else margin
        corners = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
        sides = np.maximum((corners[:, 2:] - corners[:, :2]).max(axis=1, initial=0), 1) * (1 + 2 * margin)
        centres, half = (corners[:, :2] + corners[:, 2:]) / 2, self.crop_px / 2
        maps = [
            affine.similarity(self.crop_px / side, 0.0, (float(x), float(y)), (half, half))
            for side, (x, y) in zip(sides, centres, strict=True)
        ]
        return np.array(maps).reshape(-1, 2, 3)

    def crops_from_body_boxes(self, boxes_xyxy: ArrayLike) -> NDArray[np.float64]:
        """As `crops`, for boxes (N, 4) around whole bodies, which are larger than the boxes of their joints."""
        return self.crops(boxes_xyxy, ((1 + 2 * self.margin) / (1 + 2 * BODY_MARGIN) - 1) / 2)

    def encode(self, people: People, joints_mm: ArrayLike | None = None) -> Targets:
        """The targets of people (N), each in pixels of their crop; joints with a score above 0 are annotated.

        joints_mm  (N, K, 3) in camera axes, for "bones"; NaN where not measured

        Joints outside the crop are in no window and are not regressed. Targets and weights are (..., N, 1). A window's
        weight is 0 where its joint, or an end of its part, is not annotated. A crop without any annotated joint is
        background: all its windows are negative, with weight 1. Raises ShapeError for joints_mm of another shape.
        """
        points = people.keypoints.astype(np.float64)
        annotated = np.asarray((people.keypoint_scores > 0) & np.isfinite(points).all(axis=2))
        inside = annotated & ((points >= 0) & (points < self.crop_px)).all(axis=2)
        background = ~annotated.any(axis=1, keepdims=True)
        points_or_nan = np.where(annotated[..., None], points, np.nan)
        first, last = self.skeleton.indices(self.parts).T
        positive = self.windows.contains_joint if self.labels == "all" else self.windows.nearest
        m2 = self.windows.per_side**2
        joint_weight = np.asarray(annotated | background)
        part_weight = np.asarray((annotated[:, first] & annotated[:, last]) | background)
        in_part = self.windows.contains_part(points_or_nan[:, first], points_or_nan[:, last])
        targets = {
            JOINTS: np.where(inside[..., None], 2 * points / self.crop_px - 1, 0),
            JOINT_WINDOWS: positive(points_or_nan).reshape(*annotated.shape, m2),
            PART_WINDOWS: in_part.reshape(*part_weight.shape, m2),
        }
        weights = {
            JOINTS: inside,
            JOINT_WINDOWS: np.broadcast_to(joint_weight[..., None], targets[JOINT_WINDOWS].shape),
            PART_WINDOWS: np.broadcast_to(part_weight[..., None], targets[PART_WINDOWS].shape),
        }
        if BONES in self.tasks:
            targets[BONES], weights[BONES] = self._bones(people, joints_mm)
        names = [spec.name for spec in self.specs]
        return Targets(self.specs, {n: _rows(targets[n]) for n in names}, {n: _rows(weights[n]) for n in names})

    def _bones(self, people: People, joints_mm: ArrayLike | None) -> tuple[Floats, NDArray[np.bool_]]:
        """Joints (N, K, 3) relative to their parents in units of `bone_scale_mm`, and which are annotated (N, K)."""
        expected = (*people.keypoint_scores.shape, 3)
        joints = np.full(expected, np.nan) if joints_mm is None else np.asarray(joints_mm, np.float64)
        if joints.shape != expected:
            raise ShapeError("joints_mm", expected=expected, got=joints.shape)
        bones = to_parent_relative(joints, self.skeleton) / self.bone_scale_mm
        annotated = np.asarray(np.isfinite(bones).all(axis=-1))
        return np.where(annotated[..., None], bones, 0).astype(np.float32), annotated

    def decode(self, fields: Fields, crops: ArrayLike, min_score: float = 0.0) -> People:
        """The people (N) of crops (N, 2, 3), in pixels of the image, in the order of the crops.

        Joints are those of the regressor, or without one the soft-argmax over joint windows. A joint's score is the
        mean probability of the windows that contain it, or 1 without windows; a person's score is the mean over joints.
        People with a lower score than `min_score` are left out. Boxes enclose the joints. Raises FieldError for fields
        that are not finite.
        """
        fields.check_finite()
        maps = np.asarray(crops, np.float64).reshape(-1, 2, 3)
        count = len(maps)
        windows = None
        if JOINT_WINDOWS in self.tasks:
            m = self.windows.per_side
            windows = sigmoid(_people_first(fields[JOINT_WINDOWS])).reshape(count, len(self.skeleton), m, m)
        if JOINTS in self.tasks:
            points = np.asarray((_people_first(fields[JOINTS]) + 1) / 2 * self.crop_px, np.float32)
        elif windows is not None:
            points = self._soft_argmax(windows)
        else:
            raise FieldError("2D joints need the task joints or joint_windows, and this network has neither.")
        scores = np.ones(points.shape[:2], np.float32) if windows is None else self._window_support(windows, points)
        in_image = [affine.apply(affine.invert(crop), joints) for crop, joints in zip(maps, points, strict=True)]
        keypoints = np.array(in_image, np.float32).reshape(count, len(self.skeleton), 2)
        people = People.from_poses(self.skeleton, keypoints, scores)
        people = replace(people, boxes_xyxy=boxes.boxes_from_points(keypoints, np.ones_like(scores, np.bool_)))
        if BONES in self.tasks:
            bones = _people_first(fields[BONES]).astype(np.float64) * self.bone_scale_mm
            joints_mm = from_parent_relative(bones, self.skeleton).astype(np.float32)
            people = replace(people, keypoints_3d=joints_mm, skeleton_3d=self.skeleton)
        return people[people.scores >= min_score]

    def flip_averaged(self, fields: Fields, flipped: Fields) -> Fields:
        """Fields of crops with joints and bones averaged with those of the flipped crops.

        Window scores stay, since the windows of a flipped crop need not cover the same pixels.
        """
        arrays = dict(fields.arrays)
        for task in (JOINTS, BONES):
            if task in arrays:
                back = flipped[task][self.skeleton.flip_index]
                back = back * np.array([-1, 1, 1], np.float32)[: back.shape[1], None, None]
                arrays[task] = np.asarray((arrays[task] + back) / 2, np.float32)
        return Fields(fields.specs, arrays)

    def _window_support(self, windows: Floats, points: Floats) -> Floats:
        """(N, K) mean probability of the windows (N, K, m, m) that contain the joint at `points`; 0 without any."""
        contains = self.windows.contains_joint(points)
        count = contains.sum(axis=(2, 3))
        return np.asarray((contains * windows).sum(axis=(2, 3)) / np.maximum(count, 1), np.float32)

    def _soft_argmax(self, windows: Floats) -> Floats:
        """(N, K, 2) mean of the windows' centres, weighted by their squared probabilities (N, K, m, m)."""
        weights = windows**2 + 1e-6
        total = weights.sum(axis=(2, 3))
        centres = self.windows.starts_px + self.window_px / 2
        x, y = ((weights.sum(axis=axis) * centres).sum(axis=2) / total for axis in (2, 3))
        return np.stack([x, y], axis=2).astype(np.float32)


def _rows(array: NDArray[Any]) -> Floats:
    """(N, ...) -> (..., N, 1)."""
    return np.ascontiguousarray(np.moveaxis(array, 0, -1)[..., None], np.float32)


def _people_first(field: Floats) -> Floats:
    """(..., N, 1) -> (N, ...)."""
    return np.moveaxis(field[..., 0], -1, 0)
