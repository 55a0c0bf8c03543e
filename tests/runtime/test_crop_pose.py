"""Poses of people whose boxes are known, and people lifted to 3D, with models that say what they are told to."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from poseg.codecs import LiftingCodec, MultitaskCodec
from poseg.codecs.multitask import HEATMAP
from poseg.errors import FieldError, PosegError, ShapeError
from poseg.fields import Fields
from poseg.people import People, Timings
from poseg.runtime.card import Card
from poseg.runtime.crop_pose import TopDownPipeline, TopDownPose
from poseg.runtime.inference import InferenceConfig
from poseg.runtime.lifter import Lifter
from poseg.skeletons import COCO17, LSP14

MEAN, STD = (127.0,) * 3, (128.0,) * 3


def card(system: str, codec) -> Card:
    return Card(
        "fake", system, codec.to_dict(), asdict(codec.skeleton), InferenceConfig(112), 112, 0, MEAN, STD,
        {spec.name: spec.name for spec in codec.specs},
    )  # fmt: skip


class Brightest:
    """Predicts every joint where the crop is brightest, and that windows there contain it."""

    def __init__(self, codec: MultitaskCodec | None = None) -> None:
        self.codec = codec or MultitaskCodec()
        self.card, self.asked = card("multitask", self.codec), []

    def run_each(self, tensors: list[np.ndarray]) -> list[Fields]:
        return [self.run(tensor) for tensor in tensors]

    def run(self, tensor: np.ndarray) -> Fields:
        self.asked.append(len(tensor))
        grey = tensor.mean(axis=1) * 128 + 127
        light = np.maximum(grey - 140, 0)
        y, x = np.mgrid[: grey.shape[1], : grey.shape[2]] + 0.5
        total = np.maximum(light.sum(axis=(1, 2)), 1e-9)
        points = np.stack([(light * x).sum(axis=(1, 2)) / total, (light * y).sum(axis=(1, 2)) / total], axis=1)
        k = len(self.codec.skeleton)
        people = People.from_poses(
            self.codec.skeleton, np.repeat(points[:, None], k, axis=1), np.ones((len(points), k))
        )
        return self.codec.encode(people).as_fields()


def disks(centres, size=(300, 400), radius=6) -> np.ndarray:
    """Bright disks on grey."""
    image = np.full((*size, 3), 127, np.uint8)
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    for px, py in centres:
        image[(x - px) ** 2 + (y - py) ** 2 < radius**2] = 255
    return image


BOXES = np.array([[20, 30, 120, 180], [200, 100, 380, 280]], np.float32)
CENTRES = [(70.0, 100.0), (300.0, 180.0)]


HEATMAPS = MultitaskCodec(COCO17, (HEATMAP,), crop_size_px=(256, 192), margin=0.25)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("codec", [MultitaskCodec(), HEATMAPS], ids=["regressed", "heatmaps"])
def test_crop_poses_are_in_pixels_of_the_image(flip, codec):
    people = TopDownPose(Brightest(codec), flip=flip)(disks(CENTRES), BOXES)
    for person, centre in zip(people.keypoints, CENTRES, strict=True):
        np.testing.assert_allclose(person, np.broadcast_to(centre, (len(codec.skeleton), 2)), atol=0.5)
    np.testing.assert_array_equal(people.boxes_xyxy, BOXES)
    assert (people.keypoint_scores > 0.9).all()
    assert people.timings.total_ms > 0


def test_crop_pose_without_boxes_is_of_the_whole_image():
    people = TopDownPose(Brightest())(disks([(111.0, 222.0)], radius=14))
    assert len(people) == 1
    np.testing.assert_allclose(people.keypoints[0], np.broadcast_to((111, 222), (14, 2)), atol=1)


def test_crop_pose_moves_with_image_and_box():
    pose_model, image = TopDownPose(Brightest()), disks(CENTRES)
    moved = np.roll(image, (-20, 10), axis=(0, 1))
    a, b = pose_model(image, BOXES[1:]), pose_model(moved, BOXES[1:] + np.float32([10, -20, 10, -20]))
    np.testing.assert_allclose(b.keypoints, a.keypoints + np.float32([10, -20]), atol=0.1)


def test_crops_are_run_each_and_stay_in_order():
    network = Brightest()
    boxes = np.array([[i, 10, i + 60, 100] for i in range(0, 320, 10)], np.float32)
    people = TopDownPose(network, flip=False)(disks(CENTRES), boxes)
    np.testing.assert_array_equal(people.boxes_xyxy, boxes)
    assert sum(network.asked) == len(boxes)


def test_crops_are_what_the_fields_are_of():
    pose_model = TopDownPose(Brightest(HEATMAPS), flip=False)
    image, maps = disks(CENTRES), HEATMAPS.crops_from_body_boxes(BOXES)
    crops = pose_model.crops(image, maps)
    assert crops.shape == (2, 3, 256, 192)
    fields = pose_model.fields(image, maps)
    np.testing.assert_array_equal(fields[HEATMAP], pose_model.model.run(crops)[HEATMAP])
    np.testing.assert_array_equal(HEATMAPS.decode(fields, maps).keypoints, pose_model(image, BOXES).keypoints)


def test_crop_poses_take_no_box_and_boxes_over_the_edge():
    pose_model = TopDownPose(Brightest())
    assert len(pose_model(disks(CENTRES), np.zeros((0, 4)))) == 0
    assert len(pose_model(disks(CENTRES), [[-50, -50, 100, 150]])) == 1


@pytest.mark.parametrize(
    ("boxes", "error", "words"),
    [
        ([[500, 10, 600, 90]], PosegError, "Box 0 .* lies outside the image of 400 x 300 pixels"),
        ([[10, 10, 90, 90], [90, 10, 10, 90]], PosegError, "Box 1"),
        ([[10, np.nan, 90, 90]], PosegError, "Box 0"),
        ([10, 10, 90, 90], ShapeError, "boxes_xyxy"),
    ],
)
def test_crop_poses_reject_boxes_that_show_nothing(boxes, error, words):
    with pytest.raises(error, match=words):
        TopDownPose(Brightest())(disks(CENTRES), boxes)


def test_crop_poses_leave_out_people_below_min_score():
    class Uncertain(Brightest):
        def run(self, tensor):
            fields = super().run(tensor)
            fields["joint_windows"][...] = -8
            return fields

    assert len(TopDownPose(Uncertain(), min_score=0.3)(disks(CENTRES), BOXES)) == 0
    assert len(TopDownPose(Uncertain())(disks(CENTRES), BOXES)) == 2


def test_pipeline_keeps_masks_scores_and_boxes():
    masks = np.zeros((2, 300, 400), bool)
    masks[0, 100:110, 60:90] = True

    def detector(image):
        return People(
            COCO17,
            np.zeros((2, 17, 2)),
            np.zeros((2, 17)),
            np.array([0.9, 0.7]),
            BOXES,
            masks,
            timings=Timings(1, 2, 3),
        )

    people = TopDownPipeline(detector, TopDownPose(Brightest()))(disks(CENTRES))
    assert people.skeleton == LSP14
    np.testing.assert_array_equal(people.scores, np.float32([0.9, 0.7]))
    np.testing.assert_array_equal(people.masks, masks)
    np.testing.assert_allclose(people.keypoints[1], np.broadcast_to(CENTRES[1], (14, 2)), atol=0.5)
    assert people.timings.inference_ms > 2


def test_pipeline_leaves_out_people_below_min_score_with_all_that_is_theirs():
    class CertainOfTheSecond(Brightest):
        def run_each(self, tensors):
            first, second = super().run_each(tensors)
            first["joint_windows"][:] = -8
            return [first, second]

    def detector(image):
        return People(COCO17, np.zeros((2, 17, 2)), np.zeros((2, 17)), np.array([0.9, 0.7]), BOXES)

    people = TopDownPipeline(detector, TopDownPose(CertainOfTheSecond(), flip=False, min_score=0.5))(disks(CENTRES))
    assert people.scores.tolist() == pytest.approx([0.7])
    np.testing.assert_array_equal(people.boxes_xyxy, BOXES[1:])


class FakeLifter:
    """A lifter that says one pose of all people."""

    def __init__(self, joints_mm: np.ndarray) -> None:
        self.codec, self.joints_mm, self.asked = LiftingCodec(), joints_mm, []
        self.card = card("lifter", self.codec)

    def run(self, tensor: np.ndarray) -> Fields:
        self.asked.append(tensor.shape)
        return self.codec.encode(np.repeat(self.joints_mm[None], len(tensor), axis=0)).as_fields()


def standing() -> np.ndarray:
    joints = np.random.default_rng(0).normal(0, 300, (17, 3))
    return joints - joints[0]


def test_lifter_adds_3d_joints_and_keeps_the_rest():
    network = FakeLifter(standing())
    rng = np.random.default_rng(1)
    scores = np.ones((3, 17))
    scores[1] = 0
    people = People.from_poses(COCO17, rng.uniform(0, 300, (3, 17, 2)), scores)
    lifted = Lifter(network)(people)
    assert network.asked == [(2, 51, 1, 1)]
    np.testing.assert_allclose(lifted.keypoints_3d[[0, 2]], np.repeat(standing()[None], 2, axis=0), atol=0.01)
    assert np.isnan(lifted.keypoints_3d[1]).all()
    np.testing.assert_array_equal(lifted.keypoints, people.keypoints)
    assert lifted.skeleton == COCO17
    assert len(lifted[1:]) == 2
    assert lifted[2:].keypoints_3d.shape == (1, 17, 3)


def test_lifter_takes_no_people():
    lifted = Lifter(FakeLifter(standing()))(People.empty(COCO17))
    assert lifted.keypoints_3d.shape == (0, 17, 3)


def test_crop_pose_and_lifter_reject_other_systems_and_settings_out_of_range():
    with pytest.raises(PosegError, match="multitask"):
        TopDownPose(FakeLifter(standing()))
    with pytest.raises(PosegError, match="lifter"):
        Lifter(Brightest())
    with pytest.raises(PosegError, match="scores lie between 0 and 1"):
        TopDownPose(Brightest(), min_score=2)
    broken = FakeLifter(standing() * np.nan)
    broken.run = lambda tensor: (
        f := LiftingCodec().encode(np.zeros((len(tensor), 17, 3))).as_fields(),
        f["bones"].fill(np.nan),
    )[0]
    with pytest.raises(FieldError, match="not finite"):
        Lifter(broken)(People.from_poses(COCO17, np.random.default_rng(0).random((1, 17, 2)), np.ones((1, 17))))
