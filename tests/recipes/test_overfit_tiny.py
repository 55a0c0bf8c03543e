"""From nothing to scores: synthetic images, training, a model file, and COCO's own evaluator."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
pytest.importorskip("onnx")

import poseg  # noqa: E402
from poseg.cli.main import app  # noqa: E402
from poseg.evaluation import EvaluationReport, evaluate, ground_truth_people  # noqa: E402
from poseg.runtime.onnx_model import OnnxModel  # noqa: E402
from poseg.systems.poseg import PoSeg  # noqa: E402

pytestmark = pytest.mark.slow  # a minute or two each on two free cores


def trained_model(recipe: str, folder: Path) -> tuple[Path, Path]:
    """The data folder and the exported model of a run."""
    runner, data, run, model = CliRunner(), folder / "synthetic", folder / "run", folder / "tiny.onnx"
    trained = runner.invoke(app, ["train", recipe, "--data", str(data), "--out", str(run), "--workers", "0"])
    assert trained.exit_code == 0, trained.output
    exported = runner.invoke(app, ["export", str(run), "-o", str(model), "--images", str(data / "images")])
    assert exported.exit_code == 0, exported.output
    return data, model


def scores(model: object, data: Path, **options) -> EvaluationReport:
    report = evaluate(model, data / "annotations.json", data / "images", **options)
    assert report.images == 8
    return report


def test_personlab_overfits_eight_images(tmp_path):
    data, model = trained_model("overfit_tiny", tmp_path)
    report = scores(poseg.load(model, min_score=0.0), data)
    assert report.keypoints["AP"] > 0.95
    assert report.masks["AP"] > 0.9


def test_poseg_overfits_eight_images(tmp_path):
    data, model = trained_model("poseg_overfit_tiny", tmp_path)
    exported = OnnxModel(model)
    assert exported.card.system == "poseg"
    assert exported.codec == PoSeg(backbone="mobilenet_v3_small").codec
    assert set(exported.card.outputs) == {"paf", "heatmap", "background", "segmentation"}, "no field of training alone"
    report = scores(poseg.load(model, min_score=0.0), data)
    assert report.keypoints["AP"] > 0.9
    assert report.person_iou > 0.95


def test_pose2seg_overfits_the_masks_of_eight_images(tmp_path):
    data, model = trained_model("pose2seg_overfit_tiny", tmp_path)
    people = ground_truth_people(data / "annotations.json")
    assert scores(poseg.load(model), data, people=people).masks["AP"] > 0.9
