"""However a program writes a file, it means the same: its people, its issues and its scores."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from poseg.datasets import custom_coco
from poseg.datasets.check import Severity, check_file
from poseg.errors import AnnotationError, ImageWarning
from poseg.evaluation import evaluate, evaluate_joints
from poseg.io.coco_json import read_coco
from poseg.people import People
from poseg.skeletons import COCO17

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fuzz"))
from mutate import mutated_data

SIZE = (60, 80)
POINTS = np.array([(10 + 3 * n, 12 + 2 * n) for n in range(17)])
SQUARE = [5, 8, 65, 8, 65, 52, 5, 52]
TRUTH: dict[str, Any] = {
    "images": [{"id": 1, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1]}],
    "categories": [{"id": 1, "name": "person"}],
    "annotations": [
        {
            "id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "num_keypoints": 17, "area": 2640,
            "keypoints": [int(v) for x, y in POINTS for v in (x, y, 2)], "bbox": [5, 8, 60, 44],
            "segmentation": [SQUARE],
        },
        {
            "id": 2, "image_id": 1, "category_id": 1, "iscrowd": 1, "area": 25, "bbox": [70, 2, 5, 5],
            "segmentation": {"size": list(SIZE), "counts": [4202, 5, 55, 5, 533]},
        },
    ],
}  # fmt: skip
PERSON, CROWD = 0, 1


def in_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: in_text(inner) if key not in ("size", "counts") else inner for key, inner in value.items()}
    if isinstance(value, list):
        return [in_text(inner) for inner in value]
    return str(value) if isinstance(value, (int, float)) else value


def as_floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: as_floats(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_floats(inner) for inner in value]
    return float(value) if isinstance(value, int) else value


def changed(row: int, **entries: Any) -> Any:
    def change(raw: dict[str, Any]) -> dict[str, Any]:
        raw["annotations"][row].update(entries)
        return raw

    return change


def categories(*entries: dict[str, Any]) -> Any:
    return lambda raw: {**raw, "categories": list(entries)}


FORMS = {
    "text": in_text,
    "floats": as_floats,
    "text of floats": lambda raw: in_text(as_floats(raw)),
    "flags as words": lambda raw: changed(CROWD, iscrowd="true")(changed(PERSON, iscrowd="false", ignore="")(raw)),
    "booleans": lambda raw: changed(CROWD, iscrowd=True)(changed(PERSON, iscrowd=False)(raw)),
    "a ring of two points first": changed(PERSON, segmentation=[[1, 2, 3, 4], SQUARE]),
    "an empty ring last": changed(PERSON, segmentation=[SQUARE, [], [7, 7]]),
    "run lengths of floats": changed(
        CROWD, segmentation={"size": ["60", 80.0], "counts": [4202.0, "5", 55, 5, 533]}
    ),
    "an unused person": categories({"id": 7, "name": "person", "keypoints": ["a"]}, {"id": 1, "name": "Person"}),
    "the category twice": categories({"id": 1, "name": "person"}, {"id": "1", "name": "person"}),
    "another category": categories({"id": 3, "name": "cat"}, {"id": 1.0, "name": " PERSON "}),
    "images twice": lambda raw: {**raw, "images": [*raw["images"], *in_text(raw["images"])]},
}  # fmt: skip
NOTHING = {"absent": None, "empty": [], "an empty ring": [[]], "points": [[3, 3], [1, 2, 3, 4]], "no runs": {}}


def save(folder: Path, raw: Any) -> Path:
    Image.new("RGB", SIZE[::-1], (90, 90, 90)).save(folder / "a.png")
    path = folder / "labels.json"
    path.write_text(json.dumps(raw))
    return path


def detect(image: Any) -> People:
    mask = np.zeros((1, *SIZE), np.bool_)
    mask[0, 8:50, 5:60] = True
    return People.from_poses(COCO17, POINTS[None] + 1.5, np.ones((1, 17)), scores=[0.8], masks=mask)


def scores(path: Path) -> dict[str, Any]:
    report = evaluate(detect, path, path.parent, resamples=20).to_dict()
    return {key: report[key] for key in ("keypoints", "masks", "person_iou", "persons", "intervals")}


@pytest.mark.parametrize("form", FORMS)
def test_another_way_to_write_a_file_changes_nothing(tmp_path, form):
    path = save(tmp_path, TRUTH)
    expected, read = scores(path), read_coco(path)
    assert expected["keypoints"]["AP"] > 0.3
    assert expected["masks"]["AP"] > 0.3
    path = save(tmp_path, FORMS[form](copy.deepcopy(TRUTH)))
    assert check_file(path, tmp_path).worst < Severity.ERROR
    again = read_coco(path)
    np.testing.assert_array_equal(again.people(1).keypoints, read.people(1).keypoints)
    np.testing.assert_array_equal(again.people(1).masks, read.people(1).masks)
    np.testing.assert_array_equal(again.ignore(1), read.ignore(1))
    assert scores(path) == expected


@pytest.mark.parametrize("nothing", NOTHING)
@pytest.mark.parametrize("bare", [False, True])
def test_what_has_no_area_covers_nothing_everywhere(tmp_path, nothing, bare):
    """As a person without a segmentation, also where nothing else of the person is annotated."""
    gone = {"bbox": None, "keypoints": [], "area": None, "num_keypoints": 0} if bare else {}
    expected = scores(save(tmp_path, changed(PERSON, **gone, segmentation=None)(copy.deepcopy(TRUTH))))
    path = save(tmp_path, changed(PERSON, **gone, segmentation=NOTHING[nothing])(copy.deepcopy(TRUTH)))
    assert check_file(path, tmp_path).worst < Severity.ERROR
    assert scores(path) == expected
    masks = read_coco(path).people(1).masks
    assert masks is None or not masks.nonempty.any()


def named(joints: list[str], **category: Any) -> dict[str, Any]:
    raw = copy.deepcopy(TRUTH)
    raw["categories"][0] |= {"keypoints": joints, **category}
    raw["annotations"][PERSON]["keypoints"] = raw["annotations"][PERSON]["keypoints"][: 3 * len(joints)]
    raw["annotations"][PERSON]["num_keypoints"] = len(joints)
    return raw


FACE = ["nose", "left_eye", "right_eye", "left_ear"]


@pytest.mark.parametrize("bones", [[], [[1, 2]], [[2, 3], [3, 4], [4, 2]], [["1", 2.0], [2, 3], [3, 4], [4, 1]]])
def test_joints_need_no_bones_to_be_checked_and_measured(tmp_path, bones):
    path = save(tmp_path, named(FACE, skeleton=bones))
    assert check_file(path, tmp_path).worst < Severity.ERROR
    assert evaluate_joints(detect, path, tmp_path, resamples=20).scores["pck_box"].overall.value == 1.0


@pytest.mark.parametrize("block", range(4))
def test_what_check_has_no_errors_in_is_read_and_measured(tmp_path, block):
    """And what it has errors in is refused, but for a file without people, which only cannot be learnt from."""
    for number in range(25 * block, 25 * (block + 1)):
        path = save(tmp_path, mutated_data(TRUTH, np.random.default_rng(number)))
        errors = {issue.rule for issue in check_file(path, tmp_path).issues if issue.severity == Severity.ERROR}
        if errors and errors != {"no-people"}:
            with pytest.raises(AnnotationError):
                scores(path)
        else:
            scores(path)
        if not errors:
            assert len(custom_coco(path)[0].people) >= 0


BROKEN = {
    "an id that is no number": lambda raw: {**raw, "images": [{**raw["images"][0], "id": "one"}]},
    "half an id": changed(PERSON, id=1.5),
    "no category": changed(PERSON, category_id="person"),
    "an unclear flag": changed(PERSON, iscrowd="maybe"),
    "text for an area": changed(PERSON, area="large"),
    "an odd ring": changed(PERSON, segmentation=[SQUARE[:7]]),
    "NaN in a ring": changed(PERSON, segmentation=[[*SQUARE[:6], float("nan"), 3]]),
    "a ring of points": changed(PERSON, segmentation=[[[5, 8], [65, 8], [65, 52]]]),
    "a ring that never ends": changed(PERSON, segmentation=[[0, 0, 9e5, 9e5] * 400]),
    "runs of another size": changed(PERSON, segmentation={"size": [80, 60], "counts": [4800]}),
    "runs that do not fill": changed(PERSON, segmentation={"size": list(SIZE), "counts": [5]}),
    "half a run": changed(PERSON, segmentation={"size": list(SIZE), "counts": [4799.5, 0.5]}),
    "two people": lambda raw: changed(CROWD, category_id=2)(categories(
        {"id": 1, "name": "person"}, {"id": 2, "name": "person"})(raw)),
}  # fmt: skip


@pytest.mark.parametrize("fault", BROKEN)
def test_what_has_no_meaning_is_an_error_to_all(tmp_path, fault):
    path = save(tmp_path, BROKEN[fault](copy.deepcopy(TRUTH)))
    assert check_file(path, tmp_path).worst == Severity.ERROR
    with pytest.raises(AnnotationError, match=r"labels\.json"):
        scores(path)


@pytest.mark.parametrize("name", ["img\\a.png", "A.PNG", "a", "a.jpg", "C:\\photos\\a.png"])
def test_a_file_name_that_one_image_fits_means_it(tmp_path, name):
    expected = scores(save(tmp_path, TRUTH))
    raw = copy.deepcopy(TRUTH)
    raw["images"][0]["file_name"] = name
    path = save(tmp_path, raw)
    assert check_file(path, tmp_path).worst < Severity.ERROR
    assert scores(path) == expected


def test_images_that_cannot_be_read_are_left_out_and_named(tmp_path):
    raw = copy.deepcopy(TRUTH)
    for number, name in enumerate(("loop.png", "broken.png"), 2):
        raw["images"].append({**raw["images"][0], "id": number, "file_name": name})
        raw["annotations"].append({**raw["annotations"][PERSON], "id": 10 + number, "image_id": number})
    path = save(tmp_path, raw)
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "a.png").read_bytes()[:6])
    for report in (evaluate(detect, path, tmp_path, resamples=20), evaluate_joints(detect, path, tmp_path)):
        assert report.images == 1
        assert ["loop.png" in report.left_out[0], "broken.png" in report.left_out[1]] == [True, True]
    with pytest.warns(ImageWarning, match=r"1 of 3 images are left out: loop\.png"):
        assert len(custom_coco(path, tmp_path)) == 2
    check = check_file(path, tmp_path)
    assert {"image-unclear", "image-broken"} <= {issue.rule for issue in check.issues}
