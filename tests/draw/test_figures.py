from __future__ import annotations

import numpy as np
import pytest

from poseg.draw.figures import GAP_PX, MARGIN_PX, fit, legend_wheel, sheet
from poseg.draw.lettering import letter
from poseg.errors import ShapeError


def tile(level: int, height: int = 40, width: int = 60) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def found(page: np.ndarray, level: int) -> tuple[int, int, int]:
    """Top, left and number of the pixels of a tile."""
    rows, columns = np.nonzero((page == level).all(axis=2))
    return int(rows.min()), int(columns.min()), len(rows)


def test_tiles_lie_whole_row_by_row():
    levels = [60, 90, 120, 150, 180]
    page = sheet([tile(level) for level in levels], ["title"] * 5, 2)
    places = [found(page, level) for level in levels]
    assert all(place[2] >= 40 * 60 for place in places)
    assert [place[1] for place in places] == [MARGIN_PX, MARGIN_PX + 60 + GAP_PX] * 2 + [MARGIN_PX]
    assert places[0][0] == places[1][0] < places[2][0] == places[3][0] < places[4][0]
    assert page.shape[1] == 2 * MARGIN_PX + 2 * 60 + GAP_PX


def test_tiles_of_other_sizes_and_columns_beyond_the_tiles():
    page = sheet([tile(60), tile(90, 10, 100)], ["a", "b"], 9)
    assert found(page, 60)[2] == 40 * 60
    assert found(page, 90)[2] == 10 * 100


def test_heading_note_and_emblem_take_room_above():
    bare = sheet([tile(60, width=400)], ["a"], 1)
    headed = sheet([tile(60, width=400)], ["a"], 1, heading="Heading", note="A note", emblem=legend_wheel(50))
    assert headed.shape[0] > bare.shape[0]
    assert headed.shape[1] == bare.shape[1]
    assert headed[: found(headed, 60)[0]].max() > 200


def test_a_long_title_stays_in_its_column():
    page = sheet([tile(60), tile(90)], ["an endless title that runs on and on", ""], 2)
    assert (page[MARGIN_PX : found(page, 60)[0] - 1, MARGIN_PX + 60 :] == page[0, 0]).all()


@pytest.mark.parametrize(("images", "titles", "columns"), [([], [], 1), ([tile(1)], [], 1), ([tile(1)], ["a"], 0)])
def test_sheets_that_cannot_be_laid_out(images, titles, columns):
    with pytest.raises(ShapeError, match="titles"):
        sheet(images, titles, columns)


def test_the_wheel_is_white_in_the_middle_and_coloured_at_the_rim():
    wheel = legend_wheel(81)
    assert wheel.shape == (81, 81, 3)
    assert wheel[40, 40].min() > 245
    rim = wheel[[40, 40, 4, 76], [4, 76, 40, 40]].astype(int)
    assert (np.ptp(rim, axis=1) > 60).all()
    assert len(np.unique(rim, axis=0)) == 4


@pytest.mark.parametrize("size", [(100, 50), (37, 301), (1, 1)])
def test_fit_keeps_the_aspect(size):
    picture, scale = fit(tile(9, *size), 200)
    assert max(picture.shape[:2]) == 200
    np.testing.assert_allclose(picture.shape[:2], np.array(size) * scale, atol=0.51)


def test_letters_have_one_height_and_grow_with_the_text():
    assert letter("x", 20).shape[0] == letter("Hgjpq", 20).shape[0] < letter("x", 40).shape[0]
    assert letter("ww", 20).shape[1] > letter("w", 20).shape[1]
    assert letter("", 20).max() == 0 < letter("a", 20).max() <= 1
