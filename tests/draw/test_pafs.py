"""Figures of part affinity fields: hue is direction, as on the wheel beside them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from poseg.codecs import PoSegCodec
from poseg.draw.figures import legend_wheel
from poseg.draw.pafs import FAINT, SHOWN, paf_figure, paf_tiles
from poseg.draw.palette import direction_colours
from poseg.draw.plate import Plate
from poseg.errors import ShapeError
from poseg.fields import Fields
from poseg.people import People
from poseg.skeletons import COCO17, OPENPOSE18

CODEC, CELLS = PoSegCodec(OPENPOSE18), (11, 16)
SIZE = CODEC.grid.size(*CELLS)
LIMBS = len(CODEC.limbs)
GREY = np.full((*SIZE, 3), 120, np.uint8)
GREY.flags.writeable = False
# A strip of cells is as good as a picture for what is the same everywhere, and drawn sooner.
STRIP, STRIP_CELLS = GREY[:9], (2, CELLS[1])
SEEDS = st.integers(0, 10**6)


def fields(paf: np.ndarray, cells: tuple[int, int] = CELLS) -> Fields:
    """Fields of nobody but for limbs: `paf` (L, 2) everywhere, or (L, 2, h, w)."""
    arrays = {spec.name: np.zeros((*spec.shape, *cells), np.float32) for spec in CODEC.specs}
    arrays["paf"][:] = paf if paf.ndim == 4 else paf[:, :, None, None]
    return Fields(CODEC.specs, arrays)


def towards(turn: ArrayLike, length: ArrayLike = 1.0) -> np.ndarray:
    """Vectors in the direction of 256ths of a turn, clockwise from the right since y runs down: (..., 2)."""
    angle = 2 * np.pi * np.asarray(turn) / 256
    return np.asarray(length)[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def tile_colours(vectors: np.ndarray) -> np.ndarray:
    """(L, 3) the one colour of each limb's tile, whose field is the same vector (L, 2) everywhere."""
    tiles = paf_tiles(STRIP, fields(vectors, STRIP_CELLS), CODEC.limbs, CODEC.limbs)
    found = np.stack([tile for title, tile in tiles.items() if title != "all limbs"])
    assert (found == found[:, :1, :1]).all()
    return found[:, 0, 0].astype(int)


