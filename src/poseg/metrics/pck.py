"""PCK, PCKh and PDJ of joints, PCP of limbs: fractions within a distance relative to the size of the person or limb.

PCK: a joint is correct within a threshold times a size, always that of the annotated person:

    |predicted - truth|  <=  threshold * size(n)

box     the longer side of the box around the annotated joints, as in the first definition of PCK (Yang & Ramanan,
        "Articulated Human Detection with Flexible Mixtures of Parts", PAMI 2013)
torso   left shoulder to right hip, the diameter of PDJ (Sapp & Taskar, "MODEC", CVPR 2013; Toshev & Szegedy,
        "DeepPose", CVPR 2014). PCK by torso and PDJ are the same number
head    neck to top of the head: PCKh (Andriluka et al., "2D Human Pose Estimation", CVPR 2014, who take 0.6 of the
        diagonal of an annotated head box, which other data sets do not have)

PCP: a limb ("stick") is correct within alpha times its own annotated length. Strict: both ends are (Ferrari,
Marin-Jimenez & Zisserman, CVPR 2008, as written). Loose: the mean of the two errors is (what early tool kits
computed). Foreshortened limbs are judged hard, which PCK was made to avoid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from poseg.errors import AnnotationError, SkeletonError
from poseg.metrics.bootstrap import ResampleCounts
from poseg.metrics.pairs import Bools, Floats, PosePairs, joint_groups, joints_in_words
from poseg.metrics.score import PerItem, Score, mean_score, threshold_score
from poseg.skeletons import Pair, Skeleton

Size = Literal["box", "torso", "head"]

THRESHOLDS: Floats = np.arange(51) / 100  # of curves and AUC: 0 to 0.5
TORSO: Pair = ("left_shoulder", "right_hip")
HEAD: Pair = ("neck", "head_top")


def pck(pairs: PosePairs, size: Size = "box", threshold: float = 0.2, *, draws: ResampleCounts | None = None) -> Score:
    """Fraction of annotated joints within `threshold` times the person's size.

    draws  (B, I) resamples of images (`bootstrap.image_counts`) for intervals; no intervals without

    Joints and people that were not detected are wrong. People whose size is unknown (a joint of the torso or head is
    not annotated) or zero are left out. Raises SkeletonError where the skeleton lacks the joints of the size.
    """
    return _pck(pairs, f"PCK@{threshold:g} by {size}", size, threshold, draws)


def pckh(pairs: PosePairs, threshold: float = 0.5, *, draws: ResampleCounts | None = None) -> Score:
    """PCK by the head's segment; arguments and errors as in `pck`."""
    return _pck(pairs, f"PCKh@{threshold:g}", "head", threshold, draws)


def pdj(pairs: PosePairs, threshold: float = 0.2, *, draws: ResampleCounts | None = None) -> Score:
    """Percentage of detected joints, by the torso's diameter; arguments and errors as in `pck`."""
    return _pck(pairs, f"PDJ@{threshold:g}", "torso", threshold, draws)


def has_size(skeleton: Skeleton, size: Size) -> bool:
    """Whether a skeleton has the joints of a size."""
    return all(joint in skeleton.joints for joint in _ENDS.get(size, ()))


def person_sizes(pairs: PosePairs, size: Size) -> NDArray[np.float64]:
    """(N,) sizes of the annotated people in the pairs' unit; NaN where unknown or zero."""
    if size not in SIZES:
        raise AnnotationError(f"There is no size {size!r} of a person; choose from {', '.join(SIZES)}.")
    sizes = SIZES[size](pairs)
    return np.where(sizes > 0, sizes, np.nan)


def _box_sides(pairs: PosePairs) -> Floats:
    flags = pairs.annotated[..., None]
    low, high = np.where(flags, pairs.truth, np.inf).min(axis=1), np.where(flags, pairs.truth, -np.inf).max(axis=1)
    return np.asarray((high - low).max(axis=1))  # minus infinity where nothing is annotated


