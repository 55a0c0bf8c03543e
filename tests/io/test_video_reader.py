"""Reading videos: every frame once, upright, at its time; what is damaged is given up to the damage and named."""

from __future__ import annotations

import os
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given
from hypothesis import strategies as st

from poseg.errors import VideoError
from poseg.io.images import ImageLimits
from poseg.io.sources import is_video

av = pytest.importorskip("av", reason="the extra 'video' is not installed")
video = pytest.importorskip("poseg.io.video_reader")
writer = pytest.importorskip("poseg.io.video_writer")

from poseg.io.video_reader import (  # noqa: E402
    UPRIGHT,
    display_matrix,
    make_upright,
    rotation_matrix,
    square_pixel_size,
)

open_video, VideoWriter = video.open_video, writer.VideoWriter

PHOTO = cv2.resize(skimage.data.astronaut(), (320, 240), interpolation=cv2.INTER_AREA)
RATE = 25


def view(i, height=120, width=160):
    """Frame i of a camera that pans over a photograph."""
    return np.ascontiguousarray(PHOTO[i // 4 : i // 4 + height, i // 2 : i // 2 + width])


def record(path, frames, *, codec="libx264", container=None, prepare=None, sound=False, movflags="faststart"):
    """A video made without the code under test; `prepare` gets the stream before the first frame."""
    with av.open(str(path), "w", format=container, options={"movflags": movflags} if movflags else {}) as file:
        stream = file.add_stream(codec, rate=RATE)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        if prepare:
            prepare(stream)
        track = file.add_stream("aac", rate=48_000, layout="mono") if sound else None
        for i, image in enumerate(frames):
            photo = av.VideoFrame.from_ndarray(image, "rgb24")
            photo.pts, photo.time_base = i, Fraction(1, RATE)
            file.mux(stream.encode(photo))
            if track:
                samples = np.sin(np.arange(1920) * 0.06).astype(np.float32)[None] * 0.3
                heard = av.AudioFrame.from_ndarray(samples, "fltp", "mono")
                heard.sample_rate, heard.pts, heard.time_base = 48_000, i * 1920, Fraction(1, 48_000)
                file.mux(track.encode(heard))
        file.mux(stream.encode(None))
        if track:
            file.mux(track.encode(None))
    return Path(path)


def difference(image, other):
    return float(np.abs(image.astype(int) - other.astype(int)).mean())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module")
def with_sound(folder):
    return record(folder / "sound.mp4", [view(i) for i in range(100)], sound=True)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.webm", "clip.mkv"])
def test_ten_seconds_are_read_frame_by_frame(folder, name):
    with VideoWriter(folder / name, (120, 160), rate=RATE) as out:
        for i in range(250):
            out.write(view(i))
    with open_video(folder / name) as clip:
        assert (clip.size, clip.rate, clip.frames, clip.has_audio) == ((120, 160), 25, 250, False)
        assert clip.duration_s == pytest.approx(10, abs=0.002)
        count = 0
        for frame in clip:
            assert frame.index == count
            assert frame.time_s == pytest.approx(count / RATE, abs=0.001)
            if count % 10 == 0:  # no other frame of the pan is as near as its own
                assert difference(frame.image, view(count)) < 6
                assert difference(frame.image, view(count)) < difference(frame.image, view(count + 12))
            count += 1
    assert count == 250
    assert clip.fault is None


def test_video_can_be_iterated_again(with_sound):
    with open_video(with_sound) as clip:
        first, second = ([(f.index, f.time_s, f.image.sum()) for f in clip] for _ in range(2))
        assert first == second
        assert clip.end_s == first[-1][1]
        frames = iter(clip)
        next(frames)
        assert clip.end_s is None
    assert list(frames) == []  # closed


def test_frames_have_the_documented_form(with_sound):
    frame = next(iter(open_video(with_sound)))
    assert frame.image.dtype == np.uint8
    assert frame.image.shape == (120, 160, 3)
    assert frame.image.flags.c_contiguous
    assert open_video(with_sound).has_audio


def test_variable_rate_times_count_from_the_first_frame(folder):
    steps = np.random.default_rng(1).integers(300, 4000, 60)
    ticks = 5000 + np.cumsum(steps)
    with av.open(str(folder / "variable.mkv"), "w") as file:
        stream = file.add_stream("libx264", rate=RATE)
        stream.height, stream.width, stream.pix_fmt = 120, 160, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 12_800)
        for i, tick in enumerate(ticks):
            photo = av.VideoFrame.from_ndarray(view(i), "rgb24")
            photo.pts, photo.time_base = int(tick), Fraction(1, 12_800)
            file.mux(stream.encode(photo))
        file.mux(stream.encode(None))
    times_s = [frame.time_s for frame in open_video(folder / "variable.mkv")]
    assert times_s[0] == 0
    assert all(earlier < later for earlier, later in pairwise(times_s))
    np.testing.assert_allclose(times_s, (ticks - ticks[0]) / 12_800, atol=0.001)


# --- upright -----------------------------------------------------------------------------------------------------


@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from([-1, 1]), st.sampled_from([-1, 1]), st.booleans())
def test_display_matrix_moves_pixels_by_its_equation(height, width, across, down, swapped):
    image = np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)
    a, b, c, d = (0, down, across, 0) if swapped else (across, 0, 0, down)
    stored = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 14], np.int32) * 65536
    assert display_matrix(stored.tobytes()) == (a, b, c, d)
    shown = make_upright(image, (a, b, c, d))
    y, x = np.mgrid[:height, :width]
    to_x, to_y = a * x + c * y, b * x + d * y
    np.testing.assert_array_equal(shown[to_y - to_y.min(), to_x - to_x.min()], image)


