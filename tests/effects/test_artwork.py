from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.effects.artwork import FOLDER, Art, art_names, draw_art, load_art
from poseg.errors import ShapeError

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "draw_art.py"
ALL_ART = [(kind, name) for kind in ("wings", "stickers") for name in art_names(kind)]


def test_bundled_art_is_small_and_listed():
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert {path.stem for path in files if path.suffix == ".webp"} == {name for _, name in ALL_ART}
    assert sum(path.stat().st_size for path in files) < 1_500_000


@pytest.mark.parametrize(("kind", "name"), ALL_ART)
def test_bundled_art_is_premultiplied_smooth_and_not_cut_off(kind, name):
    art = load_art(kind, name)
    opacity = art.pixels[..., 3]
    assert (art.pixels[..., :3] <= opacity[..., None]).all()
    assert opacity.max() > 100
    assert ((opacity > 20) & (opacity < 235)).sum() > 200
    assert np.concatenate([opacity[0], opacity[-1], opacity[:, 0], opacity[:, -1]]).max() <= 8
    x0, y0, x1, y1 = art.box_xyxy
    assert opacity.shape[1] / (x1 - x0) == pytest.approx(opacity.shape[0] / (y1 - y0), rel=0.01)
    if kind == "stickers":
        assert np.abs(opacity.astype(int) - opacity[:, ::-1]).mean() < 1


@pytest.mark.parametrize("name", ["glasses", "hat"])
def test_script_draws_the_bundled_art(name):
    if not SCRIPT.exists():
        pytest.skip("the script is not part of the source distribution")
    pixels, entry = runpy.run_path(str(SCRIPT))["sticker"](name)
    bundled = load_art("stickers", name)
    assert tuple(entry["box_xyxy"]) == bundled.box_xyxy
    assert entry["foreshortens"] == bundled.foreshortens
    drawn = Art.from_rgba(pixels, bundled.box_xyxy).pixels
    assert np.abs(drawn.astype(int) - bundled.pixels).mean() < 0.5  # to what another OpenCV rounds otherwise


@given(st.floats(1, 400), st.floats(1, 400))
def test_downscaled_art_has_as_many_pixels_as_needed_and_the_same_mean(width_px, height_px):
    art = Art.from_rgba(np.random.default_rng(0).integers(0, 256, (120, 200, 4), np.uint8), (0, 0, 2, 1))
    small = art.downscale(width_px, height_px)
    for have, needed, own in zip(small.shape[:2], (height_px, width_px), (120, 200), strict=True):
        assert min(needed, own) - 0.5 <= have <= 1.5 * needed + 1
    assert small.mean(axis=(0, 1)) == pytest.approx(art.pixels.mean(axis=(0, 1)), abs=1.5)
    assert art.downscale(width_px, height_px) is small


def test_flipped_twice_is_the_same_art():
    art = load_art("wings", "bat")
    again = art.flipped().flipped()
    assert again.box_xyxy == art.box_xyxy
    np.testing.assert_array_equal(again.pixels, art.pixels)


def test_art_at_its_own_size_is_drawn_bit_for_bit():
    rgba = np.random.default_rng(0).integers(0, 256, (20, 30, 4), np.uint8)
    rgba[..., 3] = 255
    canvas = np.zeros((60, 80, 3), np.uint8)
    art = Art.from_rgba(rgba, (0, 0, 30, 20))
    draw_art(canvas, art, np.add(art.corners, (10, 25)), [], 1.0)
    np.testing.assert_array_equal(canvas[25:45, 10:40], rgba[..., :3])
    assert not canvas[:25].any()
    assert not canvas[:, 40:].any()


def test_art_rejects_images_without_transparency():
    with pytest.raises(ShapeError, match="RGBA"):
        Art.from_rgba(np.zeros((4, 4, 3), np.uint8), (0, 0, 1, 1))
