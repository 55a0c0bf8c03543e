"""What was finished is kept, and the rest goes on: Ctrl-C, full disks, unwritable files, long names, broken entries."""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from poseg.cli.main import app
from poseg.cli.outputs import LONGEST_ENDING, unique_names
from poseg.io.files import MAX_NAME_BYTES, fit_name

NAMES = ("a.png", "b.png", "c.png", "d.png")
LONG = "中" * 82  # 246 bytes


@pytest.fixture
def poseg(model_path, spots, monkeypatch, tmp_path):
    """Runs the command line in a fresh folder that holds four images of a person."""
    monkeypatch.delenv("POSEG_DEBUG", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for name in NAMES:
        save(name, spots((60, 70)))

    def run(command, *arguments, out="out"):
        model = ("--out", out, "--model", "../spots.onnx")
        return CliRunner().invoke(app, [*command.split(), *map(str, arguments), *model])

    return run


def save(path, image):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def listed():
    return [record["file_name"] for record in json.loads(Path("out/results.json").read_bytes())]


def written():
    return {path.name for path in Path("out").iterdir()}


@pytest.fixture
def interrupt(monkeypatch):
    """Ctrl-C while the third image is drawn."""
    module = import_module("poseg.draw.overlay")
    draw, calls = module.overlay, []

    def interrupted(image, people, **labels):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return draw(image, people)

    monkeypatch.setattr(module, "overlay", interrupted)


def test_ctrl_c_keeps_the_people_of_all_finished_images(poseg, interrupt):
    result = poseg("predict", *NAMES, "missing.mp4")
    assert result.exit_code == 130
    assert listed() == ["a.png", "b.png", "c.png"]  # the people of the third were known
    assert written() == {"results.json", "a.overlay.png", "b.overlay.png"}
    assert "3 of 4 images" in result.stdout


def test_ctrl_c_ends_an_effect_with_what_was_written(poseg, monkeypatch):
    module = import_module("poseg.io.image_metadata")
    write, calls = module.write_image, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        write(*arguments)

    monkeypatch.setattr(module, "write_image", interrupted)
    result = poseg("effect outline", *NAMES)
    assert result.exit_code == 130
    assert result.stdout.startswith("2 images written to out, stopped early")
    assert written() == {"a.effect.png", "b.effect.png"}


@pytest.mark.parametrize(("command", "ending"), [("predict", "overlay"), ("effect outline", "effect")])
def test_an_unwritable_output_does_not_stop_the_others(poseg, command, ending):
    Path(f"out/b.{ending}.png").mkdir(parents=True)
    result = poseg(command, *NAMES)
    assert result.exit_code == 2
    assert result.stderr.count("poseg:") == 1
    assert f"b.{ending}.png: it is a folder" in result.stderr
    assert {f"{name}.{ending}.png" for name in "acd"} < written()
    if command == "predict":
        assert listed() == list(NAMES)


def test_results_that_cannot_be_written_are_reported_before_any_work(poseg):
    Path("out/results.json").mkdir(parents=True)
    result = poseg("predict", *NAMES)
    assert result.exit_code == 2
    assert "results.json: it is a folder" in result.stderr
    assert written() == {"results.json"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="file size limits are for POSIX")
def test_a_full_disk_keeps_the_results_that_fit(poseg):
    import resource

    assert poseg("predict", "a.png", "--no-overlay").exit_code == 0
    size = Path("out/results.json").stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(2.5 * size), limits[1]))
    try:
        result = poseg("predict", *NAMES, "--no-overlay")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert result.exit_code == 2
    assert listed() == ["a.png", "b.png"]
    assert "It holds 2 of 4 people" in result.stderr
    assert not any(".partial" in name for name in written())


def test_a_repeat_after_a_fault_gives_the_same_results(poseg, interrupt):
    assert poseg("predict", *NAMES).exit_code == 130
    assert poseg("predict", *NAMES).exit_code == 0
    assert poseg("predict", *NAMES, out="fresh").exit_code == 0
    assert Path("out/results.json").read_bytes() == Path("fresh/results.json").read_bytes()


def test_long_names_are_cut_to_names_of_their_own(poseg, spots):
    for end in ("国", "人"):
        save(f"{LONG}{end}.png", spots((60, 70)))
    result = poseg("predict", ".")
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("2 names are too long") == 1
    assert listed() == sorted([*NAMES, f"{LONG}国.png", f"{LONG}人.png"])
    assert len([name for name in written() if name.startswith("中") and name.endswith(".overlay.png")]) == 2
    assert poseg("effect outline", ".").exit_code == 0


@pytest.mark.parametrize("stem", ["a", "n" * 231, "n" * 232, "n" * 255, "中" * 85, "é" * 127, "\udcff" * 250])
@pytest.mark.parametrize("ending", ["", ".png", LONGEST_ENDING])
def test_names_fit_and_stay_different(stem, ending):
    name = fit_name(stem, ending)
    assert len(os.fsencode(name)) <= MAX_NAME_BYTES
    assert name.endswith(ending)
    assert name == stem + ending or len(os.fsencode(stem + ending)) > MAX_NAME_BYTES
    assert fit_name(stem[:-1] + "x", ending) != name


def test_names_that_one_file_system_takes_for_the_same_get_numbers():
    names = unique_names([Path("x/caf\u00e9.png"), Path("y/cafe\u0301.png"), Path("z/CAF\u00c9.png")])
    assert names == ["caf\u00e9", "cafe\u0301.png", "CAF\u00c9.png-2"]


@pytest.fixture
def broken(poseg):
    """Entries that cannot be read beside the images: links to nothing and in a circle, a pipe."""
    os.symlink("nowhere.png", "gone.png")
    os.symlink("loop.jpg", "loop.jpg")
    os.symlink("loop.mp4", "loop.mp4")
    os.symlink("nowhere.txt", "gone.txt")
    os.mkfifo("pipe.jpg")
    return poseg


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes in folders are for POSIX")
@pytest.mark.parametrize(("command", "source"), [("predict", "."), ("predict", "**/*"), ("effect outline", "*")])
def test_entries_that_cannot_be_read_are_named_and_left_out(broken, command, source):
    result = broken(command, source)
    assert result.exit_code == 2
    for name in ("gone.png", "loop.jpg", "loop.mp4", "pipe.jpg"):
        assert result.stderr.count(name) == 1
    assert "gone.txt" not in result.stderr
    assert sum(name.endswith((".overlay.png", ".effect.png")) for name in written()) == 4


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes in folders are for POSIX")
@pytest.mark.parametrize("name", ["gone.png", "loop.jpg", "loop.mp4", "pipe.jpg"])
def test_an_entry_that_cannot_be_read_is_a_sentence_when_it_is_named(broken, name):
    result = broken("predict", name, "a.png")
    assert result.exit_code == 2
    assert result.stderr.count("poseg:") == 1
    assert listed() == ["a.png"]
