from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import Result

from poseg.geometry.rle import tight_boxes
from poseg.io.coco_results import read_results
from poseg.people import People
from poseg.skeletons import COCO17

Poseg = Callable[..., Result]
Spots = Callable[..., NDArray[np.uint8]]
Save = Callable[[str, NDArray[np.uint8]], None]

MODELS = ("--model", "../spots.onnx")


def segment(poseg: Poseg, *arguments: object, poses: object = "people.json") -> Result:
    return poseg("segment", "--people", poses, "--out", "out", "--model", "../disks.onnx", *arguments)


def written(folder: str = "out") -> set[str]:
    return {path.name for path in Path(folder).iterdir()}


def overlap(mask: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((mask & other).sum() / (mask | other).sum())


def from_the_left(people: People) -> People:
    """People of equal scores may come in any order."""
    return people[np.argsort(people.keypoints[:, 0, 0])]


def ground_truth(names: dict[int, str], *, boxes: list[list[float]] | None = None) -> None:
    """Ground truth of people who have a box and no joints, in people.json."""
    boxes = boxes or [[40, 40, 60, 100]]
    plain = {
        "images": [{"id": number, "file_name": name} for number, name in names.items()],
        "annotations": [
            {"id": 100 * number + place, "image_id": number, "category_id": 1, "bbox": box}
            for number in names
            for place, box in enumerate(boxes)
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.joints)}],
    }
    Path("people.json").write_text(json.dumps(plain))


# Laws.


def test_segment_after_predict_equals_mask_model(poseg: Poseg, spots: Spots, save: Save) -> None:
    save("photos/one.png", spots((60, 70)))
    save("photos/two.png", spots((60, 70), (190, 120)))
    save("photos/none.png", spots())
    options = (*MODELS, "--masks")
    assert poseg("predict", "photos", "--out", "detected", *options).exit_code == 0
    assert poseg("predict", "photos", "--out", "whole", *options, "--mask-model", "../disks.onnx").exit_code == 0
    result = segment(poseg, "photos", "--masks", poses="detected/results.json")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("3 people in 3 images; median ")
    assert written() == written("whole") == written("detected")
    whole, ours, before = (read_results(f"{folder}/results.json") for folder in ("whole", "out", "detected"))
    assert set(whole) == set(ours)
    for number in whole:
        people, other = from_the_left(whole[number]), from_the_left(ours[number])
        np.testing.assert_allclose(other.keypoints, people.keypoints, atol=0.011)
        np.testing.assert_allclose(other.keypoint_scores, people.keypoint_scores, atol=2e-4)
        np.testing.assert_allclose(other.scores, people.scores, atol=1e-3)
        np.testing.assert_allclose(other.boxes_xyxy, people.boxes_xyxy, atol=1.01)
        assert min(map(overlap, other.masks, people.masks)) > 0.98
        # And it is another answer than the first model's.
        first = before[number].masks
        assert max(overlap(mask, earlier) for mask in people.masks for earlier in first) < 0.9
    records, others = (json.loads(Path(f"{folder}/results.json").read_text()) for folder in ("whole", "out"))
    for key in ("id", "image_id", "file_name"):
        assert [record[key] for record in records] == [record[key] for record in others]
    for kind in ("one.masks.png", "two.masks.png"):
        first, second = (np.asarray(Image.open(f"{folder}/{kind}")) > 0 for folder in ("whole", "out"))
        assert (first == second).mean() > 0.99


def test_segment_puts_masks_where_the_people_of_the_file_are(poseg: Poseg, spots: Spots, save: Save) -> None:
    """A disk at the centre of the crop is a disk at the centre of the box that the crop holds."""
    save("a.png", spots())
    ground_truth({5: "a.png"}, boxes=[[40, 40, 60, 100], [150, 60, 80, 80]])
    assert segment(poseg, "a.png").exit_code == 0
    people = read_results("out/results.json")[5]
    expected = {(70, 90): 100 * 20 / 64, (190, 100): 80 * 20 / 64}
    for box in tight_boxes(np.asarray(people.masks)):
        centre = (box[:2] + box[2:]) / 2
        radius = min(expected.items(), key=lambda item: np.hypot(*(centre - item[0])))
        np.testing.assert_allclose(centre, radius[0], atol=1)
        np.testing.assert_allclose((box[2:] - box[:2]) / 2, radius[1], atol=1)


# Examples.


def test_segment_keeps_the_image_ids_of_ground_truth(poseg: Poseg, spots: Spots, save: Save) -> None:
    save("photos/b.png", spots())
    save("photos/a.png", spots())
    ground_truth({31: "train/b.png", 12: "train/a.png"})
    assert segment(poseg, "photos").exit_code == 0
    records = json.loads(Path("out/results.json").read_text())
    assert {record["file_name"]: record["image_id"] for record in records} == {"a.png": 12, "b.png": 31}
    assert written() == {"results.json", "a.overlay.png", "b.overlay.png"}


def test_segment_masks_are_exclusive_by_default(poseg: Poseg, spots: Spots, save: Save) -> None:
    save("a.png", spots())
    ground_truth({1: "a.png"}, boxes=[[40, 40, 100, 100], [70, 50, 100, 100]])
    shared = []
    for options in ((), ("--exclusive",), ("--overlapping",)):
        assert segment(poseg, "a.png", *options).exit_code == 0
        masks = read_results("out/results.json")[1].masks
        shared.append(int(np.asarray(masks).all(axis=0).sum()))
    assert shared[0] == shared[1] < 0.02 * shared[2]  # at the border both may hold a few pixels
    assert shared[2] > 100


