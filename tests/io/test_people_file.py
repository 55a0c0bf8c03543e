"""People from one file for many images: what is written comes back, and each image finds its own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.errors import AnnotationError
from poseg.io.coco_json import read_coco
from poseg.io.coco_results import coco_results, read_results
from poseg.io.people_file import find_image_id, match_images, people_for_image, read_people
from poseg.people import People
from poseg.skeletons import COCO17, OCHUMAN19

COCO_FILE = (
    Path(__file__).resolve().parents[2].parent
    / "shared" / "data" / "coco_val_person_ann" / "person_keypoints_val2017_538.json.gz"
)  # fmt: skip
SIZE = (60, 80)


def some_people(count=2, seed=0, skeleton=COCO17, masks=True) -> People:
    rng = np.random.default_rng(seed)
    points = rng.uniform(5, 55, (count, len(skeleton), 2)).astype(np.float32)
    scores = rng.uniform(0.1, 1, (count, len(skeleton)))
    drawn = np.zeros((count, *SIZE), bool)
    drawn[:, 10:50, 20:60] = True
    return People.from_poses(skeleton, points, scores, masks=drawn if masks else None)


def same(some: People, other: People, tolerance_px=0.011) -> bool:
    """The same poses with the same scores, but for the rounding of result files."""
    return (
        some.skeleton == other.skeleton
        and some.keypoints.shape == other.keypoints.shape
        and np.allclose(some.keypoints, other.keypoints, atol=tolerance_px)
        and np.allclose(some.keypoint_scores, other.keypoint_scores, atol=1e-4)
        and np.allclose(some.scores, other.scores, atol=1e-5)
    )


def save(folder, plain, name="people.json"):
    path = folder / name
    path.write_text(json.dumps(plain))
    return path


def truth(names, **more):
    """Ground truth with a person in each of the named images; x of the nose is the image's id."""
    return {
        "images": [{"id": i, "file_name": name, "height": 60, "width": 80} for i, name in names.items()],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "bbox": [5, 5, 20, 30], "area": 600, "iscrowd": 0,
             "keypoints": [i, 8, 2, *[9, 9, 1] * 16], "segmentation": [[5, 5, 25, 5, 25, 35, 5, 35]], **more}
            for i in names
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.joints)}],
    }  # fmt: skip


def results(names):
    """Results with a person in each of the named images; without a name for None."""
    return [
        record
        for number, name in names.items()
        for record in coco_results(some_people(1, seed=number), number, file_name=name)
    ]


# Laws.


@pytest.mark.parametrize("skeleton", [COCO17, OCHUMAN19], ids=lambda skeleton: skeleton.name)
def test_results_round_trip(tmp_path, skeleton):
    people = {3: some_people(2, 1, skeleton), 4: some_people(1, 2, skeleton)}
    records = [record for number, each in people.items() for record in coco_results(each, number)]
    read = read_people(save(tmp_path, records))
    assert not read.is_ground_truth
    assert set(read.by_image) == {3, 4}
    for number, each in people.items():
        assert same(read.people(number), each)
        np.testing.assert_array_equal(read.people(number).masks, each.masks)
        assert read.by_image[number].masks is None


def test_ground_truth_equals_the_data_set(tmp_path):
    path = save(tmp_path, truth({1: "a.png", 2: "b.png"}))
    data, read = read_coco(path), read_people(path)
    assert read.is_ground_truth
    for number in (1, 2):
        expected = data.people(number)
        assert same(read.people(number), expected, 0)
        np.testing.assert_array_equal(read.people(number).boxes_xyxy, expected.boxes_xyxy)
        assert read.people(number).masks is None


def test_real_file_equals_the_data_set():
    if not COCO_FILE.is_file():
        pytest.skip("no shared data beside the repository")
    data, read = read_coco(COCO_FILE), read_people(COCO_FILE)
    assert set(read.by_image) == set(data.images)
    for number in list(data.images)[:40]:
        expected = data.people(number)
        assert same(read.people(number), expected, 0)
        np.testing.assert_array_equal(read.people(number).boxes_xyxy, expected.boxes_xyxy)


FOLDERS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=3)


@given(st.lists(st.tuples(FOLDERS, st.sampled_from(["x.jpg", "y.jpg"])), min_size=1, max_size=6, unique_by=str))
def test_images_match_their_own_names_in_any_folder(places):
    names = {number: "/".join([*folders, name]) for number, (folders, name) in enumerate(places, 1)}
    read = replace(read_people_of(names), names=names)
    for number, name in names.items():
        assert find_image_id(read, PurePath(name)) == number
        # Somewhere else the end of the path still tells.
        assert find_image_id(read, PurePath("/data/of/mine") / name) == number


def read_people_of(names):
    """Given people of results, without a file."""
    from poseg.io.people_file import PeopleFile

    return PeopleFile("people.json", False, COCO17, {number: some_people(1, number) for number in names}, dict(names))


# Examples: which image is meant.


