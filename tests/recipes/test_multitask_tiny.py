"""The multi-task road from nothing: drawn people, training in two sittings, a model file, PCK, and analysis."""

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
from poseg.recipes.roads import road_of  # noqa: E402

RECIPE = "multitask_overfit_tiny"
STEPS = 150
runner = CliRunner(env={"POSEG_DEBUG": "", "COLUMNS": "120"})


def invoke(*arguments: object):
    return runner.invoke(app, [str(argument) for argument in arguments])


def refused(*arguments: object) -> str:
    """The one sentence that a command ends with."""
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.output
    return result.stderr


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that was stopped after its first step and then went on, and its model."""
    home = tmp_path_factory.mktemp("tiny")
    data, run, model = home / "drawn", home / "run", home / "tiny.onnx"
    command = ["train", RECIPE, "--data", data, "--out", run, "--workers", "0"]
    stopped = invoke(*command, "--max-minutes", "0")
    assert stopped.exit_code == 0, stopped.output
    first = (run / "log.jsonl").read_text().splitlines()
    finished = invoke(*command)
    assert finished.exit_code == 0, finished.output
    exported = invoke("export", run, "-o", model, "--images", data / "pictures")
    assert exported.exit_code == 0, exported.output
    return SimpleNamespace(data=data, run=run, model=model, first=first, exported=exported.stdout)


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on(trained):
    lines = [json.loads(line) for line in (trained.run / "log.jsonl").read_text().splitlines()]
    assert [json.loads(line)["step"] for line in trained.first] == [1]
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    assert lines[0] == json.loads(trained.first[0])
    assert set(lines[0]["terms"]) == {"joints", "joint_windows", "part_windows", "total"}
    assert lines[-1]["terms"]["joints"] < 0.1 * lines[0]["terms"]["joints"]
    assert lines[-1]["terms"]["total"] < 0.2 * lines[0]["terms"]["total"]


@pytest.mark.slow
def test_joints_of_eight_pictures_are_learned_by_heart(trained):
    assert "on 8 pictures" in trained.exported
    scores = trained.run / "scores.json"
    done = invoke(
        "evaluate", "--metric", "pck", "--model", trained.model, "--data", trained.data / "annotations.json",
        "--images", trained.data / "pictures", "--json", scores,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    plain = json.loads(scores.read_text())
    assert (plain["persons"], plain["matched"]) == (13, 13)
    assert plain["scores"]["pck_box"]["overall"]["value"] > 0.9


@pytest.mark.slow
def test_every_crop_is_told_its_own_joints_and_windows(trained):
    recipe = find_recipe(RECIPE)
    views = road_of(recipe).items(recipe, trained.data)
    items = [views[position] for position in range(24)]
    fields = poseg.load(trained.model).session.run(torch.stack([item["image"] for item in items]).numpy())

    def of_items(kind: str, name: str) -> np.ndarray:
        return np.concatenate([item[kind][name].numpy() for item in items], axis=-2)

    # The mean pose would satisfy many: places must differ between crops as the true ones do.
    known, joints = of_items("weights", "joints")[:, None] > 0, of_items("targets", "joints")
    varied = [np.nanvar(np.where(known, places, np.nan), axis=-2).mean() for places in (fields["joints"], joints)]
    assert varied[0] > 0.1 * varied[1]
    gap, middle = fields["joints"] - joints, joints - np.nanmean(np.where(known, joints, np.nan), axis=-2)[..., None, :]
    assert (gap**2)[known[:, [0, 0]]].mean() < 0.3 * (middle**2)[known[:, [0, 0]]].mean()
    for name in ("joint_windows", "part_windows"):
        counts = of_items("weights", name) > 0
        held, sure = of_items("targets", name)[counts] > 0.5, sigmoid(fields[name])[counts] > 0.5
        assert held.mean() < 0.4, "so that a network that says no would be found out"
        assert sure[held].mean() > 0.7
        assert sure[~held].mean() < 0.1


@pytest.mark.slow
def test_analyze_writes_what_it_promises(trained, tmp_path):
    out = tmp_path / "learned"
    done = invoke("analyze", trained.run, "--data", trained.data, "--out", out, "--crops", "50")
    assert done.exit_code == 0, done.output
    figures = ("neurons_conv2", "neurons_conv3", "correlation_weights", "correlation_data", "co_sparsity")
    tables = (*figures, "neurons_conv2_sources", "neurons_conv3_sources", "side_pairs", "summary")
    promised = {
        *(f"{name}.{kind}" for name in figures for kind in ("png", "svg")), *(f"{name}.csv" for name in tables),
        "summary.md",
    }  # fmt: skip
    assert {path.name for path in out.iterdir()} == promised
    assert sorted(done.stdout.split()) == sorted(str(out / name) for name in promised)
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


# Bad input.


def run_of(folder, recipe: str):
    """A folder such as a run of a recipe begins."""
    folder.mkdir()
    plain = {"recipe": recipe, "settings": to_dict(find_recipe(recipe))}
    (folder / "recipe.json").write_text(json.dumps(plain))
    return folder


@pytest.mark.parametrize("recipe", ["overfit_tiny", "lifter"])
def test_runs_of_other_systems_are_not_analysed(tmp_path, recipe):
    said = refused("analyze", run_of(tmp_path / "run", recipe), "--data", tmp_path, "--out", tmp_path / "out")
    assert f"is a run of the recipe {recipe}; only multi-task networks are analysed" in said
    assert not (tmp_path / "out").exists()


def test_folders_without_a_run_or_its_weights_are_told(tmp_path):
    assert "holds no recipe.json" in refused("analyze", tmp_path, "--data", tmp_path, "--out", tmp_path / "out")
    run = run_of(tmp_path / "run", RECIPE)
    assert "There is no checkpoint" in refused("analyze", run, "--data", tmp_path, "--out", tmp_path / "out")


@pytest.mark.parametrize(
    ("recipe", "lacking"),
    [("multitask_published", "joints.npz"), ("multitask_3d", "cmu_asfamc_fk_5fps.npz"), ("lifter", ".npz")],
)
def test_a_data_folder_that_is_not_there_is_told(tmp_path, recipe, lacking):
    small = ["--set=system.width=8"] if recipe == "lifter" else ["--set=system.regression=8,8"]
    said = refused("train", recipe, "--data", tmp_path / "none", "--out", tmp_path / "run", "--workers", "0", *small)
    assert lacking in said
    assert str(tmp_path / "none") in said
    assert not (tmp_path / "run").exists()
