"""PoSeg's model does its work on a photograph that nobody trained on."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest

import poseg

LARGEST_MB = 12


@pytest.fixture(scope="module")
def model():
    return poseg.load("poseg")


@pytest.fixture(scope="module")
def astronaut():
    return pytest.importorskip("skimage.data").astronaut()


def test_it_is_small_and_says_where_it_comes_from():
    assert len(files("poseg").joinpath("models", "poseg.onnx").read_bytes()) < LARGEST_MB * 1e6
    card = poseg.models()["poseg"]
    assert card.system == "poseg"
    assert all(entry["terms"] for entry in card.data)
    assert {score["metric"] for score in card.scores} >= {"keypoints.AP", "masks.AP", "person_iou"}


def test_it_finds_the_astronaut_and_leaves_out_what_it_does_not_see(model, astronaut):
    people = model(astronaut)
    assert len(people) == 1
    for joint, place in {"nose": (222, 120), "left_eye": (247, 105), "right_eye": (203, 105)}.items():
        assert np.hypot(*(people.keypoints[0, people.skeleton.index(joint)] - place)) < 20, joint
    ankle = people.skeleton.index("left_ankle")
    assert people.keypoint_scores[0, ankle] == 0, "her legs are not in the picture"
    mask = people.masks[0]
    assert mask[120, 222], "her face"
    assert mask[300, 180], "her suit"
    assert not mask[60, 400], "the shuttle behind her"


def test_poseg_of_a_flipped_image_gives_the_flipped_person(model, astronaut):
    people, mirrored = model(astronaut), model(np.ascontiguousarray(astronaut[:, ::-1]))
    left, right = (people.skeleton.index(joint) for joint in ("left_eye", "right_eye"))
    ours, theirs = people.keypoints[0, left], mirrored.keypoints[0, right]
    assert abs(astronaut.shape[1] - theirs[0] - ours[0]) < 10
    assert abs(theirs[1] - ours[1]) < 10


def test_poseg_detects_no_people_in_noise_and_blank_images(model):
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    assert len(model(noise)) == 0
    assert len(model(np.full((240, 320, 3), 90, np.uint8))) == 0