@pytest.mark.parametrize("degrees", [-180, -90, 0, 90, 180, 270])
def test_rotation_matrix_is_counter_clockwise(degrees):
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    np.testing.assert_array_equal(make_upright(image, rotation_matrix(degrees + 3)), np.rot90(image, degrees // 90))


def test_degenerate_display_matrix_is_upright():
    assert display_matrix(None) == display_matrix(b"\0" * 36) == display_matrix(b"short") == UPRIGHT


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),  # a phone held upright: shown a quarter turn clockwise
        ((0, -1, 1, 0), np.rot90),
        ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
        ((-1, 0, 0, 1), lambda image: image[:, ::-1]),  # a flipped selfie
    ],
)
def test_rotated_video_is_read_upright(folder, matrix, shown):
    a, b, c, d = (65536 * entry for entry in matrix)
    path = record(
        folder / "turned.mp4",
        [view(i) for i in range(3)],
        prepare=lambda stream: stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30]),
    )
    with open_video(path) as clip:
        frames = list(clip)
        assert clip.size == shown(view(0)).shape[:2]
    assert len(frames) == 3
    assert difference(frames[1].image, shown(view(1))) < 8


def test_non_square_pixels_are_stretched(folder):
    def wide(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(3, 2)

    path = record(folder / "wide.mp4", [view(i) for i in range(3)], prepare=wide)
    with open_video(path) as clip:
        assert clip.size == (120, 240)
        assert [frame.image.shape for frame in clip] == [(120, 240, 3)] * 3


@given(st.integers(16, 2000), st.integers(16, 2000), st.fractions(Fraction(1, 4), 4, max_denominator=50))
def test_square_pixel_size_keeps_the_shape_and_shrinks_no_side(height, width, aspect):
    tall, wide = square_pixel_size((height, width), aspect)
    assert tall >= height
    assert wide >= width
    assert wide / tall == pytest.approx(width * aspect / height, rel=0.05)


@pytest.mark.parametrize("aspect", [None, Fraction(0), Fraction(1), Fraction(1, 9), Fraction(100)])
def test_implausible_pixel_aspect_counts_as_square(aspect):
    assert square_pixel_size((120, 160), aspect) == (120, 160)


def test_frames_are_resized_to_the_first_size(folder):
    large = record(folder / "large.ts", [view(i) for i in range(30)], movflags=None)
    small = record(folder / "small.ts", [view(i)[:60, :80].copy() for i in range(30)], movflags=None)
    both = folder / "both.ts"
    both.write_bytes(large.read_bytes() + small.read_bytes())
    with open_video(both, strict=False) as clip:
        shapes = [frame.image.shape for frame in clip]
    assert len(shapes) > 40
    assert set(shapes) == {(120, 160, 3)}


# --- damaged files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fraction", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_truncated_file_gives_its_frames_and_then_an_error(folder, with_sound, suffix, fraction):
    whole = with_sound if suffix == ".mp4" else folder / "sound.mkv"
    if not whole.exists():
        record(whole, [view(i) for i in range(100)], sound=True)
    data = whole.read_bytes()
    cut = folder / f"cut{suffix}"
    cut.write_bytes(data[: int(len(data) * fraction)])
    expected = [frame.time_s for frame in open_video(whole)]
    with open_video(cut, strict=False) as clip:
        got = [frame.time_s for frame in clip]
        quiet = clip.fault
    assert 100 * fraction - 15 < len(got) < 100
    assert got[:-3] == expected[: len(got) - 3]  # the last ones may lack their neighbours
    with open_video(cut) as clip:
        frames = iter(clip)
        assert [next(frames).time_s for _ in got] == got
        with pytest.raises(VideoError, match=f"cut short: {len(got)} frames of about") as raised:
            next(frames)
    assert clip.fault is raised.value
    assert str(quiet) == str(raised.value)


def test_truncation_between_packets_is_detected(folder, with_sound):
    data = with_sound.read_bytes()
    with av.open(str(with_sound)) as file:
        cuts = [entry.pos for entry in file.streams.video[0].index_entries][40:44]
    for cut in cuts:
        (folder / "between.mp4").write_bytes(data[:cut])
        with open_video(folder / "between.mp4", strict=False) as clip:
            assert 30 < sum(1 for _ in clip) <= 44
            assert clip.fault is not None


def test_damage_loses_only_the_damaged_frames(folder):
    clean = record(folder / "clean.mp4", [view(i) for i in range(100)])
    data = bytearray(clean.read_bytes())
    with av.open(str(clean)) as file:
        entry = file.streams.video[0].index_entries[50]
    data[entry.pos : entry.pos + entry.size] = b"\xff" * entry.size
    (folder / "hit.mp4").write_bytes(data)
    with open_video(folder / "hit.mp4", strict=False) as clip:
        times_s = [frame.time_s for frame in clip]
    assert len(times_s) >= 95
    assert times_s[-1] == pytest.approx(99 / RATE)
    assert "could be read" in str(clip.fault)


def test_video_without_its_index_is_rejected(folder, with_sound):
    plain = record(folder / "plain.mp4", [view(i) for i in range(30)], movflags=None)
    (folder / "noindex.mp4").write_bytes(plain.read_bytes()[:-500])
    with pytest.raises(VideoError, match="cut short"):
        open_video(folder / "noindex.mp4")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("empty.mp4", b"", "empty"),
        ("text.mp4", b"this is a letter\n" * 50, "not a video"),
        ("noise.webm", bytes(range(256)) * 20, "not a video"),
        ("list.mp4", b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:4,\nsound.mp4\n#EXT-X-ENDLIST\n", "not a video"),
        ("parts.mp4", b"ffconcat version 1.0\nfile sound.mp4\n", "not a video"),
    ],
)
def test_other_files_are_reported(folder, with_sound, name, data, message):
    (folder / name).write_bytes(data)
    with pytest.raises(VideoError, match=message) as raised:
        open_video(folder / name)
    assert str(folder / name) in str(raised.value)


