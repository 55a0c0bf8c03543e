"""Figures of part affinity fields: hue is direction, as on the wheel beside them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from poseg.codecs import PoSegCodec
from poseg.draw.field_canvas import FieldCanvas
from poseg.draw.fields import MAX_LIMB_TILES, MIN_PAF_LENGTH, paf_figure, paf_tiles
from poseg.draw.figures import direction_legend
from poseg.draw.palette import direction_colours
from poseg.errors import ShapeError
from poseg.fields import Fields
from poseg.people import People
from poseg.skeletons import COCO17, OPENPOSE18

CODEC, CELLS = PoSegCodec(OPENPOSE18), (11, 16)
SIZE = CODEC.grid.size(*CELLS)
LIMBS = len(CODEC.limbs)
GREY = np.full((*SIZE, 3), 120, np.uint8)
GREY.flags.writeable = False
# A strip of cells is enough for uniform fields, and faster to draw.
STRIP, STRIP_CELLS = GREY[:9], (2, CELLS[1])
SEEDS = st.integers(0, 10**6)


def fields(paf: np.ndarray, cells: tuple[int, int] = CELLS) -> Fields:
    """Fields without people but limbs: `paf` (L, 2) everywhere, or (L, 2, h, w)."""
    arrays = {spec.name: np.zeros((*spec.shape, *cells), np.float32) for spec in CODEC.specs}
    arrays["paf"][:] = paf if paf.ndim == 4 else paf[:, :, None, None]
    return Fields(CODEC.specs, arrays)


def towards(angle: ArrayLike, length: ArrayLike = 1.0) -> np.ndarray:
    """Unit vectors at angles in 1/256 of a circle, clockwise from the right since y points down: (..., 2)."""
    radians = 2 * np.pi * np.asarray(angle) / 256
    return np.asarray(length)[..., None] * np.stack([np.cos(radians), np.sin(radians)], axis=-1)


def tile_colours(vectors: np.ndarray) -> np.ndarray:
    """(L, 3) the one colour of each limb's tile, whose field is the same vector (L, 2) everywhere."""
    tiles = paf_tiles(STRIP, fields(vectors, STRIP_CELLS), CODEC.limbs, CODEC.limbs)
    result = np.stack([tile for title, tile in tiles.items() if title != "all limbs"])
    assert (result == result[:, :1, :1]).all()
    return result[:, 0, 0].astype(int)


