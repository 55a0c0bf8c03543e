"""The findings of an analysis in words and numbers: summary.md and summary.csv."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from poseg.analysis.expectations import SMALL, Expectation
from poseg.analysis.patches import Receptive
from poseg.analysis.preference import Preference
from poseg.analysis.scores import WeightScores
from poseg.skeletons import Skeleton

SURE = 0.01  # a spread this improbable by chance counts as following a joint
_BEST = 8

Row = tuple[str, str, str, str, float, float, str]
HEADING = ("of", "what", "coordinate", "expected", "value", "baseline", "verdict")


class LayerScores(NamedTuple):
    """What the summary needs of a layer: its field, channels with sources, how many crops, their side, preferences."""

    receptive: Receptive
    channels: int
    alive: int
    crops: int
    side_px: float
    preference: Preference | None


def summary_text(layers: Mapping[str, LayerScores], weights: WeightScores | None, skeleton: Skeleton) -> str:
    """The whole summary as Markdown."""
    parts = ["# What the network has learnt"]
    if layers:
        parts += ["## Neurons", _NEURONS, _table(_LAYER_HEADING, (_layer(*item) for item in layers.items()))]
        for name, scores in layers.items():
            if scores.preference is not None and len(best := followers(scores.preference)):
                parts += [
                    f"Channels of {name} that follow a joint most closely:",
                    _best(scores, best[:_BEST], skeleton),
                ]
    if weights is not None:
        parts += _weights(weights)
    return "\n\n".join(parts) + "\n"


def summary_rows(layers: Mapping[str, LayerScores], weights: WeightScores | None) -> list[Row]:
    """The scores as rows below `HEADING`."""
    rows: list[Row] = []
    for name, scores in layers.items():
        if (found := scores.preference) is not None:
            share = len(followers(found)) / scores.channels
            rows.append((name, "share of channels that follow a joint", "", "more than chance", share, SURE, ""))
            typical = _typical(found.spread_px)
            rows.append((name, "spread px, median channel", "", "below a random place", typical, found.random_px, ""))
    if weights is not None:
        rows += [("likeness", "weights, data", name, "positive", one.r, one.p, "") for name, one in weights.alike]
        for source, expected in (("weights", weights.expected), ("data", weights.expected_data)):
            rows += [
                (source, " ".join(one.pair), one.coordinate, one.expected, one.rho, one.baseline, verdict(one))
                for one in expected
            ]
        ends = "co-sparsity of pairs with the end of a limb"
        rows += [("weights", ends, one.coordinate, "positive", one.difference, one.p, "") for one in weights.ends]
    return rows


def followers(found: Preference) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Channels whose spread is improbable by chance, the closest first."""
    sure = np.flatnonzero(found.p <= SURE)
    return sure[np.argsort(found.spread_px[sure], kind="stable")].astype(np.int64)


def verdict(one: Expectation) -> str:
    """Yes, no, or that the correlation is too weak to have a sign."""
    if one.met:
        return "yes"
    return "too weak" if abs(one.rho) < one.limit else "no"


_NEURONS = (
    "Each channel is a neuron. In every crop it has one place, where it responds most; the crops it responds to most "
    "tell which joint is nearest to its places. The spread is the median distance of the places from that joint plus a "
    "fixed offset. A channel follows its joint where its own places, laid into other crops, do as well in "
    f"{SURE:.0%} of draws or fewer; of channels that follow nothing, about that share is counted by mistake."
)
_LAYER_HEADING = (
    "layer", "field, jump (px)", "channels", "silent", "follow a joint", "median spread (px)", "random place (px)",
)  # fmt: skip


def _layer(name: str, scores: LayerScores) -> Sequence[str]:
    field, found = scores.receptive, scores.preference
    known = (
        ("no joints given", "", "")
        if found is None
        else (str(len(followers(found))), _number(_typical(found.spread_px)), _number(found.random_px))
    )
    dead = str(scores.channels - scores.alive)
    return (name, f"{field.size}, {field.jump}", str(scores.channels), dead, *known)


def _best(scores: LayerScores, channels: Iterable[int], skeleton: Skeleton) -> str:
    found = scores.preference
    assert found is not None
    rows = []
    for channel in channels:
        spread = float(found.spread_px[channel])
        offset = "{:+.0f}, {:+.0f}".format(*found.offset_xy[channel])
        rows.append(
            (
                str(channel),
                skeleton.joints[found.joint[channel]],
                _number(spread),
                f"{spread / scores.side_px:.1%}",
                _number(float(found.shuffled_px[channel])),
                offset,
            )
        )
    return _table(
        ("channel", "joint", "spread (px)", "of the crop", "in other crops (px)", "beside it by x, y (px)"), rows
    )


def _weights(scores: WeightScores) -> list[str]:
    limits = ", ".join(f"{name} {limit:.3f}" for name, _, limit in scores.weights.panels)
    parts = [
        "## Weights of the last layer",
        f"{scores.features} features. When the entries of every joint's weights are shuffled, 99 % of all correlations "
        f"stay below: {limits}. Joints with a constant target are left out.",
    ]
    if scores.alike:
        rows = [(name, f"{one.r:.2f}", f"{one.p:.3f}", str(one.pairs)) for name, one in scores.alike]
        parts += [
            "How alike the correlations of weights and data are (p: joints given other names):",
            _table(("coordinate", "Pearson r", "p", "pairs"), rows),
        ]
    if scores.expected:
        parts += [
            "What is expected of limbs (parent-relative poses) of walking people; a sign counts beyond chance and from "
            f"{SMALL} on:",
            _expected(scores),
        ]
    if scores.ends:
        ends = [(one.coordinate, f"{one.difference:+.2f}", f"{one.p:.3f}") for one in scores.ends]
        parts += [
            "Are pairs with a wrist or an ankle sparser than others (difference in standard deviations of all pairs; "
            "p: as many joints chosen at random)?",
            _table(("coordinate", "difference", "p"), ends),
        ]
    return parts


def _expected(scores: WeightScores) -> str:
    data = {(one.pair, one.coordinate): one for one in scores.expected_data}
    rows = []
    for one in scores.expected:
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
    return _table(("joints", "coordinate", "expected", "weights", "met", "data", "met"), rows)


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _typical(values: np.ndarray[tuple[int], np.dtype[np.float32]]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def _number(value: float) -> str:
    return f"{value:.1f}" if np.isfinite(value) else "unknown"
