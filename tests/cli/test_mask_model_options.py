"""`--mask-model` of predict and evaluate, and provided people of evaluate."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import Result

from poseg.geometry.rle import encode_rle
from poseg.runtime.models import load
from poseg.skeletons import COCO17

Poseg = Callable[..., Result]
Spots = Callable[..., NDArray[np.uint8]]
Save = Callable[[str, NDArray[np.uint8]], None]

CENTRES = {1: (60, 70), 2: (190, 120)}  # of the person in each image
MASK_MODEL = ("--mask-model", "../disks.onnx")


def evaluate(poseg: Poseg, *arguments: object) -> dict[str, Any]:
    """The report of a run that went well, and under "shown" what was printed, without its line breaks."""
    result = poseg("evaluate", "--data", "truth.json", "--images", "photos", "--json", "scores.json", *arguments)
    assert result.exit_code == 0, result.stderr
    return {**json.loads(Path("scores.json").read_text()), "shown": " ".join(result.stdout.split())}


@pytest.fixture
def truth(poseg: Poseg, spots: Spots, save: Save) -> Path:
    """Two images of red spots: the person whom both models detect there, and one without joints elsewhere."""
    whole = (load("../spots.onnx"), load("../disks.onnx"))
    annotations = []
    for number, place in CENTRES.items():
        save(f"photos/{number}.png", spots(place))
        detected = whole[0](f"photos/{number}.png")
        (mask,) = whole[1](f"photos/{number}.png", detected).masks
        points = np.column_stack([detected.keypoints[0] - 0.5, np.full(17, 2)])
        more = {"image_id": number, "category_id": 1, "iscrowd": 0}
        annotations.append(
            {"id": 10 * number, **more, "segmentation": encode_rle(mask), "area": int(mask.sum()),
             "bbox": [place[0] - 20, place[1] - 25, 40, 50], "keypoints": points.reshape(-1).tolist(),
             "num_keypoints": 17}
        )  # fmt: skip
        annotations.append(
            {"id": 10 * number + 1, **more, "segmentation": [[2, 160, 60, 160, 60, 190, 2, 190]], "area": 1740,
             "bbox": [2, 160, 58, 30], "num_keypoints": 0}
        )  # fmt: skip
    plain = {
        "images": [{"id": n, "file_name": f"{n}.png", "height": 193, "width": 257} for n in CENTRES],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.joints)}],
    }
    Path("truth.json").write_text(json.dumps(plain))
    return Path("truth.json")


# Laws.


def test_mask_model_changes_masks_only(truth: Path, poseg: Poseg) -> None:
    """The truth was made by both models, so both together find it and the first alone does not."""
    refined = evaluate(poseg, "--model", "../spots.onnx", *MASK_MODEL, "--keypoints-only")
    alone = evaluate(poseg, "--model", "../spots.onnx", "--keypoints-only")
    assert refined["masks"]["AP"] == refined["keypoints"]["AP"] == alone["keypoints"]["AP"] == pytest.approx(1)
    assert alone["masks"]["AP"] < 0.5
    assert (refined["model"], alone["model"]) == ("test+disks", "test")
    assert refined["ms"]["inference"] > 0


def test_evaluate_with_detected_people_equals_mask_model(truth: Path, poseg: Poseg) -> None:
    together = evaluate(poseg, "--model", "../spots.onnx", *MASK_MODEL, "--results", "together.json")
    evaluate(poseg, "--model", "../spots.onnx", "--results", "detected.json")
    apart = evaluate(poseg, *MASK_MODEL, "--people", "detected.json")
    for kind in ("masks", "keypoints"):
        assert apart[kind] == pytest.approx(together[kind], abs=1e-3)
    assert apart["person_iou"] == pytest.approx(together["person_iou"], abs=0.01)


# Examples.


def test_evaluate_reports_where_the_poses_come_from(truth: Path, poseg: Poseg) -> None:
    detected = evaluate(poseg, "--model", "../spots.onnx", *MASK_MODEL, "--results", "detected.json")
    assert detected["poses"] == "detected by test"
    assert "poses: detected by test" in detected["shown"]
    true = evaluate(poseg, *MASK_MODEL, "--people", "truth.json", "--keypoints-only")
    assert (true["poses"], true["keypoints_only"], true["model"]) == ("ground truth of truth.json", True, "disks")
    assert "poses: ground truth of truth.json; people without annotated joints ignored" in true["shown"]
    given = evaluate(poseg, *MASK_MODEL, "--people", "detected.json", "--long-edge", "129")
    assert (given["poses"], given["keypoints_only"]) == ("results in detected.json", False)
    assert "poses: results in detected.json" in given["shown"]
    assert given["options"] == {"long_edge": 129, "threads": None}


def test_provided_ground_truth_misses_no_people(truth: Path, poseg: Poseg) -> None:
    with_joints = evaluate(poseg, *MASK_MODEL, "--people", "truth.json", "--keypoints-only")
    assert (with_joints["persons"], with_joints["num_detected"]) == (2, 2)
    assert with_joints["masks"]["AP"] > 0.8  # the truth depends on the masks of the first model a little
    all_people = evaluate(poseg, *MASK_MODEL, "--people", "truth.json")
    assert (all_people["persons"], all_people["num_detected"]) == (4, 4)
    # Without joints the disk lies at the centre of the box.
    assert all_people["masks"]["AP"] < with_joints["masks"]["AP"]


def test_predict_takes_a_mask_model(truth: Path, poseg: Poseg) -> None:
    result = poseg("predict", "photos", "--out", "out", "--model", "../spots.onnx", *MASK_MODEL, "--no-overlay")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("2 people in 2 images; median ")
    records = json.loads(Path("out/results.json").read_text())
    masks = {a["image_id"]: a["segmentation"] for a in json.loads(truth.read_text())["annotations"][::2]}
    assert {record["image_id"]: record["segmentation"] for record in records} == masks


# Bad input.


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--model", "../disks.onnx"], "does not detect people by itself"),
        (["--model", "../spots.onnx", "--mask-model", "../spots.onnx"], "which does not segment provided people"),
        (["--model", "../spots.onnx", "--mask-model", "missing"], "no model 'missing'"),
    ],
    ids=" ".join,
)
def test_models_in_the_wrong_option_are_rejected(
    truth: Path, poseg: Poseg, arguments: list[str], complaint: str
) -> None:  # fmt: skip
    for command in (["predict", "photos", "--out", "out"], ["evaluate", "--data", truth, "--images", "photos"]):
        result = poseg(*command, *arguments)
        assert result.exit_code == 2
        assert complaint in result.stderr
        assert result.stderr.count("\n") == 1
        assert "Traceback" not in result.output
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--people", "truth.json"], "name it with --mask-model"),
        ([*MASK_MODEL, "--people", "truth.json", "--model", "small"], "so --model would do nothing"),
        ([*MASK_MODEL, "--people", "truth.json", "--flip", "--scales", "1"], "so --scales, --flip would do nothing"),
        ([*MASK_MODEL, "--people", "truth.json", "--min-score", "0.3"], "so --min-score would do nothing"),
        ([*MASK_MODEL, "--people", "truth.json", "--max-people", "3"], "so --max-people would do nothing"),
        (["--mask-model", "../spots.onnx", "--people", "truth.json"], "which does not segment provided people"),
        ([*MASK_MODEL, "--people", "missing.json"], "There is no file missing.json"),
        ([*MASK_MODEL, "--people", "other.json"], "it lists other.png, they are such as 1.png"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_evaluate_rejects_options_that_do_not_fit_provided_people(
    truth: Path, poseg: Poseg, arguments: list[str], complaint: str
) -> None:  # fmt: skip
    Path("other.json").write_text('[{"image_id": 9, "score": 1, "file_name": "other.png"}]')
    result = poseg("evaluate", "--data", truth, "--images", "photos", *arguments)
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert result.stderr.count("\n") == 1
