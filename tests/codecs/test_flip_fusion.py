"""Mirrored and rescaled views of one picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from poseg.codecs import PersonLabCodec, PoSegCodec
from poseg.codecs.flip_fusion import average_over_scales, flip_fields, fuse_fields
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
    mirrors = PersonLabCodec().flip_rules
    again = flip_fields(flip_fields(fields, mirrors), mirrors)
    for name in fields:
        np.testing.assert_array_equal(again[name], fields[name])


def test_mirrored_fields_are_those_of_mirrored_people(crowd: Crowd) -> None:
    people, codec = crowd(2, (161, 161), 70), PersonLabCodec(stride=8)
    mirrored = replace(
        people,
        keypoints=people.keypoints[:, COCO17.flip_index] * np.array([-1, 1]) + np.array([161, 0]),
        masks=np.asarray(people.masks)[:, :, ::-1],
    )
    painted = codec.encode(mirrored, (161, 161)).as_fields()
    turned = flip_fields(codec.encode(people, (161, 161)).as_fields(), codec.flip_rules)
    for name in ("heatmap", "short_offsets", "mid_offsets", "segmentation"):
        np.testing.assert_allclose(turned[name], painted[name], atol=1e-3, err_msg=name)


def test_fusing_a_view_with_itself_or_its_mirrored_mirror_is_nothing() -> None:
    fields = noise(1)
    mirrors = PersonLabCodec().flip_rules
    fused = fuse_fields([fields, flip_fields(flip_fields(fields, mirrors), mirrors)], COCO17)
    for name in fields:
        np.testing.assert_allclose(
            fused[name],
            np.clip(fields[name], -13.8, 13.8) if name in ("heatmap", "segmentation") else fields[name],
            rtol=0.02,
            atol=1e-3,
        )


def test_offsets_count_where_their_joint_is_likely() -> None:
    sure, unsure = noise(2), noise(3)
    sure["heatmap"][:], unsure["heatmap"][:] = 9, -9
    sure["segmentation"][:], unsure["segmentation"][:] = 9, -9
    fused = fuse_fields([sure, unsure], COCO17)
    for name in ("short_offsets", "mid_offsets", "long_offsets"):
        np.testing.assert_allclose(fused[name], sure[name], atol=0.02)
    np.testing.assert_allclose(fused["heatmap"], 0, atol=1e-3)


def test_only_fields_of_one_size_are_fused() -> None:
    fields = noise(0)
    smaller = Fields(fields.specs, {name: array[..., :-1, :] for name, array in fields.arrays.items()})
    for views in ([], [fields, smaller]):
        with pytest.raises(FieldError, match="one size"):
            fuse_fields(views, COCO17)


def test_a_mean_over_looks_lies_where_each_of_them_saw_it() -> None:
    """Fields that are linear in the picture's x and y are the same in every size, whatever is mixed."""
    codec = PoSegCodec()
    sizes = {1.0: (13, 17), 0.5: (7, 9)}

    def look(scale: float, gain: float) -> Fields:
        x, y = codec.grid.positions(*sizes[scale]) / scale
        plane = gain * (0.1 * x - 0.2 * y + 3)
        return Fields(codec.specs, {s.name: np.broadcast_to(plane, (*s.shape, *plane.shape)) for s in codec.specs})

    finest = look(1.0, 1)
    # Cells beyond the outermost of a coarser look read its border.
    places = np.clip(codec.grid.positions(*finest.shape_hw).reshape(2, -1).T, 1, 97)
    mixed = average_over_scales(finest, [(finest, places), (look(0.5, 3), places / 2)], codec.average_over_scales)
    x, y = places.T.reshape(2, *finest.shape_hw)
    np.testing.assert_allclose(mixed["segmentation"], 2 * (0.1 * x - 0.2 * y + 3), atol=1e-3)
    np.testing.assert_array_equal(mixed["paf"], finest["paf"])
    same = average_over_scales(
        finest, [(finest, codec.grid.positions(*finest.shape_hw).reshape(2, -1).T)], codec.average_over_scales
    )
    np.testing.assert_allclose(same["segmentation"], finest["segmentation"], atol=1e-5)


def test_a_lopsided_tree_cannot_be_mirrored() -> None:
    skeleton = Skeleton(
        "lopsided", ("left_eye", "right_eye", "nose"), (("left_eye", "right_eye"), ("right_eye", "nose"))
    )
    codec = PersonLabCodec(skeleton)
    fields = Fields(codec.specs, {s.name: np.zeros((*s.shape, 2, 2), np.float32) for s in codec.specs})
    with pytest.raises(SkeletonError, match="flipped"):
        flip_fields(fields, codec.flip_rules)
