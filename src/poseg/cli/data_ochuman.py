"""`poseg data ochuman`: OCHuman as a COCO file of one evaluation protocol."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


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
    """What becomes of people that are not measured."""

    leave_out = "leave-out"
    ignore = "ignore"


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
        typer.Option("--split", help="The first 2,500 pictures or the others; only a name if converted already."),
    ] = None,
    max_iou: Annotated[
        str | None,
        typer.Option("--max-iou", metavar="LOW:HIGH", help="Range of MaxIoU, HIGH excluded, such as 0.5:0.75."),
    ] = None,
    subset: Annotated[
        Subset | None, typer.Option("--subset", help="The same by name: moderate is 0.5:0.75, hard 0.75:1.01.")
    ] = None,
    fully_labelled: Annotated[
        bool, typer.Option("--fully-labelled", help="Only pictures in which everybody has a mask (OCHuman-FL).")
    ] = False,
    others: Annotated[
        Others, typer.Option("--others", help="Leave others out, as the authors do, or mark them as crowds to ignore.")
    ] = Others.leave_out,
) -> None:
    """Make OCHuman a COCO file for `poseg evaluate`, and say under which protocol it measures.

    With COCO's 17 joints, areas of boxes and run lengths, as the authors' own conversion. The protocol is also in the
    file, as `info.description`: scores under different protocols cannot be compared.
    """
    from poseg.errors import AnnotationError, OutputError
    from poseg.io.ochuman_json import is_ochuman, select_people
    from poseg.io.ochuman_protocol import ALL, SUBSETS, Selection
    from poseg.io.plain_json import read_json, write_json
    from poseg.skeletons import COCO17

    if max_iou is not None and subset is not None:
        raise AnnotationError("--max-iou and --subset both say which range; give one of them.")
    bounds = SUBSETS[subset.value] if subset else ALL if max_iou is None else _bounds(max_iou)
    selection = Selection(split.value if split else "all", bounds, fully_labelled, others is Others.ignore)
    plain = read_json(annotations)
    converted = not is_ochuman(plain)
    if split is None and not converted:
        raise AnnotationError(f"{annotations} holds all of OCHuman; say --split val, --split test or --split all.")
    made = select_people(plain, selection, str(annotations), COCO17)
    protocol = made["info"]["description"]
    if not made["annotations"]:
        low, high = bounds
        raise AnnotationError(
            f"{annotations} has nobody to measure: {selection.split}, MaxIoU from {low:g} to below {high:g}"
            f"{', fully labelled' * fully_labelled}; choose more."
        )
    name = selection.file_name(annotations.name.partition(".json")[0] if converted and split is None else None)
    target = Path(name) if out is None else out / name if out.is_dir() else out
    if target.resolve() == annotations.resolve():
        raise OutputError(f"{target} is the file to read; choose another place with --out.")
    write_json(target, made)
    typer.echo(f"{protocol}\nWritten to {target}.")


def _bounds(text: str) -> tuple[float, float]:
    from poseg.errors import AnnotationError

    low, _, high = text.partition(":")
    try:
        return float(low), float(high)
    except ValueError:
        raise AnnotationError(f"--max-iou wants two numbers such as 0.5:0.75, got {text!r}.") from None
