"""Joint orders and pairs from names, hypotheses about walking people, and scores of weights."""

from __future__ import annotations

import numpy as np
import pytest

from poseg.analysis.hypotheses import (
    EndEffectorSparsity,
    Hypothesis,
    end_sparsity,
    hypotheses,
    is_end_effector,
    joint_order,
    side_pairs,
)
from poseg.analysis.summary import score_weights
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


def rotating(poses=400, seed=0):
    """Limbs (N, J, 3) of people who rotate about the vertical: hips and shoulders are parallel, all else is noise."""
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
def test_joint_order_is_a_permutation(skeleton):
    order = joint_order(skeleton)
    assert sorted(order.joints) == list(range(len(skeleton)))
    assert list(order.breaks) == sorted(set(order.breaks))
    assert all(0 < at < len(skeleton) for at in order.breaks)


def test_order_is_head_then_legs_then_arms_from_the_body_out():
    order = joint_order(LSP14)
    names = [LSP14.joints[joint] for joint in order.joints]
    limbs = [f"{side}_{joint}" for side in ("right", "left") for joint in ("hip", "knee", "ankle")]
    limbs += [f"{side}_{joint}" for side in ("right", "left") for joint in ("shoulder", "elbow", "wrist")]
    assert names == ["neck", "head_top", *limbs]
    assert order.breaks == (2, 5, 8, 11)
    assert [COCO17.joints[joint] for joint in joint_order(COCO17).joints[:5]] == list(COCO17.joints[:5])


def test_pairs_come_from_names():
    pairs = side_pairs(LSP14)
    assert ("left_hip", "right_hip") in pairs.left_right
    assert len(pairs.left_right) == 6
    assert pairs.same_side[:2] == (("left_hip", "left_shoulder"), ("right_hip", "right_shoulder"))
    assert len(pairs.same_side) == 6
    assert side_pairs(Skeleton("dog", ("nose", "tail"), (("nose", "tail"),))).left_right == ()


def test_end_effectors():
    assert [joint for joint in BODY.joints if is_end_effector(joint)] == [
        "right_ankle", "left_ankle", "left_wrist", "right_wrist",
    ]  # fmt: skip


def test_rotating_people_confirm_all_hypotheses():
    found = hypotheses(data_correlation(rotating()), BODY)
    assert {one.coordinate for one in found} == {"x", "y", "z", "strongest"}
    assert len(found) == 2 * 4 + 2 * 3
    assert [one for one in found if not one.confirmed] == []


def test_noise_confirms_no_correlation():
    still = np.random.default_rng(0).normal(size=(400, len(BODY), 3))
    found = hypotheses(data_correlation(still), BODY)
    assert [one.expected for one in found if one.confirmed] == ["not positive"] * 2


@pytest.mark.parametrize(
    ("expected", "rho", "confirmed"),
    [
        ("negative", -0.5, True), ("negative", -0.2, False), ("negative", 0.5, False),
        ("positive", 0.5, True), ("positive", 0.2, False), ("positive", -0.5, False),
        ("not positive", 0.2, True), ("not positive", -0.5, True), ("not positive", 0.5, False),
    ],
)  # fmt: skip
def test_a_sign_counts_above_the_chance_level(expected, rho, confirmed):
    assert Hypothesis(("left_hip", "right_hip"), "x", expected, rho, 0.3).confirmed is confirmed


def test_a_tiny_significant_correlation_has_no_sign():
    assert not Hypothesis(("left_hip", "right_hip"), "x", "negative", -0.05, 0.01).confirmed


def sparse_weights(own):
    """Weights (10, 3, 60): ends of limbs have features of their own, or the same as all others."""
    rng = np.random.default_rng(0)
    weights = np.zeros((10, 3, 60))
    ends = [is_end_effector(joint) for joint in BODY.joints]
    for number, (joint, end) in enumerate(zip(weights, ends, strict=True)):
        first = 20 + 4 * number if own and end else 0
        joint[:, first : first + 4] = rng.normal(size=(3, 4))
    return weights


def test_end_effectors_with_features_of_their_own_are_sparser():
    own, same = (score_weights(sparse_weights(own), BODY).end_effectors for own in (True, False))
    assert [one.coordinate for one in own] == ["x", "y", "z"]
    assert all(one.difference > 1 and one.p < 0.02 for one in own)
    assert all(one.p > 0.05 for one in same)


def test_skeletons_without_end_effectors_have_no_score():
    joints = Skeleton("stick", ("a", "b", "c"), (("a", "b"), ("b", "c")))
    assert end_sparsity(np.zeros((2, 3, 3)), joints) == ()


def test_two_coordinates_are_enough():
    weights = np.random.default_rng(0).normal(size=(14, 2, 30))
    assert {one.coordinate for one in score_weights(weights, LSP14).hypotheses} == {"x", "y", "strongest"}


def test_p_values_are_probabilities():
    assert all(
        isinstance(one, EndEffectorSparsity) and 0 < one.p <= 1
        for one in score_weights(sparse_weights(True), BODY).end_effectors
    )


def test_root_of_limbs_is_left_out():
    scores = score_weights(np.random.default_rng(0).normal(size=(10, 3, 200)), BODY, rotating())
    assert scores.left_out == (0,)
    assert np.isnan(scores.weights.coordinates[:, 0]).all()
    assert [name for name, _ in scores.similarity] == ["x", "y", "z", "strongest"]
    assert scores.similarity[0][1].pairs == 36


def test_weights_that_predict_the_limbs_correlate_like_them():
    limbs, rng = rotating(800), np.random.default_rng(1)
    features = limbs.reshape(800, -1) @ rng.normal(size=(30, 60)) + rng.normal(size=(800, 60))
    weights = np.linalg.lstsq(features, limbs.reshape(800, -1), rcond=None)[0].T.reshape(10, 3, 60)
    similarity = dict(score_weights(weights, BODY, limbs).similarity)
    assert similarity["x"].r > 0.5
    assert similarity["x"].p <= 0.01
    assert all(one.confirmed for one in score_weights(weights, BODY, limbs).hypotheses if one.coordinate == "x")


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
