"""Writing video files with PyAV: each frame keeps its time, audio is copied, and an interrupted file can be played."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from os import PathLike, fspath
from types import TracebackType
from typing import Any

import av
import cv2
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream
from numpy.typing import NDArray

from poseg.errors import OutputError, PosegError, ShapeError, VideoError
from poseg.io.files import PartialFile
from poseg.io.video_formats import AudioCopier, VideoFormat, audio_copier, video_format
from poseg.io.video_reader import EXACT_COLOURS, Video, same_file

_DEFAULT_FPS = Fraction(25)
_MAX_TICK = Fraction(1, 10_000)
_MAX_FPS = 1000
_MIN_TICK, _MAX_UNITS = Fraction(1, 1_000_000), 1_000_000
_MPEG_TICK = Fraction(1, 90_000)
_MILLISECOND = Fraction(1, 1000)


class VideoWriter:
    """A video file that grows frame by frame; use it in a `with` block.

    While it grows it is called `NAME.partial.mp4`, and can be played up to about the last second, even after the
    process was killed. It gets its final name at the end of the block, also when an error or Ctrl-C ends the block:
    then it holds the frames written so far. A block that wrote no frame leaves no file.

    path    .mp4, .m4v, .mov or .mkv for H.264, .webm for VP9
    size    (height, width) of the frames. H.264 needs even sides: an odd side is padded by repeating its last row or
            column
    rate    frames per second, for frames without a time; that of `like` by default, else 25
    like    the video whose clock, rate and audio the file takes over, when its frames are written with their times.
            The audio ends with the last frame written, or with the audio of the video after its very last frame

    Raises VideoError for formats that cannot be written, and OutputError where the file cannot be created.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        size: tuple[int, int],
        *,
        rate: Fraction | float | None = None,
        like: Video | None = None,
    ) -> None:
        self.path = fspath(path)
        self.size = size
        self.frames = 0
        self.rate = _rate(rate, like)
        self._format = video_format(path)
        if like is not None and same_file(path, like.path):
            raise VideoError(f"Cannot write {self.path} while it is read; give the result another name.")
        if min(size) < 1:
            raise ShapeError("size", expected="(height, width) of at least one pixel", got=size)
        self._like = like
        self._tick = _tick(self._format, self.rate, like)
        self._last_tick = -1
        self._first_s = self._last_s = 0.0
        self._open, self._failed, self._fault = True, False, ""
        self._sources = ExitStack()
        self._partial = PartialFile.for_target(self.path)
        try:
            with self._translated():
                self._file = av.open(
                    f"file:{self._partial.path}", "w", format=self._format.container, options=self._format.file_options
                )
                self._stream = _video_stream(self._file, self._format, size, self.rate, self._tick)
                self._audio: AudioCopier | None = None
                if like is not None:
                    self._audio = self._sources.enter_context(audio_copier(like, self._file, self._format))
        except PosegError:
            self._sources.close()
            self._partial.discard()
            raise

    @property
    def audio(self) -> str:
        """What happens to the audio: "copied", "re-encoded", or "none" where there is none."""
        return "none" if self._audio is None else "copied" if self._audio.copied else "re-encoded"

    def write(self, image: NDArray[Any], time_s: float | None = None) -> None:
        """Add one frame.

        image    (H, W, 3) uint8 RGB of the writer's size
        time_s   presentation time in seconds, later than that of the frame before; one frame period later by default.
                 The file starts with its first frame: frames from 5 s to 8 s make a file of 3 s, with their audio

        Raises ShapeError, VideoError for a time that decreases, and OutputError where the disk is full.
        """
        if image.shape != (*self.size, 3) or image.dtype != np.uint8:
            raise ShapeError("image", expected=f"{(*self.size, 3)} uint8", got=f"{image.shape} {image.dtype}")
        if not self._open:
            raise VideoError(f"{self.path} is finished; open a new VideoWriter for more frames.")
        if self._fault:
            raise OutputError(self._fault)
        frame = _to_yuv(image, self._format)
        frame.pts, frame.time_base = self._ticks(time_s), self._tick
        frame.duration = max(1, round(1 / self.rate / self._tick))
        with self._translated():
            self._file.mux(self._stream.encode(frame))
            if self._audio is not None:
                self._audio.write(self._first_s, self._last_s)
        self.frames += 1

    def close(self) -> None:
        """Finish the file and give it its final name. Raises OutputError, and VideoError where no frame was written."""
        if not self._open:
            return
        self._finish()
        if self.frames == 0:
            raise VideoError(f"No frame was written to {self.path}, so there is no such video.")

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif self._open:
            with suppress(PosegError):  # the error that ended the block is raised; a .partial file stays
                self._finish()

    def _finish(self) -> None:
        self._open = False
        end_s = self._last_s + float(1 / self.rate)
        if self._like is not None and self._like.end_s is not None and self._last_s >= self._like.end_s:
            end_s = math.inf
        with suppress(OutputError):  # kept in `_fault`
            try:
                # After a fault FFmpeg must not be asked to write again: where it was in the header, it crashes.
                if not self._failed:
                    self._flush(end_s)
            finally:
                self._sources.close()
                with self._translated():
                    self._file.close()
        if self._fault:
            if not self._partial.path.stat().st_size:
                self._partial.discard()
            raise OutputError(self._fault)
        if self.frames:
            self._partial.finish()
        else:
            self._partial.discard()

    def _flush(self, end_s: float) -> None:
        """Write what the encoder still holds, and the audio up to `end_s`."""
        with self._translated():
            if self.frames:
                self._file.mux(self._stream.encode(None))
                if self._audio is not None:
                    self._audio.write(self._first_s, end_s)
            if self._audio is not None:
                self._audio.finish()

    def _ticks(self, time_s: float | None) -> int:
        """Timestamp of the next frame in ticks, at least one tick after the frame before."""
        if time_s is None:
            time_s = 0.0 if self.frames == 0 else self._last_s + float(1 / self.rate)
        if not 0 <= (self._last_s if self.frames else 0) <= time_s < math.inf:  # also NaN
            raise VideoError(
                f"Frame {self.frames} of {self.path} comes at {time_s:g} s, the one before at {self._last_s:g} s; "
                "times start at 0 or later, and increase."
            )
        if self.frames == 0:
            self._first_s = time_s
        self._last_s = time_s
        self._last_tick = max(self._last_tick + 1, round((time_s - self._first_s) / self._tick))
        return self._last_tick

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except FFmpegError as fault:
            self._failed = True
            reason = str(fault.strerror or fault)
            if isinstance(fault, OSError):
                self._fault = f"Cannot write {self.path}: {reason}; make room, or choose another path."
                raise OutputError(self._fault) from fault
            height, width = self.size
            raise VideoError(
                f"Cannot write {self.path} with frames of {width} x {height} pixels: {reason}; choose another "
                "format or another size."
            ) from fault


