"""PCK, PCKh and PDJ: the share of joints that lie within a part of the body's size of where they should.

    right(n, k)  =  |found - true|  <=  threshold * size(n)

What differs is the size, and it is always that of the true person:

box     the longer side of the box around the annotated joints, as in the first definition of PCK (Yang & Ramanan,
        "Articulated Human Detection with Flexible Mixtures of Parts", PAMI 2013)
torso   left shoulder to right hip, the diameter of PDJ (Sapp & Taskar, "MODEC", CVPR 2013; Toshev & Szegedy,
        "DeepPose", CVPR 2014). PCK by torso and PDJ are one number under two names
head    neck to top of the head: PCKh (Andriluka et al., "2D Human Pose Estimation", CVPR 2014, who take 0.6 of the
        diagonal of an annotated head box, which other data sets do not have)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from poseg.errors import AnnotationError
from poseg.metrics.pairs import Floats, PosePairs, joint_groups, joints_in_words
from poseg.metrics.score import Draws, Items, Score, within
from poseg.skeletons import Pair, Skeleton

Size = Literal["box", "torso", "head"]

THRESHOLDS: Floats = np.arange(51) / 100  # of curves and AUC: 0 to 0.5
TORSO: Pair = ("left_shoulder", "right_hip")
HEAD: Pair = ("neck", "head_top")


def pck(pairs: PosePairs, size: Size = "box", threshold: float = 0.2, *, draws: Draws | None = None) -> Score:
    """Share of annotated joints within `threshold` times the person's size.

    draws  (B, I) resamples of pictures (`bootstrap.image_counts`) for intervals; none without

    Joints and people not found count as wrong. People whose size is not known (a joint of the torso or head not
    annotated) or zero are left out. Raises SkeletonError where the skeleton lacks the joints of the size.
    """
    return _score(pairs, f"PCK@{threshold:g} by {size}", size, threshold, draws)


def pckh(pairs: PosePairs, threshold: float = 0.5, *, draws: Draws | None = None) -> Score:
    """PCK by the head's segment; arguments and errors as in `pck`."""
    return _score(pairs, f"PCKh@{threshold:g}", "head", threshold, draws)


def pdj(pairs: PosePairs, threshold: float = 0.2, *, draws: Draws | None = None) -> Score:
    """Percentage of detected joints, by the torso's diameter; arguments and errors as in `pck`."""
    return _score(pairs, f"PDJ@{threshold:g}", "torso", threshold, draws)


def has_size(skeleton: Skeleton, size: Size) -> bool:
    """Whether people of a skeleton have such a size."""
    return all(joint in skeleton.joints for joint in _ENDS.get(size, ()))


def person_sizes(pairs: PosePairs, size: Size) -> NDArray[np.float64]:
    """(N,) sizes of the true people in the pairs' unit; NaN where unknown or zero."""
    if size not in SIZES:
        raise AnnotationError(f"There is no size {size!r} of a person; choose from {', '.join(SIZES)}.")
    sizes = SIZES[size](pairs)
    return np.where(sizes > 0, sizes, np.nan)


def _box_sides(pairs: PosePairs) -> Floats:
    sure = pairs.annotated[..., None]
    low, high = np.where(sure, pairs.true, np.inf).min(axis=1), np.where(sure, pairs.true, -np.inf).max(axis=1)
    return np.asarray((high - low).max(axis=1))  # minus infinity where nothing is annotated


def _span(ends: Pair) -> Callable[[PosePairs], Floats]:
    """The length of a segment of the true pose."""

    def lengths(pairs: PosePairs) -> Floats:
        a, b = pairs.skeleton.indices([ends])[0]
        there = pairs.annotated[:, a] & pairs.annotated[:, b]
        return np.where(there, np.linalg.norm(pairs.true[:, a] - pairs.true[:, b], axis=-1), np.nan)

    return lengths


SIZES: dict[Size, Callable[[PosePairs], Floats]] = {"box": _box_sides, "torso": _span(TORSO), "head": _span(HEAD)}
_ENDS: dict[Size, Pair] = {"torso": TORSO, "head": HEAD}
_MEANINGS: dict[Size, str] = {
    "box": "the longer side of the box around the annotated joints",
    "torso": f"the torso's diameter ({joints_in_words(TORSO)})",
    "head": f"the head's segment ({joints_in_words(HEAD)})",
}


def _score(pairs: PosePairs, name: str, size: Size, threshold: float, draws: Draws | None) -> Score:
    if not 0 <= threshold < np.inf:
        raise AnnotationError(f"A threshold of {threshold} measures nothing; give a part of the size, such as 0.2.")
    sizes = person_sizes(pairs, size)
    items = Items(
        pairs.distances() / sizes[:, None],
        pairs.skeleton.joints,
        joint_groups(pairs.skeleton),
        pairs.picture,
        pairs.pictures,
    )
    unknown = int(np.isnan(sizes).sum())
    left_out = f"{unknown:,} people without that size are left out; " if unknown else ""
    protocol = (
        f"{name}: a joint is right within {threshold:g} times {_MEANINGS[size]} of the true person; joints and people "
        f"not found are wrong; {left_out}{pairs.said()}; mean over joints; AUC over thresholds 0 to 0.5 by 0.01"
    )
    return within(items, threshold, THRESHOLDS, name=name, protocol=protocol, draws=draws)
