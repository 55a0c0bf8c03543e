"""Writing video files, on PyAV: each frame keeps its time, sound comes along, and no work is lost."""

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
from poseg.io.partial import PartialFile
from poseg.io.video import EXACT_COLOURS, Video, same_file
from poseg.io.video_formats import VideoFormat, video_format
from poseg.io.video_sound import Sound, sound_of

_USUAL_RATE = Fraction(25)
_COARSEST_TICK = Fraction(1, 10_000)
_FINEST_TICK = Fraction(1, 1_000_000)
_TELEVISION_TICK = Fraction(1, 90_000)
_MILLISECOND = Fraction(1, 1000)


class VideoWriter:
    """A video file that grows frame by frame; use it in a `with` block.

    While it grows it is called `NAME.partial.mp4`, and can be played up to about the last second, even after the
    process was killed. It gets its own name at the end of the block, also when an error or Ctrl-C ends the block:
    then it holds what was done so far. A block that wrote no frame leaves no file.

    path    .mp4, .m4v, .mov or .mkv for H.264, .webm for VP9
    size    (height, width) of the frames that will be written. H.264 needs even sides: an odd one grows by one row
            or column at its end, a copy of its neighbour
    rate    frames a second, for frames without a time of their own; default that of `like`, else 25
    like    the video whose clock, rate and sound the file takes on, when its frames are written with their times. The
            sound ends with the last frame written, or with the sound of the video after its very last frame

    Raises VideoError for kinds of video that we do not write, and OutputError where the place cannot be written.
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
        self._kind = video_format(path)
        if like is not None and same_file(path, like.path):
            raise VideoError(f"Cannot write {self.path} while it is read; give the result another name.")
        if min(size) < 1:
            raise ShapeError("size", expected="(height, width) of at least one pixel", got=size)
        self._like = like
        self._tick = _tick(self._kind, self.rate, like)
        self._last_tick = -1
        self._first_s = self._last_s = 0.0
        self._open = True
        self._sources = ExitStack()
        self._partial = PartialFile.beside(self.path)
        try:
            with self._translated():
                self._file = av.open(
                    f"file:{self._partial.path}", "w", format=self._kind.container, options=self._kind.file_options
                )
                self._stream = _picture_stream(self._file, self._kind, size, self.rate, self._tick)
                self._sound: Sound | None = None
                if like is not None:
                    self._sound = self._sources.enter_context(sound_of(like, self._file, self._kind))
        except PosegError:
            self._sources.close()
            self._partial.discard()
            raise

    @property
    def sound(self) -> str:
        """What happens to the sound: "copied", "coded anew", or "none" where there is none."""
        return "none" if self._sound is None else "copied" if self._sound.copied else "coded anew"

    def write(self, image: NDArray[Any], time_s: float | None = None) -> None:
        """Add one frame.

        image    (H, W, 3) uint8 RGB of the size that was announced
        time_s   when it is shown, in seconds, later than the frame before; default one frame's time later. The file
                 starts with its first frame: of frames from 5 s to 8 s it lasts 3 s, with the sound that is theirs

        Raises ShapeError, VideoError for a time that runs back, and OutputError where the disk is full.
        """
        if image.shape != (*self.size, 3) or image.dtype != np.uint8:
            raise ShapeError("image", expected=f"{(*self.size, 3)} uint8", got=f"{image.shape} {image.dtype}")
        if not self._open:
            raise VideoError(f"{self.path} is finished; open a new VideoWriter for more frames.")
        picture = _encodable(image, self._kind)
        picture.pts, picture.time_base = self._ticks(time_s), self._tick
        picture.duration = max(1, round(1 / self.rate / self._tick))
        with self._translated():
            self._file.mux(self._stream.encode(picture))
            if self._sound is not None:
                self._sound.write(self._first_s, self._last_s)
        self.frames += 1

    def close(self) -> None:
        """Finish the file and give it its name. Raises OutputError, and VideoError where no frame was written."""
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
            with suppress(PosegError):  # the error that ended the block is the one to hear of; a .partial file stays
                self._finish()

    def _finish(self) -> None:
        self._open = False
        end_s = self._last_s + float(1 / self.rate)
        if self._like is not None and self._like.end_s is not None and self._last_s >= self._like.end_s:
            end_s = math.inf
        try:
            with self._translated():
                if self.frames:
                    self._file.mux(self._stream.encode(None))
                    if self._sound is not None:
                        self._sound.write(self._first_s, end_s)
                if self._sound is not None:
                    self._sound.finish()
        finally:
            self._sources.close()
            with self._translated():
                self._file.close()
        if self.frames:
            self._partial.finish()
        else:
            self._partial.discard()

    def _ticks(self, time_s: float | None) -> int:
        """The time of the next frame on the file's clock, at least one tick after the frame before."""
        if time_s is None:
            time_s = 0.0 if self.frames == 0 else self._last_s + float(1 / self.rate)
        if not 0 <= (self._last_s if self.frames else 0) <= time_s < math.inf:  # also NaN
            raise VideoError(
                f"Frame {self.frames} of {self.path} comes at {time_s:g} s, the one before at {self._last_s:g} s; "
                "times start at 0 or later, and rise."
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
            reason = str(fault.strerror or fault)
            if isinstance(fault, OSError):
                raise OutputError(f"Cannot write {self.path}: {reason}; make room, or choose another place.") from fault
            height, width = self.size
            raise VideoError(
                f"Cannot write {self.path} with frames of {width} x {height} pixels: {reason}; choose another kind of "
                "video or another size."
            ) from fault


def _rate(rate: Fraction | float | None, like: Video | None) -> Fraction:
    if rate is None:
        return _USUAL_RATE if like is None else like.rate
    if not 0 < rate <= 1000:
        raise VideoError(f"A video of {rate} frames a second cannot be written; give a rate above 0 and up to 1000.")
    return Fraction(rate).limit_denominator(1001)


def _tick(kind: VideoFormat, rate: Fraction, like: Video | None) -> Fraction:
    """One tick of the file's clock, seconds: such that the times of the source, or those of the rate, are whole."""
    if kind.coarse_clock:
        return _MILLISECOND
    tick = 1 / rate if like is None else like.time_base
    while tick > _COARSEST_TICK:
        tick /= 2
    return tick if tick >= _FINEST_TICK and tick.denominator < 2**31 else _TELEVISION_TICK


def _picture_stream(
    file: av.container.OutputContainer, kind: VideoFormat, size: tuple[int, int], rate: Fraction, tick: Fraction
) -> VideoStream:
    stream = file.add_stream(kind.codec, rate=rate, options=dict(kind.options))
    assert isinstance(stream, VideoStream)
    stream.height, stream.width = (side + side % 2 if kind.even else side for side in size)
    stream.pix_fmt = "yuv420p"
    stream.time_base = stream.codec_context.time_base = tick
    stream.gop_size = max(1, round(rate))  # a key frame a second: what a killed process loses at most
    stream.colorspace = Colorspace.ITU709
    stream.color_range = ColorRange.MPEG
    stream.color_primaries = ColorPrimaries.BT709
    stream.color_trc = ColorTrc.BT709
    return stream


def _encodable(image: NDArray[np.uint8], kind: VideoFormat) -> VideoFrame:
    """The picture as YUV 4:2:0 of BT.709, its sides made even where the codec wants that."""
    down, right = (image.shape[0] % 2, image.shape[1] % 2) if kind.even else (0, 0)
    if down or right:
        image = np.asarray(cv2.copyMakeBorder(image, 0, down, 0, right, cv2.BORDER_REPLICATE), np.uint8)
    picture = VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")
    return picture.reformat(
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        interpolation=EXACT_COLOURS,
    )
