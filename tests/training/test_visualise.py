"""The image of a step shows the input, and equal heatmaps where the network makes no mistake."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from poseg.training.visualise import draw_batch_fields  # noqa: E402


def test_draw_batch_fields_draws_perfect_fields_as_their_targets(tiny):
    codec = tiny.SYSTEM.codec
    item = tiny.dataset()[0]
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
    drawn = draw_batch_fields(batch, flat, codec, tiny.INPUT)
    side = tiny.INPUT.side_px
    assert drawn.shape == (side, 3 * side, 3)
    assert drawn.dtype == np.uint8
    people, target, predicted = drawn[:, :side], drawn[:, side : 2 * side], drawn[:, 2 * side :]
    assert np.abs(target.astype(int) - predicted).max() <= 2
    image = item["image"].numpy().transpose(1, 2, 0) * 128 + 127
    unchanged = np.abs(people - image).max(axis=2) <= 1
    assert 0.2 < unchanged.mean() < 1, "the image itself, with people drawn on it"
