"""Reading video files, on PyAV: frames upright, with square pixels and the time at which each is shown.

PyAV is the extra `video`. A `Video` can be gone through several times; each time opens the file anew and decodes as
frames are asked for, so that a film of any length fits in memory.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Generator, Iterator, Mapping
from fractions import Fraction
from os import PathLike, fspath
from typing import cast

import numpy as np
from av.buffer import Buffer
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from poseg.errors import VideoError
from poseg.io.frames import Frame
from poseg.io.images import ImageLimits
from poseg.io.upright import Matrix, display_matrix, quarter_turns, square_size, turn
from poseg.io.video_packets import Damage, Tracks, decoded, open_tracks

# The quick way of FFmpeg makes every picture darker by one level of 255, and again each time it is read and written.
# These are FFmpeg's SWS_BILINEAR, SWS_FULL_CHR_H_INT and SWS_ACCURATE_RND; PyAV 17 has no names for the last two.
EXACT_COLOURS = 0x2 | 0x2000 | 0x40000

_LIMITS = ImageLimits()
_GUESSED_RATE = Fraction(25)
_FASTEST = 1000  # frames a second; more is the clock of the file rather than a rate


def open_video(
    path: str | PathLike[str], *, strict: bool = True, limits: ImageLimits = _LIMITS, threads: int = 0
) -> Video:
    """Open a video file and look at its first frame.

    strict    what happens after the last readable frame of a file that is damaged or cut short: a VideoError, or
              with False a quiet end, and the error stands in `Video.fault`. All readable frames come first
    limits    on the pixels of a frame, as for pictures; there is none on the length of the file
    threads   of the decoder; 0 for as many as it thinks fit

    Only local files are read, and none that point to other files. Raises VideoError.
    """
    return Video(path, strict=strict, limits=limits, threads=threads)


class Video:
    """A video file; iterate over it for its frames, as often as you like. Made by `open_video`.

    path         the file
    name         the file, in messages
    size         (height, width) of the frames, upright and with square pixels
    rate         frames a second, on average
    frames       how many the file says it has, or an estimate from its length; None where neither is known
    duration_s   how long it says it is; None where it does not say
    has_audio    whether there is sound beside the pictures
    time_base    seconds of one tick of its clock
    start_s      the first frame on its own clock, which frames and results count from 0
    fault        the VideoError that ended the latest iteration early, or None
    end_s        the time of the last readable frame, once an iteration has come to it; before that None
    """

    def __init__(
        self, path: str | PathLike[str], *, strict: bool = True, limits: ImageLimits = _LIMITS, threads: int = 0
    ) -> None:
        self.path = fspath(path)
        self.name = self.path
        self.fault: VideoError | None = None
        self.end_s: float | None = None
        self._strict = strict
        self._limits = limits
        self._threads = threads
        self._running: weakref.WeakSet[Generator[Frame, None, None]] = weakref.WeakSet()
        with open_tracks(self.path, threads) as tracks:
            stream = tracks.pictures
            self._check_size(stream.codec_context.height, stream.codec_context.width)
            first = self._first(tracks)
            self._matrix: Matrix = _matrix(first)
            self._stored_size = square_size((first.height, first.width), stream.sample_aspect_ratio)
            self._check_size(*self._stored_size)
            self.size = self._stored_size if self._matrix[0] else self._stored_size[::-1]
            self.rate = _rate(tracks)
            self.duration_s = tracks.duration_s()
            estimate = None if self.duration_s is None else max(1, round(self.duration_s * self.rate))
            self.frames = stream.frames or estimate
            self.has_audio = tracks.has_audio()
            self.time_base = tracks.time_base()
            self.start_s = _stamp_s(first) or 0.0

    def __iter__(self) -> Iterator[Frame]:
        frames = self._frames()
        self._running.add(frames)
        return frames

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End all iterations and let go of the file."""
        for frames in tuple(self._running):
            frames.close()

    def _frames(self) -> Generator[Frame, None, None]:
        self.fault, self.end_s = None, None
        damage, count, time_s = Damage(), 0, 0.0
        step_s = float(1 / self.rate)
        with open_tracks(self.path, self._threads) as tracks:
            for picture in decoded(tracks, damage):
                stamp_s = _stamp_s(picture)
                since_s = time_s + step_s if stamp_s is None else stamp_s - self.start_s
                time_s = 0.0 if count == 0 else since_s if since_s > time_s else time_s + step_s / 2
                yield Frame(self._image(picture), count, time_s)
                count += 1
            missing = tracks.missing(damage.end_s)
        self.end_s = time_s
        if missing:
            damage.note(missing)
        if damage.times:
            self.fault = self._damaged(count, damage)
            if self._strict:
                raise self.fault

    def _image(self, picture: VideoFrame) -> NDArray[np.uint8]:
        self._check_size(picture.height, picture.width)
        height, width = self._stored_size
        rgb = picture.to_ndarray(format="rgb24", width=width, height=height, interpolation=EXACT_COLOURS)
        return turn(np.asarray(rgb, np.uint8), self._matrix)

    def _first(self, tracks: Tracks) -> VideoFrame:
        damage = Damage()
        for picture in decoded(tracks, damage):
            return picture
        raise VideoError(
            f"Not one frame of {self.name} can be decoded ({damage.reason or 'it holds none'}); "
            "copy or download it again, or save it as H.264 in an mp4 file."
        )

    def _check_size(self, height: int, width: int) -> None:
        if height * width > self._limits.max_pixels:
            raise VideoError(
                f"{self.name} has frames of {width} x {height} pixels, more than the {self._limits.max_pixels} "
                "allowed; make it smaller or raise ImageLimits.max_pixels."
            )
        if 0 < min(height, width) < self._limits.min_side_px:
            raise VideoError(
                f"{self.name} has frames of {width} x {height} pixels; a side under {self._limits.min_side_px} cannot "
                "show a person, so give a larger video."
            )

    def _damaged(self, count: int, damage: Damage) -> VideoError:
        of = f" of about {self.frames}" if self.frames is not None and self.frames > count else ""
        return VideoError(
            f"{self.name} is damaged or cut short: {count} frames{of} could be read ({damage.reason}); "
            "copy or download it again."
        )


def same_file(path: str | PathLike[str], other: str | PathLike[str]) -> bool:
    """Whether two names stand for one existing file."""
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False


def _stamp_s(picture: VideoFrame) -> float | None:
    """Time of a frame on the clock of its file, exact to a tick; None where the file does not say."""
    return None if picture.pts is None or not picture.time_base else float(picture.pts * picture.time_base)


def _matrix(picture: VideoFrame) -> Matrix:
    side_data = cast(Mapping[str, Buffer], picture.side_data)  # PyAV's own annotation misses most of its keys
    try:
        entry = side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV before 19 fails where it meets a kind that FFmpeg has added since
        return quarter_turns(picture.rotation)
    return display_matrix(None if entry is None else bytes(entry))


def _rate(tracks: Tracks) -> Fraction:
    """The average rate, else what the file leads to expect, else that of film on television."""
    stream = tracks.pictures
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate and 0 < rate < _FASTEST:
            return Fraction(rate.numerator, rate.denominator)
    return _GUESSED_RATE
