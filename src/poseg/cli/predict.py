"""`poseg predict`: pictures in; COCO results, overlays and label maps out. Videos in; overlays and JSON lines out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from poseg.cli.finding import LEAST_SCORE, MOST_PEOPLE, Finding
from poseg.cli.options import (
    BoxesOption,
    FlipOption,
    LiftOption,
    MaxPeopleOption,
    MinScoreOption,
    ModelOption,
    OutOption,
    RefineOption,
    ScalesOption,
    SizeOption,
    ThreadsOption,
)
from poseg.cli.people_files import MasksOption, OverlayOption, write_people
from poseg.cli.video_files import FramesOption, SmoothOption, TwoPassOption, VideoSourcesArgument

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from poseg.cli.options import BottomUpCodec
    from poseg.cli.video_sources import Divided
    from poseg.io.frames import Frame
    from poseg.people import People


def predict(
    sources: VideoSourcesArgument,
    out: OutOption,
    model: ModelOption = None,
    size: SizeOption = None,
    max_people: MaxPeopleOption = MOST_PEOPLE,
    min_score: MinScoreOption = LEAST_SCORE,
    scales: ScalesOption = None,
    flip: FlipOption = None,
    refine: RefineOption = None,
    boxes: BoxesOption = None,
    lift: LiftOption = False,
    masks: MasksOption = False,
    overlay: OverlayOption = True,
    smooth: SmoothOption = True,
    two_pass: TwoPassOption = False,
    webm: Annotated[bool, typer.Option("--webm", help="Videos: write .webm (VP9) rather than .mp4 (H.264).")] = False,
    frames: FramesOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Find the people of pictures and videos, and write them to DIR.

    DIR/results.json holds everybody in pictures, in COCO's result format; DIR/NAME.overlay.png shows them.
    DIR/NAME.people.jsonl holds everybody in a video, a line a frame, with an id for each person;
    DIR/NAME.overlay.mp4 shows them, with the video's frame rate and sound. Ctrl-C ends a video or a camera early and
    keeps what was done. With --lift people are in space as well: DIR/NAME.space.png shows those of a picture from the
    side and from above, DIR/NAME.space.html is a page on which they can be turned. What cannot be read is named on
    stderr, the rest is finished, and the exit code is 2.
    """
    from poseg.cli.video_sources import divide

    finding = Finding(model, size, max_people, min_score, scales, flip, refine, boxes, lift, threads)
    finder = cache(finding.finder)
    given = divide(sources, out)
    failed = bool(given.faults)
    if given.pictures:
        try:
            write_people(given.pictures, out, finding.prepare(finder), masks=masks, overlay=overlay)
        except typer.Exit:
            failed = True
    if given.clips or given.faults:
        suffix = ".webm" if webm else ".mp4"
        options: dict[str, Any] = {"smooth": smooth, "two_pass": two_pass, "limit": frames}
        if lift:
            options["finish"] = finding.lifter()
        failed |= _write_videos(given, out, finder, overlay, suffix, options)
    if failed:
        raise typer.Exit(2)


def _write_videos(
    given: Divided, out: Path, finder: Callable[[], BottomUpCodec], overlay: bool, suffix: str, options: dict[str, Any]
) -> bool:  # fmt: skip
    """Take one video after the other, cameras last; returns whether any failed."""
    from poseg.cli.outputs import distinct_names, make_folder
    from poseg.cli.video_files import Wanted, each_clip, error_console

    console = error_console()
    for fault in given.faults:
        console.print(f"poseg: {fault}")
    if not given.clips:
        return False
    find = finder()  # a model that cannot be had stops the command before anything is made
    make_folder(out)
    names = distinct_names([path if isinstance(path, Path) else Path(f"camera-{path}") for path in given.clips])
    paint = _overlay if overlay else None
    wanted = [
        Wanted(
            lambda frame: find(frame.image),
            paint,
            out / f"{name}.overlay{suffix}" if overlay else None,
            out / f"{name}.people.jsonl",
            **options,
        )
        for name in names
    ]
    failed = each_clip(given.clips, wanted, console, f"written to {out}")
    if "finish" in options:
        for one in wanted:
            _write_turntable(one.lines)
    return failed


def _write_turntable(lines: Path | None) -> None:
    """Beside the people of a video, a page on which they can be turned and played."""
    from poseg.draw.turntable import turntable_html
    from poseg.io.atomic import write_text
    from poseg.io.frames_json import read_frames

    if lines is None or not lines.exists():
        return
    # Masks of a whole video do not fit in memory; of a frame in which nobody was lifted, nobody is shown.
    frames = (
        (time_s, replace(people[: len(people) if people.keypoints_3d is not None else 0], masks=None))
        for _, time_s, people in read_frames(lines)
    )
    name = lines.name.removesuffix(".people.jsonl")
    write_text(lines.with_name(f"{name}.space.html"), turntable_html(frames, title=name))


def _overlay(frame: Frame, people: People) -> NDArray[np.uint8]:
    from poseg.draw.overlay import overlay

    return overlay(frame.image, people)
