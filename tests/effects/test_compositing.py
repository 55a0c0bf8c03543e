from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.effects.compositing import alpha_blend, bounding_window, merge_mattes, scatter_pixels, union
from poseg.effects.inpaint_patchmatch import inpaint
from poseg.effects.inpaint_shift_map import apply_shifts
from poseg.effects.matte import Matte

LEVELS = np.stack(np.broadcast_arrays(*np.ogrid[:256, :256], np.zeros((256, 256))), axis=2).astype(np.uint8)


def block(x0, y0, width, height, alpha=1.0, size=(60, 80)):
    return Matte(np.full((height, width), alpha, np.float32), x0, y0, size)


def test_lay_is_bit_for_bit_where_one_picture_is_alone():
    """Every pair of grey levels, under and over."""
    under, over = LEVELS, np.ascontiguousarray(LEVELS.transpose(1, 0, 2))
    share = np.zeros((256, 256), np.float32)
    np.testing.assert_array_equal(alpha_blend(under, over, share), under)
    np.testing.assert_array_equal(alpha_blend(under, over, share + 1), over)


@given(st.floats(0, 1, width=32))
def test_lay_mixes_by_the_share_pictures_and_colours(share):
    shares = np.full((256, 256), share, np.float32)
    over = np.ascontiguousarray(LEVELS.transpose(1, 0, 2))
    mixed = LEVELS + (over.astype(float) - LEVELS) * share
    assert np.abs(alpha_blend(LEVELS, over, shares) - mixed).max() <= 0.51
    colour = np.array((10, 200, 90))
    assert (
        np.abs(alpha_blend(LEVELS, colour, shares) - (LEVELS + (colour - LEVELS.astype(float)) * share)).max() <= 0.51
    )


def test_the_span_of_mattes_is_that_of_their_union():
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


def test_put_writes_pixels_at_their_places_alone():
    pixels = np.arange(30, dtype=np.uint8).reshape(10, 3)
    after = pixels.copy()
    scatter_pixels(after, np.array([7, 2]), np.array([[1, 2, 3], [4, 5, 6]], np.uint8))
    np.testing.assert_array_equal(after[[7, 2]], [[1, 2, 3], [4, 5, 6]])
    kept = np.delete(np.arange(10), [2, 7])
    np.testing.assert_array_equal(after[kept], pixels[kept])
    scatter_pixels(after, np.zeros(0, np.intp), np.zeros((0, 3), np.uint8))


@pytest.mark.parametrize(("dx", "dy"), [(-3, 0), (2, 0), (0, -4), (2, 3), (-4, -2)])
def test_a_shift_carries_the_pixels_it_points_to(dx, dy):
    """A picture that repeats itself at the shift comes back whole, in bands and at every edge of the hole."""
    rng = np.random.default_rng(0)
    tile = rng.integers(0, 256, (8 * max(abs(dy), 1), 8 * max(abs(dx), 1), 3), np.uint8)
    image = np.tile(tile, (320 // tile.shape[0] + 1, 240 // tile.shape[1] + 1, 1))[:320, :240].copy()
    hole = np.zeros((320, 240), bool)
    hole[90:250, 100:140] = True
    shifts = np.zeros((2, 40, 30), np.intp)
    shifts[:, 11:32, 12:18] = np.array([dy, dx])[:, None, None]
    broken = np.where(hole[..., None], np.uint8(255), image)
    # What the shift brings is itself in the hole for the cells that lie far inside: read from the whole picture.
    np.testing.assert_array_equal(apply_shifts(image, hole, ~hole, shifts), image)
    np.testing.assert_array_equal(apply_shifts(broken, hole, ~hole, shifts)[~hole], image[~hole])


@pytest.mark.parametrize("size", [(161, 242), (163, 239), (450, 603)])
def test_a_picture_of_any_size_is_filled_and_kept_elsewhere(size):
    y, x = np.mgrid[: size[0], : size[1]]
    image = np.stack([60 + x * 0.2, 80 + y * 0.2, 120 + 0 * x], axis=2).astype(np.uint8)
    hole = np.hypot(x - size[1] * 0.6, y - size[0] + 20) < 40
    near = np.hypot(x - size[1] * 0.6, y - size[0] + 20) < 43
    broken = np.where(hole[..., None], np.uint8(255), image)
    filled = inpaint(broken, hole, ~near)
    assert filled.shape == image.shape
    np.testing.assert_array_equal(filled[~hole], image[~hole])
    assert np.abs(filled[hole].astype(int) - image[hole]).mean() < 8
