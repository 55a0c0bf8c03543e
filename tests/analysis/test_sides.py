"""Sides of the body from names, and what walking people are expected to show."""

from __future__ import annotations

import numpy as np
import pytest

from poseg.analysis.expectations import EndSparsity, Expectation, end_sparsity, expectations
from poseg.analysis.scores import score_weights
from poseg.analysis.sides import body_order, is_end, side_pairs
from poseg.analysis.weights import data_correlation
from poseg.errors import ShapeError
from poseg.skeletons import COCO17, LSP14, SKELETONS, Skeleton

BODY = Skeleton(
    "body",
    ("root", "right_hip", "right_ankle", "left_hip", "left_ankle", "neck",
     "left_shoulder", "left_wrist", "right_shoulder", "right_wrist"),
    (("root", "right_hip"), ("right_hip", "right_ankle"), ("root", "left_hip"), ("left_hip", "left_ankle"),
     ("root", "neck"), ("neck", "left_shoulder"), ("left_shoulder", "left_wrist"),
     ("neck", "right_shoulder"), ("right_shoulder", "right_wrist")),
)  # fmt: skip


def turning(poses=400, seed=0):
    """Limbs (N, J, 3) of people who turn about the vertical: hips and shoulders point alike, all else is noise."""
    rng = np.random.default_rng(seed)
    limbs = rng.normal(size=(poses, len(BODY), 3))
    angle = rng.uniform(0, 2 * np.pi, poses)
    across = np.stack([np.cos(angle), 0 * angle, np.sin(angle)], axis=1)
    for part in ("hip", "shoulder"):
        tilt = rng.normal(size=(poses, 1)) * [0, 0.3, 0]
        for side, sign in (("left", 1), ("right", -1)):
            limbs[:, BODY.index(f"{side}_{part}")] = sign * (5 * across + tilt)
    limbs[:, 0] = 0
    return limbs


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda skeleton: skeleton.name)
def test_every_joint_has_one_place(skeleton):
    order = body_order(skeleton)
    assert sorted(order.joints) == list(range(len(skeleton)))
    assert list(order.breaks) == sorted(set(order.breaks))
    assert all(0 < at < len(skeleton) for at in order.breaks)


def test_order_is_head_then_legs_then_arms_from_the_body_out():
    order = body_order(LSP14)
    names = [LSP14.joints[joint] for joint in order.joints]
    limbs = [f"{side}_{joint}" for side in ("right", "left") for joint in ("hip", "knee", "ankle")]
    limbs += [f"{side}_{joint}" for side in ("right", "left") for joint in ("shoulder", "elbow", "wrist")]
    assert names == ["neck", "head_top", *limbs]
    assert order.breaks == (2, 5, 8, 11)
    assert [COCO17.joints[joint] for joint in body_order(COCO17).joints[:5]] == list(COCO17.joints[:5])


def test_pairs_come_from_names():
    pairs = side_pairs(LSP14)
    assert ("left_hip", "right_hip") in pairs.left_right
    assert len(pairs.left_right) == 6
    assert pairs.same_side[:2] == (("left_hip", "left_shoulder"), ("right_hip", "right_shoulder"))
    assert len(pairs.same_side) == 6
    assert side_pairs(Skeleton("dog", ("nose", "tail"), (("nose", "tail"),))).left_right == ()


def test_ends_of_limbs():
    assert [joint for joint in BODY.joints if is_end(joint)] == [
        "right_ankle", "left_ankle", "left_wrist", "right_wrist",
    ]  # fmt: skip


def test_people_who_turn_meet_every_expectation():
    found = expectations(data_correlation(turning()), BODY)
    assert {one.coordinate for one in found} == {"x", "y", "z", "strongest"}
    assert len(found) == 2 * 4 + 2 * 3
    assert [one for one in found if not one.met] == []


