"""Provided people, and the rule of COCOPersons that only people with joints count."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from poseg.errors import AnnotationError
from poseg.evaluation import evaluate, ground_truth_people
from poseg.evaluation.ground_truth import match_people
from poseg.geometry.masks import Masks
from poseg.geometry.rle import encode_rle
from poseg.io.coco_json import read_coco
from poseg.io.coco_results import coco_results
from poseg.io.images import write_png
from poseg.io.people_file import read_people
from poseg.people import People
from poseg.skeletons import COCO17

HEIGHT, WIDTH = 100, 150
CORNERS = {1: (10, 10), 2: (60, 20), 3: (100, 40)}  # of people, who are 30 wide and 50 high


def mask_at(number):
    x, y = CORNERS[number]
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y : y + 50, x : x + 30] = True
    return mask


def record(number, image_id, *, joints=17, **more):
    x, y = CORNERS[number]
    rng = np.random.default_rng(number)
    points = np.column_stack([rng.integers(x, x + 30, 17), rng.integers(y, y + 50, 17), np.full(17, 2)])
    points[joints:] = 0
    return {
        "id": 10 * image_id + number, "image_id": image_id, "category_id": 1, "iscrowd": 0, "area": 1500,
        "bbox": [x, y, 30, 50], "segmentation": encode_rle(mask_at(number)), "num_keypoints": joints,
        "keypoints": points.reshape(-1).tolist(), **more,
    }  # fmt: skip


@pytest.fixture
def made(tmp_path):
    """Two images of three people each, one of whom has no joints, and a mask in the first image only."""
    plain = {
        "images": [{"id": i, "file_name": f"{i}.png", "height": HEIGHT, "width": WIDTH} for i in (1, 2)],
        "annotations": [
            record(1, 1), record(2, 1, joints=0), record(3, 1, joints=5),
            record(1, 2), record(2, 2, joints=0, segmentation=None), record(3, 2),
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.joints)}],
    }  # fmt: skip
    for image_id in (1, 2):
        write_png(tmp_path / f"{image_id}.png", np.full((HEIGHT, WIDTH, 3), image_id, np.uint8))
    return save(tmp_path, plain)


def save(folder, plain, name="truth.json"):
    path = folder / name
    path.write_text(json.dumps(plain))
    return path


def changed(path, name, change):
    """A copy of an annotation file with `change` made to each annotation."""
    plain = json.loads(path.read_text())
    return save(path.parent, {**plain, "annotations": [change(a) for a in plain["annotations"]]}, name)


def segmenter(numbers, wrong=()):
    """A model that segments people of these numbers, those in `wrong` with shifted masks."""

    def predict(image):
        masks = np.stack([mask_at(n) if n not in wrong else np.roll(mask_at(n), 12, axis=1) for n in numbers])
        points = np.random.default_rng(0).uniform(0, 90, (len(numbers), 17, 2))
        scores = np.linspace(0.9, 0.5, len(numbers))
        return People.from_poses(COCO17, points, np.ones((len(numbers), 17)), scores=scores, masks=masks)

    return predict


# Laws.


@pytest.mark.parametrize("which", [([1, 2, 3],), ([2, 1, 3], [2]), ([3, 2, 1], [2, 3]), ([1],)])
def test_keypoints_only_equals_a_file_with_the_others_as_crowds(made, which):
    model = segmenter(*which)
    as_crowds = changed(made, "as_crowds.json", lambda a: {**a, "iscrowd": int(a["num_keypoints"] == 0)})
    ours = evaluate(model, made, made.parent, resamples=20, keypoints_only=True).to_dict()
    theirs = evaluate(model, as_crowds, made.parent, resamples=20).to_dict()
    unlike = {"data", "keypoints_only", "ms"}
    assert {k: v for k, v in ours.items() if k not in unlike} == {k: v for k, v in theirs.items() if k not in unlike}
    assert (ours["keypoints_only"], theirs["keypoints_only"]) == (True, False)


def test_detections_of_people_without_joints_do_not_count(made):
    def predict(numbers):
        predict_all = segmenter(numbers)

        def part(image):
            """Of the person without joints only the legs, which by themselves would be a false positive."""
            people = predict_all(image)
            masks = np.asarray(people.masks).copy()
            masks[np.array(numbers) == 2, :50] = False
            return replace(people, masks=Masks.from_full(masks))

        return part

    for keypoints_only in (False, True):
        with_person, without = (
            evaluate(predict(numbers), made, made.parent, resamples=5, keypoints_only=keypoints_only)
            for numbers in ([2, 1, 3], [1, 3])
        )
        assert with_person.persons == without.persons == (4 if keypoints_only else 6)
        assert (with_person.masks["AP"] == without.masks["AP"]) == keypoints_only
        assert (with_person.person_iou == without.person_iou) == keypoints_only
        assert keypoints_only == (without.masks["AP"] == pytest.approx(1))


def test_provided_ground_truth_scores_one(made):
    """People are provided to their own images, and the poses of people with joints count as detected."""
    people = match_people(read_people(made), made)
    assert evaluate(fill_boxes, made, made.parent, resamples=5, people=people).masks["AP"] == pytest.approx(1)
    posed = match_people(read_people(made), made, keypoints_only=True)
    report = evaluate(fill_boxes, made, made.parent, resamples=5, people=posed, keypoints_only=True)
    assert report.keypoints["AP"] == report.masks["AP"] == pytest.approx(1)
    half = evaluate(lambda image, people: fill_boxes(image, people, 10), made, made.parent, resamples=5, people=people)
    assert 0 < half.masks["AP"] < 1


def fill_boxes(image, people, short=0):
    """A model of masks that fills the boxes of people but for some rows at the bottom."""
    masks = np.zeros((len(people), *image.shape[:2]), bool)
    for mask, (left, top, right, bottom) in zip(masks, people.boxes_xyxy.astype(int), strict=True):
        mask[top : bottom - short, left:right] = True
    return replace(people, masks=Masks.from_full(masks))


def test_ground_truth_people_are_those_of_the_data_set_without_masks(made):
    data, people = read_coco(made), ground_truth_people(made)
    assert list(people) == [1, 2]
    for number, each in people.items():
        assert each.masks is None
        np.testing.assert_array_equal(each.keypoints, data.people(number).keypoints)
        np.testing.assert_array_equal(each.boxes_xyxy, data.people(number).boxes_xyxy)


# Examples.


def test_keypoints_only_leaves_out_annotated_people_without_joints(made):
    file = read_people(made)
    assert [len(people) for people in match_people(file, made).values()] == [3, 3]
    assert [len(people) for people in match_people(file, made, keypoints_only=True).values()] == [2, 2]


def test_detections_without_joints_are_kept(made):
    records = [r for i in (1, 2) for r in coco_results(People.empty(COCO17), i)]
    people = People.from_poses(COCO17, np.zeros((1, 17, 2)), np.zeros((1, 17)), scores=[0.5])
    file = read_people(save(made.parent, [*records, *coco_results(people, 1)], "detections.json"))
    assert {number: len(each) for number, each in match_people(file, made, keypoints_only=True).items()} == {1: 1}


def test_images_are_matched_by_name_before_id(made):
    """`poseg predict` assigns its own ids; those of a data set may differ."""
    plain = json.loads(made.read_text())
    plain["images"] = [{**image, "file_name": {1: "b.png", 2: "a.png"}[image["id"]]} for image in plain["images"]]
    data = save(made.parent, plain)
    people = [People.from_poses(COCO17, np.full((1, 17, 2), 10.0 * n), np.ones((1, 17))) for n in (1, 2)]
    detections = [*coco_results(people[0], 1, file_name="a.png"), *coco_results(people[1], 2, file_name="b.png")]
    provided = match_people(read_people(save(made.parent, detections, "detections.json")), data)
    assert {number: float(each.keypoints[0, 0, 0]) for number, each in provided.items()} == {1: 20, 2: 10}


# Bad input.


def test_file_of_other_images_is_refused(made):
    plain = json.loads(made.read_text())
    plain["images"] = [{**plain["images"][0], "id": 7, "file_name": "7.png"}]
    other = read_people(save(made.parent, {**plain, "annotations": []}, "other.json"))
    with pytest.raises(AnnotationError, match=r"it lists 7\.png, they are such as 1\.png"):
        match_people(other, made)


def test_keypoints_only_needs_annotated_joints(made):
    bare = changed(made, "bare.json", lambda a: {**a, "keypoints": [0] * 51, "num_keypoints": 0})
    with pytest.raises(AnnotationError, match=r"None of the people in .*bare\.json has an annotated joint"):
        evaluate(segmenter([1]), bare, bare.parent, keypoints_only=True)