def _rate(rate: Fraction | float | None, like: Video | None) -> Fraction:
    if rate is None:  # a damaged file may state any rate
        return _DEFAULT_FPS if like is None or not 0 < like.rate <= _MAX_FPS else like.rate
    if not 0 < rate <= _MAX_FPS:
        raise VideoError(
            f"A video of {rate} frames a second cannot be written; give a rate above 0 and up to {_MAX_FPS}."
        )
    return Fraction(rate).limit_denominator(1001)


def _tick(file_format: VideoFormat, rate: Fraction, like: Video | None) -> Fraction:
    """Time base in seconds, such that the times of the source, or those of the frame rate, are whole ticks."""
    if file_format.ms_timestamps:
        return _MILLISECOND
    tick = 1 / rate if like is None else like.time_base
    while tick > _MAX_TICK:
        tick /= 2
    # MP4 counts the time between frames in units of the denominator, in 31 bits: half an hour of millionths.
    return tick if tick >= _MIN_TICK and tick.denominator <= _MAX_UNITS else _MPEG_TICK


def _video_stream(
    file: av.container.OutputContainer, file_format: VideoFormat, size: tuple[int, int], rate: Fraction, tick: Fraction
) -> VideoStream:
    stream = file.add_stream(file_format.codec, rate=rate, options=dict(file_format.options))
    assert isinstance(stream, VideoStream)
    stream.height, stream.width = (side + side % 2 if file_format.even_size else side for side in size)
    stream.pix_fmt = "yuv420p"
    stream.time_base = stream.codec_context.time_base = tick
    stream.gop_size = max(1, round(rate))  # a key frame per second bounds what a killed process loses
    stream.colorspace = Colorspace.ITU709
    stream.color_range = ColorRange.MPEG
    stream.color_primaries = ColorPrimaries.BT709
    stream.color_trc = ColorTrc.BT709
    return stream


def _to_yuv(image: NDArray[np.uint8], file_format: VideoFormat) -> VideoFrame:
    """The image as YUV 4:2:0 of BT.709, padded to even sides where the codec needs them."""
    down, right = (image.shape[0] % 2, image.shape[1] % 2) if file_format.even_size else (0, 0)
    if down or right:
        image = np.asarray(cv2.copyMakeBorder(image, 0, down, 0, right, cv2.BORDER_REPLICATE), np.uint8)
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")
    return frame.reformat(
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        interpolation=EXACT_COLOURS,
    )
