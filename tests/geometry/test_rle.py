"""Masks: run lengths and polygons agree with COCO's own tools, boxes and overlaps with their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as coco

from poseg.errors import AnnotationError, ShapeError
from poseg.geometry.rle import (
    decode_rle,
    encode_rle,
    segmentation_mask,
    tight_boxes,
)

# pycocotools' decode has not caught up with NumPy 2's copy keyword
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIDES = st.integers(1, 40)
MASKS = st.tuples(SIDES, SIDES).flatmap(lambda size: arrays.arrays(np.bool_, size))
STACKS = st.tuples(st.integers(0, 4), SIDES, SIDES).flatmap(lambda shape: arrays.arrays(np.bool_, shape))


@given(MASKS)
@settings(max_examples=25, deadline=None)
def test_run_lengths_round_trip(mask):
    runs = encode_rle(mask)
    assert runs["counts"].isascii()
    np.testing.assert_array_equal(decode_rle(runs), mask)


@given(MASKS)
@settings(max_examples=25, deadline=None)
def test_uncompressed_run_lengths_decode_alike(mask):
    flat = mask.T.reshape(-1)
    changes = np.flatnonzero(np.diff(np.concatenate([[False], flat]).astype(int))).tolist()
    counts = np.diff([0, *changes, flat.size]).tolist()
    np.testing.assert_array_equal(decode_rle({"size": list(mask.shape), "counts": counts}), mask)


def test_long_runs_use_several_characters():
    mask = np.zeros((2000, 1500), np.bool_)
    mask[700:1900, 3:1400] = True
    mask[0, 0] = mask[-1, -1] = True
    np.testing.assert_array_equal(decode_rle(encode_rle(mask)), mask)
    np.testing.assert_array_equal(coco.decode(encode_rle(mask)), mask)


@given(st.lists(st.lists(st.floats(-30, 60), min_size=6, max_size=16).map(lambda xs: xs[: len(xs) // 2 * 2]),
                min_size=1, max_size=3))  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_polygons_are_filled_as_coco_fills_them(polygons):
    height, width = 33, 27
    expected = coco.decode(coco.merge(coco.frPyObjects(polygons, height, width)))
    np.testing.assert_array_equal(segmentation_mask(polygons, (height, width)), expected)


def test_polygon_along_pixel_edges_covers_those_pixels():
    mask = segmentation_mask([[2, 1, 5, 1, 5, 4, 2, 4]], (6, 8))
    expected = np.zeros((6, 8), np.bool_)
    expected[1:4, 2:5] = True
    np.testing.assert_array_equal(mask, expected)
    np.testing.assert_array_equal(tight_boxes(mask[None]), [[2, 1, 5, 4]])


def test_polygon_of_two_points_is_empty_and_not_a_box():
    assert not segmentation_mask([[1, 1, 5, 5]], (8, 8)).any()
    assert segmentation_mask([[1, 1, 5, 5], [0, 0, 3, 0, 3, 3, 0, 3]], (8, 8)).sum() == 9


@pytest.mark.parametrize("nothing", [None, []])
def test_no_segmentation_is_an_empty_mask(nothing):
    mask = segmentation_mask(nothing, (4, 5))
    assert mask.shape == (4, 5)
    assert not mask.any()


@given(STACKS)
@settings(max_examples=25, deadline=None)
def test_tight_boxes_are_those_of_the_pixels(masks):
    boxes = tight_boxes(masks)
    assert boxes.dtype == np.float32
    assert boxes.shape == (len(masks), 4)
    for mask, box in zip(masks, boxes, strict=True):
        y, x = np.nonzero(mask)
        expected = [x.min(), y.min(), x.max() + 1, y.max() + 1] if len(x) else [0, 0, 0, 0]
        assert box.tolist() == expected


@pytest.mark.parametrize(
    "runs",
    [
        {"size": [4, 4], "counts": ""},
        {"size": [4, 4], "counts": [3, 4]},
        {"size": [4, 4], "counts": [3, 40]},
        {"size": [4, 4], "counts": [-3, 19]},
        {"size": [4, 4], "counts": ["a"]},
        {"size": [4, 4], "counts": "99"},
        {"size": [4, 4], "counts": "é"},
        {"size": [4, 4], "counts": "P" * 13},
        {"size": [4, 4], "counts": "ooooooooooo0"},
        {"size": [4, 4]},
        {"size": [16], "counts": [16]},
        {"size": [-4, -4], "counts": [16]},
        {"size": [10**9, 10**9], "counts": [10**18]},
        {"counts": [16]},
    ],
)
def test_run_lengths_that_do_not_fill_their_size_are_refused(runs):
    with pytest.raises(AnnotationError, match="Run lengths"):
        decode_rle(runs)


@pytest.mark.parametrize("polygon", [[0, 0, 4, 0, 4], [0, 0, np.nan, 0, 4, 4], [0, 0, 1e12, 0, 4, 4], ["a"] * 6, 3])
def test_bad_polygons_are_refused(polygon):
    with pytest.raises(AnnotationError, match="polygon"):
        segmentation_mask([polygon], (4, 4))


def test_segmentations_of_another_type_or_size_are_refused():
    with pytest.raises(AnnotationError, match="got str"):
        segmentation_mask("abc", (4, 4))
    with pytest.raises(AnnotationError, match="4 x 4 pixels, the image has 5 x 4"):
        segmentation_mask({"size": [4, 4], "counts": [16]}, (5, 4))


def test_stacks_of_masks_are_refused():
    with pytest.raises(ShapeError, match="mask"):
        encode_rle(np.zeros((1, 4, 4), np.bool_))
