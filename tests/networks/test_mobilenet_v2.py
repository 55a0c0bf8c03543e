"""Laws of MobileNetV2 with MoveNet's pyramid, and its published weights."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from poseg.errors import WeightsError  # noqa: E402
from poseg.networks.backbones.mobilenet_v2 import MobileNetV2, StepUp  # noqa: E402


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
    wide = torch.nn.functional.pad(torch.randn(1, 3, 33, 33), (480, 512, 480, 480))
    with torch.no_grad():
        here, there = network(wide[..., :-32]), network(wide[..., 32:])
    for stride, a, b in zip(network.strides, here, there, strict=True):
        step, edge = 32 // stride, 224 // stride
        inside = slice(edge, -edge)
        torch.testing.assert_close(a[:, :, inside, edge:-edge], b[:, :, inside, edge - step : -edge - step])


def test_a_step_up_without_weights_is_the_sum_of_what_it_is_given():
    step = StepUp(4, 4)
    with torch.no_grad():
        for module in (step.conv_dw, step.conv_pw):
            module.weight.zero_()
            module.bias.zero_()
        step.conv_dw.weight[:, 0, 1, 1] = 1
        step.conv_pw.weight[range(4), range(4)] = 1
    coarse, fine = torch.rand(1, 4, 3, 5), torch.rand(1, 4, 5, 9)
    out = step(coarse, fine)
    torch.testing.assert_close(out[..., ::2, ::2], coarse + fine[..., ::2, ::2])
