"""Effects on videos and cameras: the part of `poseg effect` that follows people over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from poseg.errors import OutputError, PosegError, VideoError
from poseg.io.frames import is_video
from poseg.io.sources import SUFFIXES

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rich.console import Console

    from poseg.cli.video_files import Look
    from poseg.cli.video_sources import Divided
    from poseg.effects import Chain
    from poseg.io.frames import Frame
    from poseg.io.frames_json import FramePeople, FramesFile
    from poseg.people import People

ENDING = ".effect.mp4"


@dataclass(slots=True)
class Painter:
    """Effects on one frame after the other: `paint(frame, people)`.

    steps    as they were asked for; a person in them is meant by id
    skipped  how often somebody was left out, by id and reason
    """

    steps: Chain
    person: int | None
    skipped: Counter[tuple[int, str]] = field(default_factory=Counter)

    def __call__(self, frame: Frame, people: People) -> NDArray[np.uint8]:
        """The frame after the effects; as it is where the person they are for is not there."""
        ids = np.arange(len(people)) if people.ids is None else people.ids
        steps = self.steps.at(frame.time_s)
        if self.person is not None:
            rows = np.flatnonzero(ids == self.person)
            if not len(rows):
                return frame.image
            steps = replace(steps, effects=tuple(replace(one, person=int(rows[0])) for one in steps.effects))
        outcome = steps.apply(frame.image, people)
        if outcome.image.shape[2] != 3:
            raise VideoError("A video has no transparency; put people before one colour with the effect replace.")
        self.skipped.update((int(ids[one.person]), one.reason) for one in outcome.skipped)
        return outcome.image

    def told(self, name: str) -> Iterator[str]:
        """Sentences on who was left out, and why."""
        for (person, reason), count in sorted(self.skipped.items()):
            frames = "1 frame" if count == 1 else f"{count} frames"
            yield f"{name}: person {person} was left out of {frames}: {reason}"


def video_targets(given: Divided, out: Path) -> list[Path]:
    """The file for each video and camera, NAME.effect.mp4 in a folder or the one that is named.

    Raises OutputError where one file is to hold several sources, or pictures.
    """
    from poseg.cli.outputs import distinct_names, make_folder

    if is_video(out) and not out.is_dir():
        if given.pictures or len(given.clips) != 1:
            raise OutputError(f"{out} is one video, and there is not just one video to make it of; name a folder.")
        return [out]
    if not given.clips:
        return []
    if out.suffix.lower() in SUFFIXES and not out.is_dir():
        raise OutputError(f"{out} is a picture and cannot hold a video; name a .mp4 or .webm file, or a folder.")
    make_folder(out)
    names = distinct_names([clip if isinstance(clip, Path) else Path(f"camera-{clip}") for clip in given.clips])
    return [out / f"{name}{ENDING}" for name in names]


def write_videos(
    given: Divided, targets: list[Path], out: Path, steps: Chain, person: int | None, look: Look, console: Console, *,
    smooth: bool, two_pass: bool, limit: int | None,
) -> bool:  # fmt: skip
    """Apply the effects to one video after the other; returns whether any failed."""
    from poseg.cli.video_files import Wanted, each_clip

    painters = [Painter(steps, person) for _ in targets]
    wanted = [
        Wanted(look, painter, target, None, smooth, two_pass, limit)
        for painter, target in zip(painters, targets, strict=True)
    ]
    try:
        return each_clip(given.clips, wanted, console, f"written to {out}")
    finally:
        for clip, painter in zip(given.clips, painters, strict=True):
            for sentence in painter.told(clip.name if isinstance(clip, Path) else f"camera {clip}"):
                console.print(f"poseg: {sentence}")


def look_up(file: Path, given: Divided) -> Look:
    """What reads the people of frames from the JSON lines of `poseg predict`; nobody where the file says nothing.

    Raises PosegError for more than one video, and AnnotationError.
    """
    from poseg.io.frames_json import read_frames

    if len(given.videos) != 1 or given.cameras:
        raise PosegError(f"{file} tells the people of one video; give that one alone.")
    known = read_frames(file)
    return _Lines(known)


class _Lines:
    """Frames' people from a file, read along; a frame before the last one begins the file anew."""

    def __init__(self, known: FramesFile) -> None:
        self._known = known
        self._lines: Iterator[FramePeople] = iter(())
        self._next: FramePeople | None = None
        self._last = np.inf

    def __call__(self, frame: Frame) -> People:
        from poseg.people import People

        if frame.index <= self._last:
            self._lines = iter(self._known)
            self._next = next(self._lines, None)
        self._last = frame.index
        while self._next is not None and self._next.frame < frame.index:
            self._next = next(self._lines, None)
        if self._next is None or self._next.frame != frame.index:
            return replace(People.empty(self._known.skeleton), ids=np.zeros(0, np.int64))
        people = self._next.people
        if not len(people):
            people = replace(people, ids=np.zeros(0, np.int64))
        if people.masks is not None and people.masks.shape[1:] != frame.image.shape[:2]:
            height, width = frame.image.shape[:2]
            raise VideoError(
                f"{self._known.path} tells of frames of {people.masks.shape[2]} x {people.masks.shape[1]} pixels, and "
                f"the video has {width} x {height}; give the file of this video."
            )
        return people
