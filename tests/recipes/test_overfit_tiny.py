"""The whole road, from nothing: drawn pictures, training, a model file, and COCO's own evaluator."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
pytest.importorskip("onnx")

import poseg  # noqa: E402
from poseg.cli.main import app  # noqa: E402
from poseg.evaluation import evaluate  # noqa: E402

pytestmark = pytest.mark.slow  # about a minute on two free cores


def test_eight_pictures_are_learned_by_heart(tmp_path):
    runner, data, run, model = CliRunner(), tmp_path / "drawn", tmp_path / "run", tmp_path / "tiny.onnx"
    trained = runner.invoke(app, ["train", "overfit_tiny", "--data", str(data), "--out", str(run), "--workers", "0"])
    assert trained.exit_code == 0, trained.output
    exported = runner.invoke(app, ["export", str(run), "-o", str(model), "--images", str(data / "pictures")])
    assert exported.exit_code == 0, exported.output
    report = evaluate(poseg.load(model, min_score=0.0), data / "annotations.json", data / "pictures")
    assert report.images == 8
    assert report.keypoints["AP"] > 0.95
    assert report.masks["AP"] > 0.9
