"""Skeletons of annotation files: spelling of names, pairs by name or number, what cannot be."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseg.errors import SkeletonError
from poseg.io.coco_skeleton import build_skeleton, built_in_skeleton, joint_names, skeleton_file_beside, unpaired_joints
from poseg.skeletons import COCO17, CROWDPOSE14, SKELETONS, Skeleton

FACE = {"joints": ["nose", "left_eye", "right_eye"], "bones": [[1, 2], [1, 3]]}

SPELLINGS = [
    lambda side, joint: f"{side} {joint}".title(),
    lambda side, joint: f"{side}{joint.title()}",
    lambda side, joint: f"{side[0].upper()}{joint.title()}",
    lambda side, joint: f"{joint}_{side[0]}",
    lambda side, joint: f"{joint}-{side}",
    lambda side, joint: f"{side[0]}.{joint}",
]


@settings(max_examples=25)
@given(st.lists(st.sampled_from(SPELLINGS), min_size=2, max_size=2), st.sampled_from(["ankle", "paw", "ear"]))
def test_joint_names_normalise_every_spelling_of_a_side(spellings, joint):
    names = [spell(side, joint) for spell, side in zip(spellings, ("left", "right"), strict=True)]
    assert joint_names([*names, "Upper Neck"]) == (f"left_{joint}", f"right_{joint}", "upper_neck")


def test_joint_names_need_both_sides():
    assert joint_names(["tail_l", "vertebra_r", "left_paw"]) == ("tail_l", "vertebra_r", "left_paw")


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda skeleton: skeleton.name)
def test_built_in_skeletons_are_recognised(skeleton):
    assert built_in_skeleton(joint_names(skeleton.joints)) is skeleton
    assert build_skeleton({"joints": [joint.replace("_", " ").title() for joint in skeleton.joints]}) is skeleton


def test_head_may_be_head_top():
    assert build_skeleton({"joints": [*CROWDPOSE14.joints[:12], "head", "neck"], "bones": [[16, 14]]}) is CROWDPOSE14


def test_file_entries_override_built_in_skeletons():
    own = build_skeleton({"joints": list(COCO17.joints), "sigmas": [0.05] * 17})
    assert (own.tree, own.sigmas[0]) == (COCO17.tree, 0.05)


def test_build_skeleton_without_names_is_coco17():
    assert build_skeleton({}) is COCO17
    with pytest.raises(SkeletonError, match="keypoints of 14 joints without names"):
        build_skeleton({}, 14)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bones": [[0, 1]]}, "joint number 0, expected 1 to 3"),
        ({"bones": [[1, 4]]}, "joint number 4"),
        ({"bones": [[1, 2, 3]]}, "not a pair"),
        ({"bones": [[1, 2.5]]}, "not a pair"),
        ({"bones": 7}, "expected a list of bones, got int"),
        ({"bones": [["nose", "tail"]]}, "names 'tail', which is not among"),
        ({"joints": ["nose", "nose", "eye"]}, "twice"),
        ({"joints": "nose"}, "expected a list of joint names, got str"),
        ({"sigmas": [0.1]}, "3 joints but 1 sigmas"),
        ({"sigmas": [0.1, -1, 0.1]}, "not positive"),
        ({"flip_pairs": [[1, 2]]}, "nose and left_eye; write names, or numbers counted from 1"),
        ({"flip_pairs": [["left_eye", "right_eye"], ["left_eye", "nose"]]}, "a flip pair is"),
        ({"tree": [[1, 2]]}, "does not join its 3 joints"),
    ],
)
def test_invalid_descriptions_are_explained(changes, message):
    with pytest.raises(SkeletonError, match=message):
        build_skeleton(FACE | changes)


def test_pairs_with_a_repeated_joint_are_rejected():
    with pytest.raises(SkeletonError, match="flip pairs of skeleton x name a joint twice"):
        Skeleton("x", ("a", "b", "c"), (("a", "b"), ("b", "c")), flip_pairs=(("a", "b"), ("b", "c")))


def test_unpaired_joints_are_listed():
    assert unpaired_joints(build_skeleton(FACE)) == ()
    lonely = Skeleton("x", ("nose", "left_eye", "eye_r"), (("nose", "left_eye"), ("nose", "eye_r")))
    assert unpaired_joints(lonely) == ("left_eye", "eye_r")


def test_skeleton_file_beside_finds_the_toml(tmp_path):
    assert skeleton_file_beside(tmp_path / "a.json") is None
    (tmp_path / "a.toml").touch()
    for name in ("a.json", "a.json.gz"):
        assert skeleton_file_beside(tmp_path / name) == tmp_path / "a.toml"
