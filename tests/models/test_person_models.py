"""The models that are given people do their work on a photograph that nobody trained on."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest

import poseg
from poseg.skeletons import BODY17_3D, LSP14

LARGEST_MB = 12


@pytest.fixture(scope="module")
def astronaut():
    return pytest.importorskip("skimage.data").astronaut()


@pytest.mark.parametrize("name", ["multitask", "lifter"])
def test_they_are_small_and_say_where_they_come_from(name):
    assert len(files("poseg").joinpath("models", f"{name}.onnx").read_bytes()) < LARGEST_MB * 1e6
    card = poseg.models()[name]
    assert card.system == name
    assert all(entry["terms"] for entry in card.data)


def test_multitask_predicts_the_upper_body_in_the_box_of_the_astronaut(astronaut):
    poser = poseg.load("multitask")
    people = poser(astronaut, [[0, 0, 380, 512]])
    assert people.skeleton == LSP14
    joints = dict(zip(LSP14.joints, people.keypoints[0], strict=True))
    assert np.hypot(*(joints["head_top"] - (220, 15))) < 60
    assert joints["left_shoulder"][0] > joints["right_shoulder"][0] + 60, "she faces us"
    assert joints["neck"][1] < joints["left_hip"][1]
    assert people.keypoint_scores[0, LSP14.index("neck")] > 0.3


def test_multitask_scores_lower_where_the_image_is_empty(astronaut):
    poser = poseg.load("multitask")
    people = poser(astronaut, [[0, 0, 380, 512], [380, 0, 512, 130]])
    assert people.scores[1] < 0.6 * people.scores[0]


def test_lifter_keeps_a_standing_person_upright():
    """COCO's joints of somebody who stands and faces us, 300 px tall."""
    people = poseg.People.from_poses(
        poseg.COCO17,
        np.array([
            (200, 70), (206, 64), (194, 64), (213, 68), (187, 68), (232, 112), (168, 112), (242, 165), (158, 165),
            (246, 212), (154, 212), (220, 215), (180, 215), (222, 285), (178, 285), (223, 352), (177, 352),
        ])[None],
        np.ones((1, 17)),
    )  # fmt: skip
    lifted = poseg.load("lifter")(people)
    joints = dict(zip(BODY17_3D.joints, lifted.keypoints_3d[0], strict=True))
    assert 1200 < joints["left_ankle"][1] - joints["head_top"][1] < 2000, "as tall as people are, y down"
    assert joints["left_shoulder"][0] > joints["right_shoulder"][0] + 200
    assert joints["nose"][2] < joints["neck"][2] + 50, "the face is on our side"
    assert abs(joints["left_hip"][2] - joints["right_hip"][2]) < 120
    for side in ("left", "right"):
        thigh = np.linalg.norm(joints[f"{side}_knee"] - joints[f"{side}_hip"])
        assert 330 < thigh < 520


def test_lifter_of_a_flipped_person_is_flipped():
    rng = np.random.default_rng(0)
    points = rng.uniform(50, 250, (3, 17, 2))
    lifter, skeleton = poseg.load("lifter"), poseg.COCO17
    people = poseg.People.from_poses(skeleton, points, np.ones((3, 17)))
    mirrored = poseg.People.from_poses(
        skeleton, (np.array([300, 0]) + points * [-1, 1])[:, skeleton.flip_index], np.ones((3, 17))
    )
    ours = lifter(people).keypoints_3d
    theirs = lifter(mirrored).keypoints_3d[:, BODY17_3D.flip_index] * [-1, 1, 1]
    assert np.linalg.norm(ours - theirs, axis=2).mean() < 250, "random places are no poses, and still mean the same"
