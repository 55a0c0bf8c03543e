"""Mirrored and rescaled views of one picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from poseg.codecs import PersonLabCodec
from poseg.codecs.fusion import fuse_fields, mirror_fields
from poseg.errors import FieldError, SkeletonError
from poseg.fields import Fields
from poseg.people import People
from poseg.skeletons import COCO17, Skeleton

Crowd = Callable[..., People]


def noise(seed: int, cells: tuple[int, int] = (9, 11)) -> Fields:
    rng, specs = np.random.default_rng(seed), PersonLabCodec().specs
    return Fields(specs, {s.name: 5 * rng.normal(size=(*s.shape, *cells)).astype(np.float32) for s in specs})


def test_mirroring_twice_is_nothing() -> None:
    fields = noise(0)
    again = mirror_fields(mirror_fields(fields, COCO17), COCO17)
    for name in fields:
        np.testing.assert_array_equal(again[name], fields[name])


def test_mirrored_fields_are_those_of_mirrored_people(crowd: Crowd) -> None:
    people, codec = crowd(2, (161, 161), 70), PersonLabCodec(stride=8)
    mirrored = replace(
        people,
        keypoints=people.keypoints[:, COCO17.mirror] * np.array([-1, 1]) + np.array([161, 0]),
        masks=people.masks[:, :, ::-1],
    )
    painted = codec.encode(mirrored, (161, 161)).as_fields()
    turned = mirror_fields(codec.encode(people, (161, 161)).as_fields(), COCO17)
    for name in ("heatmap", "short_offsets", "mid_offsets", "segmentation"):
        np.testing.assert_allclose(turned[name], painted[name], atol=1e-3, err_msg=name)


def test_fusing_a_view_with_itself_or_its_mirrored_mirror_is_nothing() -> None:
    fields = noise(1)
    fused = fuse_fields([fields, mirror_fields(mirror_fields(fields, COCO17), COCO17)], [1, 1], COCO17)
    for name in fields:
        np.testing.assert_allclose(
            fused[name],
            np.clip(fields[name], -13.8, 13.8) if name in ("heatmap", "segmentation") else fields[name],
            rtol=0.02,
            atol=1e-3,
        )


@pytest.mark.parametrize("scales", [(1, 2), (0.5, 1.0), (2, 1)])
def test_people_seen_at_two_scales_are_found_where_they_are_in_the_larger(
    crowd: Crowd, scales: tuple[float, ...]
) -> None:
    large, codec = crowd(3, (321, 321), 140), PersonLabCodec(stride=8)
    ratio = max(scales) / min(scales)
    cells = np.arange(161) * ratio
    small = People.from_poses(
        COCO17,
        large.keypoints / ratio,
        np.ones((3, 17)),
        masks=large.masks[:, cells.astype(int)][:, :, cells.astype(int)],
    )
    views = [
        codec.encode(large if scale == max(scales) else small, (321, 321) if scale == max(scales) else (161, 161))
        for scale in scales
    ]
    fused = fuse_fields([view.as_fields() for view in views], scales, COCO17)
    assert fused.cells == (41, 41)
    found = codec.decode(fused)
    apart = np.linalg.norm(found.keypoints[:, None] - large.keypoints, axis=3).mean(axis=2)
    assert sorted(apart.argmin(axis=1)) == [0, 1, 2]
    assert apart.min(axis=1).max() < 1


def test_offsets_count_where_their_joint_is_likely() -> None:
    sure, unsure = noise(2), noise(3)
    sure["heatmap"][:], unsure["heatmap"][:] = 9, -9
    sure["segmentation"][:], unsure["segmentation"][:] = 9, -9
    fused = fuse_fields([sure, unsure], [1, 1], COCO17)
    for name in ("short_offsets", "mid_offsets", "long_offsets"):
        np.testing.assert_allclose(fused[name], sure[name], atol=0.02)
    np.testing.assert_allclose(fused["heatmap"], 0, atol=1e-3)


@pytest.mark.parametrize("scales", [[], [1.0], [1.0, 0.0]])
def test_views_and_scales_must_go_together(scales: list[float]) -> None:
    with pytest.raises(FieldError, match="scale above 0"):
        fuse_fields([noise(0)] * (2 if scales else 0), scales, COCO17)


def test_a_lopsided_tree_cannot_be_mirrored() -> None:
    skeleton = Skeleton(
        "lopsided", ("left_eye", "right_eye", "nose"), (("left_eye", "right_eye"), ("right_eye", "nose"))
    )
    codec = PersonLabCodec(skeleton)
    fields = Fields(codec.specs, {s.name: np.zeros((*s.shape, 2, 2), np.float32) for s in codec.specs})
    with pytest.raises(SkeletonError, match="mirrored"):
        mirror_fields(fields, skeleton)
