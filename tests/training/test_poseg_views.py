"""What PoSeg learns from: views and their mirror images agree, and what nobody labelled counts for nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")

from poseg.codecs import PersonLabCodec, PoSegCodec  # noqa: E402
from poseg.codecs.flip_fusion import flip_fields  # noqa: E402
from poseg.datasets.renamed import Renamed  # noqa: E402
from poseg.errors import AnnotationError  # noqa: E402
from poseg.fields import Fields  # noqa: E402
from poseg.fields.segmentation import sample_at_cells  # noqa: E402
from poseg.people import People, Sample  # noqa: E402
from poseg.recipes import find_recipe  # noqa: E402
from poseg.recipes.roads import road_of  # noqa: E402
from poseg.skeletons import COCO17, LSP14, OPENPOSE18, Skeleton  # noqa: E402
from poseg.training.augment import Augmentation  # noqa: E402
from poseg.training.distill import Lesson  # noqa: E402
from poseg.training.loader import Share, View, lesson_path  # noqa: E402
from poseg.training.poseg_views import PoSegViews  # noqa: E402
from poseg.transforms.letterbox import make_letterbox  # noqa: E402

SIDE_PX = 193
# The picture as it is, or its mirror image.
PLAIN = Augmentation(picture_px=(SIDE_PX, SIDE_PX), enlarge=1.0, rotation_deg=0.0, mirror=0.0, colour=0.0)
MIRRORED = replace(PLAIN, mirror=1.0)
POSES = ("paf", "heatmap", "background")
CODECS = {"coco17": PoSegCodec(), "openpose18": PoSegCodec(OPENPOSE18)}


def posed(seed: int = 0, people: int = 2) -> Sample:
    """People here and there, with masks, a joint that may be somewhere and a corner that nobody knows."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(5, 50, (people, 1, 2)) + np.arange(people)[:, None, None] * (75, 20)
    points = corners + rng.uniform(0, 60, (people, 17, 2))
    masks, ignore = np.zeros((people, SIDE_PX, SIDE_PX), bool), np.zeros((SIDE_PX, SIDE_PX), bool)
    for mask, (x, y) in zip(masks, corners[:, 0].astype(int), strict=True):
        mask[y : y + 62, x : x + 50] = True
    ignore[140:, :50] = True
    image = rng.integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)
    unsure = np.array([[9, 150.2, 30.7]], np.float32)
    return Sample(image, People.from_poses(COCO17, points, np.ones((people, 17)), masks=masks), ignore, "", unsure)


@dataclass
class One:
    """A data set of one picture."""

    sample: Sample = field(default_factory=posed)
    complete: bool = True
    unknown: tuple[str, ...] = ()
    name: str = "one"
    skeleton: Skeleton = COCO17

    @property
    def known(self) -> np.ndarray:
        return np.array([joint not in self.unknown for joint in self.skeleton.joints])

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Sample:
        return self.sample

    def key(self, index: int) -> str:
        return "one/0"


def item(data, augmentation: Augmentation = PLAIN, codec: PoSegCodec | None = None, lessons: Path | None = None):
    codec = CODECS["coco17"] if codec is None else codec
    data = data if codec.skeleton == data.skeleton else Renamed(data, codec.skeleton)
    view = View(SIDE_PX, (0.0,) * 3, (1.0,) * 3, augmentation)
    return PoSegViews([Share(data, 1.0)], codec, view, length=4, seed=5, lessons=lessons)[0]


def arrays(part) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in part.items()}


def cells_in(mask: np.ndarray) -> np.ndarray:
    return sample_at_cells(mask, CODECS["coco17"].grid)


# The mirror.


@pytest.fixture(params=CODECS)
def codec(request) -> PoSegCodec:
    return CODECS[request.param]


@pytest.mark.parametrize(
    "data",
    [One(), One(complete=False), One(posed(3, 1), unknown=("nose",))],
    ids=["complete", "not everybody", "no nose"],
)
def test_the_view_in_the_mirror_has_the_mirrored_targets(codec, data):
    plain, turned = item(data, PLAIN, codec), item(data, MIRRORED, codec)
    torch.testing.assert_close(turned["image"], plain["image"].flip(-1))
    wanted = flip_fields(Fields(codec.specs, arrays(plain["targets"])), codec.flip_rules)
    for name in wanted:
        np.testing.assert_allclose(turned["targets"][name], wanted[name], atol=1e-4, err_msg=name)
    assert not torch.equal(turned["targets"]["paf"], plain["targets"]["paf"].flip(-1))


