"""Laws of Lite-HRNet with its iterative head."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from poseg.errors import WeightsError  # noqa: E402
from poseg.networks.backbones.lite_hrnet import (  # noqa: E402
    Exchange,
    LiteHRNet,
    LiteHRNetPose,
    interleave,
)


def small() -> LiteHRNetPose:
    torch.manual_seed(0)
    return LiteHRNetPose(LiteHRNet((8, 16, 24, 32), (1, 1, 1), stem=8), joints=5).eval()


def test_features_and_heatmaps_have_their_strides_and_channels():
    network = small()
    with torch.no_grad():
        features = network.backbone(torch.randn(2, 3, 96, 64))
        heatmap = network.head(features)
    assert [tuple(x.shape) for x in features] == [
        (2, c, 96 // s, 64 // s) for c, s in zip(network.backbone.channels, network.backbone.strides, strict=True)
    ]
    assert heatmap.shape == (2, 5, 24, 16)


def test_the_published_size():
    assert sum(p.numel() for p in LiteHRNetPose().parameters()) == pytest.approx(1.30e6, rel=0.01)


def test_people_of_a_batch_do_not_see_each_other():
    network, crops = small(), torch.randn(3, 3, 64, 32)
    with torch.no_grad():
        together = network(crops)["heatmap"]
        alone = torch.cat([network(crop[None])["heatmap"] for crop in crops])
    torch.testing.assert_close(together, alone)


def test_interleaving_is_the_channel_shuffle():
    first, second = torch.randn(2, 2, 3, 4, 5).unbind()
    shuffled = torch.nn.functional.channel_shuffle(torch.cat((first, second), dim=1), 2)
    torch.testing.assert_close(interleave(first, second), shuffled, rtol=0, atol=0)


def test_the_first_term_of_a_sum_counts_twice_and_coarse_branches_take_the_finest_sum():
    exchange = Exchange((4, 8))
    exchange.branches = torch.nn.ModuleList(torch.nn.Identity() for _ in range(2))
    fine, coarse = torch.rand(1, 4, 8, 8), torch.rand(1, 8, 4, 4)
    (up,), (down,) = exchange.exchange
    total = 2 * fine + up(coarse)
    expected = torch.relu(total), torch.relu(2 * down(total) + coarse)
    for ours, wanted in zip(exchange((fine, coarse)), expected, strict=True):
        torch.testing.assert_close(ours, wanted)


def test_weights_of_another_network_are_refused():
    network = small()
    network.backbone.load_pretrained(network.backbone.state_dict())
    with pytest.raises(WeightsError, match="Lite-HRNet"):
        network.backbone.load_pretrained(LiteHRNet().state_dict())
