"""People who are given, and COCOPersons' rule that only those with joints count."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from poseg.errors import AnnotationError
from poseg.evaluation import evaluate, true_people
from poseg.evaluation.given import people_for
from poseg.geometry.rle import encode_rle
from poseg.io.coco_json import coco_results, read_coco
from poseg.io.given_people import read_people
from poseg.io.images import write_png
from poseg.people import People
from poseg.skeletons import COCO17

HEIGHT, WIDTH = 100, 150
PLACES = {1: (10, 10), 2: (60, 20), 3: (100, 40)}  # corners of people, who are 30 wide and 50 high


def mask_at(number):
    x, y = PLACES[number]
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y : y + 50, x : x + 30] = True
    return mask


def record(number, image_id, *, joints=17, **more):
    x, y = PLACES[number]
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
    """Two pictures of three people each, of whom one in each has no joints; she is outlined in the first only."""
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


def sloppy(numbers, wrong=()):
    """A model that finds people of these numbers whole, and of those in `wrong` somewhat beside them."""

    def find(image):
        masks = np.stack([mask_at(n) if n not in wrong else np.roll(mask_at(n), 12, axis=1) for n in numbers])
        points = np.random.default_rng(0).uniform(0, 90, (len(numbers), 17, 2))
        scores = np.linspace(0.9, 0.5, len(numbers))
        return People.from_poses(COCO17, points, np.ones((len(numbers), 17)), scores=scores, masks=masks)

    return find


# Laws.


@pytest.mark.parametrize("model", [sloppy([1, 2, 3]), sloppy([2, 1, 3], [2]), sloppy([3, 2, 1], [2, 3]), sloppy([1])])
def test_posed_is_the_same_as_a_file_in_which_the_others_are_crowds(made, model):
    by_hand = changed(made, "by_hand.json", lambda a: {**a, "iscrowd": int(a["num_keypoints"] == 0)})
    ours = evaluate(model, made, made.parent, resamples=20, posed=True).to_plain()
    theirs = evaluate(model, by_hand, made.parent, resamples=20).to_plain()
    unlike = {"data", "posed", "ms"}
    assert {k: v for k, v in ours.items() if k not in unlike} == {k: v for k, v in theirs.items() if k not in unlike}
    assert (ours["posed"], theirs["posed"]) == (True, False)


def test_what_is_found_where_somebody_has_no_joints_neither_helps_nor_harms(made):
    def find(numbers):
        whole = sloppy(numbers)

        def part(image):
            """Of her the legs only, which by itself would be a false alarm; she comes first."""
            people = whole(image)
            masks = np.asarray(people.masks).copy()
            masks[np.array(numbers) == 2, :50] = False
            return replace(people, masks=masks)

        return part

    for posed in (False, True):
        with_her, without = (
            evaluate(find(numbers), made, made.parent, resamples=5, posed=posed) for numbers in ([2, 1, 3], [1, 3])
        )
        assert with_her.persons == without.persons == (4 if posed else 6)
        assert (np.asarray(with_her.masks)["AP"] == np.asarray(without.masks)["AP"]) == posed
        assert (with_her.person_iou == without.person_iou) == posed
        assert posed == (np.asarray(without.masks)["AP"] == pytest.approx(1))


def test_truth_in_truth_out(made):
    """People are given to their own pictures, and COCO counts the poses of those who have joints as found."""
    given = people_for(read_people(made), made)
    assert evaluate(fill, made, made.parent, resamples=5, given=given).masks["AP"] == pytest.approx(1)
    posed = people_for(read_people(made), made, posed=True)
    report = evaluate(fill, made, made.parent, resamples=5, given=posed, posed=True)
    assert report.keypoints["AP"] == report.masks["AP"] == pytest.approx(1)
    half = evaluate(lambda image, people: fill(image, people, 10), made, made.parent, resamples=5, given=given)
    assert 0 < np.asarray(half.masks)["AP"] < 1


def fill(image, people, short=0):
    """A model that is given people, and fills their boxes but for some rows at the bottom."""
    masks = np.zeros((len(people), *image.shape[:2]), bool)
    for mask, (left, top, right, bottom) in zip(masks, people.boxes_xyxy.astype(int), strict=True):
        mask[top : bottom - short, left:right] = True
    return replace(people, masks=masks)


def test_true_people_are_those_of_the_data_set_without_masks(made):
    data, people = read_coco(made), true_people(made)
    assert list(people) == [1, 2]
    for number, each in people.items():
        assert each.masks is None
        np.testing.assert_array_equal(each.keypoints, data.people(number).keypoints)
        np.testing.assert_array_equal(each.boxes_xyxy, data.people(number).boxes_xyxy)


# Examples.


def test_true_people_without_joints_are_not_given_where_they_do_not_count(made):
    given = read_people(made)
    assert [len(people) for people in people_for(given, made).values()] == [3, 3]
    assert [len(people) for people in people_for(given, made, posed=True).values()] == [2, 2]


def test_found_people_are_given_whether_or_not_they_have_joints(made):
    records = [r for i in (1, 2) for r in coco_results(People.empty(COCO17), i)]
    people = People.from_poses(COCO17, np.zeros((1, 17, 2)), np.zeros((1, 17)), scores=[0.5])
    given = read_people(save(made.parent, [*records, *coco_results(people, 1)], "found.json"))
    assert {number: len(each) for number, each in people_for(given, made, posed=True).items()} == {1: 1}


def test_names_come_before_the_numbers_that_predict_counts(made):
    """`poseg predict` numbers b.png and a.png by itself; a data set may number them the other way round."""
    plain = json.loads(made.read_text())
    plain["images"] = [{**image, "file_name": {1: "b.png", 2: "a.png"}[image["id"]]} for image in plain["images"]]
    data = save(made.parent, plain)
    people = [People.from_poses(COCO17, np.full((1, 17, 2), 10.0 * n), np.ones((1, 17))) for n in (1, 2)]
    found = [*coco_results(people[0], 1, file_name="a.png"), *coco_results(people[1], 2, file_name="b.png")]
    given = people_for(read_people(save(made.parent, found, "found.json")), data)
    assert {number: float(each.keypoints[0, 0, 0]) for number, each in given.items()} == {1: 20, 2: 10}


# Bad input.


def test_a_file_about_other_pictures_is_refused(made):
    plain = json.loads(made.read_text())
    plain["images"] = [{**plain["images"][0], "id": 7, "file_name": "7.png"}]
    other = read_people(save(made.parent, {**plain, "annotations": []}, "other.json"))
    with pytest.raises(AnnotationError, match=r"it speaks of 7\.png, they are such as 1\.png"):
        people_for(other, made)


def test_a_data_set_without_joints_cannot_be_measured_by_those_with_joints(made):
    bare = changed(made, "bare.json", lambda a: {**a, "keypoints": [0] * 51, "num_keypoints": 0})
    with pytest.raises(AnnotationError, match=r"None of the people in .*bare\.json has an annotated joint"):
        evaluate(sloppy([1]), bare, bare.parent, posed=True)
