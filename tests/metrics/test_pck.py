"""PCK, PCKh, PDJ and PCP: laws, then numbers by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.errors import AnnotationError, ShapeError, SkeletonError
from poseg.metrics.bootstrap import image_counts
from poseg.metrics.pairs import make_pairs
from poseg.metrics.pck import (
    THRESHOLDS,
    Stick,
    bone_sticks,
    default_sticks,
    has_size,
    pck,
    pckh,
    pcp,
    pdj,
    person_sizes,
)
from poseg.skeletons import COCO17, LSP14, SKELETONS, Skeleton

SIZES = ("box", "torso", "head")
seeds = st.integers(0, 2**32 - 1)
sizes = st.sampled_from(SIZES)


@pytest.mark.parametrize("metric", [*(lambda pairs, size=size: pck(pairs, size) for size in SIZES), pckh, pdj])
def test_exact_predictions_score_one(random_pairs, metric):
    score = metric(random_pairs(1, noise=0.0, detected=None))
    assert score.overall.value == score.auc.value == 1
    assert {part.value for part in (*score.parts.values(), *score.groups.values())} == {1}


@given(seeds, sizes, st.integers(-6, 6))
def test_the_size_of_the_image_does_not_matter(random_pairs, seed, size, power):
    pairs = random_pairs(seed)
    larger = replace(pairs, truth=pairs.truth * 2.0**power, predicted=pairs.predicted * 2.0**power)
    assert pck(larger, size).to_dict() == pck(pairs, size).to_dict()


@given(seeds, sizes)
def test_the_order_of_people_and_images_does_not_matter(random_pairs, seed, size):
    pairs = random_pairs(seed)
    rng = np.random.default_rng(seed)
    people, numbers = rng.permutation(len(pairs)), rng.permutation(pairs.num_images)
    moved = {name: getattr(pairs, name)[people] for name in ("truth", "annotated", "predicted", "detected")}
    shuffled = replace(pairs, **moved, image_index=np.argsort(numbers)[pairs.image_index[people]])
    draws = image_counts(rng, pairs.num_images, 50)
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
def test_swapping_left_and_right_in_both_poses_changes_nothing(random_pairs, seed, size):
    pairs, flip = random_pairs(seed), LSP14.flip_index
    moved = {name: getattr(pairs, name)[:, flip] for name in ("truth", "annotated", "predicted", "detected")}
    one, other = pck(pairs, size), pck(replace(pairs, **moved), size)
    assert (one.overall, one.groups) == (other.overall, other.groups)
    assert one.curve.values == other.curve.values


def test_the_torso_is_one_diagonal():
    """The one size that knows left from right: exchanging the sides takes the other diagonal."""
    rng = np.random.default_rng(3)
    pose = rng.uniform(0, 100, (1, 14, 2))
    for points in (pose, pose[:, LSP14.flip_index]):
        expected = np.linalg.norm(points[0, LSP14.index("left_shoulder")] - points[0, LSP14.index("right_hip")])
        assert person_sizes(make_pairs(LSP14, points, points), "torso")[0] == pytest.approx(expected)


@given(seeds, sizes)
def test_people_who_are_missing_are_wrong_in_every_joint(random_pairs, seed, size):
    pairs = random_pairs(seed, missing=0.0)
    detected = pairs.detected.copy()
    detected[0] = False
    whole, lacking = pck(pairs, size), pck(replace(pairs, detected=detected), size)
    rest = pck(replace(pairs, annotated=pairs.annotated & (np.arange(12) > 0)[:, None]), size)
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
    evaluated = np.array([joint != "head_top" for joint in LSP14.joints])
    score = pck(replace(pairs, evaluated_joints=evaluated), "head")  # the truth head still measures
    assert "head_top" not in score.parts
    assert "head_top" not in score.groups
    assert score.overall.count < pck(pairs, "head").overall.count
    assert "the model has no head_top" in score.protocol


def test_by_hand():
    """Box 100 x 200, torso from (100, 50) to (0, 50): 100 px; errors of 15, 25, 45 px and one joint not predicted."""
    truth = np.zeros((1, 14, 2))
    for joint, place in {
        "left_shoulder": (100, 50),
        "right_hip": (0, 50),
        "neck": (50, 0),
        "left_ankle": (60, 200),
    }.items():
        truth[0, LSP14.index(joint)] = place
    there = (truth != 0).any(axis=2)
    predicted, detected = truth.copy(), there.copy()
    predicted[0, LSP14.index("left_shoulder")] += (9, 12)
    predicted[0, LSP14.index("right_hip")] += (0, 25)
    predicted[0, LSP14.index("neck")] += (-27, 36)
    detected[0, LSP14.index("left_ankle")] = False
    pairs = make_pairs(LSP14, truth, predicted, annotated=there, detected=detected)
    assert pck(pairs, "box").overall.value == 2 / 4  # 40 px
    assert pck(pairs, "torso").overall.value == 1 / 4  # 20 px
    assert pdj(pairs, 0.5).overall.value == 3 / 4
    assert np.isnan(pckh(pairs).overall.value)
    assert "1 people without that size are left out" in pckh(pairs).protocol
    curve = dict(zip(THRESHOLDS.tolist(), pdj(pairs).curve.values, strict=True))
    assert (curve[0.14], curve[0.16], curve[0.26], curve[0.46]) == (0, 0.25, 0.5, 0.75)


def test_resamples_of_perfect_images_are_perfect(random_pairs):
    """However many people the images that are drawn hold."""
    pairs = random_pairs(4, noise=0.0, detected=None)
    score = pck(pairs, draws=image_counts(np.random.default_rng(0), pairs.num_images, 100))
    assert score.overall.interval == score.auc.interval == (1, 1)
    assert set(score.curve.low) == {1}


def test_the_interval_follows_the_images(random_pairs):
    pairs = random_pairs(7, people=200, images=80, noise=30)
    score = pck(pairs, "box", 0.1, draws=image_counts(np.random.default_rng(0), 80))
    low, high = score.overall.interval
    assert low < score.overall.value < high
    assert score.auc.interval[0] < score.auc.value < score.auc.interval[1]
    assert score.curve.low[10] == pytest.approx(low)
    assert pck(pairs, draws=np.ones((3, 80), np.int64)).overall.interval == (pck(pairs).overall.value,) * 2
    with pytest.raises(ShapeError, match="draws"):
        pck(pairs, draws=np.ones((3, 79), np.int64))


def test_no_people_give_nan():
    score = pck(
        make_pairs(LSP14, np.zeros((0, 14, 2)), np.zeros((0, 14, 2)), num_images=3), draws=np.ones((4, 3), np.int64)
    )
    assert np.isnan([score.overall.value, score.auc.value]).all()
    assert (score.overall.count, score.overall.interval, score.parts) == (0, None, {})
    assert score.to_dict()["overall"]["value"] is None


def test_invalid_pck_arguments(random_pairs):
    bird = COCO17
    assert not has_size(bird, "head")
    with pytest.raises(SkeletonError, match="no joint 'neck'"):
        pckh(random_pairs(0, skeleton=bird))
    with pytest.raises(AnnotationError, match="box, torso, head"):
        pck(random_pairs(0), "arm")
    for threshold in (-0.1, np.nan, np.inf):
        with pytest.raises(AnnotationError, match="is invalid"):
            pck(random_pairs(0), "box", threshold)


kinds = st.booleans()
TWO = Skeleton("two", ("a", "b"), (("a", "b"),))


@given(seeds, st.floats(0, 2))
def test_strictly_correct_is_loosely_correct(random_pairs, seed, alpha):
    pairs = random_pairs(seed, noise=40)
    strict, loose = (pcp(pairs, strict=kind, alpha=alpha) for kind in (True, False))
    assert strict.overall.count == loose.overall.count
    for name, part in strict.parts.items():
        assert part.value <= loose.parts[name].value


@given(seeds, kinds)
def test_a_larger_alpha_never_lowers_it(random_pairs, seed, strict):
    pairs = random_pairs(seed, noise=40)
    values = [pcp(pairs, strict=strict, alpha=alpha).overall.value for alpha in (0, 0.25, 0.5, 1, 4)]
    assert (np.diff(values) >= 0).all()


@given(seeds, kinds, st.integers(-5, 5))
def test_size_order_and_sides_do_not_matter(random_pairs, seed, strict, power):
    pairs = random_pairs(seed)
    expected = pcp(pairs, strict=strict)
    assert (
        pcp(replace(pairs, truth=pairs.truth * 2.0**power, predicted=pairs.predicted * 2.0**power), strict=strict)
        == expected
    )
    names = ("truth", "annotated", "predicted", "detected")
    rotated = replace(
        pairs, **{name: getattr(pairs, name)[::-1] for name in names}, image_index=pairs.image_index[::-1]
    )
    assert pcp(rotated, strict=strict).parts == expected.parts
    flipped = replace(pairs, **{name: getattr(pairs, name)[:, LSP14.flip_index] for name in names})
    assert pcp(flipped, strict=strict).groups == expected.groups


@given(seeds, kinds)
def test_perfect_people_score_one_and_missing_people_zero(random_pairs, seed, strict):
    pairs = random_pairs(seed, noise=0.0, detected=None)
    assert pcp(pairs, strict=strict).overall.value == 1
    lost = pcp(replace(pairs, detected=np.zeros_like(pairs.detected)), strict=strict)
    assert lost.overall.value == 0
    assert lost.overall.count == pcp(pairs, strict=strict).overall.count


@pytest.mark.parametrize(
    ("errors", "strict", "loose"), [((5, 5), 1, 1), ((6, 4), 0, 1), ((0, 9.9), 0, 1), ((6, 5), 0, 0)]
)
def test_a_stick_of_ten_pixels(errors, strict, loose):
    truth = np.array([[(0.0, 0.0), (10.0, 0.0)]])
    predicted = truth + np.array([(0.0, errors[0]), (0.0, errors[1])])
    pairs = make_pairs(TWO, truth, predicted)
    assert pcp(pairs, strict=True).overall.value == strict
    assert pcp(pairs, strict=False).overall.value == loose


def test_the_torso_goes_from_centre_to_centre():
    """Shoulders that change places leave the torso where it was, and spoil the arms."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 200, (1, 14, 2))
    predicted = truth.copy()
    sides = [LSP14.index("left_shoulder"), LSP14.index("right_shoulder")]
    truth[0, sides] = (0, 0), (200, 0)
    predicted[0, sides] = truth[0, sides[::-1]]
    score = pcp(make_pairs(LSP14, truth, predicted), strict=True, alpha=0.1)
    assert score.parts["torso"].value == 1
    assert score.groups["upper_arms"].value == 0
    assert score.groups["lower_arms"].value == 1
    assert "the centre of the shoulders" in score.protocol


