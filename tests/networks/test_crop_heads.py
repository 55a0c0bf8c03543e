"""Heads on crops of one person."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from poseg.fields.windows import SlidingWindows  # noqa: E402
from poseg.networks.heads.crop_heads import (  # noqa: E402
    FullyConnected,
    ScaleGradient,
    SlidingWindowHead,
    SoftArgmax,
    window_weights,
)


def test_scale_gradient_keeps_features_and_scales_their_gradient():
    x = torch.randn(3, 4, requires_grad=True)
    y = ScaleGradient.apply(x, 0.25)
    assert torch.equal(x, y)
    (y * 8).sum().backward()
    torch.testing.assert_close(x.grad, torch.full_like(x, 2.0))


def test_soft_argmax_of_a_peak_is_the_position_of_its_cell():
    """Cells at 0.5 + 8 i over a crop of 193 px."""
    head = SoftArgmax(1, 1, (0.5 / 96.5 - 1, 8 / 96.5))
    with torch.no_grad():
        head.maps.weight.fill_(1)
        head.maps.bias.zero_()
        features = torch.zeros(1, 1, 25, 25)
        features[0, 0, 7, 19] = 100
        x, y = head(features)["joints"][0, :, 0, 0]
    assert (float(x) + 1) * 96.5 == pytest.approx(0.5 + 8 * 19, abs=1e-3)
    assert (float(y) + 1) * 96.5 == pytest.approx(0.5 + 8 * 7, abs=1e-3)


def test_soft_argmax_of_two_equal_peaks_is_their_centre_and_flips_with_the_maps():
    torch.manual_seed(0)
    head = SoftArgmax(3, 5, (0.5 / 96.5 - 1, 8 / 96.5))
    features = torch.randn(2, 3, 25, 25) * 100
    with torch.no_grad():
        places = head(features)["joints"].reshape(2, 5, 2)
        flipped = head(features.flip(3))["joints"].reshape(2, 5, 2)
    torch.testing.assert_close(flipped[..., 0], -places[..., 0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(flipped[..., 1], places[..., 1], atol=1e-4, rtol=1e-4)
    assert places.abs().max() <= 1


@pytest.mark.parametrize(("windows", "stride", "origin"), [
    (SlidingWindows(193, 52, 21), 8, 0.5), (SlidingWindows(112, 30, 12), 8, 4.0),
])  # fmt: skip
def test_sliding_windows_average_the_features_in_them(windows, stride, origin):
    shares = window_weights(windows, stride, origin)
    assert shares.shape[0] == windows.per_side
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(windows.per_side))
    cells = origin + stride * torch.arange(shares.shape[1])
    starts = torch.from_numpy(windows.starts_px)
    middles = (shares * cells).sum(dim=1)
    inside = starts + windows.size_px <= windows.crop_px
    torch.testing.assert_close(middles[inside], (starts + windows.size_px / 2)[inside], atol=0.6, rtol=0)
    for row, start in zip(shares, starts, strict=True):
        held = row > 0
        assert (cells[held] > start - stride / 2).all()
        assert (cells[held] < start + windows.size_px + stride / 2).all()


def test_sliding_windows_respond_where_a_bright_spot_is():
    windows = SlidingWindows(193, 52, 21)
    head = SlidingWindowHead(1, 1, {"joint_windows": 1}, windows, 8, 0.5)
    with torch.no_grad():
        for layer in (head.hidden[0], head.outputs["joint_windows"]):
            layer.weight.fill_(1)
            layer.bias.zero_()
        features = torch.zeros(1, 1, 25, 25)
        features[0, 0, 3, 20] = 1  # at y 24.5, x 160.5
        said = head(features)["joint_windows"]
    m = windows.per_side
    assert said.shape == (1, m * m, 1, 1)
    lit = torch.nonzero(said.reshape(m, m) > said.max() / 2)  # windows that a block only sticks into hear it a little
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
