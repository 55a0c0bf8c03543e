"""Laws of OKS, IoU and greedy matching."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from poseg.errors import ShapeError
from poseg.geometry.similarity import box_iou_matrix, greedy_match, oks_matrix
from poseg.skeletons import COCO17

SEEDS = st.integers(0, 2**32 - 1)
SIGMAS = COCO17.sigmas


def poses(rng, n):
    return rng.uniform(0, 100, (n, 17, 2))


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_oks_of_a_pose_with_itself_is_one_and_with_others_less(seed):
    people = poses(np.random.default_rng(seed), 4)
    oks = oks_matrix(people, people, areas_px=np.full(4, 500.0), sigmas=SIGMAS)
    np.testing.assert_allclose(np.diag(oks), 1)
    assert (oks[~np.eye(4, dtype=bool)] < 1).all()
    assert (oks >= 0).all()
    np.testing.assert_allclose(oks, oks.T, rtol=1e-5, atol=1e-7)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_oks_falls_with_distance_and_rises_with_area(seed):
    rng = np.random.default_rng(seed)
    pose, way = poses(rng, 1), rng.normal(size=(1, 17, 2))
    moved = np.concatenate([pose + step * way for step in (0, 1, 2, 4)])
    falling = oks_matrix(moved, pose, areas_px=[900.0], sigmas=SIGMAS)[:, 0]
    assert (np.diff(falling) < 0).all()
    wider = oks_matrix(moved[1:], pose, areas_px=[3600.0], sigmas=SIGMAS)[:, 0]
    assert (wider > falling[1:]).all()


def test_oks_is_cocos_formula():
    # One joint at distance d of a person of area A: exp(-d^2 / (2 A (2 sigma)^2)).
    oks = oks_matrix([[[3.0, 4.0]]], [[[0.0, 0.0]]], areas_px=[100.0], sigmas=[0.1])
    assert oks[0, 0] == pytest.approx(np.exp(-25 / (2 * 100 * 0.04)))


def test_hidden_joints_do_not_count():
    rng = np.random.default_rng(1)
    truth = poses(rng, 1)
    result = truth.copy()
    result[0, 5:] += 1000
    visible = np.arange(17)[None] < 5
    assert oks_matrix(result, truth, areas_px=[100.0], sigmas=SIGMAS, weights=visible)[0, 0] == pytest.approx(1)
    assert oks_matrix(result, truth, areas_px=[100.0], sigmas=SIGMAS)[0, 0] == pytest.approx(5 / 17)
    assert oks_matrix(truth, truth, areas_px=[9.0], sigmas=SIGMAS, weights=np.zeros((1, 17), bool))[0, 0] == 0


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_box_iou_agrees_with_pycocotools_and_is_symmetric(seed):
    rng = np.random.default_rng(seed)
    xywh = rng.uniform(1, 40, (6, 4))
    xyxy = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
    iou = box_iou_matrix(xyxy, xyxy[:4])
    np.testing.assert_allclose(iou, coco_mask.iou(xywh, xywh[:4], [0] * 4), atol=1e-5)
    np.testing.assert_allclose(np.diag(iou), 1, atol=1e-6)
    np.testing.assert_allclose(iou[:4], iou[:4].T, atol=1e-6)


def test_empty_boxes_and_no_people_give_no_similarity():
    assert box_iou_matrix(np.zeros((2, 4)), np.zeros((2, 4))).tolist() == [[0, 0], [0, 0]]
    assert box_iou_matrix(np.zeros((0, 4)), np.zeros((3, 4))).shape == (0, 3)
    assert oks_matrix(np.zeros((0, 17, 2)), np.zeros((3, 17, 2)), areas_px=np.ones(3), sigmas=SIGMAS).shape == (0, 3)
    assert greedy_match(np.zeros((3, 0)), 0.5).tolist() == [-1, -1, -1]


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_greedy_match_assigns_each_column_once_and_none_below_the_threshold(seed):
    similarity = np.random.default_rng(seed).random((6, 5))
    matched = greedy_match(similarity, 0.4)
    taken = matched[matched >= 0]
    assert len(set(taken)) == len(taken)
    for row in range(6):
        free = np.setdiff1d(np.arange(5), matched[:row])
        best = similarity[row, free].max(initial=0)
        assert (matched[row] == -1) == (best < 0.4)
        assert matched[row] == -1 or similarity[row, matched[row]] == best


def test_the_first_row_chooses_first():
    assert greedy_match([[0.6, 0.5], [0.9, 0.1]], 0.3).tolist() == [0, -1]


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="keypoints"):
        oks_matrix(np.zeros((2, 16, 2)), np.zeros((2, 17, 2)), areas_px=np.ones(2), sigmas=SIGMAS)
    with pytest.raises(ShapeError, match="areas_px"):
        oks_matrix(np.zeros((2, 17, 2)), np.zeros((2, 17, 2)), areas_px=np.ones(3), sigmas=SIGMAS)
    with pytest.raises(ShapeError, match="weights"):
        oks_matrix(np.zeros((2, 17, 2)), np.zeros((2, 17, 2)), areas_px=np.ones(2), sigmas=SIGMAS, weights=np.ones(17))
    with pytest.raises(ShapeError, match="similarity"):
        greedy_match(np.zeros(3), 0.5)


def test_oks_of_pairs_uses_their_own_areas_and_weights():
    rng = np.random.default_rng(0)
    poses, others = rng.uniform(0, 50, (3, 17, 2)), rng.uniform(0, 50, (2, 17, 2))
    areas, weights = rng.uniform(100, 900, (3, 2)), rng.random((3, 2, 17))
    pairs = oks_matrix(poses, others, areas_px=areas, sigmas=SIGMAS, weights=weights)
    for n in range(3):
        for m in range(2):
            one = oks_matrix(poses[[n]], others[[m]], areas_px=[areas[n, m]], sigmas=SIGMAS, weights=weights[n, [m]])
            assert pairs[n, m] == pytest.approx(one[0, 0], rel=1e-6)
