"""Laws of agreement between looks."""

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
    """People far from one another, in one pose turned and scaled a little, with scores that are all different."""
    base = rng.normal(size=(17, 2)) * (12, 30)
    places = np.stack([np.arange(count) * 130 + 60, rng.uniform(80, 120, count)], axis=1)
    points = base * rng.uniform(0.8, 1.2, (count, 1, 1)) + places[:, None]
    return People.from_poses(
        COCO17, points, rng.uniform(0.3, 1, (count, 17)), scores=np.sort(rng.uniform(0.2, 0.9, count))[::-1]
    )


def shaken(rng, people, px=1.0):
    """The same people, each joint somewhere near, with other scores."""
    return People.from_poses(
        COCO17,
        people.keypoints + rng.normal(size=people.keypoints.shape) * px,
        np.clip(people.keypoint_scores + rng.normal(size=people.keypoint_scores.shape) * 0.05, 0.05, 1),
        scores=np.clip(people.scores + rng.normal(size=len(people)) * 0.05, 0.06, 1),
    )


def mirror(people):
    order = COCO17.flip_index
    return People.from_poses(
        COCO17,
        people.keypoints[:, order] * (-1, 1) + (WIDTH, 0),
        people.keypoint_scores[:, order],
        scores=people.scores,
    )


@given(seeds, st.integers(1, 5))
def test_equal_looks_give_the_people_back(seed, times):
    people = poses(np.random.default_rng(seed), 3)
    agreed = fuse_poses([ViewDetections(people)] * times)
    np.testing.assert_allclose(agreed.people.keypoints, people.keypoints, atol=1e-3)
    np.testing.assert_allclose(agreed.people.keypoint_scores, people.keypoint_scores, atol=1e-5)
    np.testing.assert_allclose(agreed.people.scores, np.sqrt(people.scores), atol=1e-5)
    assert agreed.votes.tolist() == agreed.max_votes.tolist() == [times] * 3


@given(seeds)
def test_one_more_look_that_agrees_never_lowers_a_person(seed):
    rng = np.random.default_rng(seed)
    people = poses(rng, 1)
    looks = [
        ViewDetections(shaken(rng, people)),
        ViewDetections(People.empty(COCO17)),
        ViewDetections(shaken(rng, people)),
    ]
    more = [*looks, ViewDetections(replace(shaken(rng, people), scores=rng.uniform(0.05, 0.9, 1).astype(np.float32)))]
    assert fuse_poses(more).people.scores[0] >= fuse_poses(looks).people.scores[0]


@given(seeds)
def test_a_look_that_finds_nobody_lowers_everybody(seed):
    rng = np.random.default_rng(seed)
    looks = [ViewDetections(poses(rng, 2))]
    assert (
        fuse_poses([*looks, ViewDetections(People.empty(COCO17))]).people.scores < fuse_poses(looks).people.scores
    ).all()


@given(seeds)
def test_the_order_of_the_looks_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    people = poses(rng, 3)
    looks = [
        ViewDetections(shaken(rng, people), float(rng.uniform(0.5, 1)), scale=float(rng.uniform(0.2, 1)))
        for _ in range(4)
    ]
    looks.append(ViewDetections(people[:1], crop_xyxy=(0, 0, 130, 400)))
    first, second = fuse_poses(looks), fuse_poses([looks[place] for place in rng.permutation(len(looks))])
    assert np.array_equal(first.people.keypoints, second.people.keypoints)
    assert np.array_equal(first.people.keypoint_scores, second.people.keypoint_scores)
    assert np.array_equal(first.people.scores, second.people.scores)
    assert first.votes.tolist() == second.votes.tolist()


@given(seeds)
def test_mirrored_looks_give_mirrored_people(seed):
    rng = np.random.default_rng(seed)
    people = poses(rng, 3)
    looks = [shaken(rng, people) for _ in range(3)]
    straight, turned = (fuse_poses([ViewDetections(f(look)) for look in looks]).people for f in (lambda p: p, mirror))
    np.testing.assert_allclose(turned.keypoints, mirror(straight).keypoints, atol=1e-2)
    np.testing.assert_allclose(turned.keypoint_scores, mirror(straight).keypoint_scores, atol=1e-4)
    np.testing.assert_allclose(turned.scores, straight.scores, atol=1e-6)


