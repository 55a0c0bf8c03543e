"""People: chosen, printed, joined, flipped and converted; each array and each mask stays with its person."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.errors import AnnotationError, ShapeError, SkeletonError
from poseg.geometry.masks import Masks
from poseg.io.coco_results import coco_results, read_results, write_results
from poseg.io.people_jsonl import FramesWriter, read_frames
from poseg.people import People, Person, Sample
from poseg.runtime.tracker import Tracker
from poseg.skeletons import BODY17_3D, COCO17, OPENPOSE18
from poseg.transforms.letterbox import make_letterbox

SIZE = (48, 64)
ARRAYS = ("keypoints", "keypoint_scores", "scores", "boxes_xyxy", "ids", "keypoints_3d")


def lifted(count: int = 3, seed: int = 0, unknown: tuple[int, ...] = ()) -> People:
    """People with 3D joints, to 0.01 mm as files hold them; NaN for the people in `unknown`."""
    rng = np.random.default_rng(seed)
    flat = People.from_poses(COCO17, rng.uniform(0, 500, (count, 17, 2)), rng.uniform(0.1, 1, (count, 17)))
    joints = np.round(rng.normal(0, 600, (count, 17, 3)), 2).astype(np.float32)
    joints[:, 0] = 0
    joints[list(unknown)] = np.nan
    return replace(flat, keypoints_3d=joints, skeleton_3d=BODY17_3D)


def complete(count: int = 4, seed: int = 0) -> People:
    """People with everything that people may have, the last one without a mask."""
    masks = np.random.default_rng(seed).random((count, *SIZE)) > 0.5
    masks[count - 1 :] = False
    return replace(lifted(count, seed), masks=masks, ids=np.arange(count) + 7)


def assert_equal(people: People, others: People, rows=slice(None)) -> None:
    """The same people as some rows of others."""
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(people, name), getattr(others, name)[rows], err_msg=name)
    np.testing.assert_array_equal(people.masks, np.asarray(others.masks)[rows])


# Rows.


@given(st.integers(0, 5), st.data())
def test_slices_index_lists_and_flags_pick_people(count, data):
    people = complete(count)
    flags = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)), bool)
    for rows in (flags, np.flatnonzero(flags), np.flatnonzero(flags).tolist(), slice(1, None), slice(None, None, -1)):
        assert isinstance(people[rows], People)
        if isinstance(rows, list) and not rows:
            assert len(people[rows]) == 0
        else:
            assert_equal(people[rows], people, rows)


@given(st.integers(1, 5))
def test_person_is_a_row(count):
    people = complete(count)
    assert [person.id for person in people] == people.ids.tolist()
    for row in (*range(-count, count), np.int64(0)):
        person = people[row]
        assert isinstance(person, Person)
        np.testing.assert_array_equal(person.keypoints, people.keypoints[row])
        np.testing.assert_array_equal(person.keypoint_scores, people.keypoint_scores[row])
        np.testing.assert_array_equal(person.box_xyxy, people.boxes_xyxy[row])
        np.testing.assert_array_equal(person.keypoints_3d, people.keypoints_3d[row])
        np.testing.assert_array_equal(person.mask, np.asarray(people.masks)[row])
        assert isinstance(person.score, float)
        assert person.score == people.scores[row]
    with pytest.raises(IndexError):
        people[count]


def test_person_gives_joints_by_name():
    (person,) = lifted(1)
    wrist = COCO17.index("left_wrist")
    np.testing.assert_array_equal(person["left_wrist"], [*person.keypoints[wrist], person.keypoint_scores[wrist]])
    assert person.mask is None
    assert person.id is None
    with pytest.raises(SkeletonError, match="tail"):
        person["tail"]


@given(st.integers(0, 5), st.integers(0, 5))
def test_concatenate_undoes_slices(count, cut):
    people = replace(complete(count), keypoints_3d=None, skeleton_3d=None)
    joined = People.concatenate([people[:cut], people[cut:]])
    for name in ARRAYS[:5]:
        np.testing.assert_array_equal(getattr(joined, name), getattr(people, name))
    np.testing.assert_array_equal(joined.masks, people.masks)
    assert People.concatenate([people, replace(people, masks=None, ids=None)]).masks is None


@given(st.integers(0, 5), st.integers(0, 6))
def test_top_keeps_the_highest_scores(count, kept):
    people = complete(count)
    assert_equal(people.top(kept), people, np.argsort(-people.scores)[:kept])


def test_arrays_are_read_only_and_not_copied():
    points = np.zeros((2, 17, 2), np.float32)
    people = People.from_poses(COCO17, points, np.ones((2, 17)))
    with pytest.raises(ValueError, match="read-only"):
        people.keypoints[0] = 1
    assert np.shares_memory(people.keypoints, points)


# What people print.


def test_repr_is_one_line_for_each_person():
    people = complete(3)
    title, *lines = repr(people).splitlines()
    assert title == "People(3 on coco17"
    assert len(lines) == 3
    for person, line in zip(people, lines, strict=True):
        assert line.strip().rstrip(")") in repr(person)
        assert f"id {person.id}" in line
        assert f"score {person.score:.2f}" in line
    assert "17 joints, mask" in lines[0]
    assert "no mask" in lines[2]
    assert "mask" not in repr(lifted(1))


def test_repr_lists_ten_people_at_most():
    assert len(repr(lifted(10)).splitlines()) == 11
    lines = repr(lifted(25)).splitlines()
    assert len(lines) == 12
    assert lines[-1] == "  and 15 more)"
    assert repr(People.empty(COCO17)) == "People(0 on coco17)"


# Boxes and masks.


def test_poses_alone_give_boxes_and_scores():
    rng = np.random.default_rng(0)
    points, scores = rng.uniform(0, 100, (3, 17, 2)), rng.uniform(0, 1, (3, 17))
    scores[1, 5:], scores[2] = 0, 0
    people = People.from_poses(COCO17, points, scores)
    np.testing.assert_allclose(people.scores, scores.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(
        people.boxes_xyxy[1], [*points[1, :5].min(axis=0), *points[1, :5].max(axis=0)], rtol=1e-6
    )
    assert people.boxes_xyxy[2].tolist() == [0, 0, 0, 0]
    assert people.masks is None


def test_with_masks_puts_boxes_around_masks_that_there_are():
    people = lifted(3)
    full = np.zeros((3, *SIZE), bool)
    full[0, 10:20, 5:30] = True
    beside = Masks.from_full(full[:1]).warp(np.array([[1.0, 0, 500], [0, 1, 0]]), SIZE)
    masked = people.with_masks(Masks.concatenate([Masks.from_full(full[:2]), beside]))
    assert masked.boxes_xyxy[0].tolist() == [5, 10, 30, 20]
    np.testing.assert_array_equal(masked.boxes_xyxy[1:], people.boxes_xyxy[1:])
    np.testing.assert_array_equal(masked.scores, people.scores)


@pytest.mark.parametrize(
    "changes",
    [{"keypoints": np.zeros((2, 16, 2))}, {"keypoint_scores": np.zeros((2, 16))}, {"scores": np.zeros(3)},
     {"boxes_xyxy": np.zeros((2, 5))}, {"ids": np.zeros(3)}, {"masks": np.zeros((1, 4, 4), bool)},
     {"keypoints_3d": np.zeros((2, 16, 3))}],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_people_reject_arrays_of_another_shape(changes):
    with pytest.raises(ShapeError, match=next(iter(changes))):
        replace(lifted(2), **changes)


def test_sample_rejects_masks_of_another_size():
    people = complete(2)
    with pytest.raises(ShapeError, match=r"people\.masks"):
        Sample(np.zeros((10, 10, 3), np.uint8), people)
    with pytest.raises(ShapeError, match="ignore"):
        Sample(np.zeros((*SIZE, 3), np.uint8), people, ignore=np.zeros((10, 10), bool))


# Flips.


@given(st.integers(0, 5))
def test_flip_swaps_sides_and_twice_is_the_identity(count):
    people = complete(count)
    flipped = people.flipped(SIZE[1])
    left, right = COCO17.index("left_wrist"), COCO17.index("right_wrist")
    np.testing.assert_allclose(flipped.keypoints[:, left], (SIZE[1], 0) + people.keypoints[:, right] * (-1, 1))
    np.testing.assert_array_equal(flipped.masks, np.asarray(people.masks)[:, :, ::-1])
    left, right = BODY17_3D.index("left_wrist"), BODY17_3D.index("right_wrist")
    np.testing.assert_array_equal(flipped.keypoints_3d[:, left], people.keypoints_3d[:, right] * (-1, 1, 1))
    again = flipped.flipped(SIZE[1])
    np.testing.assert_allclose(again.keypoints, people.keypoints, atol=1e-3)
    np.testing.assert_allclose(again.boxes_xyxy, people.boxes_xyxy, atol=1e-3)
    np.testing.assert_array_equal(again.masks, people.masks)
    assert_same_3d(again, people)


# 3D joints.


def assert_same_3d(first: People, second: People) -> None:
    assert first.skeleton_3d == second.skeleton_3d
    np.testing.assert_array_equal(first.keypoints_3d, second.keypoints_3d)


def test_remap_to_keeps_3d_joints():
    people = lifted()
    assert_same_3d(people.remap_to(OPENPOSE18), people)


def test_people_to_image_keeps_3d_joints():
    people, letterbox = lifted(), make_letterbox((480, 640), 257, size_divisor=8, size_offset=1)
    assert_same_3d(letterbox.people_to_image(letterbox.people_to_input(people)), people)


def test_tracker_keeps_3d_joints_of_each_frame():
    tracker, later = Tracker(), lifted(2, seed=0)[[1, 0]]
    tracker.update(lifted(3), 0.0)
    assert_same_3d(tracker.update(later, 0.04), later)
    assert_same_3d(tracker.update(lifted(1), 0.08), lifted(1))


@given(st.integers(0, 1000), st.sampled_from([(), (1,), (0, 2)]))
def test_result_files_hold_3d_joints(tmp_path_factory, seed, unknown):
    people = lifted(3, seed, unknown)
    path = tmp_path_factory.mktemp("results") / "a.json"
    write_results(path, coco_results(people, 7))
    read = read_results(path)[7]
    assert_same_3d(read, people)
    write_results(path, coco_results(read, 7))
    assert_same_3d(read_results(path)[7], people)


@given(st.integers(0, 1000))
def test_frame_files_hold_3d_joints(tmp_path_factory, seed):
    path = tmp_path_factory.mktemp("frames") / "a.jsonl"
    frames = [
        lifted(2, seed),
        lifted(0),
        replace(lifted(1), keypoints_3d=None, skeleton_3d=None),
        lifted(3, seed, (1,)),
    ]
    with FramesWriter(path, COCO17) as writer:
        for number, people in enumerate(frames):
            writer.write(number, number / 25, people, (480, 640))
    read = [people for _, _, people in read_frames(path)]
    assert_same_3d(read[0], frames[0])
    assert read[1].keypoints_3d is None
    assert read[2].keypoints_3d is None
    assert_same_3d(read[3], frames[3])


def test_missing_3d_joint_is_null():
    people = lifted(1)
    joints = people.keypoints_3d.copy()
    joints[0, 5, 1] = np.inf
    (record,) = coco_results(replace(people, keypoints_3d=joints), 1)
    assert record["keypoints_3d"][15:18] == [None, None, None]
    assert None not in record["keypoints_3d"][:15]
    assert record["skeleton_3d"] == "body17_3d"
    json.dumps(record, allow_nan=False)


def test_people_without_3d_joints_have_no_3d_record():
    flat = replace(lifted(2), keypoints_3d=None, skeleton_3d=None)
    for people in (flat, lifted(2, unknown=(0, 1))):
        assert all("keypoints_3d" not in record for record in coco_results(people, 1))


def test_people_reject_3d_joints_without_a_matching_skeleton():
    people = lifted(2)
    with pytest.raises(SkeletonError, match="provide both keypoints_3d and skeleton_3d"):
        replace(people, skeleton_3d=None)
    with pytest.raises(SkeletonError, match="provide both"):
        replace(people, keypoints_3d=None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keypoints_3d": [0.0] * 50}, "not 51 finite numbers"),
        ({"keypoints_3d": ["left"] * 51}, "not 51 finite numbers"),
        ({"keypoints_3d": [1e400] * 51}, "not 51 finite numbers"),
        ({"keypoints_3d": 4}, "not 51 finite numbers"),
        ({"skeleton_3d": "fish"}, "skeleton_3d fish; expected one of body17_3d"),
        ({"skeleton_3d": None}, "skeleton_3d None"),
    ],
)
def test_results_reject_broken_3d_joints(tmp_path, changes, message):
    records = coco_results(lifted(1), 1)
    write_path = tmp_path / "a.json"
    write_path.write_text(json.dumps([{**records[0], **changes}]))
    with pytest.raises(AnnotationError, match=message):
        read_results(write_path)
