"""`poseg data ochuman`: a file that can be evaluated, and a sentence on how it measures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from poseg.cli.main import app
from poseg.io.coco_json import read_coco
from poseg.metrics.average_precision import match
from poseg.skeletons import COCO17, OCHUMAN19

SAMPLE = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "mmpose_samples/ochuman/test_ochuman.json"
runner = CliRunner(env={"COLUMNS": "150", "POSEG_DEBUG": ""})


def person(left: int, **changes: Any) -> dict[str, Any]:
    keypoints = [number for i in range(19) for number in (left + 3 * i, 20 + 4 * i, 1 + i % 3)]
    outline = [left, 10, left + 60, 10, left + 60, 110, left, 110]
    segms = {"outer": [outline], "inner": [], "height": 120, "width": 400}
    return {"bbox": [left, 10, left + 60, 110], "keypoints": keypoints, "segms": segms, "max_iou": 0.6} | changes


@pytest.fixture
def native(tmp_path: Path) -> Path:
    """One image with a moderate and a hard person, one with joints alone and one with a box alone."""
    people = [person(0), person(100, max_iou=0.8), person(200, segms=None), person(300, segms=None, keypoints=None)]
    image = {"image_id": "7", "file_name": "7.jpg", "height": 120, "width": 400, "annotations": people}
    names = [joint.replace("head_top", "head") for joint in OCHUMAN19.joints]
    path = tmp_path / "ochuman.json"
    path.write_text(json.dumps({"keypoint_names": names, "keypoint_visible": {}, "images": [image]}))
    return path


def run(*arguments: object) -> Any:
    return runner.invoke(app, ["data", "ochuman", *map(str, arguments)])


def made_by(*arguments: object) -> tuple[dict[str, Any], str]:
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    protocol, written = done.stdout.splitlines()
    plain = json.loads(Path(written.removeprefix("Written to ").removesuffix(".")).read_text())
    assert plain["info"]["description"] == protocol
    return plain, protocol


@pytest.mark.parametrize(
    ("options", "persons", "message"),
    [
        ([], 2, "2 boxes without mask or joints and 0 people outside the range are not in the file"),
        (["--subset", "moderate"], 1, "MaxIoU in [0.5, 0.75): 1 image with 1 person"),
        (["--max-iou", "0.7:0.9"], 1, "MaxIoU in [0.7, 0.9)"),
        (["--subset", "hard", "--others", "ignore"], 1, "are crowd regions"),
    ],
)
def test_data_ochuman_prints_and_writes_its_protocol(native, tmp_path, options, persons, message):
    plain, protocol = made_by(native, "--split", "val", *options, "-o", tmp_path / "out.json")
    assert protocol.startswith("OCHuman val, original labels, ")
    assert message in protocol
    data = read_coco(tmp_path / "out.json")
    assert data.skeleton == COCO17
    assert len(data.people(1)) == persons
    assert len(plain["annotations"]) == (4 if "ignore" in options else persons)


def found_by_a_perfect_model(native: Path, tmp_path: Path) -> list[dict[str, Any]]:
    """All people of the image, labelled or not; those without labels have the highest scores."""
    people = json.loads(native.read_text())
    for row, entry in enumerate(people["images"][0]["annotations"]):
        entry.update(person(100 * row))
    (tmp_path / "all.json").write_text(json.dumps(people))
    plain, _ = made_by(tmp_path / "all.json", "--split", "all", "-o", tmp_path / "people.json")
    return [
        {key: record[key] for key in ("image_id", "category_id", "keypoints", "segmentation")}
        | {"score": 0.1 + 0.2 * place}
        for place, record in enumerate(plain["annotations"])
    ]


@pytest.mark.parametrize("kind", ["keypoints", "masks"])
def test_data_ochuman_counts_other_people_unless_they_are_ignored(native, tmp_path, kind):
    results = found_by_a_perfect_model(native, tmp_path)
    scores = {}
    for others in ("drop", "ignore"):
        plain, _ = made_by(native, "--split", "val", "--subset", "hard", "--others", others, "-o", tmp_path / "t.json")
        scores[others] = match(plain, results, kind, skeleton=COCO17).official["AP"]
    assert scores["ignore"] == pytest.approx(1)
    assert scores["drop"] < 0.5


def test_data_ochuman_protocols_agree_on_ground_truth_poses(native, tmp_path):
    """A model that is given the labelled people detects no others, so both protocols agree."""
    results = found_by_a_perfect_model(native, tmp_path)[1:2]
    for others in ("drop", "ignore"):
        plain, _ = made_by(native, "--split", "val", "--subset", "hard", "--others", others, "-o", tmp_path / "t.json")
        assert match(plain, results, "masks", skeleton=COCO17).official["AP"] == pytest.approx(1)


def test_data_ochuman_uses_the_authors_file_name(native, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made_by(native, "--split", "val", "--max-iou", "0:1")
    assert (tmp_path / "ochuman_coco_format_val_range_0.00_1.00.json").is_file()
    (tmp_path / "dir").mkdir()
    made_by(native, "--split", "val", "--subset", "hard", "-o", "dir")
    assert (tmp_path / "dir" / "ochuman_coco_format_val_range_0.75_1.01.json").is_file()


def test_data_ochuman_filters_a_converted_file_like_its_source(native, tmp_path):
    made_by(native, "--split", "val", "-o", tmp_path / "val.json")
    plain, protocol = made_by(tmp_path / "val.json", "--subset", "hard", "-o", tmp_path)
    assert [record["bbox"][0] for record in plain["annotations"]] == [100]
    assert protocol.startswith("OCHuman, from val.json, which is converted already, MaxIoU in [0.75, 1.01): 1 image")
    assert (tmp_path / "val_range_0.75_1.01.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "add --split val"),
        (["--split", "test"], "has no people to measure"),
        (["--split", "val", "--fully-labelled"], "has no people to measure"),
        (["--split", "val", "--max-iou", "0.5"], "two numbers such as 0.5:0.75"),
        (["--split", "val", "--max-iou", "0.5:high"], "two numbers such as 0.5:0.75"),
        (["--split", "val", "--max-iou", "0.9:0.5"], "a lower and a larger upper number"),
        (["--split", "val", "--max-iou", "0:1", "--subset", "hard"], "give one of them"),
    ],
)
def test_data_ochuman_reports_bad_options_in_a_sentence(native, tmp_path, arguments, message):
    done = run(native, *arguments, "-o", tmp_path / "out.json")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert message in done.stderr
    assert not (tmp_path / "out.json").exists()


def test_data_ochuman_never_overwrites_its_source(native):
    before = native.read_bytes()
    done = run(native, "--split", "val", "-o", native)
    assert done.exit_code == 2
    assert "is the file to read" in done.stderr
    assert native.read_bytes() == before


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"keypoint_names": [], "images": [{}]}'])
def test_data_ochuman_rejects_other_files(tmp_path, content):
    path = tmp_path / "odd.json"
    path.write_text(content)
    done = run(path, "--split", "val", "-o", tmp_path / "out.json")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)


@pytest.mark.skipif(not SAMPLE.exists(), reason="needs samples of published sets beside the repository")
def test_data_ochuman_filters_the_published_sample(tmp_path):
    plain, protocol = made_by(SAMPLE, "--subset", "hard", "-o", tmp_path / "hard.json")
    assert [image["file_name"] for image in plain["images"]] == ["003896.jpg"]
    assert "which is converted already" in protocol
