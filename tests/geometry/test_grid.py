"""The pixel rule: cells and pixels go to the plane and back, and rescaling is a multiplication."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
