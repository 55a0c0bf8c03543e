"""Which person a cell points at, and what becomes of it between cells."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseg.codecs.decoder_config import CORAL, DEFAULT, TFJS, PersonLabDecoder
from poseg.codecs.mask_rendering import mask_scores, render_masks, upsample_block
from poseg.codecs.personlab import PersonLabCodec
from poseg.codecs.pixel_assignment import (
    PixelAssignment,
    assignment_margins,
    cell_embeddings,
    coral_distance,
    geometric_embedding,
    paper_distance,
    tfjs_distance,
    webgl_distance,
)
from poseg.fields import Fields
from poseg.geometry.grid import Grid


def scene(seed: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    keypoints = rng.uniform(0, 400, (3, 17, 2)).astype(np.float32)
    embedding = (keypoints[rng.integers(0, 3, 40)] + rng.normal(0, 30, (40, 17, 2))).astype(np.float32)
    return embedding, keypoints, rng.random((3, 17)).astype(np.float32), rng.uniform(50, 300, 3).astype(np.float32)


@given(seed=st.integers(0, 999))
@settings(max_examples=25, deadline=None)
def test_distance_is_the_papers_where_it_matters_and_beyond_it_elsewhere(seed: int) -> None:
    embedding, keypoints, weights, scales = scene(seed)
    length = np.linalg.norm(embedding[:, None] - keypoints, axis=3)
    plain = (length * weights).sum(axis=2) / weights.sum(axis=1) / scales
    np.testing.assert_allclose(paper_distance(embedding, keypoints, weights, scales, np.inf), plain, rtol=1e-3)
    cut = paper_distance(embedding, keypoints, weights, scales, 0.25)
    np.testing.assert_allclose(cut[plain <= 0.25], plain[plain <= 0.25], rtol=1e-3)
    assert (cut[plain > 0.2501] > 0.25).all()
    assert (cut <= plain * 1.001).all()


def test_a_person_without_weight_is_infinitely_far() -> None:
    embedding, keypoints, weights, scales = scene(0)
    weights[1] = 0
    for distance in (paper_distance, tfjs_distance, webgl_distance):
        got = distance(embedding, keypoints, weights, scales, np.inf)
        assert np.isinf(got[:, 1]).all()
        assert np.isfinite(got[:, 0]).all()


def test_published_distances_differ_in_the_joints_that_count() -> None:
    embedding, keypoints, weights, scales = scene(1)
    square = ((embedding[:, None] - keypoints) ** 2).sum(axis=3)
    sure = weights > 0.3
    every = webgl_distance(embedding, keypoints, weights, scales, np.inf)
    np.testing.assert_allclose(every, (square * sure).sum(axis=2) / sure.sum(axis=1), rtol=1e-4)
    face = tfjs_distance(embedding, keypoints, weights, scales, np.inf)
    np.testing.assert_allclose(face, (square * sure)[..., :5].sum(axis=2) / sure[:, :5].sum(axis=1), rtol=1e-4)
    plain = coral_distance(embedding, keypoints, weights, scales, np.inf)
    np.testing.assert_allclose(plain, square.sum(axis=2), rtol=1e-4)


@given(seed=st.integers(0, 999), threshold=st.sampled_from([0.25, 1.0, np.inf]))
@settings(max_examples=25, deadline=None)
def test_at_most_one_person_within_the_threshold_has_a_positive_margin(seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    distances, scores = rng.exponential(0.5, (30, 4)).astype(np.float32), rng.uniform(0.1, 1, 4).astype(np.float32)
    within = distances < threshold
    for trust in (np.ones(4, np.float32), scores):
        margin = assignment_margins(distances, trust, threshold, exclusive=True)
        best = np.arange(4) == np.where(within, distances / trust, np.inf).argmin(axis=1)[:, None]
        np.testing.assert_array_equal(margin > 0, best & within)
        assert np.abs(margin).max() <= 1
        np.testing.assert_array_equal(assignment_margins(distances, trust, threshold, exclusive=False) > 0, within)


def test_infinite_distances_and_thresholds_give_finite_margins() -> None:
    distances, scores = np.array([[np.inf, 1.0], [np.inf, np.inf]], np.float32), np.ones(2, np.float32)
    np.testing.assert_array_equal(assignment_margins(distances, scores, np.inf, exclusive=True), [[-1, 1], [-1, -1]])
    np.testing.assert_array_equal(assignment_margins(distances[:, 1:], scores[:1], np.inf, exclusive=True), [[1], [-1]])


@pytest.mark.parametrize("stride", [4, 8, 16, 32])
def test_values_between_cells_are_bilinear_and_those_at_cells_are_kept(stride: int) -> None:
    values = np.random.default_rng(0).random((4, 5)).astype(np.float32)
    full = upsample_block(values, Grid(stride), 0, 0, 3 * stride + 1, 4 * stride + 1)
    np.testing.assert_allclose(full[::stride, ::stride], values, atol=1e-6)
    np.testing.assert_allclose(full[stride // 2, ::stride], (values[0] + values[1]) / 2, atol=1e-6)
    block = upsample_block(values, Grid(stride), stride, 2 * stride, stride + 1, stride + 1)
    np.testing.assert_allclose(block, full[stride : 2 * stride + 1, 2 * stride : 3 * stride + 1], atol=1e-6)


def test_pixels_halfway_between_two_people_are_the_first_ones() -> None:
    margin = np.array([[1, -1], [-1, 1]], np.float32)
    for order in ([0, 1], [1, 0]):
        masks, boxes = render_masks(
            PixelAssignment(np.ones((1, 2), np.float32), np.arange(2), margin[:, order], Grid(4)), 0.5, True
        )
        assert masks.sum(axis=0).tolist() == [[1, 1, 1, 1, 1]]
        assert masks[0].sum() == 3
        assert sorted(boxes.tolist()) == sorted([[0, 0, 2 + order[1], 1], [2 + order[1], 0, 5, 1]])


def test_cells_that_are_not_person_have_no_say_in_whose_the_edge_is() -> None:
    """A person cell beside a background cell: whatever the latter points at, the edge lies at one half."""
    probability = np.array([[1.0, 0.0]], np.float32)
    for says in (-1.0, 1.0):
        masks, boxes = render_masks(
            PixelAssignment(probability, np.arange(2), np.array([[1.0], [says]], np.float32), Grid(8)), 0.5, True
        )
        assert masks[0, 0].tolist() == [True] * 5 + [False] * 4
        assert boxes[0].tolist() == [0, 0, 5, 1]


def test_nobody_claims_nothing() -> None:
    masks, boxes = render_masks(
        PixelAssignment(np.ones((2, 2), np.float32), np.arange(4), -np.ones((4, 1), np.float32), Grid(8)), 0.5, True
    )
    assert not masks.any()
    assert not boxes.any()


@pytest.mark.parametrize("decoding", [DEFAULT, CORAL, TFJS], ids=["best", "coral", "tfjs"])
def test_cells_point_where_their_positions_do(decoding: PersonLabDecoder) -> None:
    codec, rng = PersonLabCodec(stride=8), np.random.default_rng(0)
    arrays = {spec.name: rng.normal(0, 20, (*spec.shape, 9, 12)).astype(np.float32) for spec in codec.specs}
    fields, place = Fields(codec.specs, arrays), rng.permutation(9 * 12)[:50]
    row, column = np.divmod(place, 12)
    points = codec.grid.to_image(np.stack([column, row], axis=1))
    (got,) = cell_embeddings(fields, place, [decoding])
    np.testing.assert_allclose(got, geometric_embedding(fields, points, decoding), atol=1e-3)


def test_a_mask_is_as_sure_as_its_pixels_and_as_the_joints_on_it() -> None:
    """(mean probability)^2 (1 + share) / 2."""
    person = np.full((9, 9), 0.5, np.float32)
    person[:, :4] = 0.8
    margin = np.full((81, 4), -1, np.float32)
    column = np.arange(81) % 9
    margin[column < 4, 0] = 1  # sure by 0.8
    margin[(column > 1) & (column < 7), 1] = 1  # two columns sure by 0.8, three by 0.5
    claims = PixelAssignment(person, np.arange(81), margin, Grid(8))
    keypoints = np.full((4, 17, 2), 20.5, np.float32)
    keypoints[:2, 1:] = 60.5  # on nobody's mask
    keypoints[3] = 500.0
    first = np.where(np.arange(17) < 1, 1, np.array([[0], [1 / 16], [1], [1]])).astype(np.float32)
    got = mask_scores(claims, keypoints, first, 0.3)
    np.testing.assert_allclose(got, [0.8**2, 0.62**2 * 0.75, 0.3**2 / 2, 0.3**2 / 2], atol=1e-5)
    nobody = replace(claims, margin=margin[:, :0])
    assert mask_scores(nobody, keypoints[:0], first[:0], 0.3).shape == (0,)


@given(seed=st.integers(0, 999))
@settings(max_examples=25, deadline=None)
def test_masks_are_scored_before_they_are_painted_as_if_they_were(seed: int) -> None:
    rng, grid = np.random.default_rng(seed), Grid(8)
    person = cv2.GaussianBlur(rng.random((9, 12)).astype(np.float32) * 1.6, (3, 3), 0).clip(0, 1)
    margin = rng.uniform(-1, 1, (108, 2)).astype(np.float32)
    claims = PixelAssignment(person, np.arange(108), margin, grid)
    masks, _ = render_masks(claims, 0.5, exclusive=False)
    cells = masks[:, ::8, ::8]
    mean = np.array([person[mine].mean() if mine.any() else 0.5 for mine in cells])
    keypoints = rng.integers(0, (89, 65), (2, 17, 2)) + np.float32(0.5)
    sure = rng.random((2, 17)).astype(np.float32)
    x, y = np.moveaxis(keypoints.astype(int), -1, 0)
    share = (sure * masks[[[0], [1]], y, x]).sum(axis=1) / sure.sum(axis=1)
    wanted = mean**2 * (1 + share) / 2
    np.testing.assert_allclose(mask_scores(claims, keypoints, sure, 0.5), wanted, atol=1e-5)
