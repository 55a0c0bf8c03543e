from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner, Result

from poseg.cli.main import app
from poseg.cli.outputs import unique_names
from poseg.cli.predict_options import MAX_PEOPLE, MIN_SCORE, DetectOptions
from poseg.io.coco_results import read_results
from poseg.runtime.card import CARD_VERSION
from poseg.runtime.models import MAX_PEOPLE as LOADED_MAX_PEOPLE
from poseg.runtime.models import MIN_SCORE as LOADED_MIN_SCORE

Spots = Callable[..., NDArray[np.uint8]]
Poseg = Callable[..., Result]


@pytest.fixture
def poseg(model_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Poseg:
    """Runs the command line in a fresh folder, with the model of red spots at hand as ../spots.onnx."""
    monkeypatch.delenv("POSEG_DEBUG", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def save(path: str, image: NDArray[np.uint8]) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def predict(poseg: Poseg, *arguments: object) -> Result:
    return poseg("predict", *arguments, "--out", "out", "--model", "../spots.onnx")


def written() -> set[str]:
    return {path.name for path in Path("out").iterdir()}


def test_predict_writes_results_and_overlays(poseg: Poseg, spots: Spots) -> None:
    save("photos/one.png", spots((60, 70)))
    save("photos/two.png", spots((60, 70), (190, 120)))
    save("photos/none.png", spots())
    result = predict(poseg, "photos", "--masks")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("3 people in 3 images; median ")
    assert result.stdout.count("\n") == 1
    assert result.stderr == ""
    names = {f"{stem}.{kind}.png" for stem in ("one", "two", "none") for kind in ("overlay", "masks")}
    assert written() == {"results.json", *names}
    records = json.loads(Path("out/results.json").read_text())
    assert sorted(record["file_name"] for record in records) == ["one.png", "two.png", "two.png"]
    assert len({record["id"] for record in records}) == 3
    by_image = read_results("out/results.json")
    assert sorted(len(people) for people in by_image.values()) == [1, 2]


def test_predict_results_and_label_map_agree(poseg: Poseg, spots: Spots) -> None:
    save("17.png", spots((60, 70), (190, 120)))
    assert predict(poseg, "17.png", "--masks").exit_code == 0
    people = read_results("out/results.json")[17]
    labels = np.asarray(Image.open("out/17.masks.png"))
    assert labels.shape == (193, 257)
    assert set(np.unique(labels)) == {0, 1, 2}
    for number, (hips, mask) in enumerate(zip(people.keypoints[:, 11:13].mean(axis=1), people.masks, strict=True), 1):
        centre = min([(60, 70), (190, 120)], key=lambda spot: np.hypot(*(hips - spot)))
        assert np.hypot(*(hips - centre)) < 4
        assert labels[centre[1], centre[0]] == number
        assert ((labels == number) == mask).mean() > 0.999
    overlay = np.asarray(Image.open("out/17.overlay.png"))
    assert (overlay != np.asarray(Image.open("17.png"))).any(axis=2)[labels > 0].mean() > 0.9


def test_predict_finishes_the_images_after_a_bad_one(poseg: Poseg, spots: Spots) -> None:
    save("a.png", spots((60, 70)))
    save("b.png", spots((60, 70)))
    Path("b.png").write_bytes(Path("b.png").read_bytes()[:200])
    save("c.png", spots((190, 120)))
    result = predict(poseg, "a.png", "b.png", "c.png")
    assert result.exit_code == 2
    assert result.stderr.startswith("poseg: b.png is damaged")
    assert result.stderr.count("\n") == 1
    assert result.stdout.startswith("2 people in 2 images")
    assert written() == {"results.json", "a.overlay.png", "c.overlay.png"}
    assert len(json.loads(Path("out/results.json").read_text())) == 2


def test_predict_names_sources_without_images(poseg: Poseg, spots: Spots) -> None:
    Path("empty").mkdir()
    save("a.png", spots((60, 70)))
    result = predict(poseg, "missing.jpg", "empty", "*.tiff", "a.png")
    assert result.exit_code == 2
    assert [line.split()[-1] for line in result.stderr.splitlines()] == ["name.", "pattern.", "quotes."]
    assert result.stdout.startswith("1 person in 1 image;")


def test_predict_writes_nothing_where_nothing_could_be_read(poseg: Poseg) -> None:
    Path("bad.png").write_bytes(b"no image")
    assert predict(poseg, "missing.jpg").exit_code == 2
    assert not Path("out").exists()
    assert predict(poseg, "bad.png").exit_code == 2
    assert written() == set()


def test_predict_gives_images_of_one_name_files_of_their_own(poseg: Poseg, spots: Spots) -> None:
    for path in ("x/a.png", "y/a.png", "y/a.bmp"):
        save(path, spots((60, 70)))
    assert predict(poseg, "x", "y").exit_code == 0
    assert written() == {"results.json", "a.overlay.png", "a.bmp.overlay.png", "a.png.overlay.png"}
    records = json.loads(Path("out/results.json").read_text())
    assert [record["file_name"] for record in records] == ["x/a.png", "y/a.bmp", "y/a.png"]


def test_predict_output_folder_may_be_the_source(poseg: Poseg, spots: Spots) -> None:
    save("out/a.png", spots((60, 70)))
    for _ in range(2):
        assert predict(poseg, "out", "--masks").exit_code == 0
        assert written() == {"a.png", "results.json", "a.overlay.png", "a.masks.png"}


def test_unique_names_are_unique() -> None:
    paths = [Path(name) for name in ("a.jpg", "b/A.jpg", "c/a.jpg", "a.jpg.png", "d/a.jpg")]
    names = unique_names(paths)
    assert names[0] == "a"
    assert len({name.lower() for name in names}) == len(paths)


def test_predict_options_reach_the_predictor(poseg: Poseg, spots: Spots) -> None:
    save("a.png", spots((60, 70), (190, 120)))
    result = predict(
        poseg, "a.png", "--max-people", "1", "--no-overlay", "--threads", "1", "--long-edge", "257", "--scales", "1,1"
    )
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("1 person")
    assert written() == {"results.json"}
    assert predict(poseg, "a.png", "--min-score", "1").stdout.startswith("0 people in 1 image")
    assert json.loads(Path("out/results.json").read_text()) == []


def test_detect_options_change_the_inference_of_the_card(model_path: Path) -> None:
    model = str(model_path)
    card = DetectOptions(model).build().inference
    assert DetectOptions(model, adaptive=True, scales="0.5,1").build().inference == replace(
        card, adaptive=True, scales=(0.5, 1.0)
    )
    assert DetectOptions(model, long_edge=129, flip=True).build().inference == replace(
        card, long_edge_px=129, flip=True
    )
    assert (MAX_PEOPLE, MIN_SCORE) == (LOADED_MAX_PEOPLE, LOADED_MIN_SCORE)
    assert DetectOptions(adaptive=False, flip=False).changed(DetectOptions()) == ["--flip", "--adaptive"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--scales", "big"], "--scales takes numbers"),
        (["--scales", "0"], "Scales are numbers above 0"),
        (["--long-edge", "3"], "64 to 4097"),
        (["--max-people", "0"], "--max-people"),
        (["--min-score", "2"], "--min-score"),
        (["--model", "missing"], "no model 'missing'"),
        (["--model", "missing.onnx"], "no file missing.onnx"),
        (["--model", "a.png"], "a.png is not an ONNX model"),
        (["--model", "bare.onnx"], "bare.onnx carries no poseg card"),
        (["--model", "future.onnx"], "upgrade poseg"),
        (["--out", "a.png"], "Cannot make the folder a.png"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_predict_reports_bad_options_in_a_sentence(
    poseg: Poseg, spots: Spots, model_bytes: Callable[..., bytes], options: list[str], complaint: str
) -> None:
    save("a.png", spots((60, 70)))
    Path("bare.onnx").write_bytes(model_bytes(card=None))
    Path("future.onnx").write_bytes(model_bytes(version=CARD_VERSION + 1))
    result = poseg("predict", "a.png", "--out", "out", "--model", "../spots.onnx", *options)
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""
    assert not Path("out").exists()


def test_predict_reports_results_that_cannot_be_written(poseg: Poseg, spots: Spots) -> None:
    save("a.png", spots((60, 70)))
    Path("out/results.json").mkdir(parents=True)
    result = predict(poseg, "a.png")
    assert result.exit_code == 2
    assert "Cannot write out/results.json" in result.stderr
