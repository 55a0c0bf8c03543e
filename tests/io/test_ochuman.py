"""OCHuman's own layout: corners, four visibilities, holes, splits; ranges of MaxIoU, and what becomes of the others."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.errors import AnnotationError
from poseg.geometry.rle import decode_rle
from poseg.io.coco_json import parse_coco
from poseg.io.ochuman import (
    ALL,
    HARD,
    MODERATE,
    SUBSETS,
    VAL_IMAGES,
    OCHumanSubset,
    filter_converted,
    is_ochuman,
    ochuman_to_coco,
    select_people,
)
from poseg.skeletons import COCO17, OCHUMAN19

NAMES = [joint.replace("head_top", "head") for joint in OCHUMAN19.joints]
# Where COCO's joints are among the 19, by hand.
COCO_PLACES = [16, 18, 17, 15, 14, 3, 0, 4, 1, 5, 2, 9, 6, 10, 7, 11, 8]


def square(left, top, side):
    return [left, top, left + side, top, left + side, top + side, left, top + side]


def person(**changes):
    keypoints = [number for i in range(19) for number in (10 + i, 20 + i, i % 4)]
    segms = {"outer": [square(8, 10, 20)], "inner": [square(12, 14, 4)], "height": 60, "width": 80}
    return {"bbox": [8, 10, 28, 40], "keypoints": keypoints, "segms": segms, "max_iou": 0.6} | changes


def boxed(**changes):
    return person(keypoints=None, segms=None, **changes)


def photo(number, *people):
    return {"image_id": f"{number:06d}", "file_name": f"{number:06d}.jpg", "height": 60, "width": 80,
            "annotations": list(people)}  # fmt: skip


def ochuman(*images):
    return {"keypoint_names": NAMES, "keypoint_visible": {"missing": 0, "vis": 1}, "images": list(images)}


def identities(plain, *, crowds=False):
    """Who is in a converted file, whatever the numbers."""
    names = {image["id"]: image["file_name"] for image in plain["images"]}
    return [
        (names[record["image_id"]], *record["bbox"], record["max_iou"])
        for record in plain["annotations"]
        if bool(record["iscrowd"]) == crowds
    ]


@st.composite
def files(draw):
    """Native files in which every box is another and MaxIoU likes the bounds of ranges."""
    values = st.sampled_from([0.0, 0.5, 0.75, 1.0]) | st.floats(0, 1)
    images, left = [], 0
    for number in range(draw(st.integers(1, 6))):
        people = []
        for _ in range(draw(st.integers(1, 4))):
            left += 1
            labels = draw(st.sampled_from([{}, {}, {"segms": None}, {"segms": None, "keypoints": None}]))
            people.append(person(bbox=[left, 10, left + 20, 40], max_iou=draw(values), **labels))
        images.append(photo(number, *people))
    return ochuman(*images)


def test_ochuman_to_coco_keeps_box_joints_and_holes():
    plain = ochuman(photo(5, person(), boxed(bbox=[50, 20, 70, 40])))
    assert is_ochuman(plain)
    converted = ochuman_to_coco(plain)
    assert not is_ochuman(converted)
    data = parse_coco(converted, "ochuman.json")
    assert data.skeleton is OCHUMAN19
    people = data.people(1)
    assert people.boxes_xyxy.tolist() == [[8, 10, 28, 40]]
    mask = np.zeros((60, 80), bool)
    mask[10:30, 8:28] = True
    mask[14:18, 12:16] = False
    np.testing.assert_array_equal(people.masks[0], mask)
    assert data.visibility(1)[0, :4].tolist() == [0, 2, 2, 1]
    assert data.areas(1).tolist() == [600]
    coco = people.remap_to(COCO17)
    place = OCHUMAN19.index("left_wrist")
    assert coco.keypoints[0, COCO17.index("left_wrist")].tolist() == [10.5 + place, 20.5 + place]
    unknown = np.zeros((60, 80), bool)
    unknown[20:40, 50:70] = True
    np.testing.assert_array_equal(data.ignore(1), unknown)


def test_sizes_in_text_and_floats_are_read():
    plain = ochuman(photo(1, person()))
    other = ochuman({**photo(1, person()), "height": "60", "width": 80.0})
    sizes = [ochuman_to_coco(one)["images"][0] for one in (plain, other)]
    assert sizes[1] == sizes[0]


def test_coco17_joints_equal_the_authors():
    record = ochuman_to_coco(ochuman(photo(1, person())), skeleton=COCO17)["annotations"][0]
    flags = [{0: 0, 1: 2, 2: 2, 3: 1}[place % 4] for place in COCO_PLACES]
    expected = [
        number
        for place, flag in zip(COCO_PLACES, flags, strict=True)
        for number in ((10 + place, 20 + place, flag) if flag else (0, 0, 0))
    ]
    assert record["keypoints"] == expected
    assert record["num_keypoints"] == sum(flag > 0 for flag in flags)
    assert (record["bbox"], record["area"], record["iscrowd"]) == ([8, 10, 20, 30], 600, 0)
    assert set(record["segmentation"]) == {"size", "counts"}


@given(st.permutations(range(19)))
def test_joints_are_looked_up_by_name(order):
    plain = ochuman(photo(1, person()))
    shuffled = copy.deepcopy(plain)
    shuffled["keypoint_names"] = [NAMES[place] for place in order]
    triplets = np.array(person()["keypoints"]).reshape(19, 3)
    shuffled["images"][0]["annotations"][0]["keypoints"] = triplets[order].reshape(-1).tolist()
    for skeleton in (COCO17, OCHUMAN19):
        assert ochuman_to_coco(shuffled, skeleton=skeleton) == ochuman_to_coco(plain, skeleton=skeleton)


def test_images_need_a_person_with_joints_and_mask():
    images = [photo(n, boxed() if n % 3 == 0 else person(segms={})) for n in range(9)]
    assert ochuman_to_coco(ochuman(*images))["images"] == []
    apart = photo(10, person(segms=None), person(keypoints=None))
    assert ochuman_to_coco(ochuman(*images, apart))["images"] == []


def test_splits_equal_the_authors():
    """Not in that of ids, which was their mistake until June 2019; and the split comes before the range."""
    inside = {0, 1, VAL_IMAGES - 2, VAL_IMAGES - 1, VAL_IMAGES, VAL_IMAGES + 2}
    many = [photo(9000 - n, person(max_iou=0.8 if n in inside else 0.6)) for n in range(VAL_IMAGES + 4)]
    many.insert(10, photo(1, boxed()))
    val, test, both = (ochuman_to_coco(ochuman(*many), OCHumanSubset(split, HARD)) for split in ("val", "test", "all"))
    names = [[image["file_name"] for image in made["images"]] for made in (val, test, both)]
    assert names[0] == [f"{9000 - n:06d}.jpg" for n in (0, 1, VAL_IMAGES - 2, VAL_IMAGES - 1)]
    assert names[1] == [f"{9000 - n:06d}.jpg" for n in (VAL_IMAGES, VAL_IMAGES + 2)]
    assert names[0] + names[1] == names[2]
    assert [image["id"] for image in test["images"]] == [record["id"] for record in test["annotations"]] == [1, 2]


@pytest.mark.parametrize(
    ("max_iou", "subsets"), [(0.4999, []), (0.5, ["moderate"]), (0.7499, ["moderate"]), (0.75, ["hard"]), (1, ["hard"])]
)
def test_named_subsets_exclude_their_upper_bound(max_iou, subsets):
    plain = ochuman(photo(1, person(max_iou=max_iou)))
    found = [name for name, bounds in SUBSETS.items() if ochuman_to_coco(plain, OCHumanSubset("all", bounds))["images"]]
    assert found == ["all", *subsets]


@given(files(), st.floats(0.01, 1))
def test_ranges_partition_the_people(plain, cut):
    low, high, whole = (
        identities(ochuman_to_coco(plain, OCHumanSubset("all", bounds))) for bounds in ((0, cut), (cut, 1.01), ALL)
    )
    assert sorted(low + high) == sorted(whole)
    assert all(record[-1] < cut for record in low)
    assert all(record[-1] >= cut for record in high)


@given(files(), st.sampled_from([MODERATE, HARD, ALL]))
def test_others_are_dropped_or_crowds(plain, bounds):
    left, ignored = (
        ochuman_to_coco(plain, OCHumanSubset("all", bounds, others_as_ignore=flag)) for flag in (False, True)
    )
    assert identities(left) == identities(ignored)
    assert identities(left, crowds=True) == []
    assert left["images"] == ignored["images"]
    names = {image["file_name"] for image in left["images"]}
    boxes = sum(len(image["annotations"]) for image in plain["images"] if image["file_name"] in names)
    assert len(ignored["annotations"]) == boxes
    for made in (left, ignored):
        assert [record["id"] for record in made["annotations"]] == list(range(1, len(made["annotations"]) + 1))
        assert {record["image_id"] for record in made["annotations"]} == {image["id"] for image in made["images"]}
        parse_coco(made, "made")


@given(files(), st.sampled_from([MODERATE, HARD]))
def test_filter_converted_equals_converting_with_the_range(plain, bounds):
    selection = OCHumanSubset("all", bounds)
    at_once = ochuman_to_coco(plain, selection, skeleton=COCO17)
    later = select_people(ochuman_to_coco(plain, OCHumanSubset("all"), skeleton=COCO17), selection, "all.json")
    assert identities(at_once) == identities(later)
    assert [image["file_name"] for image in at_once["images"]] == [image["file_name"] for image in later["images"]]


def test_max_iou_includes_boxes_without_labels():
    """A file without `max_iou`: half of one box is covered by a person of whom nothing else is known."""
    lonely = person()
    del lonely["max_iou"]
    other = boxed(bbox=[8, 10, 28, 25])
    del other["max_iou"]
    made = ochuman_to_coco(ochuman(photo(1, lonely, other), photo(2, lonely)), OCHumanSubset("all"))
    assert [record["max_iou"] for record in made["annotations"]] == [0.5, 0]


@given(st.lists(st.tuples(*[st.integers(0, 20)] * 2, *[st.integers(1, 20)] * 2), min_size=1, max_size=5))
def test_computed_max_iou_equals_pixel_iou(sizes):
    """Boxes drawn as pixels overlap as much as the numbers say."""
    pixels = np.zeros((len(sizes), 60, 80), bool)
    for plane, (left, top, width, height) in zip(pixels, sizes, strict=True):
        plane[top : top + height, left : left + width] = True
    expected = [
        max([(a & b).sum() / (a | b).sum() for j, b in enumerate(pixels) if i != j], default=0)
        for i, a in enumerate(pixels)
    ]
    people = [person(bbox=[x, y, x + w, y + h], max_iou=None) for x, y, w, h in sizes]
    native = ochuman_to_coco(ochuman(photo(1, *people)), OCHumanSubset("all"))
    np.testing.assert_allclose([record["max_iou"] for record in native["annotations"]], expected, rtol=1e-6)
    cut = 0.5
    for record in native["annotations"]:
        del record["max_iou"]
    kept = filter_converted(native, OCHumanSubset("all", (cut, 1.01)), "converted.json")["annotations"]
    assert [record["id"] for record in kept] == [i for i, value in enumerate(expected, 1) if np.float32(value) >= cut]


def test_fully_labelled_images_have_all_masks():
    plain = ochuman(photo(1, person()), photo(2, person(), boxed()), photo(3, person(), person(max_iou=0.9)))
    made = ochuman_to_coco(plain, OCHumanSubset("all", MODERATE, fully_labelled=True))
    assert [image["file_name"] for image in made["images"]] == ["000001.jpg", "000003.jpg"]
    assert len(made["annotations"]) == 2


def test_ignored_people_keep_their_labels():
    plain = ochuman(photo(1, person(), person(max_iou=0.9), person(segms=None, bbox=[40, 10, 60, 40]), boxed()))
    made = ochuman_to_coco(plain, OCHumanSubset("all", MODERATE, others_as_ignore=True))["annotations"]
    assert [record["iscrowd"] for record in made] == [0, 1, 1, 1]
    assert [record["num_keypoints"] for record in made] == [14, 14, 14, 0]
    regions = [decode_rle(record["segmentation"]) for record in made]
    assert [region.sum() for region in regions] == [400 - 16, 400 - 16, 600, 600]
    assert regions[2][10:40, 40:60].all()


def test_describe_counts_kept_and_other_people():
    plain = ochuman(photo(1, person(), person(max_iou=0.9), boxed(), boxed()), photo(2, boxed()))
    fates = {
        False: "are not in the file, so people predicted there are false positives",
        True: "are crowd regions, so people predicted there count neither for nor against",
    }
    for ignore, fate in fates.items():
        made = ochuman_to_coco(plain, OCHumanSubset("val", MODERATE, others_as_ignore=ignore))
        description = made["info"]["description"]
        assert description.startswith(
            "OCHuman val, original labels, MaxIoU in [0.5, 0.75): 1 image with 1 person; "
            f"2 boxes without mask or joints and 1 person outside the range {fate}"
        )
        assert ("ground-truth poses are not affected" in description) != ignore
    plain["images"][0]["annotations"][2:] = []
    description = ochuman_to_coco(plain, OCHumanSubset("test", HARD, fully_labelled=True))["info"]["description"]
    assert description.startswith(
        "OCHuman test, fully labelled images only (OCHuman-FL), MaxIoU in [0.75, 1.01): 0 images"
    )


def test_filter_converted_keeps_ids_crowds_and_description():
    plain = ochuman(photo(1, person(), person(max_iou=0.9), boxed()), photo(2, person(max_iou=0.9)))
    converted = ochuman_to_coco(plain, OCHumanSubset("all", others_as_ignore=True), skeleton=COCO17)
    before = copy.deepcopy(converted)
    left, ignored = (
        filter_converted(converted, OCHumanSubset("val", MODERATE, others_as_ignore=flag), "dir/a.json")
        for flag in (False, True)
    )
    assert converted == before
    assert [(record["id"], record["iscrowd"]) for record in left["annotations"]] == [(1, 0), (3, 1)]
    assert [(record["id"], record["iscrowd"]) for record in ignored["annotations"]] == [(1, 0), (2, 1), (3, 1)]
    assert left["images"] == converted["images"][:1]
    description = left["info"]["description"]
    assert description.startswith(
        "OCHuman val, from a.json, which is converted already, MaxIoU in [0.5, 0.75): 1 image"
    )
    assert before["info"]["description"] in description


def test_file_names_equal_the_authors():
    assert OCHumanSubset("val", (0, 1)).file_name() == "ochuman_coco_format_val_range_0.00_1.00.json"
    names = {
        OCHumanSubset(split, bounds, full, ignore).file_name()
        for split in ("val", "test", "all")
        for bounds in SUBSETS.values()
        for full in (False, True)
        for ignore in (False, True)
    }
    assert len(names) == 36, "no two protocols have the same file"


@pytest.mark.parametrize(
    "changes",
    [{"bbox": [1, 2]}, {"bbox": None}, {"bbox": [0, 0, float("nan"), 5]}, {"keypoints": [1, 2, 3]},
     {"keypoints": [0, 0, 9] * 19}, {"keypoints": [0, 0, -1] * 19}, {"keypoints": "nose"}, {"segms": {"outer": [[1]]}},
     {"segms": ["outer"]}, {"max_iou": "much"}, {"max_iou": float("nan")}, {"max_iou": -1}],
)  # fmt: skip
def test_other_json_is_rejected(changes):
    with pytest.raises(AnnotationError, match="image 000001 has an annotation that is not OCHuman's"):
        ochuman_to_coco(ochuman(photo(1, person(), person(**changes))))


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"keypoint_names": NAMES[:-1]}, "left_eye"), ({"keypoint_names": [*NAMES[:-1], "tail"]}, "left_eye, tail"),
     ({"keypoint_names": [*NAMES, "nose"]}, "occur twice"), ({"keypoint_names": "nose"}, "no list of names"),
     ({"images": [{**photo(3), "annotations": None}]}, "image 000003 has no list of people"),
     ({"images": 3}, "no list of objects"),
     ({"images": [{"image_id": 4, "annotations": [person()]}]}, "image 4 needs a file_name"),
     ({"images": [{**photo(5, person()), "height": 0}]}, "image 000005 needs")],
)  # fmt: skip
def test_broken_files_are_reported(changes, message):
    with pytest.raises(AnnotationError, match=message):
        ochuman_to_coco({**ochuman(photo(1, person())), **changes})


@pytest.mark.parametrize("bounds", [(0.5, 0.5), (0.75, 0.5), (-0.1, 1), (0, float("nan")), (0, float("inf"))])
def test_empty_ranges_are_rejected(bounds):
    with pytest.raises(AnnotationError, match="range of MaxIoU"):
        OCHumanSubset("val", bounds)


def test_unknown_splits_are_rejected():
    with pytest.raises(AnnotationError, match="val, test, all, got 'train'"):
        OCHumanSubset("train")


def test_filter_converted_rejects_fully_labelled():
    converted = ochuman_to_coco(ochuman(photo(1, person(), person())), skeleton=COCO17)
    with pytest.raises(AnnotationError, match=r"a\.json is converted already, .* give OCHuman's own"):
        filter_converted(converted, OCHumanSubset(fully_labelled=True), "a.json")
    with pytest.raises(AnnotationError, match="expected an object"):
        filter_converted([], OCHumanSubset(), "a.json")
    for changes in ({"max_iou": "much"}, {"max_iou": None, "bbox": None}):
        broken = copy.deepcopy(converted)
        broken["annotations"][0].update(changes)
        with pytest.raises(AnnotationError, match="people of image 1 have no MaxIoU"):
            filter_converted(broken, OCHumanSubset(), "a.json")