def differences(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.abs(one - other).sum(axis=-1)


def ground(picture: np.ndarray = GREY) -> np.ndarray:
    cells = CODEC.grid.shape(*picture.shape[:2])
    return Plate.of(picture, fields(np.zeros((LIMBS, 2)), cells), 400).dark()


def turns(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, LIMBS)


@given(SEEDS, st.integers(0, 255))
def test_turning_the_field_turns_the_hue_round_the_wheel_whichever_limb_it_is(seed, by):
    turn = turns(seed)
    one, turned = tile_colours(towards(turn)), tile_colours(towards(turn + by))
    np.testing.assert_array_equal(one, direction_colours(towards(turn).T, 1.0))
    np.testing.assert_array_equal(turned, direction_colours(towards((turn + by) % 256).T, 1.0))
    if 32 <= by <= 224:
        assert differences(one, turned).min() > 40


@given(SEEDS)
def test_opposite_directions_are_told_apart(seed):
    vectors = towards(turns(seed))
    assert differences(tile_colours(vectors), tile_colours(-vectors)).min() > 100


def test_the_colour_is_that_of_the_legend_at_the_place_that_the_vector_points_to():
    wheel, vectors = legend_wheel(), towards(np.arange(LIMBS) * 256 / LIMBS)
    rows, columns = (len(wheel) / 2 * (1 + 0.9 * vectors[:, ::-1].T)).astype(int)
    legend = wheel[rows, columns].astype(int)
    away = differences(tile_colours(vectors)[:, None], legend[None])
    assert (away.argmin(axis=1) == np.arange(LIMBS)).all()


@pytest.mark.parametrize("strength", [0.0, 0.5 * FAINT, FAINT])
def test_a_field_that_says_nothing_leaves_the_picture_as_it_was(strength):
    picture = np.random.default_rng(0).integers(0, 256, STRIP.shape, np.uint8)
    tiles = paf_tiles(picture, fields(towards(turns(0), strength * 0.999), STRIP_CELLS), CODEC.limbs)
    for tile in tiles.values():
        np.testing.assert_array_equal(tile, ground(picture))


def test_a_longer_vector_covers_more_of_the_picture():
    lengths = np.resize([0.1, 0.25, 0.5, 0.75, 1.0, 1.3], LIMBS)
    full = tile_colours(towards(np.full(LIMBS, 40)))
    away = differences(tile_colours(towards(np.full(LIMBS, 40), lengths)), full)
    assert away[0] == differences(ground()[0, 0].astype(int), full[0])
    assert (np.diff(away[:5]) < 0).all()
    assert away[4] == away[5] == 0, "a mean of people's limbs may be shorter, nothing is longer than a limb"


def test_where_limbs_cross_the_strongest_is_on_top():
    paf = np.zeros((LIMBS, 2))
    paf[5] = towards(30, 0.9)
    alone = paf_tiles(STRIP, fields(paf, STRIP_CELLS), CODEC.limbs, [CODEC.limbs[5]])
    (wanted,) = (tile for title, tile in alone.items() if title != "all limbs")
    paf[9], paf[2] = towards(150, 0.7), towards(200, 0.3)
    together = paf_tiles(STRIP, fields(paf, STRIP_CELLS), CODEC.limbs)["all limbs"]
    np.testing.assert_array_equal(together, wanted)
    np.testing.assert_array_equal(alone["all limbs"], wanted)
    assert np.abs(wanted.astype(int) - ground(STRIP)).max() > 30


def test_a_painted_limb_is_coloured_along_itself_and_the_rest_is_not():
    """A forearm that points down, through the codec's own encoder."""
    points, sure = np.zeros((1, len(OPENPOSE18), 2)), np.zeros((1, len(OPENPOSE18)))
    for joint, place in (("left_elbow", (60.5, 16.5)), ("left_wrist", (60.5, 64.5))):
        points[0, OPENPOSE18.index(joint)], sure[0, OPENPOSE18.index(joint)] = place, 1
    encoded = CODEC.encode(People.from_poses(OPENPOSE18, points, sure), SIZE).as_fields()
    tile = paf_tiles(GREY, encoded, CODEC.limbs, [("left_elbow", "left_wrist")])["left elbow to left wrist"]
    scale = tile.shape[1] / SIZE[1]
    wanted = direction_colours(np.array([0.0, 1.0]), 1.0).astype(int)
    np.testing.assert_allclose(tile[int(40 * scale), int(60 * scale)], wanted, atol=2)
    far = np.s_[:, int(85 * scale) :]
    np.testing.assert_array_equal(tile[far], ground()[far])
    painted = np.abs(tile.astype(int) - ground()).sum(axis=2) > 30
    rows, columns = np.nonzero(painted)
    np.testing.assert_allclose((columns.mean() / scale, rows.mean() / scale), (60.5, 40.5), atol=2)


def test_tiles_are_of_the_limbs_asked_for():
    nothing = fields(np.zeros((LIMBS, 2)), STRIP_CELLS)
    assert len(paf_tiles(STRIP, nothing, CODEC.limbs)) == 1 + min(SHOWN, LIMBS)
    chosen = [("neck", "nose"), ("left_hip", "left_knee")]
    assert list(paf_tiles(STRIP, nothing, CODEC.limbs, chosen)) == [
        "all limbs",
        "neck to nose",
        "left hip to left knee",
    ]


def test_a_figure_is_a_sheet_and_leaves_what_it_was_given_alone():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (*SIZE, 3), np.uint8)
    seen = fields(rng.normal(0, 0.5, (LIMBS, 2, *CELLS)))
    before, paf = picture.copy(), seen["paf"].copy()
    page = paf_figure(picture, seen, CODEC.limbs)
    assert page.dtype == np.uint8
    assert page.shape[0] > 2 * 250
    assert page.shape[1] > 4 * 400
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(seen["paf"], paf)


def test_limbs_that_are_not_the_fields_are_refused():
    with pytest.raises(ShapeError, match="limbs"):
        paf_tiles(GREY, fields(np.zeros((LIMBS, 2))), PoSegCodec(COCO17).limbs)
