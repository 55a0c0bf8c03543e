"""What commands do with a video or a camera: follow its people, paint its frames, write both down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from poseg.io.frames import Frame, FrameSource
    from poseg.people import People
    from poseg.runtime.clip import PackedClip
    from poseg.runtime.follow import Follower

    # Gives the people of a frame; they have ids where it follows them itself.
    Look = Callable[[Frame], People]
    # Makes the picture that is written from a frame and its people, who have ids.
    Paint = Callable[[Frame, People], NDArray[np.uint8]]
    # What becomes of people at the end.
    Finish = Callable[[People], People]
    # Told after every frame.
    Tick = Callable[[], None]

INTERRUPTED = 130  # what a shell says of a program that Ctrl-C ended
FEWEST_FRAMES = 3  # somebody seen in fewer is not counted: a glimpse, or a mistake

VideoSourcesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE", help="Pictures, videos, folders of them, patterns in quotes, or camera:0 for a camera."
    ),
]
SmoothOption = Annotated[
    bool, typer.Option("--smooth/--no-smooth", help="Videos: steady joints and masks over time.")
]  # fmt: skip
TwoPassOption = Annotated[
    bool,
    typer.Option("--two-pass", help="Video files: look at all frames first, then steady them without lag, fill gaps."),
]
FramesOption = Annotated[
    int | None, typer.Option("--frames", min=1, help="Stop each video or camera after this many frames.")
]


def _as_they_are(people: People) -> People:
    return people


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be done with a video.

    look      finds people; those who come with ids are taken as they are
    paint     makes the pictures of the video that is written
    video     where it goes; None for none
    lines     where the people go, as JSON lines; None for nowhere
    smooth    steady joints and masks
    two_pass  look at everything first
    limit     frames; None for all
    finish    what becomes of people at the end, before they are painted and written
    """

    look: Look
    paint: Paint | None
    video: Path | None
    lines: Path | None
    smooth: bool = True
    two_pass: bool = False
    limit: int | None = None
    finish: Finish = _as_they_are


@dataclass(slots=True)
class Tally:
    """What was done: frames, in how many of them each person was seen, seconds, whether it was stopped by Ctrl-C."""

    frames: int = 0
    sightings: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0
    stopped: bool = False

    def count(self, people: People) -> None:
        """One more frame."""
        self.frames += 1
        self.sightings.update([] if people.ids is None else people.ids.tolist())

    def told(self, name: str) -> str:
        """The line at the end."""
        fewest = min(FEWEST_FRAMES, self.frames)
        people = sum(count >= fewest for count in self.sightings.values())
        speed = self.frames / self.seconds if self.seconds > 0 else 0.0
        return (
            f"{name}: {people} {'person' if people == 1 else 'people'} in "
            f"{self.frames} {'frame' if self.frames == 1 else 'frames'}; {speed:.1f} frames a second"
            f"{', stopped early' if self.stopped else ''}"
        )


def error_console() -> Console:
    """Where faults and progress are shown."""
    from rich.console import Console

    return Console(stderr=True, soft_wrap=True, markup=False, highlight=False, emoji=False)


def each_clip(clips: Sequence[Path | int], wanted: Sequence[Wanted], console: Console, told: str) -> bool:
    """Do what is wanted with each video (a path) and camera (its number), and say so; returns whether any failed.

    A video that fails is named, and the others are finished. Ctrl-C ends the command: with 130 as of a program that was
    interrupted, but a camera is meant to be ended so.
    """
    from poseg.errors import FieldError, ImageError, VideoError, WeightsError

    failed = False
    for clip, one in zip(clips, wanted, strict=True):
        tally = Tally()
        name = clip.name if isinstance(clip, Path) else f"camera {clip}"
        try:
            with opened(clip) as source:
                run_video(source, one, tally, console)
        except (FieldError, ImageError, VideoError, WeightsError) as fault:
            console.print(f"poseg: {fault}" if isinstance(fault, VideoError) else f"poseg: {name}: {fault}")
            failed = True
        if tally.frames:
            typer.echo(f"{tally.told(name)}; {told}")
        if tally.stopped:
            if isinstance(clip, Path):
                raise typer.Exit(INTERRUPTED)
            break
    return failed


@contextmanager
def opened(clip: Path | int) -> Iterator[FrameSource]:
    """A video file or a camera, closed afterwards. Raises VideoError."""
    if isinstance(clip, Path):
        from poseg.io.video import open_video

        with open_video(clip, strict=False) as video:
            yield video
            if video.fault is not None:
                raise video.fault
    else:
        from poseg.io.camera import open_camera

        with open_camera(clip) as camera:
            yield camera


