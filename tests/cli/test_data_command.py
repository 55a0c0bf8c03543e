"""`poseg data`: the report in words and as JSON, its exit codes, and labelled images drawn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from poseg.cli.main import app
from poseg.geometry.rle import encode_rle

runner = CliRunner(env={"COLUMNS": "150", "POSEG_DEBUG": ""})


@pytest.fixture
def plain(tmp_path: Path) -> dict[str, Any]:
    """A person with two joints and a mask beside a crowd."""
    Image.new("RGB", (80, 60), (200, 200, 200)).save(tmp_path / "a.png")
    crowd = np.zeros((60, 80), bool)
    crowd[40:, 60:] = True
    box = {"image_id": 1, "category_id": 1, "bbox": [10, 10, 30, 30], "area": 900}
    return {
        "images": [{"id": 1, "file_name": "a.png", "height": 60, "width": 80}],
        "categories": [{"id": 1, "name": "cat", "keypoints": ["nose", "tail"], "skeleton": [[1, 2]], "sigmas": [1, 1]}],
        "annotations": [
            {**box, "id": 1, "keypoints": [15, 15, 2, 35, 35, 1], "num_keypoints": 2, "iscrowd": 0,
             "segmentation": [[10, 10, 40, 10, 40, 40, 10, 40]]},
            {**box, "id": 2, "iscrowd": 1, "segmentation": encode_rle(crowd), "bbox": [60, 40, 20, 20], "area": 400},
        ],
    }  # fmt: skip


def run(plain: object, folder: Path, command: str, *options: str) -> Any:
    path = folder / "labels.json"
    path.write_text(plain if isinstance(plain, str) else json.dumps(plain))
    return runner.invoke(app, ["data", command, str(path), *options])


def test_data_check_of_a_clean_file(plain: dict[str, Any], tmp_path: Path) -> None:
    done = run(plain, tmp_path, "check", "--images", str(tmp_path))
    assert done.exit_code == 0, done.output
    assert done.stdout.endswith("Nothing is wrong.\n")
    for line in ("1, 1 with people", "nose 1+0, tail 0+1", "1 crowds or ignored"):
        assert line in done.stdout


def test_data_check_explains_and_counts_issues(plain: dict[str, Any], tmp_path: Path) -> None:
    base = plain["annotations"][0]
    plain["annotations"] += [{**base, "id": n, "num_keypoints": 1, "area": 900 + n} for n in range(10, 17)]
    out = tmp_path / "report.json"
    done = run(plain, tmp_path, "check", "--json", str(out))
    assert done.exit_code == 1
    assert "FAULT  `num_keypoints` disagrees with the joints that have v > 0. (7)" in done.stdout
    assert "- annotation 10 of image 1: 1, but 2 have v > 0" in done.stdout
    assert "- and 2 more" in done.stdout
    report = json.loads(out.read_text())
    fault = next(fault for fault in report["faults"] if fault["kind"] == "num-keypoints")
    assert (fault["level"], fault["count"], len(fault["examples"])) == ("fault", 7, 5)
    assert report["summary"]["people"] == 8


@pytest.mark.parametrize("content", ["{", "[]", '{"images": []}'])
def test_data_check_exits_with_2_where_training_is_impossible(content: str, tmp_path: Path) -> None:
    done = run(content, tmp_path, "check")
    assert done.exit_code == 2
    assert done.stdout.startswith("ERROR")
    assert "Training on this is impossible." in done.stdout


def test_data_check_takes_a_skeleton_file(plain: dict[str, Any], tmp_path: Path) -> None:
    del plain["categories"][0]["skeleton"]
    assert run(plain, tmp_path, "check").exit_code == 2
    (tmp_path / "cat.toml").write_text('bones = [["nose", "tail"]]')
    assert run(plain, tmp_path, "check", "--skeleton", str(tmp_path / "cat.toml")).exit_code == 0
    done = run(plain, tmp_path, "check", "--skeleton", str(tmp_path / "none.toml"))
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)


def test_data_check_rejects_a_missing_folder(plain: dict[str, Any], tmp_path: Path) -> None:
    done = run(plain, tmp_path, "check", "--images", str(tmp_path / "none"))
    assert done.exit_code == 2
    assert "There is no folder" in done.stderr


def test_data_show_draws_labels(plain: dict[str, Any], tmp_path: Path) -> None:
    done = run(plain, tmp_path, "show", "-o", str(tmp_path / "seen"))
    assert done.exit_code == 0, done.output
    drawn = np.asarray(Image.open(tmp_path / "seen" / "a.labels.png")).astype(int)
    assert drawn.shape == (60, 80, 3)
    assert (drawn[2, 60] == 200).all(), "background stays"
    assert np.abs(drawn[25, 15] - 200).max() > 20, "a mask"
    assert drawn[45:, 65:].mean() < 150, "the crowd is dark"


def test_data_show_rejects_a_broken_file(plain: dict[str, Any], tmp_path: Path) -> None:
    plain["annotations"][0]["keypoints"] = [1]
    done = run(plain, tmp_path, "show", "-o", str(tmp_path / "seen"))
    assert done.exit_code == 2
    assert "`keypoints` of 1 numbers, expected 6" in done.stderr
    assert not (tmp_path / "seen").exists()
