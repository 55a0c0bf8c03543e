"""Structure in the weights of a last linear layer, and in its training targets.

Letters: J joints, D coordinates of each, m input features of the layer (or N poses). The m weights that predict
coordinate d of joint j are one row, F_jd; rows of two joints are correlated over their entries. Joints with a
constant target, such as the root of parent-relative poses, are left out, and their entries are NaN.
Spec D.5, after Li and Chan (ACCV 2014).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.errors import ShapeError
from poseg.skeletons import Skeleton

Doubles = NDArray[np.float64]

COORDINATES = ("x", "y", "z")
SHUFFLES = 200
PERCENTILE = 99.0
_CONSTANT = 1e-6  # of the largest value: smaller ranges are rounding


@dataclass(frozen=True, slots=True, eq=False)
class Correlation:
    """Pearson correlations between joints, and their chance level.

    coordinates        (D, J, J) in [-1, 1]; NaN for joints that are left out
    strongest          (J, J) of the D values the one with the largest magnitude, with its sign
    baseline           (D,) percentile of |rho| over all pairs when the entries of every row are shuffled
    strongest_baseline the same for `strongest`
    """

    coordinates: Doubles
    strongest: Doubles
    baseline: Doubles
    strongest_baseline: float

    @property
    def panels(self) -> tuple[tuple[str, Doubles, float], ...]:
        """Name, matrix and baseline: one for each coordinate, then the strongest."""
        each = zip(COORDINATES, self.coordinates, self.baseline, strict=False)
        return (*((name, matrix, float(limit)) for name, matrix, limit in each),
                ("strongest", self.strongest, self.strongest_baseline))  # fmt: skip


@dataclass(frozen=True, slots=True)
class MatrixCorrelation:
    """Similarity of two matrices: Pearson r over `pairs` of joints, and the p-value of the Mantel test."""

    r: float
    p: float
    pairs: int


def layer_weights(weight: ArrayLike, skeleton: Skeleton) -> Doubles:
    """The weight (J D, m) of a layer whose output is joint by joint, coordinates together, as (J, D, m) float64.

    Raises ShapeError where the rows are not 2 or 3 for each joint of the skeleton.
    """
    matrix = np.asarray(weight, np.float64)
    joints = len(skeleton)
    if matrix.ndim != 2 or len(matrix) not in (2 * joints, 3 * joints):
        raise ShapeError("weight", expected=f"({2 * joints} or {3 * joints}, features)", got=matrix.shape)
    return matrix.reshape(joints, -1, matrix.shape[1])


def parent_relative(values: ArrayLike, skeleton: Skeleton) -> Doubles:
    """Values (J, ...) of each joint minus those of its parent in the skeleton's tree; 0 for the root.

    It converts a layer that predicts positions to one that predicts limbs: positions of neighbours correlate trivially,
    limbs do not.
    """
    array = np.asarray(values, np.float64)
    if len(array) != len(skeleton):
        raise ShapeError("values", expected=(len(skeleton), ...), got=array.shape)
    relative = np.zeros_like(array)
    for parent, child in skeleton.indices(skeleton.required_tree):
        relative[child] = array[child] - array[parent]
    return relative


def constant_joints(targets: ArrayLike) -> tuple[int, ...]:
    """Joints of targets (N, J, D) that never move, or are always NaN, such as the root of parent-relative poses."""
    poses = np.moveaxis(np.asarray(targets, np.float64), 0, 2)
    return tuple(int(joint) for joint in np.flatnonzero(_constant(poses).all(axis=1)))


def weight_correlation(
    weights: ArrayLike, *, leave_out: Collection[int] = (), shuffles: int = SHUFFLES, seed: int = 0
) -> Correlation:
    """Correlations between the joints of weights (J, D, m): rho_ij = cov(F_id, F_jd) / (std std) over the m entries.

    leave_out  joints with constant targets, such as the root
    shuffles   of the entries of every row, for the baseline; drawn with `seed`
    """
    rows = _rows(weights, "weights", ("joints", "2 or 3", "features"))
    rows[:, list(leave_out)] = np.nan
    return _correlation(rows, shuffles, seed)


def data_correlation(
    targets: ArrayLike, *, leave_out: Collection[int] = (), shuffles: int = SHUFFLES, seed: int = 0
) -> Correlation:
    """Correlations between the joints of targets (N, J, D) over the N poses; NaN for unknown joints.

    A pair of joints is correlated over the poses that have both. The baseline assumes independent poses, so it is too
    low for frames of a video.
    """
    poses = np.asarray(targets, np.float64)
    if poses.ndim != 3:
        raise ShapeError("targets", expected=("poses", "joints", "2 or 3"), got=poses.shape)
    rows = _rows(np.moveaxis(poses, 0, 2), "targets without their poses", ("joints", "2 or 3", "poses"))
    rows[:, list(leave_out)] = np.nan
    return _correlation(rows, shuffles, seed)


def co_sparsity(weights: ArrayLike, *, p: float = 0.2, leave_out: Collection[int] = ()) -> Doubles:
    """Co-sparsity of two joints, high where few features affect both: (D, J, J), never positive; of weights (J, D, m).

    Sp_ij = - sum_k (|F_ik / std_i|^p + |F_jk / std_j|^p)^(1/p), for each coordinate (spec D.5.3).

    A feature with a weight w for one joint alone costs |w|; with that weight for both joints it costs 2^(1/p) |w|,
    32 |w| at p = 0.2. So among joints with the same number of zeros, those with features of their own score
    highest, and those that share features lowest.
    """
    rows = _rows(weights, "weights", ("joints", "2 or 3", "features"))
    std = rows.std(axis=2, keepdims=True)
    std[_constant(rows)] = np.nan
    std[:, list(leave_out)] = np.nan
    powers = np.abs(rows / std) ** p
    pairs: Doubles = np.stack(
        [-((powers[:, [j]] + powers) ** (1 / p)).sum(axis=2) for j in range(rows.shape[1])], axis=1
    )
    return pairs


def matrix_correlation(first: ArrayLike, second: ArrayLike, *, shuffles: int = 999, seed: int = 0) -> MatrixCorrelation:
    """Correlation of two symmetric matrices (J, J) off their diagonals.

    The entries of a joint depend on each other, so significance is tested by permuting the joints of `second` (Mantel
    test): p is the fraction of permutations with an r at least as large, the identity included. NaN is left out.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.ndim != 2 or a.shape != b.shape or a.shape[0] != a.shape[1]:
        raise ShapeError("the second matrix", expected=f"square and as the first, {a.shape}", got=b.shape)
    valid = [j for j in range(len(a)) if np.isfinite(np.delete(a[j] + b[j], j)).any()]
    a, b = a[np.ix_(valid, valid)], b[np.ix_(valid, valid)]
    one, two = np.triu_indices(len(valid), 1)
    rng = np.random.default_rng(seed)
    permutations = np.concatenate(
        [[np.arange(len(valid))], rng.permuted(np.tile(np.arange(len(valid)), (shuffles, 1)), axis=1)]
    )
    entries = b[permutations[:, one], permutations[:, two]]
    r = _pearson(np.stack([np.broadcast_to(a[one, two], entries.shape), entries], axis=1))[:, 0, 1]
    finite = r[np.isfinite(r)]
    if not len(finite) or not np.isfinite(r[0]):
        return MatrixCorrelation(float("nan"), float("nan"), len(one))
    # Rounding must not distinguish a permutation that changes nothing from the identity.
    return MatrixCorrelation(
        float(r[0]), float((finite >= r[0] - 1e-12).mean()), int(np.isfinite(a[one, two] + b[one, two]).sum())
    )


