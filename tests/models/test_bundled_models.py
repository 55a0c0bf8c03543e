"""The bundled models on a photograph that none was trained on, and laws that hold for each of them."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files

import cv2
import numpy as np
import onnxruntime as ort
import pytest

import poseg
from poseg.datasets.synthetic_people import render_scene
from poseg.runtime.models import model_bytes
from poseg.runtime.onnx_model import OnnxModel
from poseg.skeletons import BODY17_3D

FINDERS = ("fast", "small", "poseg")
MAX_MB = {"mask_refiner": 1.0, "fast": 12.0, "small": 12.0, "poseg": 12.0, "multitask": 12.0, "lifter": 12.0}


@pytest.fixture(scope="module")
def astronaut():
    return pytest.importorskip("skimage.data").astronaut()


def pixel_iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def flipped(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[:, ::-1])


@pytest.mark.parametrize("name", MAX_MB)
def test_model_is_small_and_its_card_names_its_data(name):
    assert len(files("poseg").joinpath("models", f"{name}.onnx").read_bytes()) < MAX_MB[name] * 1e6
    card = poseg.models()[name]
    assert card.data
    assert all(entry["terms"] for entry in card.data)
    if name in FINDERS:
        assert {score["metric"] for score in card.scores} >= {"keypoints.AP", "masks.AP", "person_iou"}


# Models that detect people.


@pytest.mark.parametrize("name", FINDERS)
def test_finder_detects_the_astronaut_with_a_mask(astronaut, name):
    (person,) = poseg.load(name)(astronaut)
    for joint, point in {"nose": (222, 120), "left_eye": (247, 105), "right_eye": (203, 105)}.items():
        assert np.hypot(*(person[joint][:2] - point)) < 20, joint
    assert person.mask[120, 222], "the face"
    assert person.mask[300, 180], "the suit"
    assert not person.mask[60, 400], "the shuttle behind"
    if name == "poseg":
        assert person["left_ankle"][2] == 0, "the legs are not in the image"


@pytest.mark.parametrize("name", FINDERS)
def test_finder_flips_with_the_image(astronaut, name):
    model = poseg.load(name)
    (person,), (other,) = model(astronaut), model(flipped(astronaut)).flipped(astronaut.shape[1])
    assert person["left_shoulder"][0] > person["right_shoulder"][0], "a person who faces the camera"
    for joint in ("left_eye", "right_eye"):
        assert np.hypot(*(person[joint] - other[joint])[:2]) < 15
    assert pixel_iou(person.mask, other.mask) > 0.85


@pytest.mark.parametrize("name", FINDERS)
def test_finder_detects_no_people_in_noise_and_blank_images(name):
    model, noise = poseg.load(name), np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    assert len(model(noise)) == 0
    assert len(model(np.full((240, 320, 3), 90, np.uint8))) == 0


def test_mask_refiner_changes_masks_alone(astronaut):
    refined, rendered = poseg.load()(astronaut), poseg.load(mask_refiner="")(astronaut)
    np.testing.assert_array_equal(refined.keypoints, rendered.keypoints)
    np.testing.assert_array_equal(refined.scores, rendered.scores)
    assert 0.8 < refined.masks.iou(rendered.masks)[0, 0] < 1


def test_mask_refiner_refines_small_people_where_they_are(astronaut):
    """The same person four times smaller, on grey: the same mask, four times smaller."""
    model, scene = poseg.load(), np.full((512, 768, 3), 127, np.uint8)
    scene[300:428, 500:628] = cv2.resize(astronaut, (128, 128), interpolation=cv2.INTER_AREA)
    large, small = model(astronaut), model(scene)
    assert len(small) == 1
    assert small.masks.crop((500, 300, 628, 428)).iou(large.masks.resize((128, 128)))[0, 0] > 0.75


# Laws; `tests/runtime/test_predictor.py` checks them for models without a mistake.


@pytest.fixture(scope="module")
def crowds(astronaut):
    """The astronaut alone, and at several sizes, and synthetic people."""
    scene, rng = np.full((720, 960, 3), 127, np.uint8), np.random.default_rng(0)
    for left, top, side in ((0, 0, 512), (330, 60, 420), (560, 300, 360), (20, 480, 230), (760, 20, 150)):
        part = cv2.resize(astronaut, (side, side), interpolation=cv2.INTER_AREA)
        shown = scene[top : top + side, left : left + side]
        shown[:] = part[: shown.shape[0], : shown.shape[1]]
    return [astronaut, scene, render_scene(rng, (360, 480), 3).image]


def assert_equal_people(some, others, atol=0.0):
    assert len(some) == len(others)
    np.testing.assert_allclose(some.keypoints, others.keypoints, atol=100 * atol)
    np.testing.assert_allclose(some.keypoint_scores, others.keypoint_scores, atol=atol)
    np.testing.assert_allclose(some.scores, others.scores, atol=atol)
    differ = np.asarray(some.masks) != np.asarray(others.masks)
    assert differ.sum() <= 10 * atol * np.asarray(others.masks).sum()


@pytest.mark.slow
@pytest.mark.parametrize("name", FINDERS)
def test_max_people_keeps_the_first_of_all_people(crowds, name):
    most = 0
    for image in crowds:
        everyone = poseg.load(name, min_score=0.05, max_people=100)(image)
        most = max(most, len(everyone))
        for count in range(1, len(everyone), 2):
            assert_equal_people(poseg.load(name, min_score=0.05, max_people=count)(image), everyone[:count])
    assert most >= 3


@pytest.mark.slow
@pytest.mark.parametrize("name", FINDERS)
def test_two_equal_views_give_the_people_of_one(crowds, name):
    for image in crowds:
        one, two = (poseg.load(name, scales=scales, adaptive=False)(image) for scales in ((1.0,), (1.0, 1.0)))
        assert_equal_people(two, one, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", FINDERS)
def test_the_order_of_views_does_not_matter(crowds, name):
    model = poseg.load(name)
    model = replace(model, inference=replace(model.inference, scales=(0.5, 1.0, 0.75), adaptive=False))
    for image in crowds:
        views = model.views(image)
        expected = model.decode(image, views)
        assert_equal_people(model.decode(image, views[::-1]), expected, atol=1e-3)
        assert_equal_people(model.decode(image, [views[1], views[0], views[2]]), expected, atol=1e-3)


# Models that are given people.


def test_multitask_predicts_the_upper_body_in_the_box_of_the_astronaut(astronaut):
    people = poseg.load("multitask")(astronaut, [[0, 0, 380, 512], [380, 0, 512, 130]])
    assert people.skeleton == poseg.COCO17
    person, empty = people
    assert np.hypot(*(person["nose"][:2] - (220, 115))) < 30
    assert person["left_shoulder"][0] > person["right_shoulder"][0] + 60, "a person who faces the camera"
    assert person["nose"][2] > 0.5
    assert empty.score < 0.6 * person.score, "where the image is empty"


def test_lifter_keeps_a_standing_person_upright():
    """COCO's joints of a person who stands and faces the camera, 300 px tall."""
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
    assert joints["nose"][2] < joints["neck"][2] + 50, "the face is on the camera's side"
    assert abs(joints["left_hip"][2] - joints["right_hip"][2]) < 120
    for side in ("left", "right"):
        thigh = np.linalg.norm(joints[f"{side}_knee"] - joints[f"{side}_hip"])
        assert 330 < thigh < 520


