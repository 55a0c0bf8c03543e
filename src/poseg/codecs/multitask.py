"""The multi-task network: top-down joints of one person in a crop, with joint and part detection in sliding windows.

Joints come from heatmaps, one for each, decoded by DARK; or as published they are regressed: 2D joints in the crop (Li,
Liu and Chan, CVPRW 2014), or 3D joints relative to their parents (Li and Chan, ACCV 2014). Detectors are trained
beside it: for each sliding window over the crop, whether it contains a joint or a body part.

Letters: N people with one crop each, K joints, P parts, h x w cells of a heatmap, m windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.codecs.targets import Targets
from poseg.errors import FieldError, ShapeError
from poseg.fields import Fields, FieldSpec, sigmoid
from poseg.fields.dark import dark_joints
from poseg.fields.heatmap import gaussian_heatmaps
from poseg.fields.windows import SlidingWindows
from poseg.geometry import affine, boxes
from poseg.geometry.grid import Grid
from poseg.people import People
from poseg.skeletons import LSP14, Pair, Skeleton
from poseg.skeletons.bones import from_parent_relative, to_parent_relative

Floats = NDArray[np.float32]

JOINTS, BONES, HEATMAP, JOINT_WINDOWS, PART_WINDOWS = TASKS = (
    "joints", "bones", "heatmap", "joint_windows", "part_windows"
)  # fmt: skip
LABELS = ("all", "nearest")
BODY_MARGIN = 0.1  # of the body around the box of its joints, on each side, as a fraction of the longer one
HEATMAP_GRID = Grid(4)
SIGMA_PX = 8.0  # of the Gaussian around a joint
MIN_JOINT_SCORE = 0.2  # joints below do not count for the score of a person


@dataclass(frozen=True)
class MultitaskCodec:
    """How crops of people are encoded as the targets of the tasks, and decoded.

    skeleton          the joints
    tasks             outputs of the network: "joints" (2D, in the crop), "bones" (3D), "heatmap" (2D), "joint_windows",
                      "part_windows"
    parts             pairs of joints; by default the skeleton's bones
    crop_size_px      height and width of the crop
    margin            around the box of a person's joints, on each side, as a fraction of the box at the crop's aspect
    window_px         side of the sliding windows
    window_stride_px  between neighbouring windows
    labels            positive windows of a joint: "all" that contain it, or the "nearest" only
    bone_scale_mm     millimetres of 1 in "bones": the greatest length along any axis
    """

    skeleton: Skeleton = LSP14
    tasks: tuple[str, ...] = (JOINTS, JOINT_WINDOWS, PART_WINDOWS)
    parts: tuple[Pair, ...] = ()
    crop_size_px: tuple[int, int] = (112, 112)
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
        return SlidingWindows(self.crop_size_px, self.window_px, self.window_stride_px)

    @property
    def heatmap_cells(self) -> tuple[int, int]:
        """Rows and columns of a heatmap."""
        return HEATMAP_GRID.shape(*self.crop_size_px)

    @property
    def flip_shift_px(self) -> int:
        """How far to the left of a crop the flipped one begins.

        A flipped crop whose cells are to stand where those of the crop do is flipped about the middle of the cells, and
        these are at the left edge of their blocks.
        """
        return HEATMAP_GRID.stride - 1 if HEATMAP in self.tasks else 0

    @property
    def specs(self) -> tuple[FieldSpec, ...]:
        """One field (..., N, 1) for each task: people are its rows, and it has one column."""
        k, p, m = len(self.skeleton), len(self.parts), prod(self.windows.shape)
        centres = Grid(self.window_stride_px, self.window_px / 2)
        every = {
            JOINTS: FieldSpec(JOINTS, ("joint", "xy"), (k, 2), "scalar", centres),
            BONES: FieldSpec(BONES, ("joint", "xyz"), (k, 3), "scalar", centres),
            HEATMAP: FieldSpec(HEATMAP, ("joint", "row", "column"), (k, *self.heatmap_cells), "scalar", HEATMAP_GRID),
            JOINT_WINDOWS: FieldSpec(JOINT_WINDOWS, ("joint", "window"), (k, m), "logit", centres),
            PART_WINDOWS: FieldSpec(PART_WINDOWS, ("part", "window"), (p, m), "logit", centres),
        }
        return tuple(every[task] for task in TASKS if task in self.tasks)

    def fields_from_outputs(self, outputs: Mapping[str, Floats]) -> Fields:
        """Fields of N crops from a network's outputs (N, C, 1, 1) by name."""
        return Fields.from_flat(self.specs, {name: np.moveaxis(array[..., 0], 0, 1) for name, array in outputs.items()})

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain data for a model's card; the skeleton is stored beside them."""
        plain = {name: getattr(self, name) for name in asdict(self) if name not in ("skeleton", "parts", "tasks")}
        return {
            **plain, "crop_size_px": list(self.crop_size_px), "tasks": list(self.tasks),
            "parts": [list(part) for part in self.parts],
        }  # fmt: skip

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], skeleton: Skeleton) -> MultitaskCodec:
        """The codec that `to_dict` described. Raises FieldError where a setting is missing or invalid."""
        try:
            height, width = plain["crop_size_px"]
            return cls(
                skeleton,
                tuple(str(task) for task in plain["tasks"]),
                tuple((str(a), str(b)) for a, b in plain["parts"]),
                (int(height), int(width)), float(plain["margin"]), int(plain["window_px"]),
                int(plain["window_stride_px"]), str(plain["labels"]), float(plain["bone_scale_mm"]),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as fault:
            raise FieldError(
                f"The settings of the multi-task codec are incomplete or invalid ({fault!r}); export the model again."
            ) from None

    def crops(self, boxes_xyxy: ArrayLike, margin: float | None = None) -> NDArray[np.float64]:
        """(N, 2, 3) maps from the image to crops around boxes of joints (N, 4); they keep the aspect ratio.

        margin  instead of the codec's own, such as 0 for an image that is a crop already
        """
        margin = self.margin if margin is None else margin
        height, width = self.crop_size_px
        corners = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
        sides = np.maximum(corners[:, 2:] - corners[:, :2], 1) * (1 + 2 * margin)
        centres, scales = (corners[:, :2] + corners[:, 2:]) / 2, (np.array([width, height]) / sides).min(axis=1)
        maps = [
            affine.similarity(float(scale), 0.0, (float(x), float(y)), (width / 2, height / 2))
            for scale, (x, y) in zip(scales, centres, strict=True)
        ]
        return np.array(maps).reshape(-1, 2, 3)

    def crops_from_body_boxes(self, boxes_xyxy: ArrayLike) -> NDArray[np.float64]:
        """As `crops`, for boxes (N, 4) around whole bodies, which are larger than the boxes of their joints."""
        return self.crops(boxes_xyxy, ((1 + 2 * self.margin) / (1 + 2 * BODY_MARGIN) - 1) / 2)

    def encode(self, people: People, joints_mm: ArrayLike | None = None) -> Targets:
        """The targets of people (N), each in pixels of their crop; joints with a score above 0 are annotated.

        joints_mm  (N, K, 3) in camera axes, for "bones"; NaN where not measured

        Joints outside the crop are in no window, and are neither regressed nor in a heatmap. Targets and weights are
        (..., N, 1); a heatmap has one weight (K, N, 1). A window's weight is 0 where its joint, or an end of its part,
        is not annotated. A crop without any annotated joint is background: all its heatmaps are 0 and its windows
        negative, with weight 1. Raises ShapeError for joints_mm of another shape.
        """
        points = people.keypoints.astype(np.float64)
        annotated = np.asarray((people.keypoint_scores > 0) & np.isfinite(points).all(axis=2))
        height, width = self.crop_size_px
        inside = annotated & ((points >= 0) & (points < (width, height))).all(axis=2)
        background = np.asarray(~annotated.any(axis=1, keepdims=True))
        targets: dict[str, NDArray[Any]] = {
            JOINTS: np.where(inside[..., None], 2 * points / (width, height) - 1, 0)
        }  # fmt: skip
        weights: dict[str, NDArray[Any]] = {JOINTS: inside, HEATMAP: inside | background}
        if HEATMAP in self.tasks:
            targets[HEATMAP] = np.array([
                gaussian_heatmaps(one[None].astype(np.float32), seen[None], HEATMAP_GRID, self.heatmap_cells, SIGMA_PX)
                for one, seen in zip(points, inside, strict=True)
            ]).reshape(len(points), len(self.skeleton), *self.heatmap_cells)  # fmt: skip
        if JOINT_WINDOWS in self.tasks or PART_WINDOWS in self.tasks:
            self._encode_windows(np.where(annotated[..., None], points, np.nan), background, targets, weights)
        if BONES in self.tasks:
            targets[BONES], weights[BONES] = self._bones(people, joints_mm)
        names = [spec.name for spec in self.specs]
        return Targets(self.specs, {n: _rows(targets[n]) for n in names}, {n: _rows(weights[n]) for n in names})

    def _encode_windows(
        self, points_or_nan: NDArray[np.float64], background: NDArray[np.bool_], targets: dict[str, NDArray[Any]],
        weights: dict[str, NDArray[Any]],
    ) -> None:  # fmt: skip
        """Which windows contain joints and parts: (N, K, m) and (N, P, m), from joints (N, K, 2)."""
        first, last = self.skeleton.indices(self.parts).T
        positive = self.windows.contains_joint if self.labels == "all" else self.windows.nearest
        annotated = np.asarray(np.isfinite(points_or_nan).all(axis=2))
        windows = {
            JOINT_WINDOWS: (positive(points_or_nan), annotated),
            PART_WINDOWS: (
                self.windows.contains_part(points_or_nan[:, first], points_or_nan[:, last]),
                annotated[:, first] & annotated[:, last],
            ),
        }
        for task, (contained, known) in windows.items():
            targets[task] = contained.reshape(*known.shape, prod(self.windows.shape))
            weights[task] = np.broadcast_to((known | background)[..., None], targets[task].shape)

    def _bones(self, people: People, joints_mm: ArrayLike | None) -> tuple[Floats, NDArray[np.bool_]]:
        """Joints (N, K, 3) relative to their parents in units of `bone_scale_mm`, and which are annotated (N, K)."""
        expected = (*people.keypoint_scores.shape, 3)
        joints = np.full(expected, np.nan) if joints_mm is None else np.asarray(joints_mm, np.float64)
        if joints.shape != expected:
            raise ShapeError("joints_mm", expected=expected, got=joints.shape)
        bones = to_parent_relative(joints, self.skeleton) / self.bone_scale_mm
        annotated = np.asarray(np.isfinite(bones).all(axis=-1))
        return np.where(annotated[..., None], bones, 0).astype(np.float32), annotated

    def heatmaps(self, fields: Fields) -> Floats:
        """(N, K, h, w) of fields with the task "heatmap", about 0 to 1; cells are on `HEATMAP_GRID` over the crop."""
        return _people_first(fields[HEATMAP])

    def decode(self, fields: Fields, crops: ArrayLike, min_score: float = 0.0) -> People:
        """The people (N) of crops (N, 2, 3), in pixels of the image, in the order of the crops.

        Joints are the maxima of heatmaps, scored by their height (`decode_heatmaps`), or those of the regressor, or
        without either the soft-argmax over joint windows. The score of the latter is the mean probability of the
        windows that contain the joint, or 1 without windows; the person's is the mean over joints. People with a lower
        score than `min_score` are left out. Boxes enclose the joints. Raises FieldError for fields that are not finite.
        """
        fields.check_finite()
        if HEATMAP in self.tasks:
            people = self.decode_heatmaps(self.heatmaps(fields), crops)
        else:
            people = self._people(*self._regressed_joints(fields), crops)
        if BONES in self.tasks:
            bones = _people_first(fields[BONES]).astype(np.float64) * self.bone_scale_mm
            joints_mm = from_parent_relative(bones, self.skeleton).astype(np.float32)
            people = replace(people, keypoints_3d=joints_mm, skeleton_3d=self.skeleton)
        return people[people.scores >= min_score]

    def _regressed_joints(self, fields: Fields) -> tuple[Floats, Floats]:
        """(N, K, 2) in pixels of the crop and their scores (N, K), without heatmaps."""
        height, width = self.crop_size_px
        windows = sigmoid(_people_first(fields[JOINT_WINDOWS])) if JOINT_WINDOWS in self.tasks else None
        if JOINTS in self.tasks:
            points = np.asarray((_people_first(fields[JOINTS]) + 1) / 2 * (width, height), np.float32)
        elif windows is not None:
            points = self._soft_argmax(windows)
        else:
            raise FieldError("2D joints need the task heatmap, joints or joint_windows, and this network has none.")
        if windows is None:
            return points, np.ones(points.shape[:2], np.float32)
        contains = self.windows.contains_joint(points).reshape(windows.shape)
        support = (contains * windows).sum(axis=2) / np.maximum(contains.sum(axis=2), 1)
        return points, np.asarray(support, np.float32)

    def decode_heatmaps(self, heatmaps: Floats, crops: ArrayLike) -> People:
        """The people of heatmaps (N, K, h, w) over crops (N, 2, 3), in pixels of the image.

        A joint's score is the height of its maximum, at most 1. A person's is the mean over joints that score 0.2 or
        more, and 0 without any: joints outside the image do not count against a person.
        """
        points, heights = dark_joints(heatmaps, HEATMAP_GRID)
        scores = np.clip(heights, 0, 1)
        counts = scores >= MIN_JOINT_SCORE
        people = self._people(points, scores, crops)
        return replace(people, scores=(scores * counts).sum(axis=1) / np.maximum(counts.sum(axis=1), 1))

    def _people(self, points: Floats, scores: Floats, crops: ArrayLike) -> People:
        """People from joints (N, K, 2) in pixels of their crops, with boxes around them."""
        maps = np.asarray(crops, np.float64).reshape(-1, 2, 3)
        in_image = [affine.apply(affine.invert(crop), joints) for crop, joints in zip(maps, points, strict=True)]
        keypoints = np.array(in_image, np.float32).reshape(len(maps), len(self.skeleton), 2)
        people = People.from_poses(self.skeleton, keypoints, scores)
        return replace(people, boxes_xyxy=boxes.boxes_from_points(keypoints, np.ones_like(scores, np.bool_)))

    def flip_averaged(self, fields: Fields, flipped: Fields) -> Fields:
        """Fields of crops with joints, bones and heatmaps averaged with those of the flipped crops.

        flipped  of the crops that begin `flip_shift_px` to the left, flipped

        Window scores stay, since the windows of a flipped crop need not cover the same pixels.
        """
        arrays, order = dict(fields.arrays), self.skeleton.flip_index
        if HEATMAP in arrays:
            arrays[HEATMAP] = (arrays[HEATMAP] + flipped[HEATMAP][order][:, :, ::-1]) / np.float32(2)
        if JOINTS in arrays:
            shift = np.array([2 * self.flip_shift_px / self.crop_size_px[1], 0], np.float32)[:, None, None]
            back = flipped[JOINTS][order] * np.array([-1, 1], np.float32)[:, None, None] - shift
            arrays[JOINTS] = np.asarray((arrays[JOINTS] + back) / 2, np.float32)
        if BONES in arrays:
            bones = flipped[BONES][order] * np.array([-1, 1, 1], np.float32)[:, None, None]
            arrays[BONES] = np.asarray((arrays[BONES] + bones) / 2, np.float32)
        return Fields(fields.specs, arrays)

    def _soft_argmax(self, windows: Floats) -> Floats:
        """(N, K, 2) mean of the windows' centres, weighted by their squared probabilities (N, K, m)."""
        weights = windows**2 + 1e-6
        y, x = np.meshgrid(*(starts + self.window_px / 2 for starts in self.windows.starts_px), indexing="ij")
        centres = np.stack([x.ravel(), y.ravel()], axis=1)
        return np.asarray(weights @ centres / weights.sum(axis=2, keepdims=True), np.float32)


def _rows(array: NDArray[Any]) -> Floats:
    """(N, ...) -> (..., N, 1)."""
    return np.ascontiguousarray(np.moveaxis(array, 0, -1)[..., None], np.float32)


def _people_first(field: Floats) -> Floats:
    """(..., N, 1) -> (N, ...)."""
    return np.moveaxis(field[..., 0], -1, 0)
