"""The weights of a last layer in numbers: how they correlate, how the data does, how alike both are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.analysis.expectations import EndSparsity, Expectation, end_sparsity, expectations
from poseg.analysis.weights import (
    Correlation,
    Likeness,
    co_sparsity,
    constant_joints,
    data_correlation,
    likeness,
    weight_correlation,
)
from poseg.errors import ShapeError
from poseg.skeletons import Skeleton


@dataclass(frozen=True, slots=True, eq=False)
class WeightScores:
    """What the weights of a last linear layer say.

    left_out         joints with a constant target, such as the root
    weights          correlations of the weights
    data             correlations of the targets, or None
    sparsity         (D, J, J) co-sparsity of the weights
    features         m, that the layer reads
    alike            likeness of weights and data: one for each coordinate and the strongest; empty without data
    expected         what walking people should show, in the weights
    expected_data    the same in the data; empty without
    ends             are pairs with the end of a limb sparser
    """

    left_out: tuple[int, ...]
    weights: Correlation
    data: Correlation | None
    sparsity: NDArray[np.float64]
    features: int
    alike: tuple[tuple[str, Likeness], ...]
    expected: tuple[Expectation, ...]
    expected_data: tuple[Expectation, ...]
    ends: tuple[EndSparsity, ...]


def score_weights(weights: ArrayLike, skeleton: Skeleton, targets: ArrayLike | None = None) -> WeightScores:
    """Analyse weights (J, D, m) of a skeleton's J joints and, where given, the targets (N, J, D) they were trained on.

    Joints with a constant target are left out of everything. Raises ShapeError where they are not of the skeleton.
    """
    layer = np.asarray(weights, np.float64)
    poses = None if targets is None else np.asarray(targets, np.float64)
    if len(layer) != len(skeleton):
        raise ShapeError("weights", expected=(len(skeleton), "2 or 3", "features"), got=layer.shape)
    if poses is not None and poses.shape[1:] != layer.shape[:2]:
        raise ShapeError("targets", expected=("poses", *layer.shape[:2]), got=poses.shape)
    left_out = () if poses is None else constant_joints(poses)
    learnt = weight_correlation(layer, leave_out=left_out)
    data = None if poses is None else data_correlation(poses, leave_out=left_out)
    sparsity = co_sparsity(layer, leave_out=left_out)
    pairs = () if data is None else zip(learnt.panels, data.panels, strict=True)
    return WeightScores(
        left_out=left_out,
        weights=learnt,
        data=data,
        sparsity=sparsity,
        features=layer.shape[2],
        alike=tuple((name, likeness(one, two)) for (name, one, _), (_, two, _) in pairs),
        expected=expectations(learnt, skeleton),
        expected_data=() if data is None else expectations(data, skeleton),
        ends=end_sparsity(sparsity, skeleton),
    )
