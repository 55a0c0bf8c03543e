"""What the weights of a network trained on walking people are expected to show, scored against chance (spec D.5).

Left and right hip, and left and right shoulder, correlate negatively; hip and shoulder of one side correlate positively
in x and z, not in y; pairs with a wrist or an ankle are sparser than others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from poseg.analysis.sides import is_end, side_pairs
from poseg.analysis.weights import COORDINATES, Correlation
from poseg.errors import ShapeError
from poseg.skeletons import Pair, Skeleton

Expected = Literal["negative", "positive", "not positive"]

_LEFT_RIGHT = ("hip", "shoulder")
_SIGNS: dict[str, Expected] = {"x": "positive", "y": "not positive", "z": "positive"}
_RENAMINGS = 5000
SMALL = 0.1  # Cohen's small effect: with thousands of poses even less is more than chance, and says nothing


@dataclass(frozen=True, slots=True)
class Expectation:
    """One expectation and what came of it.

    pair        the two joints
    coordinate  "x", "y", "z" or "strongest"
    expected    the sign
    rho         the correlation
    baseline    how large |rho| becomes by chance
    """

    pair: Pair
    coordinate: str
    expected: Expected
    rho: float
    baseline: float

    @property
    def met(self) -> bool:
        """True where the sign is the expected one, beyond `limit`; what is not beyond it is not positive."""
        if self.expected == "negative":
            return self.rho <= -self.limit
        return (self.rho >= self.limit) == (self.expected == "positive")

    @property
    def limit(self) -> float:
        """What |rho| must come to before its sign counts: more than chance, and not tiny."""
        return max(self.baseline, SMALL)


@dataclass(frozen=True, slots=True)
class EndSparsity:
    """Are pairs with the end of a limb sparser than others?

    difference  mean co-sparsity of pairs with a wrist or ankle less that of the others, in standard deviations of
                all pairs
    p           share of random choices of as many joints with a difference at least as large
    """

    coordinate: str
    difference: float
    p: float


def expectations(correlation: Correlation, skeleton: Skeleton) -> tuple[Expectation, ...]:
    """The expected signs for those joints that the skeleton has and that were not left out."""
    pairs = side_pairs(skeleton)
    mirrored = [pair for pair in pairs.left_right if pair[0].removeprefix("left_") in _LEFT_RIGHT]
    beside = [pair for pair in pairs.same_side if pair[0].endswith("_hip")]
    rows = []
    for name, matrix, baseline in correlation.panels:
        wanted: list[tuple[Pair, Expected]] = [(pair, "negative") for pair in mirrored]
        wanted += [(pair, _SIGNS[name]) for pair in beside if name in _SIGNS]
        for pair, sign in wanted:
            first, second = (skeleton.index(joint) for joint in pair)
            rows.append(Expectation(pair, name, sign, float(matrix[first, second]), baseline))
    return tuple(row for row in rows if np.isfinite(row.rho))


def end_sparsity(sparsity: NDArray[np.float64], skeleton: Skeleton, *, seed: int = 0) -> tuple[EndSparsity, ...]:
    """Co-sparsity (D, J, J) of pairs with a wrist or an ankle against the rest, for each coordinate.

    Nothing where the skeleton has no such joints or no others.
    """
    joints = len(skeleton)
    if sparsity.ndim != 3 or sparsity.shape[1:] != (joints, joints):
        raise ShapeError("sparsity", expected=("coordinates", joints, joints), got=sparsity.shape)
    rng = np.random.default_rng(seed)
    scores = []
    for name, matrix in zip(COORDINATES, sparsity, strict=False):
        here = np.flatnonzero(np.isfinite(np.diag(matrix)))
        ends = np.array([is_end(skeleton.joints[joint]) for joint in here], np.bool_)
        if 0 < ends.sum() <= len(ends) - 2:
            chosen = np.concatenate([ends[None], rng.permuted(np.tile(ends, (_RENAMINGS, 1)), axis=1)])
            apart = _apart(matrix[np.ix_(here, here)], chosen)
            scores.append(EndSparsity(name, float(apart[0]), float((apart >= apart[0] - 1e-12).mean())))
    return tuple(scores)


def _apart(matrix: NDArray[np.float64], chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """For each choice of joints (R, J): the mean of pairs with a chosen joint less that of others, in deviations."""
    one, two = np.triu_indices(len(matrix), 1)
    values = matrix[one, two]
    inside = chosen[:, one] | chosen[:, two]
    means = inside @ values / inside.sum(axis=1), ~inside @ values / (~inside).sum(axis=1)
    apart: NDArray[np.float64] = (means[0] - means[1]) / max(float(values.std()), 1e-300)
    return apart