def test_lifter_of_a_flipped_person_is_flipped():
    points = np.random.default_rng(0).uniform(50, 250, (3, 17, 2))
    people, lifter = poseg.People.from_poses(poseg.COCO17, points, np.ones((3, 17))), poseg.load("lifter")
    lifted, again = lifter(people), lifter(people.flipped(300)).flipped(300)
    gaps_mm = np.linalg.norm(lifted.keypoints_3d - again.keypoints_3d, axis=2)
    assert gaps_mm.mean() < 250, "random points are no poses, and still flip"


@pytest.mark.parametrize("name", ["fast", "small", "poseg"])
def test_int8_answers_are_those_of_exact_kernels_on_this_processor(astronaut, name):
    """Kernels that add products in 16 bits, as processors without VNNI have them, give what wider ones give."""
    model = OnnxModel(model_bytes(name), threads=1)
    tensor, _ = model.prepare(astronaut, 353)
    answers = []
    for precise in ("0", "1"):
        options = ort.SessionOptions()
        options.add_session_config_entry("session.x64quantprecision", precise)
        session = ort.InferenceSession(model_bytes(name), options, providers=["CPUExecutionProvider"])
        answers.append(session.run(None, {"image": tensor}))
    for default, exact in zip(*answers, strict=True):
        np.testing.assert_allclose(default, exact, atol=1e-4)
