"""`poseg effect`: pictures and videos in; the same after an effect out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from poseg.cli.effect_settings import build_chain
from poseg.cli.options import (
    FlipOption,
    MaxPeopleOption,
    MinScoreOption,
    ModelOption,
    RefineOption,
    ScalesOption,
    SizeOption,
    ThreadsOption,
    build_predictor,
    refined,
)
from poseg.cli.video_files import FramesOption, SmoothOption, TwoPassOption, VideoSourcesArgument
from poseg.errors import EffectError, FieldError, ImageError, OutputError, PosegError, ShapeError, WeightsError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from poseg.cli.people_files import Find
    from poseg.cli.video_files import Look
    from poseg.effects import Outcome
    from poseg.people import People
    from poseg.runtime.pose2seg import SegmentedPredictor
    from poseg.runtime.predictor import Predictor

    # What becomes of a picture and its people at a time in seconds; a picture has time 0.
    Render = Callable[[NDArray[np.uint8], People, float], Outcome]

ENDING = ".effect.png"
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
JPEG_QUALITY = 95


def effect(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="An effect such as blur, winged or pixelate, or several such as winged+blur."
        ),
    ],
    sources: VideoSourcesArgument,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="OUT", help="A file for one picture or video, a folder for any number."),
    ],
    person: Annotated[
        int | None,
        typer.Option("--person", min=0, help="Only for this one, counted from 0, the surest first; in a video by id."),
    ] = None,
    strength: Annotated[float, typer.Option("--strength", min=0.0, max=1.0, help="How much of it.")] = 1.0,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="FIELD=VALUE", help="A setting of the effect, such as colour=#00b140. May be repeated."
        ),
    ] = None,
    people: Annotated[
        Path | None,
        typer.Option("--people", metavar="FILE.json", help="Who is in the pictures, as predict wrote it; no model."),
    ] = None,
    model: ModelOption = None,
    size: SizeOption = None,
    max_people: MaxPeopleOption = 20,
    min_score: MinScoreOption = 0.4,
    scales: ScalesOption = None,
    flip: FlipOption = None,
    refine: RefineOption = None,
    smooth: SmoothOption = True,
    two_pass: TwoPassOption = False,
    frames: FramesOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Apply an effect to pictures and videos and write them to OUT.

    OUT is a file where it ends in .png, .jpg or .webp and there is one picture, or in .mp4 or .webm and there is one
    video; else a folder that gets NAME.effect.png and NAME.effect.mp4 of each. Videos keep frame rate and sound.
    People whom an effect leaves out are named on stderr, with the reason. What cannot be read is named there too, the
    others are finished, and the exit code is 2.
    """
    from rich.console import Console

    from poseg.cli.effect_video import look_up, video_targets, write_videos
    from poseg.cli.video_sources import divide
    from poseg.io.sources import find_images

    steps = build_chain(name, settings or (), person=person, strength=strength)
    if people is not None and (model, refine) != (None, None):
        raise PosegError("--people names the people itself; leave --model and --refine away, or leave it away.")
    console = Console(stderr=True, soft_wrap=True, markup=False, highlight=False, emoji=False)
    given = divide(sources, out)
    found = find_images(given.pictures)
    for fault in (*given.faults, *found.faults):
        console.print(f"poseg: {fault}")
    failed = len(given.faults) + len(found.faults)
    paths = [path for path in found.paths if not _made_here(path, out)]
    clips = video_targets(given, out)
    targets = _targets(paths, out)

    @cache
    def finder() -> Predictor | SegmentedPredictor:
        predictor = build_predictor(
            model, threads=threads, size=size, scales=scales, flip=flip, max_people=max_people, min_score=min_score
        )
        return refined(predictor, refine, threads=threads)

    if paths:
        find: Find = (lambda image, path: finder()(image)) if people is None else _given(people, paths)
        written = _write_all(
            find, lambda image, whom, time_s: steps.at(time_s).apply(image, whom), paths, targets, console
        )
        failed += len(paths) - written
        if written:
            typer.echo(f"{written} {'picture' if written == 1 else 'pictures'} written to {out}")
    if clips:
        look: Look = (lambda frame: finder()(frame.image)) if people is None else look_up(people, given)
        failed += write_videos(
            given, clips, out, steps, person, look, console, smooth=smooth, two_pass=two_pass, limit=frames
        )
    if failed:
        raise typer.Exit(2)


def _made_here(path: Path, out: Path) -> bool:
    """Whether an earlier run wrote a picture into the same folder, as when a folder is its own destination."""
    return path.name.endswith(ENDING) and path.parent.resolve() == out.resolve()


def _targets(paths: Sequence[Path], out: Path) -> list[Path]:
    """The file for each picture. Raises OutputError where one file is to hold several, or a kind we do not write."""
    from poseg.cli.outputs import distinct_names, make_folder
    from poseg.io.sources import SUFFIXES

    if out.suffix.lower() not in SUFFIXES | set(FORMATS) or out.is_dir():
        if paths:
            make_folder(out)
        return [out / f"{name}{ENDING}" for name in distinct_names(paths)]
    if out.suffix.lower() not in FORMATS:
        raise OutputError(f"Cannot write {out}: name a file that ends in {', '.join(FORMATS)}.")
    if len(paths) > 1:
        raise OutputError(f"{out} is one file, and there are {len(paths)} pictures; name a folder.")
    return [out for _ in paths]


def _given(file: Path, paths: Sequence[Path]) -> Find:
    """What looks the people of a picture up in a file."""
    from poseg.io.given_people import match_pictures, read_people
    from poseg.io.sources import image_ids

    given, numbers = read_people(file), image_ids(paths)
    known = dict(zip(paths, match_pictures(given, paths, [numbers[path] for path in paths]), strict=True))
    return lambda image, path: given.people(known[path])


def _write_all(
    find: Find, render: Render, paths: Sequence[Path], targets: Sequence[Path], console: Console
) -> int:  # fmt: skip
    """Take one picture after the other; returns how many were written."""
    from rich.progress import track

    from poseg.io.images import read_image

    written = 0
    steps = list(zip(paths, targets, strict=True))
    for path, target in track(steps, "Pictures", console=console, transient=True, disable=not console.is_terminal):
        try:
            image = read_image(path)
            people = find(image, path)
            outcome = render(image, people, 0.0)
        except (EffectError, FieldError, ImageError, ShapeError, WeightsError) as fault:
            console.print(f"poseg: {fault}" if isinstance(fault, ImageError) else f"poseg: {path}: {fault}")
            continue
        if not len(people):
            console.print(f"poseg: {path}: nobody was found.")
        for one in outcome.skipped:
            console.print(f"poseg: {path}: person {one.person} was left out: {one.reason}")
        _write(target, outcome.image)
        written += 1
    return written


def _write(target: Path, image: NDArray[np.uint8]) -> None:
    """Write a picture in the format that its suffix names, whole or not at all. Raises OutputError."""
    from io import BytesIO

    from PIL import Image

    from poseg.io.atomic import write_bytes

    kind = FORMATS[target.suffix.lower()]
    if kind == "JPEG" and image.shape[2] == 4:
        raise OutputError(f"Cannot write {target}: a JPEG file has no transparency; name a .png or .webp file.")
    stream = BytesIO()
    options = {"quality": JPEG_QUALITY, "subsampling": 0} if kind == "JPEG" else {"lossless": True}
    Image.fromarray(image).save(stream, kind, **({} if kind == "PNG" else options))
    write_bytes(target, stream.getvalue())
