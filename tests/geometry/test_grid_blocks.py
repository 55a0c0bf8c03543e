"""Grids whose cells stand in the centre of blocks of pixels, and the size of what cells lie over."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.fields.segmentation import area_downsample, sample_at_cells
from poseg.geometry.grid import Grid

STRIDES = st.sampled_from([2, 4, 8, 16, 32])
COUNTS = st.integers(1, 40)


def on_centres(stride: int) -> Grid:
    return Grid(stride)


def in_blocks(stride: int) -> Grid:
    return Grid(stride, stride / 2)


@pytest.mark.parametrize("make", [on_centres, in_blocks])
@given(stride=STRIDES, rows=COUNTS, columns=COUNTS)
def test_size_and_shape_undo_each_other(make, stride, rows, columns):
    grid = make(stride)
    assert grid.shape(*grid.size(rows, columns)) == (rows, columns)


@given(STRIDES, COUNTS, COUNTS)
def test_sizes_are_those_of_either_kind_of_network(stride, rows, columns):
    assert on_centres(stride).size(rows, columns) == ((rows - 1) * stride + 1, (columns - 1) * stride + 1)
    assert in_blocks(stride).size(rows, columns) == (rows * stride, columns * stride)


@pytest.mark.parametrize("make", [on_centres, in_blocks])
@given(stride=STRIDES, rows=COUNTS, columns=COUNTS)
def test_cells_are_symmetric(make, stride, rows, columns):
    grid = make(stride)
    _, width = grid.size(rows, columns)
    x, _ = grid.positions(rows, columns)
    np.testing.assert_array_equal(width - x[:, ::-1], x)


@given(STRIDES, st.integers(1, 300), st.integers(1, 300))
def test_all_cells_are_inside_any_image_and_one_more_is_not(stride, height, width):
    grid = in_blocks(stride)
    rows, columns = grid.shape(height, width)
    assert grid.to_image(rows - 1) < height <= grid.to_image(rows)
    assert grid.to_image(columns - 1) < width <= grid.to_image(columns)


@given(STRIDES, st.integers(0, 10**6))
def test_a_block_is_covered_by_the_mean_of_its_pixels(stride, seed):
    mask = np.random.default_rng(seed).random((3 * stride, 4 * stride)) < 0.4
    expected = mask.reshape(3, stride, 4, stride).mean(axis=(1, 3))
    np.testing.assert_allclose(area_downsample(mask, in_blocks(stride)), expected, atol=1e-6)


@pytest.mark.parametrize("make", [on_centres, in_blocks])
def test_sample_at_cells_uses_the_positions_of_the_cells(make):
    """The pixel that holds a cell's place; a place between two pixels is held by the later one."""
    grid = make(8)
    height, width = grid.size(3, 4)
    for row, column in np.ndindex(3, 4):
        mask = np.zeros((height, width), bool)
        mask[int(grid.to_image(row)), int(grid.to_image(column))] = True
        assert np.argwhere(sample_at_cells(mask, grid)).tolist() == [[row, column]]
