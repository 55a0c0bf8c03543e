"""What commands do with videos and cameras: follow the people, render the frames, write both."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from poseg.cli.outputs import INTERRUPTED, clip_name, progress_bar
from poseg.cli.video_outputs import open_outputs
from poseg.errors import OutputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from poseg.io.frames import Frame, FrameSource
    from poseg.people import People
    from poseg.runtime.people_tracker import PeopleTracker

    # Gives the people of a frame; people who come with ids keep them.
    DetectInFrame = Callable[[Frame], People]
    # Makes the image that is written from a frame and its people, who have ids.
    Render = Callable[[Frame, People], NDArray[np.uint8]]

CAMERA = "camera:"
# Outputs of ours, when a folder is its own destination.
_ENDINGS = (".overlay.mp4", ".overlay.webm", ".effect.mp4")

VideoSourcesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE", help="Images, videos, folders of them, patterns in quotes, or camera:0 for a camera."
    ),
]
SmoothOption = Annotated[
    bool, typer.Option("--smooth/--no-smooth", help="Videos: smooth joints and masks over time.")
]  # fmt: skip
OfflineOption = Annotated[
    bool,
    typer.Option("--offline", help="Video files: read all frames first, then smooth without lag and fill gaps."),
]
MaxFramesOption = Annotated[
    int | None, typer.Option("--max-frames", min=1, help="Stop each video or camera after this many frames.")
]


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of a command by kind.

    images   as they were typed, for `io.sources.find_images`
    videos   files, each once
    cameras  numbers
    errors   a sentence for each source that is neither
    """

    images: tuple[str, ...]
    videos: tuple[Path, ...]
    cameras: tuple[int, ...]
    errors: tuple[str, ...]

    @property
    def clips(self) -> tuple[Path | int, ...]:
        """Videos, then cameras."""
        return (*self.videos, *self.cameras)


def classify_sources(sources: Sequence[str], out: Path | None = None) -> Sources:
    """Tell videos (by their names) and cameras (`camera:0`) from images; folders and patterns may hold both.

    out  the destination: videos that an earlier run wrote there are left out
    """
    from poseg.errors import ImageError
    from poseg.io.sources import KNOWN_IMAGE_SUFFIXES, VIDEO_SUFFIXES, describe_faults, find_files, is_video

    images: list[str] = []
    videos: dict[str, Path] = {}
    cameras: dict[int, None] = {}
    errors: list[str] = []
    for source in sources:
        if source.lower().startswith(CAMERA):
            number = source[len(CAMERA) :]
            if number.isascii() and number.isdigit():
                cameras.setdefault(int(number))
            else:
                errors.append(f"A camera is named by its number, such as camera:0, got {source}.")
            continue
        try:
            found = find_files(source)
        except ImageError as fault:
            if is_video(source):
                errors.append(str(fault))
            else:
                images.append(source)
            continue
        clips = [path for path in found.paths if is_video(path)]
        for path in clips:
            if not _is_our_output(path, out):
                videos.setdefault(os.path.abspath(path), path)
        broken = describe_faults(found, VIDEO_SUFFIXES)
        errors += broken
        others = {path.suffix.lower() for path in (*found.paths, *found.faults)} - VIDEO_SUFFIXES
        if others & KNOWN_IMAGE_SUFFIXES or (found.is_file and not clips) or not (clips or broken):
            images.append(source)
    return Sources(tuple(images), tuple(videos.values()), tuple(cameras), tuple(errors))


def _is_our_output(path: Path, out: Path | None) -> bool:
    if out is None or path.parent.resolve() != out.resolve():
        return False
    return path.name.endswith(_ENDINGS) or ".partial." in path.name


@dataclass(frozen=True, slots=True)
class VideoOptions:
    """How videos are processed: whether joints and masks are smoothed, offline or not, and how many frames at most."""

    smooth: bool = True
    offline: bool = False
    max_frames: int | None = None


@dataclass(frozen=True, slots=True)
class VideoJob:
    """What is to be done with a video.

    detect       gives the people of a frame; those who come with ids keep them
    render       makes the images of the video that is written
    video        where it goes; None for none
    jsonl        where the people go, as JSON lines; None for nowhere
    postprocess  what is done to people at the end, before they are rendered and written
    """

    detect: DetectInFrame
    render: Render | None
    video: Path | None
    jsonl: Path | None
    options: VideoOptions = field(default_factory=VideoOptions)
    postprocess: Callable[[People], People] | None = None


@dataclass(slots=True)
class VideoStats:
    """What was done: times of frames, in which of them each person was seen, seconds, whether Ctrl-C stopped it."""

    times_s: list[float] = field(default_factory=list)
    frames_of_person: dict[int, list[int]] = field(default_factory=dict)
    seconds: float = 0.0
    stopped: bool = False

    @property
    def frames(self) -> int:
        """How many."""
        return len(self.times_s)

    def count(self, time_s: float, people: People) -> None:
        """One more frame."""
        for person in [] if people.ids is None else people.ids.tolist():
            self.frames_of_person.setdefault(person, []).append(self.frames)
        self.times_s.append(time_s)

    def summary(self, name: str) -> str:
        """The line at the end; a glimpse of a person, or a mistake, is not counted."""
        from poseg.runtime.tracklets import is_glimpse

        people = sum(not is_glimpse(frames, self.times_s) for frames in self.frames_of_person.values())
        speed = self.frames / self.seconds if self.seconds > 0 else 0.0
        return (
            f"{name}: {people} {'person' if people == 1 else 'people'} in "
            f"{self.frames} {'frame' if self.frames == 1 else 'frames'}; {speed:.1f} frames a second"
            f"{', stopped early' if self.stopped else ''}"
        )


