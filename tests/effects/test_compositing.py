from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.effects.compositing import alpha_blend, bounding_window, merge_mattes, scatter_pixels, union
from poseg.effects.matte import Matte

LEVELS = np.stack(np.broadcast_arrays(*np.ogrid[:256, :256], np.zeros((256, 256))), axis=2).astype(np.uint8)


def block(x0, y0, width, height, alpha=1.0, size=(60, 80)):
    return Matte(np.full((height, width), alpha, np.float32), x0, y0, size)


def test_alpha_blend_is_bit_for_bit_at_alpha_0_and_1():
    """Every pair of grey levels, under and over."""
    under, over = LEVELS, np.ascontiguousarray(LEVELS.transpose(1, 0, 2))
    weight = np.zeros((256, 256), np.float32)
    np.testing.assert_array_equal(alpha_blend(under, over, weight), under)
    np.testing.assert_array_equal(alpha_blend(under, over, weight + 1), over)


@given(st.floats(0, 1, width=32))
def test_alpha_blend_mixes_images_and_colours(weight):
    alpha = np.full((256, 256), weight, np.float32)
    over = np.ascontiguousarray(LEVELS.transpose(1, 0, 2))
    mixed = LEVELS + (over.astype(float) - LEVELS) * weight
    assert np.abs(alpha_blend(LEVELS, over, alpha) - mixed).max() <= 0.51
    colour = np.array((10, 200, 90))
    assert (
        np.abs(alpha_blend(LEVELS, colour, alpha) - (LEVELS + (colour - LEVELS.astype(float)) * weight)).max() <= 0.51
    )


def test_bounding_window_of_mattes_is_that_of_their_union():
    nowhere = Matte(np.zeros((0, 0), np.float32), 0, 0, (60, 80))
    made = [block(5, 10, 20, 8, 0.5), nowhere, block(15, 12, 30, 40, 0.5)]
    assert bounding_window(made) == (slice(10, 52), slice(5, 45))
    alpha, window = merge_mattes(made)
    assert window == bounding_window(made)
    assert alpha[5, 15] == pytest.approx(0.75)
    assert alpha[0, 0] == pytest.approx(0.5)
    assert alpha[-1, 0] == 0
    np.testing.assert_array_equal(union(made, (slice(0, 60), slice(0, 80)))[window], alpha)
    assert bounding_window([nowhere]) == (slice(0, 0), slice(0, 0))
    assert not union([], (slice(0, 4), slice(0, 5))).any()


def test_scatter_pixels_writes_at_its_indices_only():
    pixels = np.arange(30, dtype=np.uint8).reshape(10, 3)
    after = pixels.copy()
    scatter_pixels(after, np.array([7, 2]), np.array([[1, 2, 3], [4, 5, 6]], np.uint8))
    np.testing.assert_array_equal(after[[7, 2]], [[1, 2, 3], [4, 5, 6]])
    kept = np.delete(np.arange(10), [2, 7])
    np.testing.assert_array_equal(after[kept], pixels[kept])
    scatter_pixels(after, np.zeros(0, np.intp), np.zeros((0, 3), np.uint8))
