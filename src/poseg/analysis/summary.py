"""The results of an analysis: scores of weights, and summary.md and summary.csv."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.analysis.hypotheses import MIN_EFFECT, EndEffectorSparsity, Hypothesis, end_sparsity, hypotheses
from poseg.analysis.patches import ReceptiveField
from poseg.analysis.selectivity import JointSelectivity
from poseg.analysis.weights import (
    Correlation,
    MatrixCorrelation,
    co_sparsity,
    constant_joints,
    data_correlation,
    matrix_correlation,
    weight_correlation,
)
from poseg.errors import ShapeError
from poseg.skeletons import Skeleton

MAX_P = 0.01  # of the deviation of a channel that counts as selective for a joint
_SHOWN_CHANNELS = 8

Row = tuple[str, str, str, str, float, float, str]
HEADING = ("of", "what", "coordinate", "expected", "value", "baseline", "verdict")


@dataclass(frozen=True, slots=True, eq=False)
class WeightScores:
    """The analysis of the weights of a last linear layer.

    left_out         joints with a constant target, such as the root
    weights          correlations of the weights
    data             correlations of the targets, or None
    sparsity         (D, J, J) co-sparsity of the weights
    features         m, inputs of the layer
    similarity       of the correlations of weights and data, by coordinate; empty without data
    hypotheses       about walking people, for the weights
    data_hypotheses  the same for the data; empty without data
    end_effectors    are pairs with the end of a limb sparser
    """

    left_out: tuple[int, ...]
    weights: Correlation
    data: Correlation | None
    sparsity: NDArray[np.float64]
    features: int
    similarity: tuple[tuple[str, MatrixCorrelation], ...]
    hypotheses: tuple[Hypothesis, ...]
    data_hypotheses: tuple[Hypothesis, ...]
    end_effectors: tuple[EndEffectorSparsity, ...]


def score_weights(weights: ArrayLike, skeleton: Skeleton, targets: ArrayLike | None = None) -> WeightScores:
    """Analyse weights (J, D, m) of a skeleton's J joints and, if provided, their training targets (N, J, D).

    Joints with a constant target are left out. Raises ShapeError for weights or targets of other joints.
    """
    layer = np.asarray(weights, np.float64)
    poses = None if targets is None else np.asarray(targets, np.float64)
    if len(layer) != len(skeleton):
        raise ShapeError("weights", expected=(len(skeleton), "2 or 3", "features"), got=layer.shape)
    if poses is not None and poses.shape[1:] != layer.shape[:2]:
        raise ShapeError("targets", expected=("poses", *layer.shape[:2]), got=poses.shape)
    left_out = () if poses is None else constant_joints(poses)
    learned = weight_correlation(layer, leave_out=left_out)
    data = None if poses is None else data_correlation(poses, leave_out=left_out)
    sparsity = co_sparsity(layer, leave_out=left_out)
    pairs = () if data is None else zip(learned.panels, data.panels, strict=True)
    return WeightScores(
        left_out=left_out,
        weights=learned,
        data=data,
        sparsity=sparsity,
        features=layer.shape[2],
        similarity=tuple((name, matrix_correlation(one, two)) for (name, one, _), (_, two, _) in pairs),
        hypotheses=hypotheses(learned, skeleton),
        data_hypotheses=() if data is None else hypotheses(data, skeleton),
        end_effectors=end_sparsity(sparsity, skeleton),
    )


class LayerScores(NamedTuple):
    """A layer in the summary: field, channels, channels with sources, crops, their side, and selectivity."""

    field: ReceptiveField
    channels: int
    alive: int
    crops: int
    side_px: float
    selectivity: JointSelectivity | None


def summary_text(layers: Mapping[str, LayerScores], weights: WeightScores | None, skeleton: Skeleton) -> str:
    """The whole summary as Markdown."""
    parts = ["# What the network has learned"]
    if layers:
        parts += ["## Neurons", _NEURONS, _table(_LAYER_HEADING, (_layer(*item) for item in layers.items()))]
        for name, scores in layers.items():
            if scores.selectivity is not None and len(best := selective_channels(scores.selectivity)):
                parts += [
                    f"Most selective channels of {name}:",
                    _channel_table(scores, best[:_SHOWN_CHANNELS], skeleton),
                ]
    if weights is not None:
        parts += _weight_parts(weights)
    return "\n\n".join(parts) + "\n"


def summary_rows(layers: Mapping[str, LayerScores], weights: WeightScores | None) -> list[Row]:
    """The scores as rows below `HEADING`."""
    rows: list[Row] = []
    for name, scores in layers.items():
        if (selectivity := scores.selectivity) is not None:
            fraction = len(selective_channels(selectivity)) / scores.channels
            rows.append((name, "fraction of channels selective for a joint", "", "above chance", fraction, MAX_P, ""))
            median = _median(selectivity.deviation_px)
            rows.append((name, "deviation px, median channel", "", "below random", median, selectivity.random_px, ""))
    if weights is not None:
        rows += [
            ("correlation", "weights, data", name, "positive", one.r, one.p, "") for name, one in weights.similarity
        ]
        for source, tested in (("weights", weights.hypotheses), ("data", weights.data_hypotheses)):
            rows += [
                (source, " ".join(one.pair), one.coordinate, one.expected, one.rho, one.baseline, verdict(one))
                for one in tested
            ]
        ends = "co-sparsity of pairs with the end of a limb"
        rows += [
            ("weights", ends, one.coordinate, "positive", one.difference, one.p, "") for one in weights.end_effectors
        ]
    return rows


def selective_channels(selectivity: JointSelectivity) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Channels with a significantly small deviation, the smallest first."""
    significant = np.flatnonzero(selectivity.p <= MAX_P)
    return significant[np.argsort(selectivity.deviation_px[significant], kind="stable")].astype(np.int64)