def test_people_who_hold_still_do_not():
    still = np.random.default_rng(0).normal(size=(400, len(BODY), 3))
    found = expectations(data_correlation(still), BODY)
    assert [one.expected for one in found if one.met] == ["not positive"] * 2


@pytest.mark.parametrize(
    ("expected", "rho", "met"),
    [
        ("negative", -0.5, True), ("negative", -0.2, False), ("negative", 0.5, False),
        ("positive", 0.5, True), ("positive", 0.2, False), ("positive", -0.5, False),
        ("not positive", 0.2, True), ("not positive", -0.5, True), ("not positive", 0.5, False),
    ],
)  # fmt: skip
def test_a_sign_counts_beyond_chance(expected, rho, met):
    assert Expectation(("left_hip", "right_hip"), "x", expected, rho, 0.3).met is met


def test_a_tiny_correlation_has_no_sign_however_sure():
    assert not Expectation(("left_hip", "right_hip"), "x", "negative", -0.05, 0.01).met


def sparse_weights(own):
    """Weights (10, 3, 60): ends of limbs read features of their own, or the same as all others."""
    rng = np.random.default_rng(0)
    weights = np.zeros((10, 3, 60))
    ends = [is_end(joint) for joint in BODY.joints]
    for number, (joint, end) in enumerate(zip(weights, ends, strict=True)):
        first = 20 + 4 * number if own and end else 0
        joint[:, first : first + 4] = rng.normal(size=(3, 4))
    return weights


def test_ends_that_read_features_of_their_own_are_sparser():
    own, alike = (score_weights(sparse_weights(own), BODY).ends for own in (True, False))
    assert [one.coordinate for one in own] == ["x", "y", "z"]
    assert all(one.difference > 1 and one.p < 0.02 for one in own)
    assert all(one.p > 0.05 for one in alike)


def test_skeletons_without_ends_have_no_score():
    joints = Skeleton("stick", ("a", "b", "c"), (("a", "b"), ("b", "c")))
    assert end_sparsity(np.zeros((2, 3, 3)), joints) == ()


def test_two_coordinates_do():
    weights = np.random.default_rng(0).normal(size=(14, 2, 30))
    assert {one.coordinate for one in score_weights(weights, LSP14).expected} == {"x", "y", "strongest"}


def test_ends_of_scores_are_plain_numbers():
    assert all(
        isinstance(one, EndSparsity) and 0 < one.p <= 1 for one in score_weights(sparse_weights(True), BODY).ends
    )


def test_root_of_limbs_is_left_out():
    scores = score_weights(np.random.default_rng(0).normal(size=(10, 3, 200)), BODY, turning())
    assert scores.left_out == (0,)
    assert np.isnan(scores.weights.coordinates[:, 0]).all()
    assert [name for name, _ in scores.alike] == ["x", "y", "z", "strongest"]
    assert scores.alike[0][1].pairs == 36


def test_weights_that_predict_the_limbs_are_like_them():
    limbs, rng = turning(800), np.random.default_rng(1)
    features = limbs.reshape(800, -1) @ rng.normal(size=(30, 60)) + rng.normal(size=(800, 60))
    weights = np.linalg.lstsq(features, limbs.reshape(800, -1), rcond=None)[0].T.reshape(10, 3, 60)
    alike = dict(score_weights(weights, BODY, limbs).alike)
    assert alike["x"].r > 0.5
    assert alike["x"].p <= 0.01
    assert all(one.met for one in score_weights(weights, BODY, limbs).expected if one.coordinate == "x")


@pytest.mark.parametrize(
    "call",
    [
        lambda: score_weights(np.zeros((9, 3, 8)), BODY),
        lambda: score_weights(np.zeros((10, 3, 8)), BODY, np.zeros((5, 10, 2))),
        lambda: end_sparsity(np.zeros((3, 9, 9)), BODY),
    ],
)
def test_shapes_that_do_not_fit_are_refused(call):
    with pytest.raises(ShapeError):
        call()
