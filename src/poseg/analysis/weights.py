"""Structure in the weights of a last linear layer, and in what it was trained to predict.

Letters: J joints, D coordinates of each, m features that the layer reads (or N poses). The m weights that predict
coordinate d of joint j are one row, F_jd; rows of two joints are correlated over their entries. Joints whose target is
constant, such as the root of parent-relative poses, carry no signal: they are left out, and their entries are NaN.
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
_CONSTANT = 1e-6  # of the largest value: less spread than this is rounding


@dataclass(frozen=True, slots=True, eq=False)
class Correlation:
    """Pearson correlations between joints, and how large one becomes by chance.

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
class Likeness:
    """How alike two matrices are: Pearson r over `pairs` of joints, and the chance of as large an r."""

    r: float
    p: float
    pairs: int


def layer_weights(weight: ArrayLike, skeleton: Skeleton) -> Doubles:
    """The weight (J D, m) of a layer that puts out joint by joint, coordinates together, as (J, D, m) float64.

    Raises ShapeError where the rows are not 2 or 3 for each joint of the skeleton.
    """
    matrix = np.asarray(weight, np.float64)
    joints = len(skeleton)
    if matrix.ndim != 2 or len(matrix) not in (2 * joints, 3 * joints):
        raise ShapeError("weight", expected=f"({2 * joints} or {3 * joints}, features)", got=matrix.shape)
    return matrix.reshape(joints, -1, matrix.shape[1])


def parent_relative(values: ArrayLike, skeleton: Skeleton) -> Doubles:
    """Values (J, ...) of each joint less those of its parent in the skeleton's tree; 0 for the root.

    Of a layer that puts out places in the picture it makes one that puts out limbs: places of neighbours correlate
    trivially, limbs do not.
    """
    array = np.asarray(values, np.float64)
    if len(array) != len(skeleton):
        raise ShapeError("values", expected=(len(skeleton), ...), got=array.shape)
    relative = np.zeros_like(array)
    for parent, child in skeleton.indices(skeleton.tree):
        relative[child] = array[child] - array[parent]
    return relative


def constant_joints(targets: ArrayLike) -> tuple[int, ...]:
    """Joints of targets (N, J, D) that never move, or are never known, such as the root of parent-relative poses."""
    poses = np.moveaxis(np.asarray(targets, np.float64), 0, 2)
    return tuple(int(joint) for joint in np.flatnonzero(_constant(poses).all(axis=1)))


def weight_correlation(
    weights: ArrayLike, *, leave_out: Collection[int] = (), shuffles: int = SHUFFLES, seed: int = 0
) -> Correlation:
    """Correlations between the joints of weights (J, D, m): rho_ij = cov(F_id, F_jd) / (std std) over the m entries.

    leave_out  joints whose weights carry no signal, such as the root
    shuffles   of the entries of every row, for the baseline; drawn with `seed`
    """
    rows = _rows(weights, "weights", ("joints", "2 or 3", "features"))
    rows[:, list(leave_out)] = np.nan
    return _correlation(rows, shuffles, seed)


def data_correlation(
    targets: ArrayLike, *, leave_out: Collection[int] = (), shuffles: int = SHUFFLES, seed: int = 0
) -> Correlation:
    """Correlations between the joints of targets (N, J, D) over the N poses; NaN where a joint is not known.

    A pair of joints is measured over the poses that know both. The baseline takes the poses for independent, which the
    frames of a video are not, so there it is too low.
    """
    poses = np.asarray(targets, np.float64)
    if poses.ndim != 3:
        raise ShapeError("targets", expected=("poses", "joints", "2 or 3"), got=poses.shape)
    rows = _rows(np.moveaxis(poses, 0, 2), "targets without their poses", ("joints", "2 or 3", "poses"))
    rows[:, list(leave_out)] = np.nan
    return _correlation(rows, shuffles, seed)


def co_sparsity(weights: ArrayLike, *, p: float = 0.2, leave_out: Collection[int] = ()) -> Doubles:
    """How few features move both of two joints: (D, J, J), never positive; of weights (J, D, m).

    Sp_ij = - sum_k (|F_ik / std_i|^p + |F_jk / std_j|^p)^(1/p), for each coordinate (spec D.5.3).

    A feature with a weight w for one joint alone costs |w|; with that weight for both joints it costs 2^(1/p) |w|,
    32 |w| at p = 0.2. So of joints with as many zeros each, those score highest whose features are their own, and
    those lowest that read the same ones.
    """
    rows = _rows(weights, "weights", ("joints", "2 or 3", "features"))
    spread = rows.std(axis=2, keepdims=True)
    spread[_constant(rows)] = np.nan
    spread[:, list(leave_out)] = np.nan
    powers = np.abs(rows / spread) ** p
    pairs: Doubles = np.stack(
        [-((powers[:, [j]] + powers) ** (1 / p)).sum(axis=2) for j in range(rows.shape[1])], axis=1
    )
    return pairs