def test_missing_files_and_devices_are_reported(folder):
    for path, message in ((folder / "missing.mp4", "no file"), (folder, "folder"), (os.devnull, "camera")):
        with pytest.raises(VideoError, match=message):
            open_video(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_is_reported(folder, with_sound):
    locked = folder / "locked.mp4"
    locked.write_bytes(with_sound.read_bytes())
    locked.chmod(0)
    with pytest.raises(VideoError, match="Permission denied"):
        open_video(locked)


def test_audio_file_is_rejected(folder):
    with av.open(str(folder / "sound.m4a"), "w", format="mp4") as file:
        track = file.add_stream("aac", rate=48_000, layout="mono")
        heard = av.AudioFrame.from_ndarray(np.zeros((1, 9600), np.float32), "fltp", "mono")
        heard.sample_rate, heard.pts, heard.time_base = 48_000, 0, Fraction(1, 48_000)
        file.mux(track.encode(heard))
        file.mux(track.encode(None))
    with pytest.raises(VideoError, match="no video stream"):
        open_video(folder / "sound.m4a")


def test_unknown_codec_is_reported(folder, with_sound):
    data = with_sound.read_bytes().replace(b"avc1", b"zzzz")
    (folder / "unknown.mp4").write_bytes(data)
    with pytest.raises(VideoError, match=r"decode.*H\.264"):
        open_video(folder / "unknown.mp4")


def test_frames_beyond_the_limits_are_rejected(with_sound):
    with pytest.raises(VideoError, match="160 x 120 pixels, more than the 1000"):
        open_video(with_sound, limits=ImageLimits(max_pixels=1000))
    with pytest.raises(VideoError, match="a side under 200"):
        open_video(with_sound, limits=ImageLimits(min_side_px=200))


def test_is_video_looks_at_the_name_only():
    assert all(is_video(name) for name in ("a.mp4", "b.MOV", "dir/c.webm", Path("d.mkv"), "e.avi", "f.m4v"))
    assert not any(is_video(name) for name in ("a.png", "b.gif", "mp4", "c.mp4.txt", "", "0"))
