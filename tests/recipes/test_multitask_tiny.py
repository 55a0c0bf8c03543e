"""The multi-task network from nothing: synthetic people, a resumed run, a model file, PCK, and analysis."""

from __future__ import annotations

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
pytest.importorskip("onnx")

import poseg  # noqa: E402
from poseg.cli.main import app  # noqa: E402
from poseg.fields import sigmoid  # noqa: E402
from poseg.io.overrides import to_dict  # noqa: E402
from poseg.recipes import find_recipe  # noqa: E402
from poseg.recipes.tasks import train_dataset  # noqa: E402

RECIPE = "multitask_overfit_tiny"
STEPS = 150
runner = CliRunner(env={"POSEG_DEBUG": "", "COLUMNS": "120"})


def invoke(*arguments: object):
    return runner.invoke(app, [str(argument) for argument in arguments])


def rejected(*arguments: object) -> str:
    """The one sentence that a command ends with."""
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.output
    return result.stderr


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that was stopped after its first step and then resumed, and its model."""
    home = tmp_path_factory.mktemp("tiny")
    data, run, model = home / "synthetic", home / "run", home / "tiny.onnx"
    command = ["train", RECIPE, "--data", data, "--out", run, "--workers", "0"]
    stopped = invoke(*command, "--max-minutes", "0")
    assert stopped.exit_code == 0, stopped.output
    first = (run / "log.jsonl").read_text().splitlines()
    finished = invoke(*command)
    assert finished.exit_code == 0, finished.output
    exported = invoke("export", run, "-o", model, "--images", data / "images")
    assert exported.exit_code == 0, exported.output
    return SimpleNamespace(data=data, run=run, model=model, first=first, exported=exported.stdout)


@pytest.mark.slow
def test_a_stopped_run_is_resumed(trained):
    lines = [json.loads(line) for line in (trained.run / "log.jsonl").read_text().splitlines()]
    assert [json.loads(line)["step"] for line in trained.first] == [1]
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    assert lines[0] == json.loads(trained.first[0])
    assert set(lines[0]["losses"]) == {"joints", "joint_windows", "part_windows", "total"}
    assert lines[-1]["losses"]["joints"] < 0.1 * lines[0]["losses"]["joints"]
    assert lines[-1]["losses"]["total"] < 0.2 * lines[0]["losses"]["total"]


@pytest.mark.slow
def test_multitask_overfits_eight_images(trained):
    assert "on 8 images" in trained.exported
    scores = trained.run / "scores.json"
    done = invoke(
        "evaluate", "--metric", "pck", "--model", trained.model, "--data", trained.data / "annotations.json",
        "--images", trained.data / "images", "--json", scores,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    plain = json.loads(scores.read_text())
    assert (plain["persons"], plain["num_matched"]) == (13, 13)
    assert plain["scores"]["pck_box"]["overall"]["value"] > 0.9


@pytest.mark.slow
def test_predictions_differ_between_crops_as_the_targets_do(trained):
    recipe = find_recipe(RECIPE)
    dataset = train_dataset(recipe, trained.data)
    items = [dataset[position] for position in range(24)]
    fields = poseg.load(trained.model).model.run(torch.stack([item["image"] for item in items]).numpy())

    def of_items(kind: str, name: str) -> np.ndarray:
        return np.concatenate([item[kind][name].numpy() for item in items], axis=-2)

    # The mean pose would satisfy many: positions must differ between crops as the targets do.
    valid, joints = of_items("weights", "joints")[:, None] > 0, of_items("targets", "joints")
    variances = [np.nanvar(np.where(valid, xy, np.nan), axis=-2).mean() for xy in (fields["joints"], joints)]
    assert variances[0] > 0.1 * variances[1]
    gap, offset = fields["joints"] - joints, joints - np.nanmean(np.where(valid, joints, np.nan), axis=-2)[..., None, :]
    assert (gap**2)[valid[:, [0, 0]]].mean() < 0.3 * (offset**2)[valid[:, [0, 0]]].mean()
    for name in ("joint_windows", "part_windows"):
        counts = of_items("weights", name) > 0
        target, predicted = of_items("targets", name)[counts] > 0.5, sigmoid(fields[name])[counts] > 0.5
        assert target.mean() < 0.4, "so that a network that predicts no window would fail"
        assert predicted[target].mean() > 0.7
        assert predicted[~target].mean() < 0.1


@pytest.mark.slow
def test_analyze_writes_figures_tables_and_a_summary(trained, tmp_path):
    out = tmp_path / "learned"
    done = invoke("analyze", trained.run, "--data", trained.data, "--out", out, "--crops", "50")
    assert done.exit_code == 0, done.output
    figures = ("neurons_conv2", "neurons_conv3", "correlation_weights", "correlation_data", "co_sparsity")
    tables = (*figures, "neurons_conv2_sources", "neurons_conv3_sources", "side_pairs", "summary")
    expected = {
        *(f"{name}.{kind}" for name in figures for kind in ("png", "svg")), *(f"{name}.csv" for name in tables),
        "summary.md",
    }  # fmt: skip
    assert {path.name for path in out.iterdir()} == expected
    assert sorted(done.stdout.split()) == sorted(str(out / name) for name in expected)
    for name in figures:
        with Image.open(out / f"{name}.png") as page:
            pixels = np.asarray(page.convert("L"))
        assert min(pixels.shape) > 300
        assert pixels.std() > 5, "and something is on it"
    for name in tables:
        with (out / f"{name}.csv").open(newline="") as file:
            heading, *rows = csv.reader(file)
        assert rows
        assert {len(row) for row in rows} == {len(heading)}
    with (out / "correlation_weights.csv").open(newline="") as file:
        values = [[float(value) for value in row[2:] if value] for row in list(csv.reader(file))[1:]]
    assert max(abs(value) for row in values for value in row) <= 1 + 1e-6
    with (out / "neurons_conv3.csv").open(newline="") as file:
        joints = {row["joint"] for row in csv.DictReader(file)} - {""}
    assert joints <= set(find_recipe(RECIPE).system.skeleton.joints)
    assert joints
    summary = (out / "summary.md").read_text()
    assert "| conv2 |" in summary
    assert " nan" not in summary


SMALL_CROPS = """
from dataclasses import replace
from poseg.recipes.multitask import RECIPE as BUNDLED
from poseg.recipes.overfit_tiny import NO_AUGMENTATION, synthetic

