"""Laws of the painter's codec: windows lie around what is known, evidence is where it was, masks come back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.codecs import DEFAULT, PersonLabCodec
from poseg.codecs.mask_refiner import INPUT_CHANNELS, MaskRefinerCodec
from poseg.codecs.pixel_assignment import PixelAssignment
from poseg.errors import FieldError, ShapeError
from poseg.geometry import affine
from poseg.geometry.grid import Grid, pixel_centres
from poseg.people import People
from poseg.skeletons import COCO17

CODEC = MaskRefinerCodec()
SIDE = CODEC.crop_px
SIZE = (300, 360)


def ellipses(*places, size=SIZE) -> np.ndarray:
    """Masks of ellipses (x, y, half width, half height)."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    return np.array([((x - a) / w) ** 2 + ((y - b) / h) ** 2 < 1 for a, b, w, h in places]).reshape(-1, *size)


def somebody(masks) -> People:
    """People without a joint, each with a mask and a box around it."""
    n = len(masks)
    boxes = [
        [np.flatnonzero(m.any(0))[0], np.flatnonzero(m.any(1))[0], np.flatnonzero(m.any(0))[-1] + 1,
         np.flatnonzero(m.any(1))[-1] + 1] for m in masks
    ]  # fmt: skip
    people = People.from_poses(COCO17, np.zeros((n, 17, 2)), np.zeros((n, 17)), scores=np.linspace(0.9, 0.5, n))
    return replace(people, masks=masks, boxes_xyxy=np.array(boxes, np.float32).reshape(-1, 4))


def fields_of(probability):
    p = np.clip(np.asarray(probability, np.float32), 1e-4, 1 - 1e-4)
    return CODEC.fields_from_outputs({"mask": np.log(p / (1 - p))[:, None].astype(np.float32)})


@pytest.mark.parametrize("exclusive", [True, False])
def test_masks_survive_their_windows(exclusive):
    """decode(encode(people)) = people, up to the pixels of windows; nobody loses the order they came in."""
    masks = ellipses((80, 100, 40, 80), (250, 150, 60, 50), (120, 250, 12, 20))
    people = somebody(masks)
    windows = CODEC.crops(people.boxes_xyxy, SIZE)
    targets = CODEC.encode(people, windows)
    found = CODEC.decode(fields_of(targets.targets["mask"]), people, windows, SIZE, exclusive=exclusive)
    overlap = (np.asarray(found.masks) & masks).sum(axis=(1, 2)) / (np.asarray(found.masks) | masks).sum(axis=(1, 2))
    assert (overlap > 0.97).all()
    np.testing.assert_array_equal(found.scores, people.scores)
    np.testing.assert_allclose(found.boxes_xyxy, people.boxes_xyxy, atol=3)


def test_a_pixel_is_the_surest_ones():
    masks = ellipses((100, 100, 60, 60), (130, 100, 60, 60))
    people = somebody(masks)
    windows = CODEC.crops(people.boxes_xyxy, SIZE)
    sure = CODEC.encode(people, windows).targets["mask"] * np.array([0.7, 0.9])[:, None, None]
    found = CODEC.decode(fields_of(sure), people, windows, SIZE)
    assert not np.asarray(found.masks).all(axis=0).any()
    both = masks.all(axis=0)
    assert found.masks[1][both].mean() > 0.95
    shared = CODEC.decode(fields_of(sure), people, windows, SIZE, exclusive=False)
    assert np.asarray(shared.masks).all(axis=0)[both].mean() > 0.95


@given(st.floats(40, 200), st.floats(0.5, 1.0), st.integers(0, 3))
def test_a_window_lies_around_sure_cells_and_sure_joints(place, sure, joints):
    """And around nothing else: doubtful cells, cells of others, doubtful joints."""
    rng = np.random.default_rng(joints)
    probability, margin = np.full((30, 40), 0.1, np.float32), -np.ones((30 * 40, 2), np.float32)
    probability[10:14, 5:9], probability[0:3, 30:33] = sure, 0.4
    owned = np.zeros((30, 40), bool)
    owned[10:14, 5:9] = owned[0:3, 30:33] = True
    margin[owned.reshape(-1), 0] = 1
    claims = PixelAssignment(probability, np.arange(1200), margin, Grid(8))
    points = rng.uniform(place, place + 60, (2, 17, 2)).astype(np.float32)
    scores = np.zeros((2, 17), np.float32)
    scores[0, :joints], scores[0, 10] = 0.9, CODEC.min_keypoint_score / 2
    first, nobody = CODEC.person_boxes(People.from_poses(COCO17, points, scores), claims)
    low, high = np.array([5, 10]) * 8 + 0.5 - 4, np.array([8, 13]) * 8 + 0.5 + 4
    known = points[0, :joints]
    np.testing.assert_allclose(first[:2], np.minimum(low, known.min(axis=0, initial=np.inf)), atol=1e-4)
    np.testing.assert_allclose(first[2:], np.maximum(high, known.max(axis=0, initial=-np.inf)), atol=1e-4)
    assert not nobody.any()


