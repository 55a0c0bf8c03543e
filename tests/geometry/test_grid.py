"""The pixel rule: round trips of cells and pixels, rescaling, and grids of blocks of pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.fields.segmentation import area_downsample, sample_at_cells
from poseg.geometry.grid import Grid, pixel_centres, pixel_indices

STRIDES = st.sampled_from([1, 2, 4, 8, 16, 32])


@given(STRIDES, st.floats(-1000, 1000), st.floats(-1000, 1000))
def test_cells_round_trip(stride, x, y):
    grid = Grid(stride)
    cells = np.array([[x, y]], np.float32)
    np.testing.assert_allclose(grid.to_cells(grid.to_image(cells)), cells, atol=2e-3)


@given(STRIDES, st.integers(0, 20), st.integers(0, 20))
def test_an_odd_image_ends_with_a_cell_on_its_last_pixel(stride, n, m):
    grid = Grid(stride)
    height, width = stride * n + 1, stride * m + 1
    assert grid.shape(height, width) == (n + 1, m + 1)
    positions = grid.positions(n + 1, m + 1)
    assert positions.shape == (2, n + 1, m + 1)
    assert positions[:, 0, 0].tolist() == [0.5, 0.5]
    assert positions[:, -1, -1].tolist() == [width - 0.5, height - 0.5]


@given(STRIDES, st.integers(1, 300), st.integers(1, 300))
def test_all_cells_are_inside_the_image_and_one_more_is_not(stride, height, width):
    grid = Grid(stride)
    rows, columns = grid.shape(height, width)
    x, y = grid.positions(rows, columns)
    assert x.max() < width
    assert y.max() < height
    assert x.max() + stride > width
    assert y.max() + stride > height


def test_positions_are_x_then_y():
    x, y = Grid(4).positions(2, 3)
    assert x.tolist() == [[0.5, 4.5, 8.5], [0.5, 4.5, 8.5]]
    assert y.tolist() == [[0.5, 0.5, 0.5], [4.5, 4.5, 4.5]]


@given(st.lists(st.integers(-5000, 5000), min_size=1, max_size=10))
def test_pixel_numbers_round_trip(numbers):
    centres = pixel_centres(numbers)
    assert centres.dtype == np.float32
    np.testing.assert_array_equal(centres, np.array(numbers) + 0.5)
    np.testing.assert_array_equal(pixel_indices(centres), numbers)


@pytest.mark.parametrize("factor", [2, 4])
def test_resizing_a_image_multiplies_coordinates(factor):
    image = np.zeros((8, 10), np.float32)
    image[3, 6] = 1
    large = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    weight = large / large.sum()
    y, x = np.indices(large.shape)
    centre = [(pixel_centres(x) * weight).sum(), (pixel_centres(y) * weight).sum()]
    np.testing.assert_allclose(centre, factor * pixel_centres([6, 3]), atol=1e-3)


EVEN_STRIDES = st.sampled_from([2, 4, 8, 16, 32])
COUNTS = st.integers(1, 40)


def on_centres(stride: int) -> Grid:
    return Grid(stride)


def in_blocks(stride: int) -> Grid:
    return Grid(stride, stride / 2)


@pytest.mark.parametrize("make", [on_centres, in_blocks])
@given(stride=EVEN_STRIDES, rows=COUNTS, columns=COUNTS)
def test_size_and_shape_undo_each_other(make, stride, rows, columns):
    grid = make(stride)
    assert grid.shape(*grid.size(rows, columns)) == (rows, columns)


@given(EVEN_STRIDES, COUNTS, COUNTS)
def test_sizes_are_those_of_either_kind_of_network(stride, rows, columns):
    assert on_centres(stride).size(rows, columns) == ((rows - 1) * stride + 1, (columns - 1) * stride + 1)
    assert in_blocks(stride).size(rows, columns) == (rows * stride, columns * stride)


@pytest.mark.parametrize("make", [on_centres, in_blocks])
@given(stride=EVEN_STRIDES, rows=COUNTS, columns=COUNTS)
def test_cells_are_symmetric(make, stride, rows, columns):
    grid = make(stride)
    _, width = grid.size(rows, columns)
    x, _ = grid.positions(rows, columns)
    np.testing.assert_array_equal(width - x[:, ::-1], x)


@given(EVEN_STRIDES, st.integers(1, 300), st.integers(1, 300))
def test_all_cells_are_inside_any_image_and_one_more_is_not(stride, height, width):
    grid = in_blocks(stride)
    rows, columns = grid.shape(height, width)
    assert grid.to_image(rows - 1) < height <= grid.to_image(rows)
    assert grid.to_image(columns - 1) < width <= grid.to_image(columns)


@given(EVEN_STRIDES, st.integers(0, 10**6))
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