def test_in_the_mirror_left_and_right_limbs_are_exchanged_and_those_across_run_on():
    plain, turned = (item(One(), each)["targets"]["paf"].numpy() for each in (PLAIN, MIRRORED))
    limb = CODECS["coco17"].limbs.index
    thigh, other = limb(("left_hip", "left_knee")), limb(("right_hip", "right_knee"))
    np.testing.assert_allclose(turned[thigh, 0], -plain[other, 0, :, ::-1], atol=1e-4)
    np.testing.assert_allclose(turned[thigh, 1], plain[other, 1, :, ::-1], atol=1e-4)
    # From the left shoulder to the right one: the ends change names, and so the direction changes twice in x.
    across = limb(("left_shoulder", "right_shoulder"))
    np.testing.assert_allclose(turned[across, 0], plain[across, 0, :, ::-1], atol=1e-4)
    np.testing.assert_allclose(turned[across, 1], -plain[across, 1, :, ::-1], atol=1e-4)
    for channel in (thigh, other, across):
        assert np.abs(plain[channel]).max() > 0.5


def test_in_the_mirror_what_counts_is_mirrored_too(codec):
    sample = posed()
    sure = np.ones((2, 17), np.float32)
    sure[0, [7, 13, 16]], sure[1, [5, 10]] = 0, 0
    data = One(replace(sample, people=replace(sample.people, keypoint_scores=sure)))
    plain, turned = (arrays(item(data, each, codec)["weights"]) for each in (PLAIN, MIRRORED))
    joints, limbs = codec.flip_rules["joint"][0], codec.flip_rules["limb"][0]
    np.testing.assert_array_equal(turned["heatmap"], plain["heatmap"][joints, :, ::-1])
    np.testing.assert_array_equal(turned["paf"], plain["paf"][limbs, :, ::-1])
    for name in ("background", "segmentation"):
        np.testing.assert_array_equal(turned[name], plain[name][:, ::-1])
    for name in ("heatmap", "paf"):
        assert (turned[name] != plain[name][..., ::-1]).any()


# What counts.


def test_a_complete_picture_counts_everywhere_but_where_nobody_knows():
    weights = arrays(item(One(replace(posed(), uncertain=np.zeros((0, 3), np.float32))))["weights"])
    unknown = cells_in(posed().ignore)
    for name, weight in weights.items():
        np.testing.assert_array_equal(weight > 0, np.broadcast_to(~unknown, weight.shape), err_msg=name)


@pytest.mark.parametrize("unknown", [("nose",), ("left_wrist", "right_wrist", "left_hip")], ids=str)
def test_joints_that_the_set_does_not_name_count_nowhere_nor_do_their_limbs(unknown):
    plain, seen = item(One()), item(One(unknown=unknown))
    codec = CODECS["coco17"]
    for joint, name in enumerate(COCO17.joints):
        wanted = 0 * plain["weights"]["heatmap"][joint] if name in unknown else plain["weights"]["heatmap"][joint]
        torch.testing.assert_close(seen["weights"]["heatmap"][joint], wanted)
    for place, limb in enumerate(codec.limbs):
        wanted = plain["weights"]["paf"][place] * (not set(limb) & set(unknown))
        torch.testing.assert_close(seen["weights"]["paf"][place], wanted)
    torch.testing.assert_close(seen["weights"]["segmentation"], plain["weights"]["segmentation"])
    nobody = seen["targets"]["heatmap"].amax(dim=0) == 0
    assert not seen["weights"]["background"][nobody].any(), "the joint that is not named may be there"
    assert seen["weights"]["background"][~nobody].any()


