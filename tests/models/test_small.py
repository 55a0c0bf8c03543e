"""The model that comes along does its work on a photograph that nobody trained on."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest

import poseg

LARGEST_MB = 12


@pytest.fixture(scope="module")
def astronaut():
    return pytest.importorskip("skimage.data").astronaut()


def test_it_is_small_and_says_where_it_comes_from():
    assert len(files("poseg").joinpath("models", "small.onnx").read_bytes()) < LARGEST_MB * 1e6
    card = poseg.models()["small"]
    assert card.data
    assert all(entry["terms"] for entry in card.data)
    assert {score["metric"] for score in card.scores} >= {"keypoints.AP", "masks.AP", "person_iou"}


def test_small_detects_the_astronaut_and_the_face(astronaut):
    people = poseg.load()(astronaut)
    assert len(people) == 1
    found = {joint: people.keypoints[0, i] for i, joint in enumerate(people.skeleton.joints)}
    for joint, place in {"nose": (222, 120), "left_eye": (247, 105), "right_eye": (203, 105)}.items():
        assert np.hypot(*(found[joint] - place)) < 20, joint
    mask = people.masks[0]
    assert mask[120, 222], "her face"
    assert mask[300, 180], "her suit"
    assert not mask[60, 400], "the shuttle behind her"


def test_small_of_a_flipped_image_gives_the_flipped_person(astronaut):
    model = poseg.load()
    people, mirrored = model(astronaut), model(np.ascontiguousarray(astronaut[:, ::-1]))
    left, right = (people.skeleton.index(joint) for joint in ("left_shoulder", "right_shoulder"))
    ours, theirs = people.keypoints[0, left], mirrored.keypoints[0, right]
    assert abs(astronaut.shape[1] - theirs[0] - ours[0]) < 40
    assert people.keypoints[0, left, 0] > people.keypoints[0, right, 0], "she faces us"


def test_small_detects_no_people_in_noise_and_blank_images():
    model = poseg.load()
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    assert len(model(noise)) == 0
    assert len(model(np.full((240, 320, 3), 90, np.uint8))) == 0