def run_video(source: FrameSource, wanted: Wanted, tally: Tally, console: Console) -> None:
    """Do what is wanted with all frames of a source, with a progress bar, and count in `tally`.

    Ctrl-C ends it early; what was done by then is finished, as it is when an error ends it. Raises what reading,
    looking and writing raise.
    """
    start = perf_counter()
    try:
        if wanted.two_pass:
            _twice(source, wanted, tally, console)
        else:
            _once(source, wanted, tally, console)
    except KeyboardInterrupt:
        tally.stopped = True
    finally:
        tally.seconds = perf_counter() - start


def _once(source: FrameSource, wanted: Wanted, tally: Tally, console: Console) -> None:
    from poseg.runtime.follow import Follower

    follower = Follower(smooth=wanted.smooth)
    with _progress(source, wanted, source.name, console) as tick, _outputs(source, wanted) as write:
        for frame in islice(source, wanted.limit):
            people = _followed(wanted.look(frame), frame.time_s, follower)
            write(frame, people)
            tally.count(people)
            tick()


def _twice(source: FrameSource, wanted: Wanted, tally: Tally, console: Console) -> None:
    """First find everybody, then steady, paint and write; the first pass leaves its JSON lines if it is ended."""
    from poseg.errors import VideoError
    from poseg.io.video import Video
    from poseg.runtime.two_pass import two_pass

    if not isinstance(source, Video):
        raise VideoError(f"The frames of {source.name} cannot be looked at twice; leave --two-pass out.")
    clip = _seen(source, wanted, console)
    steady = two_pass(clip)
    with _progress(source, wanted, f"{source.name}, second pass", console) as tick, _outputs(source, wanted) as write:
        for frame, (_, people) in zip(islice(source, wanted.limit), steady, strict=False):
            write(frame, people)
            tally.count(people)
            tick()


def _seen(source: FrameSource, wanted: Wanted, console: Console) -> PackedClip:
    from poseg.runtime.clip import PackedClip
    from poseg.runtime.follow import Follower

    clip, follower = PackedClip(), Follower(smooth=False)
    only_lines = Wanted(wanted.look, None, None, wanted.lines)
    with (
        _progress(source, wanted, f"{source.name}, first pass", console) as tick,
        _outputs(source, only_lines) as write,
    ):
        for frame in islice(source, wanted.limit):
            people = _followed(wanted.look(frame), frame.time_s, follower)
            clip.append(frame.time_s, people)
            write(frame, people)
            tick()
    return clip


def _followed(people: People, time_s: float, follower: Follower) -> People:
    return people if people.ids is not None else follower.update(people, time_s)


@contextmanager
def _outputs(source: FrameSource, wanted: Wanted) -> Iterator[Callable[[Frame, People], None]]:
    """Writes frames and people; the files are made at the first frame, and finished whatever ends the block."""
    from poseg.io.frames_json import FramesWriter
    from poseg.io.video import Video
    from poseg.io.video_writing import VideoWriter

    like = source if isinstance(source, Video) else None
    made: dict[str, Any] = {}
    with ExitStack() as stack:

        def write(frame: Frame, people: People) -> None:
            people = wanted.finish(people)
            image = None if wanted.paint is None or wanted.video is None else wanted.paint(frame, people)
            if wanted.lines is not None:
                if "lines" not in made:
                    writer = FramesWriter(wanted.lines, people.skeleton, source=source.name, rate=source.rate)
                    made["lines"] = stack.enter_context(writer)
                made["lines"].write(frame.index, frame.time_s, people, frame.image.shape[:2])
            if image is not None:
                if "video" not in made:
                    size = (image.shape[0], image.shape[1])
                    video = VideoWriter(wanted.video or "", size, rate=source.rate, like=like)
                    made["video"] = stack.enter_context(video)
                made["video"].write(image, frame.time_s)

        yield write


@contextmanager
def _progress(source: FrameSource, wanted: Wanted, title: str, console: Console) -> Iterator[Tick]:
    """A bar with frames a second, on a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    counts = [count for count in (source.frames, wanted.limit) if count is not None]
    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[speed]:.1f} frames a second"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=min(counts) if counts else None, speed=0.0)
        start, done = perf_counter(), 0

        def tick() -> None:
            nonlocal done
            done += 1
            bar.update(task, advance=1, speed=done / max(perf_counter() - start, 1e-6))

        yield tick