def test_a_joint_that_was_not_annotated_is_not_painted_and_its_limbs_do_not_count_in_the_box():
    sample = posed(people=1)
    sure = np.ones((1, 17), np.float32)
    sure[0, 9] = 0
    seen = item(One(replace(sample, people=replace(sample.people, keypoint_scores=sure))))
    assert not seen["targets"]["heatmap"][9].any()
    forearm = CODECS["coco17"].limbs.index(("left_elbow", "left_wrist"))
    x, y = (sample.people.boxes_xyxy[0, :2] + sample.people.boxes_xyxy[0, 2:]) / 2
    row, column = int(y // 8), int(x // 8)
    assert seen["weights"]["paf"][forearm, row, column] == 0
    assert item(One(sample))["weights"]["paf"][forearm, row, column] == 1


def test_a_picture_of_masks_alone_teaches_the_person_map_and_no_pose_in_them():
    sample = posed()
    seen = item(One(replace(sample, people=replace(sample.people, keypoint_scores=np.zeros((2, 17))))))
    plain = item(One(sample))
    for kind in ("targets", "weights"):
        torch.testing.assert_close(seen[kind]["segmentation"], plain[kind]["segmentation"])
    inside = cells_in(np.asarray(sample.people.masks).any(axis=0))
    for name in POSES:
        assert not seen["weights"][name].numpy()[..., inside].any()
    assert not seen["targets"]["heatmap"].any()
    assert not seen["targets"]["paf"].any()


def test_a_picture_of_poses_alone_teaches_them_and_no_map_in_the_boxes():
    sample = posed()
    seen, plain = item(One(replace(sample, people=replace(sample.people, masks=None)))), item(One(sample))
    for name in POSES:
        for kind in ("targets", "weights"):
            torch.testing.assert_close(seen[kind][name], plain[kind][name])
    x, y = CODECS["coco17"].grid.positions(*seen["weights"]["segmentation"].shape)
    for x0, y0, x1, y1 in sample.people.boxes_xyxy:
        assert not seen["weights"]["segmentation"].numpy()[(x > x0) & (x < x1) & (y > y0) & (y < y1)].any()
    assert seen["weights"]["segmentation"].any(), "away from people there is background"


def test_where_not_everybody_is_labelled_nothing_counts_outside_the_boxes():
    sample = posed()
    seen, plain = item(One(sample, complete=False)), item(One(sample))
    x, y = CODECS["coco17"].grid.positions(25, 25)
    left, top, right, bottom = sample.people.boxes_xyxy.T[:, :, None, None]
    boxed = ((x >= left) & (x <= right) & (y >= top) & (y <= bottom)).any(axis=0)
    assert 20 < boxed.sum() < 400
    for name, weight in seen["weights"].items():
        np.testing.assert_array_equal(weight, plain["weights"][name].numpy() * boxed, err_msg=name)


def test_a_picture_without_people_is_background_where_everybody_is_labelled_and_else_teaches_nothing():
    empty = Sample(np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8), People.empty(COCO17, (SIDE_PX, SIDE_PX)))
    for complete in (True, False):
        weights = item(One(empty, complete=complete))["weights"]
        assert all((weight == float(complete)).all() for weight in weights.values())


# A teacher.


def test_a_teacher_who_sees_somebody_whom_nobody_labelled_takes_certainty_there(tmp_path):
    """One of two people is labelled, the teacher knows both."""
    both = posed()
    save_lesson(tmp_path, both)
    labelled = replace(both, people=both.people[:1], ignore=None, uncertain=np.zeros((0, 3), np.float32))
    seen, full = item(One(labelled, complete=False), lessons=tmp_path), item(One(replace(labelled, people=both.people)))
    codec = CODECS["coco17"]
    other = codec.encode(both.people[1:], (SIDE_PX, SIDE_PX)).targets
    mine = codec.encode(both.people[:1], (SIDE_PX, SIDE_PX)).targets
    weights, targets = arrays(seen["weights"]), arrays(seen["targets"])
    hers = (other["heatmap"] > 0.5) & (mine["heatmap"] == 0)
    assert hers.sum() > 20
    assert weights["heatmap"][hers].max() < 0.2, "no negative where she has a joint"
    assert (weights["heatmap"][mine["heatmap"] > 0] == 1).all(), "labels win"
    far = np.zeros((25, 25), bool)
    far[22:] = True
    assert weights["heatmap"][:, far].min() > 0.9, "background stays background"
    np.testing.assert_array_equal(targets["heatmap"], mine["heatmap"])
    x, y = codec.grid.positions(25, 25)
    mask, (x0, y0, x1, y1) = both.people.masks[1], both.people.boxes_xyxy[0]
    within = cells_in(cv2.erode(mask.astype(np.uint8), np.ones((17, 17))) > 0)
    hers = within & ((x < x0 - 8) | (x > x1 + 8) | (y < y0 - 8) | (y > y1 + 8))  # limbs are as wide
    assert hers.sum() > 5
    assert not weights["paf"][:, hers].any(), "no limb of hers is painted, but they run there"
    assert (weights["paf"][:, far] == 1).all()
    assert np.abs(targets["segmentation"] - full["targets"]["segmentation"].numpy()).mean() < 0.03
    assert (weights["segmentation"] == 1).all()


def test_a_complete_picture_needs_no_teacher(tmp_path):
    save_lesson(tmp_path, posed(1))
    with_her, without = item(One(), lessons=tmp_path), item(One())
    for kind in ("targets", "weights"):
        for name, tensor in without[kind].items():
            torch.testing.assert_close(with_her[kind][name], tensor)


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_a_lesson_is_seen_in_the_mirror_as_the_picture_is(tmp_path, codec):
    both = posed()
    save_lesson(tmp_path, both)
    data = One(replace(both, people=both.people[:1]), complete=False)
    plain, turned = (arrays(item(data, each, codec, tmp_path)["weights"]) for each in (PLAIN, MIRRORED))
    np.testing.assert_allclose(turned["heatmap"], plain["heatmap"][codec.flip_rules["joint"][0], :, ::-1], atol=0.02)
    np.testing.assert_allclose(turned["paf"], plain["paf"][codec.flip_rules["limb"][0], :, ::-1], atol=0.02)


