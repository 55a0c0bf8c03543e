"""Laws of MobileNetV2 with MoveNet's pyramid, and its published weights."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402

from poseg.errors import WeightsError  # noqa: E402
from poseg.networks.backbones.mobilenet_v2 import TAPS, UPSAMPLING, MobileNetV2, UpsampleBlock  # noqa: E402


def layers(network):
    return {
        name: (module.weight.detach().numpy(), module.bias.detach().numpy())
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.Conv2d)
    }


def test_convolutions_are_named_once_each_and_in_the_order_in_which_they_run():
    network, ran = MobileNetV2().eval(), []
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda *_, name=name: ran.append(name))
    network(torch.zeros(1, 3, 33, 33))
    names = network.convolutions()
    assert sorted(names) == sorted(layers(network)) == sorted(ran)
    # The published file runs laterals at once, this class when the pyramid asks for them.
    own = [name for name in names if not name.startswith("laterals")]
    assert own == [name for name in ran if not name.startswith("laterals")]


def test_folded_convolutions_load_by_name_and_others_are_refused():
    torch.manual_seed(0)
    source, network = MobileNetV2(), MobileNetV2()
    network.load_google(layers(source))
    image = torch.randn(1, 3, 65, 97)
    with torch.no_grad():
        for ours, theirs in zip(network(image), source(image), strict=True):
            torch.testing.assert_close(ours, theirs)
    missing = layers(source)
    del missing["conv_head"]
    with pytest.raises(WeightsError, match="this MobileNetV2"):
        network.load_google(missing)
    wrong = {**layers(source), "conv_stem": layers(source)["conv_head"]}
    with pytest.raises(WeightsError, match="this MobileNetV2"):
        network.load_google(wrong)


def test_a_shift_by_a_coarsest_cell_shifts_every_feature():
    torch.manual_seed(0)
    network = MobileNetV2().eval()
    wide = F.pad(torch.randn(1, 3, 33, 33), (480, 512, 480, 480))
    with torch.no_grad():
        here, there = network(wide[..., :-32]), network(wide[..., 32:])
    for stride, a, b in zip(network.strides, here, there, strict=True):
        step, edge = 32 // stride, 224 // stride
        inside = slice(edge, -edge)
        torch.testing.assert_close(a[:, :, inside, edge:-edge], b[:, :, inside, edge - step : -edge - step])


def test_upsampling_adds_an_even_coarse_feature_to_the_fine_one():
    step = UpsampleBlock(4, 4)
    with torch.no_grad():
        for module in (step.conv_dw, step.conv_pw):
            module.weight.zero_()
            module.bias.zero_()
        step.conv_dw.weight[:, 0, 1, 1] = 1
        step.conv_pw.weight[range(4), range(4)] = 1
    coarse, fine = torch.rand(1, 4, 1, 1).expand(1, 4, 3, 5), torch.rand(1, 4, 5, 9)
    torch.testing.assert_close(step(coarse, fine), coarse[..., :1, :1] + fine)


class Published(torch.nn.Module):
    """The network as published: sides of 32 n, padded at the bottom and right, up with half-pixel centres."""

    def __init__(self, ours):
        super().__init__()
        self.ours = ours
        for module in ours.modules():
            if isinstance(module, torch.nn.Conv2d) and module.stride == (2, 2):
                module.register_forward_pre_hook(lambda _, given: (F.pad(given[0], (0, 1, 0, 1)),))
                module.padding = (0, 0)

    def forward(self, image):
        net, kept = self.ours, {}
        x = net.conv_pwl(net.act(net.conv_dw(net.act(net.conv_stem(image)))))
        for place, block in enumerate(net.blocks):
            x = kept[place] = block(x)
        x = net.laterals[-1](net.act(net.conv_head(x)))
        for step, lateral, tap in zip(net.steps_up, net.laterals[2::-1], TAPS[::-1], strict=True):
            up = F.interpolate(x, scale_factor=2, mode="bilinear")
            x = F.relu(step.conv_pw(step.conv_dw(up + lateral(kept[tap]))))
        return x


def test_but_for_a_shift_and_the_borders_it_is_the_published_network():
    torch.manual_seed(0)
    ours = MobileNetV2().eval()
    theirs = Published(copy.deepcopy(ours))
    image = F.pad(torch.randn(1, 3, 33, 33), (496, 496, 496, 496))
    with torch.no_grad():
        pyramid = ours(image)[1][:, -2 * UPSAMPLING[-1][1] : -UPSAMPLING[-1][1]]  # of stride 4, sampled at stride 8
        published = theirs(image[..., 1:, 1:])  # cells stand 31 pixels further on here, which is a coarsest cell less 1
    cells = slice(40, -40)
    torch.testing.assert_close(pyramid[..., cells, cells], published[..., 1::2, 1::2][..., 39:-40, 39:-40])
