"""Pose2Seg's whole road, from nothing: drawn people, training, a model file, true poses in, COCO's evaluator."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
pytest.importorskip("onnx")

import poseg  # noqa: E402
from poseg.cli.main import app  # noqa: E402
from poseg.evaluation import evaluate, ground_truth_people  # noqa: E402

pytestmark = pytest.mark.slow  # about a minute on two free cores


def test_masks_of_eight_pictures_are_learned_by_heart(tmp_path):
    runner, data, run, model = CliRunner(), tmp_path / "drawn", tmp_path / "run", tmp_path / "tiny.onnx"
    command = ["train", "pose2seg_overfit_tiny", "--data", str(data), "--out", str(run), "--workers", "0"]
    trained = runner.invoke(app, command)
    assert trained.exit_code == 0, trained.output
    exported = runner.invoke(app, ["export", str(run), "-o", str(model), "--images", str(data / "pictures")])
    assert exported.exit_code == 0, exported.output
    annotations = data / "annotations.json"
    report = evaluate(poseg.load(model), annotations, data / "pictures", people=ground_truth_people(annotations))
    assert report.images == 8
    assert report.masks["AP"] > 0.9