def process_videos(clips: Sequence[Path | int], jobs: Sequence[VideoJob], console: Console, suffix: str) -> bool:
    """Do the jobs of videos (paths) and cameras (numbers) and print a line for each; returns whether any failed.

    A video that fails is named, and the others are finished. Ctrl-C ends the command: with 130 as of a program that was
    interrupted, but a camera is meant to be ended so.

    suffix  ends the line, after the counts
    """
    from poseg.errors import FieldError, ImageError, VideoError, WeightsError

    failed = False
    for clip, job in zip(clips, jobs, strict=True):
        stats, name = VideoStats(), clip_name(clip)
        try:
            with open_source(clip) as source:
                run_video(source, job, stats, console)
        except (FieldError, ImageError, OutputError, VideoError, WeightsError) as error:
            names_file = isinstance(error, (OutputError, VideoError))
            console.print(f"poseg: {error}" if names_file else f"poseg: {name}: {error}")
            failed = True
        if stats.frames:
            typer.echo(f"{stats.summary(name)}; {suffix}")
        if stats.stopped:
            if isinstance(clip, Path):
                raise typer.Exit(INTERRUPTED)
            break
    return failed


@contextmanager
def open_source(clip: Path | int) -> Iterator[FrameSource]:
    """A video file or a camera, closed afterwards. Raises VideoError."""
    if isinstance(clip, Path):
        from poseg.io.video_reader import open_video

        with open_video(clip, strict=False) as video:
            yield video
            if video.fault is not None:
                raise video.fault
    else:
        from poseg.io.frames import open_camera

        with open_camera(clip) as camera:
            yield camera


def run_video(source: FrameSource, job: VideoJob, stats: VideoStats, console: Console) -> None:
    """Do a job with all frames of a source, with a progress bar, and count in `stats`.

    Ctrl-C ends it early; what was done by then is finished, as it is when an error ends it. Raises what reading,
    detecting and writing raise.
    """
    start = perf_counter()
    try:
        (_offline if job.options.offline else _online)(source, job, stats, console)
    except KeyboardInterrupt:
        stats.stopped = True
    finally:
        stats.seconds = perf_counter() - start


def _online(source: FrameSource, job: VideoJob, stats: VideoStats, console: Console) -> None:
    from poseg.runtime.people_tracker import PeopleTracker

    tracker = PeopleTracker(smooth=job.options.smooth)
    with _frames(source, job, source.name, console) as frames, open_outputs(source, job) as outputs:
        for frame in frames:
            people = _with_ids(job.detect(frame), frame.time_s, tracker)
            outputs.write(frame, people)
            stats.count(frame.time_s, people)


def _offline(source: FrameSource, job: VideoJob, stats: VideoStats, console: Console) -> None:
    """Detect in all frames, then smooth, render and write; the first pass leaves its JSON lines if it is ended."""
    from poseg.errors import VideoError
    from poseg.io.video_reader import Video
    from poseg.runtime.offline_smoothing import PackedClip, smooth_offline
    from poseg.runtime.people_tracker import PeopleTracker

    if not isinstance(source, Video):
        raise VideoError(f"The frames of {source.name} cannot be read twice; leave --offline out.")
    clip, tracker = PackedClip(), PeopleTracker(smooth=False)
    lines_only = replace(job, render=None, postprocess=None)
    with (
        _frames(source, job, f"{source.name}, first pass", console) as frames,
        open_outputs(source, lines_only) as outputs,
    ):
        for frame in frames:
            people = _with_ids(job.detect(frame), frame.time_s, tracker)
            clip.append(frame.time_s, people)
            outputs.write(frame, people)
    smoothed = smooth_offline(clip)
    with _frames(source, job, f"{source.name}, second pass", console) as frames, open_outputs(source, job) as outputs:
        for frame, (_, people) in zip(frames, smoothed, strict=False):
            outputs.write(frame, people)
            stats.count(frame.time_s, people)


def _with_ids(people: People, time_s: float, tracker: PeopleTracker) -> People:
    return people if people.ids is not None else tracker.update(people, time_s)


@contextmanager
def _frames(source: FrameSource, job: VideoJob, title: str, console: Console) -> Iterator[Iterator[Frame]]:
    """The frames of a job, with a bar."""
    counts = [count for count in (source.frames, job.options.max_frames) if count is not None]

    def counted(show: Callable[[int, int | None], None]) -> Iterator[Frame]:
        for done, frame in enumerate(islice(source, job.options.max_frames), 1):
            yield frame
            show(done, min(counts, default=None))

    with progress_bar(title, console) as show:
        yield counted(show)
