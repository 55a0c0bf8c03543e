"""Own data: the skeleton is completed, images are split, and one command ends with a model and a page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
pytest.importorskip("onnx")

import poseg  # noqa: E402
from poseg.cli.main import app  # noqa: E402
from poseg.datasets.synthetic_people import write_synthetic_people  # noqa: E402
from poseg.errors import AnnotationError, PosegError  # noqa: E402
from poseg.io.coco_json import parse_coco, read_coco  # noqa: E402
from poseg.people import People  # noqa: E402
from poseg.recipes import find_recipe, own_labels  # noqa: E402
from poseg.recipes.first_weights import check_first_weights  # noqa: E402
from poseg.recipes.own import base_recipe, own_optim  # noqa: E402
from poseg.recipes.own_data import (  # noqa: E402
    TRAIN,
    VALIDATION,
    complete_skeleton,
    nearest_tree,
    own_people,
    prepare_own_data,
    skeleton_category,
)
from poseg.recipes.tasks import train_dataset  # noqa: E402
from poseg.skeletons import COCO17, LSP14, Skeleton  # noqa: E402

THREE = ["nose", "left_wrist", "tail"]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    """Ten drawn images whose people have three joints, and masks."""
    folder = tmp_path_factory.mktemp("own")
    write_synthetic_people(folder, images=10, size=(129, 129), seed=1)
    raw = json.loads((folder / "annotations.json").read_text())
    rows = [COCO17.index("nose"), COCO17.index("left_wrist"), COCO17.index("left_ankle")]
    for record in raw["annotations"]:
        del record["keypoint_scores"]
        record["keypoints"] = np.array(record["keypoints"]).reshape(-1, 3)[rows].ravel().tolist()
    raw["categories"] = [{"id": 1, "name": "person", "keypoints": THREE}]
    (folder / "annotations.json").write_text(json.dumps(raw))
    return folder


def prepare(drawn: Path, folder: Path):
    return prepare_own_data(
        drawn / "annotations.json", drawn / "images", folder, seed=0, progress=lambda done, total: None
    )


def test_images_are_split_and_all_people_are_kept(drawn, tmp_path):
    about = prepare(drawn, tmp_path)
    raw = json.loads((drawn / "annotations.json").read_text())
    train, validation = (json.loads((tmp_path / name).read_text()) for name in (TRAIN, VALIDATION))
    assert (about.train, about.validation) == (8, 2)
    ids = [{image["id"] for image in part["images"]} for part in (train, validation)]
    assert not ids[0] & ids[1]
    assert ids[0] | ids[1] == {image["id"] for image in raw["images"]}
    assert len(train["annotations"]) + len(validation["annotations"]) == len(raw["annotations"])
    again = prepare(drawn, tmp_path)
    assert again == about
    (part,) = own_people(tmp_path)
    assert len(part.data) == 8
    assert part.data.skeleton.joints == tuple(THREE)


def test_joints_of_the_start_are_trained_on_too_but_heatmaps_learn_those_of_the_file(drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(own_labels, "load", lambda name: lambda image: People.empty(COCO17, image.shape[:2]))
    prepare(drawn, tmp_path / "alone")
    prepare_own_data(
        drawn / "annotations.json", drawn / "images", tmp_path / "wide", source=COCO17, seed=0,
        progress=lambda done, total: None,
    )  # fmt: skip
    (alone,), (wide,) = own_people(tmp_path / "alone"), own_people(tmp_path / "wide")
    assert wide.data.skeleton.joints == (*COCO17.joints, "tail")
    annotated = np.array(wide.data.skeleton.joints)[wide.data.annotated_joints]
    assert set(annotated) == set(THREE)
    for index in range(len(alone.data)):
        mine, theirs = alone.data[index].people, wide.data[index].people.remap_to(alone.data.skeleton)
        np.testing.assert_allclose(mine.keypoints, theirs.keypoints)
        np.testing.assert_array_equal(mine.keypoint_scores, theirs.keypoint_scores)


def test_what_is_detected_completes_joints_and_leaves_those_of_the_file(drawn, tmp_path, monkeypatch):
    raw = json.loads((drawn / "annotations.json").read_text())
    truth = parse_coco(raw, "drawn")
    images = {image.file_name: image.id for image in truth.images.values()}
    order = iter(sorted(images))

    def detect(image):
        people = truth.people(images[next(order)])
        points = np.full((len(people), 17, 2), 7.5, np.float32)
        detected = People.from_poses(COCO17, points, np.full((len(people), 17), 0.9, np.float32))
        return replace(detected, masks=people.masks)

    monkeypatch.setattr(own_labels, "load", lambda name: detect)
    trained = COCO17.extended(complete_skeleton(truth.skeleton, truth, named=True)[0])
    people = [{**record, "keypoints": [3.0, 4.0, 2] + [0] * 51} for record in raw["annotations"]]
    part = {"images": sorted(raw["images"], key=lambda image: image["file_name"]), "annotations": people}
    part["categories"] = [skeleton_category(trained)]
    done, notes = own_labels.complete_labels(
        part, drawn / "images", trained, tuple(THREE), has_joints=True, has_masks=True, progress=lambda *_: None
    )
    for record in done["annotations"]:
        joints = np.reshape(record["keypoints"], (-1, 3))
        assert joints[COCO17.index("nose")].tolist() == [3, 4, 2], "of the file"
        assert joints[COCO17.index("left_eye")].tolist() == [7, 7, 2], "detected"
        assert joints[trained.index("tail")].tolist() == [0, 0, 0], "known to neither"
    assert "15 joints" in notes[0]


def test_a_folder_prepared_from_other_data_is_refused(drawn, tmp_path):
    prepare(drawn, tmp_path)
    other = tmp_path / "other.json"
    other.write_text((drawn / "annotations.json").read_text() + " ")
    with pytest.raises(PosegError, match="other data"):
        prepare_own_data(other, drawn / "images", tmp_path, seed=0, progress=lambda done, total: None)


def test_too_few_images_are_refused(drawn, tmp_path):
    raw = json.loads((drawn / "annotations.json").read_text())
    raw["annotations"] = [record for record in raw["annotations"] if record["image_id"] == raw["images"][0]["id"]]
    few = tmp_path / "few.json"
    few.write_text(json.dumps(raw))
    with pytest.raises(AnnotationError, match="1 images"):
        prepare_own_data(few, drawn / "images", tmp_path / "data", seed=0, progress=lambda done, total: None)


def test_sigmas_of_the_same_names_and_a_tree_are_estimated(drawn):
    data = read_coco(drawn / "annotations.json")
    skeleton, notes = complete_skeleton(data.skeleton, data, named=True)
    assert skeleton.sigmas[:2] == (COCO17.sigmas[0], COCO17.sigmas[COCO17.index("left_wrist")])
    assert skeleton.sigmas[2] == pytest.approx(np.mean(skeleton.sigmas[:2]))
    assert len(skeleton.tree) == 2
    assert any("tail" in note for note in notes)
    given = replace(skeleton, sigmas=(0.1, 0.2, 0.3))
    assert complete_skeleton(given, data, named=True)[0] == given
    assert complete_skeleton(COCO17, data, named=False) == (COCO17, ())


def test_the_estimated_tree_joins_what_is_near():
    rng = np.random.default_rng(0)
    along = np.array([[0, 0], [10, 0], [20, 0], [30, 0]], np.float32)[[0, 2, 1, 3]]
    points = along + rng.normal(size=(50, 4, 2))
    triplets = np.concatenate([points, np.full((50, 4, 1), 2)], axis=2).astype(np.float32)
    tree = nearest_tree(triplets, Skeleton("line", ("a", "c", "b", "d"), ()))
    assert tree == (("a", "b"), ("b", "c"), ("c", "d"))


@pytest.mark.parametrize("skeleton", [COCO17, replace(LSP14, sigmas=(0.07,) * 14)])
def test_a_category_of_a_skeleton_is_read_back(skeleton):
    raw = {"images": [], "annotations": [], "categories": [skeleton_category(skeleton)]}
    again = parse_coco(raw, "memory").skeleton
    assert replace(again, name="") == replace(skeleton, name="")
    assert (again == skeleton) == (skeleton is COCO17)


def test_longer_for_more_images_but_never_for_ever():
    base = find_recipe("personlab_fast").optim
    steps = [own_optim(base, images, new_joints=False).steps for images in (10, 100, 1000, 100_000)]
    assert steps == sorted(steps)
    assert steps[-2] == steps[-1]


def test_every_start_has_a_recipe_and_other_starts_are_refused():
    assert [base_recipe(name) for name in ("small", "fast", "poseg")] == [
        "personlab_small", "personlab_fast", "poseg_small",
    ]  # fmt: skip
    for name in ("lifter", "nothing"):
        with pytest.raises(PosegError, match="--init"):
            base_recipe(name)


@pytest.mark.parametrize("recipe", ["personlab_coco", "poseg_coco", "personlab_small", "poseg_small"])
def test_recipes_that_need_first_weights_say_so(recipe):
    with pytest.raises(PosegError, match="first weights"):
        check_first_weights(find_recipe(recipe))


@pytest.mark.parametrize("arguments", [["finetune"], ["train", "fast"], ["train", "own"]])
def test_words_for_fine_tuning_lead_to_the_command(arguments):
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "--images" in result.stderr


def test_pose2seg_learns_on_its_own_joints_by_name(drawn, tmp_path):
    prepare(drawn, tmp_path)
    recipe = replace(find_recipe("pose2seg_small"), data=own_people)
    item = train_dataset(recipe, tmp_path)[0]
    assert item["image"].shape == (3, 385, 385)


@pytest.mark.slow
def test_one_command_ends_with_a_model_and_a_page_and_resumes(drawn, tmp_path):
    run = tmp_path / "run"
    command = ["train", "--data", str(drawn / "annotations.json"), "--images", str(drawn / "images"), "--out", str(run)]
    settings = ("optim.steps=4", "optim.batch_size=2", "optim.checkpoint_every=1", "validation.every=2")
    command += [f"--set={setting}" for setting in (*settings, "input.side_px=129")]
    runner = CliRunner()
    stopped = runner.invoke(app, [*command, "--workers=0", "--max-minutes=0"])
    assert stopped.exit_code == 0, stopped.output
    assert not (run / "own.onnx").exists()
    result = runner.invoke(app, [*command, "--workers=0"])
    assert result.exit_code == 0, result.output
    steps = [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4]
    scored = [json.loads(line)["step"] for line in (run / "validation.jsonl").read_text().splitlines()]
    assert scored == [0, 2, 4]
    assert "<table>" in (run / "report.html").read_text()
    people = poseg.load(run / "own.onnx", min_score=0.0)(next((drawn / "images").iterdir()))
    assert people.skeleton.joints == tuple(THREE)
