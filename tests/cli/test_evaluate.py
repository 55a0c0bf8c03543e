"""`poseg evaluate`, with a predictor that detects no people in place of a model."""

from __future__ import annotations

import json
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from poseg.cli import evaluate as command
from poseg.cli.predict_options import DetectOptions
from poseg.errors import OutputError
from poseg.io.images import write_png
from poseg.people import People
from poseg.skeletons import COCO17


class NoPeople:
    session = SimpleNamespace(card=SimpleNamespace(name="none"))

    def __call__(self, image):
        return People.empty(COCO17, image.shape[:2])


@pytest.fixture
def asked(monkeypatch):
    """The options that the predictor was built with."""
    seen = {}

    def build(options, **more):
        seen.update(asdict(options))
        return NoPeople()

    monkeypatch.setattr(DetectOptions, "build", build)
    return seen


@pytest.fixture
def arguments(tmp_path):
    plain = {
        "images": [{"id": 1, "file_name": "a.png", "height": 40, "width": 60}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 100, "bbox": [5, 5, 10, 10],
             "segmentation": [[5, 5, 15, 5, 15, 15, 5, 15]], "keypoints": [8, 8, 2] * 17, "num_keypoints": 17}
        ],
        "categories": [{"id": 1, "name": "person"}],
    }  # fmt: skip
    (tmp_path / "truth.json").write_text(json.dumps(plain))
    write_png(tmp_path / "a.png", np.zeros((40, 60, 3), np.uint8))
    return ["--data", str(tmp_path / "truth.json"), "--images", str(tmp_path)]


def run(arguments):
    app = typer.Typer()
    app.command()(command.evaluate)
    return CliRunner().invoke(app, arguments)


def test_evaluate_writes_and_shows_scores_and_results(asked, arguments, tmp_path):
    scores, results = tmp_path / "scores.json", tmp_path / "results.json"
    more = ["--json", str(scores), "--results", str(results), "--long-edge", "257", "--flip", "--scales", "0.5,1"]
    done = run([*arguments, *more, "--model", "mine"])
    assert done.exit_code == 0, done.output
    plain = json.loads(scores.read_text())
    assert (plain["images"], plain["persons"], plain["keypoints"]["AP"], plain["model"]) == (1, 1, 0, "none")
    assert json.loads(results.read_text()) == []
    for name in (*plain["keypoints"], *plain["masks"], "person IoU", "ms postprocess"):
        assert name in done.stdout
    assert asked["model"] == "mine"
    assert (asked["long_edge"], asked["flip"], asked["scales"]) == (257, True, "0.5,1")


def test_evaluate_checks_outputs_before_the_run(asked, arguments, tmp_path):
    done = run([*arguments, "--json", str(tmp_path / "nowhere" / "scores.json")])
    assert isinstance(done.exception, OutputError)
    assert asked == {}
