"""What PoSeg's targets teach, and what they leave open where nothing is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from poseg.codecs import PoSegCodec
from poseg.errors import ShapeError
from poseg.fields.segmentation import sample_at_cells
from poseg.people import People
from poseg.skeletons import LSP14, OPENPOSE18

Crowd = Callable[..., People]
CODEC, CELLS = PoSegCodec(), (41, 47)
SIZE = CODEC.grid.size(*CELLS)
IN_BLOCKS = {"origin_px": 4.0}


@pytest.mark.parametrize(
    "codec", [CODEC, PoSegCodec(OPENPOSE18, **IN_BLOCKS), PoSegCodec(LSP14)], ids=lambda codec: codec.skeleton.name
)
def test_targets_have_the_shapes_of_the_specs(codec, crowd: Crowd):
    size = codec.grid.size(*CELLS)
    encoded = codec.encode(crowd(2, size, 150).remap_to(codec.skeleton), size)
    for spec in codec.specs:
        target, weight = encoded.targets[spec.name], encoded.weights[spec.name]
        assert target.shape == (*spec.shape, *CELLS)
        axes = [n for n, axis in zip(spec.shape, spec.axes, strict=True) if axis != "xy"]
        assert weight.shape == (*axes, *CELLS)
        assert target.dtype == weight.dtype == np.float32
    np.testing.assert_allclose(
        encoded.targets["background"], 1 - encoded.targets["heatmap"].max(axis=0), atol=1e-6
    )  # fmt: skip


@pytest.mark.parametrize("changes", [{}, IN_BLOCKS], ids=["on pixels", "in blocks"])
def test_nothing_counts_where_nothing_is_known(changes, crowd: Crowd):
    codec = replace(CODEC, **changes)
    size = codec.grid.size(*CELLS)
    people = crowd(2, size, 150)
    ignore = np.zeros(size, bool)
    ignore[100:200, 50:300] = True
    people = replace(people, masks=np.zeros((2, *size), bool)) if changes else people
    encoded = codec.encode(people, size, ignore)
    inside = sample_at_cells(ignore, codec.grid)
    for name, weight in encoded.weights.items():
        assert not weight[..., inside].any(), name
    for name in ("paf", "heatmap", "background"):
        assert encoded.weights[name][..., ~inside].all(), name


def test_around_places_where_a_joint_may_be_that_joint_does_not_count(crowd: Crowd):
    people = crowd(1, SIZE, 200)
    place, joint = np.array([300.5, 200.5], np.float32), 9
    unsure = np.array([[joint, *place]], np.float32)
    plain, encoded = CODEC.encode(people, SIZE), CODEC.encode(people, SIZE, uncertain=unsure)
    far = np.hypot(*(CODEC.grid.positions(*CELLS) - place[:, None, None])) > 3 * CODEC.sigma_px
    np.testing.assert_array_equal(encoded.weights["heatmap"][joint] > 0, far)
    np.testing.assert_array_equal(encoded.weights["background"] > 0, far)
    assert encoded.weights["heatmap"][np.arange(17) != joint].all()
    for name in ("paf", "segmentation"):
        np.testing.assert_array_equal(encoded.weights[name], plain.weights[name])
    for name in plain.targets:
        np.testing.assert_array_equal(encoded.targets[name], plain.targets[name])


def test_a_joint_that_is_known_counts_though_it_may_be_nearby_as_well(crowd: Crowd):
    people = crowd(1, SIZE, 200)
    unsure = np.array([[9, *(people.keypoints[0, 9] + 10)]], np.float32)
    encoded = CODEC.encode(people, SIZE, uncertain=unsure)
    assert encoded.weights["heatmap"][9][encoded.targets["heatmap"][9] > 0].all()
    assert not encoded.weights["heatmap"][9].all()


def test_a_limb_of_which_one_end_is_unknown_may_run_anywhere_in_its_persons_box(crowd: Crowd):
    people = crowd(2, SIZE, 170)
    sure = people.keypoint_scores.copy()
    sure[0, 9] = 0  # left wrist
    encoded = CODEC.encode(replace(people, keypoint_scores=sure), SIZE)
    x0, y0, x1, y1 = people.boxes_xyxy[0]
    x, y = CODEC.grid.positions(*CELLS)
    box = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
    assert 50 < box.sum() < box.size / 2
    on = (np.abs(encoded.targets["paf"]) > 0).any(axis=1)
    for limb, (a, b) in enumerate(CODEC.limbs):
        open_ended = "left_wrist" in (a, b)
        assert on[limb].any()
        wanted = ~box | on[limb] if open_ended else np.ones_like(box)
        np.testing.assert_array_equal(encoded.weights["paf"][limb] > 0, wanted, err_msg=f"{a} {b}")
    assert encoded.weights["heatmap"].all()


def test_people_without_any_joint_leave_their_mask_open_for_poses_and_teach_it_as_person(crowd: Crowd):
    people = crowd(2, SIZE, 150)
    assert people.masks is not None
    sure = people.keypoint_scores.copy()
    sure[1] = 0
    encoded = CODEC.encode(replace(people, keypoint_scores=sure), SIZE)
    mask = sample_at_cells(people.masks[1], CODEC.grid)
    assert mask.sum() > 20
    for name in ("paf", "heatmap", "background"):
        assert not encoded.weights[name][..., mask].any(), name
        assert encoded.weights[name][..., ~mask].all(), name
    assert (encoded.weights["segmentation"] == 1).all()
    assert (encoded.targets["segmentation"][mask] > 0.4).all()


def test_boxes_of_people_whose_mask_nobody_knows_are_open_but_for_other_masks(crowd: Crowd):
    people = crowd(2, SIZE, 150)
    assert people.masks is not None
    boxes = people.boxes_xyxy.copy()
    boxes[1] = (0, 0, 200, 200)
    masks = np.asarray(people.masks).copy()
    masks[1] = False
    encoded = CODEC.encode(replace(people, masks=masks, boxes_xyxy=boxes), SIZE)
    x, y = CODEC.grid.positions(*CELLS)
    wanted = ~((x < 200) & (y < 200)) | sample_at_cells(masks[0], CODEC.grid)
    np.testing.assert_array_equal(encoded.weights["segmentation"] > 0, wanted)
    assert encoded.weights["heatmap"].all()
    nobody_knows = CODEC.encode(replace(people, masks=None, boxes_xyxy=boxes), SIZE)
    assert not nobody_knows.weights["segmentation"][:25, :25].any()


def test_masks_have_the_size_of_the_input(crowd: Crowd):
    with pytest.raises(ShapeError, match=r"people\.masks"):
        CODEC.encode(crowd(1, (257, 257), 100), (257, 265))
