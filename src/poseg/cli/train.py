"""`poseg train`: a recipe becomes a run, or shows what it would be."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from poseg.errors import PosegError


def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="Name of a recipe, or a .py file with RECIPE in it.")],
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Folder that the recipe's data sets lie in.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="RUN", help="Folder of the run; a run found there goes on.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Another value for a field, such as schedule.steps=2000."),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Print the recipe as it would run, and stop.")] = False,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Processes that load pictures, for each training process.")
    ] = 1,
    minutes: Annotated[
        float, typer.Option("--minutes", min=0, help="Stop after these with a checkpoint; the same command goes on.")
    ] = math.inf,
    pictures_every: Annotated[
        int, typer.Option("--pictures-every", min=0, help="Steps between TensorBoard's pictures; 0 for none.")
    ] = 500,
) -> None:
    """Train a network by a recipe.

    A run that was stopped or killed goes on exactly where it was when the command is given again. For several GPUs
    or machines start it with torchrun or `accelerate launch`: torchrun --nproc_per_node 8 -m poseg train ...
    Needs the extra `train`.
    """
    from poseg.recipes import find_recipe
    from poseg.training.settings import with_settings

    chosen = with_settings(find_recipe(recipe), settings or [])
    if show:
        _print_recipe(chosen)
        return
    if data is None or out is None:
        raise PosegError("A run needs --data DIR and --out RUN; --show prints the recipe without running it.")
    from poseg.cli.training_bar import training_bar
    from poseg.recipes.launch import launch

    name = str(Path(recipe).resolve()) if recipe.endswith(".py") else recipe
    with training_bar() as report:
        launch(chosen, name, data, out, report=report, workers=workers, minutes=minutes, pictures_every=pictures_every)


def _print_recipe(recipe: object) -> None:
    """Every field under the name that --set knows it by, one a line."""
    from poseg.training.settings import flattened

    for name, value in flattened(recipe).items():
        typer.echo(f"{name} = {value}")
