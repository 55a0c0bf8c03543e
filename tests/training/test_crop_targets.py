"""Training crops of the multi-task network, and training poses of the lifter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from poseg.codecs.lifting import LiftingCodec  # noqa: E402
from poseg.codecs.multitask import BONES, HEATMAP, JOINTS, MultitaskCodec  # noqa: E402
from poseg.datasets.mocap import Clip, MocapPoses  # noqa: E402
from poseg.datasets.synthetic_people import Synthetic3D, render_3d  # noqa: E402
from poseg.errors import AnnotationError  # noqa: E402
from poseg.people import People, Sample  # noqa: E402
from poseg.skeletons import BODY17_3D, LSP14  # noqa: E402
from poseg.skeletons.bones import bone_lengths  # noqa: E402
from poseg.training.crop_targets import CropInput, CropTargets  # noqa: E402
from poseg.training.dataset import Mixture, TrainDataset, WeightedDataset  # noqa: E402
from poseg.training.lifter_targets import (  # noqa: E402
    SOURCE_SKELETONS,
    LifterTargets,
    LiftInput,
    augment_poses,
    project_poses,
)

MEAN, STD = (0.0,) * 3, (1.0,) * 3
STILL = CropInput(112, MEAN, STD, zoom=(1.0, 1.0), shift=0.0, rotation_deg=0.0, flip_prob=0.0)
CLEAN = LiftInput(1, MEAN, STD, noise=0.0, max_missing=0.0, outlier_prob=0.0)

# A person who stands with the arms a little out; y-up, mm.
STANDING = np.array(
    [(0, 0, 0), (-130, 0, 0), (-140, -430, 0), (-150, -850, 0), (130, 0, 0), (140, -430, 0), (150, -850, 0),
     (0, 250, 0), (0, 500, 0), (0, 600, 90), (0, 720, 20), (170, 480, 0), (300, 250, 0), (380, 20, 40),
     (-170, 480, 0), (-300, 250, 0), (-380, 20, 40)], np.float32,
)  # fmt: skip


class Dots:
    """An image whose people's joints are dots."""

    def __init__(self, people: int = 1, known: bool = True) -> None:
        self.name, self.skeleton, self.exhaustive = "dots", LSP14, False
        self.annotated_joints = np.full(14, known)
        rng = np.random.default_rng(3)
        self.points = rng.uniform(30, 170, (people, 14, 2)).astype(np.float32)
        self.image = np.zeros((200, 200, 3), np.uint8)
        for x, y in self.points[:1].reshape(-1, 2):
            self.image[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2] = 255

    def __len__(self) -> int:
        return 5

    def sample_id(self, index: int) -> str:
        return f"dots/{index}"

    def __getitem__(self, index: int) -> Sample:
        people = People.from_poses(LSP14, self.points, np.ones(self.points.shape[:2]))
        return Sample(self.image, people, name="dots")


def crops(data, config=STILL, codec=None, seed=0) -> TrainDataset:
    codec = codec or MultitaskCodec()
    mixture = Mixture([WeightedDataset(data, 1.0)], codec.skeleton)
    return TrainDataset(CropTargets(mixture, codec, config), length=100, seed=seed)


@pytest.mark.parametrize("seed", range(6))
def test_joints_are_where_the_image_shows_them_in_every_rotation(seed):
    config = replace(STILL, zoom=(0.9, 1.1), shift=0.05, rotation_deg=180.0, flip_prob=0.5)
    item = crops(Dots(), config, seed=seed)[seed]
    points = (item["targets"]["joints"][..., 0, 0] + 1) / 2 * 112
    image = item["image"].sum(dim=0)
    for (x, y), visible in zip(points.tolist(), item["weights"]["joints"][:, 0, 0].tolist(), strict=True):
        if visible and 2 < x < 110 and 2 < y < 110:
            around = image[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2]
            assert around.max() > 100, "a dot"


def test_items_follow_from_the_seed_and_a_crop_contains_all_joints():
    data = crops(Dots())
    a, b = data[3], crops(Dots())[3]
    assert torch.equal(a["image"], b["image"])
    assert a["weights"]["joints"].all()
    assert a["targets"]["joints"].abs().max() <= 1


def test_images_without_people_have_empty_windows():
    class Empty(Dots):
        def __getitem__(self, index):
            return replace(super().__getitem__(index), people=People.empty(LSP14))

    item = crops(Empty())[0]
    assert not item["weights"]["joints"].any()
    assert item["weights"]["joint_windows"].all()
    assert not item["targets"]["joint_windows"].any()


