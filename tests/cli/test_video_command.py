from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from importlib import import_module
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import Result

from poseg.cli.video_jobs import VideoStats, classify_sources
from poseg.errors import FieldError
from poseg.io import frames as frames_module
from poseg.io.people_jsonl import read_frames
from poseg.io.video_reader import open_video
from poseg.io.video_writer import VideoWriter
from poseg.runtime.models import load

Spots = Callable[..., NDArray[np.uint8]]
Poseg = Callable[..., Result]
Save = Callable[[str, NDArray[np.uint8]], None]

FRAMES, RATE, SIZE = 12, 20, (192, 256)


@pytest.fixture
def clip(poseg: Poseg, spots: Spots) -> Callable[..., list[NDArray[np.uint8]]]:
    """Writes a video in which one person stands and another walks, and gives its frames."""

    def write(path: str = "walk.mp4", frames: int = FRAMES) -> list[NDArray[np.uint8]]:
        images = [spots((60, 70), (200 - 2 * frame, 130), size=SIZE) for frame in range(frames)]
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with VideoWriter(path, images[0].shape[:2], rate=RATE) as writer:
            for image in images:
                writer.write(image)
        return images

    return write


@pytest.fixture
def predict(poseg: Poseg) -> Poseg:
    return lambda *arguments: poseg("predict", *arguments, "--out", "out", "--model", "../spots.onnx")


@pytest.fixture
def effect(poseg: Poseg) -> Poseg:
    return lambda *arguments: poseg("effect", *arguments, "--model", "../spots.onnx")


def written() -> set[str]:
    return {path.name for path in Path("out").iterdir()}


def images_of(path: str) -> NDArray[np.int16]:
    with open_video(path) as video:
        return np.stack([frame.image for frame in video]).astype(np.int16)


def people_of(path: str = "out/walk.people.jsonl"):
    return [people for _, _, people in read_frames(path)]


def walks(people) -> list[float]:
    """Speeds of all people over the clip, pixels a frame."""
    ids = people[0].ids.tolist()
    x = [[frame.keypoints[frame.ids == one, 11, 0].item() for frame in people] for one in sorted(ids)]
    return [float(np.polyfit(range(len(people)), path, 1)[0]) for path in x]


# Predict.


def test_predict_writes_overlay_and_lines_of_a_video(predict: Poseg, clip) -> None:
    images = clip()
    result = predict("walk.mp4")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"walk.mp4: 2 people in {FRAMES} frames; ")
    assert result.stdout.endswith("frames a second; written to out\n")
    assert result.stderr == ""
    assert written() == {"walk.overlay.mp4", "walk.people.jsonl"}
    file = read_frames("out/walk.people.jsonl")
    assert file.rate == RATE
    assert file.source == "walk.mp4"
    lines = list(file)
    assert [line.frame for line in lines] == list(range(FRAMES))
    assert [line.time_s for line in lines] == pytest.approx(np.arange(FRAMES) / RATE)
    assert all(sorted(line.people.ids.tolist()) == [0, 1] for line in lines)
    assert sorted(walks(people_of())) == pytest.approx([-2, 0], abs=0.5)
    with open_video("out/walk.overlay.mp4") as video:
        assert video.rate == RATE
        overlay = [frame.image for frame in video]
    masks = [np.asarray(line.people.masks).any(axis=0) for line in lines]
    for image, drawn, mask in zip(images, overlay, masks, strict=True):
        changed = np.abs(image.astype(int) - drawn).max(axis=2) > 24
        assert changed[mask].mean() > 0.8
        assert changed[~mask].mean() < 0.1


def test_predict_no_smooth_keeps_people_and_adds_ids(predict: Poseg, clip) -> None:
    clip()
    assert predict("walk.mp4", "--no-smooth", "--no-overlay").exit_code == 0
    assert written() == {"walk.people.jsonl"}
    model = load("../spots.onnx")
    with open_video("walk.mp4") as video:
        for frame, people in zip(video, people_of(), strict=True):
            np.testing.assert_allclose(people.keypoints, model(frame.image).keypoints, atol=0.006)


