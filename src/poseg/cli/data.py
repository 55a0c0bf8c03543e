"""`poseg data`: what is in an annotation file, what is wrong with it, and how it looks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from poseg.cli.data_lsp import lsp
from poseg.cli.data_ochuman import ochuman
from poseg.cli.options import OutOption

if TYPE_CHECKING:
    from poseg.datasets.check import Fault, Report, Summary

data = typer.Typer(name="data", help="Check and look at one's own annotation.", no_args_is_help=True)

AnnotationsArgument = Annotated[
    Path, typer.Argument(metavar="ANN.json", help="COCO annotation file, .json or .json.gz, or OCHuman's own.")
]


@data.command()
def check(
    annotations: AnnotationsArgument,
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Folder of the pictures, to look for them too.")
    ] = None,
    skeleton: Annotated[
        Path | None,
        typer.Option("--skeleton", metavar="FILE.toml", help="What the category lacks: bones, flip pairs, sigmas."),
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="OUT", help="Write the report here too.")] = None,
) -> None:
    """Explain every fault of an annotation file.

    Exits with 0 where nothing is wrong (notes do not count), 1 where training works but loses or mislearns something,
    and 2 where training is impossible.
    """
    from poseg.datasets.check import check_file
    from poseg.errors import AnnotationError
    from poseg.io.plain_json import write_json

    if images is not None and not images.is_dir():
        raise AnnotationError(f"There is no folder {images}; give the folder of the pictures.")
    report = check_file(annotations, images, skeleton)
    if json is not None:
        write_json(json, report.to_plain())
    _print(annotations, report)
    if report.worst:
        raise typer.Exit(int(report.worst))


@data.command()
def show(
    annotations: AnnotationsArgument,
    out: OutOption,
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Folder of the pictures; found by itself if near.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Draw the first pictures only.")] = 20,
    boxes: Annotated[bool, typer.Option("--boxes", help="Draw everybody's box too.")] = False,
) -> None:
    """Draw labelled pictures as training sees them: poses, masks, and what is ignored darkened."""
    from poseg.cli.outputs import distinct_names, make_folder
    from poseg.datasets.own import own
    from poseg.datasets.show import draw_sample
    from poseg.io.images import write_png

    labelled = own(annotations, images)
    make_folder(out)
    count = min(limit, len(labelled))
    names = distinct_names([Path(labelled.key(index)) for index in range(count)])
    for index, name in enumerate(names):
        write_png(out / f"{name}.labels.png", draw_sample(labelled[index], boxes=boxes))
    typer.echo(f"{count} of {len(labelled)} labelled pictures are drawn in {out}.")


data.command()(ochuman)
data.command()(lsp)


def _print(annotations: Path, report: Report) -> None:
    from rich.console import Console

    for fault in report.faults:
        typer.echo(_told(fault))
    if report.summary.people:
        Console().print(_table(report.summary))
    verdict = ("Nothing is wrong.", "Training works, but see the faults above.", "Training on this is impossible.")
    kinds = sum(fault.level > 0 for fault in report.faults)
    found = f" {kinds} kind{'s' * (kinds != 1)} of fault found." if kinds else ""
    typer.echo(f"{annotations}: {verdict[report.worst]}{found}")


def _told(fault: Fault) -> str:
    """A fault as a paragraph."""
    lines = [f"{fault.level.name}  {fault.sentence} ({fault.count:,})"]
    indent = " " * (len(fault.level.name) + 2)
    lines += [f"{indent}{fault.advice}"] if fault.advice else []
    lines += [f"{indent}- {example}" for example in fault.examples]
    if fault.examples and fault.count > len(fault.examples):
        lines.append(f"{indent}- and {fault.count - len(fault.examples):,} more")
    return "\n".join([*lines, ""])


def _table(summary: Summary) -> object:
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    sides = " ".join(f"{side:g}" for side in summary.sides_px)
    seen = ", ".join(f"{name} {seen}+{hidden}" for name, (seen, hidden) in summary.joints.items())
    rows = {
        "pictures": f"{summary.pictures:,}, {summary.pictures_with_people:,} with people",
        "people": f"{summary.people:,}, {summary.with_joints:,} with joints, {summary.with_masks:,} with masks; "
        f"{summary.crowds:,} crowds or ignored",
        "skeleton": summary.skeleton or "unknown",
        "joints seen+hidden": seen if summary.with_joints else "none",
        "long side of boxes, px": f"{sides} (5, 25, 50, 75, 95 % of people are below)" if sides else "unknown",
        "sizes by area": ", ".join(f"{count:,} {size}" for size, count in summary.sizes.items()),
    }
    for label, text in rows.items():
        table.add_row(label, text)
    return table
