"""Vectors from parent to child hold what joints about their root hold, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.errors import ShapeError
from poseg.geometry.camera import random_camera
from poseg.skeletons import BODY17_3D, SKELETONS
from poseg.skeletons.bones import bone_lengths, from_parent_relative, parents, root, to_parent_relative

ANY = st.sampled_from(list(SKELETONS.values()))


def joints_of(skeleton, seed, *shape):
    return np.random.default_rng(seed).normal(0, 500, (*shape, len(skeleton), 3))


@given(ANY, st.integers(0, 1000), st.sampled_from([(), (3,), (2, 3)]))
def test_parent_relative_round_trip_gives_joints_about_the_root(skeleton, seed, shape):
    joints = joints_of(skeleton, seed, *shape)
    vectors = to_parent_relative(joints, skeleton)
    first = root(skeleton)
    assert not vectors[..., first, :].any()
    back = from_parent_relative(vectors, skeleton)
    np.testing.assert_allclose(back, joints - joints[..., first : first + 1, :], atol=1e-9)
    np.testing.assert_allclose(to_parent_relative(back, skeleton), vectors, atol=1e-9)


@given(ANY, st.integers(0, 1000))
def test_the_position_of_the_root_does_not_matter(skeleton, seed):
    joints = joints_of(skeleton, seed, 2)
    moved = joints + np.array([300.0, -20.0, 5000.0])
    np.testing.assert_allclose(
        to_parent_relative(moved, skeleton), to_parent_relative(joints, skeleton), atol=1e-9
    )  # fmt: skip


@given(st.integers(0, 1000))
def test_bones_keep_their_lengths_there_and_back_and_before_any_camera(seed):
    joints = joints_of(BODY17_3D, seed, 4)
    lengths = bone_lengths(joints, BODY17_3D)
    vectors = to_parent_relative(joints, BODY17_3D)
    np.testing.assert_allclose(np.linalg.norm(vectors[:, 1:], axis=-1), lengths)
    np.testing.assert_allclose(bone_lengths(from_parent_relative(vectors, BODY17_3D), BODY17_3D), lengths)
    seen = random_camera(np.random.default_rng(seed), 4).to_camera(joints)
    np.testing.assert_allclose(bone_lengths(seen, BODY17_3D), lengths)


@given(st.integers(0, 1000))
def test_a_flipped_pose_has_the_flipped_vectors(seed):
    joints = joints_of(BODY17_3D, seed)
    flipped = joints[BODY17_3D.flip_index] * (-1, 1, 1)
    vectors = to_parent_relative(joints, BODY17_3D)
    np.testing.assert_allclose(
        to_parent_relative(flipped, BODY17_3D), vectors[BODY17_3D.flip_index] * (-1, 1, 1), atol=1e-9
    )  # fmt: skip


def test_nan_affects_the_joints_below_it_only():
    vectors = to_parent_relative(joints_of(BODY17_3D, 0).astype(np.float32), BODY17_3D)
    knee = BODY17_3D.index("left_knee")
    broken = vectors.copy()
    broken[knee] = np.nan
    broken[0] = np.nan
    back = from_parent_relative(broken, BODY17_3D)
    lost = [joint for joint, bad in zip(BODY17_3D.joints, np.isnan(back).any(axis=1), strict=True) if bad]
    assert lost == ["left_knee", "left_ankle"]
    assert back.dtype == np.float32


def test_parents_are_those_of_the_published_list():
    assert parents(BODY17_3D).tolist() == [0, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15]


def test_whole_numbers_become_fractions():
    vectors = to_parent_relative(np.arange(51).reshape(17, 3), BODY17_3D)
    assert vectors.dtype == np.float64
    assert vectors[3].tolist() == [3, 3, 3]


@pytest.mark.parametrize("shape", [(16, 3), (17,), (17, 3, 3)])
def test_joints_of_another_skeleton_are_refused(shape):
    with pytest.raises(ShapeError, match="17"):
        to_parent_relative(np.zeros(shape), BODY17_3D)
