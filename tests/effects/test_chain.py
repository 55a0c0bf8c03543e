from __future__ import annotations

import json

import numpy as np
import pytest

from poseg.datasets.drawn_people import drawn_scene
from poseg.effects import EFFECTS, Blur, Cutout, Grey, Outline, Sticker, Winged, chain
from poseg.errors import EffectError
from poseg.people import People
from poseg.skeletons import COCO17

SCENE = drawn_scene(np.random.default_rng(8), (200, 300), 1)


def test_a_chain_of_nothing_and_of_identities_is_the_picture():
    still = [EFFECTS[name](strength=0) for name in EFFECTS if name != "cutout"]
    for steps in (chain(), chain(*still)):
        np.testing.assert_array_equal(steps(SCENE.image, SCENE.people), SCENE.image)


def test_a_chain_is_its_effects_in_turn():
    first, second = Outline(width_px=6, colour=(255, 0, 0)), Grey()
    expected = second(first(SCENE.image, SCENE.people), SCENE.people)
    other = first(second(SCENE.image, SCENE.people), SCENE.people)
    np.testing.assert_array_equal(chain(first, second)(SCENE.image, SCENE.people), expected)
    np.testing.assert_array_equal(chain(second, first)(SCENE.image, SCENE.people), other)
    assert (expected != other).any()


def test_chains_of_chains_are_flat():
    one, two, three = Outline(), Grey(), Blur()
    assert chain(chain(one, two), three).effects == chain(one, chain(two, three)).effects == (one, two, three)


def test_everybody_left_out_is_told_with_the_effect():
    no_face = np.ones((1, 17), np.float32)
    no_face[:, :5] = 0
    people = People.from_poses(COCO17, SCENE.people.keypoints, no_face, masks=SCENE.people.masks)
    alone = Sticker().apply(SCENE.image, people).skipped
    both = chain(Sticker(), Grey(), Sticker(kind="glasses")).apply(SCENE.image, people).skipped
    assert [(one.person, one.reason.partition(":")[0]) for one in both] == [(0, "sticker"), (0, "sticker")]
    assert both[0].reason == f"sticker: {alone[0].reason}"
    assert chain(Sticker()).apply(SCENE.image, people).skipped == alone


def test_time_reaches_every_effect():
    moved = chain(Winged(), Grey()).at(0.2)
    assert [effect.time_s for effect in moved.effects] == [0.2, 0.2]
    assert (moved(SCENE.image, SCENE.people) != chain(Winged(), Grey())(SCENE.image, SCENE.people)).any()
    assert json.loads(json.dumps(moved.settings()))[0]["effect"] == "winged"


def test_a_cut_out_comes_last():
    assert chain(Grey(), Cutout())(SCENE.image, SCENE.people).shape[2] == 4
    with pytest.raises(EffectError, match="last"):
        chain(Cutout(), Grey())
