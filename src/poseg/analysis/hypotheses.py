"""Hypotheses about the weights of a network trained on walking people, tested against chance (spec D.5).

Left and right hip, and left and right shoulder, correlate negatively; hip and shoulder of one side correlate positively
in x and z, not in y; pairs with a wrist or an ankle are sparser than others. Sides of the body and ends of limbs come
from the names of the joints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from poseg.analysis.weights import COORDINATES, Correlation
from poseg.errors import ShapeError
from poseg.skeletons import Pair, Skeleton

Expected = Literal["negative", "positive", "not positive"]

_LEFT_RIGHT = ("hip", "shoulder")
_SIGNS: dict[str, Expected] = {"x": "positive", "y": "not positive", "z": "positive"}
_PERMUTATIONS = 5000
MIN_EFFECT = 0.1  # Cohen's small effect: with thousands of poses even smaller ones are significant

_LEG = ("hip", "upper_leg", "thigh", "knee", "lower_leg", "shin", "ankle", "heel", "foot", "toe")
_ARM = ("collar", "shoulder", "upper_arm", "elbow", "lower_arm", "forearm", "wrist", "hand", "thumb", "finger")
_COUNTERPARTS = (("hip", "shoulder"), ("knee", "elbow"), ("ankle", "wrist"))  # joints of leg and arm
_END_EFFECTORS = ("wrist", "hand", "ankle", "foot")
_LIMBS = {("right", "leg"): 1, ("left", "leg"): 2, ("right", "arm"): 3, ("left", "arm"): 4}


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One hypothesis and its result.

    pair        the two joints
    coordinate  "x", "y", "z" or "strongest"
    expected    the sign
    rho         the correlation
    baseline    |rho| at the chance level
    """

    pair: Pair
    coordinate: str
    expected: Expected
    rho: float
    baseline: float

    @property
    def confirmed(self) -> bool:
        """True where the sign is the expected one, beyond `limit`; below it a correlation is not positive."""
        if self.expected == "negative":
            return self.rho <= -self.limit
        return (self.rho >= self.limit) == (self.expected == "positive")

    @property
    def limit(self) -> float:
        """Minimum |rho| for its sign to count: the chance level, and a small effect."""
        return max(self.baseline, MIN_EFFECT)


@dataclass(frozen=True, slots=True)
class EndEffectorSparsity:
    """Are pairs with the end of a limb sparser than others?

    difference  mean co-sparsity of pairs with a wrist or ankle minus that of the others, in standard deviations of
                all pairs
    p           fraction of random choices of as many joints with a difference at least as large
    """

    coordinate: str
    difference: float
    p: float


def hypotheses(correlation: Correlation, skeleton: Skeleton) -> tuple[Hypothesis, ...]:
    """The expected signs for joints that the skeleton has and that were not left out."""
    pairs = side_pairs(skeleton)
    opposite = [pair for pair in pairs.left_right if pair[0].removeprefix("left_") in _LEFT_RIGHT]
    beside = [pair for pair in pairs.same_side if pair[0].endswith("_hip")]
    rows = []
    for name, matrix, baseline in correlation.panels:
        expected: list[tuple[Pair, Expected]] = [(pair, "negative") for pair in opposite]
        expected += [(pair, _SIGNS[name]) for pair in beside if name in _SIGNS]
        for pair, sign in expected:
            first, second = (skeleton.index(joint) for joint in pair)
            rows.append(Hypothesis(pair, name, sign, float(matrix[first, second]), baseline))
    return tuple(row for row in rows if np.isfinite(row.rho))


