"""RemappedDataset: joints by their names, and what is not annotated stays so; BackgroundImages."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image

from poseg.datasets.dataset import BackgroundImages, RemappedDataset
from poseg.errors import AnnotationError
from poseg.people import People, Sample
from poseg.skeletons import COCO17, LSP14, OPENPOSE18, Skeleton

SIZE = (90, 120)
NECK, SHOULDERS = OPENPOSE18.index("neck"), COCO17.indices([("left_shoulder", "right_shoulder")])[0]
TARGETS = pytest.mark.parametrize("target", [COCO17, OPENPOSE18, LSP14], ids=lambda skeleton: skeleton.name)


def sample(index: int, skeleton: Skeleton) -> Sample:
    """Three people of whom joints are missing here and there, and for each joint a place where one may be."""
    rng = np.random.default_rng(index)
    points = rng.uniform(5, 85, (3, len(skeleton), 2))
    confidence = rng.integers(0, 3, (3, len(skeleton))) / 2
    uncertain_points = np.column_stack([np.arange(len(skeleton)), rng.uniform(0, 90, (len(skeleton), 2))]).astype(
        np.float32
    )
    masks, ignore = rng.random((3, *SIZE)) > 0.5, rng.random(SIZE) > 0.9
    people = People.from_poses(skeleton, points, confidence, masks=masks)
    return Sample(rng.integers(0, 256, (*SIZE, 3), np.uint8), people, ignore, f"{index}.png", uncertain_points)


@dataclass
class Pictures:
    skeleton: Skeleton = COCO17
    exhaustive: bool = False
    name: str = "images"
    unknown: tuple[str, ...] = ()
    known: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.annotated_joints = np.array([joint not in self.unknown for joint in self.skeleton.joints])

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Sample:
        return sample(index, self.skeleton)

    def sample_id(self, index: int) -> str:
        return f"images/{index}"


@TARGETS
def test_remapped_people_are_on_the_other_skeleton(target):
    data, renamed = Pictures(), RemappedDataset(Pictures(), target)
    assert len(renamed) == len(data)
    for index in range(len(data)):
        seen, expected = renamed[index], data[index].people.remap_to(target)
        assert renamed.skeleton == seen.people.skeleton == target
        np.testing.assert_array_equal(seen.people.keypoints, expected.keypoints)
        np.testing.assert_array_equal(seen.people.keypoint_scores, expected.keypoint_scores)


@TARGETS
def test_remapped_image_masks_boxes_and_id_stay(target):
    data, renamed = Pictures(), RemappedDataset(Pictures(), target)
    for index in range(len(data)):
        seen, plain = renamed[index], data[index]
        for one, other in (
            (seen.image, plain.image), (seen.ignore, plain.ignore), (seen.people.masks, plain.people.masks),
            (seen.people.boxes_xyxy, plain.people.boxes_xyxy), (seen.people.scores, plain.people.scores),
        ):  # fmt: skip
            np.testing.assert_array_equal(one, other)
        assert (seen.name, renamed.sample_id(index)) == (plain.name, data.sample_id(index))
    assert renamed.name == data.name


@pytest.mark.parametrize("exhaustive", [True, False])
def test_remapped_is_as_exhaustive_as_its_source(exhaustive):
    assert RemappedDataset(Pictures(exhaustive=exhaustive), OPENPOSE18).exhaustive is exhaustive


@TARGETS
@pytest.mark.parametrize("unknown", [(), ("left_shoulder",), ("nose", "right_hip", "left_knee")], ids=str)
def test_remapped_joint_is_annotated_where_all_its_sources_are(target, unknown):
    """And then only can a sample have one."""
    renamed = RemappedDataset(Pictures(unknown=unknown), target)
    made_from = {"neck": ("left_shoulder", "right_shoulder")}
    for joint, known in zip(target.joints, renamed.annotated_joints, strict=True):
        parts = made_from.get(joint, (joint,))
        assert known == (all(part in COCO17.joints for part in parts) and not set(parts) & set(unknown)), joint
    everything = np.concatenate([renamed[index].people.keypoint_scores for index in range(4)])
    assert not everything[:, ~RemappedDataset(Pictures(), target).annotated_joints].any()


@TARGETS
def test_remapped_uncertain_joints_follow_their_name(target):
    expected = {COCO17.joints[int(j)]: (x, y) for j, x, y in sample(0, COCO17).uncertain}
    seen = {target.joints[int(j)]: (x, y) for j, x, y in RemappedDataset(Pictures(), target)[0].uncertain}
    assert seen == {joint: expected[joint] for joint in target.joints if joint in expected}
    assert "neck" not in seen, "a shoulder's doubt is no place of the neck"
    assert len(seen) >= 12


def test_remapped_without_uncertain_joints_has_none():
    @dataclass
    class Sure(Pictures):
        def __getitem__(self, index: int) -> Sample:
            plain = sample(index, COCO17)
            return Sample(plain.image, plain.people)

    assert RemappedDataset(Sure(), OPENPOSE18)[0].uncertain.shape == (0, 3)


def test_remapping_does_not_modify_the_source():
    """A data set may keep its samples."""

    @dataclass
    class Kept(Pictures):
        kept: Sample = field(default_factory=lambda: sample(0, COCO17))

        def __getitem__(self, index: int) -> Sample:
            return self.kept

    data = Kept()
    first, second = (RemappedDataset(data, OPENPOSE18)[0] for _ in range(2))
    np.testing.assert_array_equal(data.kept.uncertain, sample(0, COCO17).uncertain)
    np.testing.assert_array_equal(second.uncertain, first.uncertain)


def test_remapped_neck_is_the_midpoint_of_the_shoulders():
    data, renamed = Pictures(), RemappedDataset(Pictures(), OPENPOSE18)
    halves = 0
    for index in range(4):
        plain, seen = data[index].people, renamed[index].people
        shoulders, confidence = plain.keypoints[:, SHOULDERS], plain.keypoint_scores[:, SHOULDERS].min(axis=1)
        np.testing.assert_allclose(
            seen.keypoints[confidence > 0, NECK], shoulders[confidence > 0].mean(axis=1), atol=1e-4
        )
        np.testing.assert_array_equal(seen.keypoint_scores[:, NECK], confidence)
        halves += int((confidence > 0).sum())
    assert 0 < halves < 12


@pytest.mark.parametrize("source", [COCO17, LSP14], ids=lambda skeleton: skeleton.name)
def test_remapping_to_the_same_skeleton_is_the_identity(source):
    data, renamed = Pictures(source), RemappedDataset(Pictures(source), source)
    np.testing.assert_array_equal(renamed.annotated_joints, data.annotated_joints)
    for index in range(4):
        np.testing.assert_array_equal(renamed[index].uncertain, data[index].uncertain)
        np.testing.assert_array_equal(renamed[index].people.keypoint_scores, data[index].people.keypoint_scores)


def test_joints_without_a_source_are_not_annotated():
    tail = Skeleton("tail", ("nose", "tail"), (("nose", "tail"),))
    renamed = RemappedDataset(Pictures(), tail)
    assert renamed.annotated_joints.tolist() == [True, False]
    assert not renamed[0].people.keypoint_scores[:, 1].any()
    assert set(renamed[0].uncertain[:, 0]) == {0}


def test_background_images_have_no_people(tmp_path):
    Image.new("RGB", (40, 30)).save(tmp_path / "x.jpg")
    sample = BackgroundImages("empty", tmp_path)[0]
    assert len(sample.people) == 0
    with pytest.raises(AnnotationError, match=r"no \.jpg"):
        BackgroundImages("empty", tmp_path / "nowhere")