def test_predict_offline_smooths_a_video(predict: Poseg, clip) -> None:
    clip()
    result = predict("walk.mp4", "--offline")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"walk.mp4: 2 people in {FRAMES} frames; ")
    assert written() == {"walk.overlay.mp4", "walk.people.jsonl"}
    assert [people.ids.tolist() for people in people_of()] == [[0, 1]] * FRAMES
    assert all(np.asarray(people.masks).any(axis=(1, 2)).all() for people in people_of())
    assert sorted(walks(people_of())) == pytest.approx([-2, 0], abs=0.5)
    assert len(images_of("out/walk.overlay.mp4")) == FRAMES


def test_predict_takes_images_videos_and_folders_of_both(predict: Poseg, clip, spots: Spots, save: Save) -> None:
    clip("both/walk.mp4", 3)
    clip("both/a.MOV".replace("MOV", "mov"), 3)
    clip("clips/walk.mp4", 3)
    save("both/a.png", spots((60, 70)))
    save("b.png", spots((60, 70)))
    result = predict("both", "clips/*.mp4", "b.png", "--masks")
    assert result.exit_code == 0, result.stderr
    images = {f"{name}.{kind}.png" for name in "ab" for kind in ("overlay", "masks")}
    videos = {f"{name}.{kind}" for name in ("a", "walk", "walk.mp4") for kind in ("overlay.mp4", "people.jsonl")}
    assert written() == {"results.json", *images, *videos}
    assert result.stdout.count("\n") == 4


def test_predict_goes_on_with_what_can_be_written(predict: Poseg, clip, spots: Spots, save: Save) -> None:
    clip("a.mp4", 3)
    clip("b.mp4", 3)
    save("c.png", spots((60, 70)))
    Path("out/results.json").mkdir(parents=True)
    Path("out/a.overlay.mp4").mkdir()
    result = predict("c.png", "a.mp4", "b.mp4")
    assert result.exit_code == 2
    assert result.stderr.count("it is a folder") == 2
    assert written() == {"results.json", "a.overlay.mp4", "a.people.jsonl", "b.overlay.mp4", "b.people.jsonl"}
    assert len(people_of("out/a.people.jsonl")) == len(people_of("out/b.people.jsonl")) == 3


def test_predict_finishes_the_videos_after_a_bad_one(predict: Poseg, clip, spots: Spots, save: Save) -> None:
    clip("a.mp4", 3)
    Path("b.mp4").write_bytes(b"no video")
    clip("c.mp4", 3)
    save("d.png", spots((60, 70)))
    result = predict("missing.mp4", "a.mp4", "b.mp4", "missing.png", "camera:front", "c.mp4", "d.png")
    assert result.exit_code == 2
    for words in ("missing.mp4", "b.mp4", "missing.png", "such as camera:0, got camera:front"):
        assert words in result.stderr
    assert result.stderr.count("\n") == 4
    assert {"a.overlay.mp4", "c.overlay.mp4", "d.overlay.png"} <= written()
    assert not any(name.startswith(("b.", "missing")) for name in written())


def test_predict_keeps_the_good_frames_of_a_damaged_video(predict: Poseg, clip) -> None:
    clip("walk.mkv", 30)
    data = Path("walk.mkv").read_bytes()
    Path("walk.mkv").write_bytes(data[: int(0.6 * len(data))])
    for options in ((), ("--offline",)):
        result = predict("walk.mkv", *options)
        assert result.exit_code == 2
        assert "walk.mkv is damaged or cut short" in result.stderr
        count = len(people_of())
        assert 0 < count < 30
        assert len(images_of("out/walk.overlay.mp4")) == count
        assert f"in {count} frames" in result.stdout