RECIPE = replace(
    BUNDLED,
    system=replace(BUNDLED.system, crop_size_px=(64, 32), window_px=16, window_stride_px=8, detection_hidden=(8, 8)),
    input=replace(BUNDLED.input, augmentation=NO_AUGMENTATION, distilled=()),
    optim=replace(BUNDLED.optim, steps=2, batch_size=4),
    data=synthetic,
)
"""


@pytest.mark.slow
def test_the_bundled_recipe_runs_is_distilled_from_its_start_and_exports_heatmaps_alone(tmp_path):
    recipe, first, second = tmp_path / "small.py", tmp_path / "first", tmp_path / "second"
    recipe.write_text(SMALL_CROPS)
    run = ("train", recipe, "--data", tmp_path / "synthetic", "--workers", "0", "--out")
    started = ("--set", f"init.checkpoint={first}", "--set", "input.distilled=synthetic")
    assert "give init.tinypose or init.checkpoint" in rejected(*run, second, *started[2:])
    for arguments in ((first,), (second, *started)):
        done = invoke(*run, *arguments)
        assert done.exit_code == 0, done.output
        losses = json.loads((arguments[0] / "log.jsonl").read_text().splitlines()[-1])["losses"]
        assert set(losses) == {"heatmap", "joint_windows", "part_windows", "total"}
    model = tmp_path / "crops.onnx"
    exported = invoke("export", second, "-o", model, "--set", "system.tasks=heatmap", "--wise-ft-alpha", "0.5")
    assert exported.exit_code == 0, exported.output
    pose_model = poseg.load(model)
    assert pose_model.model.codec.tasks == ("heatmap",)
    image = next((tmp_path / "synthetic" / "images").iterdir())
    people = pose_model(image, [[0, 0, 60, 90], [20, 10, 100, 120]])
    assert (len(people), people.skeleton) == (2, poseg.COCO17)


# Bad input.


def empty_run(folder, recipe: str):
    """The folder of a run that has not made a step."""
    folder.mkdir()
    plain = {"recipe": recipe, "settings": to_dict(find_recipe(recipe))}
    (folder / "recipe.json").write_text(json.dumps(plain))
    return folder


@pytest.mark.parametrize("recipe", ["overfit_tiny", "lifter"])
def test_analyze_rejects_runs_of_other_systems(tmp_path, recipe):
    message = rejected("analyze", empty_run(tmp_path / "run", recipe), "--data", tmp_path, "--out", tmp_path / "out")
    assert f"is a run of the recipe {recipe}; only multi-task networks are analysed" in message
    assert not (tmp_path / "out").exists()


def test_analyze_rejects_folders_without_a_run_or_its_weights(tmp_path):
    assert "holds no recipe.json" in rejected("analyze", tmp_path, "--data", tmp_path, "--out", tmp_path / "out")
    run = empty_run(tmp_path / "run", RECIPE)
    assert "There is no checkpoint" in rejected("analyze", run, "--data", tmp_path, "--out", tmp_path / "out")


@pytest.mark.parametrize(
    ("recipe", "missing"),
    [("multitask_paper", "joints.npz"), ("multitask_3d", "cmu_asfamc_fk_5fps.npz"), ("lifter", ".npz")],
)
def test_train_names_a_missing_data_folder(tmp_path, recipe, missing):
    small = ["--set=system.width=8"] if recipe == "lifter" else ["--set=system.regression_hidden=8,8"]
    message = rejected(
        "train", recipe, "--data", tmp_path / "none", "--out", tmp_path / "run", "--workers", "0", *small
    )
    assert missing in message
    assert str(tmp_path / "none") in message
    assert not (tmp_path / "run").exists()
