"""PoSeg's targets of flipped views are flipped, and what is not labelled has weight 0."""

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
from poseg.datasets.dataset import RemappedDataset  # noqa: E402
from poseg.errors import AnnotationError  # noqa: E402
from poseg.fields import Fields  # noqa: E402
from poseg.fields.segmentation import sample_at_cells  # noqa: E402
from poseg.people import People, Sample  # noqa: E402
from poseg.recipes import find_recipe  # noqa: E402
from poseg.recipes.tasks import train_dataset  # noqa: E402
from poseg.skeletons import COCO17, LSP14, OPENPOSE18, Skeleton  # noqa: E402
from poseg.training.dataset import AugmentConfig, Mixture, TrainDataset, TrainInput, WeightedDataset  # noqa: E402
from poseg.training.field_targets import PoSegTargets  # noqa: E402
from poseg.training.teacher import TeacherFields, teacher_path  # noqa: E402
from poseg.transforms.letterbox import make_letterbox  # noqa: E402

SIDE_PX = 193
# The image as it is, or flipped.
PLAIN = AugmentConfig(image_px=(SIDE_PX, SIDE_PX), max_upscale=1.0, rotation_deg=0.0, flip_prob=0.0, color_jitter=0.0)
FLIPPED = replace(PLAIN, flip_prob=1.0)
POSES = ("paf", "heatmap", "background")
CODECS = {"coco17": PoSegCodec(), "openpose18": PoSegCodec(OPENPOSE18)}


