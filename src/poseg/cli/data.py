"""`poseg data`: annotation files checked and drawn, and data sets of others written as COCO files."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from poseg.cli.outputs import unique_names
from poseg.cli.predict_options import OutOption

if TYPE_CHECKING:
    from poseg.datasets.check import CheckReport, Issue, Summary

data = typer.Typer(name="data", help="Check, draw and convert annotations.", no_args_is_help=True)

AnnotationsArgument = Annotated[
    Path, typer.Argument(metavar="ANN.json", help="COCO annotation file, .json or .json.gz, or OCHuman's own.")
]


@data.command()
def check(
    annotations: AnnotationsArgument,
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Folder of the images, to check these too.")
    ] = None,
    skeleton: Annotated[
        Path | None,
        typer.Option("--skeleton", metavar="FILE.toml", help="What the category lacks: bones, flip pairs, sigmas."),
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="OUT", help="Write the report here too.")] = None,
) -> None:
    """Explain every issue of an annotation file.

    Exits with 0 where nothing is wrong (notes do not count), 1 where training works but loses or mislearns something,
    and 2 where training is impossible.
    """
    from poseg.datasets.check import check_file
    from poseg.errors import AnnotationError
    from poseg.io.files import write_json

    if images is not None and not images.is_dir():
        raise AnnotationError(f"There is no folder {images}; give the folder of the images.")
    report = check_file(annotations, images, skeleton)
    if json is not None:
        write_json(json, report.to_dict())
    _print(annotations, report)
    if report.worst:
        raise typer.Exit(int(report.worst))


@data.command()
def show(
    annotations: AnnotationsArgument,
    out: OutOption,
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Folder of the images; near the file by default.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Draw the first images only.")] = 20,
    boxes: Annotated[bool, typer.Option("--boxes", help="Draw the boxes of all people too.")] = False,
) -> None:
    """Draw labelled images as training sees them: poses, masks, and what is ignored darkened.

    Images that cannot be read are named, the others are drawn, and the exit code is 2.
    """
    from poseg.datasets import custom_coco
    from poseg.datasets.dataset import draw_sample
    from poseg.errors import ImageError
    from poseg.io.files import make_folder
    from poseg.io.images import write_png

    labelled = custom_coco(annotations, images)
    make_folder(out)
    count = min(limit, len(labelled))
    names = unique_names([Path(labelled.sample_id(index)) for index in range(count)])
    unreadable: list[str] = []
    for index, name in enumerate(names):
        try:
            sample = labelled[index]
        except ImageError as fault:
            unreadable.append(str(fault))
            continue
        write_png(out / f"{name}.labels.png", draw_sample(sample, boxes=boxes))
    for image in unreadable:
        typer.echo(f"poseg: {image}", err=True)
    typer.echo(f"{count - len(unreadable)} of {len(labelled)} labelled images are drawn in {out}.")
    if unreadable or labelled.left_out:
        raise typer.Exit(2)


def _print(annotations: Path, report: CheckReport) -> None:
    from rich.console import Console

    for issue in report.issues:
        typer.echo(_paragraph(issue))
    if report.summary.people:
        Console().print(_table(report.summary))
    verdict = ("Nothing is wrong.", "Training works, but see the issues above.", "Training on this is impossible.")
    kinds = sum(issue.severity > 0 for issue in report.issues)
    counted = f" {kinds} kind{'s' * (kinds != 1)} of issue." if kinds else ""
    typer.echo(f"{annotations}: {verdict[report.worst]}{counted}")


def _paragraph(issue: Issue) -> str:
    """An issue as a paragraph."""
    lines = [f"{issue.severity.name}  {issue.message} ({issue.count:,})"]
    indent = " " * (len(issue.severity.name) + 2)
    lines += [f"{indent}{issue.hint}"] if issue.hint else []
    lines += [f"{indent}- {example}" for example in issue.examples]
    if issue.examples and issue.count > len(issue.examples):
        lines.append(f"{indent}- and {issue.count - len(issue.examples):,} more")
    return "\n".join([*lines, ""])


def _table(summary: Summary) -> object:
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    sides = " ".join(f"{side:g}" for side in summary.person_sizes_px)
    seen = ", ".join(f"{name} {seen}+{hidden}" for name, (seen, hidden) in summary.joints.items())
    rows = {
        "images": f"{summary.images:,}, {summary.images_with_people:,} with people",
        "people": f"{summary.people:,}, {summary.with_joints:,} with joints, {summary.with_masks:,} with masks; "
        f"{summary.crowds:,} crowds or ignored",
        "skeleton": summary.skeleton or "unknown",
        "joints visible+hidden": seen if summary.with_joints else "none",
        "long side of boxes, px": f"{sides} (5, 25, 50, 75, 95 % of people are below)" if sides else "unknown",
        "sizes by area": ", ".join(f"{count:,} {size}" for size, count in summary.sizes.items()),
    }
    for label, text in rows.items():
        table.add_row(label, text)
    return table


class Split(str, Enum):
    """Parts of the data set."""

    val = "val"
    test = "test"
    all = "all"


class Subset(str, Enum):
    """Named ranges of MaxIoU."""

    all = "all"
    moderate = "moderate"
    hard = "hard"


class Others(str, Enum):
    """What is done with people that are not measured."""

    drop = "drop"
    ignore = "ignore"


@data.command()
def ochuman(
    annotations: Annotated[
        Path, typer.Argument(metavar="ochuman.json", help="OCHuman's own file, or one converted to COCO's format.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="JSON", help="File or folder to write to; here, under the authors' name, by default."
        ),
    ] = None,
    split: Annotated[
        Split | None,
        typer.Option("--split", help="The first 2,500 images or the others; only a name if converted already."),
    ] = None,
    max_iou: Annotated[
        str | None,
        typer.Option("--max-iou", metavar="LOW:HIGH", help="Range of MaxIoU, HIGH excluded, such as 0.5:0.75."),
    ] = None,
    subset: Annotated[
        Subset | None, typer.Option("--subset", help="The same by name: moderate is 0.5:0.75, hard 0.75:1.01.")
    ] = None,
    fully_labelled: Annotated[
        bool, typer.Option("--fully-labelled", help="Only images in which all people have masks (OCHuman-FL).")
    ] = False,
    others: Annotated[
        Others, typer.Option("--others", help="Drop other people, as the authors do, or mark them as crowds to ignore.")
    ] = Others.drop,
) -> None:
    """Write OCHuman as a COCO file for `poseg evaluate`, and print the protocol that it measures under.

    With COCO's 17 joints, areas of boxes and run lengths, as the authors' own conversion. The protocol is also in the
    file, as `info.description`: scores under different protocols cannot be compared.
    """
    from poseg.errors import AnnotationError, OutputError
    from poseg.io.files import read_json, write_json
    from poseg.io.ochuman import ALL, SUBSETS, OCHumanSubset, is_ochuman, select_people
    from poseg.skeletons import COCO17

    if max_iou is not None and subset is not None:
        raise AnnotationError("--max-iou and --subset both name a range; give one of them.")
    bounds = SUBSETS[subset.value] if subset else ALL if max_iou is None else _bounds(max_iou)
    selection = OCHumanSubset(split.value if split else "all", bounds, fully_labelled, others is Others.ignore)
    plain = read_json(annotations)
    converted = not is_ochuman(plain)
    if split is None and not converted:
        raise AnnotationError(f"{annotations} holds all of OCHuman; add --split val, --split test or --split all.")
    made = select_people(plain, selection, str(annotations), COCO17)
    protocol = made["info"]["description"]
    if not made["annotations"]:
        low, high = bounds
        raise AnnotationError(
            f"{annotations} has no people to measure: {selection.split}, MaxIoU from {low:g} to below {high:g}"
            f"{', fully labelled' * fully_labelled}; choose more."
        )
    name = selection.file_name(annotations.name.partition(".json")[0] if converted and split is None else None)
    target = Path(name) if out is None else out / name if out.is_dir() else out
    if target.resolve() == annotations.resolve():
        raise OutputError(f"{target} is the file to read; name another with --out.")
    write_json(target, made)
    typer.echo(f"{protocol}\nWritten to {target}.")


def _bounds(text: str) -> tuple[float, float]:
    from poseg.errors import AnnotationError

    low, _, high = text.partition(":")
    try:
        return float(low), float(high)
    except ValueError:
        raise AnnotationError(f"--max-iou takes two numbers such as 0.5:0.75, got {text!r}.") from None


@data.command()
def lsp(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder with joints.npz and images.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="JSON", help="File to write, .json or .json.gz.")],
    first: Annotated[int, typer.Option("--first", min=1, help="Number of the first image.")] = 1,
    last: Annotated[
        int | None,
        typer.Option("--last", min=1, help="Number of the last image, included; the last of all by default."),
    ] = None,
) -> None:
    """Write LSP or LSPET as a COCO file on their 14 joints, for `poseg evaluate --metric pck`.

    LSP is split by number: 1 to 1000 to train on, 1001 to 2000 to test on.
    """
    from poseg.datasets.lsp import lsp_to_coco
    from poseg.io.files import write_json

    made = lsp_to_coco(folder, first, last)
    write_json(out, made)
    people = len(made["annotations"])
    typer.echo(f"{made['info']['description']}. {people:,} people.\nWritten to {out}; its images: {folder / 'images'}.")