def _rows(values: ArrayLike, name: str, expected: tuple[str, ...]) -> Doubles:
    """(J, D, m) as a new array (D, J, m). Raises ShapeError."""
    array = np.asarray(values, np.float64)
    if array.ndim != 3 or array.shape[0] < 2 or array.shape[1] not in (2, 3) or array.shape[2] < 2:
        raise ShapeError(name, expected=expected, got=array.shape)
    return np.ascontiguousarray(np.moveaxis(array, 1, 0)).copy()


def _correlation(rows: Doubles, shuffles: int, seed: int) -> Correlation:
    each = _pearson(rows)
    baseline, strongest_baseline = _baseline(rows, shuffles, np.random.default_rng(seed))
    return Correlation(each, _strongest(each), baseline, strongest_baseline)


def _baseline(rows: Doubles, shuffles: int, rng: np.random.Generator) -> tuple[Doubles, float]:
    """The chance level of |rho| of rows (D, J, m) by shuffling entries, for each coordinate and for the strongest."""
    one, two = np.triu_indices(rows.shape[1], 1)
    pearson = _prepared(rows)
    each = np.empty((shuffles, len(rows), len(one)))
    for shuffle in range(shuffles):
        each[shuffle] = np.abs(pearson(rng)[:, one, two])
    return (
        np.array([_percentile(each[:, d]) for d in range(len(rows))]),
        _percentile(np.where(np.isnan(each), -1, each).max(axis=1)),
    )


