"""The inside of video files: finding the pictures, decoding them, and counting what cannot be decoded.

FFmpeg can follow a file to other files and to addresses on the net (play lists, scripts of parts). Here it gets a
closed list of containers that hold everything themselves, and nothing but local files.
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
_WANTED = "give an mp4, mov, webm, mkv or avi file"


@dataclass(slots=True)
class Damage:
    """What went wrong while decoding.

    times   how many times
    reason  the first one
    end_s   when the pictures end that could be read, on their own clock
    """

    times: int = 0
    reason: str = ""
    end_s: float = 0.0

    def note(self, reason: str) -> None:
        """Count one more."""
        self.times += 1
        self.reason = self.reason or reason


@dataclass(frozen=True, slots=True)
class Tracks:
    """An open file and its pictures."""

    container: InputContainer
    pictures: VideoStream

    def time_base(self) -> Fraction:
        """Seconds of one tick of the pictures' clock."""
        base = self.pictures.time_base
        return Fraction(base.numerator, base.denominator) if base else Fraction(1, 90_000)

    def duration_s(self) -> float | None:
        """How long the pictures last, as the file says; else how long the whole does."""
        if self.pictures.duration:
            return float(self.pictures.duration * self.time_base())
        return self.container.duration / _MICROSECONDS if self.container.duration else None

    def missing(self, end_s: float) -> str:
        """What shows that pictures are missing after `end_s` on their own clock, all packets read; else nothing.

        FFmpeg reports a frame that is cut in two, but comes to a quiet end where the cut is between frames.
        """
        entries = self.pictures.index_entries
        if "mp4" in self.container.format.name and len(entries):
            beyond = entries[-1].pos + entries[-1].size - self.container.size
            return f"the file lacks its last {beyond} bytes or more" if beyond > 0 else ""
        stated_s = self._stated_end_s() if "matroska" in self.container.format.name else None
        if stated_s is not None and end_s < stated_s - _MISSING_S:
            return f"it should last {stated_s:.2f} s and ends at {end_s:.2f} s"
        return ""

    def _stated_end_s(self) -> float | None:
        """When the pictures of a Matroska file end, as its writer left it in their track; else as in its header."""
        stated_s = _clock_s(self.pictures.metadata.get("DURATION", ""))
        return self.duration_s() if stated_s is None and len(self.container.streams) == 1 else stated_s

    def has_audio(self) -> bool:
        """Whether there is a track of sound."""
        return len(self.container.streams.audio) > 0


@contextmanager
def open_container(path: str) -> Iterator[InputContainer]:
    """An open video file. Raises VideoError where it is none, or where it cannot be read."""
    _check_readable(path)
    options = {"protocol_whitelist": "file", "format_whitelist": _CONTAINERS}
    try:
        container = av.open(f"file:{path}", options=options, metadata_errors="replace")
    except FFmpegError as fault:
        raise VideoError(
            f"{path} is not a video that we can read, or it is cut short ({_plain(fault)}); {_WANTED}, or copy it "
            "again."
        ) from None
    with container:
        yield container


@contextmanager
def open_tracks(path: str, threads: int = 0) -> Iterator[Tracks]:
    """An open video file, set to decode its pictures alone. Raises VideoError where there are none."""
    with open_container(path) as container:
        stream = container.streams.best("video")
        if not isinstance(stream, VideoStream) or stream.disposition & stream.disposition.attached_pic:
            raise VideoError(f"{path} holds no moving pictures (a file of sound, perhaps); {_WANTED}.")
        if stream.codec_context is None:
            raise VideoError(f"{path} is coded in a way that we cannot decode; save it as H.264 in an mp4 file.")
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        yield Tracks(container, stream)


def decoded(tracks: Tracks, damage: Damage) -> Iterator[VideoFrame]:
    """All frames that can be decoded, in the order in which they are shown; what cannot is noted in `damage`."""
    packets = tracks.container.demux(tracks.pictures)
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError as fault:
            damage.note(_plain(fault))
            packet = None
        if packet is None:
            break
        if packet.is_corrupt:
            damage.note("a frame is incomplete")
        if packet.pts is not None:
            damage.end_s = max(damage.end_s, float((packet.pts + (packet.duration or 0)) * tracks.time_base()))
        try:
            yield from packet.decode()
        except FFmpegError as fault:
            damage.note(_plain(fault))
    try:
        yield from tracks.pictures.decode(None)
    except FFmpegError:  # the end has been reached before
        return


def _check_readable(path: str) -> None:
    """What the file system alone can tell."""
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


def _plain(fault: FFmpegError) -> str:
    return str(fault.strerror or type(fault).__name__).lower()


def _clock_s(text: str) -> float | None:
    """Seconds of HH:MM:SS.fraction."""
    try:
        hours, minutes, seconds = text.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None
