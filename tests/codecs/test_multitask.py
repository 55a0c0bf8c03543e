"""Crops of people to the tasks' targets and back."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseg.codecs import CODECS, MultitaskCodec
from poseg.codecs.multitask import BONES, HEATMAP, JOINT_WINDOWS, JOINTS, PART_WINDOWS
from poseg.errors import FieldError, ShapeError, SkeletonError
from poseg.fields import Fields
from poseg.geometry import affine
from poseg.people import People
from poseg.skeletons import BODY17_3D, COCO17, LSP14

REGRESSED = (JOINTS, BONES, JOINT_WINDOWS, PART_WINDOWS)
EVERYTHING = MultitaskCodec(BODY17_3D, REGRESSED)
FLAT = MultitaskCodec()
MAPS = MultitaskCodec(
    COCO17, (HEATMAP, JOINT_WINDOWS, PART_WINDOWS), crop_size_px=(256, 192), margin=0.25, window_px=52,
    window_stride_px=21,
)  # fmt: skip
laws = settings(max_examples=25, deadline=None)


def crowd(seed: int, n: int = 3, codec: MultitaskCodec = FLAT) -> tuple[People, np.ndarray]:
    """People, each in a crop, and their 3D joints."""
    rng = np.random.default_rng(seed)
    k = len(codec.skeleton)
    height, width = codec.crop_size_px
    points = rng.uniform(14, (width - 17, height - 17), (n, k, 2))
    return People.from_poses(codec.skeleton, points, np.ones((n, k))), rng.normal(0, 300, (n, k, 3))


def same(n: int) -> np.ndarray:
    return np.repeat(affine.identity()[None], n, axis=0)


@laws
@given(st.integers(0, 1000), st.integers(0, 5))
def test_decode_of_encode_gives_the_people(seed, n):
    people, joints_mm = crowd(seed, n, EVERYTHING)
    joints_mm = joints_mm - joints_mm[:, :1]  # the pelvis is the root
    found = EVERYTHING.decode(EVERYTHING.encode(people, joints_mm).as_fields(), same(n))
    np.testing.assert_allclose(found.keypoints, people.keypoints, atol=1e-3)
    np.testing.assert_allclose(found.keypoints_3d, joints_mm, atol=0.01)
    assert (found.keypoint_scores > 0.99).all()
    assert found.skeleton_3d == BODY17_3D


@laws
@given(st.integers(0, 1000), st.integers(0, 4))
def test_decode_of_encoded_heatmaps_gives_the_people(seed, n):
    people, _ = crowd(seed, n, MAPS)
    targets = MAPS.encode(people)
    assert targets.targets[HEATMAP].shape == (17, 64, 48, n, 1)
    assert targets.weights[HEATMAP].shape == (17, n, 1)
    decoded = MAPS.decode(targets.as_fields(), same(n))
    np.testing.assert_allclose(decoded.keypoints, people.keypoints, atol=0.15)
    assert (decoded.keypoint_scores > 0.9).all()
    np.testing.assert_allclose(MAPS.heatmaps(targets.as_fields()).max(axis=(2, 3)), decoded.keypoint_scores, atol=1e-6)


def test_joints_that_a_crop_does_not_show_do_not_count_against_a_person():
    people, _ = crowd(0, 3, MAPS)
    scores = np.ones((3, 17))
    scores[1, 8:], scores[2] = 0, 0
    targets = MAPS.encode(replace(people, keypoint_scores=scores))
    decoded = MAPS.decode(targets.as_fields(), same(3))
    assert (decoded.keypoint_scores[1, 8:] == 0).all()
    assert (decoded.scores[:2] > 0.9).all()
    assert decoded.scores[2] == 0
    assert targets.weights[HEATMAP][:, :, 0].sum(axis=0).tolist() == [17, 8, 17], "a crop of no one is background"
    assert len(MAPS.decode(targets.as_fields(), same(3), min_score=0.5)) == 2


def test_decode_without_a_regressor_reads_joints_from_windows():
    codec = MultitaskCodec(tasks=(JOINT_WINDOWS,))
    people, _ = crowd(0, 4)
    decoded = codec.decode(codec.encode(people).as_fields(), same(4))
    assert np.abs(decoded.keypoints - people.keypoints).max() < codec.window_px
    assert np.abs(decoded.keypoints - people.keypoints).mean() < codec.window_stride_px / 2


def test_decode_without_windows_gives_joints_full_scores():
    codec = MultitaskCodec(tasks=(JOINTS,))
    people, _ = crowd(0)
    assert (codec.decode(codec.encode(people).as_fields(), same(3)).keypoint_scores == 1).all()


def test_decode_scores_a_joint_low_where_its_windows_are_empty():
    people, _ = crowd(0)
    fields = FLAT.encode(people).as_fields()
    fields[JOINT_WINDOWS][2] = -9
    found = FLAT.decode(fields, same(3))
    assert (found.keypoint_scores[:, 2] < 0.01).all()
    assert (np.delete(found.keypoint_scores, 2, axis=1) > 0.99).all()
    assert len(FLAT.decode(fields, same(3), min_score=0.95)) == 0


@laws
@given(st.integers(0, 1000), st.floats(-50, 500), st.floats(-50, 500), st.floats(20, 300), st.floats(20, 300))
def test_crops_hold_the_box_with_padding_and_keep_the_aspect(seed, x, y, width, height):
    (crop,) = FLAT.crops([[x, y, x + width, y + height]])
    corners = affine.apply(crop, [[x, y], [x + width, y + height]])
    longest = 112 / (1 + 2 * FLAT.margin)
    assert corners.min() >= (112 - longest) / 2 - 0.01
    assert np.isclose((corners[1] - corners[0]).max(), longest, atol=0.01)
    assert np.isclose((corners[1] - corners[0])[0] * height, (corners[1] - corners[0])[1] * width, rtol=1e-3)
    np.testing.assert_allclose(corners.mean(axis=0), 56, atol=0.01)


def test_crops_of_body_boxes_are_those_of_joint_boxes():
    joints = np.array([[100.0, 50.0, 160.0, 250.0]])
    body = joints + np.array([-1, -1, 1, 1]) * 0.1 * 200
    np.testing.assert_allclose(FLAT.crops_from_body_boxes(body), FLAT.crops(joints), atol=1e-9)


@laws
@given(st.floats(20, 300), st.floats(20, 300))
def test_crops_of_another_aspect_hold_a_body_with_an_eighth_around_it(width, height):
    (crop,) = MAPS.crops_from_body_boxes([[40, 30, 40 + width, 30 + height]])
    (x0, y0), (x1, y1) = affine.apply(crop, [[40, 30], [40 + width, 30 + height]])
    assert max((x1 - x0) / 192, (y1 - y0) / 256) == pytest.approx(1 / 1.25, abs=1e-4)
    np.testing.assert_allclose([(x0 + x1) / 2, (y0 + y1) / 2], [96, 128], atol=0.01)


@laws
@given(st.integers(0, 1000))
def test_decode_gives_joints_in_pixels_of_the_image(seed):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 400, (3, 2))
    maps = FLAT.crops(np.concatenate([low, low + rng.uniform(30, 200, (3, 2))], axis=1))
    people, _ = crowd(seed)
    found = FLAT.decode(FLAT.encode(people).as_fields(), maps)
    for there, here, one in zip(found.keypoints, people.keypoints, maps, strict=True):
        np.testing.assert_allclose(affine.apply(one, there), here, atol=0.01)


def test_encode_ignores_positions_of_joints_not_annotated_or_outside():
    people, joints_mm = crowd(1, 2, EVERYTHING)
    points, scores = people.keypoints.copy(), people.keypoint_scores.copy()
    scores[0, 3], points[1, 4] = 0, (200, 50)
    joints_mm[1, 5] = np.nan
    targets = EVERYTHING.encode(People.from_poses(BODY17_3D, points, scores), joints_mm)
    joints = targets.weights[JOINTS][..., 0]
    assert joints.shape == (17, 2)
    assert joints[3, 0] == 0
    assert joints[4, 1] == 0
    assert joints.sum() == 2 * 17 - 2
    windows = targets.weights[JOINT_WINDOWS][..., 0]
    assert (windows[3, :, 0] == 0).all(), "not annotated: it may be in any window"
    assert (windows[4, :, 1] == 1).all(), "outside: it is in none"
    assert (targets.targets[JOINT_WINDOWS][4, :, 1] == 0).all()
    held = [part for part, ends in enumerate(EVERYTHING.parts) if BODY17_3D.joints[3] in ends]
    assert held
    assert (targets.weights[PART_WINDOWS][held, :, 0] == 0).all()
    bones = targets.weights[BONES][..., 0]
    unknown = [5, *(BODY17_3D.index(child) for parent, child in BODY17_3D.tree if parent == BODY17_3D.joints[5])]
    assert (bones[unknown, 1] == 0).all()
    assert bones.sum() == 2 * 17 - len(unknown)


def test_encode_of_a_person_without_joints_teaches_empty_windows_alone():
    person = People.from_poses(LSP14, np.zeros((1, 14, 2)), np.zeros((1, 14)))
    targets = FLAT.encode(person)
    assert not targets.weights[JOINTS].any()
    for task in (JOINT_WINDOWS, PART_WINDOWS):
        assert not targets.targets[task].any()
        assert targets.weights[task].all()


def test_encode_labels_the_nearest_window_alone():
    people, _ = crowd(0)
    targets = replace(FLAT, labels="nearest").encode(people).targets[JOINT_WINDOWS]
    assert (targets.sum(axis=1) == 1).all()


@laws
@given(st.integers(0, 1000))
def test_heatmaps_of_the_crop_that_begins_further_left_flip_onto_the_same_cells(seed):
    people, _ = crowd(seed, 2, MAPS)
    points = np.array([192 - MAPS.flip_shift_px, 0]) + people.keypoints * [-1, 1]
    fields = MAPS.encode(people).as_fields()
    again = MAPS.encode(replace(people, keypoints=points[:, COCO17.flip_index])).as_fields()
    np.testing.assert_allclose(MAPS.flip_averaged(fields, again)[HEATMAP], fields[HEATMAP], atol=1e-4)


@laws
@given(st.integers(0, 1000))
def test_flip_averaged_of_a_flipped_crop_is_the_crop(seed):
    people, joints_mm = crowd(seed, 2, EVERYTHING)
    order = BODY17_3D.flip_index
    flipped = replace(people, keypoints=(np.array([112, 0]) + people.keypoints * [-1, 1])[:, order])
    flipped_mm = joints_mm[:, order] * [-1, 1, 1]
    fields = EVERYTHING.encode(people, joints_mm).as_fields()
    again = EVERYTHING.encode(flipped, flipped_mm).as_fields()
    both = EVERYTHING.flip_averaged(fields, again)
    for task in REGRESSED:
        np.testing.assert_allclose(both[task], fields[task], atol=1e-5)
    halfway = EVERYTHING.flip_averaged(fields, Fields(fields.specs, {n: 0 * a for n, a in fields.arrays.items()}))
    np.testing.assert_allclose(halfway[JOINTS], fields[JOINTS] / 2, atol=1e-6)


def test_fields_from_outputs_stacks_people_in_rows():
    rng = np.random.default_rng(0)
    outputs = {spec.name: rng.normal(size=(4, spec.channels, 1, 1)).astype(np.float32) for spec in EVERYTHING.specs}
    fields = EVERYTHING.fields_from_outputs(outputs)
    assert fields.shape_hw == (4, 1)
    np.testing.assert_array_equal(fields[BONES][:, :, 2, 0].reshape(-1), outputs[BONES][2, :, 0, 0])


def test_codec_round_trips_through_a_card():
    codec = MultitaskCodec(
        BODY17_3D, (BONES, JOINT_WINDOWS), (("neck", "nose"),), (193, 97), 0.2, 52, 21, "nearest", 900.0
    )
    plain = json.loads(json.dumps(codec.to_dict()))
    assert CODECS["multitask"].from_dict(plain, BODY17_3D) == codec
    for name in plain:
        with pytest.raises(FieldError, match="export the model again"):
            MultitaskCodec.from_dict({key: value for key, value in plain.items() if key != name}, BODY17_3D)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"tasks": ()}, FieldError, "Tasks are"),
        ({"tasks": ("joints", "joints")}, FieldError, "each once"),
        ({"tasks": ("heads",)}, FieldError, "Tasks are"),
        ({"labels": "some"}, FieldError, "nearest"),
        ({"bone_scale_mm": 0.0}, FieldError, "above 0"),
        ({"window_stride_px": 40}, FieldError, "do not cover"),
        ({"parts": (("neck", "tail"),)}, SkeletonError, "tail"),
    ],
)
def test_codec_rejects_settings_out_of_range(settings, error, words):
    with pytest.raises(error, match=words):
        MultitaskCodec(**settings)


def test_codec_rejects_bad_input():
    people, joints_mm = crowd(0, 2, EVERYTHING)
    with pytest.raises(ShapeError, match="joints_mm"):
        EVERYTHING.encode(people, joints_mm[:1])
    fields = EVERYTHING.encode(people, joints_mm).as_fields()
    fields[JOINTS][3, 0, 1, 0] = np.nan
    with pytest.raises(FieldError, match="not finite"):
        EVERYTHING.decode(fields, same(2))
    bones = MultitaskCodec(BODY17_3D, (BONES,))
    with pytest.raises(FieldError, match="has none"):
        bones.decode(bones.encode(people, joints_mm).as_fields(), same(2))
