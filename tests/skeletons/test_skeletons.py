"""Skeletons: flips are their own inverse, trees are trees, and joints travel by name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseg.errors import SkeletonError
from poseg.skeletons import (
    BODY17_3D,
    COCO17,
    CROWDPOSE14,
    LSP14,
    OCHUMAN19,
    OPENPOSE18,
    SKELETONS,
    UPPER8,
    Skeleton,
    remap,
    remap_weights,
)

ALL = pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda skeleton: skeleton.name)
ANY = st.sampled_from(list(SKELETONS.values()))


def some_poses(skeleton, seed=0, people=3):
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 100, (people, len(skeleton), 2)).astype(np.float32)
    scores = rng.uniform(0, 1, (people, len(skeleton))).astype(np.float32)
    return points, np.where(rng.random(scores.shape) < 0.3, 0, scores).astype(np.float32)


def test_skeletons_are_registered_by_name():
    assert {COCO17, CROWDPOSE14, LSP14, OPENPOSE18, OCHUMAN19, UPPER8, BODY17_3D} == set(SKELETONS.values())
    assert all(name == skeleton.name for name, skeleton in SKELETONS.items())
    assert [len(skeleton) for skeleton in (COCO17, LSP14, OPENPOSE18, OCHUMAN19, UPPER8, BODY17_3D)] == [
        17,
        14,
        18,
        19,
        8,
        17,
    ]


@ALL
def test_flipping_twice_is_the_identity(skeleton):
    np.testing.assert_array_equal(skeleton.flip_index[skeleton.flip_index], np.arange(len(skeleton)))


@ALL
def test_flip_swaps_sides_and_keeps_the_centre(skeleton):
    for joint, other in zip(skeleton.joints, skeleton.flip_index, strict=True):
        swapped = joint.replace("left_", "#").replace("right_", "left_").replace("#", "right_")
        assert skeleton.joints[other] == swapped


@ALL
def test_edges_are_the_tree_forward_then_backward(skeleton):
    k = len(skeleton)
    assert skeleton.edges.shape == (2 * (k - 1), 2)
    np.testing.assert_array_equal(skeleton.edges[k - 1 :], skeleton.edges[: k - 1, ::-1])
    names = tuple((skeleton.joints[a], skeleton.joints[b]) for a, b in skeleton.edges[: k - 1])
    assert names == skeleton.tree


@ALL
def test_every_joint_but_the_root_has_one_parent_and_parents_come_first(skeleton):
    reached = {skeleton.tree[0][0]}
    for parent, child in skeleton.tree:
        assert parent in reached
        assert child not in reached
        reached.add(child)
    assert reached == set(skeleton.joints)


@ALL
def test_edge_flip_goes_with_flip(skeleton):
    order = skeleton.edge_flip_index
    np.testing.assert_array_equal(skeleton.edges[order], skeleton.flip_index[skeleton.edges])
    np.testing.assert_array_equal(order[order], np.arange(len(order)))


def test_a_tree_of_one_side_cannot_be_flipped():
    lame = Skeleton("lame", ("nose", "left_eye", "right_eye"), (("nose", "left_eye"), ("left_eye", "right_eye")))
    with pytest.raises(SkeletonError, match="not the same on both sides"):
        _ = lame.edge_flip_index


def test_coco_bones_and_sigmas_are_symmetric():
    bones = {frozenset(bone) for bone in COCO17.bones}
    flipped = {
        frozenset(COCO17.joints[COCO17.flip_index[COCO17.index(joint)]] for joint in bone) for bone in COCO17.bones
    }
    assert bones == flipped
    sigmas = np.array(COCO17.sigmas)
    np.testing.assert_array_equal(sigmas, sigmas[COCO17.flip_index])


def test_a_tree_is_derived_breadth_first_from_the_bones():
    skeleton = Skeleton("star", ("a", "b", "c", "d"), (("c", "b"), ("a", "c"), ("d", "a")))
    assert skeleton.tree == (("a", "c"), ("a", "d"), ("c", "b"))


def test_one_joint_is_a_skeleton():
    dot = Skeleton("dot", ("nose",), ())
    assert dot.edges.shape == (0, 2)
    assert dot.flip_index.tolist() == [0]


@ALL
def test_remap_to_itself_changes_nothing(skeleton):
    points, scores = some_poses(skeleton)
    same_points, same_scores = remap(points, scores, skeleton, skeleton)
    np.testing.assert_array_equal(remap_weights(skeleton, skeleton), np.eye(len(skeleton)))
    np.testing.assert_array_equal(same_scores, scores)
    np.testing.assert_allclose(same_points[scores > 0], points[scores > 0], rtol=1e-6)
    assert not same_points[scores == 0].any()


@given(ANY, ANY, st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_joints_travel_by_name(source, target, seed):
    points, scores = some_poses(source, seed)
    moved, sure = remap(points, scores, source, target)
    assert moved.shape == (3, len(target), 2)
    for place, joint in enumerate(target.joints):
        if joint in source.joints:
            known = source.index(joint)
            np.testing.assert_array_equal(sure[:, place], scores[:, known])
            result = scores[:, known] > 0
            np.testing.assert_allclose(moved[result, place], points[result, known], rtol=1e-6)


@given(ANY, ANY, st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_remap_commutes_with_the_flip(source, target, seed):
    points, scores = some_poses(source, seed)
    first_moved = remap(points[:, source.flip_index], scores[:, source.flip_index], source, target)
    moved, sure = remap(points, scores, source, target)
    np.testing.assert_allclose(first_moved[0], moved[:, target.flip_index], atol=1e-4)
    np.testing.assert_array_equal(first_moved[1], sure[:, target.flip_index])


@given(ANY, ANY)
@settings(max_examples=16, deadline=None)
def test_weights_of_a_joint_sum_to_one_or_zero(source, target):
    total = remap_weights(source, target).sum(axis=1)
    assert set(total.tolist()) <= {0.0, 1.0}


def test_the_neck_is_the_centre_of_the_shoulders_with_their_lower_score():
    points, scores = np.zeros((1, 17, 2), np.float32), np.zeros((1, 17), np.float32)
    left, right = COCO17.index("left_shoulder"), COCO17.index("right_shoulder")
    points[0, left], points[0, right] = (10, 4), (20, 8)
    scores[0, left], scores[0, right] = 0.9, 0.4
    moved, sure = remap(points, scores, COCO17, OPENPOSE18)
    assert moved[0, OPENPOSE18.index("neck")].tolist() == [15, 6]
    assert sure[0, OPENPOSE18.index("neck")] == np.float32(0.4)
    scores[0, left] = 0
    moved, sure = remap(points, scores, COCO17, OPENPOSE18)
    assert sure[0, OPENPOSE18.index("neck")] == 0
    assert moved[0, OPENPOSE18.index("neck")].tolist() == [0, 0]


def test_body17_3d_has_the_limbs_of_the_paper():
    limbs = [(0, 1), (1, 2), (2, 3), (0, 4), (4, 5), (5, 6), (0, 7), (7, 8), (8, 9), (9, 10),
             (8, 11), (11, 12), (12, 13), (8, 14), (14, 15), (15, 16)]  # fmt: skip
    assert BODY17_3D.indices(BODY17_3D.tree).tolist() == [list(limb) for limb in limbs]


def test_parts_of_the_upper_body_are_those_of_the_paper():
    parts = [(0, 2), (1, 2), (2, 3), (1, 4), (4, 6), (3, 5), (5, 7)]
    assert UPPER8.indices(UPPER8.bones).tolist() == [list(part) for part in parts]
    assert UPPER8.flip_index.tolist() == [0, 3, 2, 1, 5, 4, 7, 6]


def test_a_head_is_the_centre_of_neck_and_head_top_and_a_spine_that_of_neck_and_pelvis():
    points, scores = some_poses(LSP14, people=2)
    scores[:] = 1
    head = remap(points, scores, LSP14, UPPER8)[0][:, UPPER8.index("head")]
    ends = points[:, [LSP14.index("neck"), LSP14.index("head_top")]]
    np.testing.assert_allclose(head, ends.mean(axis=1), rtol=1e-6)
    points, scores = some_poses(COCO17, people=2)
    scores[:] = 1
    body, sure = remap(points, scores, COCO17, BODY17_3D)
    neck, pelvis, spine = (body[:, BODY17_3D.index(joint)] for joint in ("neck", "pelvis", "spine"))
    np.testing.assert_allclose(spine, (neck + pelvis) / 2, rtol=1e-5)
    unknown = [joint for joint, score in zip(BODY17_3D.joints, sure[0], strict=True) if score == 0]
    assert unknown == ["head_top"]


def test_no_people_are_remapped_to_no_people():
    moved, scores = remap(np.zeros((0, 17, 2), np.float32), np.zeros((0, 17), np.float32), COCO17, LSP14)
    assert moved.shape == (0, 14, 2)
    assert scores.shape == (0, 14)


@pytest.mark.parametrize(
    ("joints", "bones", "tree", "sigmas", "message"),
    [
        (("a", "a"), (), (), (), "twice"),
        (("a", "b"), (("a", "c"),), (), (), "no joint 'c'"),
        ((), (), (), (), "has no joints"),
        (("a", "b", "c"), (), (("a", "b"), ("b", "a")), (), "tree of skeleton odd does not join"),
        (("a", "b", "c"), (), (("b", "c"), ("a", "b")), (), "tree of skeleton odd does not join"),
        (("a", "b", "c"), (), (("a", "b"), ("c", "b")), (), "tree of skeleton odd does not join"),
        (("a", "b"), (("a", "b"),), (), (0.1,), "1 sigmas"),
    ],
)
def test_invalid_skeletons_are_refused(joints, bones, tree, sigmas, message):
    with pytest.raises(SkeletonError, match=message):
        Skeleton("odd", joints, bones, tree, sigmas)


def test_an_unknown_joint_raises_with_all_names():
    with pytest.raises(SkeletonError, match="left_elbow"):
        COCO17.index("left_antenna")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_joints_are_missing_and_affect_no_other(value):
    points = np.random.default_rng(0).uniform(0, 100, (2, 17, 2)).astype(np.float32)
    scores = np.ones((2, 17), np.float32)
    ankle = COCO17.index("left_ankle")
    broken, less = points.copy(), scores.copy()
    broken[0, ankle, 1] = value
    less[0, ankle] = 0
    for target in (COCO17, LSP14):
        for result, expected in zip(
            remap(broken, scores, COCO17, target), remap(points, less, COCO17, target), strict=True
        ):
            np.testing.assert_array_equal(result, expected)
