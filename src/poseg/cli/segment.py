"""`poseg segment`: pictures and people in; the people's masks out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from poseg.cli.options import OutOption, SizeOption, ThreadsOption, build_segmenter
from poseg.cli.people_files import MasksOption, OverlayOption, SourcesArgument, tell_silence, write_people

if TYPE_CHECKING:
    from rich.console import Console

    from poseg.cli.people_files import Find


def segment(
    sources: SourcesArgument,
    poses: Annotated[
        Path,
        typer.Option("--poses", metavar="FILE.json", help="Their people: COCO ground truth or results, .json or .gz."),
    ],
    out: OutOption,
    model: Annotated[
        str, typer.Option("--model", "-m", help="Name of a Pose2Seg model that comes along, or path of an ONNX file.")
    ] = "pose2seg",
    size: SizeOption = None,
    shared: Annotated[
        bool,
        typer.Option("--shared/--exclusive", help="Whether masks may overlap, or each pixel belongs to the surest."),
    ] = False,
    masks: MasksOption = False,
    overlay: OverlayOption = True,
    threads: ThreadsOption = None,
) -> None:
    """Give masks to people whose poses are known, and write them to DIR as `poseg predict` does.

    The pictures of FILE are found by their names, then by their numbers; nobody is in a picture that it says nothing
    of. A picture that cannot be read is named on stderr, the others are finished, and the exit code is 2.
    """

    def prepare(paths: Sequence[Path], console: Console) -> tuple[Find, Any]:
        from poseg.io.given_people import match_pictures, read_people
        from poseg.io.sources import image_ids

        given, numbers = read_people(poses), image_ids(paths)
        theirs = match_pictures(given, paths, [numbers[path] for path in paths])
        segmenter = build_segmenter(model, threads=threads, size=size, exclusive=not shared)
        tell_silence(given, paths, theirs, console)
        known = dict(zip(paths, theirs, strict=True))
        ids = {path: number if known[path] is None else known[path] for path, number in numbers.items()}
        return lambda image, path: segmenter(image, given.people(known[path])), ids

    write_people(sources, out, prepare, masks=masks, overlay=overlay)