@pytest.mark.parametrize("fault", [KeyboardInterrupt, FieldError("not finite")], ids=["ctrl-c", "error"])
def test_predict_keeps_the_frames_before_an_error(predict: Poseg, clip, monkeypatch, fault) -> None:
    module = import_module("poseg.draw.overlay")  # the folder has a function of that name

    clip("walk.mp4")
    clip("next.mp4", 2)
    draw, calls = module.overlay, []

    def interrupted(image, people, **labels):
        calls.append(1)
        if len(calls) == 6:
            raise fault
        return draw(image, people)

    monkeypatch.setattr(module, "overlay", interrupted)
    result = predict("walk.mp4", "next.mp4")
    assert "walk.mp4: 2 people in 5 frames" in result.stdout
    assert len(people_of()) == len(images_of("out/walk.overlay.mp4")) == 5
    assert not any(".partial" in name for name in written())
    if fault is KeyboardInterrupt:
        assert result.exit_code == 130
        assert "stopped early" in result.stdout
        assert "next.overlay.mp4" not in written()
    else:
        assert result.exit_code == 2
        assert "walk.mp4: not finite" in result.stderr
        assert "next.overlay.mp4" in written()


def test_predict_offline_keeps_the_lines_after_ctrl_c(predict: Poseg, clip, monkeypatch) -> None:
    import poseg.runtime.predictor as module

    clip("walk.mp4")
    views, calls = module.Predictor.views, []

    def interrupted(self, image):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return views(self, image)

    monkeypatch.setattr(module.Predictor, "views", interrupted)
    assert predict("walk.mp4", "--offline").exit_code == 130
    assert written() == {"walk.people.jsonl"}
    assert len(people_of()) == 3


class Device:
    """A camera of OpenCV's kind that ends with Ctrl-C."""

    def __init__(self, image: NDArray[np.uint8], last: int) -> None:
        self.image, self.last, self.count = image, last, 0

    def isOpened(self) -> bool:
        return True

    def set(self, *_: object) -> None: ...

    def get(self, _: int) -> float:
        return 20.0

    def read(self) -> tuple[bool, NDArray[np.uint8]]:
        self.count += 1
        if self.count > self.last:
            raise KeyboardInterrupt
        return True, self.image[..., ::-1]

    def release(self) -> None: ...


def test_predict_follows_a_camera_until_ctrl_c(predict: Poseg, spots: Spots, monkeypatch) -> None:
    really_open = frames_module.open_camera
    times = iter(np.arange(100) / 20)

    def opened(number: int):
        device = Device(spots((60, 70)), 6)
        return really_open(number, clock=lambda: float(next(times)), capture=lambda _: device)

    monkeypatch.setattr(frames_module, "open_camera", opened)
    result = predict("camera:0")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("camera 0: 1 person in 6 frames")
    assert written() == {"camera-0.overlay.mp4", "camera-0.people.jsonl"}
    assert len(images_of("out/camera-0.overlay.mp4")) == 6
    assert predict("camera:0", "--max-frames", "3").stdout.startswith("camera 0: 1 person in 3 frames")
    rejected = predict("camera:0", "--offline")
    assert rejected.exit_code == 2
    assert "cannot be read twice" in rejected.stderr


def test_predict_keeps_the_sound(predict: Poseg, clip) -> None:
    images = clip()
    with av.open("loud.mp4", "w") as file:
        stream, sound = file.add_stream("libx264", rate=RATE), file.add_stream("aac", rate=16000)
        stream.height, stream.width = SIZE
        for image in images:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        hum = np.sin(np.arange(int(16000 * FRAMES / RATE)) / 10).astype(np.float32)[None]
        tone = av.AudioFrame.from_ndarray(hum, format="fltp", layout="mono")
        tone.sample_rate, tone.pts, tone.time_base = 16000, 0, Fraction(1, 16000)
        for track, frame in ((sound, tone), (sound, None), (stream, None)):
            file.mux(track.encode(frame))
    assert predict("loud.mp4").exit_code == 0
    with open_video("out/loud.overlay.mp4") as video:
        assert video.has_audio
        assert video.rate == RATE
    assert predict("walk.mp4").exit_code == 0
    with open_video("out/walk.overlay.mp4") as video:
        assert not video.has_audio


