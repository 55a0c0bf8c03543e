"""`poseg evaluate`, with models that predict no people or the ground truth in place of a network."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from poseg.cli import predict_options as opt
from poseg.cli.main import app
from poseg.evaluation import card_scores
from poseg.people import People
from poseg.skeletons import COCO17, LSP14

POSE = np.random.default_rng(0).uniform(5, 95, (1, 14, 2))
runner = CliRunner(env={"COLUMNS": "100", "POSEG_DEBUG": ""})


class Perfect:
    name = "perfect"

    def __call__(self, image):
        return People.from_poses(LSP14, POSE, np.ones((1, 14)))


class PerfectTopDown(Perfect):
    needs_boxes = True

    def __call__(self, image, boxes_xyxy):
        assert boxes_xyxy.tolist() == [[0, 0, 100, 100]]
        return super().__call__(image)


class NoPeople:
    name = "none"

    def __call__(self, image):
        return People.empty(COCO17, image.shape[:2])


@pytest.fixture
def options(monkeypatch):
    """The options that the predictor was built with."""
    used = {}

    def build(self, **more):
        used.update(asdict(self))
        return NoPeople()

    monkeypatch.setattr(opt.DetectOptions, "build", build)
    return used


@pytest.fixture
def coco_arguments(tmp_path):
    plain = {
        "images": [{"id": 1, "file_name": "a.png", "height": 40, "width": 60}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 100, "bbox": [5, 5, 10, 10],
             "segmentation": [[5, 5, 15, 5, 15, 15, 5, 15]], "keypoints": [8, 8, 2] * 17, "num_keypoints": 17}
        ],
        "categories": [{"id": 1, "name": "person"}],
    }  # fmt: skip
    (tmp_path / "truth.json").write_text(json.dumps(plain))
    Image.new("RGB", (60, 40)).save(tmp_path / "a.png")
    return ["evaluate", "--data", str(tmp_path / "truth.json"), "--images", str(tmp_path)]


@pytest.fixture
def arguments(tmp_path, monkeypatch):
    """Builds the arguments for a model and a file with that one person."""

    def build(model, *more):
        monkeypatch.setattr(opt.DetectOptions, "build", lambda options, **more: model)
        triplets = np.column_stack([POSE[0] - 0.5, np.full(14, 2)]).reshape(-1).tolist()
        plain = {
            "images": [{"id": 1, "file_name": "a.png", "height": 100, "width": 100}],
            "categories": [{"id": 1, "name": "person", "keypoints": list(LSP14.joints)}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 100, 100], "area": 10000,
                             "iscrowd": 0, "num_keypoints": 14, "keypoints": triplets}],
        }  # fmt: skip
        (tmp_path / "truth.json").write_text(json.dumps(plain))
        Image.new("RGB", (100, 100)).save(tmp_path / "a.png")
        return ["evaluate", "--data", str(tmp_path / "truth.json"), "--images", str(tmp_path), *map(str, more)]

    return build


def test_evaluate_writes_and_shows_scores_and_results(options, coco_arguments, tmp_path):
    scores, results = tmp_path / "scores.json", tmp_path / "results.json"
    more = ["--json", str(scores), "--results", str(results), "--long-edge", "257", "--flip", "--scales", "0.5,1"]
    done = runner.invoke(app, [*coco_arguments, *more, "--model", "mine"])
    assert done.exit_code == 0, done.output
    plain = json.loads(scores.read_text())
    assert (plain["images"], plain["persons"], plain["keypoints"]["AP"], plain["model"]) == (1, 1, 0, "none")
    assert json.loads(results.read_text()) == []
    for name in (*plain["keypoints"], *plain["masks"], "person IoU", "ms postprocess"):
        assert name in done.stdout
    assert options["model"] == "mine"
    assert (options["long_edge"], options["flip"], options["scales"]) == (257, True, "0.5,1")


def test_evaluate_gives_a_top_down_model_the_boxes_of_the_people(coco_arguments, tmp_path, monkeypatch):
    class Corners(NoPeople):
        """All joints at the upper left corner of the box, plus 3.5 pixels."""

        def __call__(self, image, boxes_xyxy):
            points = np.repeat(boxes_xyxy[:, None, :2] + 3.5, 17, axis=1)
            return People.from_poses(COCO17, points, np.ones(points.shape[:2]))

    monkeypatch.setattr(opt, "is_top_down", lambda model: model == "crops")
    monkeypatch.setattr(opt, "build_top_down", lambda options: Corners())
    scores = tmp_path / "scores.json"
    given = [*coco_arguments, "--model", "crops", "--people", str(tmp_path / "truth.json")]
    done = runner.invoke(app, [*given, "--json", str(scores)])
    assert done.exit_code == 0, done.output
    plain = json.loads(scores.read_text())
    assert plain["keypoints"]["AP"] == pytest.approx(1)
    assert plain["poses"] == "made by none in the boxes of truth.json"
    (score,) = card_scores([scores], 256)
    assert (score["metric"], score["value"], score["poses"]) == ("keypoints.AP", 1, plain["poses"])
    refused = runner.invoke(app, [*given, "--adaptive"])
    assert refused.exit_code == 2
    assert "crops is given the boxes of the file, so --adaptive would do nothing" in refused.stderr


def test_evaluate_checks_outputs_before_the_run(options, coco_arguments, tmp_path):
    done = runner.invoke(app, [*coco_arguments, "--json", str(tmp_path / "nowhere" / "scores.json")])
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "Cannot write" in done.stderr
    assert options == {}


@pytest.mark.parametrize(
    ("model", "message"), [(Perfect(), "detected by perfect"), (PerfectTopDown(), "in the boxes of the file")]
)
def test_evaluate_pck_writes_tables_scores_and_curves(arguments, tmp_path, model, message):
    out, curve = tmp_path / "scores.json", tmp_path / "curve.png"
    done = runner.invoke(app, arguments(model, "--metric", "pck", "--json", out, "--pck-plot", curve))
    assert done.exit_code == 0, done.output
    for name in (
        "PCK@0.2 by torso",
        "PCK@0.2 by box",
        "PCKh@0.5",
        "PDJ@0.2",
        "PCP@0.5 strict",
        "PCP@0.5 loose",
        message,
    ):
        assert name in done.stdout
    assert "lower arms" in done.stdout
    assert "14 of the 14 joints of lsp14" in done.stdout
    plain = json.loads(out.read_text())
    assert (plain["metric"], plain["model"], plain["persons"]) == ("pck", "perfect", 1)
    for score in plain["scores"].values():
        assert score["overall"]["value"] == 1
        assert score["protocol"]
    with Image.open(curve) as image:
        assert min(image.size) > 300


def test_evaluate_pck_gives_boxes_to_a_top_down_model(arguments, monkeypatch):
    asked = {}
    monkeypatch.setattr(opt, "is_top_down", lambda model: model == "crops")
    monkeypatch.setattr(opt, "build_top_down", lambda options: asked.update(asdict(options)) or PerfectTopDown())
    given = arguments(None, "--metric", "pck", "--model", "crops", "--no-flip", "--threads", "1")
    done = runner.invoke(app, given)
    assert done.exit_code == 0, done.output
    assert "made by perfect in the boxes of the file" in done.stdout
    assert (asked["model"], asked["threads"], asked["flip"]) == ("crops", 1, False)
    done = runner.invoke(app, [*given, "--long-edge", "257", "--min-score", "0.3"])
    assert done.exit_code == 2
    assert "--long-edge, --min-score would do nothing" in done.output


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ["--metric", "pck", "--keypoints-only", "--mask-model", "pose2seg"],
            "--mask-model, --keypoints-only would do nothing",
        ),
        (["--pck-plot", "c.png"], "add --metric pck"),
        (["--metric", "pck", "--pck-plot", "nowhere/c.png"], "Cannot write nowhere/c.png"),
    ],
)
def test_evaluate_rejects_options_that_do_not_fit(arguments, more, message):
    done = runner.invoke(app, arguments(Perfect(), *more))
    assert done.exit_code == 2
    assert message in done.output


def test_evaluate_points_to_pck_for_skeletons_without_sigmas(arguments):
    done = runner.invoke(app, arguments(Perfect()))
    assert done.exit_code == 2
    assert "evaluate PCK instead" in done.output


def renamed(plain):
    chain = [[number, number + 1] for number in range(1, 14)]
    plain["categories"][0].update(keypoints=[f"point_{number}" for number in range(14)], skeleton=chain)


def boxless(plain):
    del plain["annotations"][0]["bbox"]


def one_joint_without_a_box(plain):
    boxless(plain)
    plain["annotations"][0]["keypoints"][3:] = [0] * 39


def outside(plain):
    plain["annotations"][0]["bbox"] = [300, 10, 50, 50]


class StrictTopDown(PerfectTopDown):
    """Rejects boxes as a top-down model does, and takes those of any size."""

    def __call__(self, image, boxes_xyxy):
        from poseg.runtime.crop_pose import _validated_boxes

        _validated_boxes(boxes_xyxy, image.shape[:2])
        return Perfect.__call__(self, image)


def changed(tmp_path, given, change):
    path = tmp_path / "truth.json"
    plain = json.loads(path.read_text())
    change(plain)
    path.write_text(json.dumps(plain))
    return runner.invoke(app, given)


def test_evaluate_pck_reports_joints_of_other_names(arguments, tmp_path):
    done = changed(tmp_path, arguments(Perfect(), "--metric", "pck"), renamed)
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert "The model has none of the joints point_0, point_1, " in done.stderr
    assert "point_13 that " in done.stderr
    assert "truth.json annotates; give a model of these joints, or rename those of the file" in done.stderr


@pytest.mark.parametrize("model", [Perfect(), StrictTopDown()], ids=["perfect", "crops"])
def test_evaluate_pck_makes_boxes_from_joints(arguments, tmp_path, model):
    out = tmp_path / "scores.json"
    done = changed(tmp_path, arguments(model, "--metric", "pck", "--json", out), boxless)
    assert done.exit_code == 0, done.output
    assert json.loads(out.read_text())["scores"]["pck_box"]["overall"]["value"] == 1


@pytest.mark.parametrize(("change", "box"), [(outside, "300, 10, 350, 60"), (one_joint_without_a_box, "")])
def test_evaluate_pck_names_the_image_of_a_bad_box(arguments, tmp_path, change, box):
    done = changed(tmp_path, arguments(StrictTopDown(), "--metric", "pck"), change)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"poseg: a.png: Box 0 ({box}")
    assert "lies outside the image of 100 x 100 pixels" in done.stderr
    assert done.stderr.count("\n") == 1
