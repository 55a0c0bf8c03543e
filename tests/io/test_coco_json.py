"""COCO annotation files: the same people, joints and masks as COCO's own tools read from them."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO

from poseg.errors import AnnotationError
from poseg.geometry.rle import encode_rle
from poseg.io.coco_json import read_coco
from poseg.skeletons import COCO17, LSP14

# pycocotools' decode has not caught up with NumPy 2's copy keyword
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
SQUARE = [[2.0, 1.0, 6.0, 1.0, 6.0, 5.0, 2.0, 5.0]]


def needs(name):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"needs the data set {name} beside the repository")
    return path


def numbers(*found):
    """COCO keypoints where only the given {joint: (x, y, v)} are set."""
    triplets = np.zeros((17, 3))
    for joint, triplet in found:
        triplets[COCO17.index(joint)] = triplet
    return triplets.reshape(-1).tolist()


@pytest.fixture
def plain():
    """Two images: one person with everything and a crowd; no people."""
    nose = numbers(("nose", (3, 4, 2)), ("left_eye", (5, 2, 1)), ("right_eye", (9, 9, 0)))
    crowd = np.zeros((10, 12), np.bool_)
    crowd[7:, 8:] = True
    return {
        "images": [
            {"id": 7, "file_name": "a.jpg", "height": 10, "width": 12},
            {"id": 8, "file_name": "b.jpg", "height": 20, "width": 20},
        ],
        "categories": [
            {"id": 2, "name": "cat"},
            {"id": 1, "name": "person", "keypoints": list(COCO17.joints), "skeleton": [[1, 2]]},
        ],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 1, "iscrowd": 1, "segmentation": encode_rle(crowd),
             "bbox": [8, 7, 4, 3]},
            {"id": 2, "image_id": 7, "category_id": 2, "segmentation": SQUARE},
            {"id": 3, "image_id": 7, "category_id": 1, "iscrowd": 0, "keypoints": nose, "num_keypoints": 2,
             "bbox": [2, 1, 4, 4], "area": 15.5, "segmentation": SQUARE},
        ],
    }  # fmt: skip


@pytest.fixture
def read(tmp_path):
    def write_and_read(plain):
        path = tmp_path / "labels.json"
        path.write_text(json.dumps(plain))
        return read_coco(path)

    return write_and_read


def test_read_coco_gives_joints_box_mask_and_area(plain, read):
    labels = read(plain)
    people = labels.people(7)
    assert labels.skeleton is COCO17
    assert [image.file_name for image in labels.images.values()] == ["a.jpg", "b.jpg"]
    assert len(people) == 1
    assert people.keypoints[0, 0].tolist() == [3.5, 4.5]  # pixel numbers become pixel centres
    assert people.keypoints[0, 2].tolist() == [0, 0]
    assert people.keypoint_scores[0, :3].tolist() == [1, 1, 0]
    assert labels.visibility(7)[0, :3].tolist() == [2, 1, 0]
    assert people.boxes_xyxy.tolist() == [[2, 1, 6, 5]]
    assert people.scores.tolist() == [1]
    assert labels.annotation_ids(7).tolist() == [3]
    assert labels.areas(7).tolist() == [15.5]
    mask = np.zeros((10, 12), np.bool_)
    mask[1:5, 2:6] = True
    np.testing.assert_array_equal(people.masks, mask[None])


def test_crowds_and_ignored_records_become_ignore_pixels(plain, read):
    ignore = read(plain).ignore(7)
    assert ignore.sum() == 12
    assert ignore[7:, 8:].all()
    box = {"id": 9, "image_id": 7, "category_id": 1, "iscrowd": 0, "ignore": 1, "bbox": [-3, 0.5, 5.5, 1]}
    plain["annotations"].append(box)
    labels = read(plain)
    assert len(labels.people(7)) == 1
    with_box = labels.ignore(7)
    assert with_box[:2, :3].all()
    assert with_box.sum() == 12 + 6


def test_image_without_people_is_empty(plain, read):
    labels = read(plain)
    people = labels.people(8)
    assert len(people) == 0
    assert people.masks.shape == (0, 20, 20)
    assert labels.ignore(8) is None
    assert labels.visibility(8).shape == (0, 17)


def test_missing_masks_and_boxes_have_fallbacks(plain, read):
    person = plain["annotations"][2]
    bare = {
        "id": 4,
        "image_id": 7,
        "category_id": 1,
        "keypoints": numbers(("nose", (2, 3, 2)), ("left_eye", (4, 8, 1))),
    }
    masked = {"id": 5, "image_id": 7, "category_id": 1, "segmentation": SQUARE}
    plain["annotations"] = [bare]
    assert read(plain).people(7).masks is None
    plain["annotations"] = [person, bare, masked]
    people = read(plain).people(7)
    assert np.asarray(people.masks).any(axis=(1, 2)).tolist() == [True, False, True]
    assert people.boxes_xyxy[1].tolist() == [2.5, 3.5, 4.5, 8.5]
    assert people.boxes_xyxy[2].tolist() == [2, 1, 6, 5]
    assert not people.keypoint_scores[2].any()
    assert np.isnan(read(plain).areas(7)).tolist() == [False, True, True]


def test_pseudo_labels_keep_scores(plain, read):
    plain["annotations"][2] |= {"score": 0.25, "keypoint_scores": [0.75] * 17}
    people = read(plain).people(7)
    assert people.scores.tolist() == [0.25]
    assert people.keypoint_scores[0, :3].tolist() == [0.75, 0.75, 0]


def test_repeated_images_count_once(plain, read):
    plain["images"].append(dict(plain["images"][0]))
    assert len(read(plain)) == 2
    plain["images"].append(plain["images"][0] | {"file_name": "other.jpg"})
    with pytest.raises(AnnotationError, match="two different images have the id 7"):
        read(plain)


def test_image_size_must_agree_with_the_file(plain, read):
    labels = read(plain)
    assert labels.people(7, size=(10, 12)).masks.shape == (1, 10, 12)
    with pytest.raises(AnnotationError, match=r"image 7 \(a.jpg\) is \(10, 12\) in the file, the image is \(12, 10\)"):
        labels.people(7, size=(12, 10))
    for image in plain["images"]:
        del image["height"]
    labels = read(plain)
    assert labels.people(7, size=(10, 12)).masks.shape == (1, 10, 12)
    with pytest.raises(AnnotationError, match="no height and width"):
        labels.people(7)


def test_gzipped_files_equal_plain_ones(plain, read, tmp_path):
    path = tmp_path / "labels.json.gz"
    path.write_bytes(gzip.compress(json.dumps(plain).encode()))
    np.testing.assert_array_equal(read_coco(path).people(7).keypoints, read(plain).people(7).keypoints)


# Categories and skeletons.


def test_a_single_category_is_used_with_any_name(plain, read):
    plain["categories"] = [plain["categories"][1] | {"name": "athlete"}]
    assert len(read(plain).people(7)) == 1


@pytest.mark.parametrize("names", [["cat", "dog"], []])
def test_ambiguous_person_category_lists_the_names(plain, read, names):
    plain["categories"] = [{"id": i, "name": name} for i, name in enumerate(names)]
    with pytest.raises(AnnotationError, match="one category named 'person', got " + (", ".join(names) or "none")):
        read(plain)


def test_joint_names_select_the_built_in_skeleton(plain, read):
    plain["annotations"] = []
    plain["categories"][1]["keypoints"] = [joint.title().replace("_", " ") for joint in LSP14.joints]
    assert read(plain).skeleton is LSP14


def test_other_joint_names_make_a_custom_skeleton(plain, read):
    plain["annotations"] = [{"id": 1, "image_id": 7, "category_id": 1, "keypoints": [1, 1, 2, 2, 2, 2, 3, 3, 0]}]
    plain["categories"][1] |= {"keypoints": ["head", "left_hand", "right_hand"], "skeleton": [[1, 2], [1, 3]]}
    labels = read(plain)
    assert labels.skeleton.bones == (("head", "left_hand"), ("head", "right_hand"))
    assert labels.people(7).keypoint_scores.tolist() == [[1, 1, 0]]
    for bones in ([[1, 4]], [[0, 1]], [3], [[1, "a"]], 5):
        plain["categories"][1]["skeleton"] = bones
        with pytest.raises(AnnotationError, match="keypoints and skeleton do not fit"):
            read(plain)


def test_51_numbers_without_names_are_coco17(plain, read):
    del plain["categories"][1]["keypoints"]
    assert read(plain).people(7).keypoints[0, 0].tolist() == [3.5, 4.5]
    plain["annotations"][2]["keypoints"] = [1, 1, 2] * 14
    with pytest.raises(AnnotationError, match="14 joints without names"):
        read(plain)


# Faults.


@pytest.mark.parametrize("key", ["images", "annotations", "categories"])
@pytest.mark.parametrize("value", [None, 3, {"a": 1}, [3]])
def test_missing_lists_are_reported(plain, read, key, value):
    plain[key] = value
    with pytest.raises(AnnotationError, match=f"labels.json has no list of objects under `{key}`"):
        read(plain)


@pytest.mark.parametrize("plain", [[], "text", 3, None])
def test_read_coco_rejects_other_json(plain, read):
    with pytest.raises(AnnotationError, match=r"labels\.json holds a"):
        read(plain)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": None}, "id None"),
        ({"id": 1}, "two annotations have the id 1"),
        ({"image_id": "seven"}, "image_id 'seven'"),
        ({"image_id": 99}, "annotation 3 belongs to image 99"),
        ({"keypoints": [1, 2, 3]}, "annotation 3 has `keypoints` of 3 numbers, expected 51"),
        ({"keypoints": ["a"] * 51}, "annotation 3 has `keypoints` that is not made of numbers"),
        ({"keypoints": [[1, 2, 2]] * 17}, r"annotation 3 has `keypoints` of shape \(17, 3\)"),
        ({"keypoints": [float("nan")] * 51}, "annotation 3 has `keypoints` with NaN"),
        ({"bbox": [1, 2, 3]}, "annotation 3 has `bbox` of 3 numbers, expected 4"),
        ({"bbox": [1, 2, float("nan"), 4]}, "annotation 3 has `bbox` with NaN"),
        ({"bbox": 5}, "annotation 3 has `bbox` of 1 numbers"),
        ({"score": "high"}, "annotation 3 has `score`"),
        ({"keypoint_scores": [1.0]}, "annotation 3 has `keypoint_scores`"),
        ({"segmentation": "abc"}, "annotation 3: A segmentation is a list of polygons"),
    ],
)
def test_invalid_annotations_are_reported_on_reading(plain, read, change, message):
    plain["annotations"][2] |= change
    with pytest.raises(AnnotationError, match=message) as raised:
        read(plain)
    assert "labels.json" in str(raised.value)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([[1, 2, 3, 4, 5, 6, 7]], "polygon"),
        ([3], "polygon"),
        ({"size": [10, 12]}, "counts"),
        ({"size": [10, 12], "counts": [3]}, "cover 3 pixels"),
        ({"size": [12, 10], "counts": [120]}, "12 x 10 pixels, the image has 10 x 12"),
    ],
)
def test_invalid_masks_are_reported_when_rasterised(plain, read, segmentation, message):
    plain["annotations"][2]["segmentation"] = segmentation
    labels = read(plain)
    with pytest.raises(AnnotationError, match=f"annotation 3: .*{message}"):
        labels.people(7)


@pytest.mark.parametrize("change", [{"id": "a"}, {"height": "tall"}, {"width": 0}, {"file_name": [3]}])
def test_invalid_images_are_rejected(plain, read, change):
    plain["images"][0] |= change
    with pytest.raises(AnnotationError, match=r"labels\.json"):
        read(plain)


def test_annotations_without_category_are_reported(plain, read):
    del plain["annotations"][2]["category_id"]
    with pytest.raises(AnnotationError, match="annotation 3 has no category_id"):
        read(plain)


def test_unknown_image_ids_are_rejected(plain, read):
    labels = read(plain)
    for ask in (labels.people, labels.ignore, labels.visibility, labels.annotation_ids, labels.areas):
        with pytest.raises(AnnotationError, match="no image 99"):
            ask(99)


# Parity.


def test_people_and_masks_equal_pycocotools(capsys):
    path = needs("coco_mini/person_keypoints_val2017.json")
    labels, reference = read_coco(path), COCO(str(path))
    capsys.readouterr()
    assert list(labels.images) == [image["id"] for image in reference.dataset["images"]]
    people_seen = crowds_seen = 0
    for image_id in labels.images:
        records = reference.loadAnns(reference.getAnnIds([image_id], iscrowd=False))
        people = labels.people(image_id)
        assert labels.annotation_ids(image_id).tolist() == [record["id"] for record in records]
        for row, record in enumerate(records):
            triplets = np.array(record["keypoints"]).reshape(17, 3)
            found = triplets[:, 2] > 0
            np.testing.assert_array_equal(people.masks[row], reference.annToMask(record))
            np.testing.assert_array_equal(people.keypoints[row, found], triplets[found, :2] + 0.5)
            np.testing.assert_array_equal(labels.visibility(image_id)[row], triplets[:, 2])
            x, y, width, height = record["bbox"]
            np.testing.assert_allclose(people.boxes_xyxy[row], [x, y, x + width, y + height], rtol=1e-6)
        crowds = reference.loadAnns(reference.getAnnIds([image_id], iscrowd=True))
        ignore = labels.ignore(image_id)
        assert (ignore is None) == (not crowds)
        if crowds:
            union = np.logical_or.reduce([reference.annToMask(crowd) for crowd in crowds])
            np.testing.assert_array_equal(ignore, union)
        people_seen, crowds_seen = people_seen + len(records), crowds_seen + len(crowds)
    assert people_seen > 100
    assert crowds_seen > 0


def test_file_with_repeated_images_is_read_completely():
    labels = read_coco(needs("coco_val_person_ann/person_keypoints_val2017_538.json.gz"))
    assert len(labels) == 538
    assert sum(len(labels.annotation_ids(image_id)) for image_id in labels.images) == 2164


def test_parse_coco_does_not_modify_its_input(plain, read):
    before = copy.deepcopy(plain)
    read(plain).people(7)
    assert plain == before
