"""`poseg export`: the averaged weights of a run as a model file with its card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run of `poseg train`.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="MODEL.onnx", help="The model to write.")],
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="Recipe of a run whose folder does not say it.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Another value for a field, such as facts.size_px=641."),
    ] = None,
    scores: Annotated[
        list[Path] | None,
        typer.Option("--scores", metavar="JSON", help="What `poseg evaluate --json` wrote, for the card; repeatable."),
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option("--pictures", metavar="DIR", help="Compare network and file on these pictures before writing."),
    ] = None,
    share: Annotated[
        float,
        typer.Option("--share", min=0.0, max=1.0, help="How far to go from start.weights to what the run learnt."),
    ] = 1.0,
) -> None:
    """Write a run's averaged weights as an ONNX model.

    Network and file must agree to 1e-4 on real pictures, or nothing is written. Needs the extras `train` and `export`.
    """
    from poseg.recipes import find_recipe
    from poseg.recipes.hand_over import export_run

    known = None if recipe is None else find_recipe(recipe)
    exported = export_run(
        run, out, recipe=known, settings=settings or (), scores=scores or (), pictures=pictures, share=share
    )
    typer.echo(
        f"Written to {out}, {out.stat().st_size / 1e6:.1f} MB; it differs from the network by "
        f"{exported.difference:.1e} at most, on {exported.pictures} pictures and noise. "
        f"See it with `poseg models {out}`."
    )