def verdict(one: Hypothesis) -> str:
    """Yes, no, or that the correlation is too weak to have a sign."""
    if one.confirmed:
        return "yes"
    return "too weak" if abs(one.rho) < one.limit else "no"


_NEURONS = (
    "Each channel is a neuron. On every crop the position of its maximum counts; on the crops with the strongest "
    "maxima the nearest joint is the preferred one. The deviation is the median distance of the positions from that "
    "joint plus a fixed offset. A channel is selective if the same positions on other crops do as well in "
    f"{MAX_P:.0%} of draws or fewer; about that fraction of other channels is counted by mistake."
)
_LAYER_HEADING = (
    "layer", "field, jump (px)", "channels", "dead", "selective", "median deviation (px)", "random (px)",
)  # fmt: skip


def _layer(name: str, scores: LayerScores) -> Sequence[str]:
    field, selectivity = scores.field, scores.selectivity
    columns = (
        ("no joints provided", "", "")
        if selectivity is None
        else (
            str(len(selective_channels(selectivity))),
            _number(_median(selectivity.deviation_px)),
            _number(selectivity.random_px),
        )
    )
    dead = str(scores.channels - scores.alive)
    return (name, f"{field.size}, {field.jump}", str(scores.channels), dead, *columns)


def _channel_table(scores: LayerScores, channels: Iterable[int], skeleton: Skeleton) -> str:
    selectivity = scores.selectivity
    assert selectivity is not None
    rows = []
    for channel in channels:
        deviation = float(selectivity.deviation_px[channel])
        offset = "{:+.0f}, {:+.0f}".format(*selectivity.offset_xy[channel])
        rows.append(
            (
                str(channel),
                skeleton.joints[selectivity.joint[channel]],
                _number(deviation),
                f"{deviation / scores.side_px:.1%}",
                _number(float(selectivity.shuffled_px[channel])),
                offset,
            )
        )
    return _table(
        ("channel", "joint", "deviation (px)", "of the crop", "on other crops (px)", "offset x, y (px)"), rows
    )


def _weight_parts(scores: WeightScores) -> list[str]:
    limits = ", ".join(f"{name} {limit:.3f}" for name, _, limit in scores.weights.panels)
    parts = [
        "## Weights of the last layer",
        f"{scores.features} features. When the entries of every joint's weights are shuffled, 99 % of all correlations "
        f"stay below: {limits}. Joints with a constant target are left out.",
    ]
    if scores.similarity:
        rows = [(name, f"{one.r:.2f}", f"{one.p:.3f}", str(one.pairs)) for name, one in scores.similarity]
        parts += [
            "Correlation of the matrices of weights and data (Mantel test: p by permutation of joints):",
            _table(("coordinate", "Pearson r", "p", "pairs"), rows),
        ]
    if scores.hypotheses:
        parts += [
            "Hypotheses about limbs (parent-relative poses) of walking people; a sign counts above the chance level "
            f"and from {MIN_EFFECT} on:",
            _hypothesis_table(scores),
        ]
    if scores.end_effectors:
        ends = [(one.coordinate, f"{one.difference:+.2f}", f"{one.p:.3f}") for one in scores.end_effectors]
        parts += [
            "Are pairs with a wrist or an ankle sparser than others (difference in standard deviations of all pairs; "
            "p: as many joints chosen at random)?",
            _table(("coordinate", "difference", "p"), ends),
        ]
    return parts


def _hypothesis_table(scores: WeightScores) -> str:
    data = {(one.pair, one.coordinate): one for one in scores.data_hypotheses}
    rows = []
    for one in scores.hypotheses:
        other = data.get((one.pair, one.coordinate))
        rows.append(
            (
                " and ".join(joint.replace("_", " ") for joint in one.pair),
                one.coordinate,
                one.expected,
                f"{one.rho:+.2f}",
                verdict(one),
                "" if other is None else f"{other.rho:+.2f}",
                "" if other is None else verdict(other),
            )
        )
    return _table(("joints", "coordinate", "expected", "weights", "confirmed", "data", "confirmed"), rows)


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _median(values: np.ndarray[tuple[int], np.dtype[np.float32]]) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else float("nan")


def _number(value: float) -> str:
    return f"{value:.1f}" if np.isfinite(value) else "unknown"
