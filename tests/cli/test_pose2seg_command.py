from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from poseg.cli.main import app
from poseg.codecs.pose2seg import Pose2SegCodec, paper_templates
from poseg.skeletons import COCO17

COCO_FILE = (
    Path(__file__).resolve().parents[2].parent
    / "shared" / "data" / "coco_val_person_ann" / "person_keypoints_val2017_538.json.gz"
)  # fmt: skip
UPRIGHT = paper_templates().points[0] * 100  # all boxes are the unit square


def templates(*arguments: object) -> Result:
    runner = CliRunner(env={"COLUMNS": "100", "POSEG_DEBUG": ""})
    return runner.invoke(app, ["pose2seg", "templates", *map(str, arguments)])


def people_file(folder: Path, *, full: int = 6, upper: int = 3, few: int = 0, **more: object) -> Path:
    """Annotation of people in one pose: some whole, some without legs, some with few joints."""
    annotations = []
    for number in range(full + upper + few):
        visible = np.full(17, 2)
        if number >= full:
            visible[13:] = 0
        if number >= full + upper:
            visible[7:] = 0
        triplets = np.column_stack([UPRIGHT + 10 * number - 0.5, visible])
        triplets[visible == 0] = 0
        annotations.append(
            {"id": number + 1, "image_id": 1, "category_id": 1, "bbox": [10 * number] * 2 + [100, 100],
             "keypoints": triplets.reshape(-1).tolist(), **more}
        )  # fmt: skip
    plain = {
        "images": [{"id": 1, "file_name": "a.png", "height": 300, "width": 300}],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.joints)}],
    }
    path = folder / "people.json"
    path.write_text(json.dumps(plain))
    return path


# Laws.


def test_templates_of_equal_people_are_their_pose(tmp_path: Path) -> None:
    """The commonest first: a codec takes them, and what is symmetric lies between both sides."""
    out = tmp_path / "templates.json"
    result = templates(people_file(tmp_path), "--count", "2", "-o", out)
    assert result.exit_code == 0, result.stderr
    plain = json.loads(out.read_text())
    assert (plain["skeleton"], plain["joints"]) == ("coco17", list(COCO17.joints))
    whole, upper = plain["points"]
    np.testing.assert_allclose(whole, UPRIGHT / 100, atol=1e-4)
    np.testing.assert_allclose(upper[:13], UPRIGHT[:13] / 100, atol=1e-4)
    assert upper[13:] == [None] * 4
    np.testing.assert_allclose(plain["visibility"], [[2] * 17, [2] * 13 + [0] * 4])
    points = tuple(tuple(place and tuple(place) for place in template) for template in plain["points"])
    np.testing.assert_allclose(Pose2SegCodec(points=points).templates.points[0], whole)


def test_templates_of_coco_are_the_published_ones(tmp_path: Path) -> None:
    if not COCO_FILE.is_file():
        pytest.skip("no shared data beside the repository")
    out = tmp_path / "templates.json"
    result = templates(COCO_FILE, "--out", out)
    assert result.exit_code == 0, result.stderr
    points = json.loads(out.read_text())["points"]
    expected = paper_templates()
    ours = np.array([[place or (np.nan, np.nan) for place in template] for template in points])
    theirs = np.where(expected.visible[..., None], expected.points, np.nan)
    gaps = np.nanmax(np.abs(ours[:, None] - theirs), axis=(2, 3))
    match = gaps.argmin(axis=1)
    assert sorted(match) == [0, 1, 2]
    assert gaps.min(axis=1).max() < 0.04
    np.testing.assert_array_equal(np.isfinite(ours[..., 0]), expected.visible[match])


# Examples.


def test_templates_table_has_a_line_for_each_joint(tmp_path: Path) -> None:
    result = templates(people_file(tmp_path, few=1), "--count", "2")
    lines = {line.split()[1]: line.split("│") for line in result.stdout.splitlines() if line.startswith("│")}
    assert set(COCO17.joints) <= set(lines)
    assert lines["left_shoulder"][2:4] == [" 0.57 0.24  2.00 ", " 0.57 0.24  2.00 "]
    assert lines["left_knee"][2:4] == [" 0.56 0.70  2.00 ", "    -    -  0.00 "]
    assert [cell.strip() for cell in lines["aligns"][2:4]] == ["60% of people", "40% of people"]
    assert "Of 10 people with 3 or more joints; 0% fit no template." in " ".join(result.stdout.split())


def test_templates_table_is_split_where_it_is_too_wide(tmp_path: Path) -> None:
    result = templates(people_file(tmp_path, full=9), "--count", "5")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.count("left_ankle") == 2
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_templates_are_drawn_side_by_side(tmp_path: Path) -> None:
    out = tmp_path / "templates.png"
    assert templates(people_file(tmp_path), "--count", "2", "-o", out).exit_code == 0
    image = np.asarray(Image.open(out)).astype(int)
    white = (image == 255).all(axis=2)
    rows, columns = np.flatnonzero(white.sum(axis=1) > 200), np.flatnonzero(white.sum(axis=0) > 200)
    assert image.shape[1] > 2 * len(rows) > 500
    centre = (columns[0] + columns[-1]) // 2
    inked = [
        (~white[rows[0] : rows[-1], part]).sum()
        for part in (slice(columns[0], centre - 20), slice(centre + 20, columns[-1]))
    ]
    assert inked[0] > inked[1] > 500  # the second has no legs


# Bad input.


@pytest.mark.parametrize(
    ("make", "options", "complaint"),
    [
        (lambda folder: people_file(folder, full=1, upper=0, few=5), ["--count", "2"],
         "has 1 people with 8 or more joints and a box, too few for 2 typical poses"),
        (lambda folder: people_file(folder, iscrowd=1), [], "has 0 people with 8 or more joints"),
        (lambda folder: people_file(folder, full=0, upper=0), [], "has 0 people"),
        (lambda folder: folder / "missing.json", [], "There is no file"),
        (lambda folder: people_file(folder), ["--count", "0"], "--count"),
        (lambda folder: people_file(folder), ["-o", "nowhere/a.json"], "Cannot write nowhere/a.json"),
        (lambda folder: people_file(folder), ["-o", "nowhere/a.png"], "Cannot write nowhere/a.png"),
    ],
)  # fmt: skip
def test_templates_reports_bad_input_in_a_sentence(tmp_path, make, options, complaint) -> None:
    result = templates(make(tmp_path), *options)
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert "Traceback" not in result.output


def test_templates_rejects_results(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("[]")
    result = templates(tmp_path / "results.json")
    assert result.exit_code == 2
    assert "a list is a result file" in result.stderr