def likeness(first: ArrayLike, second: ArrayLike, *, shuffles: int = 999, seed: int = 0) -> Likeness:
    """How alike two symmetric matrices (J, J) are off their diagonals.

    The entries of one joint hang together, so chance is measured by giving the joints of `second` other names (Mantel's
    test): p is the share of renamings with an r at least as large, the true names included. NaN entries are left out.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.ndim != 2 or a.shape != b.shape or a.shape[0] != a.shape[1]:
        raise ShapeError("the second matrix", expected=f"square and as the first, {a.shape}", got=b.shape)
    here = [j for j in range(len(a)) if np.isfinite(np.delete(a[j] + b[j], j)).any()]
    a, b = a[np.ix_(here, here)], b[np.ix_(here, here)]
    one, two = np.triu_indices(len(here), 1)
    rng = np.random.default_rng(seed)
    names = np.concatenate([[np.arange(len(here))], rng.permuted(np.tile(np.arange(len(here)), (shuffles, 1)), axis=1)])
    entries = b[names[:, one], names[:, two]]
    r = _pearson(np.stack([np.broadcast_to(a[one, two], entries.shape), entries], axis=1))[:, 0, 1]
    known = r[np.isfinite(r)]
    if not len(known) or not np.isfinite(r[0]):
        return Likeness(float("nan"), float("nan"), len(one))
    # As much is as much: rounding must not tell a renaming that changes nothing from the true names.
    return Likeness(
        float(r[0]), float((known >= r[0] - 1e-12).mean()), int(np.isfinite(a[one, two] + b[one, two]).sum())
    )


def _rows(values: ArrayLike, name: str, wanted: tuple[str, ...]) -> Doubles:
    """(J, D, m) as a new array (D, J, m). Raises ShapeError."""
    array = np.asarray(values, np.float64)
    if array.ndim != 3 or array.shape[0] < 2 or array.shape[1] not in (2, 3) or array.shape[2] < 2:
        raise ShapeError(name, expected=wanted, got=array.shape)
    return np.ascontiguousarray(np.moveaxis(array, 1, 0)).copy()


def _correlation(rows: Doubles, shuffles: int, seed: int) -> Correlation:
    each = _pearson(rows)
    baseline, strongest_baseline = _baseline(rows, shuffles, np.random.default_rng(seed))
    return Correlation(each, _strongest(each), baseline, strongest_baseline)


def _baseline(rows: Doubles, shuffles: int, rng: np.random.Generator) -> tuple[Doubles, float]:
    """What |rho| of rows (D, J, m) stays below when entries are shuffled, for each coordinate and for the strongest."""
    one, two = np.triu_indices(rows.shape[1], 1)
    pearson = _prepared(rows)
    each = np.empty((shuffles, len(rows), len(one)))
    for turn in range(shuffles):
        each[turn] = np.abs(pearson(rng)[:, one, two])
    return (
        np.array([_percentile(each[:, d]) for d in range(len(rows))]),
        _percentile(np.where(np.isnan(each), -1, each).max(axis=1)),
    )


def _percentile(values: Doubles) -> float:
    known = values[values >= 0]
    return float(np.percentile(known, PERCENTILE)) if len(known) else float("nan")


def _strongest(each: Doubles) -> Doubles:
    """Along the first axis the value of the largest magnitude; NaN where all are."""
    place = np.where(np.isnan(each), -1, np.abs(each)).argmax(axis=0)
    strongest: Doubles = np.take_along_axis(each, place[None], axis=0)[0]
    return strongest


def _prepared(rows: Doubles) -> Callable[[np.random.Generator], Doubles]:
    """Pearson correlations of shuffled rows (D, J, m) by a generator; what a shuffle does not change is done once."""
    keep = np.flatnonzero(~_constant(rows).all(axis=0))
    known, full = rows[:, keep], np.full((len(rows), rows.shape[1], rows.shape[1]), np.nan)
    if np.isfinite(known).all() and not _constant(known).any():
        known = (known - known.mean(axis=2, keepdims=True)) / (known.std(axis=2, keepdims=True) * known.shape[2] ** 0.5)
        measure = _products
    else:
        measure = _pearson

    def shuffled(rng: np.random.Generator) -> Doubles:
        full[:, keep[:, None], keep] = measure(rng.permuted(known, axis=2))
        return full

    return shuffled


def _products(rows: Doubles) -> Doubles:
    """`_pearson` of rows that have mean 0 and length 1."""
    products: Doubles = rows @ rows.swapaxes(1, 2)
    return products


def _constant(rows: Doubles) -> NDArray[np.bool_]:
    """Rows (..., m) without spread, as (...): nothing correlates with them."""
    known = np.isfinite(rows)
    low = np.where(known, rows, np.inf).min(axis=-1)
    high = np.where(known, rows, -np.inf).max(axis=-1)
    flat: NDArray[np.bool_] = ~(high - low > _CONSTANT * np.maximum(np.abs(high), np.abs(low)))
    return flat


def _pearson(rows: Doubles) -> Doubles:
    """(..., J, J) correlations of rows (..., J, m), each over the entries that both know; NaN where there are none."""
    known = np.isfinite(rows) & ~_constant(rows)[..., None]
    count = known.sum(axis=-1, keepdims=True)
    mean = np.where(known, rows, 0).sum(axis=-1, keepdims=True) / np.maximum(count, 1)
    x = np.where(known, rows - mean, 0)
    m = known.astype(np.float64).swapaxes(-1, -2)
    both, sums, squares = m.swapaxes(-1, -2) @ m, x @ m, x**2 @ m
    with np.errstate(divide="ignore", invalid="ignore"):
        shared = x @ x.swapaxes(-1, -2) - sums * sums.swapaxes(-1, -2) / both
        spread = squares - sums**2 / both
        spread = np.where(spread > 1e-12 * squares, spread, np.nan)
        rho: Doubles = np.clip(shared / np.sqrt(spread * spread.swapaxes(-1, -2)), -1, 1)
    return rho
