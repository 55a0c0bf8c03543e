"""Figures of the analysis: tiles are stretched independently, matrices keep their colours and numbers."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from poseg.draw.analysis_figures import Panel, contrast_stretch, correlation_figure, neuron_figure, sparsity_figure
from poseg.errors import ShapeError


def pixels(page):
    file = io.BytesIO()
    page.savefig(file, format="png", dpi=100)
    return np.asarray(Image.open(file).convert("RGB"))


def letters(page):
    file = io.StringIO()
    page.savefig(file, format="svg")
    return [text.get_text() for axes in page.axes for text in axes.texts]


def named(count):
    return [f"joint {number}" for number in range(count)]


def test_tiles_are_stretched_independently_and_keep_their_hue():
    patches = np.random.default_rng(0).uniform(100, 130, (2, 9, 9, 3)).astype(np.float32)
    patches[..., 0] += 20
    patches[1] = patches[1] * 0.1 + 5
    tiles = contrast_stretch(patches)
    assert tiles.min() == 0
    assert tiles.max() == 1
    np.testing.assert_allclose(tiles[1], contrast_stretch(patches[1:])[0])
    assert (tiles[..., 0].mean(axis=(1, 2)) > tiles[..., 1].mean(axis=(1, 2)) + 0.2).all()
    assert 0.9 < ((tiles > 0) & (tiles < 1)).mean() < 0.99  # 1 % at each end is cut


def test_nan_is_grey_and_flat_patches_do_not_divide_by_zero():
    patches = np.full((2, 4, 4, 3), 7, np.float32)
    patches[0, 0] = np.nan
    tiles = contrast_stretch(patches)
    assert len(np.unique(tiles[0, 0])) == 1
    assert 0.5 < tiles[0, 0, 0, 0] < 1
    assert np.isfinite(tiles).all()


def test_at_most_64_tiles_with_their_captions():
    patches = np.random.default_rng(0).uniform(0, 255, (70, 5, 5, 3)).astype(np.float32)
    page = neuron_figure(patches, [f"caption {number}" for number in range(70)], heading="Heading", note="Note")
    words = letters(page)
    assert "caption 63" in words
    assert "caption 64" not in words
    assert {"Heading", "Note"} <= set(words)
    assert len(page.axes[0].images) == 64
    low = [image.get_extent() for image in page.axes[0].images[:2]]
    zoom = (low[0][1] - low[0][0]) / 5
    assert low[1][0] - low[0][1] == pytest.approx(3 * zoom)


def test_matrices_are_blue_white_and_red_and_grey_below_the_chance_level():
    matrix = np.array([[1, -1, 0], [-1, 1, 0.2], [0, 0.2, 1]])
    colours = correlation_figure([Panel("x", matrix, 0.0)], named(3)).axes[0].images[0].get_array()
    assert colours[0, 0, 0] > 2 * colours[0, 0, 2]
    assert colours[0, 1, 2] > 2 * colours[0, 1, 0]
    np.testing.assert_allclose(colours[0, 2, :3], 1)
    grey = correlation_figure([Panel("x", matrix, 0.3)], named(3)).axes[0].images[0].get_array()
    assert np.ptp(grey[1, 2, :3]) < 0.05
    assert grey[1, 2, 0] < 1
    np.testing.assert_array_equal(grey[0, 0], colours[0, 0])


def test_colours_of_correlations_do_not_depend_on_the_other_values():
    small, large = (
        correlation_figure([Panel("x", np.array([[1, 0.1], [0.1, value]]))], named(2)).axes[0].images[0].get_array()
        for value in (0.2, 1)
    )
    np.testing.assert_array_equal(small[0, 1], large[0, 1])


@pytest.mark.parametrize(("count", "numbers"), [(17, 17 * 17), (18, 0)])
def test_only_large_cells_have_numbers(count, numbers):
    page = correlation_figure([Panel("x", np.eye(count))], named(count))
    assert len(page.axes[0].texts) == numbers


def test_numbers_are_short_and_nan_is_left_out():
    matrix = np.array([[1, -0.25, np.nan], [-0.25, 1, -0.001], [np.nan, -0.001, 1]])
    words = [text.get_text() for text in correlation_figure([Panel("x", matrix)], named(3)).axes[0].texts]
    assert words == ["1.00", "\N{MINUS SIGN}.25", "\N{MINUS SIGN}.25", "1.00", ".00", ".00", "1.00"]


def test_panels_have_names_and_lines_and_fit_on_the_page():
    page = correlation_figure(
        [Panel(name, np.eye(4)) for name in "xyz"] + [Panel("strongest", np.eye(4))], named(4), breaks=(1, 3)
    )
    matrices = page.axes[:4]
    assert [axes.get_title() for axes in matrices] == ["x", "y", "z", "strongest"]
    assert [label.get_text() for label in matrices[2].get_yticklabels()] == named(4)
    assert len(matrices[0].lines) == 4
    boxes = [axes.get_position() for axes in page.axes]
    assert all(0 <= box.x0 < box.x1 <= 1 and 0 <= box.y0 < box.y1 <= 1 for box in boxes)
    assert pixels(page).std() > 5


def test_sparsity_is_scaled_off_the_diagonal():
    matrix = np.array([[-90.0, -2, -1], [-2, -90, -1.5], [-1, -1.5, -90]])
    colours = sparsity_figure([Panel("x", matrix)], named(3)).axes[0].images[0].get_array()
    brightness = colours[..., :3].sum(axis=2)
    assert brightness[0, 2] < brightness[1, 2] < brightness[0, 1]
    assert brightness[0, 1] == pytest.approx(brightness[0, 0])


def test_drawing_people_does_not_need_matplotlib():
    code = "import sys, poseg, poseg.draw; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: correlation_figure([Panel("x", np.eye(3))], named(4)),
        lambda: correlation_figure([], named(4)),
        lambda: neuron_figure(np.zeros((2, 5, 5, 3), np.float32), ["one"]),
        lambda: neuron_figure(np.zeros((0, 5, 5, 3), np.float32), []),
        lambda: contrast_stretch(np.zeros((2, 5, 5), np.float32)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(call):
    with pytest.raises(ShapeError):
        call()
