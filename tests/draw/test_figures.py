"""Contact sheets, the legend of directions, and curves in a panel."""

from __future__ import annotations

import numpy as np
import pytest

from poseg.draw.antialias import text_coverage
from poseg.draw.figures import (
    BACKGROUND,
    GAP_PX,
    MARGIN_PX,
    Line,
    contact_sheet,
    direction_legend,
    draw_curves,
    resize_to,
)
from poseg.draw.palette import PEOPLE_COLOURS
from poseg.errors import ShapeError


def tile(level: int, height: int = 40, width: int = 60) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def extent(page: np.ndarray, level: int) -> tuple[int, int, int]:
    """Top, left and number of the pixels of a tile."""
    rows, columns = np.nonzero((page == level).all(axis=2))
    return int(rows.min()), int(columns.min()), len(rows)


def test_tiles_are_complete_and_row_by_row():
    levels = [60, 90, 120, 150, 180]
    page = contact_sheet([tile(level) for level in levels], ["title"] * 5, 2)
    extents = [extent(page, level) for level in levels]
    assert all(box[2] >= 40 * 60 for box in extents)
    assert [box[1] for box in extents] == [MARGIN_PX, MARGIN_PX + 60 + GAP_PX] * 2 + [MARGIN_PX]
    assert extents[0][0] == extents[1][0] < extents[2][0] == extents[3][0] < extents[4][0]
    assert page.shape[1] == 2 * MARGIN_PX + 2 * 60 + GAP_PX


def test_tiles_of_other_sizes_and_columns_beyond_the_tiles():
    page = contact_sheet([tile(60), tile(90, 10, 100)], ["a", "b"], 9)
    assert extent(page, 60)[2] == 40 * 60
    assert extent(page, 90)[2] == 10 * 100


def test_heading_note_and_legend_are_above_the_tiles():
    bare = contact_sheet([tile(60, width=400)], ["a"], 1)
    headed = contact_sheet(
        [tile(60, width=400)], ["a"], 1, heading="Heading", note="A note", legend=direction_legend(50)
    )
    assert headed.shape[0] > bare.shape[0]
    assert headed.shape[1] == bare.shape[1]
    assert headed[: extent(headed, 60)[0]].max() > 200


def test_a_long_title_stays_in_its_column():
    page = contact_sheet([tile(60), tile(90)], ["an endless title that runs on and on", ""], 2)
    assert (page[MARGIN_PX : extent(page, 60)[0] - 1, MARGIN_PX + 60 :] == page[0, 0]).all()


@pytest.mark.parametrize(("images", "titles", "columns"), [([], [], 1), ([tile(1)], [], 1), ([tile(1)], ["a"], 0)])
def test_invalid_sheets_are_refused(images, titles, columns):
    with pytest.raises(ShapeError, match="titles"):
        contact_sheet(images, titles, columns)


def test_the_legend_is_white_at_the_centre_and_coloured_at_the_rim():
    wheel = direction_legend(81)
    assert wheel.shape == (81, 81, 3)
    assert wheel[40, 40].min() > 245
    rim = wheel[[40, 40, 4, 76], [4, 76, 40, 40]].astype(int)
    assert (np.ptp(rim, axis=1) > 60).all()
    assert len(np.unique(rim, axis=0)) == 4


@pytest.mark.parametrize("size", [(100, 50), (37, 301), (1, 1)])
def test_resize_keeps_the_aspect(size):
    resized, scale = resize_to(tile(9, *size), 200)
    assert max(resized.shape[:2]) == 200
    np.testing.assert_allclose(resized.shape[:2], np.array(size) * scale, atol=0.51)


def test_text_has_one_height_and_grows_with_the_letters():
    assert text_coverage("x", 20).shape[0] == text_coverage("Hgjpq", 20).shape[0] < text_coverage("x", 40).shape[0]
    assert text_coverage("ww", 20).shape[1] > text_coverage("w", 20).shape[1]
    assert text_coverage("", 20).max() == 0 < text_coverage("a", 20).max() <= 1


X = np.linspace(0, 0.5, 51)


def near(panel, colour):
    """(rows, columns) of the pixels with just that colour."""
    return np.nonzero((panel == colour).all(axis=2))


def test_curves_are_at_their_values():
    panel = draw_curves(X, [Line("", np.full(51, 0.25)), Line("", np.full(51, 0.75))])
    (low, _), (high, columns) = (near(panel, colour) for colour in PEOPLE_COLOURS[:2])
    bottom = 3 * low.mean() / 2 - high.mean() / 2  # a quarter below the lower one
    assert np.ptp(low) < 4
    assert low.mean() > high.mean()
    flat = draw_curves(X, [Line("", np.zeros(51))])
    assert near(flat, PEOPLE_COLOURS[0])[0].mean() == pytest.approx(bottom, abs=1.5)
    assert np.ptp(columns) > 400


def test_a_rising_curve_rises_to_the_right():
    rows, columns = near(draw_curves(X, [Line("", X * 2)]), PEOPLE_COLOURS[0])
    assert np.corrcoef(rows, columns)[0, 1] < -0.99


def test_the_band_is_between_its_edges():
    values = np.full(51, 0.5)
    plain = draw_curves(X, [Line("", values)])
    banded = draw_curves(X, [Line("", values, values - 0.2, values + 0.2)])
    rows = np.nonzero((plain != banded).any(axis=(1, 2)))[0]
    step = 420 - 14 - 46
    assert np.ptp(rows) == pytest.approx(0.4 * step, abs=3)


def test_names_do_not_overlap():
    lines = [Line(f"joint {n}", np.full(51, 0.5)) for n in range(30)]
    panel = draw_curves(X, lines)
    assert panel.shape[0] > 420
    right = panel[:, -70:]
    covered = (right != BACKGROUND).any(axis=(1, 2))
    starts = np.nonzero(np.diff(covered.astype(int)) == 1)[0]
    assert len(starts) >= 30


def test_no_curves_give_an_empty_panel():
    empty = draw_curves(X, [])
    unknown = draw_curves(X, [Line("", np.full(51, np.nan), np.full(51, np.nan), np.full(51, np.nan), mark=0.2)])
    assert len(near(unknown, PEOPLE_COLOURS[0])[0]) == 0
    assert empty.shape == unknown.shape == (420, 620, 3)


def test_the_panel_may_be_of_any_size():
    assert draw_curves(X, [Line("a", X)], width_px=300, height_px=200).shape == (200, 300, 3)


def test_curves_of_other_thresholds_are_refused():
    with pytest.raises(ShapeError, match="the curve a"):
        draw_curves(X, [Line("a", X[1:])])
