"""Fields of flipped and scaled views of one image become one set of fields."""

from __future__ import annotations

from collections.abc import Callable

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


def test_flip_fields_twice_is_the_identity() -> None:
    fields, rules = noise(0), PersonLabCodec().flip_rules
    again = flip_fields(flip_fields(fields, rules), rules)
    for name in fields:
        np.testing.assert_array_equal(again[name], fields[name])


def test_flip_fields_gives_the_fields_of_flipped_people(crowd: Crowd) -> None:
    people, codec = crowd(2, (161, 161), 70), PersonLabCodec(stride=8)
    expected = codec.encode(people.flipped(161), (161, 161)).as_fields()
    flipped = flip_fields(codec.encode(people, (161, 161)).as_fields(), codec.flip_rules)
    for name in ("heatmap", "short_offsets", "mid_offsets", "segmentation"):
        np.testing.assert_allclose(flipped[name], expected[name], atol=1e-3, err_msg=name)


def test_fuse_fields_of_a_view_with_itself_is_the_identity() -> None:
    fields = noise(1)
    fused = fuse_fields([fields, fields], COCO17)
    for name in fields:
        np.testing.assert_allclose(
            fused[name],
            np.clip(fields[name], -13.8, 13.8) if name in ("heatmap", "segmentation") else fields[name],
            rtol=0.02,
            atol=1e-3,
        )


def test_fuse_fields_weighs_offsets_by_the_probability_of_their_joint() -> None:
    likely, unlikely = noise(2), noise(3)
    likely["heatmap"][:], unlikely["heatmap"][:] = 9, -9
    likely["segmentation"][:], unlikely["segmentation"][:] = 9, -9
    fused = fuse_fields([likely, unlikely], COCO17)
    for name in ("short_offsets", "mid_offsets", "long_offsets"):
        np.testing.assert_allclose(fused[name], likely[name], atol=0.02)
    np.testing.assert_allclose(fused["heatmap"], 0, atol=1e-3)


def test_fuse_fields_rejects_fields_of_different_sizes() -> None:
    fields = noise(0)
    smaller = Fields(fields.specs, {name: array[..., :-1, :] for name, array in fields.arrays.items()})
    for views in ([], [fields, smaller]):
        with pytest.raises(FieldError, match="one size"):
            fuse_fields(views, COCO17)


def test_average_over_scales_reads_each_view_at_its_own_positions() -> None:
    """Fields that are linear in the image's x and y are the same at every scale."""
    codec = PoSegCodec()
    sizes = {1.0: (13, 17), 0.5: (7, 9)}

    def view(scale: float, gain: float) -> Fields:
        x, y = codec.grid.positions(*sizes[scale]) / scale
        plane = gain * (0.1 * x - 0.2 * y + 3)
        return Fields(codec.specs, {s.name: np.broadcast_to(plane, (*s.shape, *plane.shape)) for s in codec.specs})

    finest = view(1.0, 1)
    # Cells beyond the outermost of a coarser view read its border.
    points = np.clip(codec.grid.positions(*finest.shape_hw).reshape(2, -1).T, 1, 97)
    mixed = average_over_scales(finest, [(finest, points), (view(0.5, 3), points / 2)], codec.scale_averaged_fields)
    x, y = points.T.reshape(2, *finest.shape_hw)
    np.testing.assert_allclose(mixed["segmentation"], 2 * (0.1 * x - 0.2 * y + 3), atol=1e-3)
    np.testing.assert_array_equal(mixed["paf"], finest["paf"])
    same = average_over_scales(
        finest, [(finest, codec.grid.positions(*finest.shape_hw).reshape(2, -1).T)], codec.scale_averaged_fields
    )
    np.testing.assert_allclose(same["segmentation"], finest["segmentation"], atol=1e-5)


def test_flip_fields_rejects_a_skeleton_whose_tree_is_not_symmetric() -> None:
    skeleton = Skeleton(
        "asymmetric", ("left_eye", "right_eye", "nose"), (("left_eye", "right_eye"), ("right_eye", "nose"))
    )
    codec = PersonLabCodec(skeleton)
    fields = Fields(codec.specs, {s.name: np.zeros((*s.shape, 2, 2), np.float32) for s in codec.specs})
    with pytest.raises(SkeletonError, match="flipped"):
        flip_fields(fields, codec.flip_rules)
