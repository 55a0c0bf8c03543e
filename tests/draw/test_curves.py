"""Curves in a panel: where they run, and what is not drawn."""

from __future__ import annotations

import numpy as np
import pytest

from poseg.draw.curves import Line, draw_curves
from poseg.draw.figures import GROUND
from poseg.draw.palette import PEOPLE_COLOURS
from poseg.errors import ShapeError

X = np.linspace(0, 0.5, 51)


def near(panel, colour):
    """(rows, columns) of the pixels with just that colour."""
    return np.nonzero((panel == colour).all(axis=2))


def test_curves_run_where_their_values_are():
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


def test_the_band_lies_between_its_edges():
    values = np.full(51, 0.5)
    plain = draw_curves(X, [Line("", values)])
    banded = draw_curves(X, [Line("", values, values - 0.2, values + 0.2)])
    rows = np.nonzero((plain != banded).any(axis=(1, 2)))[0]
    step = 420 - 14 - 46
    assert np.ptp(rows) == pytest.approx(0.4 * step, abs=3)


def test_names_do_not_lie_on_each_other():
    lines = [Line(f"joint {n}", np.full(51, 0.5)) for n in range(30)]
    panel = draw_curves(X, lines)
    assert panel.shape[0] > 420
    right = panel[:, -70:]
    inked = (right != GROUND).any(axis=(1, 2))
    starts = np.nonzero(np.diff(inked.astype(int)) == 1)[0]
    assert len(starts) >= 30


def test_nothing_to_draw_is_an_empty_panel():
    empty = draw_curves(X, [])
    unknown = draw_curves(X, [Line("", np.full(51, np.nan), np.full(51, np.nan), np.full(51, np.nan), mark=0.2)])
    assert len(near(unknown, PEOPLE_COLOURS[0])[0]) == 0
    assert empty.shape == unknown.shape == (420, 620, 3)


def test_the_panel_may_be_of_any_size():
    assert draw_curves(X, [Line("a", X)], width_px=300, height_px=200).shape == (200, 300, 3)


def test_curves_of_other_thresholds_are_refused():
    with pytest.raises(ShapeError, match="the curve a"):
        draw_curves(X, [Line("a", X[1:])])
