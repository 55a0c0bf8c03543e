"""Containers and streams of video files: opening, decoding, and recording what cannot be decoded.

FFmpeg can follow references from a file to other files and to network addresses (play lists, concat scripts). Here
it is restricted to local files and to containers that hold their data themselves.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Discard
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from poseg.errors import VideoError

_CONTAINERS = "mov,mp4,matroska,webm,avi,mpeg,mpegts,flv,asf,ogg,h264,hevc,m4v,mpegvideo,ivf,mjpeg,yuv4mpegpipe,dv"
_MICROSECONDS = 1_000_000
_MISSING_S = 0.1  # what may be missing at the end before a file counts as cut short
_ADVICE = "give an mp4, mov, webm, mkv or avi file"


@dataclass(slots=True)
class DecodeErrors:
    """Errors while decoding.

    count   number of errors
    reason  the first one
    end_s   end of the last packet that could be read, on the stream's clock
    """

    count: int = 0
    reason: str = ""
    end_s: float = 0.0

    def add(self, reason: str) -> None:
        """Count one error."""
        self.count += 1
        self.reason = self.reason or reason


@dataclass(frozen=True, slots=True)
class VideoStreams:
    """An open file and its video stream."""

    container: InputContainer
    video: VideoStream

    def time_base(self) -> Fraction:
        """Seconds per tick of the video stream."""
        base = self.video.time_base
        return Fraction(base.numerator, base.denominator) if base else Fraction(1, 90_000)

    def duration_s(self) -> float | None:
        """Duration of the video stream in the header, else that of the container; None where both are missing."""
        if self.video.duration:
            return float(self.video.duration * self.time_base())
        return self.container.duration / _MICROSECONDS if self.container.duration else None

    def missing(self, end_s: float) -> str:
        """Evidence that frames are missing after `end_s` (stream clock) when all packets are read, or an empty text.

        FFmpeg reports a frame that is cut in two, but no error where the file is cut between frames.
        """
        entries = self.video.index_entries
        if "mp4" in self.container.format.name and len(entries):
            beyond = entries[-1].pos + entries[-1].size - self.container.size
            return f"the file lacks its last {beyond} bytes or more" if beyond > 0 else ""
        stated_s = self._stated_end_s() if "matroska" in self.container.format.name else None
        if stated_s is not None and end_s < stated_s - _MISSING_S:
            return f"it should last {stated_s:.2f} s and ends at {end_s:.2f} s"
        return ""

    def _stated_end_s(self) -> float | None:
        """End of the video stream of a Matroska file, from the stream's metadata, else from the header."""
        stated_s = _clock_s(self.video.metadata.get("DURATION", ""))
        return self.duration_s() if stated_s is None and len(self.container.streams) == 1 else stated_s

    def has_audio(self) -> bool:
        """Whether there is an audio stream."""
        return len(self.container.streams.audio) > 0


@contextmanager
def open_container(path: str) -> Iterator[InputContainer]:
    """An open video file. Raises VideoError where it is not a video, or cannot be read."""
    _check_readable(path)
    options = {"protocol_whitelist": "file", "format_whitelist": _CONTAINERS}
    try:
        container = av.open(f"file:{path}", options=options, metadata_errors="replace")
    except FFmpegError as fault:
        raise VideoError(
            f"{path} is not a video that can be read, or it is cut short ({_reason(fault)}); {_ADVICE}, or copy it "
            "again."
        ) from None
    with container:
        yield container


@contextmanager
def open_streams(path: str, threads: int = 0) -> Iterator[VideoStreams]:
    """An open video file, set to decode its video stream only. Raises VideoError where it has none."""
    with open_container(path) as container:
        stream = container.streams.best("video")
        if not isinstance(stream, VideoStream) or stream.disposition & stream.disposition.attached_pic:
            raise VideoError(f"{path} holds no video stream (an audio file, perhaps); {_ADVICE}.")
        if stream.codec_context is None:
            raise VideoError(f"{path} has a codec that cannot be decoded here; save it as H.264 in an mp4 file.")
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        yield VideoStreams(container, stream)


def decode_frames(streams: VideoStreams, errors: DecodeErrors) -> Iterator[VideoFrame]:
    """All frames that can be decoded, in presentation order; what cannot is recorded in `errors`."""
    packets = streams.container.demux(streams.video)
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError as fault:
            errors.add(_reason(fault))
            packet = None
        if packet is None:
            break
        if packet.is_corrupt:
            errors.add("a frame is incomplete")
        if packet.pts is not None:
            errors.end_s = max(errors.end_s, float((packet.pts + (packet.duration or 0)) * streams.time_base()))
        try:
            yield from packet.decode()
        except FFmpegError as fault:
            errors.add(_reason(fault))
    try:
        yield from streams.video.decode(None)
    except FFmpegError:  # the end was reached before
        return


def _check_readable(path: str) -> None:
    """Checks that need the file system only. Raises VideoError."""
    try:
        with open(path, "rb") as stream:
            empty = not stream.read(1)
    except FileNotFoundError:
        raise VideoError(f"There is no file {path}; check the name and the folder.") from None
    except IsADirectoryError:
        raise VideoError(f"{path} is a folder, not a video; name a file in it.") from None
    except (OSError, ValueError) as fault:
        reason = getattr(fault, "strerror", None) or fault
        raise VideoError(f"Cannot read {path}: {reason}; check the name and the permissions.") from None
    if not os.path.isfile(path):
        raise VideoError(f"{path} is a device or a pipe; name a file, or give a camera by its number.")
    if empty:
        raise VideoError(f"{path} is empty (0 bytes); copy or download it again.")


def _reason(fault: FFmpegError) -> str:
    return str(fault.strerror or type(fault).__name__).lower()


def _clock_s(text: str) -> float | None:
    """Seconds of HH:MM:SS.fraction."""
    try:
        hours, minutes, seconds = text.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None
