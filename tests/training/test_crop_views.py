"""What the multi-task network and the lifter are shown in training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from poseg.codecs.lifting import LiftingCodec  # noqa: E402
from poseg.codecs.multitask import TASKS, MultitaskCodec  # noqa: E402
from poseg.datasets.drawn_in_space import DrawnInSpace, drawn_in_space  # noqa: E402
from poseg.datasets.mocap import Clip, Poses  # noqa: E402
from poseg.errors import AnnotationError  # noqa: E402
from poseg.people import People, Sample  # noqa: E402
from poseg.skeletons import BODY17_3D, LSP14  # noqa: E402
from poseg.skeletons.bones import bone_lengths  # noqa: E402
from poseg.training.crop_views import CropView, CropViews  # noqa: E402
from poseg.training.lift_views import SOURCES, LiftView, LiftViews, seen, varied  # noqa: E402
from poseg.training.loader import Share  # noqa: E402

MEAN, STD = (0.0,) * 3, (1.0,) * 3
STILL = CropView(112, MEAN, STD, zoom=(1.0, 1.0), shift=0.0, rotation_deg=0.0, mirror=0.0)

# A person who stands with the arms a little out; y-up, mm.
STANDING = np.array(
    [(0, 0, 0), (-130, 0, 0), (-140, -430, 0), (-150, -850, 0), (130, 0, 0), (140, -430, 0), (150, -850, 0),
     (0, 250, 0), (0, 500, 0), (0, 600, 90), (0, 720, 20), (170, 480, 0), (300, 250, 0), (380, 20, 40),
     (-170, 480, 0), (-300, 250, 0), (-380, 20, 40)], np.float32,
)  # fmt: skip


class Dots:
    """A picture whose people's joints are dots, each in a colour of its own."""

    def __init__(self, people: int = 1, known: bool = True) -> None:
        self.name, self.skeleton, self.complete = "dots", LSP14, False
        self.known = np.full(14, known)
        rng = np.random.default_rng(3)
        self.points = rng.uniform(30, 170, (people, 14, 2)).astype(np.float32)
        self.image = np.zeros((200, 200, 3), np.uint8)
        for x, y in self.points[:1].reshape(-1, 2):
            self.image[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2] = 255

    def __len__(self) -> int:
        return 5

    def key(self, index: int) -> str:
        return f"dots/{index}"

    def __getitem__(self, index: int) -> Sample:
        people = People.from_poses(LSP14, self.points, np.ones(self.points.shape[:2]))
        return Sample(self.image, people, name="dots")


def views(data, view=STILL, codec=None, seed=0) -> CropViews:
    return CropViews([Share(data, 1.0)], codec or MultitaskCodec(), view, length=100, seed=seed)


@pytest.mark.parametrize("seed", range(6))
def test_joints_are_where_the_picture_shows_them_however_it_is_turned(seed):
    view = replace(STILL, zoom=(0.9, 1.1), shift=0.05, rotation_deg=180.0, mirror=0.5)
    item = views(Dots(), view, seed=seed)[seed]
    points = (item["targets"]["joints"][..., 0, 0] + 1) / 2 * 112
    image = item["image"].sum(dim=0)
    for (x, y), known in zip(points.tolist(), item["weights"]["joints"][:, 0, 0].tolist(), strict=True):
        if known and 2 < x < 110 and 2 < y < 110:
            around = image[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2]
            assert around.max() > 100, "a dot"


def test_the_same_seed_shows_the_same_and_a_crop_holds_all_joints():
    data = views(Dots())
    a, b = data[3], views(Dots())[3]
    assert torch.equal(a["image"], b["image"])
    assert a["weights"]["joints"].all()
    assert a["targets"]["joints"].abs().max() <= 1


def test_pictures_of_nobody_teach_empty_windows():
    class Empty(Dots):
        def __getitem__(self, index):
            return replace(super().__getitem__(index), people=People.empty(LSP14))

    item = views(Empty())[0]
    assert not item["weights"]["joints"].any()
    assert item["weights"]["joint_windows"].all()
    assert not item["targets"]["joint_windows"].any()


def test_joints_that_a_set_does_not_name_teach_nothing_and_people_without_joints_are_nobody():
    item = views(Dots(known=False))[0]
    assert not item["weights"]["joints"].any()


def test_another_skeleton_is_refused():
    with pytest.raises(AnnotationError, match="skeleton"):
        views(Dots(), codec=MultitaskCodec(BODY17_3D, TASKS))


def captured(n: int = 4) -> Poses:
    return Poses(np.repeat(STANDING[None], n, axis=0), np.zeros(n, np.int64), (Clip("drawn", "standing"),))