@pytest.mark.parametrize("make", [truth, results], ids=["truth", "results"])
@pytest.mark.parametrize(
    ("names", "photo", "number", "expected"),
    [
        ({1: "a.png", 2: "b.png"}, "b.png", 1, 2),
        ({1: "a.png", 2: "b.png"}, "/photos/b.png", None, 2),
        ({1: "x/a.png", 2: "y/a.png"}, "y/a.png", None, 2),
        ({1: "x/a.png", 2: "y/a.png"}, "../here/y/a.png", None, 2),
        ({1: "old/val/a.png", 2: "old/train/a.png"}, "new/val/a.png", None, 1),
        ({1: "a.png", 2: "x/a.png"}, "z/a.png", None, 1),
        ({1: "x\\a.png"}, "x/a.png", None, 1),
        ({1: "./a.png"}, "a.png", None, 1),
        ({1: "x/a.png"}, "elsewhere/a.png", None, 1),
        ({139: "COCO_val2014_000000000139.jpg"}, "000000000139.png", 139, 139),
        ({139: "cat.jpg"}, "139.jpg", 139, None),
        ({2: "img_2.jpg"}, "dog.jpg", 2, None),
        ({1: "a.png"}, "A.PNG", None, 1),
        ({1: "a.png"}, "c.png", 3, None),
    ],
)
def test_find_image_id_prefers_names_to_numbers(tmp_path, make, names, photo, number, expected):
    assert find_image_id(read_people(save(tmp_path, make(names))), PurePath(photo), number) == expected


def test_results_without_names_match_by_number(tmp_path):
    read = read_people(save(tmp_path, results({1: None, 2: None})))
    assert match_images(read, [Path("a.png"), Path("b.png"), Path("c.png")], [1, 2, 3]) == [1, 2, None]


def test_image_ids_may_be_names(tmp_path):
    records = [{**record, "image_id": "sub/a.jpg"} for record in results({1: None})]
    read = read_people(save(tmp_path, records))
    assert find_image_id(read, PurePath("sub/a.jpg")) == "sub/a.jpg"
    assert len(people_for_image(read, "sub/a.jpg")) == 1


def test_people_for_image_by_path_and_by_id(tmp_path):
    read = read_people(save(tmp_path, truth({7: "000007.jpg", 8: "b.jpg"})))
    assert same(people_for_image(read, 7), people_for_image(read, "photos/000007.jpg"))
    assert same(people_for_image(read, 7), people_for_image(read, Path("7.png")))
    for unknown in (9, "c.jpg"):
        empty = people_for_image(read, unknown)
        assert len(empty) == 0
        assert empty.skeleton == read.skeleton


def test_listed_image_without_people_is_empty(tmp_path):
    plain = truth({1: "a.png", 2: "b.png"})
    plain["annotations"] = plain["annotations"][:1]
    for image in plain["images"]:
        del image["height"], image["width"]
    read = read_people(save(tmp_path, plain))
    assert match_images(read, [Path("a.png"), Path("b.png")], [1, 2]) == [1, 2]
    assert [len(read.people(number)) for number in (1, 2)] == [1, 0]


def test_crowds_are_left_out(tmp_path):
    assert len(read_people(save(tmp_path, truth({1: "a.png"}, iscrowd=1))).people(1)) == 0


def test_missing_box_is_that_of_the_mask(tmp_path):
    """Of joints that lie in a corner a box would say little."""
    box = [5, 5, 25, 35]
    plain = truth({1: "a.png"}, bbox=None)
    np.testing.assert_allclose(read_people(save(tmp_path, plain)).people(1).boxes_xyxy, [box], atol=1)
    records = results({1: "a.png"})
    for record in records:
        del record["bbox"]
    np.testing.assert_allclose(read_people(save(tmp_path, records)).people(1).boxes_xyxy, [[20, 10, 60, 50]])


def test_fractional_flags_are_joint_scores(tmp_path):
    (record,) = results({1: None})
    scores = np.linspace(0, 1.02, 17)
    record["keypoints"][2::3] = scores.tolist()
    del record["keypoint_scores"]
    people = read_people(save(tmp_path, [record])).people(1)
    np.testing.assert_allclose(people.keypoint_scores, [np.minimum(scores, 1)], atol=1e-6)


def test_integer_flags_are_flags(tmp_path):
    (record,) = results({1: None})
    record["keypoints"][2::3] = [0.0, 1.0, 2.0, *[1] * 14]
    del record["keypoint_scores"]
    path = save(tmp_path, [record])
    np.testing.assert_array_equal(read_people(path).people(1).keypoint_scores, [[0, *[1] * 16]])
    assert same(read_people(path).people(1), read_results(path)[1])


