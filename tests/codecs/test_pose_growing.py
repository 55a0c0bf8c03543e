"""Growing all seeds at once is growing them one by one, in any order of the tree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseg.codecs import PAPER, TFJS, PersonLabCodec
from poseg.codecs.pose_growing import MIN_BATCH, decode_seeds, follow_edge, grow_poses, near_seeds, tree_levels
from poseg.fields import Fields
from poseg.fields.hough import Seeds
from poseg.people import People
from poseg.skeletons import COCO17, LSP14, OCHUMAN19


def noisy_fields(seed: int) -> Fields:
    rng, codec = np.random.default_rng(seed), PersonLabCodec()
    return Fields(
        codec.specs, {s.name: 12 * rng.normal(size=(*s.shape, 9, 11)).astype(np.float32) for s in codec.specs}
    )


def some_seeds(seed: int, n: int) -> Seeds:
    rng = np.random.default_rng(seed)
    score = np.sort(rng.random(n)).astype(np.float32)[::-1]
    return Seeds(rng.integers(0, 17, n), rng.uniform(-5, 165, (n, 2)).astype(np.float32), score)


def grow_by_edge(fields: Fields, seeds: Seeds, which: int, order: np.ndarray, sampling: str) -> np.ndarray:
    """One person, one edge at a time: over and over the first edge of `order` that leads somewhere new."""
    found = {int(seeds.joint[which]): seeds.position[[which]]}
    while len(found) < 17:
        for edge in order:
            source, target = (int(joint) for joint in COCO17.edges[edge])
            if source in found and target not in found:
                found[target] = follow_edge(fields, found[source], np.array([edge]), np.array([target]), 2, sampling)
                break
    return np.concatenate([found[joint] for joint in range(17)])


@given(seed=st.integers(0, 999))
@settings(max_examples=10, deadline=None)
@pytest.mark.parametrize("preset", [PAPER, TFJS], ids=["bilinear", "nearest"])
def test_decode_seeds_does_not_depend_on_the_order_of_edges(preset: object, seed: int) -> None:
    fields, seeds, rng = noisy_fields(seed), some_seeds(seed, 4), np.random.default_rng(seed)
    grown = decode_seeds(fields, COCO17, seeds, preset)
    for which in range(4):
        one = grow_by_edge(fields, seeds, which, rng.permutation(32), preset.sampling)
        np.testing.assert_allclose(grown[which], one, atol=1e-3)


@pytest.mark.parametrize("skeleton", [COCO17, LSP14, OCHUMAN19], ids=lambda skeleton: skeleton.name)
def test_tree_levels_reach_every_joint_once_from_any_root(skeleton: object) -> None:
    for root in range(len(skeleton)):
        reached = {root}
        for level in tree_levels(skeleton):
            walked = [skeleton.edges[e] for e in level[root] if e >= 0]
            assert all(source in reached and target not in reached for source, target in walked)
            reached |= {int(target) for _, target in walked}
        assert reached == set(range(len(skeleton)))


@pytest.mark.parametrize("n", [1, MIN_BATCH, 5 * MIN_BATCH])
def test_grow_poses_in_batches_accepts_the_people_of_a_plain_loop(n: int) -> None:
    fields, seeds, decoding = noisy_fields(n), some_seeds(n, n), replace(PAPER, nms_radius_px=25.0)
    grown, kept = decode_seeds(fields, COCO17, seeds, decoding), []
    for which in range(n):
        one = Seeds(seeds.joint[[which]], seeds.position[[which]], seeds.score[[which]])
        if len(kept) < decoding.max_candidates and not near_seeds(grown[kept], one, 25.0).any():
            kept.append(which)
    poses = grow_poses(seeds, fields, COCO17, decoding)
    np.testing.assert_allclose(poses.keypoints, grown[kept])
    np.testing.assert_array_equal(poses.seeds.score, seeds.score[kept])


def test_people_below_min_pose_score_suppress_no_others(crowd: Callable[..., People]) -> None:
    codec = PersonLabCodec()
    fields = codec.encode(crowd(2), (257, 257)).as_fields()
    nose = crowd(2).keypoints[:1, 0]
    seeds = Seeds(np.array([15, 0]), np.concatenate([nose + 200, nose]), np.array([1, 0.9], np.float32))
    poses = grow_poses(seeds, fields, COCO17, replace(PAPER, min_pose_score=0.5))
    assert poses.seeds.joint.tolist() == [0]
    assert len(grow_poses(seeds, fields, COCO17, PAPER)) == 2
