"""`poseg effect`: images and videos in; the same after an effect out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from poseg.cli import predict_options as opt
from poseg.cli.completion import complete_effect
from poseg.cli.image_outputs import RecursiveOption, provided_people
from poseg.cli.outputs import error_console, exclude_outputs, process_images, unique_names
from poseg.cli.video_jobs import MaxFramesOption, OfflineOption, SmoothOption, VideoOptions, VideoSourcesArgument
from poseg.errors import EffectError, OutputError, PosegError
from poseg.io.overrides import InvalidValueError, parse_value, split_override

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from poseg.cli.image_outputs import DetectAt
    from poseg.cli.outputs import Progress
    from poseg.cli.video_jobs import DetectInFrame
    from poseg.effects import Chain, Effect

ENDING = ".effect.png"
WITHOUT_TRANSPARENCY = ("replace",)  # effects whose image is RGB, not RGBA


def effect(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="An effect such as blur, winged or pixelate, or several such as winged+blur.",
            autocompletion=complete_effect,
        ),
    ],
    sources: VideoSourcesArgument,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="OUT", help="A file for one image or video, a folder for any number."),
    ] = opt.OUT,
    recursive: RecursiveOption = False,
    person: Annotated[
        int | None,
        typer.Option(
            "--person", min=0, help="Only for this one, counted from 0, highest score first; in a video by id."
        ),
    ] = None,
    strength: Annotated[float, typer.Option("--strength", min=0.0, max=1.0, help="Strength of the effect.")] = 1.0,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="FIELD=VALUE", help="A setting of the effect, such as colour=#00b140. May be repeated."
        ),
    ] = None,
    people: Annotated[
        Path | None,
        typer.Option("--people", metavar="FILE", help="People, as predict wrote them; no model runs."),
    ] = None,
    model: opt.ModelOption = None,
    long_edge: opt.LongEdgeOption = None,
    max_people: opt.MaxPeopleOption = opt.MAX_PEOPLE,
    min_score: opt.MinScoreOption = opt.MIN_SCORE,
    scales: opt.ScalesOption = None,
    flip: opt.FlipOption = None,
    adaptive: opt.AdaptiveOption = None,
    refine_poses: opt.RefinePosesOption = None,
    mask_refiner: opt.MaskRefinerOption = None,
    mask_model: opt.MaskModelOption = None,
    smooth: SmoothOption = True,
    offline: OfflineOption = False,
    max_frames: MaxFramesOption = None,
    threads: opt.ThreadsOption = None,
    device: opt.DeviceOption = "auto",
) -> None:
    """Apply an effect to images and videos and write them to OUT.

    OUT is a file where it ends in .png, .jpg or .webp and there is one image, or in .mp4 or .webm and there is one
    video; else a folder that gets NAME.effect.png and NAME.effect.mp4 of each. Videos keep frame rate and sound.
    People whom an effect skips are named on stderr, with the reason. What cannot be read is named there too, the
    others are finished, and the exit code is 2.
    """
    from poseg.cli.effect_video import people_from_jsonl, video_targets, write_videos
    from poseg.cli.video_jobs import classify_sources
    from poseg.io.sources import at_any_depth, find_images

    steps = build_chain(name, settings or (), person=person, strength=strength)
    if people is not None and (model, mask_model) != (None, None):
        raise PosegError("--people holds the people already; leave --model and --mask-model out, or leave it out.")
    console = error_console()
    by_kind = classify_sources(at_any_depth(sources) if recursive else sources, out)
    images = find_images(by_kind.images)
    for error in (*by_kind.errors, *images.errors):
        console.print(f"poseg: {error}")
    failed = len(by_kind.errors) + len(images.errors)
    paths = exclude_outputs(images.paths, out, (ENDING,))
    clips = video_targets(by_kind, out, console)
    targets = dict(zip(paths, _targets(paths, out, console), strict=True))
    options = opt.DetectOptions(
        model, long_edge, scales, flip, adaptive, refine_poses, mask_refiner, max_people, min_score, threads, device
    )
    build = cache(lambda: options.with_mask_model(mask_model))

    if paths:
        detect: DetectAt = (lambda image, path: build()(image)) if people is None else _from_file(people, paths)
        progress = _write_all(detect, steps, targets, console)
        failed += progress.failed
        if progress.done or progress.stopped:
            stopped = f", stopped early: there are {len(paths)}" if progress.stopped else ""
            typer.echo(f"{progress.done} {'image' if progress.done == 1 else 'images'} written to {out}{stopped}")
        if progress.stopped:
            progress.exit()
    if clips:
        find: DetectInFrame = (
            (lambda frame: build()(frame.image)) if people is None else people_from_jsonl(people, by_kind)
        )
        video = VideoOptions(smooth, offline, max_frames)
        failed += write_videos(by_kind, clips, out, steps, person, find, console, video)
    if failed:
        raise typer.Exit(2)


def _from_file(file: Path, paths: Sequence[Path]) -> DetectAt:
    people_at, _ = provided_people(file, paths)
    return lambda image, path: people_at(path)


def _targets(paths: Sequence[Path], out: Path, console: Console) -> list[Path]:
    """The file for each image. Raises OutputError where one file is to hold several, or a kind we do not write."""
    from poseg.io.files import make_folder
    from poseg.io.image_metadata import FORMATS
    from poseg.io.sources import IMAGE_SUFFIXES

    if out.suffix.lower() not in IMAGE_SUFFIXES | set(FORMATS) or out.is_dir():
        if paths:
            make_folder(out)
        return [out / f"{name}{ENDING}" for name in unique_names(paths, console)]
    if out.suffix.lower() not in FORMATS:
        raise OutputError(f"Cannot write {out}: name a file that ends in {', '.join(FORMATS)}.")
    if len(paths) > 1:
        raise OutputError(f"{out} is one file, and there are {len(paths)} images; name a folder.")
    return [out for _ in paths]


def _write_all(detect: DetectAt, steps: Chain, targets: Mapping[Path, Path], console: Console) -> Progress:
    """Take one image after the other, and write each to its target, with its colour profile and EXIF."""
    from poseg.io.image_metadata import read_metadata, write_image

    def write(path: Path, image: NDArray[np.uint8]) -> None:
        people = detect(image, path)
        result = steps.at(0.0).apply(image, people)
        if not len(people):
            console.print(f"poseg: {path}: no people.")
        for skipped in result.skipped:
            console.print(f"poseg: {path}: person {skipped.person} is skipped: {skipped.reason}")
        write_image(targets[path], result.image, read_metadata(path))

    return process_images(list(targets), write, console)


def build_chain(names: str, settings: Sequence[str], *, person: int | None, strength: float) -> Chain:
    """The effects of "winged" or "winged+thinner" in turn.

    settings  "FIELD=VALUE" for each effect that has such a field, or "NAME.FIELD=VALUE"; these come before `person`
              and `strength`, which are for all of them

    Raises EffectError for unknown names, fields and values, PosegError for a setting without FIELD=.
    """
    from poseg.effects import EFFECTS, chain

    selected = [name.strip() for name in names.split("+")]
    unknown = next((name for name in selected if name not in EFFECTS), None)
    if unknown is not None:
        raise EffectError(f"There is no effect {unknown!r}; there are {', '.join(EFFECTS)}, alone or joined by +.")
    effects = {name: EFFECTS[name] for name in selected}
    values: dict[str, dict[str, Any]] = {name: {"person": person, "strength": strength} for name in selected}
    for text in settings:
        path, value = split_override(text, "width=0.1")
        for name, field in _fields_of(path, effects):
            values[name][field] = _parse(value, name, field, effects[name])
    return chain(*(effects[name](**values[name]) for name in selected))


def _fields_of(path: str, effects: dict[str, type[Effect]]) -> list[tuple[str, str]]:
    """Name and field for each effect that a path FIELD or NAME.FIELD means."""
    name, _, field = path.rpartition(".")
    if name and name not in effects:
        raise EffectError(f"{path!r} sets something of {name!r}, which is not among {', '.join(effects)}.")
    candidates = {name: effects[name]} if name else effects
    names = {one: sorted(field.name for field in fields(effect)) for one, effect in candidates.items()}
    having = [(one, field) for one in candidates if field in names[one]]
    if not having:
        listed = "; ".join(f"{one} has {', '.join(names[one])}" for one in candidates)
        raise EffectError(f"There is no setting {field!r}: {listed}.")
    return having


def _parse(text: str, name: str, field: str, effect: type[Effect]) -> Any:
    """A text as the field's annotation has it; for an image its path."""
    if field == "image" and text.lower() != "none":
        return _read_image(text, transparent=name not in WITHOUT_TRANSPARENCY)
    try:
        return parse_value(text, get_type_hints(effect)[field])
    except InvalidValueError as expected:
        raise EffectError(f"The {field} of {name} is {expected}, got {text!r}.") from None


def _read_image(path: str, *, transparent: bool) -> NDArray[np.uint8]:
    """An image (h, w, 3), or (h, w, 4) with its transparency. Raises ImageError."""
    import numpy as np
    from PIL import Image

    from poseg.io.images import read_image

    image = read_image(path)
    if not transparent:
        return image
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGBA"))
