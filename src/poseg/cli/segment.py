"""`poseg segment`: images and people in; the people's masks out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from poseg.cli import predict_options as opt
from poseg.cli.convert import FormatOption, parse_formats
from poseg.cli.image_outputs import (
    ImageOutputs,
    LabelsOption,
    MasksOption,
    OverlayOption,
    RecursiveOption,
    SourcesArgument,
    parse_labels,
    predict_images,
    provided_people,
)

if TYPE_CHECKING:
    from rich.console import Console

    from poseg.cli.image_outputs import DetectAt


def segment(
    sources: SourcesArgument,
    people: Annotated[
        Path,
        typer.Option("--people", metavar="FILE", help="Their people: COCO ground truth or results, .json or .gz."),
    ],
    out: opt.OutOption = opt.OUT,
    model: Annotated[
        str, typer.Option("--model", "-m", help="Name of a bundled Pose2Seg model, or path of an ONNX file.")
    ] = "pose2seg",
    long_edge: opt.LongEdgeOption = None,
    exclusive: Annotated[
        bool,
        typer.Option("--exclusive/--overlapping", help="Whether a pixel belongs to one person only, or masks overlap."),
    ] = True,
    masks: MasksOption = False,
    overlay: OverlayOption = True,
    labels: LabelsOption = None,
    formats: FormatOption = None,
    recursive: RecursiveOption = False,
    threads: opt.ThreadsOption = None,
    device: opt.DeviceOption = "auto",
) -> None:
    """Make masks of people whose poses are in FILE, and write them to DIR as `poseg predict` does.

    The images of FILE are matched by their names, then by their numbers; an image that it does not list shows no
    people. An image that cannot be read is named on stderr, the others are finished, and the exit code is 2.
    """
    from poseg.io.sources import at_any_depth

    def make_segmenter(paths: Sequence[Path], console: Console) -> tuple[DetectAt, Any]:
        segmenter = opt.build_segmenter(model, threads=threads, device=device, long_edge=long_edge, exclusive=exclusive)
        people_at, ids = provided_people(people, paths, console)
        return lambda image, path: segmenter(image, people_at(path)), ids

    outputs = ImageOutputs(masks, overlay, parse_labels(labels), parse_formats(formats))
    predict_images(at_any_depth(sources) if recursive else sources, out, make_segmenter, outputs)
