"""Reading video files with PyAV: frames upright, with square pixels and presentation times.

PyAV is the extra `video`. A `Video` can be iterated several times; each iteration opens the file anew and decodes
frames on demand, so that a video of any length fits in memory.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Generator, Iterator, Mapping
from fractions import Fraction
from os import PathLike, fspath
from typing import cast

import cv2
import numpy as np
from av.buffer import Buffer
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from poseg.errors import VideoError
from poseg.io.frames import Frame
from poseg.io.images import ImageLimits
from poseg.io.video_streams import DecodeErrors, VideoStreams, decode_frames, open_streams

# FFmpeg's fast conversion makes every image darker by one level of 255, and again each time it is read and written.
# These are FFmpeg's SWS_BILINEAR, SWS_FULL_CHR_H_INT and SWS_ACCURATE_RND; PyAV 17 has no names for the last two.
EXACT_COLOURS = 0x2 | 0x2000 | 0x40000

MAX_PIXEL_ASPECT = 4  # a stated pixel aspect ratio beyond this is an error of the file

_LIMITS = ImageLimits()
_DEFAULT_FPS = Fraction(25)
_MAX_FPS = 1000  # a higher "rate" is the clock of the file

Matrix = tuple[int, int, int, int]
UPRIGHT: Matrix = (1, 0, 0, 1)


def open_video(
    path: str | PathLike[str], *, strict: bool = True, limits: ImageLimits = _LIMITS, threads: int = 0
) -> Video:
    """Open a video file and decode its first frame.

    strict    what happens after the last readable frame of a damaged or truncated file: True raises a VideoError,
              False ends the iteration and keeps the error in `Video.fault`. All readable frames come first
    limits    limits on the size of a frame, as for images; the length of the file is not limited
    threads   decoder threads; 0 lets the decoder choose

    Only local files are read, and none that refer to other files. Raises VideoError.
    """
    return Video(path, strict=strict, limits=limits, threads=threads)


class Video:
    """A video file; iterate over it for its frames, any number of times. Made by `open_video`.

    path         the file
    name         the file, in messages
    size         (height, width) of the frames, upright and with square pixels
    rate         frames per second, on average
    frames       number of frames in the file's header, or an estimate from its duration; None where both are missing
    duration_s   duration in the file's header; None where it has none
    has_audio    whether there is an audio stream
    time_base    seconds per tick of its clock
    start_s      time of the first frame on the file's own clock; frame times start at 0
    fault        the VideoError that ended the latest iteration early, or None
    end_s        the time of the last readable frame, once an iteration has reached it; before that None
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
        with open_streams(self.path, threads) as streams:
            stream = streams.video
            self._check_size(stream.codec_context.height, stream.codec_context.width)
            first = self._first(streams)
            self._matrix: Matrix = _matrix(first)
            self._stored_size = square_pixel_size((first.height, first.width), stream.sample_aspect_ratio)
            self._check_size(*self._stored_size)
            self.size = self._stored_size if self._matrix[0] else self._stored_size[::-1]
            self.rate = _rate(streams)
            self.duration_s = streams.duration_s()
            estimate = None if self.duration_s is None else max(1, round(self.duration_s * self.rate))
            self.frames = stream.frames or estimate
            self.has_audio = streams.has_audio()
            self.time_base = streams.time_base()
            self.start_s = _presentation_s(first) or 0.0

    def __iter__(self) -> Iterator[Frame]:
        frames = self._frames()
        self._running.add(frames)
        return frames

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End all iterations and close the file."""
        for frames in tuple(self._running):
            frames.close()

    def _frames(self) -> Generator[Frame, None, None]:
        self.fault, self.end_s = None, None
        errors, count, time_s = DecodeErrors(), 0, 0.0
        step_s = float(1 / self.rate)
        with open_streams(self.path, self._threads) as streams:
            for frame in decode_frames(streams, errors):
                pts_s = _presentation_s(frame)
                elapsed_s = time_s + step_s if pts_s is None else pts_s - self.start_s
                time_s = 0.0 if count == 0 else elapsed_s if elapsed_s > time_s else time_s + step_s / 2
                yield Frame(self._image(frame), count, time_s)
                count += 1
            missing = streams.missing(errors.end_s)
        self.end_s = time_s
        if missing:
            errors.add(missing)
        if errors.count:
            self.fault = self._damaged(count, errors)
            if self._strict:
                raise self.fault

    def _image(self, frame: VideoFrame) -> NDArray[np.uint8]:
        self._check_size(frame.height, frame.width)
        height, width = self._stored_size
        rgb = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation=EXACT_COLOURS)
        return make_upright(np.asarray(rgb, np.uint8), self._matrix)

    def _first(self, streams: VideoStreams) -> VideoFrame:
        errors = DecodeErrors()
        for frame in decode_frames(streams, errors):
            return frame
        raise VideoError(
            f"Not one frame of {self.name} can be decoded ({errors.reason or 'it holds none'}); "
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

    def _damaged(self, count: int, errors: DecodeErrors) -> VideoError:
        of = f" of about {self.frames}" if self.frames is not None and self.frames > count else ""
        return VideoError(
            f"{self.name} is damaged or cut short: {count} frames{of} could be read ({errors.reason}); "
            "copy or download it again."
        )


def same_file(path: str | PathLike[str], other: str | PathLike[str]) -> bool:
    """Whether two names refer to the same existing file."""
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False


def _presentation_s(frame: VideoFrame) -> float | None:
    """Time of a frame on the clock of its file, exact to a tick; None where the file has none."""
    return None if frame.pts is None or not frame.time_base else float(frame.pts * frame.time_base)


def _matrix(frame: VideoFrame) -> Matrix:
    side_data = cast(Mapping[str, Buffer], frame.side_data)  # PyAV's own annotation misses most of its keys
    try:
        entry = side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV before 19 fails where it meets a kind that FFmpeg has added since
        return rotation_matrix(frame.rotation)
    return display_matrix(None if entry is None else bytes(entry))


def _rate(streams: VideoStreams) -> Fraction:
    """Frames per second: the average, else FFmpeg's guess, else 25."""
    stream = streams.video
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate and 0 < rate < _MAX_FPS:
            return Fraction(rate.numerator, rate.denominator)
    return _DEFAULT_FPS


