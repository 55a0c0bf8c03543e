"""Laws of copy-paste in training: whom it pastes, and what the targets of both systems say under the pasted people."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")

from poseg.codecs import PersonLabCodec, PoSegCodec  # noqa: E402
from poseg.datasets.synthetic_people import render_scene  # noqa: E402
from poseg.fields.segmentation import sample_at_cells  # noqa: E402
from poseg.geometry import affine  # noqa: E402
from poseg.people import People, Sample  # noqa: E402
from poseg.skeletons import COCO17, Skeleton  # noqa: E402
from poseg.training import field_targets  # noqa: E402
from poseg.training.copy_paste import Pasted, copy_paste  # noqa: E402
from poseg.training.dataset import AugmentConfig, Mixture, TrainInput, WeightedDataset  # noqa: E402
from poseg.training.field_targets import PersonLabTargets, PoSegTargets  # noqa: E402
from poseg.training.teacher import TeacherFields, teacher_path  # noqa: E402
from poseg.transforms.letterbox import make_letterbox  # noqa: E402
from poseg.transforms.warp import image_area  # noqa: E402

SIDE_PX = 193
PLAIN = AugmentConfig(image_px=(SIDE_PX, SIDE_PX), max_upscale=1.0, rotation_deg=0.0, flip_prob=0.0, color_jitter=0.0)
ALWAYS = replace(PLAIN, copy_paste_prob=1.0, copy_paste_people=2)
EVERYWHERE = np.ones((SIDE_PX, SIDE_PX), bool)


@dataclass
class Scenes:
    """Rendered scenes of one person, whole and with an exact mask."""

    exact: bool | None = None
    known: int = 17
    exhaustive: bool = True
    name: str = "scenes"
    skeleton: Skeleton = COCO17

    @property
    def annotated_joints(self) -> np.ndarray:
        return np.arange(17) < self.known

    def __len__(self) -> int:
        return 3

    def sample_id(self, index: int) -> str:
        return f"scenes/{index}"

    def __getitem__(self, index: int) -> Sample:
        scene = render_scene(np.random.default_rng(index), (SIDE_PX, SIDE_PX), 1)
        return replace(scene, exact_masks=None if self.exact is None else np.full(1, self.exact))


def mixture(**options) -> Mixture:
    return Mixture([WeightedDataset(Scenes(**options), 1.0)], COCO17)


def paste(view: Sample, augmentation: AugmentConfig = ALWAYS, seed: int = 0, on_image=EVERYWHERE, **options) -> Pasted:
    return copy_paste(
        view, on_image, mixture(**options), augmentation, np.random.default_rng(seed), drop_occluded=1.0
    )  # fmt: skip


@pytest.fixture
def view() -> Sample:
    return render_scene(np.random.default_rng(9), (SIDE_PX, SIDE_PX), 2)


def test_with_probability_0_nothing_changes_not_even_the_random_numbers(view):
    rng = np.random.default_rng(1)
    pasted = copy_paste(view, EVERYWHERE, mixture(), PLAIN, rng, drop_occluded=1.0)
    assert pasted.view is view
    assert not pasted.cover.any()
    assert rng.random() == np.random.default_rng(1).random()


def test_the_same_seed_pastes_the_same(view):
    one, again, other = paste(view), paste(view), paste(view, seed=1)
    np.testing.assert_array_equal(one.view.image, again.view.image)
    np.testing.assert_array_equal(one.view.people.keypoints, again.view.people.keypoints)
    assert (one.view.image != other.view.image).any()


@pytest.mark.parametrize("seed", range(5))
def test_masks_stay_exact_and_do_not_overlap(view, seed):
    pasted = paste(view, seed=seed)
    masks = np.asarray(pasted.view.people.masks)
    assert masks.sum(axis=0).max() == 1
    np.testing.assert_array_equal(masks.any(axis=0), view.people.masks.union() | pasted.cover)
    np.testing.assert_array_equal(pasted.view.image[~pasted.cover], view.image[~pasted.cover])
    changed = (pasted.view.image != view.image).any(axis=2)
    assert changed.sum() >= 0.9 * pasted.cover.sum()


@pytest.mark.parametrize("seed", range(5))
def test_no_joint_of_the_people_behind_is_annotated_under_the_pasted_ones(view, seed):
    pasted = paste(view, replace(ALWAYS, copy_paste_people=1), seed)
    people = pasted.view.people[:-1]
    x, y = people.keypoints.astype(int).transpose(2, 0, 1).clip(0, SIDE_PX - 1)
    assert not (people.keypoint_scores[pasted.cover[y, x]] > 0).any()


def test_only_exact_masks_of_sets_that_annotate_all_joints_are_pasted(view):
    assert paste(view, exact=True).cover.any()
    assert not paste(view, exact=False).cover.any()
    assert not paste(view, known=16).cover.any()


def test_nothing_is_pasted_on_padding(view):
    matrix = affine.similarity(0.6, 0.2, (96.0, 96.0), (70.0, 90.0))
    on_image = image_area((SIDE_PX, SIDE_PX), matrix, (SIDE_PX, SIDE_PX))
    assert 0.2 < on_image.mean() < 0.6
    for seed in range(5):
        assert not (paste(view, seed=seed, on_image=on_image).cover & ~on_image).any()


def test_people_are_pasted_into_images_without_people():
    empty = Sample(np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8), People.empty(COCO17, (SIDE_PX, SIDE_PX)))
    pasted = [paste(empty, replace(ALWAYS, copy_paste_people=1), seed) for seed in range(5)]
    assert {len(each.view.people) for each in pasted} == {0, 1}, "who would be enlarged too much is not pasted"


# Targets.


@pytest.fixture
def seen(monkeypatch) -> list[Pasted]:
    """What was pasted into the views of the examples made so far."""
    views: list[Pasted] = []

    def spy(*args, **options):
        views.append(copy_paste(*args, **options))
        return views[-1]

    monkeypatch.setattr(field_targets, "copy_paste", spy)
    return views


@pytest.mark.parametrize("encoder", [PersonLabTargets, PoSegTargets])
@pytest.mark.parametrize("options", [{}, {"exhaustive": False}], ids=["exhaustive", "not exhaustive"])
def test_pixels_of_pasted_people_are_person_and_have_weight(encoder, options, seen):
    codec = PersonLabCodec(stride=8) if encoder is PersonLabTargets else PoSegCodec()
    config = TrainInput(SIDE_PX, (0.0,) * 3, (1.0,) * 3, ALWAYS)
    for seed in range(3):
        example = encoder(mixture(**options), codec, config).targets(np.random.default_rng(seed))[0]
        cover = sample_at_cells(seen[-1].cover, codec.grid)
        assert cover.any()
        assert example.targets.targets["segmentation"][cover].min() > 0
        assert (example.targets.weights["segmentation"][cover] == 1).all()
        assert example.targets.weights["heatmap"][:, cover].mean() > 0.5


@pytest.mark.parametrize("encoder", [PersonLabTargets, PoSegTargets])
def test_where_a_hidden_joint_lies_there_is_neither_joint_nor_background(encoder, seen):
    codec = PersonLabCodec(stride=8) if encoder is PersonLabTargets else PoSegCodec()
    config = TrainInput(SIDE_PX, (0.0,) * 3, (1.0,) * 3, ALWAYS)
    hidden = 0
    for seed in range(6):
        targets = encoder(mixture(), codec, config).targets(np.random.default_rng(seed))[0].targets
        for joint, x, y in seen[-1].view.uncertain:
            row, column = (round(float(at - codec.grid.origin) / 8) for at in (y, x))
            row, column = np.clip((row, column), 0, np.array(targets.targets["segmentation"].shape) - 1)
            if targets.targets["heatmap"][int(joint), row, column] == 0:
                hidden += 1
                assert targets.weights["heatmap"][int(joint), row, column] == 0
    assert hidden > 5


def test_a_teacher_has_no_say_under_pasted_people(tmp_path, seen):
    codec = PersonLabCodec(stride=8)
    config = TrainInput(SIDE_PX, (0.0,) * 3, (1.0,) * 3, ALWAYS)
    no_people = People.empty(COCO17, (SIDE_PX, SIDE_PX))
    letterbox = make_letterbox((SIDE_PX, SIDE_PX), SIDE_PX, size_divisor=8, size_offset=1)
    fields = codec.encode(no_people, (SIDE_PX, SIDE_PX)).as_fields()
    teacher = TeacherFields.from_fields(fields, letterbox)
    everywhere = replace(teacher, heatmap=teacher.heatmap * 0 + 1, segmentation=teacher.segmentation * 0 + 1)
    for index in range(3):
        everywhere.save(teacher_path(tmp_path, f"scenes/{index}"))
    for seed in range(3):
        encoder = PersonLabTargets(mixture(exhaustive=False), codec, config, tmp_path)
        weights = encoder.targets(np.random.default_rng(seed))[0].targets.weights["heatmap"]
        cover = sample_at_cells(seen[-1].cover, codec.grid)
        alone = PersonLabTargets(mixture(), codec, config).targets(np.random.default_rng(seed))[0].targets
        np.testing.assert_array_equal(weights[:, cover], alone.weights["heatmap"][:, cover])
        negative = (alone.targets["heatmap"] == 0) & ~cover
        assert not weights[negative].any(), "elsewhere the teacher takes weight from all negatives"