MAPS = MultitaskCodec(LSP14, (HEATMAP,), crop_size_px=(64, 32), window_px=8, window_stride_px=8)


class OnesTeacher:
    """A teacher whose heatmaps are 1 everywhere."""

    def run(self, tensor):
        return MAPS.fields_from_outputs({HEATMAP: np.ones((len(tensor), MAPS.specs[0].channels, 1, 1), np.float32)})


def test_heatmaps_are_mixed_with_the_teachers_and_are_the_teachers_where_nothing_is_annotated():
    config, known = replace(STILL, distilled=("dots",), teacher_weight=0.7), np.arange(14) < 9
    mixture = Mixture([WeightedDataset(Dots(known=known), 1.0)], LSP14)
    plain, distilled = (CropTargets(mixture, MAPS, config, teacher) for teacher in (None, OnesTeacher()))
    (own,), (mixed,) = (targets.targets(np.random.default_rng(0)) for targets in (plain, distilled))
    gaussians = own.targets.targets[HEATMAP]
    assert mixed.image.shape == (3, 64, 32)
    expected = np.where(known[:, None, None, None, None], 0.3 * gaussians + 0.7, 1)
    np.testing.assert_allclose(mixed.targets.targets[HEATMAP], expected, rtol=1e-6)
    np.testing.assert_array_equal(mixed.targets.weights[HEATMAP][:, 0, 0], np.where(known, 1, 0.5))
    other = CropTargets(mixture, MAPS, replace(config, distilled=("others",)), OnesTeacher())
    np.testing.assert_array_equal(other.targets(np.random.default_rng(0))[0].targets.targets[HEATMAP], gaussians)


def test_crops_are_around_the_boxes_of_bodies_or_half_of_the_joints():
    class Boxed(Dots):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            return replace(sample, people=replace(sample.people, boxes_xyxy=np.float32([[0, 0, 200, 200]])))

    def extent(**settings) -> float:
        encoder = CropTargets(Mixture([WeightedDataset(Boxed(), 1.0)], LSP14), MAPS, replace(STILL, **settings))
        points = encoder.crop(Boxed()[0], np.random.default_rng(0))[1].keypoints[0]
        return float(np.ptp(points, axis=0).max())

    assert extent(body_boxes=True) < extent() < extent(part_prob=1.0)


def test_joints_that_a_set_does_not_annotate_have_no_weight():
    item = crops(Dots(known=False))[0]
    assert not item["weights"]["joints"].any()


def test_another_skeleton_is_refused():
    with pytest.raises(AnnotationError, match="skeleton"):
        crops(Dots(), codec=MultitaskCodec(BODY17_3D, (JOINTS, BONES)))


def captured(n: int = 4) -> MocapPoses:
    return MocapPoses(np.repeat(STANDING[None], n, axis=0), np.zeros(n, np.int64), (Clip("drawn", "standing"),))


def test_a_synthetic_figure_has_its_joints_and_is_the_same_each_time():
    data = Synthetic3D("space", captured(), length=10, seed=1)
    a, b = data[2], data[2]
    np.testing.assert_array_equal(a.image, b.image)
    assert a.people.keypoints_3d.shape == (1, 17, 3)
    assert (a.people.keypoint_scores == 1).all()
    assert not np.array_equal(a.image, data[3].image)
    np.testing.assert_allclose(
        bone_lengths(a.people.keypoints_3d, BODY17_3D)[0], bone_lengths(STANDING, BODY17_3D), rtol=1e-3
    )


def test_nearer_limbs_are_drawn_over_farther_ones():
    """From the front a hand before the chest occludes it; from behind the chest occludes the hand."""
    pose = STANDING.copy()
    pose[BODY17_3D.index("left_wrist")] = (0, 350, 350)
    rng = np.random.default_rng(0)
    hidden = 0
    for _ in range(40):
        sample = render_3d(pose, rng)
        x, y = sample.people.keypoints[0, BODY17_3D.index("left_wrist")]
        x0, y0 = sample.people.keypoints[0, BODY17_3D.index("spine")]
        if np.hypot(x - x0, y - y0) > 12:
            continue
        hand, elbow = sample.image[int(y), int(x)].astype(int), BODY17_3D.index("left_elbow")
        behind = sample.people.keypoints_3d[0, BODY17_3D.index("left_wrist"), 2] > 0
        chest = sample.image[int(y0), int(x0)].astype(int)
        hidden += behind and np.abs(hand - chest).sum() < 60
        assert elbow
    assert hidden > 0


