"""The picture for the eye shows what the network was shown, and equal heatmaps where it makes no mistake."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from poseg.training.pictures import training_picture  # noqa: E402


def test_perfect_fields_look_as_their_targets(tiny):
    codec = tiny.SYSTEM.codec
    item = tiny.mixture()[0]
    batch = {
        "image": item["image"][None],
        "targets": {name: target[None] for name, target in item["targets"].items()},
    }
    flat = {}
    for spec in codec.specs:
        target = item["targets"][spec.name]
        flat[spec.name] = (torch.logit(target, 1e-5) if spec.unit == "logit" else target).reshape(
            1, spec.channels, *target.shape[-2:]
        )
    picture = training_picture(batch, flat, codec, tiny.VIEW)
    side = tiny.VIEW.side_px
    assert picture.shape == (side, 3 * side, 3)
    assert picture.dtype == np.uint8
    shown, wanted, found = picture[:, :side], picture[:, side : 2 * side], picture[:, 2 * side :]
    assert np.abs(wanted.astype(int) - found).max() <= 2
    image = item["image"].numpy().transpose(1, 2, 0) * 128 + 127
    undrawn = np.abs(shown - image).max(axis=2) <= 1
    assert 0.2 < undrawn.mean() < 1, "the picture itself, with people drawn on it"