def test_sticks_of_skeletons():
    assert [stick.name for stick in default_sticks(LSP14)][:3] == ["torso", "left_upper_arm", "right_upper_arm"]
    assert len(default_sticks(LSP14)) == 10
    assert {stick.group for stick in default_sticks(COCO17)} == {
        "torso", "upper_arms", "lower_arms", "upper_legs", "lower_legs"
    }  # fmt: skip
    assert [stick.name for stick in default_sticks(TWO)] == ["a-b"]


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda skeleton: skeleton.name)
def test_a_bone_and_its_flipped_image_are_one_group(skeleton):
    sticks = bone_sticks(skeleton)
    assert len(sticks) == len(skeleton.bones)
    for stick in sticks:
        image = {skeleton.joints[skeleton.flip_index[skeleton.index(joint)]] for joint in stick.joints}
        others = [other for other in sticks if set(other.joints) == image]
        assert all(other.group == stick.group for other in others)


def test_sticks_that_do_not_count(random_pairs):
    pairs = random_pairs(2, missing=0.0)
    evaluated = np.array([joint != "head_top" for joint in LSP14.joints])
    score = pcp(replace(pairs, evaluated_joints=evaluated), strict=True)
    assert "head" not in score.parts
    assert "9 of 10 sticks (not head)" in score.protocol
    flat = make_pairs(TWO, np.zeros((1, 2, 2)), np.zeros((1, 2, 2)))
    assert np.isnan(pcp(flat, strict=True).overall.value)  # a stick without length
    no_people = make_pairs(LSP14, np.zeros((0, 14, 2)), np.zeros((0, 14, 2)), num_images=2)
    assert pcp(no_people, strict=False, draws=np.ones((3, 2), np.int64)).overall.count == 0


def test_invalid_pcp_arguments(random_pairs):
    with pytest.raises(AnnotationError, match="alpha"):
        pcp(random_pairs(0), strict=True, alpha=float("nan"))
    with pytest.raises(SkeletonError, match="no joint 'tail'"):
        pcp(random_pairs(0), strict=True, sticks=[Stick("tail", "tail", ("left_hip",), ("tail",))])
    with pytest.raises(SkeletonError, match="give `sticks`"):
        pcp(random_pairs(0), strict=True, sticks=[])
