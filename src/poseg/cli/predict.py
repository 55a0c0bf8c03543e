"""`poseg predict`: images in; COCO results, overlays and label maps out. Videos in; overlays and JSON lines out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from poseg.cli import predict_options as opt
from poseg.cli.convert import FormatOption, parse_formats
from poseg.cli.image_outputs import (
    ImageOutputs,
    LabelsOption,
    MasksOption,
    OverlayOption,
    RecursiveOption,
    parse_labels,
    predict_images,
)
from poseg.cli.video_jobs import (
    MaxFramesOption,
    OfflineOption,
    SmoothOption,
    VideoOptions,
    VideoSourcesArgument,
)
from poseg.errors import OutputError

if TYPE_CHECKING:
    from poseg.cli.predict_options import Detect
    from poseg.cli.video_jobs import Sources, VideoJob


def predict(
    sources: VideoSourcesArgument,
    out: opt.OutOption = opt.OUT,
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
    poses_from: opt.PosesFromOption = None,
    layout: opt.LayoutOption = None,
    detector: Annotated[
        str | None,
        typer.Option("--detector", metavar="MODEL", help="For a top-down model: the model that detects people."),
    ] = None,
    people: Annotated[
        Path | None,
        typer.Option("--people", metavar="FILE", help="For a top-down model: COCO ground truth or results with boxes."),
    ] = None,
    lift: opt.LiftOption = False,
    masks: MasksOption = False,
    overlay: OverlayOption = True,
    labels: LabelsOption = None,
    formats: FormatOption = None,
    recursive: RecursiveOption = False,
    smooth: SmoothOption = True,
    offline: OfflineOption = False,
    webm: Annotated[bool, typer.Option("--webm", help="Videos: write .webm (VP9) rather than .mp4 (H.264).")] = False,
    max_frames: MaxFramesOption = None,
    threads: opt.ThreadsOption = None,
    device: opt.DeviceOption = "auto",
) -> None:
    """Find the people of images and videos, and write them to DIR.

    DIR/results.json holds all people in images, in COCO's result format; DIR/NAME.overlay.png shows them.
    DIR/NAME.people.jsonl holds all people in a video, a line a frame, with an id for each person;
    DIR/NAME.overlay.mp4 shows them, with the video's frame rate and sound. With --3d people are lifted to 3D as well:
    DIR/NAME.3d.png shows those of an image from the side and from above, DIR/NAME.3d.html is a page on which they can
    be rotated. What cannot be read or written is named on stderr, the rest is finished, and the exit code is 2. Ctrl-C
    ends it early and keeps what was done.
    """
    from poseg.cli.outputs import INTERRUPTED
    from poseg.cli.video_jobs import VideoJob, classify_sources
    from poseg.io.sources import at_any_depth

    detect = opt.DetectOptions(
        model, long_edge, scales, flip, adaptive, refine_poses, mask_refiner, max_people, min_score, threads, device,
        poses_from, layout,
    )  # fmt: skip
    options = opt.PredictOptions(detect, mask_model, detector, people, lift)
    build = cache(options.build)
    outputs = ImageOutputs(masks, overlay, parse_labels(labels), parse_formats(formats))
    by_kind = classify_sources(at_any_depth(sources) if recursive else sources, out)
    failed = bool(by_kind.errors)
    if by_kind.images:
        try:
            predict_images(by_kind.images, out, options.per_image(build), outputs)
        except typer.Exit as ended:
            if ended.exit_code == INTERRUPTED:
                raise
            failed = True
        except OutputError as error:  # of the results: videos may have room elsewhere
            if not by_kind.clips:
                raise
            typer.echo(f"poseg: {error}", err=True)
            failed = True
    if by_kind.clips or by_kind.errors:
        lifter = options.lifter() if lift else None

        def job(name: str) -> VideoJob:
            video = out / f"{name}.overlay{'.webm' if webm else '.mp4'}" if overlay else None
            return VideoJob(
                lambda frame: build()(frame.image), lambda frame, people: outputs.draw(frame.image, people), video,
                out / f"{name}.people.jsonl",
                VideoOptions(smooth, offline, max_frames), lifter,
            )  # fmt: skip

        failed |= _predict_videos(by_kind, out, build, job)
    if failed:
        raise typer.Exit(2)


def _predict_videos(
    sources: Sources, out: Path, build: Callable[[], Detect], make_job: Callable[[str], VideoJob]
) -> bool:  # fmt: skip
    """Take one video after the other, cameras last; returns whether any failed."""
    from poseg.cli.outputs import clip_names, error_console
    from poseg.cli.video_jobs import process_videos
    from poseg.io.files import make_folder

    console = error_console()
    for error in sources.errors:
        console.print(f"poseg: {error}")
    if not sources.clips:
        return False
    build()  # a model that cannot be loaded stops the command before anything is made
    make_folder(out)
    jobs = [make_job(name) for name in clip_names(sources.clips, console)]
    failed = process_videos(sources.clips, jobs, console, f"written to {out}")
    for job in jobs:
        if job.postprocess is not None and job.jsonl is not None and job.jsonl.exists():
            try:
                _write_viewer(job.jsonl)
            except OutputError as error:
                console.print(f"poseg: {error}")
                failed = True
    return failed


def _write_viewer(jsonl: Path) -> None:
    """Beside the people of a video, a page on which they can be rotated and played."""
    from poseg.draw.viewer3d import viewer3d_html
    from poseg.io.files import write_text
    from poseg.io.people_jsonl import read_frames

    # Masks of a whole video do not fit in memory; of a frame without 3D joints, no people are shown.
    frames = (
        (time_s, replace(people[: len(people) if people.keypoints_3d is not None else 0], masks=None))
        for _, time_s, people in read_frames(jsonl)
    )
    name = jsonl.name.removesuffix(".people.jsonl")
    write_text(jsonl.with_name(f"{name}.3d.html"), viewer3d_html(frames, title=name))
