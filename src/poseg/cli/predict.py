"""`poseg predict`: pictures in; COCO results, overlays and label maps out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer

from poseg.cli.options import (
    FlipOption,
    MaxPeopleOption,
    MinScoreOption,
    ModelOption,
    OutOption,
    ScalesOption,
    SizeOption,
    ThreadsOption,
    build_predictor,
)

if TYPE_CHECKING:
    from poseg.people import Timings
    from poseg.runtime.predictor import Predictor

RESULTS = "results.json"


def predict(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE", help="Pictures, folders of pictures, or patterns in quotes.")
    ],
    out: OutOption,
    model: ModelOption = None,
    size: SizeOption = None,
    max_people: MaxPeopleOption = 20,
    min_score: MinScoreOption = 0.4,
    scales: ScalesOption = None,
    flip: FlipOption = None,
    masks: Annotated[bool, typer.Option("--masks", help="Write NAME.masks.png too: 0 nobody, 1 the surest.")] = False,
    overlay: Annotated[bool, typer.Option("--overlay/--no-overlay", help="Write NAME.overlay.png.")] = True,
    threads: ThreadsOption = None,
) -> None:
    """Find the people of pictures and write them to DIR.

    DIR/results.json holds everybody in COCO's result format, DIR/NAME.overlay.png shows them. A picture that cannot
    be read is named on stderr, the others are finished, and the exit code is 2.
    """
    from rich.console import Console

    from poseg.cli.outputs import not_ours
    from poseg.io.sources import find_images

    console = Console(stderr=True, soft_wrap=True, markup=False, highlight=False, emoji=False)
    found = find_images(sources)
    for fault in found.faults:
        console.print(f"poseg: {fault}")
    failed = len(found.faults)
    paths = not_ours(found.paths, out)
    if paths:
        predictor = build_predictor(
            model, threads=threads, size=size, scales=scales, flip=flip, max_people=max_people, min_score=min_score
        )
        failed += _predict_all(predictor, paths, out, console, masks=masks, overlay=overlay)
    if failed:
        raise typer.Exit(2)


def _predict_all(
    predictor: Predictor, paths: Sequence[Path], out: Path, console: Any, *, masks: bool, overlay: bool
) -> int:
    """Take one picture after the other and write the results at the end, all at once; returns how many failed."""
    from rich.progress import track

    from poseg.cli.outputs import distinct_names, make_folder
    from poseg.draw.mask import label_map
    from poseg.draw.overlay import overlay as draw
    from poseg.errors import FieldError, ImageError, WeightsError
    from poseg.io.coco_results import coco_results, write_results
    from poseg.io.images import read_image, write_png
    from poseg.io.sources import image_ids

    make_folder(out)
    ids = image_ids(paths)
    same_names = len({path.name for path in paths}) < len(paths)
    records: list[dict[str, Any]] = []
    timings: list[Timings] = []
    steps = list(zip(paths, distinct_names(paths), strict=True))
    for path, name in track(steps, "Pictures", console=console, transient=True, disable=not console.is_terminal):
        try:
            image = read_image(path)
            people = predictor(image)
        except (FieldError, ImageError, WeightsError) as fault:
            console.print(f"poseg: {fault}" if isinstance(fault, ImageError) else f"poseg: {path}: {fault}")
            continue
        if overlay:
            write_png(out / f"{name}.overlay.png", draw(image, people))
        if masks:
            write_png(out / f"{name}.masks.png", label_map(people, (image.shape[0], image.shape[1])))
        file_name = path.as_posix() if same_names else path.name
        records += coco_results(people, ids[path], first_id=len(records) + 1, file_name=file_name)
        timings += [people.timings] if people.timings else []
    if timings:
        write_results(out / RESULTS, records)
        typer.echo(f"{_summary(len(records), timings)}; written to {out}")
    return len(paths) - len(timings)


def _summary(people: int, timings: Sequence[Timings]) -> str:
    pre, net, decode = (median(getattr(t, part) for t in timings) for part in ("pre_ms", "net_ms", "decode_ms"))
    return (
        f"{people} {'person' if people == 1 else 'people'} in "
        f"{len(timings)} {'picture' if len(timings) == 1 else 'pictures'}; "
        f"median {pre + net + decode:.0f} ms a picture: {pre:.0f} before the network, {net:.0f} in it, "
        f"{decode:.0f} decoding"
    )
