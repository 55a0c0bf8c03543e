from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.datasets.synthetic_people import render_scene
from poseg.effects import Sticker
from poseg.effects.body import bodies
from poseg.effects.sticker import sticker_frame
from poseg.errors import EffectError, ShapeError
from poseg.geometry.affine import apply, compose, similarity
from poseg.people import People
from poseg.skeletons import COCO17

SCENE = render_scene(np.random.default_rng(6), (240, 320), 1)
RED = np.full((8, 8, 4), (255, 0, 0, 255), np.uint8)
PLACES = ("eyes", "head", "left_wrist", "right_elbow-right_wrist")


def frame(people, at):
    return sticker_frame(bodies(people)[0], at, foreshortens=True)


def with_joints(people: People, *, without=(), scores=None, points=None) -> People:
    sure = people.keypoint_scores.copy() if scores is None else scores
    sure[:, [COCO17.index(joint) for joint in without]] = 0
    return replace(people, keypoint_scores=sure, keypoints=people.keypoints if points is None else points)


# Laws.


@given(st.sampled_from(PLACES), st.floats(-np.pi, np.pi), st.floats(0.4, 3), st.floats(-200, 200), st.floats(-200, 200))
def test_sticker_frame_is_similarity_equivariant(at, angle, scale, x, y):
    moved = similarity(scale, angle, (160, 120), (160 + x, 120 + y))
    people = with_joints(SCENE.people, points=apply(moved, SCENE.people.keypoints))
    before, after = (frame(one, at) for one in (SCENE.people, people))
    np.testing.assert_allclose(after, compose(moved, before), atol=1e-2)


def test_hats_sit_on_heads_seen_from_behind_and_glasses_do_not():
    behind = with_joints(SCENE.people, points=SCENE.people.keypoints[:, COCO17.flip_index])
    hats = [sticker_frame(bodies(who)[0], "head", foreshortens=False) for who in (SCENE.people, behind)]
    np.testing.assert_allclose(*hats, atol=1e-3)
    assert frame(behind, "eyes") == "The head is seen from behind."
    result = Sticker(kind="glasses").apply(SCENE.image, behind)
    assert [skip.person for skip in result.skipped] == [0]
    assert np.array_equal(result.image, SCENE.image)


def test_sticker_strength_is_opacity():
    before = SCENE.image.astype(int)
    full, half = (Sticker(strength=s)(SCENE.image, SCENE.people).astype(int) for s in (1, 0.5))
    assert np.abs(half - (before + full) / 2).max() <= 1.01
    assert (full != before).any()


def test_sticker_size_scales_its_area():
    counts = {
        size: (Sticker(image=RED, size=size)(SCENE.image, SCENE.people) == (255, 0, 0)).all(axis=2).sum()
        for size in (1, 2)
    }
    assert counts[2] == pytest.approx(4 * counts[1], rel=0.1)


def test_sticker_is_covered_by_nearer_people():
    far = SCENE.people
    mask = np.zeros((1, 240, 320), bool)
    eyes = far.keypoints[0, 1:3].mean(axis=0)
    mask[0, :, int(eyes[0]) :] = True
    near = People.from_poses(COCO17, np.zeros((1, 17, 2)), np.zeros((1, 17)), masks=mask)
    both = People(
        COCO17, *(np.concatenate([getattr(far, name), getattr(near, name)])
                  for name in ("keypoints", "keypoint_scores", "scores", "boxes_xyxy", "masks"))
    )  # fmt: skip
    alone, covered = (Sticker(kind="mask", person=0)(SCENE.image, people) for people in (far, both))
    inside = cv2.erode(mask[0].astype(np.uint8), np.ones((25, 25))) > 0
    assert (alone[inside] != SCENE.image[inside]).any()
    np.testing.assert_array_equal(covered[inside], SCENE.image[inside])
    left = np.s_[:, : int(eyes[0]) - 12]
    np.testing.assert_array_equal(covered[left], alone[left])


# Examples.


@pytest.mark.parametrize(
    ("at", "joint"), [("left_wrist", 9), ("nose", 0), ("left_elbow-left_wrist", [7, 9]), ("eyes", [1, 2])]
)
def test_sticker_image_lies_at_its_anchor(at, joint):
    after = Sticker(image=RED, at=at)(SCENE.image, SCENE.people)
    x, y = np.floor(SCENE.people.keypoints[0, np.atleast_1d(joint)].mean(axis=0)).astype(int)
    assert tuple(after[y, x]) == (255, 0, 0)


@pytest.mark.parametrize(
    ("kind", "without", "reason"),
    [
        ("hat", COCO17.joints[:5], "two joints of the face"),
        ("glasses", ("left_eye",), "The left eye was not detected."),
        ("mask", ("left_eye", "right_eye"), "The left eye and right eye were not detected."),
    ],
)
def test_sticker_names_missing_joints(kind, without, reason):
    result = Sticker(kind=kind).apply(SCENE.image, with_joints(SCENE.people, without=without))
    assert [one.person for one in result.skipped] == [0]
    assert reason in result.skipped[0].reason
    np.testing.assert_array_equal(result.image, SCENE.image)


def test_sticker_ignores_joints_of_low_score():
    """Eyes seen from behind: models give them a place and a low score."""
    sure = np.ones((1, 17), np.float32)
    sure[:, 1:3] = 0.05
    result = Sticker(kind="glasses").apply(SCENE.image, with_joints(SCENE.people, scores=sure))
    assert "left eye and right eye" in result.skipped[0].reason


def test_sticker_on_a_joint_needs_a_body_scale():
    without = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
    result = Sticker(image=RED, at="left_wrist").apply(SCENE.image, with_joints(SCENE.people, without=without))
    assert "size of the sticker" in result.skipped[0].reason


# Bad input.


def test_sticker_rejects_invalid_settings():
    with pytest.raises(EffectError, match="glasses, hat"):
        Sticker(kind="crown")
    with pytest.raises(EffectError, match="left_elbow-left_wrist"):
        Sticker(at="left_toe")
    with pytest.raises(EffectError, match="size"):
        Sticker(size=0)
    with pytest.raises(EffectError, match="shift"):
        Sticker(shift=(0, np.nan))
    with pytest.raises(ShapeError, match="RGBA"):
        Sticker(image=RED[..., :3])