def _percentile(values: Doubles) -> float:
    valid = values[values >= 0]
    return float(np.percentile(valid, PERCENTILE)) if len(valid) else float("nan")


def _strongest(each: Doubles) -> Doubles:
    """Along the first axis the value of the largest magnitude; NaN where all are."""
    index = np.where(np.isnan(each), -1, np.abs(each)).argmax(axis=0)
    strongest: Doubles = np.take_along_axis(each, index[None], axis=0)[0]
    return strongest


def _prepared(rows: Doubles) -> Callable[[np.random.Generator], Doubles]:
    """Pearson correlations of shuffled rows (D, J, m) by a generator; invariant quantities are computed once."""
    keep = np.flatnonzero(~_constant(rows).all(axis=0))
    kept, full = rows[:, keep], np.full((len(rows), rows.shape[1], rows.shape[1]), np.nan)
    if np.isfinite(kept).all() and not _constant(kept).any():
        kept = (kept - kept.mean(axis=2, keepdims=True)) / (kept.std(axis=2, keepdims=True) * kept.shape[2] ** 0.5)
        correlate = _products
    else:
        correlate = _pearson

    def shuffled(rng: np.random.Generator) -> Doubles:
        full[:, keep[:, None], keep] = correlate(rng.permuted(kept, axis=2))
        return full

    return shuffled


def _products(rows: Doubles) -> Doubles:
    """`_pearson` of rows with mean 0 and length 1."""
    products: Doubles = rows @ rows.swapaxes(1, 2)
    return products


def _constant(rows: Doubles) -> NDArray[np.bool_]:
    """(...) True for constant rows (..., m), whose correlation is undefined."""
    finite = np.isfinite(rows)
    low = np.where(finite, rows, np.inf).min(axis=-1)
    high = np.where(finite, rows, -np.inf).max(axis=-1)
    flat: NDArray[np.bool_] = ~(high - low > _CONSTANT * np.maximum(np.abs(high), np.abs(low)))
    return flat


def _pearson(rows: Doubles) -> Doubles:
    """(..., J, J) correlations of rows (..., J, m), each over the entries that are finite in both; NaN without any."""
    valid = np.isfinite(rows) & ~_constant(rows)[..., None]
    count = valid.sum(axis=-1, keepdims=True)
    mean = np.where(valid, rows, 0).sum(axis=-1, keepdims=True) / np.maximum(count, 1)
    x = np.where(valid, rows - mean, 0)
    m = valid.astype(np.float64).swapaxes(-1, -2)
    both, sums, squares = m.swapaxes(-1, -2) @ m, x @ m, x**2 @ m
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance = x @ x.swapaxes(-1, -2) - sums * sums.swapaxes(-1, -2) / both
        variance = squares - sums**2 / both
        variance = np.where(variance > 1e-12 * squares, variance, np.nan)
        rho: Doubles = np.clip(covariance / np.sqrt(variance * variance.swapaxes(-1, -2)), -1, 1)
    return rho
