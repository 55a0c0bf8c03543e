"""Laws of every effect there is."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.datasets.drawn_people import drawn_scene
from poseg.effects import EFFECTS, Effect
from poseg.errors import EffectError, ShapeError
from poseg.people import People
from poseg.skeletons import COCO17

NAMES = list(EFFECTS)
BACKGROUNDS = ("blur", "cutout", "grey", "replace")
ON_PEOPLE = [name for name in NAMES if name not in BACKGROUNDS]
SCENE = drawn_scene(np.random.default_rng(11), (140, 450), 2)


def test_they_are_listed_by_their_own_names():
    assert sorted(NAMES) == NAMES
    assert all(effect.name == name and issubclass(effect, Effect) for name, effect in EFFECTS.items())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("person", [None, 1])
def test_strength_0_is_the_picture_itself(name, person):
    outcome = EFFECTS[name](strength=0, person=person).apply(SCENE.image, SCENE.people)
    np.testing.assert_array_equal(outcome.image, SCENE.image)
    assert outcome.skipped == ()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("strength", [0.4, 1])
def test_pure_and_changes_something(name, strength):
    image, people = SCENE.image.copy(), SCENE.people
    effect = EFFECTS[name](strength=strength)
    first, second = effect(image, people), effect(image, people)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(image, SCENE.image)
    assert first.shape == (*image.shape[:2], 4 if name == "cutout" else 3)
    assert first.dtype == np.uint8
    assert (first[..., :3] != image).any()


@pytest.mark.parametrize("name", ON_PEOPLE)
def test_one_person_alone_is_touched(name):
    after = EFFECTS[name](person=1)(SCENE.image, SCENE.people)
    np.testing.assert_array_equal(after[:, :150], SCENE.image[:, :150])
    assert (after[:, 225:] != SCENE.image[:, 225:]).any()


@pytest.mark.parametrize("name", NAMES)
def test_nobody_is_no_fault(name):
    nobody = People.empty(COCO17, SCENE.image.shape[:2])
    outcome = EFFECTS[name]().apply(SCENE.image, nobody)
    assert outcome.skipped == ()
    if name in ON_PEOPLE:
        np.testing.assert_array_equal(outcome.image, SCENE.image)
    else:
        assert (outcome.image[..., :3] != SCENE.image).any(axis=2).mean() > 0.5


@pytest.mark.parametrize("name", NAMES)
def test_people_of_whom_nothing_is_known_are_left_out(name):
    unknown = People.from_poses(COCO17, np.zeros((2, 17, 2)), np.zeros((2, 17)))
    outcome = EFFECTS[name](person=1).apply(SCENE.image, unknown)
    assert [one.person for one in outcome.skipped] == [1]
    assert outcome.skipped[0].reason.endswith(".")
    if name in ON_PEOPLE:
        np.testing.assert_array_equal(outcome.image, SCENE.image)


@given(
    st.sampled_from(NAMES), st.lists(st.booleans(), min_size=17, max_size=17), st.booleans(),
    st.floats(-300, 300), st.floats(0.1, 3),
)  # fmt: skip
def test_missing_joints_and_places_outside_are_no_fault(name, found, masks, shift, scale):
    small = drawn_scene(np.random.default_rng(2), (90, 120), 1)
    people = replace(
        small.people,
        keypoints=small.people.keypoints * scale + shift,
        keypoint_scores=small.people.keypoint_scores * found,
        masks=small.people.masks if masks else None,
    )
    outcome = EFFECTS[name]().apply(small.image, people)
    assert outcome.image.shape[:2] == small.image.shape[:2]
    assert len(outcome.skipped) <= 1


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_plain_data(name):
    settings = EFFECTS[name](strength=0.5).settings()
    assert set(json.loads(json.dumps(settings))) == {field.name for field in fields(EFFECTS[name])}


@pytest.mark.parametrize("name", NAMES)
def test_bad_input_is_named(name):
    effect = EFFECTS[name]
    with pytest.raises(EffectError, match="no person 7"):
        effect(person=7)(SCENE.image, SCENE.people)
    with pytest.raises(EffectError, match="strength"):
        effect(strength=1.1)
    with pytest.raises(ShapeError, match=r"people\.masks"):
        effect(strength=0)(SCENE.image[:-1], SCENE.people)
    with pytest.raises(ShapeError, match="image"):
        effect()(SCENE.image.astype(np.float32), SCENE.people)
