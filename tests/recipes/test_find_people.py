"""What a painter learns from lies where it was found, and close-ups show somebody who fills them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("accelerate")

import poseg
from poseg.people import People, Sample
from poseg.recipes import find_people
from poseg.recipes.find_people import STORED, close_up, found_in
from poseg.skeletons import COCO17


def drawn(size=(300, 400)) -> Sample:
    """A tall one, and one too small for a close-up."""
    y, x = np.mgrid[: size[0], : size[1]]
    image = np.stack([y % 256, x % 256, 16 * (y // 256) + x // 256], axis=-1).astype(np.uint8)  # it says where it is
    masks = np.zeros((2, *size), bool)
    masks[0, 40:280, 100:190], masks[1, 100:140, 300:320] = True, True
    people = People.from_poses(COCO17, np.zeros((2, 17, 2)), np.zeros((2, 17)), masks=masks)
    ignore = np.zeros(size, bool)
    ignore[:20] = True
    return Sample(image, people, ignore, name="drawn.png")


def test_a_close_up_is_a_part_that_the_tall_one_fills():
    sample = drawn()
    sizes = set()
    for seed in range(20):
        part = close_up(sample, np.random.default_rng(seed))
        height, width = part.image.shape[:2]
        assert height < 0.95 * 240
        tall, _ = part.people.masks
        assert tall.mean() > 0.4
        assert tall[height // 3 :].any(axis=1).all(), "he goes on at the lower edge"
        rest_y, rest_x, tiles = part.image[0, 0].astype(int)
        y, x = rest_y + 256 * (tiles // 16), rest_x + 256 * (tiles % 16)
        np.testing.assert_array_equal(part.image, sample.image[y : y + height, x : x + width])
        np.testing.assert_array_equal(
            part.people.masks, np.asarray(sample.people.masks)[:, y : y + height, x : x + width]
        )
        np.testing.assert_array_equal(part.ignore, sample.ignore[y : y + height, x : x + width])
        sizes.add((height, width))
    assert len(sizes) > 10


def test_without_anybody_tall_a_close_up_is_the_picture():
    sample = drawn()
    assert close_up(replace(sample, people=sample.people[1:]), np.random.default_rng(0)).image is sample.image
    nobody = replace(sample, people=replace(sample.people, masks=None))
    assert close_up(nobody, np.random.default_rng(0)).image is sample.image


def test_what_is_found_is_compared_with_the_mask_most_like_it():
    """The truth is what the model itself says of the astronaut, and somebody else beside her."""
    image = pytest.importorskip("skimage.data").astronaut()
    model = replace(poseg.load(min_score=find_people.LEAST_SCORE), mask_refiner="")
    people = model(image)
    other = np.zeros_like(np.asarray(people.masks))
    other[:, :40, :40] = True
    masks = np.concatenate([other, np.asarray(people.masks)[:1]])
    truth = People.from_poses(COCO17, np.zeros((2, 17, 2)), np.zeros((2, 17)), masks=masks)
    (found,) = found_in(Sample(image, truth, name="astronaut"), model)
    assert found.name == "astronaut"
    assert found.mask.shape == (STORED.crop_px,) * 2
    decided = (found.evidence[0] >= 0.5) & (found.evidence[1] >= 0)
    sure = found.known & (np.abs(found.mask - 0.5) > 0.49)
    assert (decided == (found.mask > 0.5))[sure].mean() > 0.98
    inner = STORED.padding * STORED.crop_px
    rows = np.flatnonzero((found.mask > 0.5).any(axis=1))
    assert rows[0] == pytest.approx(inner, abs=4), "she fills what the window was laid around"
    # Whoever has no true mask teaches nothing.
    nobody = People.from_poses(COCO17, np.zeros((1, 17, 2)), np.zeros((1, 17)), masks=other)
    assert not list(found_in(Sample(image, nobody), model))
