"""2D joints to a lifter's input, and its output to 3D joints."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseg.codecs import CODECS, LiftingCodec
from poseg.errors import FieldError, ShapeError
from poseg.people import People
from poseg.skeletons import BODY17_3D, COCO17, LSP14, OPENPOSE18

CODEC = LiftingCodec()
laws = settings(max_examples=25, deadline=None)


def people_on(skeleton, seed: int = 0, n: int = 3) -> People:
    rng = np.random.default_rng(seed)
    k = len(skeleton)
    return People.from_poses(skeleton, rng.uniform(0, 400, (n, k, 2)), np.ones((n, k)))


@laws
@given(st.integers(0, 1000), st.integers(0, 4))
def test_decode_of_encode_gives_the_joints(seed, n):
    joints = np.random.default_rng(seed).normal(0, 400, (n, 17, 3))
    joints -= joints[:, :1]
    lifted = CODEC.decode(CODEC.encode(joints).as_fields(), people_on(BODY17_3D, n=n), np.ones(n, bool))
    np.testing.assert_allclose(lifted.keypoints_3d, joints, atol=0.01)
    assert lifted.skeleton_3d == BODY17_3D


@laws
@given(st.integers(0, 1000), st.floats(0.05, 20), st.floats(-5000, 5000), st.floats(-5000, 5000))
def test_network_inputs_do_not_depend_on_position_and_size(seed, scale, dx, dy):
    people = people_on(COCO17, seed)
    moved = replace(people, keypoints=people.keypoints * np.float32(scale) + np.float32([dx, dy]))
    read, enough = CODEC.network_inputs(people)
    np.testing.assert_allclose(CODEC.network_inputs(moved)[0], read, atol=2e-2 / min(scale, 1))
    assert enough.all()
    assert np.abs(read).max() <= 1.0 + 1e-5


@pytest.mark.parametrize("skeleton", [COCO17, LSP14, OPENPOSE18, BODY17_3D])
def test_network_inputs_take_joints_by_name_from_any_skeleton(skeleton):
    people = people_on(skeleton)
    read = CODEC.network_inputs(people)[0].reshape(3, 17, 3)
    named = people.remap_to(BODY17_3D)
    np.testing.assert_array_equal(read[..., 2] > 0, named.keypoint_scores > 0)
    assert (read[read[..., 2] == 0] == 0).all()
    wrist = BODY17_3D.index("left_wrist")
    assert (read[:, wrist, 2] == 1).all()


def test_people_with_too_few_joints_are_not_lifted_and_the_others_are():
    people = people_on(COCO17)
    scores = people.keypoint_scores.copy()
    scores[1, 4:] = 0
    people = replace(people, keypoint_scores=scores)
    _, enough = CODEC.network_inputs(people)
    assert enough.tolist() == [True, False, True]
    joints = np.random.default_rng(0).normal(size=(2, 17, 3))
    lifted = CODEC.decode(CODEC.encode(joints - joints[:, :1]).as_fields(), people, enough).keypoints_3d
    assert np.isnan(lifted[1]).all()
    np.testing.assert_allclose(lifted[[0, 2]], joints - joints[:, :1], atol=1e-3)


def test_people_whose_joints_coincide_are_not_lifted():
    people = replace(people_on(COCO17), keypoints=np.full((3, 17, 2), 7, np.float32))
    read, enough = CODEC.network_inputs(people)
    assert not enough.any()
    assert np.isfinite(read).all()


def test_joints_not_measured_have_no_weight():
    joints = np.zeros((1, 17, 3))
    joints[0, BODY17_3D.index("left_elbow")] = np.nan
    weights = CODEC.encode(joints).weights["bones"][:, 0, 0]
    lost = [BODY17_3D.index(joint) for joint in ("left_elbow", "left_wrist")]
    assert (weights[lost] == 0).all()
    assert weights.sum() == 15


def test_codec_round_trips_through_a_card():
    codec = LiftingCodec(BODY17_3D, 900.0, 5, 0.3)
    assert CODECS["lifter"].from_dict(json.loads(json.dumps(codec.to_dict())), BODY17_3D) == codec
    with pytest.raises(FieldError, match="bone_scale_mm"):
        LiftingCodec.from_dict({"min_joints": 5}, BODY17_3D)


def test_codec_rejects_bad_input():
    with pytest.raises(FieldError, match="bone_scale_mm"):
        LiftingCodec(bone_scale_mm=0)
    with pytest.raises(ShapeError, match="joints_mm"):
        CODEC.encode(np.zeros((2, 14, 3)))
    fields = CODEC.encode(np.full((1, 17, 3), 1.0)).as_fields()
    fields["bones"][2] = np.inf
    with pytest.raises(FieldError, match="not finite"):
        CODEC.decode(fields, people_on(COCO17, n=1), np.ones(1, bool))
