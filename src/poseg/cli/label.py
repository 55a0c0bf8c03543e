"""`poseg label`: a folder of pictures in; COCO labels that several looks of several networks agree on out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from poseg.cli.options import ThreadsOption
from poseg.errors import PosegError

if TYPE_CHECKING:
    from poseg.labelling import Assignment, Labelling, Outcome


def label(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of pictures, at any depth.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="JSON", help="Label file, .json or .json.gz.")],
    teacher: Annotated[
        list[str],
        typer.Option(
            "--teacher", "-t", help="A model (small, path.onnx), an entry point, or module:callable=argument; repeat."
        ),
    ],
    size: Annotated[
        list[str] | None,
        typer.Option("--size", help="Long sides to look at, such as 384,512; once for all teachers, or once for each."),
    ] = None,
    trust: Annotated[
        list[float] | None, typer.Option("--trust", min=0.0, max=1.0, help="Factor on the scores; as --size.")
    ] = None,
    tiles: Annotated[str, typer.Option("--tiles", help="Parts of the picture: none, 2x2, 3x3, all or auto.")] = "auto",
    tile_size: Annotated[
        list[int] | None,
        typer.Option("--tile-size", help="Long side to look at parts with, 0 for not at all; as --size."),
    ] = None,
    flip: Annotated[bool, typer.Option("--flip/--no-flip", help="Look at mirror images too.")] = True,
    min_score: Annotated[
        float, typer.Option("--min-score", min=0.0, max=1.0, help="Least score of a label; from half of it: ignore.")
    ] = 0.2,
    revise: Annotated[
        Path | None,
        typer.Option("--revise", metavar="JSON", help="Earlier labels: their pictures, with their people as a look."),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep-existing", help="Leave the pictures that the label file has as they are.")
    ] = False,
    draw: Annotated[
        Path | None, typer.Option("--draw", metavar="DIR", help="Write contact sheets of the labels here.")
    ] = None,
    threads: ThreadsOption = None,
) -> None:
    """Label the people of pictures with networks, for training.

    Teachers look in several sizes, at mirror images and at parts; labels are what the looks agree on. A run that was
    stopped goes on where it was when the command is repeated. Pictures that cannot be read are named on stderr, the
    others are finished, and the exit code is 2.
    """
    from poseg.labelling import Cuts, Labelling, Looking

    looking = Looking(_assignments(teacher, size, trust, tile_size, threads=threads), flip, tiles)
    cuts = Cuts(person=min_score, ignore=min_score / 2)
    job = Labelling(folder, out, looking, cuts, before=revise, keep=keep, without=draw)
    outcome = _run(job, draw)
    for fault in outcome.faults:
        typer.echo(f"poseg: {fault}", err=True)
    typer.echo(
        f"{outcome.people} people, {outcome.masks} of them with masks, and {outcome.ignored} regions to ignore in "
        f"{outcome.images} pictures; written to {out}"
    )
    if outcome.faults:
        raise typer.Exit(2)


def _run(job: Labelling, draw: Path | None) -> Outcome:
    """Label with a progress bar, drawing on the way."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from poseg.cli.outputs import make_folder
    from poseg.labelling import label as label_folder
    from poseg.labelling.sheets import Sheets

    if draw is not None:
        make_folder(draw)
    sheets = None if draw is None else Sheets(draw)
    console = Console(stderr=True)
    columns = (TextColumn("Pictures"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Pictures", total=None)
        outcome = label_folder(
            job,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
            seen=None if sheets is None else sheets.add,
        )
    if sheets is not None:
        sheets.finish()
    return outcome


def _assignments(
    teachers: Sequence[str],
    sizes: Sequence[str] | None,
    trusts: Sequence[float] | None,
    tile_sizes: Sequence[int] | None,
    *,
    threads: int | None,
) -> tuple[Assignment, ...]:
    from poseg.labelling import Assignment, find_teacher

    many = len(teachers)
    each_size = _for_each("--size", sizes, many, _sizes)
    each_trust = _for_each("--trust", trusts, many, float)
    each_tile = _for_each("--tile-size", tile_sizes, many, int)
    assigned = []
    for text, size, trust, tile in zip(teachers, each_size, each_trust, each_tile, strict=True):
        found = find_teacher(text, threads=threads)
        # Parts are for networks that ask for them by a size of their own, such as those that find few people a pass.
        part = getattr(found, "tile_size", None) if tile is None else tile or None
        weight = getattr(found, "trust", 1.0) if trust is None else trust
        assigned.append(Assignment(found, size, weight, part))
    return tuple(assigned)


def _for_each(name: str, given: Sequence[Any] | None, many: int, parse: Callable[[Any], Any]) -> list[Any]:
    """One value for each teacher: None where the option is absent, the same for all where it is given once."""
    if not given:
        return [None] * many
    if len(given) not in (1, many):
        raise PosegError(f"{name} is given {len(given)} times for {many} teachers; give it once, or once for each.")
    values = [parse(value) for value in given]
    return values * many if len(values) == 1 else values


def _sizes(text: str) -> tuple[int, ...]:
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 32:
        raise PosegError(f"--size wants whole numbers of pixels from 32 up, such as 384,512; got {text!r}.")
    return sizes
