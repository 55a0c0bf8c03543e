"""The analysis of a trained network as files: figures (PNG, SVG), tables (CSV) and a summary."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from torch import nn

from poseg.analysis.files import write_figure, write_matrices, write_table
from poseg.analysis.neurons import BATCH, STRONGEST, Crop, Neurons, strongest_patches_of
from poseg.analysis.patches import Receptive
from poseg.analysis.receptive import trace_receptive_field
from poseg.analysis.scores import WeightScores, score_weights
from poseg.analysis.sides import body_order, side_pairs
from poseg.analysis.summary import HEADING, SURE, LayerScores, summary_rows, summary_text
from poseg.analysis.weights import Correlation
from poseg.draw.analysis_figures import Panel, correlation_figure, neuron_figure, sparsity_figure
from poseg.draw.figures import joint_label
from poseg.errors import OutputError, PosegError, ShapeError
from poseg.io.files import write_text
from poseg.skeletons import Skeleton

EFFECTIVE_SHARE = 0.9
_CHANCE = "Grey: shuffled entries come to as much (99th percentile)."


def analyze(
    network: nn.Module,
    layers: Mapping[str, nn.Module],
    crops: Iterable[Crop],
    weights: ArrayLike,
    skeleton: Skeleton,
    targets: ArrayLike | None,
    out: Path,
    *,
    rectified: Collection[str] = (),
    skip: Collection[nn.Module] = (),
    strongest: int = STRONGEST,
    batch: int = BATCH,
) -> list[Path]:
    """Analyse a trained network and write what is found into the folder `out`; the files.

    network    takes (B, 3, H, W)
    layers     by name, each with an output (B, C, h, w); a name becomes part of a file's name
    crops      what the network is looked at with; their joints are those of `skeleton`; read once
    weights    (J, D, m) of the last regression layer, such as `layer_weights` gives
    targets    (N, J, D) that the layer was trained on, NaN where not known; or None
    rectified  names of layers whose responses count above 0 only, where the nonlinearity that follows is no module
    skip       modules that do not count for receptive fields, such as normalisation over a neighbourhood
    strongest  crops kept for each channel
    batch      crops at a time

    Neurons are left out without layers. Raises ShapeError, FieldError and PosegError for what does not fit together,
    OutputError where files cannot be written.
    """
    _make(out)
    scores = score_weights(weights, skeleton, targets)
    files, found = [], _neurons(network, layers, crops, rectified, skip, strongest, batch) if layers else {}
    for name, neurons in found.items():
        files += _neuron_files(name, neurons, skeleton, out)
    files += _weight_files(scores, skeleton, out)
    summaries = {name: _layer_scores(neurons) for name, neurons in found.items()}
    files.append(write_table(out / "summary.csv", HEADING, summary_rows(summaries, scores)))
    write_text(out / "summary.md", summary_text(summaries, scores, skeleton))
    return [*files, out / "summary.md"]


def visible_field(network: nn.Module, layer: nn.Module, side_px: int, skip: Collection[nn.Module] = ()) -> Receptive:
    """The receptive field of a layer in crops of a side, or, where it is larger than they are, the part that matters.

    That part holds 90 % of the gradient on each axis.
    """
    try:
        field = trace_receptive_field(network, layer, side_px=side_px, largest_px=2 * side_px, skip=skip)
    except PosegError:  # in a picture twice as large, no field of the crops' size reaches the border
        return trace_receptive_field(network, layer, side_px=side_px, share=EFFECTIVE_SHARE, skip=skip)
    if field.size <= side_px:
        return field
    return trace_receptive_field(network, layer, side_px=side_px, share=EFFECTIVE_SHARE, skip=skip)


def _neurons(
    network: nn.Module,
    layers: Mapping[str, nn.Module],
    crops: Iterable[Crop],
    rectified: Collection[str],
    skip: Collection[nn.Module],
    strongest: int,
    batch: int,
) -> dict[str, Neurons]:
    rest = iter(crops)
    first = next(rest, None)
    if first is None:
        raise ShapeError("crops", expected="1 or more", got="none")
    side = min(first.image.shape[:2])
    fields = {name: (layer, visible_field(network, layer, side, skip)) for name, layer in layers.items()}
    everything = chain([first], rest)
    return strongest_patches_of(network, fields, everything, rectified=rectified, strongest=strongest, batch=batch)


def _neuron_files(name: str, neurons: Neurons, skeleton: Skeleton, out: Path) -> list[Path]:
    """The figure of a layer, its channels as a table, and where every patch comes from."""
    if neurons.preference is not None and neurons.preference.joint.max(initial=-1) >= len(skeleton):
        raise ShapeError("the joints of the crops", expected=f"{len(skeleton)}, as {skeleton.name} has", got="more")
    ranking = neurons.ranking
    field, count = neurons.receptive, neurons.sources.shape[1]
    page = neuron_figure(
        neurons.patches[ranking],
        [_caption(neurons, int(channel), skeleton) for channel in ranking],
        heading=f"What the neurons of {name} look for",
        note=f"Mean of the {min(count, len(neurons.ids))} crops of {len(neurons.ids)} that move a channel most, "
        f"{field.size} px each; the strongest channel first. Below: the nearest joint and how closely it is followed.",
    )
    stem = out / f"neurons_{name.replace('/', '_')}"
    channels = write_table(stem.with_name(f"{stem.name}.csv"), _CHANNEL, _channel_rows(neurons, skeleton))
    sources = write_table(stem.with_name(f"{stem.name}_sources.csv"), _SOURCE, _source_rows(neurons))
    return [*write_figure(page, stem), channels, sources]


def _caption(neurons: Neurons, channel: int, skeleton: Skeleton) -> str:
    found = neurons.preference
    if neurons.sources[channel, 0] < 0:
        return f"{channel}: no response"
    if found is None or found.joint[channel] < 0:
        return str(channel)
    if not found.p[channel] <= SURE:
        return f"{channel}: no joint\n(within chance)"
    joint = joint_label(skeleton.joints[found.joint[channel]])
    return f"{channel}: {joint}\n± {found.spread_px[channel]:.1f} px ({found.spread_px[channel] / _side(neurons):.1%})"


_CHANNEL = (
    "rank", "channel", "mean_response", "sources", "joint", "distance_px", "offset_x_px", "offset_y_px",
    "spread_px", "spread_of_crop", "other_crops_spread_px", "p", "random_place_spread_px",
)  # fmt: skip
_SOURCE = ("channel", "place", "response", "crop", "x_px", "y_px")


def _channel_rows(neurons: Neurons, skeleton: Skeleton) -> Iterable[tuple[object, ...]]:
    strength, found = neurons.strength, neurons.preference
    for rank, channel in enumerate(neurons.ranking, start=1):
        start = (rank, int(channel), strength[channel], int((neurons.sources[channel] >= 0).sum()))
        if found is None or found.joint[channel] < 0:
            yield (*start, *[""] * 9)
            continue
        spread = found.spread_px[channel]
        yield (
            *start,
            skeleton.joints[found.joint[channel]],
            found.distance_px[channel],
            *found.offset_xy[channel],
            spread,
            spread / _side(neurons),
            found.shuffled_px[channel],
            found.p[channel],
            found.random_px,
        )


def _source_rows(neurons: Neurons) -> Iterable[tuple[object, ...]]:
    for channel, place in zip(*np.nonzero(neurons.sources >= 0), strict=True):
        crop = neurons.ids[neurons.sources[channel, place]]
        yield int(channel), int(place) + 1, neurons.responses[channel, place], crop, *neurons.places[channel, place]


def _side(neurons: Neurons) -> float:
    """Side of a square as large as the crops."""
    return float(np.prod(neurons.crop_px) ** 0.5)


def _layer_scores(neurons: Neurons) -> LayerScores:
    return LayerScores(
        receptive=neurons.receptive,
        channels=len(neurons.sources),
        alive=int((neurons.sources[:, 0] >= 0).sum()),
        crops=len(neurons.ids),
        side_px=_side(neurons),
        preference=neurons.preference,
    )


def _weight_files(scores: WeightScores, skeleton: Skeleton, out: Path) -> list[Path]:
    """Matrices of weights and data, co-sparsity, and the pairs of both sides, as figures and tables."""
    files = _correlation_files(
        "weights", "Correlation of the last layer's weights", scores.weights, scores, skeleton, out
    )
    if scores.data is not None:
        files += _correlation_files("data", "Correlation of the targets", scores.data, scores, skeleton, out)
    names = [name for name, _, _ in scores.weights.panels[:-1]]
    sparsity = list(zip(names, scores.sparsity / scores.features, strict=True))
    joints, labels, breaks = _drawn(scores, skeleton)
    page = sparsity_figure(
        [Panel(name, matrix[np.ix_(joints, joints)]) for name, matrix in sparsity],
        labels,
        breaks=breaks,
        heading="Co-sparsity of the last layer's weights",
        note="The higher (darker), the fewer features move both joints; mean over features, p = 0.2.",
    )
    files += write_figure(page, out / "co_sparsity")
    raw = zip(names, scores.sparsity, strict=True)
    files.append(write_matrices(out / "co_sparsity.csv", skeleton.joints, raw))
    return [*files, write_table(out / "side_pairs.csv", *_side_pair_table(scores, skeleton))]


def _correlation_files(
    stem: str, heading: str, found: Correlation, scores: WeightScores, skeleton: Skeleton, out: Path
) -> list[Path]:
    joints, labels, breaks = _drawn(scores, skeleton)
    panels = [Panel(name, matrix[np.ix_(joints, joints)], limit) for name, matrix, limit in found.panels]
    page = correlation_figure(panels, labels, breaks=breaks, heading=heading, note=_CHANCE)
    matrices = [(name, matrix) for name, matrix, _ in found.panels]
    table = write_matrices(out / f"correlation_{stem}.csv", skeleton.joints, matrices)
    return [*write_figure(page, out / f"correlation_{stem}"), table]


def _drawn(scores: WeightScores, skeleton: Skeleton) -> tuple[list[int], list[str], list[int]]:
    """The joints that are drawn, by side of the body, their labels, and where parts of the body meet."""
    order = body_order(skeleton)
    kept = [joint not in scores.left_out for joint in order.joints]
    joints = [int(joint) for joint, keep in zip(order.joints, kept, strict=True) if keep]
    breaks = {sum(kept[:at]) for at in order.breaks} - {0, len(joints)}
    return joints, [joint_label(skeleton.joints[joint]) for joint in joints], sorted(breaks)


def _side_pair_table(scores: WeightScores, skeleton: Skeleton) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    """Heading and rows: every pair of sides with its correlations in weights and data."""
    pairs = side_pairs(skeleton)
    sources = [("weights", scores.weights)] + ([("data", scores.data)] if scores.data is not None else [])
    rows: list[tuple[object, ...]] = []
    for kind, some in (("left and right", pairs.left_right), ("same side", pairs.same_side)):
        for first, second in some:
            at = skeleton.index(first), skeleton.index(second)
            rows += [
                (kind, first, second, source, name, float(matrix[at]), limit)
                for source, found in sources
                for name, matrix, limit in found.panels
            ]
    return ("pairs", "first", "second", "source", "coordinate", "correlation", "baseline"), rows


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise OutputError(f"Cannot make the folder {folder}: {fault.strerror}; choose another place.") from None
