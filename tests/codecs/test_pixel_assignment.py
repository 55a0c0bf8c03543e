"""Cells assigned to people, masks rendered between cells, and people scored by them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseg.codecs.decoder_config import CORAL, DEFAULT, TFJS, PersonLabDecoder
from poseg.codecs.instances import assign_people, segment_people
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
from poseg.people import People
from poseg.skeletons import COCO17
from poseg.transforms.letterbox import make_letterbox


def scene(seed: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    keypoints = rng.uniform(0, 400, (3, 17, 2)).astype(np.float32)
    embedding = (keypoints[rng.integers(0, 3, 40)] + rng.normal(0, 30, (40, 17, 2))).astype(np.float32)
    return embedding, keypoints, rng.random((3, 17)).astype(np.float32), rng.uniform(50, 300, 3).astype(np.float32)


@given(seed=st.integers(0, 999))
@settings(max_examples=25, deadline=None)
def test_paper_distance_is_exact_within_the_cutoff_and_larger_elsewhere(seed: int) -> None:
    embedding, keypoints, weights, scales = scene(seed)
    length = np.linalg.norm(embedding[:, None] - keypoints, axis=3)
    plain = (length * weights).sum(axis=2) / weights.sum(axis=1) / scales
    np.testing.assert_allclose(paper_distance(embedding, keypoints, weights, scales, np.inf), plain, rtol=1e-3)
    cut = paper_distance(embedding, keypoints, weights, scales, 0.25)
    np.testing.assert_allclose(cut[plain <= 0.25], plain[plain <= 0.25], rtol=1e-3)
    assert (cut[plain > 0.2501] > 0.25).all()
    assert (cut <= plain * 1.001).all()


def test_distances_of_a_person_without_weight_are_infinite() -> None:
    embedding, keypoints, weights, scales = scene(0)
    weights[1] = 0
    for distance in (paper_distance, tfjs_distance, webgl_distance):
        got = distance(embedding, keypoints, weights, scales, np.inf)
        assert np.isinf(got[:, 1]).all()
        assert np.isfinite(got[:, 0]).all()


def test_published_distances_differ_in_the_joints_that_count() -> None:
    embedding, keypoints, weights, scales = scene(1)
    square = ((embedding[:, None] - keypoints) ** 2).sum(axis=3)
    confident = weights > 0.3
    every = webgl_distance(embedding, keypoints, weights, scales, np.inf)
    np.testing.assert_allclose(every, (square * confident).sum(axis=2) / confident.sum(axis=1), rtol=1e-4)
    face = tfjs_distance(embedding, keypoints, weights, scales, np.inf)
    np.testing.assert_allclose(
        face, (square * confident)[..., :5].sum(axis=2) / confident[:, :5].sum(axis=1), rtol=1e-4
    )
    plain = coral_distance(embedding, keypoints, weights, scales, np.inf)
    np.testing.assert_allclose(plain, square.sum(axis=2), rtol=1e-4)


@given(seed=st.integers(0, 999), threshold=st.sampled_from([0.25, 1.0, np.inf]))
@settings(max_examples=25, deadline=None)
def test_margins_are_positive_for_at_most_one_person(seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    distances, scores = rng.exponential(0.5, (30, 4)).astype(np.float32), rng.uniform(0.1, 1, 4).astype(np.float32)
    within = distances < threshold
    for weights in (np.ones(4, np.float32), scores):
        margin = assignment_margins(distances, weights, threshold, exclusive=True)
        best = np.arange(4) == np.where(within, distances / weights, np.inf).argmin(axis=1)[:, None]
        np.testing.assert_array_equal(margin > 0, best & within)
        assert np.abs(margin).max() <= 1
        np.testing.assert_array_equal(assignment_margins(distances, weights, threshold, exclusive=False) > 0, within)


def test_margins_of_infinite_distances_and_thresholds_are_finite() -> None:
    distances, scores = np.array([[np.inf, 1.0], [np.inf, np.inf]], np.float32), np.ones(2, np.float32)
    np.testing.assert_array_equal(assignment_margins(distances, scores, np.inf, exclusive=True), [[-1, 1], [-1, -1]])
    np.testing.assert_array_equal(assignment_margins(distances[:, 1:], scores[:1], np.inf, exclusive=True), [[1], [-1]])


@pytest.mark.parametrize("stride", [4, 8, 16, 32])
def test_upsample_block_is_bilinear_and_keeps_the_values_of_cells(stride: int) -> None:
    values = np.random.default_rng(0).random((4, 5)).astype(np.float32)
    full = upsample_block(values, Grid(stride), 0, 0, 3 * stride + 1, 4 * stride + 1)
    np.testing.assert_allclose(full[::stride, ::stride], values, atol=1e-6)
    np.testing.assert_allclose(full[stride // 2, ::stride], (values[0] + values[1]) / 2, atol=1e-6)
    block = upsample_block(values, Grid(stride), stride, 2 * stride, stride + 1, stride + 1)
    np.testing.assert_allclose(block, full[stride : 2 * stride + 1, 2 * stride : 3 * stride + 1], atol=1e-6)


def rendered(probability: list[list[float]], margins: list[list[float]], stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Masks and boxes of people with margins (M, N) in all cells."""
    assignment = PixelAssignment(
        np.array(probability, np.float32), np.arange(len(margins)), np.array(margins, np.float32), Grid(stride)
    )  # fmt: skip
    masks = render_masks(assignment, 0.5, True)
    return masks.full(), masks.boxes_xyxy


