"""`poseg evaluate`: a model's scores on a COCO data set, with intervals and times."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from poseg.cli.options import (
    FlipOption,
    MaxPeopleOption,
    MinScoreOption,
    ModelOption,
    ScalesOption,
    SizeOption,
    ThreadsOption,
    build_predictor,
)
from poseg.errors import OutputError


def evaluate(
    data: Annotated[Path, typer.Option("--data", metavar="JSON", help="COCO annotation file, .json or .json.gz.")],
    images: Annotated[Path, typer.Option("--images", metavar="DIR", help="Folder of its pictures.")],
    model: ModelOption = None,
    size: SizeOption = None,
    max_people: MaxPeopleOption = 20,
    min_score: MinScoreOption = 0.0,
    scales: ScalesOption = None,
    flip: FlipOption = None,
    threads: ThreadsOption = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Evaluate the first pictures only.")] = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="OUT", help="Write the scores here.")] = None,
    results: Annotated[
        Path | None, typer.Option("--results", metavar="OUT", help="Write all people found here, as COCO results.")
    ] = None,
) -> None:
    """Measure a model on a COCO data set.

    Poses and masks by COCO's evaluator, person IoU, milliseconds a picture, all with 95 % intervals over pictures.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from poseg.cli.score_table import score_table
    from poseg.evaluation import evaluate as measure
    from poseg.io.plain_json import write_json

    _check_folders(json, results)
    options: dict[str, Any] = {
        "size": size, "max_people": max_people, "min_score": min_score, "scales": scales, "flip": flip,
        "threads": threads,
    }  # fmt: skip
    predictor = build_predictor(model, **options)
    columns = (TextColumn("Pictures"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Pictures", total=None)
        report = measure(
            predictor, data, images, limit=limit,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    if json is not None:
        write_json(json, {"model": predictor.session.card.name, "options": options, **report.to_plain()})
    if results is not None:
        write_json(results, list(report.results))
    Console().print(score_table(report))


def _check_folders(*paths: Path | None) -> None:
    """Find out before the long run, not after it."""
    for path in paths:
        if path is not None and (path.is_dir() or not path.parent.is_dir()):
            raise OutputError(f"Cannot write {path}: it must be a file in a folder that exists; choose another place.")
