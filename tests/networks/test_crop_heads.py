"""Heads on crops of one person."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from poseg.fields.windows import SlidingWindows  # noqa: E402
from poseg.geometry.grid import Grid  # noqa: E402
from poseg.networks.heads.crop_heads import (  # noqa: E402
    FullyConnected,
    ScaleGradient,
    SlidingWindowHead,
    window_weights,
)


def test_scale_gradient_keeps_features_and_scales_their_gradient():
    x = torch.randn(3, 4, requires_grad=True)
    y = ScaleGradient.apply(x, 0.25)
    assert torch.equal(x, y)
    (y * 8).sum().backward()
    torch.testing.assert_close(x.grad, torch.full_like(x, 2.0))


@pytest.mark.parametrize(("windows", "grid"), [
    (SlidingWindows((256, 192), 52, 21), Grid(4)), (SlidingWindows((112, 112), 30, 12), Grid(8, 4.0)),
])  # fmt: skip
def test_sliding_windows_average_the_features_in_them(windows, grid):
    for axis, weights in enumerate(window_weights(windows, grid)):
        assert weights.shape == (windows.shape[axis], grid.shape(*windows.crop_size_px)[axis])
        torch.testing.assert_close(weights.sum(dim=1), torch.ones(len(weights)))
        cells = torch.from_numpy(grid.to_image(torch.arange(weights.shape[1])))
        starts = torch.from_numpy(windows.starts_px[axis])
        middles = (weights * cells).sum(dim=1)
        inside = starts + windows.size_px <= windows.crop_size_px[axis]
        torch.testing.assert_close(middles[inside], (starts + windows.size_px / 2)[inside], atol=0.6, rtol=0)
        for row, start in zip(weights, starts, strict=True):
            held = row > 0
            assert (cells[held] > start - grid.stride / 2).all()
            assert (cells[held] < start + windows.size_px + grid.stride / 2).all()


def test_sliding_windows_respond_where_a_bright_spot_is():
    windows = SlidingWindows((257, 193), 52, 21)
    head = SlidingWindowHead(1, 1, {"joint_windows": 1}, windows, Grid(8))
    with torch.no_grad():
        for layer in (head.hidden[0], head.outputs["joint_windows"]):
            layer.weight.fill_(1)
            layer.bias.zero_()
        features = torch.zeros(1, 1, 33, 25)
        features[0, 0, 3, 20] = 1  # at y 24.5, x 160.5
        said = head(features)["joint_windows"]
    assert said.shape == (1, 11 * 8, 1, 1)
    lit = torch.nonzero(
        said.reshape(windows.shape) > said.max() / 2
    )  # windows that a block only sticks into hear it a little
    held = torch.nonzero(torch.from_numpy(windows.contains_joint((160.5, 24.5))))
    assert {tuple(v) for v in held.tolist()} == {tuple(v) for v in lit.tolist()}


def test_tanh_bounds_the_outputs():
    torch.manual_seed(0)
    head = FullyConnected(48, (8, 6), {"joints": 4}, 0.0, tanh=True).eval()
    with torch.no_grad():
        head.outputs["joints"].weight.mul_(1e4)
        said = head(torch.randn(5, 3, 4, 4))["joints"]
    assert said.shape == (5, 4, 1, 1)
    assert said.abs().max() <= 1
    free = FullyConnected(48, (8, 6), {"a": 4, "b": 2}, 0.0, tanh=False).eval()
    assert {n: tuple(v.shape) for n, v in free(torch.randn(5, 3, 4, 4)).items()} == {
        "a": (5, 4, 1, 1),
        "b": (5, 2, 1, 1),
    }
