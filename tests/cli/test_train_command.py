"""`poseg train` and `poseg export`: what they reject, what they show, and a short run from end to end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
pytest.importorskip("onnx")

from poseg.cli.main import app  # noqa: E402

runner = CliRunner()
# As small as a run can be: two steps of two images.
SHORT = [
    f"--set=optim.{setting}" for setting in ("steps=2", "batch_size=2", "checkpoint_every=1", "warmup_steps=1")
] + ["--set=system.neck_channels=16", "--workers=0"]  # fmt: skip


def invoke(*arguments: object):
    return runner.invoke(app, [str(argument) for argument in arguments])


def test_train_dry_run_prints_every_field():
    result = invoke("train", "overfit_tiny", "--dry-run", "--set", "optim.lr=0.5")
    assert result.exit_code == 0
    assert "optim.lr = 0.5\n" in result.stdout
    assert "data = poseg.recipes.overfit_tiny:synthetic\n" in result.stdout


def test_init_replaces_whatever_the_recipe_starts_from():
    result = invoke("train", "personlab_coco", "--dry-run", "--init", "small")
    assert result.exit_code == 0
    lines = [line.strip() for line in result.stdout.splitlines() if line.startswith("init.")]
    assert lines == ["init.backbone =", "init.google =", "init.tinypose =", "init.checkpoint = small"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["overfit_tinny", "--dry-run"], "did you mean overfit_tiny"),
        (["overfit_tiny", "--set", "optim.stepps=3"], "did you mean optim.steps"),
        (["overfit_tiny", "--set", "optim.steps=many"], "optim.steps takes a whole number"),
        (["overfit_tiny"], "--data DIR and --out RUN"),
    ],
)
def test_train_reports_errors_in_a_sentence(arguments, message):
    result = invoke("train", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_export_rejects_a_folder_without_a_run(tmp_path: Path):
    result = invoke("export", tmp_path, "-o", tmp_path / "model.onnx")
    assert result.exit_code == 2
    assert "holds no recipe.json" in result.stderr
    result = invoke("export", tmp_path, "-o", tmp_path / "model.onnx", "--recipe", "overfit_tiny")
    assert result.exit_code == 2
    assert "no checkpoint" in result.stderr


@pytest.mark.slow
def test_train_then_export(tmp_path: Path):
    run, command = tmp_path / "run", ["train", "overfit_tiny", "--data", tmp_path / "drawn", "--out", tmp_path / "run"]
    result = invoke(*command, *SHORT, "--set=validation.every=2", "--set=validation.limit=2")
    assert result.exit_code == 0, result.output
    assert "step 2/2" in result.stderr
    assert json.loads((run / "recipe.json").read_text())["recipe"] == "overfit_tiny"
    assert len((run / "log.jsonl").read_text().splitlines()) == 2
    (scores,) = [json.loads(line) for line in (run / "validation.jsonl").read_text().splitlines()]
    assert scores["step"] == 2
    assert 0 <= scores["keypoint_ap"] <= 1

    rejected = invoke(*command, *SHORT, "--set=optim.lr=1")
    assert rejected.exit_code == 2
    assert "optim.lr, " not in rejected.stderr
    assert "other settings: optim.lr differ" in rejected.stderr
    longer = invoke(*command, *SHORT, "--set=optim.steps=3")
    assert longer.exit_code == 0, longer.output
    assert len((run / "log.jsonl").read_text().splitlines()) == 3

    model = tmp_path / "tiny.onnx"
    result = invoke(
        "export", run, "-o", model, "--set=card.inference.long_edge_px=97", "--images", tmp_path / "drawn" / "images"
    )
    assert result.exit_code == 0, result.output
    assert "on 8 images" in result.stdout
    shown = invoke("models", model)
    assert "97 px" in shown.stdout


def two_steps(tmp_path: Path, recipe: str, *settings: str) -> list[dict[str, Any]]:
    """What a run of two steps on drawn people in COCO's layout logs."""
    from poseg.datasets.synthetic_people import write_synthetic_people

    folder, run = tmp_path / "coco", tmp_path / "run"
    write_synthetic_people(folder, images=4, size=(97, 129), seed=1)
    (folder / "images").rename(folder / "train2017")
    (folder / "annotations.json").rename(folder / "person_keypoints_train2017.json")
    small = ("optim.steps=2", "optim.batch_size=2", "input.side_px=97", "init.backbone=", *settings)
    result = invoke(
        "train", recipe, "--data", folder, "--out", run, "--workers=0", *(f"--set={setting}" for setting in small)
    )
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert len(lines) == 2
    return lines


@pytest.mark.slow
def test_train_runs_the_papers_recipe_on_a_tiny_coco(tmp_path: Path):
    lines = two_steps(
        tmp_path, "personlab_coco", "optim.precision=fp32", "optim.accumulation_steps=2", "system.backbone=resnet50"
    )
    assert "coarse" in lines[0]["losses"], "supervised within the backbone too"


@pytest.mark.slow
def test_train_runs_the_published_schedule_of_pose2seg(tmp_path: Path):
    lines = two_steps(
        tmp_path, "pose2seg_cocopersons", "input.augmentation.image_px=97,97", "validation.every=0",
        "system.neck_channels=32", "system.stem_width=16", "system.width=8", "system.blocks=2",
    )  # fmt: skip
    assert set(lines[0]["losses"]) == {"mask", "total"}
