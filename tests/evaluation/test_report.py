"""Reports of oracles that return the ground truth, part of it, or nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from poseg.errors import AnnotationError
from poseg.evaluation import evaluate
from poseg.evaluation.report import MEASURES
from poseg.geometry.rle import encode_rle
from poseg.io.coco_json import read_coco
from poseg.io.images import write_png
from poseg.people import People, Timings
from poseg.skeletons import COCO17, OPENPOSE18

HEIGHT, WIDTH = 120, 160


def person(rng, number, image_id, **more):
    x, y = rng.uniform(5, 60), rng.uniform(5, 40)
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[int(y) : int(y) + 60, int(x) : int(x) + 50] = True
    joints = np.column_stack([rng.uniform(x, x + 50, 17).round(), rng.uniform(y, y + 60, 17).round(), np.full(17, 2)])
    return {
        "id": number, "image_id": image_id, "category_id": 7, "iscrowd": 0, "area": float(mask.sum()),
        "bbox": [int(x), int(y), 50, 60], "segmentation": encode_rle(mask), "num_keypoints": 17,
        "keypoints": joints.reshape(-1).tolist(), **more,
    }  # fmt: skip


@pytest.fixture
def made(tmp_path):
    """Four images with a person each, one of them with a crowd too; one without people; one that is missing."""
    rng = np.random.default_rng(4)
    annotations = [person(rng, number, image_id) for number, image_id in enumerate([10, 11, 12, 13], start=1)]
    crowd = np.zeros((HEIGHT, WIDTH), bool)
    crowd[100:, 100:] = True
    annotations.append(
        person(rng, 9, 13, iscrowd=1, segmentation=encode_rle(crowd), keypoints=[0] * 51, num_keypoints=0,
               bbox=[100, 100, 60, 20], area=1200)
    )  # fmt: skip
    plain = {
        "images": [{"id": i, "file_name": f"{i}.png", "height": HEIGHT, "width": WIDTH} for i in (*range(10, 15), 99)],
        "annotations": annotations,
        "categories": [{"id": 7, "name": "person", "keypoints": list(COCO17.joints)}],
    }
    for image_id in range(10, 15):
        write_png(tmp_path / f"{image_id}.png", np.full((HEIGHT, WIDTH, 3), image_id, np.uint8))
    return save(tmp_path, plain)


def save(folder, plain):
    path = folder / "truth.json"
    path.write_text(json.dumps(plain))
    return path


def change(path, **changes):
    return save(path.parent, {**json.loads(path.read_text()), **changes})


class Oracle:
    """Returns the ground truth of an image, which it recognises by its colour."""

    def __init__(self, path, edit=lambda people: people):
        self.dataset, self.edit, self.calls = read_coco(path), edit, 0

    def __call__(self, image):
        self.calls += 1
        people = self.dataset.people(int(image[0, 0, 0]), image.shape[:2])
        return self.edit(replace(people, timings=Timings(1.0, 2.0, float(self.calls))))


def test_oracle_scores_one(made):
    report = evaluate(Oracle(made), made, made.parent, resamples=50)
    assert report.keypoints["AP"] == report.masks["AP"] == pytest.approx(1)
    assert report.person_iou == 1
    assert (report.images, report.persons, report.num_detected, report.num_missing) == (5, 4, 4, 1)
    np.testing.assert_allclose(report.intervals["keypoints.AP"], 1)
    np.testing.assert_allclose(report.intervals["person_iou"], 1)


def test_to_dict_has_the_documented_names_and_survives_json(made):
    report = evaluate(Oracle(made), made, made.parent, resamples=50).to_dict()
    assert {"keypoints", "masks", "person_iou", "images", "persons", "ms", "intervals"} <= set(report)
    assert " ".join(report["keypoints"]) == "AP AP50 AP75 APm APl AR AR50 AR75 ARm ARl"
    assert " ".join(report["masks"]) == "AP AP50 AP75 APs APm APl AR1 AR10 AR100 ARs ARm ARl"
    assert list(report["ms"]) == ["preprocess", "inference", "postprocess", "total"]
    assert report["masks"]["APs"] == -1
    assert "masks.APs" not in report["intervals"]
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_times_are_means_without_the_first_call(made):
    model = Oracle(made)
    ms = evaluate(model, made, made.parent, resamples=5).ms
    assert model.calls == 6
    assert ms == {"preprocess": 1, "inference": 2, "postprocess": 4, "total": 7}  # postprocess took 2, 3, 4, 5, 6


def test_model_without_timings_is_timed_as_a_whole(made):
    ms = evaluate(Oracle(made, lambda people: replace(people, timings=None)), made, made.parent, resamples=5).ms
    assert (ms["preprocess"], ms["inference"], ms["postprocess"]) == (None, None, None)
    assert ms["total"] > 0


def test_no_detections_score_zero(made):
    report = evaluate(Oracle(made, lambda people: people[:0]), made, made.parent, resamples=50)
    assert report.keypoints["AP"] == report.masks["AP"] == report.person_iou == 0
    assert report.intervals["keypoints.AP"] == (0, 0)


def test_interval_contains_the_score(made):
    def drop(people):
        return people[: int(len(people) and people.keypoints[0, 0, 0] > 50)]

    first, again, other = (
        evaluate(Oracle(made, drop), made, made.parent, resamples=300, seed=seed) for seed in (0, 0, 1)
    )
    assert 0 < first.num_detected < 4
    for kind in ("keypoints", "masks"):
        low, high = first.intervals[f"{kind}.AP"]
        assert low < getattr(first, kind)["AP"] < high
    low, high = first.intervals["person_iou"]
    assert low < first.person_iou < high
    assert first.to_dict()["intervals"] == again.to_dict()["intervals"]
    assert first.to_dict()["intervals"] != other.to_dict()["intervals"]
    assert set(first.intervals) <= {"person_iou", *(f"{kind}.{name}" for kind in MEASURES for name in MEASURES[kind])}


def test_person_iou_ignores_crowds_and_people_without_mask(made):
    def grow(people):
        masks = np.asarray(people.masks).copy()
        masks[:, 100:, 100:] = True
        return replace(people, masks=masks)

    in_crowd = {image for image in (10, 11, 12) if len(read_coco(made).people(image))}
    assert evaluate(Oracle(made, grow), made, made.parent, resamples=5).person_iou < 1
    kept = [a for a in json.loads(made.read_text())["annotations"] if a["image_id"] not in in_crowd]
    made = change(made, annotations=kept)
    oracle = Oracle(made, grow)
    assert evaluate(oracle, made, made.parent, resamples=5).person_iou == 1
    bare = change(made, annotations=[{k: v for k, v in a.items() if k != "segmentation"} for a in kept])
    assert evaluate(oracle, bare, made.parent, resamples=5).person_iou == -1


def test_other_skeletons_are_remapped_by_joint_names(made):
    report = evaluate(Oracle(made, lambda people: people.remap_to(OPENPOSE18)), made, made.parent, resamples=5)
    assert report.keypoints["AP"] == pytest.approx(1)


def test_model_without_masks_scores_its_poses(made):
    report = evaluate(Oracle(made, lambda people: replace(people, masks=None)), made, made.parent, resamples=5)
    assert report.keypoints["AP"] == pytest.approx(1)
    assert report.masks["AP"] == report.person_iou == 0


def test_data_without_people_is_not_applicable(made):
    made = change(made, annotations=[])
    report = evaluate(lambda image: People.empty(COCO17), made, made.parent, resamples=5)
    assert set(report.keypoints.values()) == set(report.masks.values()) == {-1}
    assert (report.person_iou, report.persons, dict(report.intervals)) == (-1, 0, {})


def test_progress_and_limit(made):
    steps = []
    report = evaluate(
        Oracle(made), made, made.parent, resamples=5, limit=2, progress=lambda done, total: steps.append((done, total))
    )
    assert steps == [(1, 2), (2, 2)]
    assert (report.images, report.persons) == (2, 2)
    assert report.keypoints["AP"] == pytest.approx(1)


def test_missing_images_with_people_are_refused(made):
    (made.parent / "11.png").unlink()
    (made.parent / "13.png").unlink()
    with pytest.raises(AnnotationError, match=r"2 of the 4 images with people .* first is 11\.png"):
        evaluate(Oracle(made), made, made.parent)


def test_folder_without_images_is_refused(made, tmp_path):
    made = change(made, annotations=[])
    with pytest.raises(AnnotationError, match="None of the 6 images"):
        evaluate(Oracle(made), made, tmp_path / "elsewhere")


def test_image_of_another_size_is_refused(made):
    write_png(made.parent / "12.png", np.full((HEIGHT * 2, WIDTH * 2, 3), 12, np.uint8))
    with pytest.raises(AnnotationError, match=r"12\.png"):
        evaluate(Oracle(made), made, made.parent)


def test_skeleton_without_sigmas_is_refused(made):
    category = {"id": 7, "name": "person", "keypoints": [f"joint{i}" for i in range(17)],
                "skeleton": [[i, i + 1] for i in range(1, 17)]}  # fmt: skip
    made = change(made, categories=[category])
    with pytest.raises(AnnotationError, match="has no sigmas"):
        evaluate(lambda image: People.empty(COCO17), made, made.parent)