def end_sparsity(
    sparsity: NDArray[np.float64], skeleton: Skeleton, *, seed: int = 0
) -> tuple[EndEffectorSparsity, ...]:
    """Co-sparsity (D, J, J) of pairs with a wrist or an ankle against the others, for each coordinate.

    Empty where the skeleton has no such joints or no others.
    """
    joints = len(skeleton)
    if sparsity.ndim != 3 or sparsity.shape[1:] != (joints, joints):
        raise ShapeError("sparsity", expected=("coordinates", joints, joints), got=sparsity.shape)
    rng = np.random.default_rng(seed)
    scores = []
    for name, matrix in zip(COORDINATES, sparsity, strict=False):
        valid = np.flatnonzero(np.isfinite(np.diag(matrix)))
        ends = np.array([is_end_effector(skeleton.joints[joint]) for joint in valid], np.bool_)
        if 0 < ends.sum() <= len(ends) - 2:
            chosen = np.concatenate([ends[None], rng.permuted(np.tile(ends, (_PERMUTATIONS, 1)), axis=1)])
            differences = _differences(matrix[np.ix_(valid, valid)], chosen)
            scores.append(
                EndEffectorSparsity(name, float(differences[0]), float((differences >= differences[0] - 1e-12).mean()))
            )
    return tuple(scores)


def _differences(matrix: NDArray[np.float64], chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """For each choice of joints (R, J): mean of pairs with a chosen joint minus that of others, in deviations."""
    one, two = np.triu_indices(len(matrix), 1)
    values = matrix[one, two]
    inside = chosen[:, one] | chosen[:, two]
    means = inside @ values / inside.sum(axis=1), ~inside @ values / (~inside).sum(axis=1)
    differences: NDArray[np.float64] = (means[0] - means[1]) / max(float(values.std()), 1e-300)
    return differences


@dataclass(frozen=True, slots=True, eq=False)
class JointOrder:
    """Joints by side of the body: torso and head, right leg, left leg, right arm, left arm; limbs from the body out.

    joints  (J,) indices of joints
    breaks  positions in it where a new part of the body begins, without 0
    """

    joints: NDArray[np.intp]
    breaks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SidePairs:
    """Pairs of joints by name.

    left_right  the same joint of both sides: the left one, the right one
    same_side   joint of the leg and its counterpart of the arm on the same side: hip and shoulder, knee and elbow, ...
    """

    left_right: tuple[Pair, ...]
    same_side: tuple[Pair, ...]


def joint_order(skeleton: Skeleton) -> JointOrder:
    """The joints by side of the body. A joint without a limb in its name belongs to torso and head."""
    keys = [_order_key(name, number) for number, name in enumerate(skeleton.joints)]
    joints = sorted(range(len(skeleton)), key=keys.__getitem__)
    limbs = [keys[joint][0] for joint in joints]
    breaks = tuple(at for at in range(1, len(limbs)) if limbs[at] != limbs[at - 1])
    return JointOrder(np.array(joints, np.intp), breaks)


def side_pairs(skeleton: Skeleton) -> SidePairs:
    """The pairs of a skeleton whose joints are named left_X and right_X; none for other names."""
    names = set(skeleton.joints)
    sided = [name.removeprefix("left_") for name in skeleton.joints if name.startswith("left_")]
    same = [(f"{side}_{leg}", f"{side}_{arm}") for leg, arm in _COUNTERPARTS for side in ("left", "right")]
    return SidePairs(
        left_right=tuple((f"left_{joint}", f"right_{joint}") for joint in sided if f"right_{joint}" in names),
        same_side=tuple(pair for pair in same if names.issuperset(pair)),
    )


def is_end_effector(joint: str) -> bool:
    """True for a joint at the end of a limb: a wrist or hand, an ankle or foot."""
    return any(word in joint for word in _END_EFFECTORS)


def _order_key(name: str, number: int) -> tuple[int, int, int]:
    """Sort key of a joint: part of the body, position along the limb, the skeleton's own order."""
    side, _, rest = name.partition("_")
    for limb, words in (("leg", _LEG), ("arm", _ARM)):
        rank = next((index for index, word in enumerate(words) if word in rest), None)
        if rank is not None and (side, limb) in _LIMBS:
            return _LIMBS[side, limb], rank, number
    return 0, 0, number