def test_segment_options_reach_the_segmenter_and_the_writer(poseg: Poseg, spots: Spots, save: Save) -> None:
    save("a.png", spots())
    ground_truth({1: "a.png"})
    result = segment(poseg, "a.png", "--no-overlay", "--masks", "--long-edge", "129", "--threads", "1")
    assert result.exit_code == 0, result.stderr
    assert written() == {"results.json", "a.masks.png"}


def test_segment_takes_unlisted_images_as_without_people(poseg: Poseg, spots: Spots, save: Save) -> None:
    for name in ("a.png", "b.png", "c.png"):
        save(name, spots())
    ground_truth({1: "a.png"})
    result = segment(poseg, "a.png", "b.png", "c.png")
    assert result.exit_code == 0
    assert result.stderr == (
        "poseg: people.json does not list 2 of 3 images, such as b.png; they are taken to show no people.\n"
    )
    assert len(json.loads(Path("out/results.json").read_text())) == 1
    assert {"b.overlay.png", "c.overlay.png"} <= written()


def test_segment_takes_a_file_that_lists_more_images(
    poseg: Poseg, spots: Spots, save: Save
) -> None:  # fmt: skip
    save("a.png", spots())
    ground_truth({1: "a.png", 2: "z.png"}, boxes=[[5, 5, 20, 40]] * 60)
    result = segment(poseg, "a.png", "--no-overlay")
    assert result.stdout.startswith("60 people in 1 image;"), result.stderr
    assert result.stderr == ""


def test_segment_finishes_the_images_after_a_bad_one(poseg: Poseg, spots: Spots, save: Save) -> None:
    save("a.png", spots())
    Path("b.png").write_bytes(b"no image")
    ground_truth({1: "a.png", 2: "b.png"})
    result = segment(poseg, "b.png", "a.png", "missing.png")
    assert result.exit_code == 2
    assert [line.split()[1] for line in result.stderr.splitlines()] == ["There", "b.png"]
    assert result.stdout.startswith("1 person in 1 image")
    assert written() == {"results.json", "a.overlay.png"}


# Bad input.


def nan_pose() -> str:
    points = [float("nan")] * 51
    return json.dumps([{"image_id": 1, "category_id": 1, "score": 1, "keypoints": points, "file_name": "a.png"}])


@pytest.mark.parametrize(
    ("poses", "complaint"),
    [
        (None, "There is no file people.json"),
        ("{", "people.json is not JSON"),
        ("{}", "neither COCO ground truth (an object"),
        ('[{"image_id": 1}]', "a record has no score"),
        (nan_pose(), "expected 51 finite numbers"),
        ('[{"image_id": 7, "score": 1, "file_name": "b.png"}]', "it lists b.png, they are such as a.png"),
        ('[{"image_id": 1, "score": 1, "file_name": "x/a.png"}, {"image_id": 2, "score": 1, "file_name": "y/a.png"}]',
         "a.png may be x/a.png (image 1) and y/a.png (image 2)"),
        ('[{"image_id": 1, "score": 1, "skeleton": "spider"}]', "skeleton spider"),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_segment_reports_bad_files_in_a_sentence(
    poseg: Poseg, spots: Spots, save: Save, poses: str | None, complaint: str
) -> None:  # fmt: skip
    save("a.png", spots())
    if poses is not None:
        Path("people.json").write_text(poses)
    result = segment(poseg, "a.png")
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert result.stderr.count("\n") == 1
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--model", "../spots.onnx"], "which does not segment provided people"),
        (["--model", "missing"], "no model 'missing'"),
        (["--long-edge", "3"], "64 to 4097"),
        (["--out", "a.png"], "Cannot make the folder a.png"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_segment_reports_bad_options_in_a_sentence(
    poseg: Poseg, spots: Spots, save: Save, options: list[str], complaint: str
) -> None:  # fmt: skip
    save("a.png", spots())
    ground_truth({1: "a.png"})
    result = segment(poseg, "a.png", *options)
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert not Path("out").exists()


def test_segment_rejects_people_of_an_unknown_skeleton(
    poseg: Poseg, spots: Spots, save: Save
) -> None:  # fmt: skip
    save("a.png", spots())
    ground_truth({1: "a.png"})
    plain = json.loads(Path("people.json").read_text())
    plain["categories"][0] |= {"keypoints": ["snout", "tail"], "skeleton": [[1, 2]]}
    plain["annotations"][0]["keypoints"] = [10, 10, 2, 30, 30, 2]
    Path("people.json").write_text(json.dumps(plain))
    result = segment(poseg, "a.png")
    assert result.exit_code == 2
    assert "share 0 joints with the model" in result.stderr


def test_segment_takes_a_file_without_people(poseg: Poseg, spots: Spots, save: Save) -> None:
    """As after `poseg predict` on images without people."""
    save("a.png", spots())
    Path("people.json").write_text("[]")
    result = segment(poseg, "a.png")
    assert result.exit_code == 0
    assert json.loads(Path("out/results.json").read_text()) == []


def test_segment_uses_the_box_of_people_without_joints(poseg: Poseg, spots: Spots, save: Save) -> None:
    from poseg.io.coco_results import coco_results

    save("a.png", spots())
    people = People.from_poses(COCO17, np.zeros((1, 17, 2)), np.zeros((1, 17)), scores=[0.5])
    (record,) = coco_results(people, 1, file_name="a.png")
    Path("people.json").write_text(json.dumps([{**record, "bbox": [40, 40, 100, 100]}]))
    assert segment(poseg, "a.png").exit_code == 0
    box = read_results("out/results.json")[1].boxes_xyxy[0]
    np.testing.assert_allclose((box[:2] + box[2:]) / 2, (90, 90), atol=1)
