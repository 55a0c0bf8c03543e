"""Weights: Pearson correlations, planted and shuffled ones, matrix correlation and sparsity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseg.analysis.weights import (
    co_sparsity,
    constant_joints,
    data_correlation,
    layer_weights,
    matrix_correlation,
    parent_relative,
    weight_correlation,
)
from poseg.errors import ShapeError
from poseg.skeletons import COCO17, LSP14


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@given(st.integers(0, 1000), st.integers(2, 5), st.sampled_from([2, 3]))
@settings(max_examples=20, deadline=None)
def test_correlations_are_numpys(seed, joints, coordinates):
    weights = noise(joints, coordinates, 40, seed=seed) * 7 + 3
    found = weight_correlation(weights, shuffles=3)
    for coordinate in range(coordinates):
        np.testing.assert_allclose(found.coordinates[coordinate], np.corrcoef(weights[:, coordinate]), atol=1e-9)


def test_scale_and_shift_of_a_joint_change_nothing_but_the_sign():
    weights = noise(4, 3, 60)
    other = weights.copy()
    other[1] = -5 * other[1] + 2
    one, two = (weight_correlation(values, shuffles=3).coordinates for values in (weights, other))
    signs = np.array([1, -1, 1, 1])
    np.testing.assert_allclose(two, one * signs[:, None] * signs, atol=1e-9)


def test_planted_correlations_are_recovered():
    shared = noise(1, 2000)
    weights = noise(5, 3, 2000, seed=1)
    weights[1, 0] = 0.8 * weights[0, 0] + 0.6 * shared[0]  # correlation 0.8 in x
    weights[3, 2] = -weights[2, 2]
    found = weight_correlation(weights)
    assert found.coordinates[0, 0, 1] == pytest.approx(0.8, abs=0.03)
    assert found.coordinates[2, 2, 3] == pytest.approx(-1)
    assert found.strongest[0, 1] == pytest.approx(0.8, abs=0.03)
    assert found.strongest[2, 3] == pytest.approx(-1)


def test_strongest_is_the_largest_magnitude_with_its_sign():
    found = weight_correlation(noise(6, 3, 30), shuffles=3)
    magnitude = np.abs(found.coordinates).max(axis=0)
    np.testing.assert_allclose(np.abs(found.strongest), magnitude)
    assert ((found.coordinates == found.strongest).any(axis=0)).all()


def test_one_in_a_hundred_is_above_the_baseline():
    # Of independent weights, 1 % of pairs lie above the 99th percentile of chance: 12 of 1225 on average in each of 3.
    found = weight_correlation(noise(50, 3, 200), shuffles=30)
    one, two = np.triu_indices(50, 1)
    above = (np.abs(found.coordinates[:, one, two]) > found.baseline[:, None]).mean()
    assert 0.004 < above < 0.018
    assert found.baseline == pytest.approx(2.576 / 200**0.5, rel=0.05)  # of a normal distribution
    assert found.strongest_baseline > found.baseline.max()


def test_shuffled_weights_fall_below_the_baseline_of_planted_ones():
    rng = np.random.default_rng(0)
    weights = noise(1, 3, 500) + 0.5 * noise(8, 3, 500, seed=1)  # all joints similar
    one, two = np.triu_indices(8, 1)
    planted = weight_correlation(weights)
    assert (planted.coordinates[:, one, two] > planted.baseline[:, None]).all()
    shuffled = weight_correlation(rng.permuted(weights, axis=2))
    assert (np.abs(shuffled.coordinates[:, one, two]) < planted.baseline[:, None]).mean() > 0.95


def test_same_seed_same_baseline():
    weights = noise(4, 2, 50)
    one, two, other = (weight_correlation(weights, shuffles=20, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.baseline, two.baseline)
    assert (one.baseline != other.baseline).any()


def test_joints_left_out_are_nan_and_change_nothing_else():
    weights = noise(5, 3, 80)
    weights[0] *= 1e-9
    whole, part = weight_correlation(weights, leave_out=(0,), shuffles=20), weight_correlation(weights[1:], shuffles=20)
    assert np.isnan(whole.coordinates[:, 0]).all()
    assert np.isnan(whole.strongest[:, 0]).all()
    np.testing.assert_allclose(whole.coordinates[:, 1:, 1:], part.coordinates)
    np.testing.assert_allclose(whole.baseline, part.baseline)


def test_data_is_correlated_over_its_poses():
    poses = noise(300, 4, 3)
    poses[:, 0] = 0
    found = data_correlation(poses, shuffles=10)
    assert np.isnan(found.coordinates[:, 0]).all()
    np.testing.assert_allclose(found.coordinates[1, 1:, 1:], np.corrcoef(poses[:, 1:, 1].T), atol=1e-9)
    assert constant_joints(poses) == (0,)
    assert np.isfinite(found.baseline).all()


def test_pairs_are_correlated_over_the_poses_that_have_both():
    poses = noise(400, 3, 2)
    poses[:, 1] += poses[:, 0]
    gaps = poses.copy()
    gaps[:150, 0] = np.nan
    gaps[100:200, 1] = np.nan
    found = data_correlation(gaps, shuffles=20)
    for one, two, both in ((0, 1, slice(200, None)), (0, 2, slice(150, None))):
        expected = np.corrcoef(poses[both, one, 0], poses[both, two, 0])[0, 1]
        assert found.coordinates[0, one, two] == pytest.approx(expected)
    assert (found.baseline < 0.3).all()


def test_a_joint_that_is_always_nan_is_left_out():
    poses = noise(50, 3, 2)
    poses[:, 2] = np.nan
    found = data_correlation(poses, shuffles=5)
    assert np.isnan(found.coordinates[:, 2]).all()
    assert np.isfinite(found.coordinates[:, 0, 1]).all()
    assert constant_joints(poses) == (2,)


def test_layer_weights_are_joint_by_joint():
    weight = np.arange(17 * 3 * 4).reshape(51, 4)
    layer = layer_weights(weight, COCO17)
    assert layer.shape == (17, 3, 4)
    np.testing.assert_array_equal(layer[5, 1], weight[16])


def test_parent_relative_weights_predict_limbs():
    weights, features = noise(14, 2, 6), noise(6)
    points, limbs = weights @ features, parent_relative(weights, LSP14) @ features
    shoulder, elbow = LSP14.index("left_shoulder"), LSP14.index("left_elbow")
    np.testing.assert_allclose(limbs[elbow], points[elbow] - points[shoulder])
    assert not limbs[LSP14.index("neck")].any()


def test_co_sparsity_is_the_formula():
    weights = noise(3, 2, 7)
    found = co_sparsity(weights, p=0.5)
    one, two = (np.abs(weights[joint, 1] / weights[joint, 1].std()) for joint in (0, 2))
    assert found[1, 0, 2] == pytest.approx(-((one**0.5 + two**0.5) ** 2).sum())
    np.testing.assert_allclose(found, found.swapaxes(1, 2))


def test_joints_with_features_of_their_own_are_sparsest():
    # Each has 10 of 40 features: joints 0 and 1 the same ones, joint 2 others.
    weights = np.zeros((3, 2, 40))
    weights[:2, :, :10] = noise(2, 2, 10)
    weights[2, :, 10:20] = noise(2, 10)
    found = co_sparsity(weights)
    assert (found[:, 0, 2] > 0.2 * found[:, 0, 1]).all()
    assert (found < 0).all()


def test_co_sparsity_leaves_out_joints():
    found = co_sparsity(noise(4, 3, 9), leave_out=(1,))
    assert np.isnan(found[:, 1]).all()
    assert np.isfinite(found[:, 2, 3]).all()


def symmetric(size, seed):
    matrix = noise(size, size, seed=seed)
    return matrix + matrix.T


def test_a_matrix_correlates_with_itself_and_not_with_its_negative():
    matrix = symmetric(10, 0)
    assert matrix_correlation(matrix, 3 * matrix + 1).r == pytest.approx(1)
    assert matrix_correlation(matrix, matrix).p == pytest.approx(0.001)
    assert matrix_correlation(matrix, -matrix).r == pytest.approx(-1)
    assert matrix_correlation(matrix, -matrix).p == pytest.approx(1, abs=0.01)
    assert matrix_correlation(matrix, matrix).pairs == 45


def test_unrelated_matrices_are_not_significant():
    chances = [matrix_correlation(symmetric(9, seed), symmetric(9, 100 + seed), shuffles=99).p for seed in range(60)]
    assert 0.35 < np.mean(chances) < 0.65
    assert np.mean(np.array(chances) <= 0.1) < 0.25


def test_diagonals_and_left_out_joints_do_not_count_for_matrix_correlation():
    one, two = symmetric(8, 0), symmetric(8, 1)
    whole = matrix_correlation(one, two)
    np.fill_diagonal(two, 1e6)
    assert matrix_correlation(one, two) == whole
    larger = [np.full((9, 9), np.nan) for _ in range(2)]
    larger[0][1:, 1:], larger[1][1:, 1:] = one, two
    assert matrix_correlation(*larger).r == pytest.approx(whole.r)
    assert matrix_correlation(*larger).pairs == whole.pairs


def test_constant_matrices_have_no_matrix_correlation():
    assert np.isnan(matrix_correlation(np.ones((5, 5)), symmetric(5, 0)).r)


@pytest.mark.parametrize(
    "call",
    [
        lambda: layer_weights(np.zeros((50, 8)), COCO17),
        lambda: layer_weights(np.zeros(51), COCO17),
        lambda: weight_correlation(np.zeros((4, 5, 8))),
        lambda: weight_correlation(np.zeros((1, 3, 8))),
        lambda: data_correlation(np.zeros((100, 51))),
        lambda: co_sparsity(np.zeros((4, 3, 1))),
        lambda: matrix_correlation(np.zeros((4, 4)), np.zeros((5, 5))),
        lambda: parent_relative(np.zeros((3, 2)), LSP14),
    ],
)
def test_shapes_that_do_not_fit_are_refused(call):
    with pytest.raises(ShapeError):
        call()