@given(seeds, st.floats(1.5, 4))
def test_joints_are_less_sure_the_farther_looks_lie_apart(seed, factor):
    rng = np.random.default_rng(seed)
    people = poses(rng, 1)
    step = rng.normal(size=(1, 17, 2)).astype(np.float32)

    def sureness(px):
        moved = replace(people, keypoints=people.keypoints + step * np.float32(px))
        return fuse_poses(
            [ViewDetections(people), ViewDetections(moved)], FusionConfig(match_oks=0)
        ).people.keypoint_scores

    assert (sureness(1) <= people.keypoint_scores + 1e-6).all()
    assert (sureness(factor) <= sureness(1) + 1e-6).all()


def test_the_minority_does_not_move_a_joint():
    people = poses(np.random.default_rng(0), 1)
    stray = people.keypoints.copy()
    stray[0, 9] += 300
    agreed = fuse_poses(
        [ViewDetections(people), ViewDetections(people), ViewDetections(replace(people, keypoints=stray))]
    ).people
    np.testing.assert_allclose(agreed.keypoints, people.keypoints, atol=1e-3)
    assert agreed.keypoint_scores[0, 9] == pytest.approx(people.keypoint_scores[0, 9] * np.sqrt(2 / 3), abs=1e-5)


def test_a_joint_lies_where_it_was_seen_large():
    people = poses(np.random.default_rng(0), 1)
    moved = replace(people, keypoints=people.keypoints + np.float32(1))
    for details, share in {(3.0, 1.0): 0.25, (1.0, 1.0): 0.5, (0.2, 0.6): 0.75}.items():
        looks = [ViewDetections(one, scale=detail) for one, detail in zip((people, moved), details, strict=True)]
        agreed = fuse_poses(looks).people
        np.testing.assert_allclose(agreed.keypoints, people.keypoints + np.float32(share), atol=0.1)
        plain = fuse_poses([replace(look, scale=1.0) for look in looks]).people
        np.testing.assert_allclose(agreed.keypoint_scores, plain.keypoint_scores, rtol=0.02)


def test_one_look_never_finds_the_same_person_twice():
    people = poses(np.random.default_rng(0), 1)
    beside = replace(people, keypoints=people.keypoints + np.float32(8), scores=people.scores * np.float32(0.9))
    both = People.from_poses(
        COCO17,
        np.concatenate([people.keypoints, beside.keypoints]),
        np.concatenate([people.keypoint_scores] * 2),
        scores=np.concatenate([people.scores, beside.scores]),
    )
    agreed = fuse_poses([ViewDetections(both)], FusionConfig(match_oks=0.3, nms_oks=1.0))
    assert agreed.votes.tolist() == [1, 1]
    assert len(fuse_poses([ViewDetections(both)], FusionConfig(match_oks=0.3, nms_oks=0.1)).people) == 1


def test_a_look_at_another_part_has_no_say():
    people = poses(np.random.default_rng(0), 1)
    elsewhere = ViewDetections(People.empty(COCO17), crop_xyxy=(200, 0, 400, 400))
    here = ViewDetections(People.empty(COCO17), crop_xyxy=(0, 0, 200, 400))
    assert fuse_poses([ViewDetections(people), elsewhere]).max_votes.tolist() == [1]
    assert fuse_poses([ViewDetections(people), elsewhere, here]).max_votes.tolist() == [2]


def test_members_say_who_found_whom():
    people = poses(np.random.default_rng(0), 2)
    agreed = fuse_poses([ViewDetections(people[::-1]), ViewDetections(People.empty(COCO17)), ViewDetections(people)])
    assert [sorted(member) for member in agreed.sources] == [[(0, 1), (2, 0)], [(0, 0), (2, 1)]]


def test_areas_grow_with_the_square_of_the_pose():
    people = poses(np.random.default_rng(0), 2)
    areas = pose_areas(people.keypoints, people.keypoint_scores)
    np.testing.assert_allclose(pose_areas(people.keypoints * 2, people.keypoint_scores), 4 * areas, rtol=1e-5)


def test_nothing_to_agree_on():
    assert len(fuse_poses([ViewDetections(People.empty(COCO17))]).people) == 0
    with pytest.raises(PosegError, match="at least one look"):
        fuse_poses([])
    with pytest.raises(ShapeError, match="lsp14"):
        fuse_poses([ViewDetections(People.empty(COCO17)), ViewDetections(People.empty(LSP14))])
