"""The analysis of a trained network as files: figures (PNG, SVG), tables (CSV) and a summary."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from torch import nn

from poseg.analysis.hypotheses import joint_order, side_pairs
from poseg.analysis.neurons import BATCH, STRONGEST, Crop, Neurons, strongest_patches_of
from poseg.analysis.patches import ReceptiveField
from poseg.analysis.receptive_field import trace_receptive_field
from poseg.analysis.summary import (
    HEADING,
    MAX_P,
    LayerScores,
    WeightScores,
    score_weights,
    summary_rows,
    summary_text,
)
from poseg.analysis.weights import Correlation
from poseg.draw.analysis_figures import Panel, correlation_figure, neuron_figure, sparsity_figure
from poseg.draw.figures import joint_label
from poseg.errors import OutputError, PosegError, ShapeError
from poseg.io.files import write_bytes, write_text
from poseg.skeletons import Skeleton

EFFECTIVE_FRACTION = 0.9
_CHANCE = "Grey: below the 99th percentile of shuffled entries."
_DPI = 200


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
    """Analyse a trained network and write the results into the folder `out`; returns the files.

    network    input (B, 3, H, W)
    layers     by name, each with an output (B, C, h, w); names become parts of file names
    crops      inputs of the network, with joints of `skeleton`; read once
    weights    (J, D, m) of the last regression layer, such as from `layer_weights`
    targets    (N, J, D) that the layer was trained on, NaN if unknown; or None
    rectified  names of layers of which only positive responses count, where the next nonlinearity is not a module
    skip       modules that receptive fields ignore, such as normalisation over a neighbourhood
    strongest  crops kept for each channel
    batch      crops per batch

    Without layers there are no neurons. Raises ShapeError, FieldError and PosegError for inconsistent arguments,
    OutputError where files cannot be written.
    """
    _make_folder(out)
    scores = score_weights(weights, skeleton, targets)
    files, layer_neurons = [], _neurons(network, layers, crops, rectified, skip, strongest, batch) if layers else {}
    for name, neurons in layer_neurons.items():
        files += _neuron_files(name, neurons, skeleton, out)
    files += _weight_files(scores, skeleton, out)
    summaries = {name: _layer_scores(neurons) for name, neurons in layer_neurons.items()}
    files.append(write_table(out / "summary.csv", HEADING, summary_rows(summaries, scores)))
    write_text(out / "summary.md", summary_text(summaries, scores, skeleton))
    return [*files, out / "summary.md"]


def visible_field(
    network: nn.Module, layer: nn.Module, side_px: int, skip: Collection[nn.Module] = ()
) -> ReceptiveField:
    """The receptive field of a layer on crops of a side, or, if it is larger than they are, the effective field.

    That has 90 % of the gradient on each axis.
    """
    try:
        field = trace_receptive_field(network, layer, side_px=side_px, max_side_px=2 * side_px, skip=skip)
    except PosegError:  # no field of the crops' size reaches the border of an image twice as large
        return trace_receptive_field(network, layer, side_px=side_px, fraction=EFFECTIVE_FRACTION, skip=skip)
    if field.size <= side_px:
        return field
    return trace_receptive_field(network, layer, side_px=side_px, fraction=EFFECTIVE_FRACTION, skip=skip)


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
    all_crops = chain([first], rest)
    return strongest_patches_of(network, fields, all_crops, rectified=rectified, strongest=strongest, batch=batch)


def _neuron_files(name: str, neurons: Neurons, skeleton: Skeleton, out: Path) -> list[Path]:
    """The figure of a layer, and tables of its channels and of the sources of all patches."""
    if neurons.selectivity is not None and neurons.selectivity.joint.max(initial=-1) >= len(skeleton):
        raise ShapeError("the joints of the crops", expected=f"{len(skeleton)}, as {skeleton.name} has", got="more")
    ranking = neurons.ranking
    field, count = neurons.field, neurons.sources.shape[1]
    page = neuron_figure(
        neurons.patches[ranking],
        [_caption(neurons, int(channel), skeleton) for channel in ranking],
        heading=f"Patches that the neurons of {name} respond to",
        note=f"Mean of the {min(count, len(neurons.ids))} crops of {len(neurons.ids)} with the strongest responses, "
        f"{field.size} px each; the strongest channel first. Below: the preferred joint and the deviation from it.",
    )
    stem = out / f"neurons_{name.replace('/', '_')}"
    channels = write_table(stem.with_name(f"{stem.name}.csv"), _CHANNEL, _channel_rows(neurons, skeleton))
    sources = write_table(stem.with_name(f"{stem.name}_sources.csv"), _SOURCE, _source_rows(neurons))
    return [*write_figure(page, stem), channels, sources]


def _caption(neurons: Neurons, channel: int, skeleton: Skeleton) -> str:
    selectivity = neurons.selectivity
    if neurons.sources[channel, 0] < 0:
        return f"{channel}: no response"
    if selectivity is None or selectivity.joint[channel] < 0:
        return str(channel)
    if not selectivity.p[channel] <= MAX_P:
        return f"{channel}: no joint\n(within chance)"
    joint = joint_label(skeleton.joints[selectivity.joint[channel]])
    deviation = selectivity.deviation_px[channel]
    return f"{channel}: {joint}\n± {deviation:.1f} px ({deviation / _side(neurons):.1%})"


_CHANNEL = (
    "rank", "channel", "mean_response", "sources", "joint", "distance_px", "offset_x_px", "offset_y_px",
    "deviation_px", "deviation_of_crop", "other_crops_deviation_px", "p", "random_deviation_px",
)  # fmt: skip
_SOURCE = ("channel", "rank", "response", "crop", "x_px", "y_px")


def _channel_rows(neurons: Neurons, skeleton: Skeleton) -> Iterable[tuple[object, ...]]:
    strength, selectivity = neurons.strength, neurons.selectivity
    for rank, channel in enumerate(neurons.ranking, start=1):
        start = (rank, int(channel), strength[channel], int((neurons.sources[channel] >= 0).sum()))
        if selectivity is None or selectivity.joint[channel] < 0:
            yield (*start, *[""] * 9)
            continue
        deviation = selectivity.deviation_px[channel]
        yield (
            *start,
            skeleton.joints[selectivity.joint[channel]],
            selectivity.distance_px[channel],
            *selectivity.offset_xy[channel],
            deviation,
            deviation / _side(neurons),
            selectivity.shuffled_px[channel],
            selectivity.p[channel],
            selectivity.random_px,
        )


def _source_rows(neurons: Neurons) -> Iterable[tuple[object, ...]]:
    for channel, slot in zip(*np.nonzero(neurons.sources >= 0), strict=True):
        crop = neurons.ids[neurons.sources[channel, slot]]
        yield int(channel), int(slot) + 1, neurons.responses[channel, slot], crop, *neurons.positions[channel, slot]


def _side(neurons: Neurons) -> float:
    """Side of a square with the area of a crop."""
    return float(np.prod(neurons.crop_px) ** 0.5)


def _layer_scores(neurons: Neurons) -> LayerScores:
    return LayerScores(
        field=neurons.field,
        channels=len(neurons.sources),
        alive=int((neurons.sources[:, 0] >= 0).sum()),
        crops=len(neurons.ids),
        side_px=_side(neurons),
        selectivity=neurons.selectivity,
    )


def _weight_files(scores: WeightScores, skeleton: Skeleton, out: Path) -> list[Path]:
    """Correlations of weights and data, co-sparsity, and pairs of left and right joints, as figures and tables."""
    files = _correlation_files(
        "weights", "Correlation of the last layer's weights", scores.weights, scores, skeleton, out
    )
    if scores.data is not None:
        files += _correlation_files("data", "Correlation of the targets", scores.data, scores, skeleton, out)
    names = [name for name, _, _ in scores.weights.panels[:-1]]
    sparsity = list(zip(names, scores.sparsity / scores.features, strict=True))
    joints, labels, breaks = _joint_axis(scores, skeleton)
    page = sparsity_figure(
        [Panel(name, matrix[np.ix_(joints, joints)]) for name, matrix in sparsity],
        labels,
        breaks=breaks,
        heading="Co-sparsity of the last layer's weights",
        note="The higher (darker), the fewer features affect both joints; mean over features, p = 0.2.",
    )
    files += write_figure(page, out / "co_sparsity")
    raw = zip(names, scores.sparsity, strict=True)
    files.append(write_matrices(out / "co_sparsity.csv", skeleton.joints, raw))
    return [*files, write_table(out / "side_pairs.csv", *_side_pair_table(scores, skeleton))]


def _correlation_files(
    stem: str, heading: str, correlation: Correlation, scores: WeightScores, skeleton: Skeleton, out: Path
) -> list[Path]:
    joints, labels, breaks = _joint_axis(scores, skeleton)
    panels = [Panel(name, matrix[np.ix_(joints, joints)], limit) for name, matrix, limit in correlation.panels]
    page = correlation_figure(panels, labels, breaks=breaks, heading=heading, note=_CHANCE)
    matrices = [(name, matrix) for name, matrix, _ in correlation.panels]
    table = write_matrices(out / f"correlation_{stem}.csv", skeleton.joints, matrices)
    return [*write_figure(page, out / f"correlation_{stem}"), table]


def _joint_axis(scores: WeightScores, skeleton: Skeleton) -> tuple[list[int], list[str], list[int]]:
    """The joints of a figure by side of the body, their labels, and the breaks between parts of the body."""
    order = joint_order(skeleton)
    kept = [joint not in scores.left_out for joint in order.joints]
    joints = [int(joint) for joint, keep in zip(order.joints, kept, strict=True) if keep]
    breaks = {sum(kept[:at]) for at in order.breaks} - {0, len(joints)}
    return joints, [joint_label(skeleton.joints[joint]) for joint in joints], sorted(breaks)


def _side_pair_table(scores: WeightScores, skeleton: Skeleton) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    """Heading and rows: every pair of sides with its correlations in weights and data."""
    pairs = side_pairs(skeleton)
    sources = [("weights", scores.weights)] + ([("data", scores.data)] if scores.data is not None else [])
    rows: list[tuple[object, ...]] = []
    for kind, chosen in (("left and right", pairs.left_right), ("same side", pairs.same_side)):
        for first, second in chosen:
            at = skeleton.index(first), skeleton.index(second)
            rows += [
                (kind, first, second, source, name, float(matrix[at]), limit)
                for source, correlation in sources
                for name, matrix, limit in correlation.panels
            ]
    return ("pairs", "first", "second", "source", "coordinate", "correlation", "baseline"), rows


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise OutputError(f"Cannot make the folder {folder}: {fault.strerror}; choose another path.") from None


def write_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write the figure as `stem`.png and `stem`.svg; returns the files. Raises OutputError."""
    files = []
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        page = io.BytesIO()
        # Text stays text, to be searched and edited; and the file is deterministic.
        with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "poseg"}):
            figure.savefig(page, format=kind, dpi=_DPI, metadata=metadata)
        files.append(stem.with_name(f"{stem.name}.{kind}"))
        write_bytes(files[-1], page.getvalue())
    return files


def write_table(path: Path, heading: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Rows below a heading as CSV; numbers with six digits, NaN as an empty field. Raises OutputError."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heading)
    writer.writerows([_field(value) for value in row] for row in rows)
    write_text(path, text.getvalue())
    return path


def write_matrices(path: Path, joints: Sequence[str], matrices: Iterable[tuple[str, NDArray[np.float64]]]) -> Path:
    """Matrices (J, J) by name as CSV: matrix, joint, then a column for each joint."""
    rows = [(name, joint, *row) for name, matrix in matrices for joint, row in zip(joints, matrix, strict=True)]
    return write_table(path, ("matrix", "joint", *joints), rows)


def _field(value: object) -> object:
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:.6g}"
    return value
