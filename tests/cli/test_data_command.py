"""`poseg data check`, `show` and `lsp`: reports, exit codes, labelled images drawn, LSP as a COCO file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from poseg.cli.main import app
from poseg.datasets import DATASETS
from poseg.datasets.lsp import lsp_to_coco
from poseg.errors import AnnotationError
from poseg.geometry.rle import encode_rle
from poseg.io.coco_json import parse_coco, read_coco
from poseg.skeletons import LSP14

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
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
    assert "WARNING  `num_keypoints` disagrees with the joints that have v > 0. (7)" in done.stdout
    assert "- annotation 10 of image 1: 1, but 2 have v > 0" in done.stdout
    assert "- and 2 more" in done.stdout
    report = json.loads(out.read_text())
    issue = next(issue for issue in report["issues"] if issue["rule"] == "num-keypoints")
    assert (issue["severity"], issue["count"], len(issue["examples"])) == ("warning", 7, 5)
    assert report["summary"]["people"] == 8


@pytest.mark.parametrize("content", ["{", "[]", '{"images": []}'])
def test_data_check_exits_with_2_where_training_is_impossible(content: str, tmp_path: Path) -> None:
    done = run(content, tmp_path, "check")
    assert done.exit_code == 2
    assert done.stdout.startswith("ERROR")
    assert "Training on this is impossible." in done.stdout


def test_data_check_takes_a_skeleton_file(plain: dict[str, Any], tmp_path: Path) -> None:
    del plain["categories"][0]["skeleton"]
    assert run(plain, tmp_path, "check").exit_code == 1
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


@pytest.fixture
def folder(tmp_path):
    """Builds a folder of four images, 60 wide and 40 high, named as LSP or as LSPET names them."""

    def build(digits: int = 4) -> Path:
        joints = np.random.default_rng(0).uniform(5, 35, (4, 14, 3)).astype(np.float32)
        joints[..., 2] = 1
        joints[1, 3, 2] = 0  # hidden
        joints[2, 5] = 0  # not placed
        joints[3] = 0  # no person
        np.savez(tmp_path / "joints.npz", joints=joints)
        (tmp_path / "images").mkdir(exist_ok=True)
        for number in range(1, 5):
            Image.new("RGB", (60, 40)).save(tmp_path / "images" / f"im{number:0{digits}d}.jpg")
        return tmp_path

    return build


@pytest.mark.parametrize(("digits", "name"), [(4, "LSP"), (5, "LSPET")])
def test_data_lsp_file_reads_back(folder, digits, name):
    home = folder(digits)
    out = home / "ann.json"
    done = runner.invoke(app, ["data", "lsp", str(home), "-o", str(out), "--first", "2"])
    assert done.exit_code == 0, done.output
    assert f"{name}, images 2 to 4: one person of each is annotated. 2 people." in done.stdout
    data = read_coco(out)
    assert data.skeleton == LSP14
    joints = np.load(home / "joints.npz")["joints"]
    assert [image.file_name for image in data.images.values()] == [f"im{n:0{digits}d}.jpg" for n in (2, 3, 4)]
    assert data.images[2].size == (40, 60)
    seen = data.visibility(2)[0]
    assert (seen[3], set(np.delete(seen, 3))) == (1, {2})
    assert data.visibility(3)[0][5] == 0
    np.testing.assert_allclose(data.people(2).keypoints[0], joints[1, :, :2] + 0.5, atol=0.006)
    assert len(data.people(4)) == 0
    numbers = [record["num_keypoints"] for record in json.loads(out.read_text())["annotations"]]
    assert numbers == [14, 13]


def test_data_lsp_boxes_hold_the_joints_and_stay_inside(folder):
    data = parse_coco(lsp_to_coco(folder()), "made")
    for number in (1, 2, 3):
        people = data.people(number)
        left, top, right, bottom = people.boxes_xyxy[0]
        points = people.keypoints[0][people.keypoint_scores[0] > 0]
        assert (points >= (left, top)).all()
        assert (points <= (right, bottom)).all()
        assert 0 <= left < right <= 60
        assert 0 <= top < bottom <= 40
        assert data.areas(number)[0] == pytest.approx((right - left) * (bottom - top), rel=1e-3)


@pytest.mark.parametrize(("first", "last"), [(0, 2), (3, 2), (1, 5), (5, None)])
def test_data_lsp_rejects_numbers_out_of_range(folder, first, last):
    with pytest.raises(AnnotationError, match="has images 1 to 4"):
        lsp_to_coco(folder(), first, last)


def test_data_lsp_rejects_other_folders(folder, tmp_path):
    with pytest.raises(AnnotationError, match=r"There is no .*joints\.npz"):
        lsp_to_coco(tmp_path / "nowhere")
    home = folder()
    (home / "images" / "im0003.jpg").unlink()
    with pytest.raises(AnnotationError, match=r"lacks 1 of the images, the first is im0003\.jpg"):
        lsp_to_coco(home)
    with pytest.raises(AnnotationError, match=r"neither im0003\.jpg nor im00003\.jpg"):
        lsp_to_coco(home, first=3)
    for joints, message in (
        (np.zeros((4, 13, 3)), r"expected \(images, 14, 3\)"),
        (np.full((4, 14, 3), np.nan), "NaN or infinity among the joints of image 1"),
    ):
        np.savez(home / "joints.npz", joints=joints)
        with pytest.raises(AnnotationError, match=message):
            lsp_to_coco(home)
    (home / "joints.npz").write_text("not numbers")
    with pytest.raises(AnnotationError, match="Cannot read"):
        lsp_to_coco(home)


def test_data_lsp_reads_as_training_does():
    if not (SHARED / "lsp" / "joints.npz").is_file():
        pytest.skip("needs LSP in shared/data/lsp beside the repository")
    data = parse_coco(lsp_to_coco(SHARED / "lsp", 1, 3), "made")
    training = DATASETS["lsp_train"](SHARED / "lsp")
    for number in (1, 2, 3):
        people, theirs = data.people(number), training[number - 1].people
        mapped = people.remap_to(theirs.skeleton)
        np.testing.assert_allclose(mapped.keypoints, theirs.keypoints, atol=0.01)