def display_matrix(side_data: bytes | None) -> Matrix:
    """(a, b, c, d) of -1, 0, 1: a stored pixel (x, y) is shown at (a x + c y, b x + d y), up to a shift.

    side_data   the nine 32-bit numbers of an MP4 display matrix in native byte order, or None. Angles are rounded to
                multiples of 90 degrees; a degenerate matrix counts as upright
    """
    if side_data is None or len(side_data) < 36:
        return UPRIGHT
    a, b, _, c, d = (int(value) for value in np.frombuffer(side_data[:20], np.int32))
    if abs(a * d) >= abs(b * c):
        return (_sign(a), 0, 0, _sign(d)) if a and d else UPRIGHT
    return 0, _sign(b), _sign(c), 0


def rotation_matrix(degrees: float) -> Matrix:
    """The display matrix of a counter-clockwise rotation, rounded to a multiple of 90 degrees."""
    return ((1, 0, 0, 1), (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0))[round(degrees / 90) % 4]


def make_upright(image: NDArray[np.uint8], matrix: Matrix) -> NDArray[np.uint8]:
    """The image (H, W, 3) as the display matrix shows it; (W, H, 3) after a rotation by 90 degrees."""
    a, b, c, d = matrix
    if a == 0:
        image = np.asarray(cv2.transpose(image), np.uint8)
    flip_x, flip_y = (a or c) < 0, (b or d) < 0
    if not flip_x and not flip_y:
        return image
    return np.asarray(cv2.flip(image, -1 if flip_x and flip_y else int(flip_x)), np.uint8)


def square_pixel_size(size: tuple[int, int], pixel_aspect: Fraction | None) -> tuple[int, int]:
    """(height, width) after stretching one side so that pixels are square; no side shrinks.

    pixel_aspect   width over height of a stored pixel; 0, None and implausible ratios count as 1
    """
    height, width = size
    if not pixel_aspect or not 1 <= max(pixel_aspect, 1 / pixel_aspect) <= MAX_PIXEL_ASPECT:
        return size
    return (height, round(width * pixel_aspect)) if pixel_aspect >= 1 else (round(height / pixel_aspect), width)


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)
