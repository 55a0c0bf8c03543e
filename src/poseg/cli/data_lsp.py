"""`poseg data lsp`: Leeds Sports Pose, or its extension, as a COCO file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def lsp(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder with joints.npz and images.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="JSON", help="File to write, .json or .json.gz.")],
    first: Annotated[int, typer.Option("--first", min=1, help="Number of the first picture.")] = 1,
    last: Annotated[
        int | None, typer.Option("--last", min=1, help="Number of the last picture, included; the last there is.")
    ] = None,
) -> None:
    """Make LSP or LSPET a COCO file on their 14 joints, for `poseg evaluate --metric pck`.

    LSP is split by number: 1 to 1000 to train on, 1001 to 2000 to test on.
    """
    from poseg.datasets.lsp_file import lsp_as_coco
    from poseg.io.plain_json import write_json

    made = lsp_as_coco(folder, first, last)
    write_json(out, made)
    people = len(made["annotations"])
    typer.echo(
        f"{made['info']['description']}. {people:,} people.\nWritten to {out}; the pictures: {folder / 'images'}."
    )
