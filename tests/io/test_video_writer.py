"""Writing videos: times, sizes and audio are kept, and an interrupted file can be played."""

from __future__ import annotations

import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import skimage.data

from poseg.errors import OutputError, ShapeError, VideoError

av = pytest.importorskip("av", reason="the extra 'video' is not installed")
video = pytest.importorskip("poseg.io.video_reader")
writing = pytest.importorskip("poseg.io.video_writer")
open_video, VideoWriter = video.open_video, writing.VideoWriter

PHOTO = cv2.resize(skimage.data.astronaut(), (320, 240), interpolation=cv2.INTER_AREA)
RATE = 25
HERTZ = 48_000
CLICKS_S = (0.6, 1.6)
FLASH = np.full((120, 160, 3), 255, np.uint8)


def view(i, height=120, width=160):
    return np.ascontiguousarray(PHOTO[i // 4 : i // 4 + height, i // 2 : i // 2 + width])


def record(path, codec, container=None, start_s=0.0, seconds=2):
    """A video with a flash and a click at the same moments; its images begin at `start_s`."""
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream("libx264", rate=RATE)
        stream.height, stream.width, stream.pix_fmt = 120, 160, "yuv420p"
        track = file.add_stream(codec, rate=HERTZ, layout="mono")
        for i in range(seconds * RATE):
            now_s = start_s + i / RATE
            flash = min(abs(now_s - click_s) for click_s in CLICKS_S) < 1e-6
            photo = av.VideoFrame.from_ndarray(FLASH if flash else view(i) // 4, "rgb24")
            photo.pts, photo.time_base = round(now_s * RATE), Fraction(1, RATE)
            file.mux(stream.encode(photo))
        for first in range(0, round((start_s + seconds) * HERTZ) - 1023, 1024):
            at_s = (first + np.arange(1024)) / HERTZ
            heard = np.zeros(1024, np.float32)
            for click_s in CLICKS_S:
                heard += np.where((at_s >= click_s) & (at_s < click_s + 0.01), np.sin(13_000 * (at_s - click_s)), 0)
            samples = heard[None] if codec != "pcm_s16le" else (heard[None] * 32_000).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples, "s16" if codec == "pcm_s16le" else "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = HERTZ, first, Fraction(1, HERTZ)
            file.mux(track.encode(frame))
        file.mux(stream.encode(None))
        file.mux(track.encode(None))
    return path


def flashes_s(path):
    return [frame.time_s for frame in open_video(path) if frame.image.mean() > 180]


def sound(path):
    """Samples (S,) and their times (S,), counted from the first image."""
    with av.open(str(path)) as file:
        first_s = next(file.decode(video=0)).time
    with av.open(str(path)) as file:
        pieces = [(frame.to_ndarray().astype(float)[0], frame.time) for frame in file.decode(audio=0)]
    times_s = [time_s + np.arange(len(samples)) / HERTZ - first_s for samples, time_s in pieces]
    return np.concatenate([samples for samples, _ in pieces]), np.concatenate(times_s)


def clicks_s(path):
    samples, times_s = sound(path)
    loud = times_s[np.abs(samples) > np.abs(samples).max() / 4]
    return [loud[0], *loud[1:][np.diff(loud) > 0.3]]


def copy(source, target, keep=lambda time_s: True):
    with open_video(source) as clip, VideoWriter(target, clip.size, like=clip) as out:
        for frame in clip:
            if keep(frame.time_s):
                out.write(frame.image, frame.time_s)
    return out


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_each_frame_keeps_its_time(tmp_path, suffix):
    times_s = np.cumsum(np.random.default_rng(2).uniform(0.004, 0.3, 40))
    with VideoWriter(tmp_path / f"a{suffix}", (120, 160)) as out:
        for i, time_s in enumerate(times_s):
            out.write(view(i), time_s)
    assert out.frames == 40
    read_s = [frame.time_s for frame in open_video(tmp_path / f"a{suffix}")]
    np.testing.assert_allclose(read_s, times_s - times_s[0], atol=0.001)


def test_times_of_a_source_are_kept_to_the_tick(tmp_path):
    """29.97 frames a second with gaps, twice through the writer: not a millisecond off, not a rounding off."""
    ticks = np.cumsum(np.random.default_rng(3).integers(1, 4, 30)) * Fraction(1001, 30_000)
    with VideoWriter(tmp_path / "a.mp4", (64, 64), rate=Fraction(30_000, 1001)) as out:
        for tick in ticks:
            out.write(view(0, 64, 64), float(tick))
    copy(tmp_path / "a.mp4", tmp_path / "b.mp4")
    first, second = ([frame.time_s for frame in open_video(tmp_path / name)] for name in ("a.mp4", "b.mp4"))
    assert first == second
    np.testing.assert_allclose(first, [float(tick - ticks[0]) for tick in ticks], atol=1e-9)


@pytest.mark.parametrize(("height", "width"), [(121, 161), (17, 33), (120, 161)])
def test_odd_sizes_are_padded_where_the_codec_needs_it(tmp_path, height, width):
    for name, shown in (("a.mp4", (height + height % 2, width + width % 2)), ("a.webm", (height, width))):
        with VideoWriter(tmp_path / name, (height, width), rate=RATE) as out:
            for i in range(3):
                out.write(view(i, height, width))
        frames = list(open_video(tmp_path / name))
        assert [frame.image.shape for frame in frames] == [(*shown, 3)] * 3
        grown = np.pad(view(1, height, width), ((0, shown[0] - height), (0, shown[1] - width), (0, 0)), mode="edge")
        error = np.abs(frames[1].image.astype(int) - grown)
        assert error.mean() < 8
        assert max(error[-1].mean(), error[:, -1].mean()) < 12  # a copy of its neighbour, not a black line


def test_colours_round_trip(tmp_path):
    expected = np.full((64, 64, 3), (200, 40, 90), np.uint8)
    for name in ("a.mp4", "a.webm"):
        with VideoWriter(tmp_path / name, (64, 64), rate=RATE) as out:
            out.write(expected)
        frame = next(iter(open_video(tmp_path / name)))
        assert np.abs(frame.image.astype(int) - expected).max() <= 4
        with av.open(str(tmp_path / name)) as file:
            stream = file.streams.video[0]
            assert (stream.colorspace, stream.color_range, stream.pix_fmt) == (1, 1, "yuv420p")


# --- sound -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "codec", "target", "what"),
    [
        ("a.mp4", "aac", "b.mp4", "copied"),
        ("a.mp4", "aac", "b.webm", "re-encoded"),
        ("a.ts", "aac", "b.mp4", "re-encoded"),
        ("a.mkv", "pcm_s16le", "b.mp4", "re-encoded"),
        ("a.mkv", "libopus", "b.webm", "copied"),
        ("a.mkv", "libopus", "b.mov", "re-encoded"),
        ("a.mkv", "libmp3lame", "b.mp4", "copied"),
    ],
)
def test_audio_stays_in_sync(tmp_path, source, codec, target, what):
    record(tmp_path / source, codec)
    out = copy(tmp_path / source, tmp_path / target)
    assert out.audio == what
    np.testing.assert_allclose(flashes_s(tmp_path / target), CLICKS_S, atol=0.001)
    np.testing.assert_allclose(clicks_s(tmp_path / target), CLICKS_S, atol=0.003)
    assert sound(tmp_path / target)[1][-1] == pytest.approx(2, abs=0.05)


def test_copied_audio_is_identical_packet_by_packet(tmp_path):
    record(tmp_path / "a.mp4", "aac")
    copy(tmp_path / "a.mp4", tmp_path / "b.mkv")
    packets = []
    for name in ("a.mp4", "b.mkv"):
        with av.open(str(tmp_path / name)) as file:
            packets.append([bytes(packet) for packet in file.demux(audio=0) if packet.size])
    assert packets[1] == packets[0][-len(packets[1]) :]
    assert len(packets[0]) - len(packets[1]) <= 1  # the run-in before 0 s


@pytest.mark.parametrize("target", ["b.mp4", "b.webm"])
def test_part_of_a_video_has_the_audio_of_that_part(tmp_path, target):
    record(tmp_path / "a.mp4", "aac", start_s=0.2)  # and its images start late
    copy(tmp_path / "a.mp4", tmp_path / target, keep=lambda time_s: 0.2 <= time_s < 1.0)
    np.testing.assert_allclose(flashes_s(tmp_path / target), [0.2], atol=0.001)
    np.testing.assert_allclose(clicks_s(tmp_path / target), [0.2], atol=0.003)
    assert sound(tmp_path / target)[1][-1] == pytest.approx(0.8, abs=0.05)


def test_video_without_audio_stays_without(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", (120, 160), rate=RATE) as out:
        out.write(view(0))
    assert copy(tmp_path / "a.mp4", tmp_path / "b.mp4").audio == "none"
    assert not open_video(tmp_path / "b.mp4").has_audio


def test_undecodable_audio_is_left_out(tmp_path):
    data = record(tmp_path / "a.mkv", "libopus").read_bytes()
    (tmp_path / "b.mkv").write_bytes(data.replace(b"A_OPUS", b"A_WHAT"))
    out = copy(tmp_path / "b.mkv", tmp_path / "c.mp4")
    assert out.audio == "none"
    assert out.frames == 50


# --- nothing is lost ---------------------------------------------------------------------------------------------

WORK = """
import os, signal, sys
import numpy as np
from poseg.io.video_writer import VideoWriter
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what a shell starts in the background
noise = np.random.default_rng(0).integers(0, 255, (80, 200, 3), np.uint8)
with VideoWriter(sys.argv[1], (64, 64), rate=25) as out:
    for i in range(200):
        if i == 120:
            os.kill(os.getpid(), int(sys.argv[2]))
        out.write(np.ascontiguousarray(noise[:64, i // 2 : i // 2 + 64]))
"""


def work_until(signal_number, path):
    return subprocess.run([sys.executable, "-c", WORK, str(path), str(int(signal_number))], capture_output=True)


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_ctrl_c_leaves_a_complete_file(tmp_path, name):
    ended = work_until(signal.SIGINT, tmp_path / name)
    assert b"KeyboardInterrupt" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with open_video(tmp_path / name) as clip:
        assert len(list(clip)) == clip.frames == 120


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_killed_process_loses_the_last_seconds_at_most(tmp_path, suffix):
    assert work_until(signal.SIGKILL, tmp_path / f"a{suffix}").returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == [f"a.partial{suffix}"]
    with open_video(tmp_path / f"a.partial{suffix}", strict=False) as clip:
        times_s = [frame.time_s for frame in clip]
    assert len(times_s) >= 120 - 2 * RATE
    np.testing.assert_allclose(times_s, np.arange(len(times_s)) / RATE, atol=0.001)


def test_error_keeps_the_written_frames_and_is_raised(tmp_path):
    def fail_after(frames):
        with VideoWriter(tmp_path / "a.mp4", (120, 160), rate=RATE) as out:
            for i in range(frames):
                out.write(view(i))
            raise RuntimeError("the model fell over")

    with pytest.raises(RuntimeError, match="fell over"):
        fail_after(7)
    assert sum(1 for _ in open_video(tmp_path / "a.mp4")) == 7
    with pytest.raises(RuntimeError, match="fell over"):  # nothing done: the old video stays
        fail_after(0)
    assert sum(1 for _ in open_video(tmp_path / "a.mp4")) == 7
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_old_file_stays_until_the_new_one_is_complete(tmp_path):
    target = tmp_path / "a.mp4"
    target.write_bytes(b"old")
    with VideoWriter(target, (120, 160), rate=RATE) as out:
        out.write(view(0))
        assert target.read_bytes() == b"old"
        assert (tmp_path / "a.partial.mp4").exists()
    assert open_video(target).frames == 1


FULL_DISK = """
import resource, sys
import numpy as np
from poseg.errors import OutputError
from poseg.io.video_writer import VideoWriter
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
rng = np.random.default_rng(0)
try:
    with VideoWriter(sys.argv[1], (128, 128), rate=25) as out:
        for i in range(200):
            out.write(rng.integers(0, 255, (128, 128, 3), np.uint8))
except OutputError as fault:
    print(out.frames, fault)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are those of Unix")
@pytest.mark.parametrize(("suffix", "room"), [(".mp4", 200_000), (".mp4", 0), (".webm", 0)])
def test_full_disk_is_reported_and_the_file_can_be_played(tmp_path, suffix, room):
    """Where there is no room for the header, FFmpeg would crash if it was asked to write again."""
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / f"a{suffix}"), str(room)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert f"a{suffix}: File too large; make room" in ended.stdout, (ended.returncode, ended.stderr)
    assert [left.name for left in tmp_path.iterdir()] == ([f"a.partial{suffix}"] if room else [])


# --- bad input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.avi", "a.gif", "a", "a.mp4.txt"])
def test_other_formats_are_rejected_with_the_supported_ones(tmp_path, name):
    with pytest.raises(VideoError, match=r"\.mp4, \.m4v, \.mov, \.mkv, \.webm"):
        VideoWriter(tmp_path / name, (120, 160))
    assert list(tmp_path.iterdir()) == []


def test_missing_encoder_is_reported(tmp_path, monkeypatch):
    def lacks(name, mode):
        raise av.codec.codec.UnknownCodecError(name)

    monkeypatch.setattr("poseg.io.video_formats.av.Codec", lacks)
    with pytest.raises(VideoError, match=r"libx264.*\.webm"):
        VideoWriter(tmp_path / "a.mp4", (120, 160))


def test_invalid_targets_are_reported(tmp_path):
    with pytest.raises(OutputError, match="no folder"):
        VideoWriter(tmp_path / "missing" / "a.mp4", (120, 160))
    (tmp_path / "dir.mp4").mkdir()
    with pytest.raises(OutputError, match="folder"):
        VideoWriter(tmp_path / "dir.mp4", (120, 160))
    with pytest.raises(OutputError, match="too long"):
        VideoWriter(tmp_path / ("n" * 252 + ".mp4"), (120, 160))


def test_invalid_frames_are_rejected(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", (120, 160), rate=RATE) as out:
        out.write(view(0), 0.5)
        for image in (view(0)[:-1], view(0)[..., 0], view(0).astype(np.float32)):
            with pytest.raises(ShapeError, match="image"):
                out.write(image)
        for time_s in (0.4, -1, float("nan"), float("inf")):
            with pytest.raises(VideoError, match="times start at 0"):
                out.write(view(0), time_s)
    with pytest.raises(VideoError, match="finished"):
        out.write(view(0))
    out.close()  # a second time does no harm
    assert open_video(tmp_path / "a.mp4").frames == 1


def test_video_without_frames_leaves_no_file(tmp_path):
    with pytest.raises(VideoError, match="No frame"), VideoWriter(tmp_path / "a.mp4", (120, 160)):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rate", [0, -5, float("nan"), 1e6])
def test_invalid_rates_are_rejected(tmp_path, rate):
    with pytest.raises(VideoError, match="frames a second"):
        VideoWriter(tmp_path / "a.mp4", (120, 160), rate=rate)


def test_source_is_not_overwritten(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", (120, 160), rate=RATE) as out:
        out.write(view(0))
    Path(tmp_path / "link.mp4").symlink_to("a.mp4")
    with open_video(tmp_path / "a.mp4") as clip:
        for name in ("a.mp4", "link.mp4"):
            with pytest.raises(VideoError, match="while it is read"):
                VideoWriter(tmp_path / name, clip.size, like=clip)


@pytest.mark.parametrize("time_base", [Fraction(11277, 209715200), Fraction(1, 2**31 - 1), Fraction(7, 3_000_001)])
def test_clocks_of_damaged_files_become_one_that_mp4_counts_for_half_an_hour(time_base):
    like = SimpleNamespace(time_base=time_base)
    tick = writing._tick(writing.video_format(Path("a.mp4")), Fraction(25), like)
    assert 1800 * tick.denominator < 2**31