@pytest.mark.parametrize("flip_prob", [0.0, 1.0])
def test_crops_rotate_3d_joints_with_the_image(flip_prob):
    codec = MultitaskCodec(BODY17_3D, (JOINTS, BONES), bone_scale_mm=600.0)
    config = CropInput(112, MEAN, STD, zoom=(1.0, 1.0), shift=0.0, rotation_deg=90.0, flip_prob=flip_prob)
    data = Synthetic3D("space", captured(), length=10, seed=1)
    encoder = CropTargets(Mixture([WeightedDataset(data, 1.0)], BODY17_3D), codec, config)
    sample = data[0]
    _, people, joints = encoder.crop(sample, np.random.default_rng(2))
    # 3D joints rotate as the image does: 2D positions follow x and y in 3D where depths are similar.
    flat = people.keypoints[0] - people.keypoints[0, 0]
    xy = joints[0, :, :2]
    scale = (flat * xy).sum() / (xy**2).sum()
    assert scale > 0
    assert np.abs(flat - scale * xy).max() < 0.12 * np.abs(flat).max()


def test_an_augmented_pose_is_still_a_body():
    rng = np.random.default_rng(0)
    poses = augment_poses(np.repeat(STANDING[None], 20, axis=0), LiftInput(1, MEAN, STD), rng)
    lengths = bone_lengths(poses, BODY17_3D)
    ratio = lengths / bone_lengths(STANDING, BODY17_3D)
    assert (ratio > 0.8).all()
    assert (ratio < 1.2).all()
    np.testing.assert_allclose(lengths[:, :3], lengths[:, 3:6], rtol=1e-4)  # right leg and left leg
    still = LiftInput(1, MEAN, STD, scale_jitter=0, flip_prob=0, lean_std_deg=0)
    np.testing.assert_allclose(augment_poses(STANDING[None], still, rng)[0], STANDING, atol=1e-3)
    flipped = augment_poses(STANDING[None], replace(still, flip_prob=1.0), rng)[0]
    np.testing.assert_allclose(flipped, STANDING[BODY17_3D.flip_index] * [-1, 1, 1], atol=1e-3)
    lean = augment_poses(np.repeat(STANDING[None], 400, axis=0), replace(still, lean_std_deg=10.0), rng)
    up = lean[:, BODY17_3D.index("neck")] / 500
    assert 5 < np.degrees(np.arccos(np.clip(up[:, 1], -1, 1))).mean() < 12


def test_lifter_inputs_are_people_as_other_networks_would_predict_them():
    items = TrainDataset(LifterTargets(captured(), LiftingCodec(), LiftInput(1, MEAN, STD)), length=50, seed=0)
    item, other = items[4], items[5]
    assert not torch.equal(item["image"], other["image"])
    assert item["image"].shape == (51, 1, 1)
    assert item["targets"]["bones"].shape == (17, 3, 1, 1)
    assert torch.equal(items[4]["image"], item["image"])
    rng, skeletons = np.random.default_rng(0), set()
    for _ in range(30):
        people, joints = project_poses(
            STANDING[None], LiftInput(1, MEAN, STD, noise=0.0, max_missing=0.0, outlier_prob=0.0), rng
        )
        skeletons.add(people.skeleton.name)
        assert joints.shape == (1, 17, 3)
        assert people.keypoint_scores.sum() >= 12
    assert skeletons == {skeleton.name for skeleton in SOURCE_SKELETONS}


def test_noise_moves_joints_by_its_standard_deviation():
    rng = np.random.default_rng(0)
    gaps = []
    for _ in range(60):
        state = rng.bit_generator.state
        noisy, _ = project_poses(
            STANDING[None], LiftInput(1, MEAN, STD, noise=0.05, max_missing=0.0, outlier_prob=0.0), rng
        )
        after = rng.bit_generator.state
        rng.bit_generator.state = state
        clean, _ = project_poses(
            STANDING[None], LiftInput(1, MEAN, STD, noise=0.0, max_missing=0.0, outlier_prob=0.0), rng
        )
        rng.bit_generator.state = after
        side = np.ptp(clean.keypoints[0], axis=0).max()
        gaps.append(np.abs(noisy.keypoints - clean.keypoints).mean() / side)
    assert 0.005 < np.mean(gaps) < 0.04
