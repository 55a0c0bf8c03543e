"""Pairs of an annotated and a predicted pose: the input of all metrics of joints.

Letters: N annotated people (or frames), K joints, D coordinates (2 in pixels, 3 in mm), I images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.errors import AnnotationError, ShapeError
from poseg.skeletons import Skeleton

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class PosePairs:
    """Ground truth and predicted poses, one to one; made by `make_pairs`. Coordinates that do not count are 0.

    skeleton          names the K joints
    truth             (N, K, D) float64
    annotated         (N, K) bool: the joint has ground truth
    predicted         (N, K, D) float64
    detected          (N, K) bool: the joint was predicted; a row of False is a person who was not detected
    image_index       (N,) int64 in [0, I). Images (for video: clips) are what a bootstrap draws; consecutive rows of
                      one clip are its frames
    num_images        I, images without annotated people included
    evaluated_joints  (K,) bool: joints that the model predicts; the others do not count
    protocol_note     appended to `describe`
    """

    skeleton: Skeleton
    truth: Floats
    annotated: Bools
    predicted: Floats
    detected: Bools
    image_index: NDArray[np.int64]
    num_images: int
    evaluated_joints: Bools
    protocol_note: str = ""

    def __len__(self) -> int:
        """Number of annotated people."""
        return len(self.truth)

    @property
    def counted(self) -> Bools:
        """(N, K): annotated joints that are evaluated."""
        return self.annotated & self.evaluated_joints

    def distances(self) -> Floats:
        """(N, K) distances of predicted joints from the ground truth: infinite if not detected, NaN if not counted."""
        distance = np.linalg.norm(self.predicted - self.truth, axis=-1)
        return np.where(self.counted, np.where(self.detected, distance, np.inf), np.nan)

    def describe(self) -> str:
        """The end of a protocol: numbers of joints, people and images, and missing joints."""
        lacking = [joint for joint, has in zip(self.skeleton.joints, self.evaluated_joints, strict=True) if not has]
        left_out = f" (the model has no {', '.join(lacking)})" if lacking else ""
        rows, images = ("poses", "clips") if self.truth.shape[-1] == 3 else ("people", "images")
        text = (
            f"{int(self.evaluated_joints.sum())} of the {len(self.skeleton)} joints of {self.skeleton.name}{left_out}; "
            f"{int(self.counted.sum()):,} annotated joints of {len(self):,} {rows} in {self.num_images:,} {images}"
        )
        return f"{text}; {self.protocol_note}" if self.protocol_note else text


def make_pairs(
    skeleton: Skeleton,
    truth: ArrayLike,
    predicted: ArrayLike,
    *,
    annotated: ArrayLike | None = None,
    detected: ArrayLike | None = None,
    image_index: ArrayLike | None = None,
    num_images: int | None = None,
    evaluated_joints: ArrayLike | None = None,
    protocol_note: str = "",
) -> PosePairs:
    """Validated pairs of poses (N, K, D); arguments as in `PosePairs`.

    `annotated`, `detected` and `evaluated_joints` are all True by default; without `image_index` every person is on an
    image of their own. Raises ShapeError, and AnnotationError for annotated or predicted joints that are not finite
    and for image indices out of range.
    """
    true = np.asarray(truth, np.float64)
    if true.ndim != 3 or true.shape[1] != len(skeleton) or true.shape[2] not in (2, 3):
        raise ShapeError("truth", expected=("N", len(skeleton), "2 or 3"), got=true.shape)
    n, k = true.shape[:2]
    guess = np.asarray(predicted, np.float64)
    if guess.shape != true.shape:
        raise ShapeError("predicted", expected=true.shape, got=guess.shape)
    has_truth, has_guess = _flags("annotated", annotated, (n, k)), _flags("detected", detected, (n, k))
    index = np.arange(n) if image_index is None else np.asarray(image_index, np.int64)
    if index.shape != (n,):
        raise ShapeError("image_index", expected=(n,), got=index.shape)
    count = int(index.max(initial=-1)) + 1 if num_images is None else num_images
    if n and not 0 <= index.min() <= index.max() < count:
        raise AnnotationError(f"Image indices run from {index.min()} to {index.max()}; expected 0 to {count - 1}.")
    _require_finite("annotated", true, has_truth, skeleton)
    _require_finite("detected", guess, has_guess, skeleton)
    return PosePairs(
        skeleton=skeleton,
        truth=np.where(has_truth[..., None], true, 0),
        annotated=has_truth,
        predicted=np.where(has_guess[..., None], guess, 0),
        detected=has_guess,
        image_index=index.astype(np.int64),
        num_images=count,
        evaluated_joints=_flags("evaluated_joints", evaluated_joints, (k,)),
        protocol_note=protocol_note,
    )


def joint_groups(skeleton: Skeleton) -> dict[str, tuple[int, ...]]:
    """Indices of joints by name without the side: left and right together, in the order of the skeleton."""
    groups: dict[str, tuple[int, ...]] = {}
    for index, joint in enumerate(skeleton.joints):
        other = int(skeleton.flip_index[index])
        if other == index:
            groups[joint] = (index,)
        elif other > index:
            groups[_without_side(joint, skeleton.joints[other])] = (index, other)
    return groups


def joints_in_words(joints: Sequence[str]) -> str:
    """Names for a sentence: "left shoulder and right hip"."""
    return " and ".join(joint.replace("_", " ") for joint in joints)


def _without_side(joint: str, other: str) -> str:
    bare = {name.removeprefix("left_").removeprefix("right_") for name in (joint, other)}
    return bare.pop() if len(bare) == 1 else f"{joint}, {other}"


def _flags(name: str, flags: ArrayLike | None, shape: tuple[int, ...]) -> Bools:
    """Flags of a shape, all True by default. Raises ShapeError."""
    array = np.ones(shape, np.bool_) if flags is None else np.asarray(flags, np.bool_)
    if array.shape != shape:
        raise ShapeError(name, expected=shape, got=array.shape)
    return array


def _require_finite(flag: str, points: Floats, flags: Bools, skeleton: Skeleton) -> None:
    bad = np.argwhere(flags & ~np.isfinite(points).all(axis=-1))
    if len(bad):
        person, joint = bad[0]
        raise AnnotationError(
            f"The {flag} {skeleton.joints[joint]} of pose {person} is NaN or infinite, and so are {len(bad) - 1} more "
            f"joints; correct them, or mark them as not {flag}."
        )
