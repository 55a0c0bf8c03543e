"""Errors in mm: laws of the alignments, parity with scipy, then numbers by hand and bad input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from poseg.errors import AnnotationError, ShapeError, SkeletonError
from poseg.metrics.bootstrap import image_counts
from poseg.metrics.mpjpe import mpjpe, mpjve, n_mpjpe, pa_mpjpe, pck3d, rooted_errors, similarity_aligned
from poseg.metrics.pairs import make_pairs
from poseg.skeletons import LSP14

ROOT = "neck"
HIPS = ("left_hip", "right_hip")
METRICS = {
    "MPJPE": lambda pairs, **more: mpjpe(pairs, ROOT, **more),
    "N-MPJPE": lambda pairs, **more: n_mpjpe(pairs, ROOT, **more),
    "PA-MPJPE": pa_mpjpe,
    "MPJVE": lambda pairs, **more: mpjve(pairs, ROOT, **more),
}
seeds = st.integers(0, 2**32 - 1)
factors = st.floats(0.01, 100)


def spatial(random_pairs, seed, **changes):
    return random_pairs(seed, axes=3, **changes)


@given(seeds, factors)
def test_similar_copies_have_no_error_and_flipped_ones_have(random_pairs, seed, factor):
    pairs = spatial(random_pairs, seed, missing=0.05)
    rng = np.random.default_rng(seed)
    rotations = Rotation.random(len(pairs), rng=rng).as_matrix()
    copies = factor * np.einsum("nij,nkj->nki", rotations, pairs.truth) + rng.normal(0, 5000, (len(pairs), 1, 3))
    aligned = pa_mpjpe(replace(pairs, predicted=copies))
    assert aligned.overall.value == pytest.approx(0, abs=1e-6)
    assert aligned.overall.count == (pairs.counted & pairs.detected).sum()
    assert pa_mpjpe(replace(pairs, predicted=copies * (-1, 1, 1))).overall.value > 1


@given(seeds, factors)
def test_pa_mpjpe_is_invariant_to_similarities_of_predictions(random_pairs, seed, factor):
    pairs = spatial(random_pairs, seed)
    angle = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    moved = replace(pairs, predicted=factor * pairs.predicted @ angle.T + (100, -50, 3000))
    assert pa_mpjpe(moved).overall.value == pytest.approx(pa_mpjpe(pairs).overall.value)


@given(seeds, factors)
def test_n_mpjpe_is_scale_invariant_and_mpjpe_translation_invariant(random_pairs, seed, factor):
    pairs = spatial(random_pairs, seed)
    scaled = replace(pairs, predicted=pairs.predicted * factor)
    assert n_mpjpe(scaled, ROOT).overall.value == pytest.approx(n_mpjpe(pairs, ROOT).overall.value)
    moved = replace(pairs, predicted=pairs.predicted + np.random.default_rng(seed).normal(0, 2000, (len(pairs), 1, 3)))
    for root in (ROOT, HIPS):
        assert mpjpe(moved, root).overall.value == pytest.approx(mpjpe(pairs, root).overall.value)
    assert mpjpe(replace(pairs, predicted=pairs.predicted * 2), ROOT).overall.value != mpjpe(pairs, ROOT).overall.value


@given(seeds)
def test_the_similarity_is_the_best_one(random_pairs, seed):
    """Rotation by scipy, then the best scale along it; and no small change of it fits better."""
    pairs = spatial(random_pairs, seed, people=4, missing=0.0, noise=60)
    aligned, possible = similarity_aligned(pairs.predicted, pairs.truth, pairs.counted)
    assert possible.all()
    for ours, predicted, truth in zip(aligned, pairs.predicted, pairs.truth, strict=True):
        x, y = predicted - predicted.mean(axis=0), truth - truth.mean(axis=0)
        rotated = Rotation.align_vectors(y, x)[0].apply(x)
        expected = rotated * (rotated * y).sum() / (x**2).sum() + truth.mean(axis=0)
        np.testing.assert_allclose(ours, expected, atol=1e-6)


@given(seeds, st.sampled_from(sorted(METRICS)))
def test_perfect_poses_have_no_error(random_pairs, seed, name):
    pairs = spatial(random_pairs, seed, noise=0.0, missing=0.02, image_index=np.arange(12) // 6)
    assert METRICS[name](pairs).overall.value == pytest.approx(0, abs=1e-9)
    whole = pck3d(replace(pairs, detected=np.ones_like(pairs.detected), predicted=pairs.truth), ROOT)
    assert whole.overall.value == whole.auc.value == 1


@given(seeds, st.sampled_from(["MPJPE", "N-MPJPE", "PA-MPJPE"]))
def test_each_pose_is_measured_by_itself(random_pairs, seed, name):
    pairs = spatial(random_pairs, seed)
    names = ("truth", "annotated", "predicted", "detected", "image_index")
    singles = [replace(pairs, **{key: getattr(pairs, key)[[row]] for key in names}) for row in range(len(pairs))]
    scores = [METRICS[name](single).overall for single in singles]
    total = sum(score.value * score.count for score in scores if score.count)
    whole = METRICS[name](pairs).overall
    assert whole.count == sum(score.count for score in scores)
    assert total / whole.count == pytest.approx(whole.value)


@given(seeds)
def test_swapping_left_and_right_in_both_poses_changes_nothing(random_pairs, seed):
    pairs = spatial(random_pairs, seed, missing=0.02, image_index=np.arange(12) // 6)
    moved = {
        name: getattr(pairs, name)[:, LSP14.flip_index] for name in ("truth", "annotated", "predicted", "detected")
    }
    for metric in METRICS.values():
        one, other = metric(pairs), metric(replace(pairs, **moved))
        assert one.overall.value == pytest.approx(other.overall.value)


def test_the_root_counts_or_does_not():
    truth = np.zeros((2, 14, 3))
    predicted = np.full((2, 14, 3), (0.0, 30.0, 40.0))
    predicted[:, LSP14.index(ROOT)] = 0
    pairs = make_pairs(LSP14, truth, predicted)
    assert mpjpe(pairs, ROOT).overall.value == pytest.approx(50 * 13 / 14)
    assert mpjpe(pairs, ROOT, with_root=False).overall.value == pytest.approx(50)
    assert "the neck, which counts too" in mpjpe(pairs, ROOT).protocol
    assert "does not count" in mpjpe(pairs, ROOT, with_root=False).protocol
    assert pck3d(pairs, ROOT, 49).overall.value == pytest.approx(1 / 14)
    assert pck3d(pairs, ROOT).auc.value == pytest.approx((10 * 1 / 14 + 21) / 31)


def test_undetected_joints_are_left_out_of_means_and_wrong_for_fractions(random_pairs):
    pairs = spatial(random_pairs, 3, missing=0.0, noise=5)
    detected = pairs.detected.copy()
    detected[:, LSP14.index("left_wrist")] = detected[0] = False
    lacking = replace(pairs, detected=detected)
    assert mpjpe(lacking, ROOT).overall.count == 11 * 13
    assert "25 joints not detected left out" in mpjpe(lacking, ROOT).protocol
    assert "25 joints not detected left out" in pa_mpjpe(lacking).protocol
    assert pck3d(lacking, ROOT).overall.value == pytest.approx(11 * 13 / (12 * 14))
    assert np.isinf(rooted_errors(lacking, ROOT)[0]).all()


def test_frames_without_a_root():
    detected, annotated = np.ones((3, 14), bool), np.ones((3, 14), bool)
    detected[0, LSP14.index(ROOT)] = annotated[1, LSP14.index(ROOT)] = False
    poses = np.random.default_rng(0).normal(0, 300, (3, 14, 3))
    errors = rooted_errors(make_pairs(LSP14, poses, poses, detected=detected, annotated=annotated), ROOT)
    assert np.isinf(errors[0]).all()
    assert np.isnan(errors[1]).all()
    np.testing.assert_array_equal(errors[2], 0)


def test_motion_is_measured_within_clips():
    """Joint 0 moves by 1 mm a frame and is predicted moving by 3; between the clips it jumps."""
    truth, predicted = np.zeros((5, 14, 3)), np.zeros((5, 14, 3))
    truth[:, 0, 0] = (0, 1, 2, 900, 901)
    predicted[:, 0, 0] = (50, 53, 56, 0, 3)
    pairs = make_pairs(LSP14, truth, predicted, image_index=[0, 0, 0, 1, 1])
    score = mpjve(pairs, ROOT)
    assert score.parts["right_ankle"].value == pytest.approx(2)
    assert score.overall.value == pytest.approx(2 / 14)
    assert score.overall.count == 3 * 14


def test_poses_that_cannot_be_aligned():
    rng = np.random.default_rng(1)
    poses = rng.normal(0, 300, (4, 14, 3))
    truth, predicted, annotated = poses.copy(), poses + rng.normal(0, 20, poses.shape), np.ones((4, 14), bool)
    annotated[0, 2:] = False  # two joints
    truth[1] = 500.0  # all truth joints coincide
    predicted[2] = -70.0  # all predicted joints coincide
    score = pa_mpjpe(make_pairs(LSP14, truth, predicted, annotated=annotated))
    assert "2 poses of fewer than 3 joints or no extent left out" in score.protocol
    assert score.overall.count == 2 * 14
    collapsed = pa_mpjpe(make_pairs(LSP14, truth[2:3], predicted[2:3])).overall.value
    expected = np.linalg.norm(truth[2] - truth[2].mean(axis=0), axis=1).mean()
    assert collapsed == pytest.approx(expected)
    line = np.outer(np.arange(14), (1.0, 2.0, 3.0))[None]
    assert pa_mpjpe(make_pairs(LSP14, line, line[..., ::-1])).overall.value == pytest.approx(0, abs=1e-9)


def test_intervals_are_over_clips(random_pairs):
    pairs = spatial(random_pairs, 9, people=300, missing=0.02, image_index=np.arange(300) // 5, num_images=60)
    draws = image_counts(np.random.default_rng(0), 60)
    for metric in METRICS.values():
        score = metric(pairs, draws=draws)
        assert score.overall.interval[0] < score.overall.value < score.overall.interval[1]


def test_no_poses_give_nan():
    pairs = make_pairs(LSP14, np.zeros((0, 14, 3)), np.zeros((0, 14, 3)))
    for metric in METRICS.values():
        assert np.isnan(metric(pairs).overall.value)
    assert np.isnan(pck3d(pairs, ROOT).auc.value)


def test_bad_input(random_pairs):
    with pytest.raises(SkeletonError, match="no joint 'pelvis'"):
        mpjpe(spatial(random_pairs, 0))
    with pytest.raises(ShapeError, match="3"):
        pa_mpjpe(random_pairs(0))
    with pytest.raises(AnnotationError, match="one joint or more"):
        mpjpe(spatial(random_pairs, 0), ())
    poses = np.zeros((1, 14, 3))
    with pytest.raises(AnnotationError, match="NaN"):
        make_pairs(LSP14, poses, np.full_like(poses, np.nan))