@pytest.mark.parametrize("order", [1, -1])
def test_render_masks_gives_pixels_halfway_between_two_people_to_the_first(order: int) -> None:
    masks, boxes = rendered([[1, 1]], [[order, -order], [-order, order]], stride=4)
    assert masks.sum(axis=0).tolist() == [[1, 1, 1, 1, 1]]
    assert masks[0].sum() == 3
    edge = 3 if order > 0 else 2
    assert sorted(boxes.tolist()) == [[0, 0, edge, 1], [edge, 0, 5, 1]]


@pytest.mark.parametrize("background_margin", [-1.0, 1.0])
def test_render_masks_ignores_margins_of_background(background_margin: float) -> None:
    """A person cell beside a background cell: whatever the latter points at, the edge lies at one half."""
    masks, boxes = rendered([[1, 0]], [[1], [background_margin]], stride=8)
    assert masks[0, 0].tolist() == [True] * 5 + [False] * 4
    assert boxes[0].tolist() == [0, 0, 5, 1]


def test_render_masks_of_a_person_without_cells_is_empty() -> None:
    masks, boxes = rendered([[1, 1], [1, 1]], [[-1]] * 4, stride=8)
    assert not masks.any()
    assert not boxes.any()


@pytest.mark.parametrize("config", [DEFAULT, CORAL, TFJS], ids=["best", "coral", "tfjs"])
def test_cell_embeddings_are_the_geometric_embeddings_of_cells(config: PersonLabDecoder) -> None:
    codec, rng = PersonLabCodec(stride=8), np.random.default_rng(0)
    arrays = {spec.name: rng.normal(0, 20, (*spec.shape, 9, 12)).astype(np.float32) for spec in codec.specs}
    fields, cells = Fields(codec.specs, arrays), rng.permutation(9 * 12)[:50]
    row, column = np.divmod(cells, 12)
    points = codec.grid.to_image(np.stack([column, row], axis=1))
    (got,) = cell_embeddings(fields, cells, [config])
    np.testing.assert_allclose(got, geometric_embedding(fields, points, config), atol=1e-3)


