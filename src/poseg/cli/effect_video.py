"""Effects on videos and cameras: the part of `poseg effect` that follows people over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from poseg.errors import OutputError, PosegError, VideoError
from poseg.io.sources import IMAGE_SUFFIXES, is_video

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rich.console import Console

    from poseg.cli.video_jobs import DetectInFrame, Sources, VideoOptions
    from poseg.effects import Chain
    from poseg.io.frames import Frame
    from poseg.io.people_jsonl import FramePeople, FramesFile
    from poseg.people import People

ENDING = ".effect.mp4"


@dataclass(slots=True)
class EffectRenderer:
    """Effects on one frame after the other: `render(frame, people)`.

    steps    the effects; a person in them is meant by id
    skipped  how often a person was skipped, by id and reason
    """

    steps: Chain
    person: int | None
    skipped: Counter[tuple[int, str]] = field(default_factory=Counter)

    def __call__(self, frame: Frame, people: People) -> NDArray[np.uint8]:
        """The frame after the effects; as it is where the person they are for is absent."""
        ids = np.arange(len(people)) if people.ids is None else people.ids
        steps = self.steps.at(frame.time_s)
        if self.person is not None:
            rows = np.flatnonzero(ids == self.person)
            if not len(rows):
                return frame.image
            steps = replace(steps, effects=tuple(replace(one, person=int(rows[0])) for one in steps.effects))
        result = steps.apply(frame.image, people)
        if result.image.shape[2] != 3:
            raise VideoError("A video has no transparency; put people before one colour with the effect replace.")
        self.skipped.update((int(ids[skip.person]), skip.reason) for skip in result.skipped)
        return result.image

    def messages(self, name: str) -> Iterator[str]:
        """Sentences on who was skipped, and why."""
        for (person, reason), count in sorted(self.skipped.items()):
            frames = "1 frame" if count == 1 else f"{count} frames"
            yield f"{name}: person {person} is skipped in {frames}: {reason}"


def video_targets(sources: Sources, out: Path, console: Console) -> list[Path]:
    """The file for each video and camera, NAME.effect.mp4 in a folder or the one that is named.

    Raises OutputError where one file is to hold several sources, or images.
    """
    from poseg.cli.outputs import clip_names
    from poseg.io.files import make_folder

    if not sources.clips and not sources.images:
        return []
    if is_video(out) and not out.is_dir():
        if sources.images or len(sources.clips) != 1:
            raise OutputError(f"{out} is one video, and there is not just one video to make it of; name a folder.")
        return [out]
    if not sources.clips:
        return []
    if out.suffix.lower() in IMAGE_SUFFIXES and not out.is_dir():
        raise OutputError(f"{out} is an image and cannot hold a video; name a .mp4 or .webm file, or a folder.")
    make_folder(out)
    return [out / f"{name}{ENDING}" for name in clip_names(sources.clips, console)]


def write_videos(
    sources: Sources, targets: list[Path], out: Path, steps: Chain, person: int | None, detect: DetectInFrame,
    console: Console, options: VideoOptions,
) -> bool:  # fmt: skip
    """Apply the effects to one video after the other; returns whether any failed."""
    from poseg.cli.outputs import clip_name
    from poseg.cli.video_jobs import VideoJob, process_videos

    renderers = [EffectRenderer(steps, person) for _ in targets]
    jobs = [
        VideoJob(detect, renderer, target, None, options) for renderer, target in zip(renderers, targets, strict=True)
    ]
    try:
        return process_videos(sources.clips, jobs, console, f"written to {out}")
    finally:
        for clip, renderer in zip(sources.clips, renderers, strict=True):
            for message in renderer.messages(clip_name(clip)):
                console.print(f"poseg: {message}")


def people_from_jsonl(file: Path, sources: Sources) -> DetectInFrame:
    """What reads the people of frames from the JSON lines of `poseg predict`; none where the file lists none.

    Raises PosegError for more than one video, and AnnotationError.
    """
    from poseg.io.people_jsonl import read_frames

    if len(sources.videos) != 1 or sources.cameras:
        raise PosegError(f"{file} holds the people of one video; name that one alone.")
    return _Lines(read_frames(file))


class _Lines:
    """People of frames from a file, read along; a frame before the last one begins the file anew."""

    def __init__(self, file: FramesFile) -> None:
        self._file = file
        self._lines: Iterator[FramePeople] = iter(())
        self._next: FramePeople | None = None
        self._last = np.inf

    def __call__(self, frame: Frame) -> People:
        from poseg.people import People

        if frame.index <= self._last:
            self._lines = iter(self._file)
            self._next = next(self._lines, None)
        self._last = frame.index
        while self._next is not None and self._next.frame < frame.index:
            self._next = next(self._lines, None)
        if self._next is None or self._next.frame != frame.index:
            return replace(People.empty(self._file.skeleton), ids=np.zeros(0, np.int64))
        people = self._next.people
        if not len(people):
            people = replace(people, ids=np.zeros(0, np.int64))
        if people.masks is not None and people.masks.size != frame.image.shape[:2]:
            height, width = frame.image.shape[:2]
            raise VideoError(
                f"{self._file.path} has frames of {people.masks.size[1]} x {people.masks.size[0]} pixels, and "
                f"the video has {width} x {height}; name the file of this video."
            )
        return people
