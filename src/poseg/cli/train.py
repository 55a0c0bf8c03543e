"""`poseg train` and `poseg analyze`: a recipe becomes a run, and what the network of a run has learned."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from poseg.cli.completion import complete_recipe
from poseg.cli.predict_options import OutOption
from poseg.errors import PosegError
from poseg.recipes import RECIPES

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from poseg.training.loop import Progress as Report

OWN, OWN_INIT = "own", "fast"
LINE_EVERY_S = 20.0  # seconds between plain lines


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="[RECIPE]",
            help="Name of a recipe, or a .py file with RECIPE in it; none for own data.",
            show_default=False,
            autocompletion=complete_recipe,
        ),
    ] = OWN,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="PATH", help="Annotation file of own data, or the folder that holds a recipe's data sets."
        ),
    ] = None,
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Folder of the images of own data.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="RUN", help="Folder of the run; a run in it is resumed.")
    ] = None,
    init: Annotated[
        str, typer.Option(metavar="MODEL", help="Start from a bundled model, an ONNX file with a card, or a run.")
    ] = "",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Another value for a field, such as optim.steps=2000."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the recipe as it would run, and stop.")] = False,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Processes that load images, for each training process.")
    ] = 1,
    max_minutes: Annotated[
        float, typer.Option("--max-minutes", min=0, help="Then stop with a checkpoint; the same command resumes.")
    ] = math.inf,
    log_images_every: Annotated[
        int, typer.Option("--log-images-every", min=0, help="Steps between images in TensorBoard; 0 for none.")
    ] = 500,
) -> None:
    """Fine-tune a model on own data, or train a network by a recipe.

    poseg train --data labels.json --images DIR --out RUN fine-tunes `fast`, or the --init small, poseg, pose2seg or
    multitask, on people with keypoints, masks or both, in COCO's format. RUN gets own.onnx and report.html.

    A run that was stopped or killed resumes exactly where it was when the command is given again. For several GPUs
    or machines start it with torchrun or `accelerate launch`: torchrun --nproc_per_node 8 -m poseg train ...
    Needs the extra `train`.
    """
    if recipe == OWN:
        _train_own(data, images, init or OWN_INIT, out, settings or [], dry_run, workers, max_minutes, log_images_every)
        return
    if images is not None:
        raise PosegError(f"--images is for own data; a recipe names its images. Leave out {recipe}, or --images.")
    from poseg.io.overrides import apply_overrides
    from poseg.recipes import find_recipe

    first = [f"init.checkpoint={init}", "init.backbone=", "init.google=", "init.tinypose="] if init else []
    chosen = apply_overrides(find_recipe(recipe), [*first, *(settings or [])])
    if dry_run:
        _print_recipe(chosen)
        return
    if data is None or out is None:
        raise PosegError("A run needs --data DIR and --out RUN; --dry-run prints the recipe without running it.")
    from poseg.recipes.train_run import train_run

    name = str(Path(recipe).resolve()) if recipe.endswith(".py") else recipe
    with training_bar() as report:
        train_run(
            chosen, name, data, out, report=report, workers=workers, max_minutes=max_minutes,
            log_images_every=log_images_every,
        )  # fmt: skip


def _train_own(
    data: Path | None, images: Path | None, init: str, out: Path | None, settings: Sequence[str], dry_run: bool,
    workers: int, max_minutes: float, log_images_every: int,
) -> None:  # fmt: skip
    """Fine-tune, export, evaluate and report, or as much as `max_minutes` allow."""
    if data is None or images is None or out is None or data.is_dir():
        raise PosegError(
            "Own data needs --data ANNOTATIONS.json, --images DIR and --out RUN; or name a recipe: "
            f"{', '.join(RECIPES)}."
        )
    from rich.console import Console

    from poseg.cli.outputs import progress_bar
    from poseg.cli.score_tables import score_table
    from poseg.recipes import own_run

    with progress_bar("Labels") as progress:
        run = own_run.plan(data, images, init, out, settings, progress=progress)
    for fact in run.facts:
        typer.echo(fact)
    if dry_run:
        _print_recipe(run.recipe)
        return
    with training_bar() as report:
        complete = own_run.train_own(
            run, report=report, workers=workers, max_minutes=max_minutes, log_images_every=log_images_every
        )
    if not complete:
        typer.echo(f"Stopped after {max_minutes:g} minutes; the same command resumes.")
        return
    with progress_bar("Images") as progress:
        scores = own_run.finish(run, progress=progress)
    Console().print(score_table(scores, f"by {out / own_run.MODEL}"))
    typer.echo(f"Written to {out / own_run.MODEL}; scores, curves and worst images: {out / own_run.PAGE}.")
    typer.echo(f"Use it: poseg predict IMAGE --model {out / own_run.MODEL}")


def analyze(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run of a multi-task recipe.")],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="The folder that it was trained on.")],
    out: OutOption,
    crops: Annotated[int, typer.Option("--crops", min=50, help="How many of its crops the network runs on.")] = 2000,
) -> None:
    """Draw what the neurons of a multi-task network respond to, and how its last layer's weights correlate.

    DIR gets, for intermediate and high layers, average patches as tiles with the joint that each responds to most; the
    correlations of the last regression layer's weights and of the data in x, y and z, and their co-sparsity; each as
    PNG, SVG and CSV; and summary.md with scores against shuffled weights. Needs the extras `train` and `analysis`.
    """
    from rich.console import Console
    from rich.progress import Progress

    from poseg.recipes.analyze_run import analyze_run

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Crops", total=crops)
        files = analyze_run(run, data, out, crops=crops, progress=lambda done, _: bar.update(task, completed=done))
    for path in files:
        typer.echo(str(path))


def _print_recipe(recipe: object) -> None:
    """Every field under the name that --set knows it by, one a line."""
    from poseg.io.overrides import flatten

    for name, value in flatten(recipe).items():
        typer.echo(f"{name} = {value}")


@contextmanager
def training_bar() -> Iterator[Callable[[Report], None]]:
    """What a run reports its steps to: a bar on a terminal, plain lines elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal:
        with _bar(console) as bar:
            task = bar.add_task("steps", total=None, text="")

            def draw(progress: Report) -> None:
                text = f"{_throughput(progress)}\n{_losses(progress.losses)}"
                bar.update(task, completed=progress.step, total=progress.steps, text=text)

            yield draw
    else:
        yield _Lines(console)


