"""Laws of all effects, and of chains of them."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.datasets.synthetic_people import render_scene
from poseg.effects import EFFECTS, Blur, Cutout, Effect, Grey, Outline, Sticker, Winged, chain
from poseg.errors import EffectError, ShapeError
from poseg.people import People
from poseg.skeletons import COCO17

NAMES = list(EFFECTS)
BACKGROUNDS = ("blur", "cutout", "grey", "replace")
ON_PEOPLE = [name for name in NAMES if name not in BACKGROUNDS]
SCENE = render_scene(np.random.default_rng(11), (140, 450), 2)
SINGLE = render_scene(np.random.default_rng(8), (200, 300), 1)


def test_effects_registry_keys_match_names():
    assert sorted(NAMES) == NAMES
    assert all(effect.name == name and issubclass(effect, Effect) for name, effect in EFFECTS.items())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("person", [None, 1])
def test_effect_of_strength_0_is_the_image_itself(name, person):
    result = EFFECTS[name](strength=0, person=person).apply(SCENE.image, SCENE.people)
    np.testing.assert_array_equal(result.image, SCENE.image)
    assert result.skipped == ()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("strength", [0.4, 1])
def test_effect_is_pure_and_changes_the_image(name, strength):
    image, people = SCENE.image.copy(), SCENE.people
    effect = EFFECTS[name](strength=strength)
    first, second = effect(image, people), effect(image, people)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(image, SCENE.image)
    assert first.shape == (*image.shape[:2], 4 if name == "cutout" else 3)
    assert first.dtype == np.uint8
    assert (first[..., :3] != image).any()


@pytest.mark.parametrize("name", ON_PEOPLE)
def test_effect_for_one_person_leaves_the_other_unchanged(name):
    after = EFFECTS[name](person=1)(SCENE.image, SCENE.people)
    np.testing.assert_array_equal(after[:, :150], SCENE.image[:, :150])
    assert (after[:, 225:] != SCENE.image[:, 225:]).any()


@pytest.mark.parametrize("name", NAMES)
def test_effect_accepts_an_image_without_people(name):
    empty = People.empty(COCO17, SCENE.image.shape[:2])
    result = EFFECTS[name]().apply(SCENE.image, empty)
    assert result.skipped == ()
    if name in ON_PEOPLE:
        np.testing.assert_array_equal(result.image, SCENE.image)
    else:
        assert (result.image[..., :3] != SCENE.image).any(axis=2).mean() > 0.5


@pytest.mark.parametrize("name", NAMES)
def test_effect_skips_people_without_joints_and_masks(name):
    unknown = People.from_poses(COCO17, np.zeros((2, 17, 2)), np.zeros((2, 17)))
    result = EFFECTS[name](person=1).apply(SCENE.image, unknown)
    assert [one.person for one in result.skipped] == [1]
    assert result.skipped[0].reason.endswith(".")
    if name in ON_PEOPLE:
        np.testing.assert_array_equal(result.image, SCENE.image)


@given(
    st.sampled_from(NAMES), st.lists(st.booleans(), min_size=17, max_size=17), st.booleans(),
    st.floats(-300, 300), st.floats(0.1, 3),
)  # fmt: skip
def test_effect_accepts_missing_joints_and_people_outside_the_image(name, visible, masks, shift, scale):
    small = render_scene(np.random.default_rng(2), (90, 120), 1)
    people = replace(
        small.people,
        keypoints=small.people.keypoints * scale + shift,
        keypoint_scores=small.people.keypoint_scores * visible,
        masks=small.people.masks if masks else None,
    )
    result = EFFECTS[name]().apply(small.image, people)
    assert result.image.shape[:2] == small.image.shape[:2]
    assert len(result.skipped) <= 1


@pytest.mark.parametrize("name", NAMES)
def test_effect_settings_are_json(name):
    settings = EFFECTS[name](strength=0.5).settings()
    assert set(json.loads(json.dumps(settings))) == {field.name for field in fields(EFFECTS[name])}


@pytest.mark.parametrize("name", NAMES)
def test_effect_rejects_invalid_input(name):
    effect = EFFECTS[name]
    with pytest.raises(EffectError, match="no person 7"):
        effect(person=7)(SCENE.image, SCENE.people)
    with pytest.raises(EffectError, match="strength"):
        effect(strength=1.1)
    with pytest.raises(ShapeError, match=r"people\.masks"):
        effect(strength=0)(SCENE.image[:-1], SCENE.people)
    with pytest.raises(ShapeError, match="image"):
        effect()(SCENE.image.astype(np.float32), SCENE.people)


# Chains.


def test_chain_of_nothing_and_of_identities_is_the_image():
    still = [EFFECTS[name](strength=0) for name in EFFECTS if name != "cutout"]
    for steps in (chain(), chain(*still)):
        np.testing.assert_array_equal(steps(SINGLE.image, SINGLE.people), SINGLE.image)


def test_chain_applies_its_effects_in_turn():
    first, second = Outline(width_px=6, colour=(255, 0, 0)), Grey()
    expected = second(first(SINGLE.image, SINGLE.people), SINGLE.people)
    other = first(second(SINGLE.image, SINGLE.people), SINGLE.people)
    np.testing.assert_array_equal(chain(first, second)(SINGLE.image, SINGLE.people), expected)
    np.testing.assert_array_equal(chain(second, first)(SINGLE.image, SINGLE.people), other)
    assert (expected != other).any()


def test_chain_of_chains_is_flat():
    one, two, three = Outline(), Grey(), Blur()
    assert chain(chain(one, two), three).effects == chain(one, chain(two, three)).effects == (one, two, three)


def test_chain_names_the_effect_that_skips_a_person():
    no_face = np.ones((1, 17), np.float32)
    no_face[:, :5] = 0
    people = People.from_poses(COCO17, SINGLE.people.keypoints, no_face, masks=SINGLE.people.masks)
    alone = Sticker().apply(SINGLE.image, people).skipped
    both = chain(Sticker(), Grey(), Sticker(kind="glasses")).apply(SINGLE.image, people).skipped
    assert [(one.person, one.reason.partition(":")[0]) for one in both] == [(0, "sticker"), (0, "sticker")]
    assert both[0].reason == f"sticker: {alone[0].reason}"
    assert chain(Sticker()).apply(SINGLE.image, people).skipped == alone


def test_chain_at_sets_the_time_of_every_effect():
    moved = chain(Winged(), Grey()).at(0.2)
    assert [effect.time_s for effect in moved.effects] == [0.2, 0.2]
    assert (moved(SINGLE.image, SINGLE.people) != chain(Winged(), Grey())(SINGLE.image, SINGLE.people)).any()
    assert json.loads(json.dumps(moved.settings()))[0]["effect"] == "winged"


def test_chain_accepts_a_cutout_at_its_end_only():
    assert chain(Grey(), Cutout())(SINGLE.image, SINGLE.people).shape[2] == 4
    with pytest.raises(EffectError, match="last"):
        chain(Cutout(), Grey())
