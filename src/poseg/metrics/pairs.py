"""Annotated people beside what was found of each: what every metric of joints is computed from.

Letters: N annotated people (or frames), K joints, D coordinates (2 in pixels, 3 in mm), I pictures.
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
    """True poses and found ones, one to one; made by `pair_up`. Coordinates that do not count are 0.

    skeleton    names the K joints
    true        (N, K, D) float64
    annotated   (N, K) bool: the true joint is known
    found       (N, K, D) float64
    placed      (N, K) bool: the joint was found; a row of False is a person who was not found
    picture     (N,) int64: which of `pictures` each is from, counted from 0. Pictures (for video: clips) are what a
                bootstrap draws, and rows of one clip, one after the other, are its frames
    pictures    I, also those in which nobody is annotated
    known       (K,) bool: joints that the model has; the others are left out of everything
    note        what a reader must know of the pairs, such as how people were matched; joins every protocol
    """

    skeleton: Skeleton
    true: Floats
    annotated: Bools
    found: Floats
    placed: Bools
    picture: NDArray[np.int64]
    pictures: int
    known: Bools
    note: str = ""

    def __len__(self) -> int:
        """Count the annotated people."""
        return len(self.true)

    @property
    def counted(self) -> Bools:
        """(N, K): joints that are measured."""
        return self.annotated & self.known

    def distances(self) -> Floats:
        """(N, K) distances of found from true joints: infinite where not found, NaN where not counted."""
        apart = np.linalg.norm(self.found - self.true, axis=-1)
        return np.where(self.counted, np.where(self.placed, apart, np.inf), np.nan)

    def said(self) -> str:
        """How many joints, people and pictures, and who is missing: the tail of a protocol."""
        lacking = [joint for joint, has in zip(self.skeleton.joints, self.known, strict=True) if not has]
        left_out = f" (the model has no {', '.join(lacking)})" if lacking else ""
        whose, where = ("poses", "clips") if self.true.shape[-1] == 3 else ("people", "pictures")
        text = (
            f"{int(self.known.sum())} of the {len(self.skeleton)} joints of {self.skeleton.name}{left_out}; "
            f"{int(self.counted.sum()):,} annotated joints of {len(self):,} {whose} in {self.pictures:,} {where}"
        )
        return f"{text}; {self.note}" if self.note else text


def pair_up(
    skeleton: Skeleton,
    true: ArrayLike,
    found: ArrayLike,
    *,
    annotated: ArrayLike | None = None,
    placed: ArrayLike | None = None,
    picture: ArrayLike | None = None,
    pictures: int | None = None,
    known: ArrayLike | None = None,
    note: str = "",
) -> PosePairs:
    """Checked pairs of true and found poses, (N, K, D) each; arguments as in `PosePairs`.

    Without `annotated`, `placed` and `known` all joints are; without `picture` everybody has a picture of their own.
    Raises ShapeError, and AnnotationError for NaN or infinity where a joint is annotated or found, and for picture
    numbers out of range.
    """
    truth = np.asarray(true, np.float64)
    if truth.ndim != 3 or truth.shape[1] != len(skeleton) or truth.shape[2] not in (2, 3):
        raise ShapeError("true", expected=("N", len(skeleton), "2 or 3"), got=truth.shape)
    n, k = truth.shape[:2]
    guess = np.asarray(found, np.float64)
    if guess.shape != truth.shape:
        raise ShapeError("found", expected=truth.shape, got=guess.shape)
    sure, there = _flags("annotated", annotated, (n, k)), _flags("placed", placed, (n, k))
    where = np.arange(n) if picture is None else np.asarray(picture, np.int64)
    if where.shape != (n,):
        raise ShapeError("picture", expected=(n,), got=where.shape)
    count = int(where.max(initial=-1)) + 1 if pictures is None else pictures
    if n and not 0 <= where.min() <= where.max() < count:
        raise AnnotationError(f"Picture numbers run from {where.min()} to {where.max()}; wanted 0 to {count - 1}.")
    _refuse_nowhere("true", truth, sure, skeleton)
    _refuse_nowhere("found", guess, there, skeleton)
    return PosePairs(
        skeleton=skeleton,
        true=np.where(sure[..., None], truth, 0),
        annotated=sure,
        found=np.where(there[..., None], guess, 0),
        placed=there,
        picture=where.astype(np.int64),
        pictures=count,
        known=_flags("known", known, (k,)),
        note=note,
    )


def joint_groups(skeleton: Skeleton) -> dict[str, tuple[int, ...]]:
    """Joints by what they are called without their side: left and right together, in the order of the skeleton."""
    groups: dict[str, tuple[int, ...]] = {}
    for place, joint in enumerate(skeleton.joints):
        other = int(skeleton.flip_index[place])
        if other == place:
            groups[joint] = (place,)
        elif other > place:
            groups[_without_side(joint, skeleton.joints[other])] = (place, other)
    return groups


def joints_in_words(joints: Sequence[str]) -> str:
    """Names for a sentence: "left shoulder and right hip"."""
    return " and ".join(joint.replace("_", " ") for joint in joints)


def _without_side(joint: str, other: str) -> str:
    bare = {name.removeprefix("left_").removeprefix("right_") for name in (joint, other)}
    return bare.pop() if len(bare) == 1 else f"{joint}, {other}"


def _flags(name: str, given: ArrayLike | None, wanted: tuple[int, ...]) -> Bools:
    """All True where they are not given. Raises ShapeError."""
    flags = np.ones(wanted, np.bool_) if given is None else np.asarray(given, np.bool_)
    if flags.shape != wanted:
        raise ShapeError(name, expected=wanted, got=flags.shape)
    return flags


def _refuse_nowhere(name: str, points: Floats, counts: Bools, skeleton: Skeleton) -> None:
    lost = np.argwhere(counts & ~np.isfinite(points).all(axis=-1))
    if len(lost):
        person, joint = lost[0]
        raise AnnotationError(
            f"The {name} {skeleton.joints[joint]} of pose {person} is NaN or infinite, and so are {len(lost) - 1} more "
            f"joints; correct them, or mark them as not {'annotated' if name == 'true' else 'placed'}."
        )
