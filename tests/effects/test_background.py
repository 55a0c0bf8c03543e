from __future__ import annotations

import cv2
import numpy as np
import pytest

from poseg.datasets.synthetic_people import render_scene
from poseg.effects import Blur, Cutout, Grey, Replace
from poseg.effects.background import bokeh, disc, resize_to_cover
from poseg.effects.compositing import estimate_foreground
from poseg.errors import EffectError, ShapeError

SCENE = render_scene(np.random.default_rng(4), (240, 400), 2)
PEOPLE = np.asarray(SCENE.people.masks).any(axis=0).astype(np.uint8)


def pixels(mask, margin):
    """Where a mask is, less a margin; with a negative one, where it is not, and nowhere near."""
    side = np.ones((2 * abs(margin) + 1,) * 2, np.uint8)
    return cv2.erode(mask, side).astype(bool) if margin > 0 else ~cv2.dilate(mask, side).astype(bool)


@pytest.mark.parametrize("effect", [Blur(), Grey(), Replace(wrap=0), Blur(strength=0.5), Grey(strength=0.5)])
def test_background_effects_change_only_the_background(effect):
    after = effect(SCENE.image, SCENE.people)
    inside, outside = pixels(PEOPLE, 9), pixels(PEOPLE, -9)
    assert inside.sum() > 1000
    np.testing.assert_array_equal(after[inside], SCENE.image[inside])
    assert (after[outside] != SCENE.image[outside]).any(axis=1).mean() > 0.9


def test_replace_for_one_person_replaces_the_others():
    after = Replace(person=0, colour=(1, 2, 3))(SCENE.image, SCENE.people)
    mine, theirs = (mask.astype(np.uint8) for mask in SCENE.people.masks)
    only_theirs = pixels(theirs, 5) & pixels(mine, -9)
    assert (after[only_theirs] == (1, 2, 3)).all()
    assert (after[pixels(mine, 15)] == SCENE.image[pixels(mine, 15)]).all()


def test_blur_has_no_halo_of_people():
    """The halo of a plain blur: here any colour of the people leaves the background as it is."""
    outside = pixels(PEOPLE, -9)
    results = []
    for colour in ((255, 0, 0), (0, 0, 255)):
        image = SCENE.image.copy()
        image[PEOPLE > 0] = colour
        results.append(Blur(radius=0.08)(image, SCENE.people)[outside].astype(int))
    assert np.abs(results[0] - results[1]).max() <= 3
    even = np.full_like(SCENE.image, 90)
    even[PEOPLE > 0] = (255, 0, 0)
    assert np.abs(Blur(radius=0.08)(even, SCENE.people)[outside].astype(int) - 90).max() <= 3


def test_bokeh_turns_a_small_light_into_a_disc():
    image = np.zeros((120, 160, 3), np.uint8)
    image[60, 80] = 255
    blurred = bokeh(image, np.zeros((120, 160), np.float32), 5.0)
    lit = blurred[..., 0] > 0.8 * blurred.max()
    assert lit.sum() == pytest.approx(np.pi * 25, rel=0.15)
    assert blurred[60, 80].max() < 255
    assert disc(5.0).sum() == pytest.approx(1)


@pytest.mark.parametrize("strength", [0.25, 1])
def test_replace_strength_mixes_the_backgrounds(strength):
    outside = pixels(PEOPLE, -9)
    after = Replace(strength=strength, colour=(200, 0, 50))(SCENE.image, SCENE.people)[outside]
    expected = SCENE.image[outside] * (1 - strength) + np.array((200, 0, 50)) * strength
    assert np.abs(after - expected).max() <= 1


def test_replace_image_covers_the_background_and_keeps_its_shape():
    y, x = np.mgrid[:100, :100]
    image = np.stack([x * 2, y * 2, x * 0], axis=2).astype(np.uint8)
    wide = resize_to_cover(image, (50, 200))
    assert wide.shape == (50, 200, 3)
    # Twice as large, and of the rows only the centre quarter.
    assert np.abs(wide[25, ::20, 0].astype(int) - np.arange(0, 200, 20)).max() <= 2
    assert int(wide[0, 0, 1]) == pytest.approx(75, abs=2)
    assert int(wide[-1, 0, 1]) == pytest.approx(123, abs=2)
    tall = resize_to_cover(image, (60, 20))
    assert tall.shape == (60, 20, 3)
    assert int(tall[30, 10, 0]) == pytest.approx(100, abs=3)


def test_estimate_foreground_removes_the_old_background_from_edges():
    """A disc of red before green, mixed at its edge, comes out red."""
    y, x = np.mgrid[:160, :200]
    alpha = np.clip((50 - np.hypot(x - 100, y - 80)) / 8 + 0.5, 0, 1).astype(np.float32)
    red, green = np.array((220.0, 30, 30)), np.array((20.0, 200, 40))
    image = np.rint(alpha[..., None] * red + (1 - alpha[..., None]) * green).astype(np.uint8)
    clean = estimate_foreground(image, alpha)
    edge = (alpha > 0.1) & (alpha < 1)
    assert np.abs(image[edge] - red).max(axis=1).mean() > 60
    assert np.abs(clean[edge] - red).max(axis=1).mean() < 12
    np.testing.assert_array_equal(clean[alpha == 1], image[alpha == 1])


def test_cutout_contains_people_only():
    cut = Cutout()(SCENE.image, SCENE.people)
    assert cut.shape == (*SCENE.image.shape[:2], 4)
    inside, outside = pixels(PEOPLE, 9), pixels(PEOPLE, -9)
    assert (cut[inside, 3] == 255).all()
    np.testing.assert_array_equal(cut[inside, :3], SCENE.image[inside])
    assert not cut[outside].any()
    assert not cut[cut[..., 3] == 0].any()
    edge = cut[..., 3][(cut[..., 3] > 0) & (cut[..., 3] < 255)]
    assert len(np.unique(edge)) > 20


def test_cutout_strength_fades_the_background():
    cut, half = Cutout()(SCENE.image, SCENE.people), Cutout(strength=0.5)(SCENE.image, SCENE.people)
    assert np.abs(half[..., 3] - (127.5 + cut[..., 3] / 2)).max() <= 1
    outside = pixels(PEOPLE, -9)
    np.testing.assert_array_equal(half[outside, :3], SCENE.image[outside])


def test_background_rejects_invalid_settings():
    with pytest.raises(EffectError, match="radius"):
        Blur(radius=0)
    with pytest.raises(EffectError, match="colour"):
        Replace(colour=(0, 0, 256))
    with pytest.raises(EffectError, match="wrap"):
        Replace(wrap=2)
    with pytest.raises(ShapeError, match="new background"):
        Replace(image=np.zeros((5, 5, 4), np.uint8))