def test_predict_webm_and_max_frames(predict: Poseg, clip) -> None:
    clip()
    assert predict("walk.mp4", "--webm", "--max-frames", "4").exit_code == 0
    assert written() == {"walk.overlay.webm", "walk.people.jsonl"}
    assert len(images_of("out/walk.overlay.webm")) == 4


def test_predict_output_folder_may_be_the_source(predict: Poseg, clip) -> None:
    clip("out/walk.mp4", 2)
    for _ in range(2):
        assert predict("out").exit_code == 0
        assert written() == {"walk.mp4", "walk.overlay.mp4", "walk.people.jsonl"}


def test_predict_rejects_a_bad_model_before_writing(poseg: Poseg, clip) -> None:
    clip()
    result = poseg("predict", "walk.mp4", "--out", "out", "--model", "missing")
    assert result.exit_code == 2
    assert "no model 'missing'" in result.stderr
    assert not Path("out").exists()


# Effects.


def test_effect_on_a_video_equals_the_effect_on_each_frame(effect: Poseg, clip) -> None:
    images = np.stack(clip()).astype(np.int16)
    result = effect("grey", "walk.mp4", "-o", "grey.mp4")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"walk.mp4: 2 people in {FRAMES} frames; ")
    assert result.stdout.endswith("written to grey.mp4\n")
    before, after = images_of("walk.mp4"), images_of("grey.mp4")
    colour = [np.ptp(clip, axis=3) for clip in (before, after)]
    corner = np.s_[:, :20, -20:]
    assert colour[0][corner].mean() > 50
    assert colour[1][corner].mean() < 10
    assert np.abs(after[0, 60:70, 58:63] - images[0, 60:70, 58:63]).mean() < 20


def test_effect_of_strength_0_keeps_a_video(effect: Poseg, clip) -> None:
    clip()
    assert effect("pixelate+grey", "walk.mp4", "-o", "same.mp4", "--strength", "0").exit_code == 0
    assert np.abs(images_of("same.mp4") - images_of("walk.mp4")).mean() < 2


def test_effect_picks_a_person_by_id_and_reads_people_from_a_file(
    poseg: Poseg, predict: Poseg, effect: Poseg, clip
) -> None:
    clip()
    assert predict("walk.mp4").exit_code == 0
    lines = people_of()
    for number in (0, 1):
        assert effect("outline", "walk.mp4", "-o", f"{number}.mp4", "--person", number).exit_code == 0
        options = ("--people", "out/walk.people.jsonl", "--person", number)
        assert poseg("effect", "outline", "walk.mp4", "-o", "again.mp4", *options).exit_code == 0
        changed = np.abs(images_of(f"{number}.mp4") - images_of("walk.mp4")).max(axis=3) > 60
        assert np.abs(images_of("again.mp4") - images_of(f"{number}.mp4")).mean() < 1
        for people, marks in zip(lines, changed, strict=True):
            centres = {int(one): people.keypoints[row, 11:13].mean(axis=0) for row, one in enumerate(people.ids)}
            y, x = np.nonzero(marks)
            assert len(x)
            near = {one: np.hypot(x - c[0], y - c[1]).mean() for one, c in centres.items()}
            assert min(near, key=near.get) == number
    assert effect("outline", "walk.mp4", "-o", "none.mp4", "--person", "9").exit_code == 0
    assert np.abs(images_of("none.mp4") - images_of("walk.mp4")).mean() < 2


