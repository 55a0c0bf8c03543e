"""People: the one noun for results; Person: one of them; Sample: an image with its annotated people.

Letters: N people, K joints, H and W of the image. Coordinates are continuous image pixels, x before y
(`geometry.grid`, equation (1)).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.errors import ShapeError, SkeletonError
from poseg.geometry import boxes
from poseg.geometry.masks import Masks
from poseg.skeletons import Skeleton, remap

Floats = NDArray[np.float32]

__all__ = ["Masks", "People", "Person", "Sample", "Timings"]

MAX_LISTED = 10  # people in a `repr`

# A joint of a lower score is a guess: it is not drawn, and v = 0 in result files. Correct joints often score no higher,
# since scores are expected OKS, which is lower than a probability.
CONFIDENT_JOINT = 0.2


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds spent on one image: before the network, in it, and from its fields to people."""

    preprocess_ms: float
    inference_ms: float
    postprocess_ms: float

    @property
    def total_ms(self) -> float:
        """Everything from the decoded image to the people."""
        return self.preprocess_ms + self.inference_ms + self.postprocess_ms

    def __add__(self, other: Timings) -> Timings:
        """The sum of both."""
        return Timings(
            self.preprocess_ms + other.preprocess_ms,
            self.inference_ms + other.inference_ms,
            self.postprocess_ms + other.postprocess_ms,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """One of `People`: a row of its arrays.

    `person["left_wrist"]` is (x, y, score) of a joint by its name.
    """

    people: People
    row: int

    @property
    def keypoints(self) -> Floats:
        """(K, 2) joints in pixels of the image."""
        return np.asarray(self.people.keypoints[self.row])

    @property
    def keypoint_scores(self) -> Floats:
        """(K,) in [0, 1]; 0 where a joint was not detected."""
        return np.asarray(self.people.keypoint_scores[self.row])

    @property
    def score(self) -> float:
        """Confidence that this is a person, in [0, 1]."""
        return float(self.people.scores[self.row])

    @property
    def box_xyxy(self) -> Floats:
        """(4,) box in pixels of the image."""
        return np.asarray(self.people.boxes_xyxy[self.row])

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """(H, W) bool mask on the image, rendered on demand; None where people have no masks."""
        return None if self.people.masks is None else self.people.masks.full(self.row)

    @property
    def id(self) -> int | None:
        """Track id, the same over time; None for single images."""
        return None if self.people.ids is None else int(self.people.ids[self.row])

    @property
    def keypoints_3d(self) -> Floats | None:
        """(J, 3) joints in mm about the person's root, or None."""
        return None if self.people.keypoints_3d is None else self.people.keypoints_3d[self.row]

    def __getitem__(self, joint: str) -> Floats:
        """(3,) x, y and score of a joint. Raises SkeletonError for a name that the skeleton lacks."""
        at = self.people.skeleton.index(joint)
        return np.append(self.keypoints[at], self.keypoint_scores[at]).astype(np.float32)

    def __repr__(self) -> str:
        x0, y0, x1, y1 = self.box_xyxy
        parts = [f"score {self.score:.2f}", f"box {x0:.0f} {y0:.0f} {x1:.0f} {y1:.0f}"]
        parts.append(f"{np.count_nonzero(self.keypoint_scores > 0)} joints")
        if self.id is not None:
            parts.insert(0, f"id {self.id}")
        if self.people.masks is not None:
            parts.append("mask" if self.people.masks.nonempty[self.row] else "no mask")
        return f"Person({', '.join(parts)})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class People:
    """The people of one image, highest score first when they come from a model. Arrays are read-only.

    skeleton         names the K joints
    keypoints        (N, K, 2) float32
    keypoint_scores  (N, K) float32 in [0, 1]; 0 where a joint was not detected or not annotated
    scores           (N,) float32, confidence that there is a person
    boxes_xyxy       (N, 4) float32
    masks            Masks of N people, or an array (N, H, W) that becomes one, or None; empty without a mask
    ids              (N,) int64 or None: the same person over time
    timings          time spent, or None
    keypoints_3d     (N, J, 3) float32 or None: mm about each person's root, x right, y down, z away from the camera;
                     NaN without a 3D pose
    skeleton_3d      names the J joints; None without `keypoints_3d`

    A number picks a `Person`; slices, index lists and flags pick `People`.
    """

    skeleton: Skeleton
    keypoints: Floats
    keypoint_scores: Floats
    scores: Floats
    boxes_xyxy: Floats
    masks: Masks | None = None
    ids: NDArray[np.int64] | None = None
    timings: Timings | None = None
    keypoints_3d: Floats | None = None
    skeleton_3d: Skeleton | None = None

    def __post_init__(self) -> None:
        n, k = len(self.keypoints), len(self.skeleton)
        self._validated("keypoints", np.float32, (n, k, 2))
        self._validated("keypoint_scores", np.float32, (n, k))
        self._validated("scores", np.float32, (n,))
        self._validated("boxes_xyxy", np.float32, (n, 4))
        if self.ids is not None:
            self._validated("ids", np.int64, (n,))
        if self.masks is not None:
            masks = self.masks if isinstance(self.masks, Masks) else Masks.from_full(self.masks)
            if len(masks) != n:
                raise ShapeError("masks", expected=(n, "height", "width"), got=masks.shape)
            object.__setattr__(self, "masks", masks)
        if (self.keypoints_3d is None) != (self.skeleton_3d is None):
            raise SkeletonError("3D joints need a skeleton; provide both keypoints_3d and skeleton_3d, or neither.")
        if self.skeleton_3d is not None:
            self._validated("keypoints_3d", np.float32, (n, len(self.skeleton_3d), 3))

    def _validated(self, name: str, dtype: Any, expected: tuple[int, ...]) -> None:
        """Check the shape of one array and make it read-only, without a copy where the type fits."""
        array = np.asarray(getattr(self, name), dtype)
        if array.shape != expected:
            raise ShapeError(name, expected=expected, got=array.shape)
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
        masks: Masks | NDArray[np.bool_] | None = None,
    ) -> People:
        """People from poses alone: boxes around joints with a score, person score the mean over joints."""
        points = np.asarray(keypoints, np.float32).reshape(-1, len(skeleton), 2)
        confidence = np.asarray(keypoint_scores, np.float32).reshape(-1, len(skeleton))
        return cls(
            skeleton=skeleton,
            keypoints=points,
            keypoint_scores=confidence,
            scores=confidence.mean(axis=1) if scores is None else np.asarray(scores, np.float32),
            boxes_xyxy=boxes.boxes_from_points(points, confidence > 0),
            masks=masks if masks is None or isinstance(masks, Masks) else Masks.from_full(masks),
        )

    @classmethod
    def empty(cls, skeleton: Skeleton, size: tuple[int, int] | None = None) -> People:
        """No people; with `size` (height, width) of the image they have masks, of length 0."""
        masks = None if size is None else Masks.empty(0, size)
        return cls.from_poses(skeleton, np.zeros((0, len(skeleton), 2)), np.zeros((0, len(skeleton))), masks=masks)

    @classmethod
    def concatenate(cls, parts: Sequence[People]) -> People:
        """All people of some parts on one image, part after part: poses, and masks and ids where all parts have them.

        Raises ValueError for no parts.
        """
        masks = [part.masks for part in parts if part.masks is not None]
        ids = [part.ids for part in parts if part.ids is not None]
        arrays: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("keypoints", "keypoint_scores", "scores", "boxes_xyxy")
        }
        return cls(
            parts[0].skeleton,
            **arrays,
            masks=Masks.concatenate(masks) if len(masks) == len(parts) else None,
            ids=np.concatenate(ids) if len(ids) == len(parts) else None,
        )

    def __len__(self) -> int:
        return len(self.keypoints)

    def __iter__(self) -> Iterator[Person]:
        return (Person(self, row) for row in range(len(self)))

    @overload
    def __getitem__(self, which: int | np.integer[Any]) -> Person: ...
    @overload
    def __getitem__(self, which: slice | Sequence[int] | NDArray[Any]) -> People: ...
    def __getitem__(self, which: Any) -> Person | People:
        """`people[0]` is a Person; `people[people.scores > 0.5]` and `people[:3]` are People."""
        rows = np.arange(len(self))[which]
        if rows.ndim == 0:
            return Person(self, int(rows))
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

    def __repr__(self) -> str:
        lines = [f"People({len(self)} on {self.skeleton.name}"]
        lines += [f"  {person!r}" for person in self[:MAX_LISTED]]
        if len(self) > MAX_LISTED:
            lines.append(f"  and {len(self) - MAX_LISTED} more")
        return "\n".join(lines) + ")"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON, in pixels of the image; `keypoints` holds x, y, score by the joint's name.

        Masks are COCO's run lengths. Read back from files, people come from `poseg.save(people, "x.json")`.
        """
        entries: list[dict[str, Any]] = []
        for person in self:
            entry: dict[str, Any] = {"score": person.score, "box_xyxy": person.box_xyxy.tolist()}
            if person.id is not None:
                entry["id"] = person.id
            entry["keypoints"] = {joint: person[joint].tolist() for joint in self.skeleton.joints}
            if self.masks is not None:
                entry["mask"] = self.masks.rle(person.row)
            if self.skeleton_3d is not None and person.keypoints_3d is not None:
                joints = np.where(np.isfinite(person.keypoints_3d), person.keypoints_3d, None).tolist()  # type: ignore[call-overload]
                entry["keypoints_3d"] = dict(zip(self.skeleton_3d.joints, joints, strict=True))
            entries.append(entry)
        return {"skeleton": self.skeleton.name, "people": entries}

    def with_masks(self, masks: Masks) -> People:
        """The people with masks and boxes around them; who has no pixel in the image keeps the box."""
        boxes_xyxy = masks.boxes_xyxy
        visible = (boxes_xyxy[:, 2:] > boxes_xyxy[:, :2]).all(axis=1, keepdims=True)
        return replace(self, masks=masks, boxes_xyxy=np.where(visible, boxes_xyxy, self.boxes_xyxy))

    def top(self, count: int) -> People:
        """At most `count` people, highest score first."""
        return self[np.argsort(-self.scores, kind="stable")[:count]]

    def remap_to(self, skeleton: Skeleton) -> People:
        """The same people on another skeleton, by the names of the joints; joints it lacks get score 0.

        3D joints stay on their own skeleton.
        """
        points, confidence = remap(self.keypoints, self.keypoint_scores, self.skeleton, skeleton)
        return replace(self, skeleton=skeleton, keypoints=points, keypoint_scores=confidence)

    def flipped(self, width: int) -> People:
        """The people of the image flipped left to right, `width` pixels wide; twice is the identity."""
        order = self.skeleton.flip_index
        points = self.keypoints[:, order].copy()
        points[..., 0] = width - points[..., 0]
        boxes_xyxy = self.boxes_xyxy[:, [2, 1, 0, 3]].copy()
        boxes_xyxy[:, [0, 2]] = width - boxes_xyxy[:, [0, 2]]
        points_3d = self.keypoints_3d
        if points_3d is not None and self.skeleton_3d is not None:
            points_3d = points_3d[:, self.skeleton_3d.flip_index] * np.array([-1, 1, 1], np.float32)
        return replace(
            self,
            keypoints=points,
            keypoint_scores=self.keypoint_scores[:, order],
            boxes_xyxy=boxes_xyxy,
            masks=None if self.masks is None else self.masks.flip_lr(),
            keypoints_3d=points_3d,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One image and its annotated people.

    image      (H, W, 3) uint8 RGB
    people     annotated people; `keypoint_scores` is 0 where a joint is not annotated
    ignore     (H, W) bool or None: pixels that are not annotated (crowds, padding, uncertain people)
    name       file name, for messages
    uncertain  (M, 3) float32: joint index, x, y of positions where a joint may or may not be
    exact_masks  (N,) bool: whose mask is exact enough to be pasted over other images; None for all people with masks
    """

    image: NDArray[np.uint8]
    people: People
    ignore: NDArray[np.bool_] | None = None
    name: str = ""
    uncertain: Floats = field(default_factory=lambda: np.zeros((0, 3), np.float32))
    exact_masks: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if self.uncertain.ndim != 2 or self.uncertain.shape[1] != 3:
            raise ShapeError("uncertain", expected=("joints", 3), got=self.uncertain.shape)
        if self.exact_masks is not None and self.exact_masks.shape != (len(self.people),):
            raise ShapeError("exact_masks", expected=(len(self.people),), got=self.exact_masks.shape)
        if self.image.ndim != 3 or self.image.shape[2] != 3:
            raise ShapeError("image", expected=("height", "width", 3), got=self.image.shape)
        for name, array in (("people.masks", self.people.masks), ("ignore", self.ignore)):
            if array is not None and array.shape[-2:] != self.image.shape[:2]:
                raise ShapeError(name, expected=(..., *self.image.shape[:2]), got=array.shape)