def _bar(console: Console) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.progress import TimeRemainingColumn as TimeRemaining

    columns: tuple[Any, ...] = (
        BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemaining(),
        TextColumn("{task.fields[text]}"),
    )  # fmt: skip
    return Progress(*columns, console=console)


class _Lines:
    """A line after the first step, the last, and now and then between."""

    def __init__(self, console: Console) -> None:
        self.console, self.began, self.last_line = console, time.monotonic(), -LINE_EVERY_S
        self.first = 0

    def __call__(self, progress: Report) -> None:
        now = time.monotonic() - self.began
        self.first = self.first or progress.step
        if now - self.last_line < LINE_EVERY_S and progress.step < progress.steps:
            return
        self.last_line = now
        left = now / max(progress.step - self.first + 1, 1) * (progress.steps - progress.step)
        step = f"step {progress.step}/{progress.steps}  {_throughput(progress)}  left {left / 60:.0f} min"
        line = f"{step}  {_losses(progress.losses)}"
        self.console.print(line, soft_wrap=True, highlight=False)


def _throughput(progress: Report) -> str:
    return f"{progress.images_per_s:.1f} img/s  lr {progress.lr:.1e}  gradient {progress.grad_norm:.2f}"


def _losses(losses: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.3f}" for name, value in losses.items())
