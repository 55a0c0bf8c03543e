"""Laws of the mask refiner's codec: crops lie around people, cue maps stay in place, masks come back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.codecs import DEFAULT, PersonLabCodec
from poseg.codecs.instances import assign_people
from poseg.codecs.mask_refiner import INPUT_CHANNELS, MaskRefinerCodec
from poseg.codecs.pixel_assignment import PixelAssignment
from poseg.errors import FieldError, ShapeError
from poseg.geometry import affine
from poseg.geometry.grid import Grid, pixel_centres
from poseg.geometry.rle import tight_boxes
from poseg.people import People
from poseg.skeletons import COCO17

CODEC = MaskRefinerCodec()
SIDE = CODEC.crop_px
SIZE = (300, 360)


def ellipses(*shapes, size=SIZE) -> np.ndarray:
    """Masks of ellipses (x, y, half width, half height)."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    return np.array([((x - a) / w) ** 2 + ((y - b) / h) ** 2 < 1 for a, b, w, h in shapes]).reshape(-1, *size)


def people_of(masks) -> People:
    """People without a joint, each with a mask and a box around it."""
    n = len(masks)
    people = People.from_poses(COCO17, np.zeros((n, 17, 2)), np.zeros((n, 17)), scores=np.linspace(0.9, 0.5, n))
    return replace(people, masks=masks, boxes_xyxy=tight_boxes(masks))


def fields_of(probability):
    p = np.clip(np.asarray(probability, np.float32), 1e-4, 1 - 1e-4)
    return CODEC.fields_from_outputs({"mask": np.log(p / (1 - p))[:, None].astype(np.float32)})


@pytest.mark.parametrize("exclusive", [True, False])
def test_decode_of_encode_gives_the_masks(exclusive):
    """Up to the pixels of crops; people keep their order and scores."""
    masks = ellipses((80, 100, 40, 80), (250, 150, 60, 50), (120, 250, 12, 20))
    people = people_of(masks)
    crops = CODEC.crops(people.boxes_xyxy, SIZE)
    targets = CODEC.encode(people, crops)
    found = CODEC.decode(fields_of(targets.targets["mask"]), people, crops, SIZE, exclusive=exclusive)
    assert (np.diag(found.masks.iou(people.masks)) > 0.97).all()
    np.testing.assert_array_equal(found.scores, people.scores)
    np.testing.assert_allclose(found.boxes_xyxy, people.boxes_xyxy, atol=3)


def test_decode_gives_a_pixel_to_the_person_with_the_highest_probability():
    masks = ellipses((100, 100, 60, 60), (130, 100, 60, 60))
    people = people_of(masks)
    crops = CODEC.crops(people.boxes_xyxy, SIZE)
    probability = CODEC.encode(people, crops).targets["mask"] * np.array([0.7, 0.9])[:, None, None]
    found = CODEC.decode(fields_of(probability), people, crops, SIZE)
    both = masks.all(axis=0)
    assert np.asarray(found.masks).all(axis=0).sum() < 0.02 * both.sum()
    assert found.masks[1][both].mean() > 0.95
    shared = CODEC.decode(fields_of(probability), people, crops, SIZE, exclusive=False)
    assert np.asarray(shared.masks).all(axis=0)[both].mean() > 0.95


@given(st.floats(40, 200), st.floats(0.5, 1.0), st.integers(0, 3))
def test_person_boxes_hold_probable_cells_and_confident_joints(corner, confident, joints):
    """And nothing else: improbable cells, cells of others, joints with low scores."""
    rng = np.random.default_rng(joints)
    probability, margin = np.full((30, 40), 0.1, np.float32), -np.ones((30 * 40, 2), np.float32)
    probability[10:14, 5:9], probability[0:3, 30:33] = confident, 0.4
    owned = np.zeros((30, 40), bool)
    owned[10:14, 5:9] = owned[0:3, 30:33] = True
    margin[owned.reshape(-1), 0] = 1
    assignment = PixelAssignment(probability, np.arange(1200), margin, Grid(8))
    points = rng.uniform(corner, corner + 60, (2, 17, 2)).astype(np.float32)
    scores = np.zeros((2, 17), np.float32)
    scores[0, :joints], scores[0, 10] = 0.9, CODEC.min_keypoint_score / 2
    first, empty = CODEC.person_boxes(People.from_poses(COCO17, points, scores), assignment)
    low, high = np.array([5, 10]) * 8 + 0.5 - 4, np.array([8, 13]) * 8 + 0.5 + 4
    visible = points[0, :joints]
    np.testing.assert_allclose(first[:2], np.minimum(low, visible.min(axis=0, initial=np.inf)), atol=1e-4)
    np.testing.assert_allclose(first[2:], np.maximum(high, visible.max(axis=0, initial=-np.inf)), atol=1e-4)
    assert not empty.any()


