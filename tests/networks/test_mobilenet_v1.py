"""Laws of the stride-16 MobileNetV1."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from poseg.errors import WeightsError  # noqa: E402
from poseg.networks.backbones.mobilenet_v1 import MobileNetV1  # noqa: E402


def test_a_shift_by_sixteen_pixels_is_a_shift_by_one_cell():
    torch.manual_seed(0)
    network = MobileNetV1().eval()
    wide = torch.randn(1, 3, 257, 273)
    with torch.no_grad():
        here, there = network(wide[..., :257]), network(wide[..., 16:])
    for stride, a, b in zip(network.strides, here, there, strict=True):
        step, reach = 16 // stride, 176 // stride  # the field of view of one cell ends before the border
        inside = slice(reach // 2 + 1, -reach // 2 - 1)
        torch.testing.assert_close(a[:, :, inside, step:][..., inside], b[:, :, inside, :-step][..., inside])
        assert a.shape[1:] == (network.channels[network.strides.index(stride)], 256 // stride + 1, 256 // stride + 1)


def test_folded_convolutions_load_in_order_and_others_are_refused():
    torch.manual_seed(0)
    source, network = MobileNetV1(0.5), MobileNetV1(0.5)
    layers = {
        name: (module.weight.detach().numpy(), module.bias.detach().numpy())
        for name, module in source.named_modules()
        if isinstance(module, torch.nn.Conv2d)
    }
    network.load_google(layers)
    image = torch.randn(1, 3, 65, 65)
    torch.testing.assert_close(network(image)[-1], source(image)[-1])
    with pytest.raises(WeightsError, match=r"shape.*this MobileNetV1"):
        MobileNetV1(0.75).load_google(layers)
    with pytest.raises(WeightsError, match="27 convolutions, got 26"):
        network.load_google(dict(list(layers.items())[1:]))
    with pytest.raises(WeightsError, match="this MobileNetV1"):
        MobileNetV1(0.75).load_pretrained(source.state_dict())
