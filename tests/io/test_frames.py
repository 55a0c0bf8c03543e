"""Cameras: the same frames as from a file, with the times of a clock that is passed in."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import pytest

from poseg.errors import VideoError
from poseg.io.frames import open_camera


class FakeCapture:
    """Stands in for cv2.VideoCapture: blue images that count upwards, in OpenCV's order of channels."""

    def __init__(self, images=5, *, opened=True, rate=15.0, sizes=((48, 64),)):
        self.images, self.opened, self.rate, self.sizes = images, opened, rate, sizes
        self.taken, self.released, self.settings = 0, 0, {}

    def __call__(self, number):
        self.number = number
        return self

    def isOpened(self):
        return self.opened

    def read(self):
        if self.taken >= self.images:
            return False, None
        height, width = self.sizes[min(self.taken, len(self.sizes) - 1)]
        photo = np.zeros((height, width, 3), np.uint8)
        photo[..., 0], photo[..., 2] = 200, self.taken
        self.taken += 1
        return True, photo

    def get(self, key):
        return self.rate if key == cv2.CAP_PROP_FPS else 0.0

    def set(self, key, value):
        self.settings[key] = value
        return True

    def release(self):
        self.released += 1


def ticking(*times_s):
    return iter(times_s).__next__


def test_camera_frames_are_rgb_with_clock_times():
    device = FakeCapture()
    got = []
    with open_camera(2, clock=ticking(100.0, 100.5, 100.75, 102.0, 102.5), capture=device) as camera:
        assert (camera.name, camera.size, camera.rate) == ("camera 2", (48, 64), 15)
        assert (camera.frames, camera.has_audio) == (None, False)
        for frame in camera:
            got.append(frame)
            if len(got) == 5:
                break
    assert device.number == 2
    assert [frame.index for frame in got] == [0, 1, 2, 3, 4]
    assert [frame.time_s for frame in got] == [0, 0.5, 0.75, 2.0, 2.5]
    assert [tuple(frame.image[0, 0]) for frame in got] == [(i, 0, 200) for i in range(5)]  # every image, once
    assert device.released == 1
    assert list(camera) == []


def test_camera_times_increase_on_a_constant_clock():
    with open_camera(0, clock=lambda: 7.0, capture=FakeCapture(4)) as camera:
        frames = iter(camera)
        times_s = [next(frames).time_s for _ in range(4)]
    assert times_s[0] == 0
    assert all(later > earlier for earlier, later in pairwise(times_s))


def test_camera_requests_a_size_and_reports_the_actual_one():
    device = FakeCapture()
    with open_camera(0, size=(720, 1280), capture=device) as camera:
        assert device.settings[cv2.CAP_PROP_FRAME_HEIGHT] == 720
        assert device.settings[cv2.CAP_PROP_FRAME_WIDTH] == 1280
        assert camera.size == (48, 64)


@pytest.mark.parametrize(("promised", "rate"), [(29.97002997, Fraction(30000, 1001)), (0.0, 30), (-1.0, 30), (1e6, 30)])
def test_camera_implausible_rate_is_30(promised, rate):
    with open_camera(0, capture=FakeCapture(rate=promised)) as camera:
        assert camera.rate == rate


def test_missing_camera_is_reported_with_hints():
    device = FakeCapture(opened=False)
    with pytest.raises(VideoError, match=r"no camera 3.*plug it in.*another number"):
        open_camera(3, capture=device)
    assert device.released == 1


def test_opencv_reports_a_missing_camera():
    with pytest.raises(VideoError, match="no camera 9731"):
        open_camera(9731)


def test_camera_without_frames_is_reported():
    device = FakeCapture(images=0)
    with pytest.raises(VideoError, match="No image comes from camera 0 after 0 frames"):
        open_camera(0, capture=device)
    assert device.released == 1


def test_disconnected_camera_gives_its_frames_first():
    with open_camera(0, capture=FakeCapture(3)) as camera:
        frames = iter(camera)
        assert [next(frames).index for _ in range(3)] == [0, 1, 2]
        with pytest.raises(VideoError, match="No image comes from camera 0 after 3 frames"):
            next(frames)


def test_camera_frames_must_keep_their_size():
    device = FakeCapture(sizes=((48, 64), (48, 64), (96, 128)))
    with open_camera(0, capture=device) as camera, pytest.raises(VideoError, match="changed from"):
        list(camera)
