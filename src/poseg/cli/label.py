"""`poseg label`: a folder of images in; COCO labels that several views of several networks agree on out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from poseg.cli.outputs import progress_bar
from poseg.cli.predict_options import ThreadsOption
from poseg.errors import PosegError

if TYPE_CHECKING:
    from poseg.labelling import LabelingJob, LabelingSummary, TeacherConfig


def label(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of images, at any depth.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="JSON", help="Label file, .json or .json.gz.")],
    teacher: Annotated[
        list[str],
        typer.Option(
            "--teacher", "-t", help="A model (small, path.onnx), an entry point, or module:callable=argument; repeat."
        ),
    ],
    long_edge: Annotated[
        list[str] | None,
        typer.Option("--long-edge", help="Long edges of the inputs, such as 384,512; once, or once for each teacher."),
    ] = None,
    weight: Annotated[
        list[float] | None, typer.Option("--weight", min=0.0, max=1.0, help="Factor on the scores; as --long-edge.")
    ] = None,
    tiles: Annotated[str, typer.Option("--tiles", help="Tiles of the image: none, 2x2, 3x3, all or auto.")] = "auto",
    tile_size: Annotated[
        list[int] | None,
        typer.Option("--tile-size", help="Long edge of tiles, 0 for no tiles; as --long-edge."),
    ] = None,
    flip: Annotated[bool, typer.Option("--flip/--no-flip", help="Run flipped images too.")] = True,
    min_score: Annotated[
        float | None,
        typer.Option(
            "--min-score",
            min=0.0,
            max=1.0,
            show_default="0.2, or what a teacher asks for",
            help="Lowest score of a label; from half of it: ignore.",
        ),
    ] = None,
    prior_labels: Annotated[
        Path | None,
        typer.Option("--prior-labels", metavar="JSON", help="Earlier labels: their images, and their people as votes."),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep-existing", help="Leave the images that the label file has as they are.")
    ] = False,
    contact_sheets: Annotated[
        Path | None, typer.Option("--contact-sheets", metavar="DIR", help="Draw the labels on sheets here.")
    ] = None,
    threads: ThreadsOption = None,
) -> None:
    """Label the people of images with networks, for training.

    Teachers run at several scales, on flipped images and on tiles; labels are what the views agree on. A run that was
    stopped resumes when the command is repeated. Images that cannot be read are named on stderr, the others are
    finished, and the exit code is 2.
    """
    from poseg.labelling import EnsembleConfig, LabelingJob, LabelThresholds

    ensemble = EnsembleConfig(_teachers(teacher, long_edge, weight, tile_size, threads=threads), flip, tiles)
    asked = (getattr(config.teacher, "thresholds", LabelThresholds()) for config in ensemble.teachers)
    thresholds = LabelThresholds.strictest(asked)
    if min_score is not None:
        thresholds = replace(thresholds, min_person=min_score, min_ignore=min_score / 2)
    job = LabelingJob(folder, out, ensemble, thresholds, prior_labels, keep, exclude=contact_sheets)
    summary = _run(job, contact_sheets)
    for error in summary.errors:
        typer.echo(f"poseg: {error}", err=True)
    typer.echo(
        f"{summary.people} people, {summary.masks} of them with masks, and {summary.ignored} regions to ignore in "
        f"{summary.images} images; written to {out}"
    )
    if summary.errors:
        raise typer.Exit(2)


def _run(job: LabelingJob, contact_sheets: Path | None) -> LabelingSummary:
    """Label with a progress bar, drawing on the way."""
    from poseg.io.files import make_folder
    from poseg.labelling import label as label_folder
    from poseg.labelling.records import ContactSheets

    if contact_sheets is not None:
        make_folder(contact_sheets)
    sheets = None if contact_sheets is None else ContactSheets(contact_sheets)
    with progress_bar("Images") as progress:
        summary = label_folder(job, progress=progress, on_labelled=None if sheets is None else sheets.add)
    if sheets is not None:
        sheets.finish()
    return summary


def _teachers(
    teachers: Sequence[str],
    long_edges: Sequence[str] | None,
    weights: Sequence[float] | None,
    tile_sizes: Sequence[int] | None,
    *,
    threads: int | None,
) -> tuple[TeacherConfig, ...]:
    from poseg.labelling import TeacherConfig, load_teacher

    count = len(teachers)
    each_edges = _per_teacher("--long-edge", long_edges, count, _long_edges)
    each_weight = _per_teacher("--weight", weights, count, float)
    each_tile = _per_teacher("--tile-size", tile_sizes, count, int)
    configs = []
    for name, edges, weight, tile in zip(teachers, each_edges, each_weight, each_tile, strict=True):
        teacher = load_teacher(name, threads=threads)
        # Tiles are for networks that ask for them by a size of their own, such as those that detect few people at once.
        tile_px = getattr(teacher, "tile_size", None) if tile is None else tile or None
        default = getattr(teacher, "weight", 1.0)
        configs.append(TeacherConfig(teacher, edges, default if weight is None else weight, tile_px))
    return tuple(configs)


def _per_teacher(name: str, values: Sequence[Any] | None, count: int, parse: Callable[[Any], Any]) -> list[Any]:
    """One value for each teacher: None where the option is absent, the same for all where there is one."""
    if not values:
        return [None] * count
    if len(values) not in (1, count):
        raise PosegError(f"{name} has {len(values)} values for {count} teachers; give it once, or once for each.")
    parsed = [parse(value) for value in values]
    return parsed * count if len(parsed) == 1 else parsed


def _long_edges(text: str) -> tuple[int, ...]:
    try:
        edges = tuple(int(part) for part in text.split(","))
    except ValueError:
        edges = ()
    if not edges or min(edges) < 32:
        raise PosegError(f"--long-edge takes whole numbers of pixels from 32 up, such as 384,512; got {text!r}.")
    return edges
