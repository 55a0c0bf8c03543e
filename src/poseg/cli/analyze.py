"""`poseg analyze`: pictures of what the neurons and the last layer's weights of a network learned."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from poseg.cli.options import OutOption


def analyze(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run of a multi-task recipe.")],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="The folder that it learned from.")],
    out: OutOption,
    crops: Annotated[
        int, typer.Option("--crops", min=50, help="How many crops of it are shown to the network.")
    ] = 2000,
) -> None:
    """Draw what the neurons of a multi-task network respond to, and how its last layer's weights correlate.

    DIR gets, for middle and high layers, average patches as tiles with the joint that each prefers; the correlations of
    the last regression layer's weights and of the data in x, y and z, and their co-sparsity; each as PNG, SVG and CSV;
    and summary.md with scores against shuffled weights. Needs the extras `train` and `analysis`.
    """
    from rich.console import Console
    from rich.progress import Progress

    from poseg.recipes.look_inside import look_inside

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Crops", total=crops)
        files = look_inside(run, data, out, crops=crops, progress=lambda done, _: bar.update(task, completed=done))
    for path in files:
        typer.echo(str(path))