def test_a_drawn_figure_shows_its_joints_and_is_the_same_each_time():
    data = DrawnInSpace("space", captured(), length=10, seed=1)
    a, b = data[2], data[2]
    np.testing.assert_array_equal(a.image, b.image)
    assert a.people.keypoints_3d.shape == (1, 17, 3)
    assert (a.people.keypoint_scores == 1).all()
    assert not np.array_equal(a.image, data[3].image)
    np.testing.assert_allclose(
        bone_lengths(a.people.keypoints_3d, BODY17_3D)[0], bone_lengths(STANDING, BODY17_3D), rtol=1e-3
    )


def test_what_is_nearer_is_drawn_over_what_is_farther():
    """View from the front a hand before the chest hides it; seen from behind the chest hides the hand."""
    pose = STANDING.copy()
    pose[BODY17_3D.index("left_wrist")] = (0, 350, 350)
    rng = np.random.default_rng(0)
    hidden = 0
    for _ in range(40):
        sample = drawn_in_space(pose, rng)
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


@pytest.mark.parametrize("mirror", [0.0, 1.0])
def test_crops_turn_joints_in_space_with_the_picture(mirror):
    codec = MultitaskCodec(BODY17_3D, TASKS, bone_scale_mm=600.0)
    view = CropView(112, MEAN, STD, zoom=(1.0, 1.0), shift=0.0, rotation_deg=90.0, mirror=mirror)
    data = DrawnInSpace("space", captured(), length=10, seed=1)
    made = CropViews([Share(data, 1.0)], codec, view, length=10, seed=5)
    sample = data[0]
    _, people, joints = made.crop(sample, np.random.default_rng(2))
    # As the picture turned, so did space: places in the picture follow x and y in space where depth is alike.
    flat = people.keypoints[0] - people.keypoints[0, 0]
    space = joints[0, :, :2]
    scale = (flat * space).sum() / (space**2).sum()
    assert scale > 0
    assert np.abs(flat - scale * space).max() < 0.12 * np.abs(flat).max()


def test_a_varied_pose_is_a_body_still():
    rng = np.random.default_rng(0)
    poses = varied(np.repeat(STANDING[None], 20, axis=0), LiftView(1, MEAN, STD), rng)
    lengths = bone_lengths(poses, BODY17_3D)
    ratio = lengths / bone_lengths(STANDING, BODY17_3D)
    assert (ratio > 0.8).all()
    assert (ratio < 1.2).all()
    np.testing.assert_allclose(lengths[:, :3], lengths[:, 3:6], rtol=1e-4)  # right leg and left leg
    still = LiftView(1, MEAN, STD, stretch=0, mirror=0, lean_deg=0)
    np.testing.assert_allclose(varied(STANDING[None], still, rng)[0], STANDING, atol=1e-3)
    mirrored = varied(STANDING[None], replace(still, mirror=1.0), rng)[0]
    np.testing.assert_allclose(mirrored, STANDING[BODY17_3D.flip_index] * [-1, 1, 1], atol=1e-3)
    lean = varied(np.repeat(STANDING[None], 400, axis=0), replace(still, lean_deg=10.0), rng)
    up = lean[:, BODY17_3D.index("neck")] / 500
    assert 5 < np.degrees(np.arccos(np.clip(up[:, 1], -1, 1))).mean() < 12


def test_a_lifter_is_shown_what_other_networks_would_find():
    items = LiftViews(captured(), LiftingCodec(), LiftView(1, MEAN, STD), length=50, seed=0)
    item, other = items[4], items[5]
    assert not torch.equal(item["image"], other["image"])
    assert item["image"].shape == (51, 1, 1)
    assert item["targets"]["bones"].shape == (17, 3, 1, 1)
    assert torch.equal(items[4]["image"], item["image"])
    rng, skeletons = np.random.default_rng(0), set()
    for _ in range(30):
        people, joints = seen(STANDING[None], LiftView(1, MEAN, STD, noise=0.0, missing=0.0, strays=0.0), rng)
        skeletons.add(people.skeleton.name)
        assert joints.shape == (1, 17, 3)
        assert people.keypoint_scores.sum() >= 12
    assert skeletons == {skeleton.name for skeleton in SOURCES}


def test_noise_moves_joints_by_as_much_as_was_asked():
    rng = np.random.default_rng(0)
    gaps = []
    for _ in range(60):
        state = rng.bit_generator.state
        noisy, _ = seen(STANDING[None], LiftView(1, MEAN, STD, noise=0.05, missing=0.0, strays=0.0), rng)
        after = rng.bit_generator.state
        rng.bit_generator.state = state
        clean, _ = seen(STANDING[None], LiftView(1, MEAN, STD, noise=0.0, missing=0.0, strays=0.0), rng)
        rng.bit_generator.state = after
        side = np.ptp(clean.keypoints[0], axis=0).max()
        gaps.append(np.abs(noisy.keypoints - clean.keypoints).mean() / side)
    assert 0.005 < np.mean(gaps) < 0.04