def test_evidence_is_where_the_fields_have_it():
    """A ramp over cells is the same ramp in the window, wherever input and picture lie to each other."""
    grid, (h, w) = Grid(8), (31, 41)
    at = grid.positions(h, w)
    probability = ((at[0] + 2 * at[1]) / 1200).astype(np.float32)
    margin = np.linspace(-1, 1, h * w, dtype=np.float32)[:, None]
    claims = PixelAssignment(probability, np.arange(h * w), margin, grid)
    onto_picture = affine.compose(affine.similarity(0.7), np.array([[1.0, 0, 30], [0, 1, 12]]))
    windows = CODEC.crops([[60, 50, 130, 130]], SIZE)
    probable, weighted = CODEC.cue_maps(claims, onto_picture, windows)[0]
    y, x = np.mgrid[:SIDE, :SIDE]
    places = affine.invert(affine.compose(windows.matrices[0], onto_picture))
    on_input = affine.apply(places, pixel_centres(np.stack([x, y], axis=-1)))
    np.testing.assert_allclose(probable, (on_input[..., 0] + 2 * on_input[..., 1]) / 1200, atol=5e-3)
    assert np.abs(weighted).max() <= probability.max()


def test_margins_of_claims_weigh_as_much_as_person_is_probable():
    rng = np.random.default_rng(0)
    probability = rng.uniform(0, 1, (5, 6)).astype(np.float32)
    place, margin = np.array([3, 7, 20]), rng.uniform(-1, 1, (3, 2)).astype(np.float32)
    claims = PixelAssignment(probability, place, margin, Grid(8))
    wanted = np.zeros((2, 30), np.float32)
    wanted[:, place] = margin.T * probability.reshape(-1)[place]
    np.testing.assert_allclose(claims.says.reshape(2, -1), wanted)
    np.testing.assert_array_equal(claims.of([1]).says[0], claims.says[1])


def test_limbs_run_between_joints_that_there_are():
    pose = np.zeros((1, 17, 3), np.float32)
    left = [COCO17.index(name) for name in ("left_shoulder", "left_elbow")]
    pose[0, left] = [[16.5, 20.5, 1], [16.5, 44.5, 1]]
    grey, nothing = np.full((1, SIDE, SIDE, 3), 128, np.uint8), np.zeros((1, 2, SIDE, SIDE), np.float32)
    plain = CODEC.network_input(grey, nothing, pose, (128,) * 3, (64,) * 3)
    assert plain.shape == (1, INPUT_CHANNELS, SIDE, SIDE)
    assert not plain[0, :5].any()
    assert (plain[0, 5, 21:44, 16] == 1).all()
    assert not plain[0, 5, :, 20:].any()
    assert not plain[0, 5, :17].any()
    pose[0, left[0], 2] = 0
    without = CODEC.network_input(grey, nothing, pose, (128,) * 3, (64,) * 3)
    assert not without[0, 5].any()


def test_what_a_decoder_claims_is_what_it_paints():
    """`found` and `claimed` are what `decode` does before it paints."""
    rng = np.random.default_rng(4)
    masks = np.zeros((2, 129, 129), bool)
    masks[0, 10:120, 10:60], masks[1, 10:120, 70:120] = True, True
    points = np.stack([rng.uniform((12, 12), (58, 118), (17, 2)), rng.uniform((72, 12), (118, 118), (17, 2))])
    codec = PersonLabCodec(stride=8)
    fields = codec.encode(People.from_poses(COCO17, points, np.ones((2, 17)), masks=masks), (129, 129)).as_fields()
    whole, found = codec.decode(fields), codec.found(fields)
    assert found.people.masks is None
    np.testing.assert_array_equal(found.painted(DEFAULT).masks, whole.masks)
    boxes = CODEC.person_boxes(found.people, found.claims)
    np.testing.assert_allclose(boxes, whole.boxes_xyxy, atol=12)


def test_plain_data_and_back():
    codec = MaskRefinerCodec(crop_px=48, padding=0.2, min_keypoint_score=0.3, min_cell_probability=0.6)
    assert MaskRefinerCodec.from_dict(codec.to_dict(), COCO17) == codec
    with pytest.raises(FieldError, match="painter"):
        MaskRefinerCodec.from_dict({"crop_px": 64}, COCO17)


def test_bad_input():
    with pytest.raises(FieldError, match="shows nothing"):
        MaskRefinerCodec(padding=0.5)
    people = somebody(ellipses((80, 100, 40, 80)))
    windows = CODEC.crops(people.boxes_xyxy, SIZE)
    with pytest.raises(ShapeError):
        CODEC.decode(fields_of(np.zeros((2, SIDE, SIDE))), people, windows, SIZE)
    with pytest.raises(FieldError, match="finite"):
        CODEC.decode(CODEC.fields_from_outputs({"mask": np.full((1, 1, SIDE, SIDE), np.nan, np.float32)}), people,
                     windows, SIZE)  # fmt: skip
    with pytest.raises(FieldError, match="masks"):
        CODEC.encode(replace(people, masks=None), windows)
