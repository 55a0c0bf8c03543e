"""The mask refiner's crops lie around detected people, and portrait crops are filled by a person."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("accelerate")

import poseg
from poseg.people import People, Sample
from poseg.recipes.write_refiner_crops import MIN_SCORE, STORAGE_CODEC, portrait_crop, refiner_samples
from poseg.skeletons import COCO17


def drawn(size=(300, 400)) -> Sample:
    """A tall person, and one too small for a portrait crop."""
    y, x = np.mgrid[: size[0], : size[1]]
    image = np.stack([y % 256, x % 256, 16 * (y // 256) + x // 256], axis=-1).astype(
        np.uint8
    )  # a pixel's colour encodes its position
    masks = np.zeros((2, *size), bool)
    masks[0, 40:280, 100:190], masks[1, 100:140, 300:320] = True, True
    people = People.from_poses(COCO17, np.zeros((2, 17, 2)), np.zeros((2, 17)), masks=masks)
    ignore = np.zeros(size, bool)
    ignore[:20] = True
    return Sample(image, people, ignore, name="drawn.png")


def test_portrait_crop_is_a_part_that_the_tall_person_fills():
    sample = drawn()
    sizes = set()
    for seed in range(20):
        part = portrait_crop(sample, np.random.default_rng(seed))
        height, width = part.image.shape[:2]
        assert height < 0.95 * 240
        tall, _ = part.people.masks
        assert tall.mean() > 0.4
        assert tall[height // 3 :].any(axis=1).all(), "they continue at the lower edge"
        rest_y, rest_x, tiles = part.image[0, 0].astype(int)
        y, x = rest_y + 256 * (tiles // 16), rest_x + 256 * (tiles % 16)
        np.testing.assert_array_equal(part.image, sample.image[y : y + height, x : x + width])
        np.testing.assert_array_equal(
            part.people.masks, np.asarray(sample.people.masks)[:, y : y + height, x : x + width]
        )
        np.testing.assert_array_equal(part.ignore, sample.ignore[y : y + height, x : x + width])
        sizes.add((height, width))
    assert len(sizes) > 10


def test_portrait_crop_without_a_tall_person_is_the_image():
    sample = drawn()
    assert portrait_crop(replace(sample, people=sample.people[1:]), np.random.default_rng(0)).image is sample.image
    maskless = replace(sample, people=replace(sample.people, masks=None))
    assert portrait_crop(maskless, np.random.default_rng(0)).image is sample.image


def test_refiner_samples_match_the_mask_of_highest_iou():
    """The ground truth is what the model itself predicts for the astronaut, and another person beside her."""
    image = pytest.importorskip("skimage.data").astronaut()
    model = poseg.load(min_score=MIN_SCORE, mask_refiner="")
    people = model(image)
    other = np.zeros_like(np.asarray(people.masks))
    other[:, :40, :40] = True
    masks = np.concatenate([other, np.asarray(people.masks)[:1]])
    truth = People.from_poses(COCO17, np.zeros((2, 17, 2)), np.zeros((2, 17)), masks=masks)
    (detected,) = refiner_samples(Sample(image, truth, name="astronaut"), model)
    assert detected.name == "astronaut"
    assert detected.mask.shape == (STORAGE_CODEC.crop_px,) * 2
    predicted = (detected.cues[0] >= 0.5) & (detected.cues[1] >= 0)
    certain = detected.valid & (np.abs(detected.mask - 0.5) > 0.49)
    assert (predicted == (detected.mask > 0.5))[certain].mean() > 0.98
    inner = STORAGE_CODEC.padding * STORAGE_CODEC.crop_px
    rows = np.flatnonzero((detected.mask > 0.5).any(axis=1))
    assert rows[0] == pytest.approx(inner, abs=4), "she fills what the crop was placed around"
    # A person without a ground-truth mask makes no sample.
    unlabelled = People.from_poses(COCO17, np.zeros((1, 17, 2)), np.zeros((1, 17)), masks=other)
    assert not list(refiner_samples(Sample(image, unlabelled), model))