def differences(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.abs(one - other).sum(axis=-1)


def background(image: np.ndarray = GREY) -> np.ndarray:
    cells = CODEC.grid.shape(*image.shape[:2])
    return FieldCanvas.of(image, fields(np.zeros((LIMBS, 2)), cells), 400).darkened()


def angles(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, LIMBS)


@given(SEEDS, st.integers(0, 255))
def test_rotating_the_field_rotates_the_hue_of_any_limb(seed, by):
    angle = angles(seed)
    one, rotated = tile_colours(towards(angle)), tile_colours(towards(angle + by))
    np.testing.assert_array_equal(one, direction_colours(towards(angle).T, 1.0))
    np.testing.assert_array_equal(rotated, direction_colours(towards((angle + by) % 256).T, 1.0))
    if 32 <= by <= 224:
        assert differences(one, rotated).min() > 40


@given(SEEDS)
def test_opposite_directions_have_different_colours(seed):
    vectors = towards(angles(seed))
    assert differences(tile_colours(vectors), tile_colours(-vectors)).min() > 100


def test_the_colour_is_that_of_the_legend_where_the_vector_points():
    wheel, vectors = direction_legend(), towards(np.arange(LIMBS) * 256 / LIMBS)
    rows, columns = (len(wheel) / 2 * (1 + 0.9 * vectors[:, ::-1].T)).astype(int)
    legend = wheel[rows, columns].astype(int)
    away = differences(tile_colours(vectors)[:, None], legend[None])
    assert (away.argmin(axis=1) == np.arange(LIMBS)).all()


@pytest.mark.parametrize("strength", [0.0, 0.5 * MIN_PAF_LENGTH, MIN_PAF_LENGTH])
def test_a_weak_field_is_invisible(strength):
    image = np.random.default_rng(0).integers(0, 256, STRIP.shape, np.uint8)
    tiles = paf_tiles(image, fields(towards(angles(0), strength * 0.999), STRIP_CELLS), CODEC.limbs)
    for tile in tiles.values():
        np.testing.assert_array_equal(tile, background(image))


def test_a_longer_vector_is_more_opaque():
    lengths = np.resize([0.1, 0.25, 0.5, 0.75, 1.0, 1.3], LIMBS)
    full = tile_colours(towards(np.full(LIMBS, 40)))
    away = differences(tile_colours(towards(np.full(LIMBS, 40), lengths)), full)
    assert away[0] == differences(background()[0, 0].astype(int), full[0])
    assert (np.diff(away[:5]) < 0).all()
    assert away[4] == away[5] == 0, "a mean of people's limbs may be shorter, nothing is longer than a limb"


def test_where_limbs_cross_the_strongest_is_on_top():
    paf = np.zeros((LIMBS, 2))
    paf[5] = towards(30, 0.9)
    alone = paf_tiles(STRIP, fields(paf, STRIP_CELLS), CODEC.limbs, [CODEC.limbs[5]])
    (expected,) = (tile for title, tile in alone.items() if title != "all limbs")
    paf[9], paf[2] = towards(150, 0.7), towards(200, 0.3)
    together = paf_tiles(STRIP, fields(paf, STRIP_CELLS), CODEC.limbs)["all limbs"]
    np.testing.assert_array_equal(together, expected)
    np.testing.assert_array_equal(alone["all limbs"], expected)
    assert np.abs(expected.astype(int) - background(STRIP)).max() > 30


def test_an_encoded_limb_is_coloured_along_its_line_only():
    """A forearm that points down, through the codec's own encoder."""
    points, scores = np.zeros((1, len(OPENPOSE18), 2)), np.zeros((1, len(OPENPOSE18)))
    for joint, position in (("left_elbow", (60.5, 16.5)), ("left_wrist", (60.5, 64.5))):
        points[0, OPENPOSE18.index(joint)], scores[0, OPENPOSE18.index(joint)] = position, 1
    encoded = CODEC.encode(People.from_poses(OPENPOSE18, points, scores), SIZE).as_fields()
    tile = paf_tiles(GREY, encoded, CODEC.limbs, [("left_elbow", "left_wrist")])["left elbow to left wrist"]
    scale = tile.shape[1] / SIZE[1]
    expected = direction_colours(np.array([0.0, 1.0]), 1.0).astype(int)
    np.testing.assert_allclose(tile[int(40 * scale), int(60 * scale)], expected, atol=2)
    far = np.s_[:, int(85 * scale) :]
    np.testing.assert_array_equal(tile[far], background()[far])
    coloured = np.abs(tile.astype(int) - background()).sum(axis=2) > 30
    rows, columns = np.nonzero(coloured)
    np.testing.assert_allclose((columns.mean() / scale, rows.mean() / scale), (60.5, 40.5), atol=2)


def test_tiles_are_of_the_chosen_limbs():
    nothing = fields(np.zeros((LIMBS, 2)), STRIP_CELLS)
    assert len(paf_tiles(STRIP, nothing, CODEC.limbs)) == 1 + min(MAX_LIMB_TILES, LIMBS)
    chosen = [("neck", "nose"), ("left_hip", "left_knee")]
    assert list(paf_tiles(STRIP, nothing, CODEC.limbs, chosen)) == [
        "all limbs",
        "neck to nose",
        "left hip to left knee",
    ]


def test_a_figure_is_a_sheet_and_its_input_is_not_modified():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*SIZE, 3), np.uint8)
    noisy = fields(rng.normal(0, 0.5, (LIMBS, 2, *CELLS)))
    before, paf = image.copy(), noisy["paf"].copy()
    page = paf_figure(image, noisy, CODEC.limbs)
    assert page.dtype == np.uint8
    assert page.shape[0] > 2 * 250
    assert page.shape[1] > 4 * 400
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(noisy["paf"], paf)


def test_limbs_that_are_not_the_fields_are_refused():
    with pytest.raises(ShapeError, match="limbs"):
        paf_tiles(GREY, fields(np.zeros((LIMBS, 2))), PoSegCodec(COCO17).limbs)