def test_single_category_of_results_is_people(tmp_path):
    records = results({1: None, 2: None})
    assert len(read_people(save(tmp_path, [{**r, "category_id": 7} for r in records])).by_image) == 2
    mixed = [{**records[0], "category_id": 7}, {**records[1], "category_id": 1}]
    assert set(read_people(save(tmp_path, mixed)).by_image) == {2}
    with pytest.raises(AnnotationError, match="categories 7, 8, and none of 1"):
        read_people(save(tmp_path, [{**records[0], "category_id": 7}, {**records[1], "category_id": 8}]))


def test_empty_results_match_all_images_as_empty(tmp_path):
    read = read_people(save(tmp_path, []))
    assert match_images(read, [Path("a.png")], [1]) == [None]
    assert len(read.people(None)) == 0


# Bad input.


@pytest.mark.parametrize("plain", [{}, {"images": []}, [1], "text", 3, None, [[]]], ids=str)
def test_read_people_rejects_other_json(tmp_path, plain):
    with pytest.raises(AnnotationError, match=r"people\.json is neither COCO ground truth .* nor COCO results"):
        read_people(save(tmp_path, plain))


def test_match_images_reports_examples_where_none_match(tmp_path):
    for make in (truth, results):
        read = read_people(save(tmp_path, make({1: "x/a.png", 2: "x/b.png"})))
        with pytest.raises(AnnotationError, match=r"it lists x/a\.png, they are such as photos/c\.png"):
            match_images(read, [Path("photos/c.png"), Path("photos/d.png")], [1, 2])
    read = read_people(save(tmp_path, results({5: None})))
    with pytest.raises(AnnotationError, match=r"it lists image 5, they are such as c\.png"):
        match_images(read, [Path("c.png")], [1])


def test_match_images_rejects_ambiguous_names(tmp_path):
    read = read_people(save(tmp_path, truth({1: "x/a.png", 2: "y/a.png"})))
    with pytest.raises(AnnotationError, match=r"a\.png may be x/a\.png \(image 1\) and y/a\.png \(image 2\)"):
        match_images(read, [Path("z/a.png")], [1])
    with pytest.raises(AnnotationError, match="may be"):
        people_for_image(read, "a.png")


def test_match_images_rejects_two_images_with_one_id(tmp_path):
    read = read_people(save(tmp_path, truth({1: "a.png"})))
    with pytest.raises(AnnotationError, match=r"x/a\.png and y/a\.png both match image 1"):
        match_images(read, [Path("x/a.png"), Path("y/a.png")], [1, 2])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None], ids=str)
@pytest.mark.parametrize("place", [0, 2])
def test_invalid_numbers_are_rejected(tmp_path, value, place):
    plain = truth({1: "a.png"})
    plain["annotations"][0]["keypoints"][place] = value
    records = results({1: "a.png"})
    del records[0]["keypoint_scores"]
    records[0]["keypoints"][2] = 0.5
    records[0]["keypoints"][place] = value
    for bad in (plain, records):
        with pytest.raises(AnnotationError, match="keypoint"):
            read_people(save(tmp_path, bad))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"image_id": None}, "image_id None"),
        ({"image_id": True}, "image_id True"),
        ({"score": "high"}, "`score`"),
        ({"keypoints": [1, 2, 1]}, "`keypoints`"),
        ({"bbox": [1, 2, 3]}, "`bbox`"),
        ({"skeleton": "spider"}, "skeleton spider"),
    ],
    ids=str,
)
def test_invalid_results_are_rejected(tmp_path, change, complaint):
    with pytest.raises(AnnotationError, match=complaint):
        read_people(save(tmp_path, [{**record, **change} for record in results({1: "a.png"})]))


PHOTOS = [PurePath("COCO_val2014_000000000042.jpg"), PurePath("COCO_val2014_000000000139.jpg")]


@pytest.mark.parametrize(
    "form", [int, float, str, "{:012d}".format, "{:012d}.jpg".format, "val2014\\{:06d}.png".format]
)
@pytest.mark.parametrize("category", [1, 1.0, "1"])
def test_image_ids_in_any_form_are_those_of_the_images(tmp_path, form, category):
    """Also where the file names no images."""
    plain = results({42: None, 139: None})
    plain = [{**record, "image_id": form(record["image_id"]), "category_id": category} for record in plain]
    people = read_people(save(tmp_path, plain))
    matched = [people.people(number) for number in match_images(people, PHOTOS, [1, 2])]
    for found, number in zip(matched, (42, 139), strict=True):
        np.testing.assert_allclose(found.keypoints, some_people(1, seed=number).keypoints, atol=0.01)


def test_an_image_of_the_file_is_that_which_fits_it_best(tmp_path):
    people = read_people(save(tmp_path, results({1: "a.jpg"})))
    assert match_images(people, [PurePath("a.png"), PurePath("a.jpg")], [1, 2]) == [None, 1]


@pytest.mark.parametrize("category", ["person", 1.5, True, [1]])
def test_a_category_that_is_no_number_is_named(tmp_path, category):
    plain = [{**record, "category_id": category} for record in results({1: "a.jpg"})]
    with pytest.raises(AnnotationError, match=r"people\.json"):
        read_people(save(tmp_path, plain))
