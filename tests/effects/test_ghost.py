from __future__ import annotations

import cv2
import numpy as np
import pytest

from poseg.datasets.synthetic_people import render_scene
from poseg.effects import Ghost
from poseg.effects.inpaint_patchmatch import inpaint
from poseg.effects.inpaint_shift_map import apply_shifts
from poseg.errors import EffectError

SCENE = render_scene(np.random.default_rng(4), (240, 400), 2)


def grown(mask, margin):
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * margin + 1,) * 2)) > 0


def test_ghost_restores_a_plain_background():
    y, x = np.mgrid[:240, :400]
    behind = np.stack([60 + x * 0.3, 80 + y * 0.4, 120 + 0 * x], axis=2)
    behind += np.random.default_rng(0).normal(0, 3, behind.shape)
    behind = behind.clip(0, 255).astype(np.uint8)
    people = np.asarray(SCENE.people.masks).any(axis=0)
    image = np.where(people[..., None], SCENE.image, behind)
    after = Ghost()(image, SCENE.people)
    error = np.abs(after[people].astype(int) - behind[people])
    assert np.abs(image[people].astype(int) - behind[people]).mean() > 40
    assert error.mean() < 8
    # The grain goes on into the hole: it is not painted over.
    inside = cv2.erode(people.astype(np.uint8), np.ones((9, 9))) > 0
    grain = cv2.Laplacian(after[..., 2].astype(np.float32), -1)
    assert grain[inside].std() == pytest.approx(cv2.Laplacian(behind[..., 2].astype(np.float32), -1).std(), rel=0.5)


def test_inpaint_continues_stripes():
    y, x = np.mgrid[:160, :240]
    stripes = np.repeat(((x // 12 % 2) * 120 + 60).astype(np.uint8)[..., None], 3, axis=2)
    hole = np.hypot(x - 120, y - 80) < 30
    broken = np.where(hole[..., None], np.uint8(255), stripes)
    filled = inpaint(broken, hole, ~grown(hole, 1))
    np.testing.assert_array_equal(filled[~hole], stripes[~hole])
    assert np.abs(filled[hole].astype(int) - stripes[hole]).mean() < 25


def test_ghost_changes_only_the_surroundings_of_the_person():
    after = Ghost(person=0)(SCENE.image, SCENE.people)
    gone, stay = SCENE.people.masks
    assert (after[gone] != SCENE.image[gone]).any(axis=1).mean() > 0.9
    inside = (cv2.erode(stay.astype(np.uint8), np.ones((9, 9))) > 0) & ~grown(gone, 2)
    np.testing.assert_array_equal(after[inside], SCENE.image[inside])
    far = ~grown(gone, 45)
    np.testing.assert_array_equal(after[far], SCENE.image[far])


def test_ghost_strength_mixes_before_and_after():
    before = SCENE.image.astype(int)
    full, half = (Ghost(strength=s)(SCENE.image, SCENE.people).astype(int) for s in (1, 0.5))
    assert np.abs(half - (before + full) / 2).max() <= 1.01


def test_inpaint_accepts_images_without_sources():
    image = SCENE.image[:40, :60]
    everywhere = np.ones((40, 60), bool)
    assert inpaint(image, everywhere, ~everywhere).shape == image.shape
    corner = np.zeros((40, 60), bool)
    corner[:3, :3] = True
    filled = inpaint(np.where(corner[..., None], np.uint8(77), image), ~corner, corner)
    assert np.abs(filled.astype(int) - 77).max() <= 20
    np.testing.assert_array_equal(inpaint(image, ~everywhere, everywhere), image)


def test_ghost_rejects_invalid_settings():
    with pytest.raises(EffectError, match="margin"):
        Ghost(margin=-0.1)


# Inpainting.


@pytest.mark.parametrize(("dx", "dy"), [(-3, 0), (2, 0), (0, -4), (2, 3), (-4, -2)])
def test_apply_shifts_restores_a_periodic_image(dx, dy):
    """At the shift of its period, in bands and at every edge of the hole."""
    rng = np.random.default_rng(0)
    tile = rng.integers(0, 256, (8 * max(abs(dy), 1), 8 * max(abs(dx), 1), 3), np.uint8)
    image = np.tile(tile, (320 // tile.shape[0] + 1, 240 // tile.shape[1] + 1, 1))[:320, :240].copy()
    hole = np.zeros((320, 240), bool)
    hole[90:250, 100:140] = True
    shifts = np.zeros((2, 40, 30), np.intp)
    shifts[:, 11:32, 12:18] = np.array([dy, dx])[:, None, None]
    broken = np.where(hole[..., None], np.uint8(255), image)
    # For cells far inside, the pixels at the shift are in the hole too: those are read from the whole image.
    np.testing.assert_array_equal(apply_shifts(image, hole, ~hole, shifts), image)
    np.testing.assert_array_equal(apply_shifts(broken, hole, ~hole, shifts)[~hole], image[~hole])


@pytest.mark.parametrize("size", [(161, 242), (163, 239), (450, 603)])
def test_inpaint_fills_images_of_any_size(size):
    y, x = np.mgrid[: size[0], : size[1]]
    image = np.stack([60 + x * 0.2, 80 + y * 0.2, 120 + 0 * x], axis=2).astype(np.uint8)
    hole = np.hypot(x - size[1] * 0.6, y - size[0] + 20) < 40
    near = np.hypot(x - size[1] * 0.6, y - size[0] + 20) < 43
    broken = np.where(hole[..., None], np.uint8(255), image)
    filled = inpaint(broken, hole, ~near)
    assert filled.shape == image.shape
    np.testing.assert_array_equal(filled[~hole], image[~hole])
    assert np.abs(filled[hole].astype(int) - image[hole]).mean() < 8
