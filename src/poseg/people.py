"""People: the one noun for results; Sample: a picture with what is known of its people.

Letters: N people, K joints, H and W of the picture. Coordinates are continuous image pixels, x before y
(`geometry.grid`, equation (1)).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.errors import ShapeError, SkeletonError
from poseg.geometry import boxes
from poseg.skeletons import Skeleton, remap

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds spent on one picture: before the network, in it, and decoding its fields."""

    pre_ms: float
    net_ms: float
    decode_ms: float

    @property
    def total_ms(self) -> float:
        """Everything from the decoded picture to the people."""
        return self.pre_ms + self.net_ms + self.decode_ms

    def __add__(self, other: Timings) -> Timings:
        """Both, one after the other."""
        return Timings(self.pre_ms + other.pre_ms, self.net_ms + other.net_ms, self.decode_ms + other.decode_ms)


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """The people of one picture, surest first when they come from a model. Arrays are read-only.

    skeleton         names the K joints
    keypoints        (N, K, 2) float32
    keypoint_scores  (N, K) float32 in [0, 1]; 0 where a joint was not found or not annotated
    scores           (N,) float32, how sure we are of the person
    boxes_xyxy       (N, 4) float32
    masks            (N, H, W) bool or None; an all-false mask is one that nobody knows
    ids              (N,) int64 or None: the same person over time
    timings          where the time went, or None
    keypoints_3d     (N, J, 3) float32 or None: mm about each person's root, x right, y down, z away from the camera;
                     NaN where nobody knows
    skeleton_3d      names the J joints; there with `keypoints_3d` and only then
    """

    skeleton: Skeleton
    keypoints: Floats
    keypoint_scores: Floats
    scores: Floats
    boxes_xyxy: Floats
    masks: NDArray[np.bool_] | None = None
    ids: NDArray[np.int64] | None = None
    timings: Timings | None = None
    keypoints_3d: Floats | None = None
    skeleton_3d: Skeleton | None = None

    def __post_init__(self) -> None:
        n, k = len(self.keypoints), len(self.skeleton)
        self._settle("keypoints", np.float32, (n, k, 2))
        self._settle("keypoint_scores", np.float32, (n, k))
        self._settle("scores", np.float32, (n,))
        self._settle("boxes_xyxy", np.float32, (n, 4))
        if self.ids is not None:
            self._settle("ids", np.int64, (n,))
        if self.masks is not None:
            if self.masks.ndim != 3 or len(self.masks) != n:
                raise ShapeError("masks", wanted=(n, "height", "width"), got=self.masks.shape)
            self._settle("masks", np.bool_, self.masks.shape)
        if (self.keypoints_3d is None) != (self.skeleton_3d is None):
            raise SkeletonError(
                "Joints in space go with a skeleton; give both keypoints_3d and skeleton_3d, or neither."
            )
        if self.skeleton_3d is not None:
            self._settle("keypoints_3d", np.float32, (n, len(self.skeleton_3d), 3))

    def _settle(self, name: str, dtype: Any, wanted: tuple[int, ...]) -> None:
        """Check one array at the door and make it read-only; a view, never a copy, where the type fits."""
        array = np.asarray(getattr(self, name), dtype)
        if array.shape != wanted:
            raise ShapeError(name, wanted=wanted, got=array.shape)
        array = array.view()
        array.flags.writeable = False
        object.__setattr__(self, name, array)

    @classmethod
    def from_poses(
        cls,
        skeleton: Skeleton,
        keypoints: ArrayLike,
        keypoint_scores: ArrayLike,
        *,
        scores: ArrayLike | None = None,
        masks: NDArray[np.bool_] | None = None,
    ) -> People:
        """People from poses alone: boxes around the joints found, person score the mean over joints."""
        points = np.asarray(keypoints, np.float32).reshape(-1, len(skeleton), 2)
        sure = np.asarray(keypoint_scores, np.float32).reshape(-1, len(skeleton))
        return cls(
            skeleton=skeleton,
            keypoints=points,
            keypoint_scores=sure,
            scores=sure.mean(axis=1) if scores is None else np.asarray(scores, np.float32),
            boxes_xyxy=boxes.around_points(points, sure > 0),
            masks=masks,
        )

    @classmethod
    def empty(cls, skeleton: Skeleton, size: tuple[int, int] | None = None) -> People:
        """Nobody; with `size` (height, width) also an empty stack of masks."""
        masks = None if size is None else np.zeros((0, *size), np.bool_)
        return cls.from_poses(skeleton, np.zeros((0, len(skeleton), 2)), np.zeros((0, len(skeleton))), masks=masks)

    def __len__(self) -> int:
        return len(self.keypoints)

    def __getitem__(self, which: Any) -> People:
        """The chosen people, as an array is indexed: `people[people.scores > 0.5]`, `people[:3]`, `people[0]`."""
        rows = np.atleast_1d(np.arange(len(self))[which])
        return replace(
            self,
            keypoints=self.keypoints[rows],
            keypoint_scores=self.keypoint_scores[rows],
            scores=self.scores[rows],
            boxes_xyxy=self.boxes_xyxy[rows],
            masks=None if self.masks is None else self.masks[rows],
            ids=None if self.ids is None else self.ids[rows],
            keypoints_3d=None if self.keypoints_3d is None else self.keypoints_3d[rows],
        )

    def to(self, skeleton: Skeleton) -> People:
        """The same people on another skeleton, by the names of the joints; joints it lacks get score 0.

        Joints in space stay on their own skeleton.
        """
        points, sure = remap(self.keypoints, self.keypoint_scores, self.skeleton, skeleton)
        return replace(self, skeleton=skeleton, keypoints=points, keypoint_scores=sure)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One picture and what is known of the people in it.

    image    (H, W, 3) uint8 RGB
    people   annotated people; `keypoint_scores` is 0 where a joint is not annotated
    ignore   (H, W) bool or None: pixels about which nothing is known (crowds, padding, unsure people)
    unsure   (M, 3) float32: joint number, x, y of places where a joint may or may not be
    name     file name, for messages
    """

    image: NDArray[np.uint8]
    people: People
    ignore: NDArray[np.bool_] | None = None
    name: str = ""
    unsure: Floats = field(default_factory=lambda: np.zeros((0, 3), np.float32))

    def __post_init__(self) -> None:
        if self.unsure.ndim != 2 or self.unsure.shape[1] != 3:
            raise ShapeError("unsure", wanted=("joints", 3), got=self.unsure.shape)
        if self.image.ndim != 3 or self.image.shape[2] != 3:
            raise ShapeError("image", wanted=("height", "width", 3), got=self.image.shape)
        for name, array in (("people.masks", self.people.masks), ("ignore", self.ignore)):
            if array is not None and array.shape[-2:] != self.image.shape[:2]:
                raise ShapeError(name, wanted=(..., *self.image.shape[:2]), got=array.shape)
