"""Facts that the published Coral decoder is tested with (libcoral, posenet_decoder_test.cc), asked of our functions.

Coral counts in cells, so the grid here has a stride of one pixel; points are given y before x, as there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from poseg.codecs.decoder_config import CORAL
from poseg.codecs.flip_fusion import fuse_fields
from poseg.codecs.pixel_assignment import coral_distance, geometric_embedding
from poseg.codecs.pose_growing import follow_edge, near_seeds
from poseg.codecs.pose_scoring import soft_nms
from poseg.fields import Fields, FieldSpec
from poseg.fields.hough import Seeds
from poseg.geometry.grid import Grid
from poseg.skeletons import COCO17

GRID = Grid(1, origin=0.0)


def ramp(channels: int, span: float, low: float = 0.0) -> np.ndarray:
    """(channels, 10, 8): (y + x + c + 0.1) / span + low."""
    c, y, x = np.mgrid[:channels, :10, :8]
    return ((y + x + c + 0.1) / span + low).astype(np.float32)


def fields_of(**arrays: np.ndarray) -> Fields:
    """Fields without check of joints and edges, from vectors (C, 2, h, w)."""
    specs = tuple(FieldSpec(name, ("joint", "xy"), array.shape[:2], "px", GRID) for name, array in arrays.items())
    return Fields(specs, arrays)


def yx(points: list[tuple[float, float]] | tuple[float, float]) -> np.ndarray:
    return np.array(points, np.float32)[..., ::-1]


def ramps() -> Fields:
    short, mid, long = ramp(6, 21.1), 2 * ramp(16, 31.0) - 0.5, ramp(6, 21.1)
    return fields_of(
        short_offsets=np.stack([short[3:], short[:3]], axis=1),
        mid_offsets=np.stack([mid[[5]], mid[[1]]], axis=1),
        long_offsets=np.stack([long[3:], long[:3]], axis=1),
    )


@pytest.mark.parametrize(
    ("steps", "expected"),
    [(0, (4.161290, 3.819355)), (1, (4.639046, 4.439290)), (2, (5.168825, 5.111249)), (3, (5.755558, 5.840163))],
)
def test_follow_edge_gives_the_published_positions(steps: int, expected: tuple[float, float]) -> None:
    got = follow_edge(ramps(), yx([(4.1, 3.5)]), np.array([0]), np.array([2]), steps, "bilinear")
    np.testing.assert_allclose(got[0], yx(expected), atol=1e-5)


def test_geometric_embedding_gives_the_published_position() -> None:
    decoding = replace(CORAL, long_refine_steps=10)
    np.testing.assert_allclose(
        16 * geometric_embedding(ramps(), yx([(2, 3)]), decoding)[0, 2], yx((131.8, 112.0)), atol=0.05
    )


def test_coral_distance_prefers_the_pose_that_a_cell_points_at() -> None:
    embedding = geometric_embedding(ramps(), yx([(2, 3)]), replace(CORAL, long_refine_steps=10))
    one, none, other = (
        yx([(0, 0), (0.25, 0.5), (2, 0)]),
        np.zeros((3, 2), np.float32),
        yx([(0.1, 0.2), (0.9, 1), (3, 1)]),
    )
    for poses, nearest in (((one, none), 0), ((one, other), 1)):
        distances = coral_distance(
            embedding, np.stack(poses), np.ones((2, 3), np.float32), np.ones(2, np.float32), np.inf
        )
        assert distances[0].argmin() == nearest


@pytest.mark.parametrize(("squared_radius", "weaker"), [(0.9, 0.15), (1.5, 0.10), (2.1, 0.0)])
def test_soft_nms_gives_the_published_scores(squared_radius: float, weaker: float) -> None:
    keypoints = np.array([yx([(0, 0), (1, 1)]), yx([(0, 1), (2, 2)])])
    scores = np.array([[0.1, 0.2], [0.3, 0.4]], np.float32)
    np.testing.assert_allclose(soft_nms(keypoints, scores, squared_radius**0.5), [weaker, 0.35], atol=1e-6)


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_follow_edge_adds_constant_fields_up(steps: int) -> None:
    fields = fields_of(
        short_offsets=np.ones((3, 2, 10, 8), np.float32), mid_offsets=-np.ones((4, 2, 10, 8), np.float32)
    )
    got = follow_edge(fields, yx([(4.5, 3.25)]), np.array([3]), np.array([1]), steps, "bilinear")
    np.testing.assert_allclose(got, yx([(4.5 + steps - 1, 3.25 + steps - 1)]), atol=1e-5)


@pytest.mark.parametrize(
    ("joint", "neighbours", "edges"),
    [(0, [1, 2, 5, 6], [0, 2, 4, 10]), (5, [7, 11, 0], [5, 7, 20]), (6, [8, 12, 0], [11, 13, 26])],
)
def test_coco17_has_the_published_tree(joint: int, neighbours: list[int], edges: list[int]) -> None:
    leaving = np.flatnonzero(COCO17.edges[:, 0] == joint)
    assert leaving.tolist() == edges
    assert COCO17.edges[leaving, 1].tolist() == neighbours


def test_near_seeds_include_the_radius() -> None:
    keypoints = np.zeros((1, 2, 2), np.float32)
    seeds = Seeds(np.array([1, 1]), np.array([[3, 4], [3, 4.01]], np.float32), np.ones(2, np.float32))
    assert near_seeds(keypoints, seeds, 5.0).tolist() == [[True, False]]


def test_fuse_fields_keeps_logits_finite() -> None:
    spec = FieldSpec("segmentation", (), (), "logit", GRID)
    view = Fields((spec,), {"segmentation": np.full((2, 2), -200.0, np.float32)})
    fused = fuse_fields([view, view], COCO17)
    np.testing.assert_allclose(fused["segmentation"], -13.81551, atol=1e-4)
