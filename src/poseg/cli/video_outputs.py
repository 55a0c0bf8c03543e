"""The files that are written for a video: its people as JSON lines, and a video of the rendered frames."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from poseg.errors import OutputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from poseg.cli.video_jobs import VideoJob
    from poseg.io.frames import Frame, FrameSource
    from poseg.people import People


@contextmanager
def open_outputs(source: FrameSource, job: VideoJob) -> Iterator[VideoOutputs]:
    """What writes the frames of a job; the files are made at the first frame, and finished whatever ends the block.

    A file that cannot be written ends the block where it is the only one; else the other is finished first. Raises
    OutputError.
    """
    outputs = VideoOutputs(source, job)
    try:
        with outputs:
            yield outputs
    except OutputError as fault:
        outputs.faults += [fault] * (fault not in outputs.faults)
    if outputs.faults:
        raise OutputError(" ".join(map(str, outputs.faults)))


class VideoOutputs:
    """The files of one job: `write(frame, people)`.

    faults   what could not be written
    """

    def __init__(self, source: FrameSource, job: VideoJob) -> None:
        self.faults: list[OutputError] = []
        self._source, self._job = source, job
        self._stack = ExitStack()
        self._lines: Any = None
        self._video: Any = None
        self._wants_lines = job.jsonl is not None
        self._wants_video = job.video is not None and job.render is not None

    def __enter__(self) -> VideoOutputs:
        return self

    def __exit__(self, *exception: Any) -> bool | None:
        return self._stack.__exit__(*exception)

    def write(self, frame: Frame, people: People) -> None:
        """Write one frame to each file that can still be written. Raises OutputError where none can be."""
        job = self._job
        if job.postprocess is not None:
            people = job.postprocess(people)
        image = job.render(frame, people) if self._wants_video and job.render is not None else None
        if self._wants_lines:
            try:
                self._write_people(frame, people)
            except OutputError as fault:
                self._wants_lines = False
                self._add(fault)
        if image is not None:
            try:
                self._write_image(frame, image)
            except OutputError as fault:
                self._wants_video = False
                self._add(fault)

    def _add(self, fault: OutputError) -> None:
        self.faults.append(fault)
        if not (self._wants_lines or self._wants_video):
            raise fault

    def _write_people(self, frame: Frame, people: People) -> None:
        from poseg.io.people_jsonl import FramesWriter

        if self._lines is None:
            path, source = self._job.jsonl or "", self._source
            lines = FramesWriter(path, people.skeleton, source=source.name, rate=source.rate)
            self._lines = self._stack.enter_context(lines)
        self._lines.write(frame.index, frame.time_s, people, frame.image.shape[:2])

    def _write_image(self, frame: Frame, image: NDArray[np.uint8]) -> None:
        from poseg.io.video_reader import Video
        from poseg.io.video_writer import VideoWriter

        if self._video is None:
            like = self._source if isinstance(self._source, Video) else None
            size = (image.shape[0], image.shape[1])
            video = VideoWriter(self._job.video or "", size, rate=self._source.rate, like=like)
            self._video = self._stack.enter_context(video)
        self._video.write(image, frame.time_s)
