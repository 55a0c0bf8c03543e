"""Laws of Masks: rasters in place give what arrays of the whole image give."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from poseg.errors import AnnotationError, ShapeError
from poseg.geometry import affine
from poseg.geometry.masks import Masks
from poseg.geometry.rle import decode_rle, encode_rle, tight_boxes

# pycocotools' decode has not caught up with NumPy 2's copy keyword
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIDES = st.integers(1, 40)
STACKS = st.tuples(st.integers(0, 4), SIDES, SIDES).flatmap(lambda shape: arrays.arrays(np.bool_, shape))
SIZE = (120, 160)


def ellipses(*shapes: tuple[float, ...], size: tuple[int, int] = SIZE) -> np.ndarray:
    """Masks (N, H, W) of ellipses (x, y, half width, half height)."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    return np.array([((x - a) / w) ** 2 + ((y - b) / h) ** 2 < 1 for a, b, w, h in shapes]).reshape(-1, *size)


def smooth(seed: int, count: int = 3, side: int = 24, size: tuple[int, int] = SIZE) -> Masks:
    """Rasters of smooth probabilities, rotated, scaled and placed anywhere about the image."""
    rng = np.random.default_rng(seed)
    rasters = [cv2.GaussianBlur(rng.random((side, side)), (9, 9), 3).astype(np.float32) for _ in range(count)]
    rasters = [np.clip(0.5 + 6 * (raster - raster.mean()), 0, 1) for raster in rasters]
    matrices = [
        affine.similarity(scale, angle, rng.uniform((0, 0), size[::-1]), (side / 2, side / 2))
        for scale, angle in rng.uniform((0.2, -3), (1.5, 3), (count, 2))
    ]
    return Masks.from_probabilities(np.array(rasters), np.array(matrices), size)


