"""Drawn people are the same every time, their joints lie on them, and the files hold what was drawn."""

from __future__ import annotations

import numpy as np
import pytest

from poseg.datasets.coco_people import CocoPeople
from poseg.datasets.synthetic_people import render_scene, write_synthetic_people
from poseg.geometry.rle import tight_boxes
from poseg.io.coco_json import read_coco

SIZE = (129, 161)


@pytest.mark.parametrize("people", [1, 2, 3])
def test_joints_lie_on_their_own_figure(people):
    for seed in range(5):
        sample = render_scene(np.random.default_rng(seed), SIZE, people)
        assert sample.people.masks is not None
        assert (np.asarray(sample.people.masks).sum(axis=0) <= 1).all(), "whoever is in front hides the others"
        anyone = np.asarray(sample.people.masks).any(axis=0)
        np.testing.assert_array_equal(sample.people.boxes_xyxy, tight_boxes(np.asarray(sample.people.masks)))
        for points, scores in zip(sample.people.keypoints, sample.people.keypoint_scores, strict=True):
            x, y = np.floor(points[scores > 0]).astype(int).T
            assert anyone[y, x].mean() > 0.9
            assert (scores > 0).sum() > 12


def test_render_scene_depends_on_the_seed():
    one, again, other = (render_scene(np.random.default_rng(seed), SIZE, 2) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.image, again.image)
    np.testing.assert_array_equal(one.people.keypoints, again.people.keypoints)
    assert (one.image != other.image).mean() > 0.5


def test_write_synthetic_people_round_trips(tmp_path):
    write_synthetic_people(tmp_path, images=5, size=SIZE, seed=5)
    first = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    data = CocoPeople("drawn", read_coco(tmp_path / "annotations.json"), tmp_path / "images")
    assert [len(data[i].people) for i in range(5)] == [1, 2, 1, 2, 3]
    drawn = render_scene(np.random.default_rng((5, 2)), SIZE, 2)
    read = data[1]
    np.testing.assert_array_equal(read.image, drawn.image)
    np.testing.assert_array_equal(read.people.masks, drawn.people.masks)
    seen = drawn.people.keypoint_scores > 0
    np.testing.assert_array_equal(read.people.keypoint_scores > 0, seen)
    np.testing.assert_allclose(read.people.keypoints[seen], drawn.people.keypoints[seen], atol=0.011)
    write_synthetic_people(tmp_path, images=5, size=SIZE, seed=5)
    assert {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == first
