"""What Pose2Seg learns from: windows and their masks follow each other through every view."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")

from poseg.errors import AnnotationError  # noqa: E402
from poseg.recipes import find_recipe  # noqa: E402
from poseg.recipes.roads import road_of  # noqa: E402
from poseg.skeletons import LSP14  # noqa: E402
from poseg.systems.pose2seg import Pose2Seg  # noqa: E402
from poseg.training.pictures import window_picture  # noqa: E402
from poseg.training.window_views import WindowViews  # noqa: E402

TINY = find_recipe("pose2seg_overfit_tiny")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    TINY.data(folder)
    return folder


def views(data: Path, **changes) -> WindowViews:
    return road_of(TINY).items(replace(TINY, view=replace(TINY.view, **changes)), data)


def seen_colours(item) -> tuple[np.ndarray, np.ndarray]:
    """For each window, the picture cut by its matrix, inside and outside the wanted mask: mean colours (P, 3)."""
    from poseg.networks.windows import cut_windows

    cut = cut_windows(item["image"][None], item["given"]["windows"][None], 64, 1)
    inside = item["targets"]["mask"][:, None] * item["weights"]["mask"][:, None]
    outside = (1 - item["targets"]["mask"][:, None]) * item["weights"]["mask"][:, None]
    return tuple(((cut * m).sum(dim=(2, 3)) / m.sum(dim=(2, 3)).clamp(min=1)).numpy() for m in (inside, outside))


@pytest.mark.parametrize("changes", [{}, {"rotation_deg": 30.0, "zoom": (0.8, 1.2), "shift": 0.1}])
def test_a_window_shows_what_its_mask_says(data, changes):
    """Drawn people differ from what is behind them, so a mask in the wrong place would mix both."""
    plain, moved = views(data, people=4), views(data, people=4, **changes)
    for position in range(4):
        for items in (plain, moved):
            person, rest = seen_colours(items[position])
            assert np.abs(person - rest).max(axis=1).min() > 0.15
        np.testing.assert_array_equal(plain[position]["image"], moved[position]["image"])


def test_items_have_fixed_shapes_and_repeat(data):
    items = views(data, people=3, pose_spread=1.0, pose_missing=0.5, pasted=1.0)
    for position in range(6):
        item, again = items[position], items[position]
        assert item["given"]["windows"].shape == (3, 2, 3)
        assert item["given"]["joints"].shape == (3, 17, 3)
        assert item["targets"]["mask"].shape == item["weights"]["mask"].shape == (3, 64, 64)
        for kind in ("given", "targets", "weights"):
            for name, tensor in item[kind].items():
                assert torch.isfinite(tensor).all()
                assert torch.equal(tensor, again[kind][name])


def test_somebody_is_pasted(data):
    plain, pasted = views(data), views(data, pasted=1.0)
    changed = [not torch.equal(plain[i]["image"], pasted[i]["image"]) for i in range(8)]
    assert sum(changed) >= 6


def test_a_view_without_people_counts_nothing(data):
    items = views(data, people=2)
    sample = items.shares[0].data[0]
    chosen = items._chosen(sample.people[:0], np.random.default_rng(0))
    assert len(chosen) == 0


def test_another_skeleton_is_refused(data):
    with pytest.raises(AnnotationError, match="skeleton"):
        WindowViews(TINY.data(data), Pose2Seg(skeleton=LSP14).codec, TINY.view, length=1, seed=0)


def test_the_picture_of_a_step(data):
    items = views(data, people=2)
    batch = torch.utils.data.default_collate([items[0], items[1]])
    picture = window_picture(batch, {"mask": torch.zeros(4, 1, 64, 64)}, TINY.system.codec, TINY.view)
    assert picture.shape == (2 * 3 * 64, 9 * 64, 3)
    assert picture.std() > 10