def posed(seed: int = 0, people: int = 2) -> Sample:
    """People here and there, with masks, an uncertain joint and an ignored corner."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(5, 50, (people, 1, 2)) + np.arange(people)[:, None, None] * (75, 20)
    points = corners + rng.uniform(0, 60, (people, 17, 2))
    masks, ignore = np.zeros((people, SIDE_PX, SIDE_PX), bool), np.zeros((SIDE_PX, SIDE_PX), bool)
    for mask, (x, y) in zip(masks, corners[:, 0].astype(int), strict=True):
        mask[y : y + 62, x : x + 50] = True
    ignore[140:, :50] = True
    image = rng.integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)
    uncertain = np.array([[9, 150.2, 30.7]], np.float32)
    return Sample(image, People.from_poses(COCO17, points, np.ones((people, 17)), masks=masks), ignore, "", uncertain)


@dataclass
class One:
    """A data set of one image."""

    sample: Sample = field(default_factory=posed)
    exhaustive: bool = True
    unknown: tuple[str, ...] = ()
    name: str = "one"
    skeleton: Skeleton = COCO17

    @property
    def annotated_joints(self) -> np.ndarray:
        return np.array([joint not in self.unknown for joint in self.skeleton.joints])

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Sample:
        return self.sample

    def sample_id(self, index: int) -> str:
        return "one/0"


def dataset(data, codec: PoSegCodec, config: TrainInput, teacher_dir: Path | None = None, **options) -> TrainDataset:
    mixture = Mixture([WeightedDataset(data, 1.0)], codec.skeleton)
    return TrainDataset(PoSegTargets(mixture, codec, config, teacher_dir), **options)


def item(data, augmentation: AugmentConfig = PLAIN, codec: PoSegCodec | None = None, teacher_dir: Path | None = None):
    codec = CODECS["coco17"] if codec is None else codec
    data = data if codec.skeleton == data.skeleton else RemappedDataset(data, codec.skeleton)
    config = TrainInput(SIDE_PX, (0.0,) * 3, (1.0,) * 3, augmentation)
    return dataset(data, codec, config, teacher_dir, length=4, seed=5)[0]


def arrays(part) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in part.items()}


def cells_in(mask: np.ndarray) -> np.ndarray:
    return sample_at_cells(mask, CODECS["coco17"].grid)


# Flips.


@pytest.fixture(params=CODECS)
def codec(request) -> PoSegCodec:
    return CODECS[request.param]


@pytest.mark.parametrize(
    "data",
    [One(), One(exhaustive=False), One(posed(3, 1), unknown=("nose",))],
    ids=["exhaustive", "not exhaustive", "no nose"],
)
def test_flipped_views_have_flipped_targets(codec, data):
    plain, flipped = item(data, PLAIN, codec), item(data, FLIPPED, codec)
    torch.testing.assert_close(flipped["image"], plain["image"].flip(-1))
    expected = flip_fields(Fields(codec.specs, arrays(plain["targets"])), codec.flip_rules)
    for name in expected:
        np.testing.assert_allclose(flipped["targets"][name], expected[name], atol=1e-4, err_msg=name)
    assert not torch.equal(flipped["targets"]["paf"], plain["targets"]["paf"].flip(-1))


def test_flips_exchange_left_and_right_limbs_and_keep_the_direction_of_those_across():
    plain, flipped = (item(One(), each)["targets"]["paf"].numpy() for each in (PLAIN, FLIPPED))
    limb = CODECS["coco17"].limbs.index
    thigh, other = limb(("left_hip", "left_knee")), limb(("right_hip", "right_knee"))
    np.testing.assert_allclose(flipped[thigh, 0], -plain[other, 0, :, ::-1], atol=1e-4)
    np.testing.assert_allclose(flipped[thigh, 1], plain[other, 1, :, ::-1], atol=1e-4)
    # From the left shoulder to the right one: the ends change names, and so the direction changes twice in x.
    across = limb(("left_shoulder", "right_shoulder"))
    np.testing.assert_allclose(flipped[across, 0], plain[across, 0, :, ::-1], atol=1e-4)
    np.testing.assert_allclose(flipped[across, 1], -plain[across, 1, :, ::-1], atol=1e-4)
    for channel in (thigh, other, across):
        assert np.abs(plain[channel]).max() > 0.5


def test_flipped_views_have_flipped_weights(codec):
    sample = posed()
    scores = np.ones((2, 17), np.float32)
    scores[0, [7, 13, 16]], scores[1, [5, 10]] = 0, 0
    data = One(replace(sample, people=replace(sample.people, keypoint_scores=scores)))
    plain, flipped = (arrays(item(data, each, codec)["weights"]) for each in (PLAIN, FLIPPED))
    joints, limbs = codec.flip_rules["joint"][0], codec.flip_rules["limb"][0]
    np.testing.assert_array_equal(flipped["heatmap"], plain["heatmap"][joints, :, ::-1])
    np.testing.assert_array_equal(flipped["paf"], plain["paf"][limbs, :, ::-1])
    for name in ("background", "segmentation"):
        np.testing.assert_array_equal(flipped[name], plain[name][:, ::-1])
    for name in ("heatmap", "paf"):
        assert (flipped[name] != plain[name][..., ::-1]).any()


# Weights.


def test_an_exhaustive_image_has_weight_everywhere_but_in_ignored_regions():
    weights = arrays(item(One(replace(posed(), uncertain=np.zeros((0, 3), np.float32))))["weights"])
    unknown = cells_in(posed().ignore)
    for name, weight in weights.items():
        np.testing.assert_array_equal(weight > 0, np.broadcast_to(~unknown, weight.shape), err_msg=name)


@pytest.mark.parametrize("unknown", [("nose",), ("left_wrist", "right_wrist", "left_hip")], ids=str)
def test_joints_that_the_set_does_not_annotate_have_no_weight_nor_have_their_limbs(unknown):
    plain, view = item(One()), item(One(unknown=unknown))
    codec = CODECS["coco17"]
    for joint, name in enumerate(COCO17.joints):
        expected = 0 * plain["weights"]["heatmap"][joint] if name in unknown else plain["weights"]["heatmap"][joint]
        torch.testing.assert_close(view["weights"]["heatmap"][joint], expected)
    for place, limb in enumerate(codec.limbs):
        expected = plain["weights"]["paf"][place] * (not set(limb) & set(unknown))
        torch.testing.assert_close(view["weights"]["paf"][place], expected)
    torch.testing.assert_close(view["weights"]["segmentation"], plain["weights"]["segmentation"])
    empty = view["targets"]["heatmap"].amax(dim=0) == 0
    assert not view["weights"]["background"][empty].any(), "the joint that is not annotated may be there"
    assert view["weights"]["background"][~empty].any()


def test_a_joint_without_annotation_has_no_target_and_its_limbs_no_weight_in_the_box():
    sample = posed(people=1)
    scores = np.ones((1, 17), np.float32)
    scores[0, 9] = 0
    view = item(One(replace(sample, people=replace(sample.people, keypoint_scores=scores))))
    assert not view["targets"]["heatmap"][9].any()
    forearm = CODECS["coco17"].limbs.index(("left_elbow", "left_wrist"))
    x, y = (sample.people.boxes_xyxy[0, :2] + sample.people.boxes_xyxy[0, 2:]) / 2
    row, column = int(y // 8), int(x // 8)
    assert view["weights"]["paf"][forearm, row, column] == 0
    assert item(One(sample))["weights"]["paf"][forearm, row, column] == 1


def test_an_image_with_masks_alone_supervises_the_person_map_and_no_pose_in_them():
    sample = posed()
    view = item(One(replace(sample, people=replace(sample.people, keypoint_scores=np.zeros((2, 17))))))
    plain = item(One(sample))
    for kind in ("targets", "weights"):
        torch.testing.assert_close(view[kind]["segmentation"], plain[kind]["segmentation"])
    inside = cells_in(np.asarray(sample.people.masks).any(axis=0))
    for name in POSES:
        assert not view["weights"][name].numpy()[..., inside].any()
    assert not view["targets"]["heatmap"].any()
    assert not view["targets"]["paf"].any()


def test_an_image_with_poses_alone_supervises_them_and_no_person_map_in_the_boxes():
    sample = posed()
    view, plain = item(One(replace(sample, people=replace(sample.people, masks=None)))), item(One(sample))
    for name in POSES:
        for kind in ("targets", "weights"):
            torch.testing.assert_close(view[kind][name], plain[kind][name])
    x, y = CODECS["coco17"].grid.positions(*view["weights"]["segmentation"].shape)
    for x0, y0, x1, y1 in sample.people.boxes_xyxy:
        assert not view["weights"]["segmentation"].numpy()[(x > x0) & (x < x1) & (y > y0) & (y < y1)].any()
    assert view["weights"]["segmentation"].any(), "away from people there is background"


def test_where_not_all_people_are_labelled_there_is_no_weight_outside_the_boxes():
    sample = posed()
    view, plain = item(One(sample, exhaustive=False)), item(One(sample))
    x, y = CODECS["coco17"].grid.positions(25, 25)
    left, top, right, bottom = sample.people.boxes_xyxy.T[:, :, None, None]
    boxed = ((x >= left) & (x <= right) & (y >= top) & (y <= bottom)).any(axis=0)
    assert 20 < boxed.sum() < 400
    for name, weight in view["weights"].items():
        np.testing.assert_array_equal(weight, plain["weights"][name].numpy() * boxed, err_msg=name)


def test_an_image_without_people_is_background_where_labels_are_exhaustive_and_else_has_no_weight():
    empty = Sample(np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8), People.empty(COCO17, (SIDE_PX, SIDE_PX)))
    for complete in (True, False):
        weights = item(One(empty, exhaustive=complete))["weights"]
        assert all((weight == float(complete)).all() for weight in weights.values())


# Teacher fields.


def test_a_teacher_that_predicts_an_unlabelled_person_takes_weight_from_negatives_there(tmp_path):
    """One of two people is labelled, the teacher predicts both."""
    both = posed()
    save_teacher_fields(tmp_path, both)
    labelled = replace(both, people=both.people[:1], ignore=None, uncertain=np.zeros((0, 3), np.float32))
    view = item(One(labelled, exhaustive=False), teacher_dir=tmp_path)
    full = item(One(replace(labelled, people=both.people)))
    codec = CODECS["coco17"]
    other = codec.encode(both.people[1:], (SIDE_PX, SIDE_PX)).targets
    mine = codec.encode(both.people[:1], (SIDE_PX, SIDE_PX)).targets
    weights, targets = arrays(view["weights"]), arrays(view["targets"])
    unlabelled = (other["heatmap"] > 0.5) & (mine["heatmap"] == 0)
    assert unlabelled.sum() > 20
    assert weights["heatmap"][unlabelled].max() < 0.2, "no negative where the teacher predicts a joint"
    assert (weights["heatmap"][mine["heatmap"] > 0] == 1).all(), "labels win"
    far = np.zeros((25, 25), bool)
    far[22:] = True
    assert weights["heatmap"][:, far].min() > 0.9, "background stays background"
    np.testing.assert_array_equal(targets["heatmap"], mine["heatmap"])
    x, y = codec.grid.positions(25, 25)
    mask, (x0, y0, x1, y1) = both.people.masks[1], both.people.boxes_xyxy[0]
    within = cells_in(cv2.erode(mask.astype(np.uint8), np.ones((17, 17))) > 0)
    unlabelled = within & ((x < x0 - 8) | (x > x1 + 8) | (y < y0 - 8) | (y > y1 + 8))  # limbs are as wide
    assert unlabelled.sum() > 5
    assert not weights["paf"][:, unlabelled].any(), "the unlabelled person has no limb targets, but limbs there"
    assert (weights["paf"][:, far] == 1).all()
    assert np.abs(targets["segmentation"] - full["targets"]["segmentation"].numpy()).mean() < 0.03
    assert (weights["segmentation"] == 1).all()


def test_an_exhaustive_image_ignores_the_teacher(tmp_path):
    save_teacher_fields(tmp_path, posed(1))
    with_teacher, without = item(One(), teacher_dir=tmp_path), item(One())
    for kind in ("targets", "weights"):
        for name, tensor in without[kind].items():
            torch.testing.assert_close(with_teacher[kind][name], tensor)


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_teacher_fields_are_flipped_as_the_image_is(tmp_path, codec):
    both = posed()
    save_teacher_fields(tmp_path, both)
    data = One(replace(both, people=both.people[:1]), exhaustive=False)
    plain, flipped = (arrays(item(data, each, codec, tmp_path)["weights"]) for each in (PLAIN, FLIPPED))
    np.testing.assert_allclose(flipped["heatmap"], plain["heatmap"][codec.flip_rules["joint"][0], :, ::-1], atol=0.02)
    np.testing.assert_allclose(flipped["paf"], plain["paf"][codec.flip_rules["limb"][0], :, ::-1], atol=0.02)


def save_teacher_fields(folder: Path, sample: Sample) -> None:
    """The fields of a teacher without errors."""
    fields = PersonLabCodec(stride=8).encode(sample.people, (SIDE_PX, SIDE_PX)).as_fields()
    letterbox = make_letterbox((SIDE_PX, SIDE_PX), SIDE_PX, size_divisor=8, size_offset=1)
    TeacherFields.from_fields(fields, letterbox).save(teacher_path(folder, "one/0"))


# Items.


def test_items_have_the_shapes_of_the_specs_and_follow_from_seed_and_position(codec):
    config = TrainInput(SIDE_PX, (127.0,) * 3, (128.0,) * 3)
    views = dataset(RemappedDataset(One(), codec.skeleton), codec, config, length=3, seed=1)
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


def test_targets_move_with_the_image():
    """In every view the heatmap's peaks are on the white marks of the image."""
    sample = posed(2, 1)
    image = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)
    x, y = sample.people.keypoints[0, 0]
    yy, xx = np.mgrid[:SIDE_PX, :SIDE_PX] + 0.5
    image[...] = (255 * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / 50))[..., None]
    scores = np.zeros((1, 17), np.float32)
    scores[0, 0] = 1
    data = One(replace(sample, image=image, people=replace(sample.people, keypoint_scores=scores)))
    config = TrainInput(SIDE_PX, (0.0,) * 3, (255.0,) * 3, AugmentConfig(image_px=(100.0, 400.0), color_jitter=0.0))
    views = dataset(data, PoSegCodec(), config, length=12, seed=0)
    compared = 0
    for position in range(len(views)):
        view = views[position]
        heat, bright = view["targets"]["heatmap"][0].numpy(), view["image"][0].numpy()
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


def test_train_dataset_renames_data_of_another_skeleton(tmp_path):
    recipe = find_recipe("poseg_overfit_tiny")
    other = replace(recipe, system=replace(recipe.system, skeleton=OPENPOSE18))
    for each in (recipe, other):
        views = train_dataset(each, tmp_path / each.system.skeleton.name)
        assert isinstance(views.encoder, PoSegTargets)
        assert views[0]["targets"]["heatmap"].shape[0] == len(each.system.skeleton)
        assert len(views) == each.optim.steps * each.optim.batch_size


def test_a_mixture_refuses_another_skeleton():
    with pytest.raises(AnnotationError, match="skeleton"):
        Mixture([WeightedDataset(One(), 1.0)], LSP14)


def test_the_plain_view_is_the_image():
    """Else these tests would compare nothing."""
    sample = posed()
    np.testing.assert_array_equal(item(One(sample))["image"].numpy(), sample.image.transpose(2, 0, 1))
    encoded = CODECS["coco17"].encode(sample.people, (SIDE_PX, SIDE_PX), sample.ignore, uncertain=sample.uncertain)
    for name, target in encoded.targets.items():
        np.testing.assert_allclose(item(One(sample))["targets"][name], target, atol=1e-5)
