"""Pose2Seg's training crops: crops and their masks belong together in every view."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")

from poseg.errors import AnnotationError  # noqa: E402
from poseg.recipes import find_recipe  # noqa: E402
from poseg.recipes.tasks import train_dataset  # noqa: E402
from poseg.skeletons import LSP14  # noqa: E402
from poseg.training.dataset import Mixture, TrainDataset  # noqa: E402
from poseg.training.visualise import draw_batch_pose2seg  # noqa: E402

TINY = find_recipe("pose2seg_overfit_tiny")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    TINY.data(folder)
    return folder


def dataset(data: Path, **changes) -> TrainDataset:
    pasting = replace(TINY.input.augmentation, copy_paste_prob=changes.pop("copy_paste_prob", 0.0))
    return train_dataset(replace(TINY, input=replace(TINY.input, augmentation=pasting, **changes)), data)


def seen_colours(item) -> tuple[np.ndarray, np.ndarray]:
    """For each crop of the image, inside and outside the target mask: mean colours (P, 3)."""
    from poseg.networks.heads.pose2seg_head import affine_align

    cut = affine_align(item["image"][None], item["inputs"]["windows"][None], 64, 1)
    inside = item["targets"]["mask"][:, None] * item["weights"]["mask"][:, None]
    outside = (1 - item["targets"]["mask"][:, None]) * item["weights"]["mask"][:, None]
    return tuple(((cut * m).sum(dim=(2, 3)) / m.sum(dim=(2, 3)).clamp(min=1)).numpy() for m in (inside, outside))


@pytest.mark.parametrize("changes", [{}, {"rotation_deg": 30.0, "zoom": (0.8, 1.2), "shift": 0.1}])
def test_target_masks_lie_on_people_of_the_crop(data, changes):
    """Synthetic people differ from the background, so a misplaced mask would mix both."""
    plain, moved = dataset(data, people_per_image=4), dataset(data, people_per_image=4, **changes)
    for position in range(4):
        for items in (plain, moved):
            person, rest = seen_colours(items[position])
            assert np.abs(person - rest).max(axis=1).min() > 0.15
        np.testing.assert_array_equal(plain[position]["image"], moved[position]["image"])


def test_items_have_fixed_shapes_and_repeat(data):
    items = dataset(data, people_per_image=3, keypoint_noise=1.0, keypoint_dropout=0.5, copy_paste_prob=1.0)
    for position in range(6):
        item, again = items[position], items[position]
        assert item["inputs"]["windows"].shape == (3, 2, 3)
        assert item["inputs"]["joints"].shape == (3, 17, 3)
        assert item["targets"]["mask"].shape == item["weights"]["mask"].shape == (3, 64, 64)
        for kind in ("inputs", "targets", "weights"):
            for name, tensor in item[kind].items():
                assert torch.isfinite(tensor).all()
                assert torch.equal(tensor, again[kind][name])


def test_copy_paste_changes_images(data):
    plain, pasted = dataset(data), dataset(data, copy_paste_prob=1.0)
    changed = [not torch.equal(plain[i]["image"], pasted[i]["image"]) for i in range(8)]
    assert sum(changed) >= 6


def test_sample_people_of_an_image_without_people_is_empty(data):
    encoder = dataset(data, people_per_image=2).encoder
    sample = encoder.mixture.parts[0].data[0]
    assert len(encoder.sample_people(sample.people[:0], np.random.default_rng(0))) == 0


def test_another_skeleton_is_refused(data):
    with pytest.raises(AnnotationError, match="skeleton"):
        Mixture(TINY.data(data), LSP14)


def test_draw_batch_pose2seg_draws_a_row_for_each_crop(data):
    items = dataset(data, people_per_image=2)
    batch = torch.utils.data.default_collate([items[0], items[1]])
    drawn = draw_batch_pose2seg(batch, {"mask": torch.zeros(4, 1, 64, 64)}, TINY.system.codec, TINY.input)
    assert drawn.shape == (2 * 3 * 64, 9 * 64, 3)
    assert drawn.std() > 10