def _segment(ends: Pair) -> Callable[[PosePairs], Floats]:
    """The length of a segment of the annotated pose."""

    def lengths(pairs: PosePairs) -> Floats:
        a, b = pairs.skeleton.indices([ends])[0]
        both = pairs.annotated[:, a] & pairs.annotated[:, b]
        return np.where(both, np.linalg.norm(pairs.truth[:, a] - pairs.truth[:, b], axis=-1), np.nan)

    return lengths


SIZES: dict[Size, Callable[[PosePairs], Floats]] = {"box": _box_sides, "torso": _segment(TORSO), "head": _segment(HEAD)}
_ENDS: dict[Size, Pair] = {"torso": TORSO, "head": HEAD}
_MEANINGS: dict[Size, str] = {
    "box": "the longer side of the box around the annotated joints",
    "torso": f"the torso's diameter ({joints_in_words(TORSO)})",
    "head": f"the head's segment ({joints_in_words(HEAD)})",
}


def _pck(pairs: PosePairs, name: str, size: Size, threshold: float, draws: ResampleCounts | None) -> Score:
    if not 0 <= threshold < np.inf:
        raise AnnotationError(f"A threshold of {threshold} is invalid; give a fraction of the size, such as 0.2.")
    sizes = person_sizes(pairs, size)
    groups = joint_groups(pairs.skeleton)
    relative = pairs.distances() / sizes[:, None]
    items = PerItem(relative, pairs.skeleton.joints, groups, pairs.image_index, pairs.num_images)
    unknown = int(np.isnan(sizes).sum())
    left_out = f"{unknown:,} people without that size are left out; " if unknown else ""
    protocol = (
        f"{name}: a joint is correct within {threshold:g} times {_MEANINGS[size]} of the annotated person; joints and "
        f"people not detected are wrong; {left_out}{pairs.describe()}; mean over joints; AUC over thresholds 0 to 0.5 "
        "by 0.01"
    )
    return threshold_score(items, threshold, THRESHOLDS, name=name, protocol=protocol, draws=draws)


@dataclass(frozen=True, slots=True)
class Stick:
    """A limb; an end with several joints is their mean."""

    name: str
    group: str
    start: tuple[str, ...]
    end: tuple[str, ...]

    @property
    def joints(self) -> tuple[str, ...]:
        """The joints of both ends."""
        return self.start + self.end


def _limb(side: str, group: str, start: str, end: str) -> Stick:
    return Stick(f"{side}_{group}", f"{group}s", (f"{side}_{start}",), (f"{side}_{end}",))