def test_effect_takes_images_and_videos_at_once(effect: Poseg, clip, spots: Spots, save: Save) -> None:
    clip("walk.mp4", 3)
    save("a.png", spots((60, 70)))
    result = effect("outline", "walk.mp4", "a.png", "-o", "out", "--offline")
    assert result.exit_code == 0, result.stderr
    assert written() == {"walk.effect.mp4", "a.effect.png"}
    assert effect("outline", "out", "walk.mp4", "-o", "out").exit_code == 0  # what was made there is left alone
    assert written() == {"walk.effect.mp4", "a.effect.png"}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("grey", "walk.mp4", "a.png", "-o", "b.mp4"), "b.mp4 is one video"),
        (("grey", "walk.mp4", "-o", "b.png"), "b.png is an image and cannot hold a video"),
        (("grey", "walk.mp4", "-o", "walk.mp4"), "Cannot write walk.mp4 while it is read"),
        (("grey", "walk.mp4", "-o", "b.avi"), "Cannot write b.avi"),
        (("cutout", "walk.mp4", "-o", "b.mp4"), "A video has no transparency"),
        (("nothing", "walk.mp4", "-o", "b.mp4"), "no effect 'nothing'"),
    ],
)
def test_effect_rejects_impossible_videos(effect: Poseg, clip, spots: Spots, save: Save, arguments, complaint) -> None:
    clip("walk.mp4", 2)
    save("a.png", spots((60, 70)))
    result = effect(*arguments)
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert "Traceback" not in result.output
    assert not Path("b.mp4").exists()
    assert len(images_of("walk.mp4")) == 2


def test_effect_rejects_people_of_another_video(poseg: Poseg, predict: Poseg, clip) -> None:
    clip("walk.mp4", 2)
    clip("other.mp4", 2)
    assert predict("walk.mp4").exit_code == 0
    with VideoWriter("large.mp4", (300, 400)) as writer:
        writer.write(np.zeros((300, 400, 3), np.uint8))
    wrong = poseg("effect", "grey", "large.mp4", "-o", "b.mp4", "--people", "out/walk.people.jsonl")
    assert wrong.exit_code == 2
    assert "name the file of this video" in wrong.stderr
    both = poseg("effect", "grey", "walk.mp4", "other.mp4", "-o", "out", "--people", "out/walk.people.jsonl")
    assert both.exit_code == 2
    assert "the people of one video" in both.stderr


# Parts.


def test_classify_sources_by_kind(tmp_path: Path) -> None:
    for name in ("a.png", "b.MP4", "c.webm", ".hidden.mp4", "d.overlay.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    sources = classify_sources(
        [str(tmp_path), f"{tmp_path}/*.webm", "camera:3", "Camera:3", "gone.mov", "camera:", "x.jpg"], tmp_path
    )
    assert [path.name for path in sources.videos] == ["b.MP4", "c.webm"]
    assert sources.images == (str(tmp_path), "x.jpg")
    assert sources.cameras == (3,)
    assert len(sources.errors) == 2  # gone.mov, camera:
    assert classify_sources([str(tmp_path / "empty")]).images == (str(tmp_path / "empty"),)
    assert [path.name for path in classify_sources([str(tmp_path)]).videos] == ["b.MP4", "c.webm", "d.overlay.mp4"]


def test_video_stats_do_not_count_glimpses() -> None:
    stats = VideoStats([0.04 * frame for frame in range(10)], seconds=2.0)
    stats.frames_of_person.update({0: list(range(10)), 1: [3, 4, 5], 2: [0, 9]})
    assert stats.summary("a.mp4") == "a.mp4: 2 people in 10 frames; 5.0 frames a second"
    slow = VideoStats([float(frame) for frame in range(10)], stats.frames_of_person, seconds=2.0)
    assert slow.summary("a.mp4").startswith("a.mp4: 3 people")
    short = VideoStats([0.0], seconds=0.0, stopped=True)
    short.frames_of_person.update({0: [0]})
    assert short.summary("a.mp4") == "a.mp4: 1 person in 1 frame; 0.0 frames a second, stopped early"
