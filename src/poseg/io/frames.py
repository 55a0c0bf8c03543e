"""Video frames with their times, the protocol of their sources, and cameras on OpenCV."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.errors import VideoError

Clock = Callable[[], float]

_DEFAULT_FPS = Fraction(30)
_MAX_FPS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image of a video or a camera.

    image   (H, W, 3) uint8 RGB, upright, with square pixels; the same size in all frames of a source
    index   0, 1, 2, ...
    time_s  seconds since the first frame, strictly increasing
    """

    image: NDArray[np.uint8]
    index: int
    time_s: float


class FrameSource(Protocol):
    """What a video file and a camera have in common."""

    @property
    def name(self) -> str:
        """Name of the source in messages."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of its frames, pixels."""

    @property
    def rate(self) -> Fraction:
        """Frames per second, on average."""

    @property
    def frames(self) -> int | None:
        """Number of frames, for a progress bar: counted or estimated; None where unknown."""

    @property
    def has_audio(self) -> bool:
        """Whether it has an audio stream."""

    def __iter__(self) -> Iterator[Frame]: ...


def open_camera(
    number: int,
    *,
    size: tuple[int, int] | None = None,
    clock: Clock = time.monotonic,
    capture: Callable[[int], Any] = cv2.VideoCapture,
) -> CameraSource:
    """Open a camera and grab a first frame, which gives the actual size.

    number   0 for the first camera
    size     requested (height, width); the camera may choose another, see `CameraSource.size`
    clock    seconds; the time of a frame is read right after it was grabbed
    capture  opens the device of that number, as OpenCV's `VideoCapture` does

    Raises VideoError where there is no such camera, or where it delivers no frame.
    """
    device = capture(number)
    try:
        if not device.isOpened():
            raise VideoError(
                f"There is no camera {number}, or another program uses it; plug it in, close that program, allow "
                "access to cameras, or try another number (0 is the first)."
            )
        device.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # show what happens now, not what was buffered
        if size is not None:
            device.set(cv2.CAP_PROP_FRAME_HEIGHT, size[0])
            device.set(cv2.CAP_PROP_FRAME_WIDTH, size[1])
        return CameraSource(device, number, clock)
    except BaseException:
        device.release()
        raise


class CameraSource:
    """An open camera; iterate over it for its frames, without end. Made by `open_camera`.

    name       "camera 0"
    size       (height, width) of the frames
    rate       nominal frames per second of the camera; 30 where it reports none
    frames     None: unknown
    has_audio  False
    """

    frames: int | None = None
    has_audio = False

    def __init__(self, device: Any, number: int, clock: Clock = time.monotonic) -> None:
        self.name = f"camera {number}"
        self._device = device
        self._clock = clock
        self._open = True
        self._count = 0
        self._first: tuple[NDArray[np.uint8], float] | None = self._grab()
        self._start_s = self._last_s = self._first[1]
        self.size: tuple[int, int] = (self._first[0].shape[0], self._first[0].shape[1])
        nominal = device.get(cv2.CAP_PROP_FPS)
        self.rate = Fraction(nominal).limit_denominator(1001) if 0 < nominal < _MAX_FPS else _DEFAULT_FPS

    def __iter__(self) -> Iterator[Frame]:
        while self._open:
            (image, time_s), self._first = self._first or self._grab(), None
            if image.shape[:2] != self.size:
                raise VideoError(
                    f"The frames of {self.name} changed from {self.size} to {image.shape[:2]} (height, width); "
                    "open it again."
                )
            self._last_s = time_s if self._count == 0 else max(time_s, np.nextafter(self._last_s, np.inf))
            frame = Frame(image, self._count, self._last_s - self._start_s)
            self._count += 1
            yield frame

    def __enter__(self) -> CameraSource:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the camera; iterations end."""
        if self._open:
            self._open = False
            self._device.release()

    def _grab(self) -> tuple[NDArray[np.uint8], float]:
        """The next image, RGB, and its time."""
        ok, image = self._device.read()
        time_s = self._clock()
        if not ok or image is None:
            raise VideoError(
                f"No image comes from {self.name} after {self._count} frames; check its cable, and that no other "
                "program uses it."
            )
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8), time_s
