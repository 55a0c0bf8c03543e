"""The mask refiner's training crops: everything in a crop moves together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")

from poseg.datasets.refiner_samples import RefinerSample, RefinerSamples, write_samples  # noqa: E402
from poseg.errors import AnnotationError, PosegError  # noqa: E402
from poseg.recipes import find_recipe  # noqa: E402
from poseg.recipes.tasks import train_dataset  # noqa: E402
from poseg.skeletons import COCO17, LSP14  # noqa: E402
from poseg.systems.mask_refiner import MaskRefinerSystem  # noqa: E402
from poseg.training.dataset import AugmentConfig, Mixture, TrainDataset, WeightedDataset  # noqa: E402
from poseg.training.refiner_targets import RefinerInput, RefinerTargets  # noqa: E402
from poseg.training.visualise import draw_batch_refiner  # noqa: E402

SIDE, MARGIN = 96, 0.22
LEFT = [COCO17.index(name) for name in ("left_shoulder", "left_elbow")]


def bar() -> RefinerSample:
    """A person who is a bar, bright on dark, with an arm along its centre; the cues are exactly that."""
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[25:70, 40:52] = 1
    joints = np.zeros((17, 3), np.float32)
    joints[LEFT] = [[46, 30, 1], [46, 65, 1]]
    picture = np.repeat((40 + 170 * mask).astype(np.uint8)[..., None], 3, axis=2)
    return RefinerSample(picture, np.stack([mask, 2 * mask - 1]), joints, mask, np.ones(mask.shape, bool), "bar.png")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> RefinerSamples:
    path = tmp_path_factory.mktemp("found") / "bars.npz"
    write_samples(path, [bar(), bar()], MARGIN)
    return RefinerSamples("bars", path)


def dataset(data: RefinerSamples, **changes) -> TrainDataset:
    system = MaskRefinerSystem()
    config = RefinerInput(64, *system.normalisation, AugmentConfig(color_jitter=0.0))
    mixture = Mixture([WeightedDataset(data, 1.0)], COCO17)
    return TrainDataset(RefinerTargets(mixture, system.codec, replace(config, **changes)), length=16, seed=0)


def test_image_cues_limbs_and_ground_truth_move_together(data):
    moved = dataset(data, rotation_std_deg=20.0, zoom=0.3, shift=0.1)
    seen = set()
    for position in range(16):
        item = moved[position]
        planes, mask = item["image"].numpy(), item["targets"]["mask"].numpy().reshape(64, 64)
        inside, outside = mask > 0.95, mask < 0.05
        known = item["weights"]["mask"].numpy().reshape(64, 64) > 0
        assert planes[0][inside].min() > 0.4
        assert planes[0][outside & known].max() < 0.1
        assert planes[3][inside].min() > 0.9
        assert planes[4][outside & known].max() < -0.7
        limb = planes[5] > 0.9
        assert limb.any()
        assert (mask[limb] > 0.9).mean() > 0.9
        seen.add(mask.tobytes())
    assert len(seen) > 8


def test_crops_that_are_not_moved_are_placed_as_in_use(data):
    """What the stored crop was placed around fills the part of the codec's crop that it always fills."""
    item = dataset(data, rotation_std_deg=0.0, zoom=0.0, shift=0.0, flip_prob=0.0)[0]
    mask = item["targets"]["mask"].numpy().reshape(64, 64)
    scale = 64 * (1 - 2 * MaskRefinerSystem().padding) / (SIDE * (1 - 2 * MARGIN))
    assert mask.sum() == pytest.approx(45 * 12 * scale**2, rel=0.05)
    row, column = (np.average(np.arange(64) + 0.5, weights=mask.sum(axis=axis)) for axis in (1, 0))
    assert row == pytest.approx(32 + (47.5 - 48) * scale, abs=0.1)
    assert column == pytest.approx(32 + (46 - 48) * scale, abs=0.1)


def test_a_flipped_crop_is_the_flipped_image(data):
    still = {"rotation_std_deg": 0.0, "zoom": 0.0, "shift": 0.0}
    plain, flipped = (dataset(data, **still, flip_prob=float(side))[0]["image"].numpy() for side in (0, 1))
    np.testing.assert_allclose(flipped[:5], plain[:5, :, ::-1], atol=1e-3)
    np.testing.assert_allclose(flipped[5], plain[5, :, ::-1], atol=0.3)  # lines are drawn on pixels


def test_items_repeat_and_are_visualised(data):
    one, other = dataset(data), dataset(data)
    assert len(one) == 16
    for position in (0, 7):
        np.testing.assert_array_equal(one[position]["image"], other[position]["image"])
    batch = {
        "image": torch.stack([one[p]["image"] for p in range(3)]),
        "targets": {"mask": torch.stack([one[p]["targets"]["mask"] for p in range(3)])},
    }
    drawn = draw_batch_refiner(batch, {"mask": torch.zeros(3, 1, 64, 64)}, one.encoder.codec, one.encoder.input)
    assert drawn.shape == (5 * 64, 3 * 64, 3)
    assert drawn[4 * 64 :].min() == drawn[4 * 64 :].max() == 128


def test_bad_data(data, tmp_path):
    with pytest.raises(AnnotationError, match="skeleton"):
        Mixture([WeightedDataset(data, 1.0)], LSP14)
    recipe = find_recipe("mask_refiner_small")
    with pytest.raises(AnnotationError, match="write_refiner_crops"):
        train_dataset(recipe, tmp_path)
    with pytest.raises(PosegError, match="detected people"):
        train_dataset(replace(recipe, data=lambda _: ()), Path())