def test_mask_scores_weigh_probability_and_joints_on_the_mask() -> None:
    """(mean probability)^2 (1 + fraction of joints on it) / 2."""
    person = np.full((9, 9), 0.5, np.float32)
    person[:, :4] = 0.8
    margin = np.full((81, 4), -1, np.float32)
    column = np.arange(81) % 9
    margin[column < 4, 0] = 1  # probability 0.8
    margin[(column > 1) & (column < 7), 1] = 1  # two columns of 0.8, three of 0.5
    assignment = PixelAssignment(person, np.arange(81), margin, Grid(8))
    keypoints = np.full((4, 17, 2), 20.5, np.float32)
    keypoints[:2, 1:] = 60.5  # on no mask
    keypoints[3] = 500.0
    first = np.where(np.arange(17) < 1, 1, np.array([[0], [1 / 16], [1], [1]])).astype(np.float32)
    got = mask_scores(assignment, keypoints, first, 0.3)
    np.testing.assert_allclose(got, [0.8**2, 0.62**2 * 0.75, 0.3**2 / 2, 0.3**2 / 2], atol=1e-5)
    assert mask_scores(assignment.select([]), keypoints[:0], first[:0], 0.3).shape == (0,)


@given(seed=st.integers(0, 999))
@settings(max_examples=25, deadline=None)
def test_mask_scores_are_those_of_rendered_masks(seed: int) -> None:
    rng, grid = np.random.default_rng(seed), Grid(8)
    person = cv2.GaussianBlur(rng.random((9, 12)).astype(np.float32) * 1.6, (3, 3), 0).clip(0, 1)
    margin = rng.uniform(-1, 1, (108, 2)).astype(np.float32)
    assignment = PixelAssignment(person, np.arange(108), margin, grid)
    masks = render_masks(assignment, 0.5, exclusive=False).full()
    mean = np.array([person[own].mean() if own.any() else 0.5 for own in masks[:, ::8, ::8]])
    keypoints = rng.integers(0, (89, 65), (2, 17, 2)) + np.float32(0.5)
    scores = rng.random((2, 17)).astype(np.float32)
    x, y = np.moveaxis(keypoints.astype(int), -1, 0)
    fraction = (scores * masks[[[0], [1]], y, x]).sum(axis=1) / scores.sum(axis=1)
    expected = mean**2 * (1 + fraction) / 2
    np.testing.assert_allclose(mask_scores(assignment, keypoints, scores, 0.5), expected, atol=1e-5)


def test_segment_people_with_ground_truth_poses_gives_the_annotated_masks(make_scene):
    size = (257, 321)
    people = make_scene(*size).people
    codec = PersonLabCodec(stride=8)
    box = make_letterbox(size, 321, size_divisor=8, size_offset=1)
    assert box.input_size == size
    poses = People.from_poses(people.skeleton, people.keypoints, people.keypoint_scores)
    found = segment_people(codec.encode(people, size).as_fields(), poses)
    assert found.masks is not None
    assert people.masks is not None
    assert (np.diag(found.masks.iou(people.masks)) > 0.8).all()


@pytest.mark.parametrize("kept", [[True, False, True], [False, True, False], [False] * 3])
def test_assign_people_keeps_some_as_they_are_among_all(kept):
    """All people compete for pixels: those who are kept have the pixels and scores that they have among all."""
    points = np.random.default_rng(3).uniform((20, 20), (110, 110), (3, 17, 2))
    masks = np.zeros((3, 129, 129), bool)
    masks[0, :, :43], masks[1, :, 43:90], masks[2, :, 90:] = True, True, True
    codec = PersonLabCodec(stride=8)
    fields = codec.encode(People.from_poses(COCO17, points, np.ones((3, 17)), masks=masks), (129, 129)).as_fields()
    people = codec.detect(fields)
    everyone, some = (
        assign_people(codec, fields, people, DEFAULT, keep).with_masks(DEFAULT) for keep in (None, np.array(kept))
    )
    rows = np.isin(everyone.keypoints[:, 0, 0], people.keypoints[kept][:, 0, 0])
    np.testing.assert_array_equal(some.keypoints, everyone.keypoints[rows])
    np.testing.assert_allclose(some.scores, everyone.scores[rows], rtol=1e-5)
    np.testing.assert_array_equal(some.masks, everyone.masks[rows])
