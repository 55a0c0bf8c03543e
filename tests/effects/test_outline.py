from __future__ import annotations

import cv2
import numpy as np
import pytest

from poseg.datasets.synthetic_people import render_scene
from poseg.effects import Glow, Outline
from poseg.effects.body import bodies, depth_order
from poseg.errors import EffectError

SCENE = render_scene(np.random.default_rng(4), (240, 400), 2)
PEOPLE = np.asarray(SCENE.people.masks).any(axis=0).astype(np.uint8)
AWAY = cv2.distanceTransform(1 - PEOPLE, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
INSIDE = cv2.erode(PEOPLE, np.ones((9, 9))) > 0


def test_outline_is_as_wide_as_its_setting():
    after = Outline(colour=(255, 0, 255), width_px=8)(SCENE.image, SCENE.people)
    np.testing.assert_array_equal(after[INSIDE & ~seams()], SCENE.image[INSIDE & ~seams()])
    line = (AWAY > 3) & (AWAY < 6)
    assert (after[line] == (255, 0, 255)).all(axis=1).mean() > 0.98
    far = AWAY > 14
    np.testing.assert_array_equal(after[far], SCENE.image[far])


def seams(reach=14):
    """Where two people are close: the nearer one's line lies on the farther one."""
    near = [cv2.dilate(mask.astype(np.uint8), np.ones((2 * reach + 1,) * 2)) for mask in SCENE.people.masks]
    return (near[0] & near[1]) > 0


def test_outline_width_is_in_body_scales():
    scale = min(body.scale_px for body in bodies(SCENE.people))
    person = int(np.argmin([body.scale_px for body in bodies(SCENE.people)]))
    after = Outline(width=0.1, person=person)(SCENE.image, SCENE.people)
    np.testing.assert_array_equal(after, Outline(width_px=0.1 * scale, person=person)(SCENE.image, SCENE.people))


def test_glow_fades_outwards():
    image = np.full_like(SCENE.image, 40)
    after = Glow(width_px=30)(image, SCENE.people).astype(int).sum(axis=2)
    rings = [after[(near < AWAY) & (near + 3 > AWAY)].mean() for near in (3, 9, 15, 21)]
    assert rings == sorted(rings, reverse=True)
    assert rings[0] > rings[-1] + 60
    assert (after[AWAY > 40] == 120).all()
    deep = cv2.erode(PEOPLE, np.ones((17, 17))) > 0
    assert (after[deep & ~seams(35)] == 120).all()


@pytest.mark.parametrize("effect", [Outline(width_px=12), Glow(width_px=25)])
def test_contour_stays_behind_nearer_people(effect):
    """Two people who overlap: the far one's contour is hidden behind the near one."""
    masks = np.zeros((2, 240, 400), bool)
    masks[0, 60:180, 100:220] = True
    masks[1, 60:220, 180:300] = True
    people = type(SCENE.people)(
        SCENE.people.skeleton, SCENE.people.keypoints, 0 * SCENE.people.keypoint_scores, SCENE.people.scores,
        SCENE.people.boxes_xyxy, masks,
    )  # fmt: skip
    assert depth_order(bodies(people), 240) == (0, 1)
    near = cv2.erode(masks[1].astype(np.uint8), np.ones((15, 15))) > 0
    after = effect(SCENE.image, people)
    np.testing.assert_array_equal(after[near], SCENE.image[near])
    onto_far = masks[0] & ~cv2.dilate(masks[1].astype(np.uint8), np.ones((7, 7))).astype(bool)
    assert (after[onto_far] != SCENE.image[onto_far]).any(), "the near one's contour lies on the far one"


def test_contour_rejects_invalid_settings():
    for settings in ({"width": 0}, {"width": 6}, {"width_px": -1.0}):
        with pytest.raises(EffectError, match="width"):
            Outline(**settings)
    with pytest.raises(EffectError, match="colour"):
        Glow(colour=(1, 2))