def save_lesson(folder: Path, sample: Sample) -> None:
    """What a teacher who makes no mistake says of a picture."""
    fields = PersonLabCodec(stride=8).encode(sample.people, (SIDE_PX, SIDE_PX)).as_fields()
    box = make_letterbox((SIDE_PX, SIDE_PX), SIDE_PX, size_divisor=8, size_offset=1)
    Lesson.from_fields(fields, box).save(lesson_path(folder, "one/0"))


# Items.


def test_items_have_the_shapes_of_the_specs_and_follow_from_seed_and_position(codec):
    view = View(SIDE_PX, (127.0,) * 3, (128.0,) * 3)
    views = PoSegViews([Share(Renamed(One(), codec.skeleton), 1.0)], codec, view, length=3, seed=1)
    assert len(views) == 3
    one, again, next_one = views[0], views[0], views[1]
    assert torch.equal(one["image"], again["image"])
    assert not torch.equal(one["image"], next_one["image"])
    for spec in codec.specs:
        target, weight = one["targets"][spec.name], one["weights"][spec.name]
        assert target.shape == (*spec.shape, 25, 25)
        assert weight.shape == (*(spec.shape[:1] if "xy" in spec.axes else spec.shape), 25, 25)
        assert target.dtype == weight.dtype == torch.float32
        assert torch.equal(target, again["targets"][spec.name])
        assert torch.equal(weight, again["weights"][spec.name])


def test_views_move_targets_with_the_picture():
    """Wherever the view looks, the heatmap's peaks are on the white marks of the picture."""
    sample = posed(2, 1)
    image = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)
    x, y = sample.people.keypoints[0, 0]
    yy, xx = np.mgrid[:SIDE_PX, :SIDE_PX] + 0.5
    image[...] = (255 * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / 50))[..., None]
    sure = np.zeros((1, 17), np.float32)
    sure[0, 0] = 1
    data = One(replace(sample, image=image, people=replace(sample.people, keypoint_scores=sure)))
    view = View(SIDE_PX, (0.0,) * 3, (255.0,) * 3, Augmentation(picture_px=(100.0, 400.0), colour=0.0))
    views = PoSegViews([Share(data, 1.0)], PoSegCodec(), view, length=12, seed=0)
    compared = 0
    for position in range(len(views)):
        seen = views[position]
        heat, bright = seen["targets"]["heatmap"][0].numpy(), seen["image"][0].numpy()
        if heat[3:-3, 3:-3].max(initial=0) < 0.7:
            continue
        # Where the cells that stand on a pixel's centre are brightest, the joint is.
        row, column = np.unravel_index(heat.argmax(), heat.shape)
        bright = np.where(
            np.hypot(*(np.mgrid[:SIDE_PX, :SIDE_PX] - 8 * np.array([row, column])[:, None, None])) < 30, bright, 0
        )
        by, bx = np.unravel_index(bright.argmax(), bright.shape)
        assert np.hypot(8 * row - by, 8 * column - bx) < 8
        compared += 1
    assert compared >= 4


def test_the_road_renames_data_of_another_skeleton(tmp_path):
    recipe = find_recipe("poseg_overfit_tiny")
    other = replace(recipe, system=replace(recipe.system, skeleton=OPENPOSE18))
    for each in (recipe, other):
        views = road_of(each).items(each, tmp_path / each.system.skeleton.name)
        assert isinstance(views, PoSegViews)
        assert views[0]["targets"]["heatmap"].shape[0] == len(each.system.skeleton)
        assert len(views) == each.schedule.steps * each.schedule.batch_size


def test_another_skeleton_is_refused_without_the_road():
    view = View(SIDE_PX, (0.0,) * 3, (1.0,) * 3)
    with pytest.raises(AnnotationError, match="skeleton"):
        PoSegViews([Share(One(), 1.0)], PoSegCodec(LSP14), view, length=1, seed=0)


def test_the_identity_is_what_these_tests_look_through():
    """Else they would compare nothing: the plain view is the picture."""
    sample = posed()
    np.testing.assert_array_equal(item(One(sample))["image"].numpy(), sample.image.transpose(2, 0, 1))
    encoded = CODECS["coco17"].encode(sample.people, (SIDE_PX, SIDE_PX), sample.ignore, uncertain=sample.uncertain)
    for name, target in encoded.targets.items():
        np.testing.assert_allclose(item(One(sample))["targets"][name], target, atol=1e-5)
