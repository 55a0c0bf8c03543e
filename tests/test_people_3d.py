"""Joints in space stay with their people: chosen, converted, tracked, mirrored, written and read."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.errors import AnnotationError, ShapeError, SkeletonError
from poseg.io.coco_results import coco_results, read_results, write_results
from poseg.io.people_jsonl import FramesWriter, read_frames
from poseg.people import People
from poseg.runtime.tracker import Tracker
from poseg.skeletons import BODY17_3D, COCO17, OPENPOSE18
from poseg.transforms.letterbox import make_letterbox


def lifted(count=3, seed=0, unknown=()) -> People:
    """People with joints in space, to 0.01 mm as files hold them; NaN for the people in `unknown`."""
    rng = np.random.default_rng(seed)
    flat = People.from_poses(COCO17, rng.uniform(0, 500, (count, 17, 2)), rng.uniform(0.1, 1, (count, 17)))
    joints = np.round(rng.normal(0, 600, (count, 17, 3)), 2).astype(np.float32)
    joints[:, 0] = 0
    joints[list(unknown)] = np.nan
    return replace(flat, keypoints_3d=joints, skeleton_3d=BODY17_3D)


def same(first: People, second: People) -> None:
    assert first.skeleton_3d == second.skeleton_3d
    np.testing.assert_array_equal(first.keypoints_3d, second.keypoints_3d)


def test_chosen_people_keep_their_own():
    people = lifted()
    np.testing.assert_array_equal(people[[2, 0]].keypoints_3d, people.keypoints_3d[[2, 0]])
    assert people[people.scores > 9].keypoints_3d.shape == (0, 17, 3)
    assert not people.keypoints_3d.flags.writeable


def test_remap_to_keeps_3d_joints():
    people = lifted()
    same(people.remap_to(OPENPOSE18), people)


def test_people_to_image_keeps_3d_joints():
    people, box = lifted(), make_letterbox((480, 640), 257, size_divisor=8, size_offset=1)
    same(box.people_to_image(box.people_to_input(people)), people)


def test_people_followed_over_time_keep_what_each_frame_says():
    tracker, later = Tracker(), lifted(2, seed=0)[[1, 0]]
    tracker.update(lifted(3), 0.0)
    same(tracker.update(later, 0.04), later)
    same(tracker.update(lifted(1), 0.08), lifted(1))


def test_flipped_flips_3d_joints():
    people = lifted()
    there = people.flipped(640)
    left, right = BODY17_3D.index("left_wrist"), BODY17_3D.index("right_wrist")
    np.testing.assert_array_equal(there.keypoints_3d[:, left], people.keypoints_3d[:, right] * (-1, 1, 1))
    same(there.flipped(640), people)


@given(st.integers(0, 1000), st.sampled_from([(), (1,), (0, 2)]))
def test_result_files_hold_what_is_known(tmp_path_factory, seed, unknown):
    people = lifted(3, seed, unknown)
    path = tmp_path_factory.mktemp("results") / "a.json"
    write_results(path, coco_results(people, 7))
    read = read_results(path)[7]
    same(read, people)
    write_results(path, coco_results(read, 7))
    same(read_results(path)[7], people)


@given(st.integers(0, 1000))
def test_files_of_videos_hold_what_is_known(tmp_path_factory, seed):
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
    same(read[0], frames[0])
    assert read[1].keypoints_3d is None
    assert read[2].keypoints_3d is None
    same(read[3], frames[3])


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
    with pytest.raises(SkeletonError, match="give both keypoints_3d and skeleton_3d"):
        replace(people, skeleton_3d=None)
    with pytest.raises(SkeletonError, match="give both"):
        replace(people, keypoints_3d=None)
    with pytest.raises(ShapeError, match="keypoints_3d"):
        replace(people, keypoints_3d=np.zeros((2, 16, 3), np.float32))


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
def test_broken_records_are_refused(tmp_path, changes, message):
    records = coco_results(lifted(1), 1)
    write_path = tmp_path / "a.json"
    write_path.write_text(json.dumps([{**records[0], **changes}]))
    with pytest.raises(AnnotationError, match=message):
        read_results(write_path)
