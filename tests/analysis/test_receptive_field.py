"""Receptive fields of the published backbone, of padding and dilation, and layers without one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from poseg.analysis.receptive_field import record_activations, trace_receptive_field
from poseg.errors import PosegError, ShapeError


def backbone(width=6):
    """The published backbone with fewer channels, and a head for crops of 112 pixels only."""
    torch.manual_seed(0)
    pool = {"kernel_size": 3, "stride": 2, "ceil_mode": True}
    network = nn.Sequential()
    layers = {
        "conv1": nn.Conv2d(3, width, 9), "relu1": nn.ReLU(inplace=True), "pool1": nn.MaxPool2d(**pool),
        "conv2": nn.Conv2d(width, width, 5), "relu2": nn.ReLU(), "pool2": nn.MaxPool2d(**pool),
        "conv3": nn.Conv2d(width, width, 5), "pool3": nn.MaxPool2d(**pool),
        "flat": nn.Flatten(), "fc": nn.Linear(width * 100, 4),
    }  # fmt: skip
    for name, layer in layers.items():
        network.add_module(name, layer)
    return network, layers


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("conv1", (9, 1, 0)), ("pool1", (11, 2, 0)), ("conv2", (19, 2, 0)), ("relu2", (19, 2, 0)),
        ("pool2", (23, 4, 0)), ("conv3", (39, 4, 0)), ("pool3", (47, 8, 0)),
    ],
)  # fmt: skip
def test_fields_of_the_published_backbone(name, field):
    network, layers = backbone()
    assert trace_receptive_field(network, layers[name]) == field


@pytest.mark.parametrize(
    ("layer", "field"),
    [
        (nn.Conv2d(3, 2, 1), (1, 1, 0)),
        (nn.Conv2d(3, 2, 3, padding=1), (3, 1, -1)),
        (nn.Conv2d(3, 2, 7, stride=2, padding=3), (7, 2, -3)),
        (nn.Conv2d(3, 2, 3, dilation=4, padding=4), (9, 1, -4)),
        (nn.AvgPool2d(4), (4, 4, 0)),
    ],
)
def test_padding_starts_before_the_image_and_dilation_widens(layer, field):
    assert trace_receptive_field(nn.Sequential(layer), layer, side_px=32) == field


def test_noise_grows_until_it_contains_the_field():
    layers = [nn.Conv2d(3 if number == 0 else 2, 2, 5, stride=2) for number in range(4)]
    torch.manual_seed(1)
    assert trace_receptive_field(nn.Sequential(*layers), layers[-1], side_px=64) == (61, 16, 0)


def test_a_fraction_is_the_centre_of_the_field():
    network, layers = backbone()
    whole, part = (trace_receptive_field(network, layers["pool3"], fraction=fraction) for fraction in (1, 0.8))
    assert part.jump == whole.jump
    assert 12 < part.size < 0.85 * whole.size
    assert abs((part.start + part.size / 2) - (whole.start + whole.size / 2)) < 3


class Normalised(nn.Module):
    """Each cell is divided by the energy of its neighbourhood."""

    def forward(self, x):
        return x / (1 + nn.functional.avg_pool2d(x * x, 5, stride=1, padding=2))


def test_modules_that_are_skipped_do_not_widen_the_field():
    torch.manual_seed(0)
    divide, pool = Normalised(), nn.MaxPool2d(3, 2)
    network = nn.Sequential(nn.Conv2d(3, 4, 5), divide, pool)
    assert trace_receptive_field(network, pool) == (11, 2, -2)
    assert trace_receptive_field(network, pool, skip=[divide]) == (7, 2, 0)
    assert not divide._forward_hooks


class Squeezed(nn.Module):
    """Every cell depends a little on all pixels."""

    def __init__(self):
        super().__init__()
        self.conv, self.gated = nn.Conv2d(3, 4, 5, padding=2), nn.Identity()

    def forward(self, image):
        x = self.conv(image)
        return self.gated(x * torch.sigmoid(x.mean(dim=(2, 3), keepdim=True)))


def test_global_pooling_has_no_field_but_an_effective_one():
    torch.manual_seed(0)
    network = Squeezed()
    with pytest.raises(PosegError, match=r"give fraction"):
        trace_receptive_field(network, network.gated, side_px=64, max_side_px=128)
    assert trace_receptive_field(network, network.gated, side_px=64, fraction=0.8).size <= 7


def test_fields_that_are_not_square_are_refused():
    wide = nn.Conv2d(3, 2, (3, 5), padding=(1, 2))
    with pytest.raises(PosegError, match="not square"):
        trace_receptive_field(nn.Sequential(wide), wide)


def test_cells_closer_than_pixels_are_refused():
    finer = nn.Upsample(scale_factor=2)
    with pytest.raises(PosegError, match="whole number of pixels"):
        trace_receptive_field(nn.Sequential(nn.Conv2d(3, 2, 3), finer), finer)


def test_a_layer_that_is_not_called_is_refused():
    network, _ = backbone()
    with (
        pytest.raises(PosegError, match="modules that it calls"),
        record_activations(network, {"lost": nn.Conv2d(3, 2, 3)}, lambda name, output: None) as run,
    ):
        run(torch.zeros(1, 3, 112, 112))


def test_a_layer_without_cells_is_refused():
    network, layers = backbone()
    with (
        pytest.raises(ShapeError, match="height"),
        record_activations(network, {"fc": layers["fc"]}, lambda name, output: None) as run,
    ):
        run(torch.zeros(1, 3, 112, 112))


def test_networks_are_not_modified():
    network, layers = backbone()
    network.train()
    layers["conv1"].eval()
    trace_receptive_field(network, layers["conv2"])
    assert network.training
    assert not layers["conv1"].training
    assert not layers["conv2"]._forward_hooks
    assert all(weight.grad is None for weight in network.parameters())
