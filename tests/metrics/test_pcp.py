"""PCP: laws of both kinds, then numbers by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.errors import AnnotationError, SkeletonError
from poseg.metrics.pairs import pair_up
from poseg.metrics.pcp import Stick, bone_sticks, pcp, sticks_of
from poseg.skeletons import COCO17, LSP14, SKELETONS, Skeleton

seeds = st.integers(0, 2**32 - 1)
kinds = st.booleans()
TWO = Skeleton("two", ("a", "b"), (("a", "b"),))


@given(seeds, st.floats(0, 2))
def test_what_is_right_strictly_is_right_loosely(random_pairs, seed, alpha):
    pairs = random_pairs(seed, spread=40)
    strict, loose = (pcp(pairs, strict=kind, alpha=alpha) for kind in (True, False))
    assert strict.overall.count == loose.overall.count
    for name, part in strict.parts.items():
        assert part.value <= loose.parts[name].value


@given(seeds, kinds)
def test_a_larger_alpha_never_lowers_it(random_pairs, seed, strict):
    pairs = random_pairs(seed, spread=40)
    values = [pcp(pairs, strict=strict, alpha=alpha).overall.value for alpha in (0, 0.25, 0.5, 1, 4)]
    assert (np.diff(values) >= 0).all()


@given(seeds, kinds, st.integers(-5, 5))
def test_size_order_and_sides_do_not_matter(random_pairs, seed, strict, power):
    pairs = random_pairs(seed)
    wanted = pcp(pairs, strict=strict)
    assert pcp(replace(pairs, true=pairs.true * 2.0**power, found=pairs.found * 2.0**power), strict=strict) == wanted
    names = ("true", "annotated", "found", "placed")
    turned = replace(pairs, **{name: getattr(pairs, name)[::-1] for name in names}, picture=pairs.picture[::-1])
    assert pcp(turned, strict=strict).parts == wanted.parts
    mirrored = replace(pairs, **{name: getattr(pairs, name)[:, LSP14.flip_index] for name in names})
    assert pcp(mirrored, strict=strict).groups == wanted.groups


@given(seeds, kinds)
def test_perfect_people_score_one_and_missing_people_nothing(random_pairs, seed, strict):
    pairs = random_pairs(seed, spread=0.0, placed=None)
    assert pcp(pairs, strict=strict).overall.value == 1
    lost = pcp(replace(pairs, placed=np.zeros_like(pairs.placed)), strict=strict)
    assert lost.overall.value == 0
    assert lost.overall.count == pcp(pairs, strict=strict).overall.count


@pytest.mark.parametrize(
    ("errors", "strict", "loose"), [((5, 5), 1, 1), ((6, 4), 0, 1), ((0, 9.9), 0, 1), ((6, 5), 0, 0)]
)
def test_a_stick_of_ten_pixels(errors, strict, loose):
    true = np.array([[(0.0, 0.0), (10.0, 0.0)]])
    found = true + np.array([(0.0, errors[0]), (0.0, errors[1])])
    pairs = pair_up(TWO, true, found)
    assert pcp(pairs, strict=True).overall.value == strict
    assert pcp(pairs, strict=False).overall.value == loose


def test_the_torso_goes_from_middle_to_middle():
    """Shoulders that change places leave the torso where it was, and spoil the arms."""
    rng = np.random.default_rng(0)
    true = rng.uniform(0, 200, (1, 14, 2))
    found = true.copy()
    sides = [LSP14.index("left_shoulder"), LSP14.index("right_shoulder")]
    true[0, sides] = (0, 0), (200, 0)
    found[0, sides] = true[0, sides[::-1]]
    score = pcp(pair_up(LSP14, true, found), strict=True, alpha=0.1)
    assert score.parts["torso"].value == 1
    assert score.groups["upper_arms"].value == 0
    assert score.groups["lower_arms"].value == 1
    assert "the middle of the shoulders" in score.protocol


def test_sticks_of_skeletons():
    assert [stick.name for stick in sticks_of(LSP14)][:3] == ["torso", "left_upper_arm", "right_upper_arm"]
    assert len(sticks_of(LSP14)) == 10
    assert {stick.group for stick in sticks_of(COCO17)} == {
        "torso", "upper_arms", "lower_arms", "upper_legs", "lower_legs"
    }  # fmt: skip
    assert [stick.name for stick in sticks_of(TWO)] == ["a-b"]


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda skeleton: skeleton.name)
def test_a_bone_and_its_mirror_image_are_one_group(skeleton):
    sticks = bone_sticks(skeleton)
    assert len(sticks) == len(skeleton.bones)
    for stick in sticks:
        image = {skeleton.joints[skeleton.flip_index[skeleton.index(joint)]] for joint in stick.joints}
        others = [other for other in sticks if set(other.joints) == image]
        assert all(other.group == stick.group for other in others)


def test_what_does_not_count(random_pairs):
    pairs = random_pairs(2, missing=0.0)
    known = np.array([joint != "head_top" for joint in LSP14.joints])
    score = pcp(replace(pairs, known=known), strict=True)
    assert "head" not in score.parts
    assert "9 of 10 sticks (not head)" in score.protocol
    flat = pair_up(TWO, np.zeros((1, 2, 2)), np.zeros((1, 2, 2)))
    assert np.isnan(pcp(flat, strict=True).overall.value)  # a stick without length
    nobody = pair_up(LSP14, np.zeros((0, 14, 2)), np.zeros((0, 14, 2)), pictures=2)
    assert pcp(nobody, strict=False, draws=np.ones((3, 2), np.int64)).overall.count == 0


def test_bad_input(random_pairs):
    with pytest.raises(AnnotationError, match="alpha"):
        pcp(random_pairs(0), strict=True, alpha=float("nan"))
    with pytest.raises(SkeletonError, match="no joint 'tail'"):
        pcp(random_pairs(0), strict=True, sticks=[Stick("tail", "tail", ("left_hip",), ("tail",))])
    with pytest.raises(SkeletonError, match="give `sticks`"):
        pcp(random_pairs(0), strict=True, sticks=[])
