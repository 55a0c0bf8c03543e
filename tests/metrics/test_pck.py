"""PCK, PCKh and PDJ: laws, then numbers by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.errors import AnnotationError, ShapeError, SkeletonError
from poseg.metrics.bootstrap import image_counts
from poseg.metrics.pairs import pair_up
from poseg.metrics.pck import THRESHOLDS, has_size, pck, pckh, pdj, person_sizes
from poseg.skeletons import COCO17, LSP14

SIZES = ("box", "torso", "head")
seeds = st.integers(0, 2**32 - 1)
sizes = st.sampled_from(SIZES)


@pytest.mark.parametrize("metric", [*(lambda pairs, size=size: pck(pairs, size) for size in SIZES), pckh, pdj])
def test_what_is_found_where_it_is_scores_one(random_pairs, metric):
    score = metric(random_pairs(1, spread=0.0, placed=None))
    assert score.overall.value == score.auc.value == 1
    assert {part.value for part in (*score.parts.values(), *score.groups.values())} == {1}


@given(seeds, sizes, st.integers(-6, 6))
def test_the_size_of_the_picture_does_not_matter(random_pairs, seed, size, power):
    pairs = random_pairs(seed)
    larger = replace(pairs, true=pairs.true * 2.0**power, found=pairs.found * 2.0**power)
    assert pck(larger, size).to_plain() == pck(pairs, size).to_plain()


@given(seeds, sizes)
def test_the_order_of_people_and_pictures_does_not_matter(random_pairs, seed, size):
    pairs = random_pairs(seed)
    rng = np.random.default_rng(seed)
    people, numbers = rng.permutation(len(pairs)), rng.permutation(pairs.pictures)
    moved = {name: getattr(pairs, name)[people] for name in ("true", "annotated", "found", "placed")}
    shuffled = replace(pairs, **moved, picture=np.argsort(numbers)[pairs.picture[people]])
    draws = image_counts(rng, pairs.pictures, 50)
    one, other = pck(pairs, size, draws=draws), pck(shuffled, size, draws=draws[:, numbers])
    assert (one.overall.value, one.overall.count) == (other.overall.value, other.overall.count)
    np.testing.assert_allclose(one.overall.interval, other.overall.interval)
    np.testing.assert_allclose(one.curve.low, other.curve.low)


@given(seeds, sizes)
def test_a_wider_threshold_never_lowers_it(random_pairs, seed, size):
    pairs = random_pairs(seed)
    score = pck(pairs, size)
    assert (np.diff(score.curve.values) >= 0).all()
    assert score.curve.values[20] == score.overall.value
    assert pck(pairs, size, 1e9).overall.value >= score.curve.values[-1]
    assert score.auc.value == pytest.approx(np.mean(score.curve.values))


@given(seeds, st.sampled_from(["box", "head"]))
def test_left_and_right_exchanged_on_both_sides_change_nothing(random_pairs, seed, size):
    pairs, mirror = random_pairs(seed), LSP14.flip_index
    moved = {name: getattr(pairs, name)[:, mirror] for name in ("true", "annotated", "found", "placed")}
    one, other = pck(pairs, size), pck(replace(pairs, **moved), size)
    assert (one.overall, one.groups) == (other.overall, other.groups)
    assert one.curve.values == other.curve.values


def test_the_torso_is_one_diagonal():
    """The one size that knows left from right: exchanging the sides takes the other diagonal."""
    rng = np.random.default_rng(3)
    pose = rng.uniform(0, 100, (1, 14, 2))
    for points in (pose, pose[:, LSP14.flip_index]):
        wanted = np.linalg.norm(points[0, LSP14.index("left_shoulder")] - points[0, LSP14.index("right_hip")])
        assert person_sizes(pair_up(LSP14, points, points), "torso")[0] == pytest.approx(wanted)


@given(seeds, sizes)
def test_people_who_are_missing_are_wrong_in_every_joint(random_pairs, seed, size):
    pairs = random_pairs(seed, missing=0.0)
    placed = pairs.placed.copy()
    placed[0] = False
    whole, lacking = pck(pairs, size), pck(replace(pairs, placed=placed), size)
    rest = pck(replace(pairs, known=pairs.known, annotated=pairs.annotated & (np.arange(12) > 0)[:, None]), size)
    assert lacking.overall.count == whole.overall.count
    assert lacking.overall.value <= whole.overall.value
    assert lacking.overall.value * lacking.overall.count == pytest.approx(rest.overall.value * rest.overall.count)


@given(seeds, sizes)
def test_the_whole_is_the_mean_of_its_parts(random_pairs, seed, size):
    score = pck(random_pairs(seed), size)
    for parts in (score.parts, score.groups):
        assert sum(part.count for part in parts.values()) == score.overall.count
        mean = sum(part.value * part.count for part in parts.values()) / score.overall.count
        assert mean == pytest.approx(score.overall.value)


@given(seeds)
def test_pdj_and_pckh_are_pck_under_other_names(random_pairs, seed):
    pairs = random_pairs(seed)
    assert pdj(pairs).overall == pck(pairs, "torso").overall
    assert pckh(pairs).overall == pck(pairs, "head", 0.5).overall


def test_a_joint_that_the_model_lacks_is_left_out(random_pairs):
    pairs = random_pairs(5)
    known = np.array([joint != "head_top" for joint in LSP14.joints])
    score = pck(replace(pairs, known=known), "head")  # the true head still measures
    assert "head_top" not in score.parts
    assert "head_top" not in score.groups
    assert score.overall.count < pck(pairs, "head").overall.count
    assert "the model has no head_top" in score.protocol


def test_by_hand():
    """Box 100 x 200, torso from (100, 50) to (0, 50): 100 px; errors of 15, 25, 45 px and one joint not found."""
    true = np.zeros((1, 14, 2))
    for joint, place in {
        "left_shoulder": (100, 50),
        "right_hip": (0, 50),
        "neck": (50, 0),
        "left_ankle": (60, 200),
    }.items():
        true[0, LSP14.index(joint)] = place
    there = (true != 0).any(axis=2)
    found, placed = true.copy(), there.copy()
    found[0, LSP14.index("left_shoulder")] += (9, 12)
    found[0, LSP14.index("right_hip")] += (0, 25)
    found[0, LSP14.index("neck")] += (-27, 36)
    placed[0, LSP14.index("left_ankle")] = False
    pairs = pair_up(LSP14, true, found, annotated=there, placed=placed)
    assert pck(pairs, "box").overall.value == 2 / 4  # 40 px
    assert pck(pairs, "torso").overall.value == 1 / 4  # 20 px
    assert pdj(pairs, 0.5).overall.value == 3 / 4
    assert np.isnan(pckh(pairs).overall.value)
    assert "1 people without that size are left out" in pckh(pairs).protocol
    curve = dict(zip(THRESHOLDS.tolist(), pdj(pairs).curve.values, strict=True))
    assert (curve[0.14], curve[0.16], curve[0.26], curve[0.46]) == (0, 0.25, 0.5, 0.75)


def test_resamples_of_perfect_pictures_are_perfect(random_pairs):
    """However many people the pictures that are drawn hold."""
    pairs = random_pairs(4, spread=0.0, placed=None)
    score = pck(pairs, draws=image_counts(np.random.default_rng(0), pairs.pictures, 100))
    assert score.overall.interval == score.auc.interval == (1, 1)
    assert set(score.curve.low) == {1}


def test_the_interval_follows_the_pictures(random_pairs):
    pairs = random_pairs(7, people=200, pictures=80, spread=30)
    score = pck(pairs, "box", 0.1, draws=image_counts(np.random.default_rng(0), 80))
    low, high = score.overall.interval
    assert low < score.overall.value < high
    assert score.auc.interval[0] < score.auc.value < score.auc.interval[1]
    assert score.curve.low[10] == pytest.approx(low)
    assert pck(pairs, draws=np.ones((3, 80), np.int64)).overall.interval == (pck(pairs).overall.value,) * 2
    with pytest.raises(ShapeError, match="draws"):
        pck(pairs, draws=np.ones((3, 79), np.int64))


def test_nobody_gives_no_number():
    score = pck(pair_up(LSP14, np.zeros((0, 14, 2)), np.zeros((0, 14, 2)), pictures=3), draws=np.ones((4, 3), np.int64))
    assert np.isnan([score.overall.value, score.auc.value]).all()
    assert (score.overall.count, score.overall.interval, score.parts) == (0, None, {})
    assert score.to_plain()["overall"]["value"] is None


def test_bad_input(random_pairs):
    bird = COCO17
    assert not has_size(bird, "head")
    with pytest.raises(SkeletonError, match="no joint 'neck'"):
        pckh(random_pairs(0, skeleton=bird))
    with pytest.raises(AnnotationError, match="box, torso, head"):
        pck(random_pairs(0), "arm")
    for threshold in (-0.1, np.nan, np.inf):
        with pytest.raises(AnnotationError, match="measures nothing"):
            pck(random_pairs(0), "box", threshold)