_LIMBS = (
    ("upper_arm", "shoulder", "elbow"), ("lower_arm", "elbow", "wrist"),
    ("upper_leg", "hip", "knee"), ("lower_leg", "knee", "ankle"),
)  # fmt: skip
TORSO_STICK = Stick("torso", "torso", ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"))
HEAD_STICK = Stick("head", "head", ("neck",), ("head_top",))
BODY_STICKS = (TORSO_STICK, *(_limb(side, *limb) for limb in _LIMBS for side in ("left", "right")), HEAD_STICK)


def default_sticks(skeleton: Skeleton) -> tuple[Stick, ...]:
    """The sticks of a human body whose joints the skeleton has, ten at most; for other skeletons their bones."""
    body = tuple(stick for stick in BODY_STICKS if set(stick.joints) <= set(skeleton.joints))
    return body if TORSO_STICK in body else bone_sticks(skeleton)


def bone_sticks(skeleton: Skeleton) -> tuple[Stick, ...]:
    """A stick for each bone; left and right bones are one group."""
    flipped = {joint: skeleton.joints[skeleton.flip_index[index]] for index, joint in enumerate(skeleton.joints)}
    sticks: list[Stick] = []
    groups: dict[frozenset[str], str] = {}
    for a, b in skeleton.bones:
        name = f"{a}-{b}"
        group = groups.get(frozenset((flipped[a], flipped[b])), name)
        groups[frozenset((a, b))] = group
        sticks.append(Stick(name, group, (a,), (b,)))
    return tuple(sticks)


def pcp(
    pairs: PosePairs,
    *,
    strict: bool,
    alpha: float = 0.5,
    sticks: Sequence[Stick] | None = None,
    draws: ResampleCounts | None = None,
) -> Score:
    """Fraction of correct sticks, strict or loose.

    sticks  `default_sticks` of the skeleton by default
    draws   (B, I) resamples of images for intervals; no intervals without

    A stick counts where its joints are all annotated and evaluated, and its length is not zero. A stick with an end
    that was not detected is wrong. Raises SkeletonError for sticks of other joints.
    """
    if not 0 <= alpha < np.inf:
        raise AnnotationError(f"An alpha of {alpha} is invalid; give a fraction of the stick's length, such as 0.5.")
    chosen = default_sticks(pairs.skeleton) if sticks is None else tuple(sticks)
    errors, lengths = stick_errors(pairs, chosen)
    with np.errstate(invalid="ignore"):
        error = errors.max(axis=-1) if strict else errors.mean(axis=-1)
    correct = np.where(lengths > 0, error <= alpha * lengths, np.nan)
    rule = "both its ends are" if strict else "the mean of its two ends' errors is"
    name = f"PCP@{alpha:g} {'strict' if strict else 'loose'}"
    protocol = (
        f"{name}: a stick is correct where {rule} within {alpha:g} times its annotated length; "
        f"{_stick_text(pairs, chosen)}"
    )
    groups: dict[str, list[int]] = {}
    for index, stick in enumerate(chosen):
        groups.setdefault(stick.group, []).append(index)
    items = PerItem(correct, tuple(stick.name for stick in chosen), groups, pairs.image_index, pairs.num_images)
    return mean_score(items, name=name, unit="fraction", protocol=protocol, draws=draws)


def stick_errors(pairs: PosePairs, sticks: Sequence[Stick]) -> tuple[Floats, Floats]:
    """Errors of both ends (N, S, 2), infinite if not detected, and annotated lengths (N, S), NaN if not counted."""
    starts, ends = _end_weights(pairs.skeleton, sticks)
    truth = [_end_points(weights, pairs.truth) for weights in (starts, ends)]
    errors = [
        np.where(
            _all_joints(weights, pairs.detected),
            np.linalg.norm(_end_points(weights, pairs.predicted) - points, axis=-1),
            np.inf,
        )
        for weights, points in zip((starts, ends), truth, strict=True)
    ]
    counted = _all_joints(starts, pairs.counted) & _all_joints(ends, pairs.counted)
    lengths = np.where(counted, np.linalg.norm(truth[0] - truth[1], axis=-1), np.nan)
    return np.stack(errors, axis=-1), lengths


def _end_weights(skeleton: Skeleton, sticks: Sequence[Stick]) -> tuple[Floats, Floats]:
    """(S, K) weights of the joints of the first and second ends; rows sum to 1."""
    if not sticks:
        raise SkeletonError(f"Skeleton {skeleton.name} has no bones, so it has no sticks; give `sticks`.")
    both = np.zeros((2, len(sticks), len(skeleton)))
    for row, stick in enumerate(sticks):
        for side, joints in enumerate((stick.start, stick.end)):
            for joint in joints:
                both[side, row, skeleton.index(joint)] = 1 / len(joints)
    return both[0], both[1]


def _end_points(weights: Floats, points: Floats) -> Floats:
    """(N, S, D) of points (N, K, D)."""
    return np.asarray(np.einsum("sk,nkd->nsd", weights, points))


def _all_joints(weights: Floats, flags: Bools) -> Bools:
    """(N, S): whether all joints with a weight have the flag (N, K)."""
    return np.asarray((~flags).astype(np.float64) @ (weights > 0).T.astype(np.float64) == 0)


def _stick_text(pairs: PosePairs, sticks: Sequence[Stick]) -> str:
    """The protocol beyond the rule."""
    has = dict(zip(pairs.skeleton.joints, pairs.evaluated_joints, strict=True))
    lacking = [stick.name for stick in sticks if not all(has[joint] for joint in stick.joints)]
    named = f" (not {', '.join(lacking)})" if lacking else ""
    torso = "; the torso is from the centre of the shoulders to that of the hips" if TORSO_STICK in sticks else ""
    return (
        "sticks with an end that was not detected, and of people not detected, are wrong; "
        f"{len(sticks) - len(lacking)} of {len(sticks)} sticks{named}{torso}; {pairs.describe()}; mean over sticks"
    )
