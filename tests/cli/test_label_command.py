"""`poseg label`, end to end with a model of one convolution."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from poseg.cli.main import app
from poseg.io.files import read_json
from poseg.io.images import read_image, write_png


@pytest.fixture
def folder(tmp_path, spots):
    place = tmp_path / "images"
    place.mkdir()
    write_png(place / "one.png", spots((70, 90), (180, 100)))
    return place


def run(*arguments):
    return CliRunner().invoke(app, ["label", *map(str, arguments)])


def test_label_writes_labels_of_a_folder(folder, tmp_path, model_path):
    out, sheets = tmp_path / "ann.json.gz", tmp_path / "sheets"
    teachers = ("-t", model_path, "-t", model_path, "--long-edge", "257", "--weight", 1, "--weight", 0.8)
    done = run(folder, "-o", out, *teachers, "--no-flip", "--contact-sheets", sheets)
    assert done.exit_code == 0, done.output
    assert "2 people" in done.output
    plain = read_json(out)
    assert len(plain["annotations"]) == 2
    assert [one["weight"] for one in plain["info"]["teachers"]] == [1.0, 0.8]
    assert read_image(sheets / "0001.png").shape[2] == 3


def test_label_skips_its_own_contact_sheets(folder, tmp_path, model_path):
    arguments = (
        folder,
        "-o",
        tmp_path / "ann.json",
        "-t",
        model_path,
        "--long-edge",
        "257",
        "--contact-sheets",
        folder / "sheets",
    )
    for _ in range(2):
        assert run(*arguments).exit_code == 0
        assert len(read_json(tmp_path / "ann.json")["images"]) == 1


def test_label_finishes_the_images_after_a_broken_one(folder, tmp_path, model_path):
    (folder / "broken.jpg").write_bytes(b"x")
    done = run(folder, "-o", tmp_path / "ann.json", "-t", model_path, "--long-edge", "257")
    assert done.exit_code == 2
    assert "broken.jpg" in done.output
    assert len(read_json(tmp_path / "ann.json")["images"]) == 1


@pytest.mark.parametrize(
    "options", [("--long-edge", "12"), ("--long-edge", "a,b"), ("--weight", 1, "--weight", 1), ("--tiles", "9x9")]
)
def test_label_reports_bad_options_in_a_sentence(options, folder, tmp_path, model_path):
    done = run(folder, "-o", tmp_path / "ann.json", "-t", model_path, *options)
    assert done.exit_code == 2
    assert done.output.startswith("poseg: ")
    assert len(done.output.splitlines()) <= 2