def pixel_iou(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N,) of masks (N, H, W), one by one; 1 where both are empty."""
    union = (some | others).sum(axis=(1, 2))
    return np.where(union > 0, (some & others).sum(axis=(1, 2)) / np.maximum(union, 1), 1)


# Bits of the image.


@given(STACKS)
def test_full_undoes_from_full(full):
    masks = Masks.from_full(full)
    assert masks.shape == full.shape
    assert masks.size == full.shape[1:]
    for array in (masks.full(), np.asarray(masks)):
        assert array.dtype == np.bool_
        np.testing.assert_array_equal(array, full)
    np.testing.assert_array_equal(masks.nonempty, full.any(axis=(1, 2)))
    np.testing.assert_array_equal(masks.union(), full.any(axis=0))
    np.testing.assert_array_equal(masks.confidences, full.any(axis=(1, 2)))
    assert sum(raster.size for raster in masks.rasters) <= full.size


@given(STACKS)
def test_areas_boxes_and_run_lengths_are_those_of_the_pixels(full):
    masks = Masks.from_full(full)
    np.testing.assert_array_equal(masks.areas, full.sum(axis=(1, 2)))
    np.testing.assert_array_equal(masks.boxes_xyxy, tight_boxes(full))
    assert [masks.rle(row) for row in range(len(masks))] == [encode_rle(mask) for mask in full]
    np.testing.assert_array_equal(Masks.from_rles([encode_rle(mask) for mask in full], full.shape[1:]).full(), full)


@given(STACKS, st.data())
def test_rows_are_chosen_as_in_an_array(full, data):
    masks = Masks.from_full(full)
    assert [mask.tolist() for mask in masks] == full.tolist()
    flags = np.array(data.draw(st.lists(st.booleans(), min_size=len(full), max_size=len(full))), bool)
    for rows in (flags, np.flatnonzero(flags), np.flatnonzero(flags)[::-1], slice(1, None), slice(None, None, -1)):
        assert isinstance(masks[rows], Masks)
        np.testing.assert_array_equal(masks[rows].full(), full[rows])
    for row in range(-len(full), len(full)):
        np.testing.assert_array_equal(masks[row], full[row])
    np.testing.assert_array_equal(Masks.concatenate([masks[:1], masks[1:], masks[:0]]).full(), full)


@given(STACKS, st.data())
def test_crop_and_flips_are_those_of_the_array(full, data):
    height, width = full.shape[1:]
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right, bottom = data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))
    masks = Masks.from_full(full)
    np.testing.assert_array_equal(masks.flip_lr().full(), full[:, :, ::-1])
    np.testing.assert_array_equal(masks.flip_lr().flip_lr().full(), full)
    part = masks.crop((left, top, right, bottom))
    np.testing.assert_array_equal(part.full(), full[:, top:bottom, left:right])
    back = part.warp(np.array([[1.0, 0, left], [0, 1, top]]), (height, width)).full()
    inside = np.zeros((height, width), bool)
    inside[top:bottom, left:right] = True
    np.testing.assert_array_equal(back, full & inside)


@given(STACKS, st.data())
def test_iou_is_that_of_the_arrays(full, data):
    others = data.draw(arrays.arrays(np.bool_, (2, *full.shape[1:])))
    both = (full[:, None] & others[None]).sum(axis=(2, 3))
    either = (full[:, None] | others[None]).sum(axis=(2, 3))
    iou = Masks.from_full(full).iou(Masks.from_full(others))
    np.testing.assert_allclose(iou, both / np.maximum(either, 1), atol=1e-6)


@pytest.mark.parametrize("factor", [0.25, 0.5, 2, 3.5])
def test_resize_is_that_of_the_array(factor):
    full = ellipses((60, 50, 40, 30), (110, 60, 20, 55), (5, 5, 20, 20))
    size = tuple(int(side * factor) for side in SIZE)
    expected = [cv2.resize(mask * 255.0, size[::-1], interpolation=cv2.INTER_LINEAR) > 127 for mask in full]
    resized = Masks.from_full(full).resize(size)
    assert resized.size == size
    assert (pixel_iou(resized.full(), np.array(expected)) > 0.98).all()
    assert (pixel_iou(resized.resize(SIZE).full(), full) > 0.99).all(), "maps change, pixels do not"


# Rasters that lie anywhere.


@given(st.integers(0, 10**6))
def test_numbers_of_placed_rasters_are_those_of_their_pixels(seed):
    masks = smooth(seed)
    full = masks.full()
    np.testing.assert_array_equal(masks.areas, full.sum(axis=(1, 2)))
    np.testing.assert_array_equal(masks.union(), full.any(axis=0))
    assert [masks.rle(row)["counts"] for row in range(3)] == [encode_rle(mask)["counts"] for mask in full]
    np.testing.assert_allclose(masks.iou(masks), Masks.from_full(full).iou(Masks.from_full(full)), atol=1e-6)
    assert ((masks.confidences > 0.5) & (masks.confidences <= 1)).all()
    # Boxes are those of pixels of rasters: an edge may bulge between them, and pixels beyond the image do not count.
    for mask, box, matrix in zip(full, masks.boxes_xyxy, masks.matrices, strict=True):
        raster_px = np.linalg.det(matrix[:, :2]) ** -0.5
        border = int(np.ceil(raster_px))
        mask[:border], mask[-border:], mask[:, :border], mask[:, -border:] = False, False, False, False
        if mask.any():
            (tight,) = tight_boxes(mask[None])
            assert (box[:2] <= tight[:2] + 1 + raster_px / 4).all()
            assert (box[2:] >= tight[2:] - 1 - raster_px / 4).all()


@given(st.floats(-3, 3), st.floats(0.4, 2.5), st.floats(40, 120), st.floats(40, 80))
def test_boxes_of_placed_rasters_are_tight(angle, scale, x, y):
    (raster,) = ellipses((14, 12, 11, 8), size=(24, 28)).astype(np.float32)
    onto = affine.invert(affine.similarity(scale, angle, (14, 12), (x, y)))
    masks = Masks.from_probabilities(raster[None], onto[None], SIZE)
    np.testing.assert_allclose(masks.boxes_xyxy, tight_boxes(masks.full()), atol=1 + scale / 2)


@given(st.integers(0, 10**6), st.floats(-3, 3), st.floats(0.5, 2), st.floats(-30, 30), st.floats(-30, 30))
def test_warp_and_its_inverse_are_the_identity(seed, angle, scale, x, y):
    masks = smooth(seed)
    matrix = affine.similarity(scale, angle, target=(x, y))
    there = masks.warp(matrix, (200, 300))
    assert there.size == (200, 300)
    assert (pixel_iou(there.warp(affine.invert(matrix), SIZE).full(), masks.full()) > 0.99).all()


@given(st.integers(0, 10**6), st.integers(-40, 40), st.integers(-40, 40))
def test_warp_by_whole_pixels_shifts_the_array(seed, x, y):
    full = smooth(seed).full()
    moved = Masks.from_full(full).warp(np.array([[1.0, 0, x], [0, 1, y]]), SIZE).full()
    expected = np.zeros_like(full)
    height, width = SIZE
    expected[:, max(y, 0) : height + y, max(x, 0) : width + x] = full[
        :, max(-y, 0) : height - y, max(-x, 0) : width - x
    ]
    np.testing.assert_array_equal(moved, expected)


@given(st.integers(0, 10**6))
def test_flip_of_placed_rasters_is_that_of_the_array(seed):
    masks = smooth(seed)
    assert (pixel_iou(masks.flip_lr().full(), masks.full()[:, :, ::-1]) > 0.97).all()
    np.testing.assert_allclose(masks.flip_lr().flip_lr().matrices, masks.matrices, atol=1e-9)


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_masks_of_probabilities_begin_at_the_threshold(threshold):
    values = np.linspace(0, 1, 101, dtype=np.float32)[None, None].repeat(3, axis=1)
    masks = Masks.from_probabilities(values, affine.identity()[None], (3, 101), threshold)
    expected = values[0] >= threshold
    assert (masks.full()[0] != expected).sum() <= 3
    assert masks.nonempty.all()


# People who overlap.


def test_without_overlaps_gives_each_pixel_to_the_highest_probability_and_ties_to_the_first():
    full = ellipses((60, 60, 40, 40), (90, 60, 40, 40))
    first, second = Masks.from_full(full).without_overlaps().full()
    np.testing.assert_array_equal(first, full[0])
    np.testing.assert_array_equal(second, full[1] & ~full[0])
    probabilities = full * np.array([0.7, 0.9], np.float32)[:, None, None]
    whole = np.tile(affine.identity(), (2, 1, 1))
    first, second = Masks.from_probabilities(probabilities, whole, SIZE).without_overlaps().full()
    np.testing.assert_array_equal(second, full[1])
    np.testing.assert_array_equal(first, full[0] & ~full[1])


@given(st.integers(0, 10**6))
def test_without_overlaps_keeps_the_union_up_to_border_pixels(seed):
    masks = smooth(seed)
    exclusive = masks.without_overlaps()
    before, after = masks.full(), exclusive.full()
    pixels = max(int(masks.union().sum()), 1)
    # Borders are as fine as a raster's pixels, which cover up to 5 of the image here.
    kernel = np.ones((11, 11), np.uint8)
    lost = (masks.union() & ~exclusive.union()).astype(np.uint8)
    shared = (after.sum(axis=0) > 1).astype(np.uint8)
    assert not cv2.erode(lost, kernel).any()
    assert not cv2.erode(shared, kernel).any()
    assert lost.sum() <= 0.1 * pixels
    assert shared.sum() <= 0.1 * pixels
    alone = before & (before.sum(axis=0) == 1)
    assert (alone & ~after).sum() <= 0.05 * pixels, "who is alone keeps their pixels"
    assert not (after & ~before).sum() > 0.01 * pixels


def test_without_overlaps_leaves_people_apart_as_they_are():
    full = ellipses((30, 30, 20, 20), (100, 80, 20, 30), (140, 20, 15, 15))
    np.testing.assert_array_equal(Masks.from_full(full).without_overlaps().full(), full)


# Ends of the range.


def test_masks_of_no_people_and_of_none_known():
    none = Masks.empty(0, (5, 6))
    assert none.full().shape == (0, 5, 6)
    assert none.boxes_xyxy.shape == (0, 4)
    assert none.iou(Masks.empty(2, (5, 6))).shape == (0, 2)
    unknown = Masks.empty(2, (5, 6))
    assert not unknown.nonempty.any()
    assert not unknown.full().any()
    assert not unknown.iou(unknown).any()
    assert unknown.confidences.tolist() == [0, 0]
    assert len(Masks.concatenate([none, unknown]).without_overlaps()) == 2


def test_masks_beside_the_image_have_no_pixel():
    masks = Masks.from_full(ellipses((80, 60, 10, 10))).warp(np.array([[1.0, 0, 500.5], [0, 1, 0]]), SIZE)
    assert not masks.full().any()
    assert masks.areas.tolist() == [0]
    assert not decode_rle(masks.rle(0)).any()
    box = masks.boxes_xyxy[0]
    assert box[0] == box[2]


def test_masks_cost_what_people_cover_and_not_people_times_image():
    size = (4000, 6000)
    bits = np.ones((50, 30), bool)
    masks = Masks.from_bitmaps([(bits, 40 * person, 100) for person in range(100)], size)
    assert sum(raster.nbytes for raster in masks.resize((8000, 12000)).flip_lr().rasters) == 100 * bits.size
    assert masks.areas.tolist() == [bits.size] * 100
    assert np.trace(masks.iou(masks)) == pytest.approx(100)


def test_masks_reject_arrays_that_do_not_fit():
    with pytest.raises(ShapeError, match="masks"):
        Masks.from_full(np.zeros((4, 4), bool))
    with pytest.raises(ShapeError, match="matrices"):
        Masks((np.zeros((2, 2), np.uint8),), np.zeros((0, 2, 3)), (4, 4))
    with pytest.raises(ShapeError, match="uint8"):
        Masks((np.zeros((2, 2), np.float32),), affine.identity()[None], (4, 4))
    for join in (lambda a, b: Masks.concatenate([a, b]), lambda a, b: a.iou(b)):
        with pytest.raises(ShapeError):
            join(Masks.empty(1, (4, 4)), Masks.empty(1, (4, 5)))
    with pytest.raises(ShapeError, match="run lengths"):
        Masks.from_rles([encode_rle(np.zeros((4, 4), bool))], (4, 5))
    with pytest.raises(AnnotationError):
        Masks.from_rles([{"size": [4, 4], "counts": [3]}], (4, 4))
