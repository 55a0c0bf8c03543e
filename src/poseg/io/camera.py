"""Cameras, on OpenCV: the same frames as from a file, with the time at which each was taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.errors import VideoError
from poseg.io.frames import Frame

Clock = Callable[[], float]

_USUAL_RATE = Fraction(30)
_FASTEST = 1000


def open_camera(
    number: int,
    *,
    size: tuple[int, int] | None = None,
    clock: Clock = time.monotonic,
    capture: Callable[[int], Any] = cv2.VideoCapture,
) -> Camera:
    """Open a camera and take a first picture, which tells the true size.

    number   0 for the first camera
    size     (height, width) to ask for; the camera may choose another, see `Camera.size`
    clock    seconds; the time of a frame is read right after the frame was taken
    capture  opens the device of that number, as OpenCV's `VideoCapture` does

    Raises VideoError where there is no such camera, or where it gives no picture.
    """
    device = capture(number)
    try:
        if not device.isOpened():
            raise VideoError(
                f"There is no camera {number}, or another program has it; plug it in, close that program, allow access "
                "to cameras, or try another number (0 is the first)."
            )
        device.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # old pictures are of no use to somebody in front of the camera
        if size is not None:
            device.set(cv2.CAP_PROP_FRAME_HEIGHT, size[0])
            device.set(cv2.CAP_PROP_FRAME_WIDTH, size[1])
        return Camera(device, number, clock)
    except BaseException:
        device.release()
        raise


class Camera:
    """An open camera; iterate over it for its frames, without end. Made by `open_camera`.

    name       "camera 0"
    size       (height, width) of the frames
    rate       frames a second that the camera promises; 30 where it promises none
    frames     None: nobody knows how many will come
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
        self._first: tuple[NDArray[np.uint8], float] | None = self._take()
        self._start_s = self._last_s = self._first[1]
        self.size: tuple[int, int] = (self._first[0].shape[0], self._first[0].shape[1])
        promised = device.get(cv2.CAP_PROP_FPS)
        self.rate = Fraction(promised).limit_denominator(1001) if 0 < promised < _FASTEST else _USUAL_RATE

    def __iter__(self) -> Iterator[Frame]:
        while self._open:
            (image, taken_s), self._first = self._first or self._take(), None
            if image.shape[:2] != self.size:
                raise VideoError(
                    f"The pictures of {self.name} changed from {self.size} to {image.shape[:2]} (height, width); "
                    "open it again."
                )
            self._last_s = taken_s if self._count == 0 else max(taken_s, np.nextafter(self._last_s, np.inf))
            frame = Frame(image, self._count, self._last_s - self._start_s)
            self._count += 1
            yield frame

    def __enter__(self) -> Camera:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the camera; iterations end."""
        if self._open:
            self._open = False
            self._device.release()

    def _take(self) -> tuple[NDArray[np.uint8], float]:
        """The next picture, RGB, and when it was taken."""
        got, image = self._device.read()
        taken_s = self._clock()
        if not got or image is None:
            raise VideoError(
                f"No picture comes from {self.name} after {self._count} frames; check its cable, and that no other "
                "program uses it."
            )
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8), taken_s
