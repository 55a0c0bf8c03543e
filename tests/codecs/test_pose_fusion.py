"""Laws of poses fused from several views of one image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.codecs.pose_fusion import FusionConfig, ViewDetections, fuse_poses, pose_areas
from poseg.errors import PosegError, ShapeError
from poseg.people import People
from poseg.skeletons import COCO17, LSP14

WIDTH = 400.0
seeds = st.integers(0, 2**32 - 1)


def poses(rng, count):
    """People far from one another, in one pose at several sizes, with scores that are all different."""
    base = rng.normal(size=(17, 2)) * (12, 30)
    centres = np.stack([np.arange(count) * 130 + 60, rng.uniform(80, 120, count)], axis=1)
    points = base * rng.uniform(0.8, 1.2, (count, 1, 1)) + centres[:, None]
    return People.from_poses(
        COCO17, points, rng.uniform(0.3, 1, (count, 17)), scores=np.sort(rng.uniform(0.2, 0.9, count))[::-1]
    )


def jittered(rng, people, px=1.0):
    """The same people, with noise on joints and scores."""
    return People.from_poses(
        COCO17,
        people.keypoints + rng.normal(size=people.keypoints.shape) * px,
        np.clip(people.keypoint_scores + rng.normal(size=people.keypoint_scores.shape) * 0.05, 0.05, 1),
        scores=np.clip(people.scores + rng.normal(size=len(people)) * 0.05, 0.06, 1),
    )


def assert_equal_people(some, others, atol=1e-5):
    np.testing.assert_allclose(some.keypoints, others.keypoints, atol=100 * atol)
    np.testing.assert_allclose(some.keypoint_scores, others.keypoint_scores, atol=atol)
    np.testing.assert_allclose(some.scores, others.scores, atol=atol)


@st.composite
def crowds(draw):
    """Up to eight people, anywhere, also on top of one another, with any scores that fusion keeps."""
    rng, count = np.random.default_rng(draw(seeds)), draw(st.integers(0, 8))
    points = rng.normal(size=(count, 17, 2)) * (12, 30) + rng.uniform(
        0, draw(st.sampled_from([5, 60, 400])), (count, 1, 2)
    )
    confidence = rng.uniform(0, 1, (count, 17)) * (rng.random((count, 17)) > 0.2)
    scores = np.sort(rng.uniform(FusionConfig().min_score, 1, count))[::-1]
    return People.from_poses(COCO17, points, confidence, scores=scores)


@given(crowds(), st.integers(1, 5), st.sampled_from([None, (0, 0, 200, 200)]), st.floats(0.1, 2))
def test_fusing_a_view_with_itself_is_the_identity(people, times, crop_xyxy, scale):
    fused = fuse_poses([ViewDetections(people, crop_xyxy=crop_xyxy, scale=scale)] * times)
    assert_equal_people(fused.people, people)
    assert fused.votes.tolist() == fused.max_votes.tolist() == [times] * len(people)
    assert [sorted(sources) for sources in fused.sources] == [
        [(view, row) for view in range(times)] for row in range(len(people))
    ]


@given(st.lists(crowds(), min_size=1, max_size=4), seeds)
def test_the_order_of_views_does_not_matter(crowd, seed):
    rng = np.random.default_rng(seed)
    views = [ViewDetections(people, *rng.uniform(0.5, 1, 1), scale=float(rng.uniform(0.2, 1))) for people in crowd]
    views.append(ViewDetections(crowd[0][:1], crop_xyxy=(0, 0, 130, 400)))
    first, second = fuse_poses(views), fuse_poses([views[at] for at in rng.permutation(len(views))])
    for name in ("keypoints", "keypoint_scores", "scores"):
        np.testing.assert_array_equal(getattr(first.people, name), getattr(second.people, name))
    assert first.votes.tolist() == second.votes.tolist()


@given(seeds)
def test_one_more_view_that_agrees_never_lowers_a_person(seed):
    rng = np.random.default_rng(seed)
    people = poses(rng, 1)
    views = [
        ViewDetections(jittered(rng, people)),
        ViewDetections(People.empty(COCO17)),
        ViewDetections(jittered(rng, people)),
    ]
    more = [*views, ViewDetections(replace(jittered(rng, people), scores=rng.uniform(0.05, 0.9, 1).astype(np.float32)))]
    assert fuse_poses(more).people.scores[0] >= fuse_poses(views).people.scores[0]


@given(seeds)
def test_a_view_without_people_halves_the_scores_of_one_with_people(seed):
    people = poses(np.random.default_rng(seed), 2)
    fused = fuse_poses([ViewDetections(people), ViewDetections(People.empty(COCO17))])
    np.testing.assert_allclose(fused.people.scores, people.scores / 2, rtol=1e-5)


@given(seeds)
def test_fusing_flipped_views_gives_flipped_people(seed):
    rng = np.random.default_rng(seed)
    people = poses(rng, 3)
    views = [jittered(rng, people) for _ in range(3)]
    plain = fuse_poses([ViewDetections(view) for view in views]).people
    flipped = fuse_poses([ViewDetections(view.flipped(WIDTH)) for view in views]).people
    assert_equal_people(flipped, plain.flipped(WIDTH), atol=1e-4)


@given(seeds, st.floats(1.5, 4))
def test_joint_scores_fall_with_the_distance_of_the_detections(seed, factor):
    rng = np.random.default_rng(seed)
    people = poses(rng, 1)
    step = rng.normal(size=(1, 17, 2)).astype(np.float32)

    def scores(px):
        moved = replace(people, keypoints=people.keypoints + step * np.float32(px))
        return fuse_poses(
            [ViewDetections(people), ViewDetections(moved)], FusionConfig(match_oks=0)
        ).people.keypoint_scores

    assert (scores(1) <= people.keypoint_scores + 1e-6).all()
    assert (scores(factor) <= scores(1) + 1e-6).all()


def test_an_outlier_does_not_move_a_joint():
    people = poses(np.random.default_rng(0), 1)
    outlier = people.keypoints.copy()
    outlier[0, 9] += 300
    fused = fuse_poses(
        [ViewDetections(people), ViewDetections(people), ViewDetections(replace(people, keypoints=outlier))]
    ).people
    np.testing.assert_allclose(fused.keypoints, people.keypoints, atol=1e-3)
    assert fused.keypoint_scores[0, 9] == pytest.approx(people.keypoint_scores[0, 9] * np.sqrt(2 / 3), abs=1e-5)


def test_joints_of_views_at_a_larger_scale_weigh_more():
    people = poses(np.random.default_rng(0), 1)
    moved = replace(people, keypoints=people.keypoints + np.float32(1))
    for scales, fraction in {(3.0, 1.0): 0.25, (1.0, 1.0): 0.5, (0.2, 0.6): 0.75}.items():
        views = [ViewDetections(one, scale=scale) for one, scale in zip((people, moved), scales, strict=True)]
        fused = fuse_poses(views).people
        np.testing.assert_allclose(fused.keypoints, people.keypoints + np.float32(fraction), atol=0.1)
        plain = fuse_poses([replace(view, scale=1.0) for view in views]).people
        np.testing.assert_allclose(fused.keypoint_scores, plain.keypoint_scores, rtol=0.02)


def test_people_whom_a_view_shows_apart_are_never_merged():
    """Not by matching, since no view detects a person twice, and not by suppression in the end."""
    people = poses(np.random.default_rng(0), 1)
    beside = replace(people, keypoints=people.keypoints + np.float32(8), scores=people.scores * np.float32(0.9))
    both, strict = People.concatenate([people, beside]), FusionConfig(match_oks=0.3, nms_oks=0.1)
    for views in ([both], [both, both], [both, people], [people, both, beside]):
        fused = fuse_poses([ViewDetections(view) for view in views], strict)
        assert len(fused.people) == 2
    separate = fuse_poses([ViewDetections(people), ViewDetections(beside)], replace(strict, match_oks=1.0))
    assert len(separate.people) == 1, "no view shows them apart"


def test_a_view_of_another_part_of_the_image_has_no_vote():
    people = poses(np.random.default_rng(0), 1)
    elsewhere = ViewDetections(People.empty(COCO17), crop_xyxy=(200, 0, 400, 400))
    here = ViewDetections(People.empty(COCO17), crop_xyxy=(0, 0, 200, 400))
    assert fuse_poses([ViewDetections(people), elsewhere]).max_votes.tolist() == [1]
    assert fuse_poses([ViewDetections(people), elsewhere, here]).max_votes.tolist() == [2]


def test_sources_name_view_and_row_of_each_detection():
    people = poses(np.random.default_rng(0), 2)
    fused = fuse_poses([ViewDetections(people[::-1]), ViewDetections(People.empty(COCO17)), ViewDetections(people)])
    assert [sorted(sources) for sources in fused.sources] == [[(0, 1), (2, 0)], [(0, 0), (2, 1)]]


def test_pose_areas_grow_with_the_square_of_the_pose():
    people = poses(np.random.default_rng(0), 2)
    areas = pose_areas(people.keypoints, people.keypoint_scores)
    np.testing.assert_allclose(pose_areas(people.keypoints * 2, people.keypoint_scores), 4 * areas, rtol=1e-5)


def test_fusion_takes_no_people_and_rejects_no_views_and_mixed_skeletons():
    assert len(fuse_poses([ViewDetections(People.empty(COCO17))]).people) == 0
    with pytest.raises(PosegError, match="at least one view"):
        fuse_poses([])
    with pytest.raises(ShapeError, match="lsp14"):
        fuse_poses([ViewDetections(People.empty(COCO17)), ViewDetections(People.empty(LSP14))])