def test_cue_maps_lie_where_the_fields_do():
    """A ramp over cells is the same ramp in the crop, wherever input and image lie to each other."""
    grid, (h, w) = Grid(8), (31, 41)
    at = grid.positions(h, w)
    probability = ((at[0] + 2 * at[1]) / 1200).astype(np.float32)
    margin = np.linspace(-1, 1, h * w, dtype=np.float32)[:, None]
    assignment = PixelAssignment(probability, np.arange(h * w), margin, grid)
    onto_image = affine.compose(affine.similarity(0.7), np.array([[1.0, 0, 30], [0, 1, 12]]))
    crops = CODEC.crops([[60, 50, 130, 130]], SIZE)
    probable, weighted = CODEC.cue_maps(assignment, onto_image, crops)[0]
    y, x = np.mgrid[:SIDE, :SIDE]
    to_input = affine.invert(affine.compose(crops.matrices[0], onto_image))
    on_input = affine.apply(to_input, pixel_centres(np.stack([x, y], axis=-1)))
    np.testing.assert_allclose(probable, (on_input[..., 0] + 2 * on_input[..., 1]) / 1200, atol=5e-3)
    assert np.abs(weighted).max() <= probability.max()


def test_margin_maps_are_margins_weighted_by_probability():
    rng = np.random.default_rng(0)
    probability = rng.uniform(0, 1, (5, 6)).astype(np.float32)
    cells, margins = np.array([3, 7, 20]), rng.uniform(-1, 1, (3, 2)).astype(np.float32)
    assignment = PixelAssignment(probability, cells, margins, Grid(8))
    expected = np.zeros((2, 30), np.float32)
    expected[:, cells] = margins.T * probability.reshape(-1)[cells]
    np.testing.assert_allclose(assignment.margin_maps.reshape(2, -1), expected)
    np.testing.assert_array_equal(assignment.select([1]).margin_maps[0], assignment.margin_maps[1])


def test_network_input_draws_limbs_between_visible_joints():
    pose = np.zeros((1, 17, 3), np.float32)
    left = [COCO17.index(name) for name in ("left_shoulder", "left_elbow")]
    pose[0, left] = [[16.5, 20.5, 1], [16.5, 44.5, 1]]
    grey, empty = np.full((1, SIDE, SIDE, 3), 128, np.uint8), np.zeros((1, 2, SIDE, SIDE), np.float32)
    plain = CODEC.network_input(grey, empty, pose, (128,) * 3, (64,) * 3)
    assert plain.shape == (1, INPUT_CHANNELS, SIDE, SIDE)
    assert not plain[0, :5].any()
    assert (plain[0, 5, 21:44, 16] == 1).all()
    assert not plain[0, 5, :, 20:].any()
    assert not plain[0, 5, :17].any()
    pose[0, left[0], 2] = 0
    without = CODEC.network_input(grey, empty, pose, (128,) * 3, (64,) * 3)
    assert not without[0, 5].any()


def test_person_boxes_lie_around_rendered_masks():
    rng = np.random.default_rng(4)
    masks = np.zeros((2, 129, 129), bool)
    masks[0, 10:120, 10:60], masks[1, 10:120, 70:120] = True, True
    points = np.stack([rng.uniform((12, 12), (58, 118), (17, 2)), rng.uniform((72, 12), (118, 118), (17, 2))])
    codec = PersonLabCodec(stride=8)
    fields = codec.encode(People.from_poses(COCO17, points, np.ones((2, 17)), masks=masks), (129, 129)).as_fields()
    instances = assign_people(codec, fields, codec.detect(fields, DEFAULT), DEFAULT)
    assert instances.people.masks is None
    rendered = instances.with_masks(DEFAULT)
    np.testing.assert_array_equal(rendered.masks, codec.decode(fields).masks)
    boxes = CODEC.person_boxes(instances.people, instances.assignment)
    np.testing.assert_allclose(boxes, rendered.boxes_xyxy, atol=12)


def test_codec_round_trips_through_plain_data():
    codec = MaskRefinerCodec(crop_px=48, padding=0.2, min_keypoint_score=0.3, min_cell_probability=0.6)
    assert MaskRefinerCodec.from_dict(codec.to_dict(), COCO17) == codec
    with pytest.raises(FieldError, match="mask refiner"):
        MaskRefinerCodec.from_dict({"crop_px": 64}, COCO17)


def test_codec_rejects_bad_input():
    with pytest.raises(FieldError, match="has no room"):
        MaskRefinerCodec(padding=0.5)
    people = people_of(ellipses((80, 100, 40, 80)))
    crops = CODEC.crops(people.boxes_xyxy, SIZE)
    with pytest.raises(ShapeError):
        CODEC.decode(fields_of(np.zeros((2, SIDE, SIDE))), people, crops, SIZE)
    with pytest.raises(FieldError, match="finite"):
        CODEC.decode(CODEC.fields_from_outputs({"mask": np.full((1, 1, SIDE, SIDE), np.nan, np.float32)}), people,
                     crops, SIZE)  # fmt: skip
    with pytest.raises(FieldError, match="masks"):
        CODEC.encode(replace(people, masks=None), crops)
