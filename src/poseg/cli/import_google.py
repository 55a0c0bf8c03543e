"""`poseg import-google`: published PoseNet and BodyPix weights as a model of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def import_google(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="Published weights: a .tflite file or a model.json.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="MODEL.onnx", help="The model to write.")],
) -> None:
    """Turn Google's published PoseNet or BodyPix weights into an ONNX model with a card.

    Needs the extra `export`. The weights keep their own licence, which the card names.
    """
    from poseg.export.import_google import import_google as convert

    convert(source, out)
    typer.echo(f"Written to {out}; see it with `poseg models {out}`, use it with `poseg predict --model {out}`.")
