"""Scores of joints and people, and suppression of duplicates."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from poseg.codecs import PersonLabCodec
from poseg.codecs.pose_scoring import (
    duplicate_joints,
    expected_oks,
    kappas,
    oks_nms,
    person_scales,
    sequential_nms,
    soft_nms,
)
from poseg.fields import Fields
from poseg.fields.hough import Votes, cast_votes
from poseg.skeletons import COCO17, LSP14

Floats = NDArray[np.float32]


def votes_from(fields: Fields) -> Votes:
    return cast_votes(fields["heatmap"], fields["short_offsets"], fields.grid, 32.0)


def one_joint(stride: int, sigma_px: float, at: tuple[float, float] = (128.0, 120.0)) -> Fields:
    """Fields in which the nose's disk votes around one point, with normal noise."""
    codec, rng = PersonLabCodec(stride=stride), np.random.default_rng(0)
    cells = codec.grid.shape(257, 257)
    gap = np.array(at)[:, None, None] - codec.grid.positions(*cells)
    arrays = {spec.name: np.zeros((*spec.shape, *cells), np.float32) for spec in codec.specs}
    arrays["heatmap"] -= 9
    arrays["heatmap"][0, np.hypot(*gap) <= 32] = 9
    arrays["short_offsets"][0] = gap + rng.normal(0, sigma_px, gap.shape)
    return Fields(codec.specs, arrays)


def oks_at(fields: Fields, reach_px: float, *joints: tuple[float, float, int]) -> Floats:
    """The expected OKS of joints, each x, y and which one."""
    reach = np.full(len(joints), reach_px, np.float32)
    return expected_oks(votes_from(fields), fields, np.array(joints, np.float32), reach, 32.0)


@pytest.mark.parametrize("stride", [4, 8, 16])
def test_expected_oks_is_one_where_votes_agree_and_zero_without_votes(stride: int) -> None:
    fields = one_joint(stride, 0.0)
    got = oks_at(fields, 2.0, (128, 120, 0), *((128, 128, joint) for joint in range(1, 17)))
    np.testing.assert_allclose(got, [1] + [0] * 16, atol=1e-4)


@pytest.mark.parametrize("reach_px", [4.0, 10.0])
def test_expected_oks_of_normal_votes_is_that_of_the_gaussian(reach_px: float) -> None:
    """E[exp(-d^2 / 2 r^2)] of normal votes of sigma s is r^2 / (r^2 + s^2)."""
    fields, sigma = one_joint(2, 3.0), 3.0
    assert oks_at(fields, reach_px, (128, 120, 0))[0] == pytest.approx(reach_px**2 / (reach_px**2 + sigma**2), abs=0.03)


def test_expected_oks_falls_with_the_distance_from_the_votes() -> None:
    fields = one_joint(8, 0.0)
    assert oks_at(fields, 5.0, (134, 120, 0))[0] == pytest.approx(np.exp(-36 / 50), abs=1e-3)


def test_person_scale_is_that_of_the_box_around_probable_joints() -> None:
    keypoints = np.zeros((3, 17, 2), np.float32)
    keypoints[:, 1], keypoints[:, 2] = (30, 40), (900, 900)
    probability = np.zeros((3, 17), np.float32)
    probability[0, :2], probability[1, :3], probability[2, 0] = 0.9, 0.9, 0.9
    np.testing.assert_allclose(person_scales(keypoints, probability), [1200**0.5, 900, 900])
    assert person_scales(np.zeros((1, 17, 2), np.float32), probability[:1])[0] > 0


def test_kappas_are_twice_the_sigmas() -> None:
    np.testing.assert_allclose(kappas(COCO17)[[0, 11]], [0.052, 0.214])
    assert len(kappas(LSP14)) == 14


def test_duplicate_joints_are_those_of_people_listed_before() -> None:
    keypoints = np.random.default_rng(0).uniform(0, 500, (1, 17, 2)).astype(np.float32).repeat(3, axis=0)
    keypoints[1, 4] += 50
    duplicate = duplicate_joints(keypoints, 10.0)
    assert not duplicate[0].any()
    assert duplicate[1].tolist() == [joint != 4 for joint in range(17)]
    assert duplicate[2].all()


def test_soft_nms_keeps_the_highest_score_and_sequential_nms_the_first() -> None:
    keypoints = np.zeros((2, 17, 2), np.float32)
    scores = np.array([[0.4] * 17, [0.8] * 17], np.float32)
    np.testing.assert_allclose(soft_nms(keypoints, scores, 10.0), [0, 0.8], atol=1e-6)
    np.testing.assert_allclose(sequential_nms(keypoints, scores, 10.0), [0.4, 0], atol=1e-6)


def test_oks_nms_drops_the_lower_score_of_two_similar_people() -> None:
    keypoints = np.random.default_rng(0).uniform(0, 300, (1, 17, 2)).astype(np.float32).repeat(3, axis=0)
    keypoints[1] += 1
    keypoints[2] += 200
    scores = np.array([[0.4] * 17, [0.8] * 17, [0.6] * 17], np.float32)
    reach = np.full((3, 17), 20.0, np.float32)
    np.testing.assert_allclose(oks_nms(keypoints, scores, reach, 0.7), [-1, 0.8, 0.6], atol=1e-6)
