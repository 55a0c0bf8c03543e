"""`poseg batch`: very many images in; shards of Parquet and COCO results out."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

import poseg
from poseg.cli import predict_options as opt


def batch(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Images, videos, folders, patterns, .txt lists, .tar shards, .parquet files, or addresses of them.",
        ),
    ],
    out: opt.OutOption,
    model: opt.ModelOption = None,
    long_edge: opt.LongEdgeOption = None,
    max_people: opt.MaxPeopleOption = opt.MAX_PEOPLE,
    min_score: opt.MinScoreOption = opt.MIN_SCORE,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes that predict; by default all CPUs are used.")
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads and CPUs of a worker.")] = 1,
    address: Annotated[
        str | None, typer.Option("--address", help="A running Ray cluster, such as auto; else this machine alone.")
    ] = None,
    shard_items: Annotated[int, typer.Option("--shard", min=1, help="Images of a shard of the results.")] = 256,
    image_column: Annotated[
        str | None, typer.Option("--image-column", help="Of Parquet sources, the column of image bytes.")
    ] = None,
) -> None:
    """Detect the people of very many images and clips, by several processes or a Ray cluster.

    DIR/people/NNNNNN.parquet has a row for each image or frame, with its people or an error, DIR/coco/NNNNNN.json the
    same people in COCO's result format, DIR/summary.html counts, errors and samples. A run that was ended in any way
    is resumed by the same command: finished shards are kept. The exit code is 2 where there were errors.
    """
    from poseg.batch.job import Job, run_batch
    from poseg.batch.plan import make_plan
    from poseg.batch.summary import write_summary
    from poseg.cli.outputs import INTERRUPTED, error_console, progress_bar

    console = error_console()
    options = opt.DetectOptions(model, long_edge, max_people=max_people, min_score=min_score, threads=threads)
    settings = detector_settings(options)
    options.build()  # a model that cannot be loaded stops the command before anything is made
    plan = make_plan(sources, shard_items=shard_items, image_column=image_column)
    job = Job(plan, options.build, settings, out, workers, threads, address)
    try:
        with progress_bar("Images", console) as show:
            result = run_batch(job, show)
    except KeyboardInterrupt:
        console.print("poseg: Stopped; the same command resumes.")
        raise typer.Exit(INTERRUPTED) from None
    page = write_summary(plan, out.absolute())
    for sentence in result.unfinished:
        console.print(f"poseg: {sentence}")
    if result.errors:
        console.print(f"poseg: {result.errors} images have errors, in the column error of {out / 'people'}.")
    typer.echo(f"{result.items} images and clips done, {result.resumed} were done before; see {page}.")
    if result.errors or result.unfinished:
        raise typer.Exit(2)


def detector_settings(options: opt.DetectOptions) -> dict[str, Any]:
    """Plain data that differs where people may differ: presets share weights, so the views count too."""
    from poseg.runtime.models import DEFAULT, card_of

    card = card_of(options.model or DEFAULT)
    settings = asdict(options) | {"model": card.sha256 or card.name, "inference": asdict(card.inference)}
    del settings["threads"]
    return settings | {"version": poseg.__version__}
