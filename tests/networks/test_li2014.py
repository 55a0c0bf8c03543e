"""The published backbone of the multi-task networks."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from poseg.errors import WeightsError  # noqa: E402
from poseg.networks.backbones.li2014 import Li2014Backbone, WithinChannelLRN  # noqa: E402


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    return Li2014Backbone().eval()


def test_features_are_as_large_as_published(backbone):
    with torch.no_grad():
        image = torch.randn(2, 3, 112, 112)
        first = backbone.conv1(image)
        pooled = backbone.pool1(first)
        second = backbone.conv2(pooled)
        features = backbone(image)
    assert [tuple(f.shape[1:]) for f in (first, pooled, second, *features)] == [
        (32, 104, 104), (32, 52, 52), (64, 48, 48), (64, 24, 24), (64, 10, 10),
    ]  # fmt: skip
    assert features[-1].min() < 0, "the last convolution is linear"
    assert features[0].min() >= 0


def test_lrn_is_within_a_channel_and_reduces_brightness():
    torch.manual_seed(0)
    norm, x = WithinChannelLRN(alpha=1.0), torch.rand(1, 2, 12, 12) + 1
    alone = norm(x[:, :1])
    torch.testing.assert_close(norm(x)[:, :1], alone)
    weak = norm(100 * x) / norm(x)
    assert weak.max() < 10, "a hundred times as bright, far from a hundred times as much"
    torch.testing.assert_close(norm(-x), -norm(x))
    small = 1e-4 * x
    torch.testing.assert_close(norm(small), small)


def test_lrn_equals_the_formula_in_the_centre():
    torch.manual_seed(0)
    x = torch.randn(1, 1, 9, 9)
    energy = (x[0, 0, 2:7, 2:7] ** 2).mean()
    expected = x[0, 0, 4, 4] / (1 + 0.0025 * energy) ** 0.75
    torch.testing.assert_close(WithinChannelLRN()(x)[0, 0, 4, 4], expected)


def test_weights_of_another_backbone_are_refused(backbone):
    fresh = Li2014Backbone()
    fresh.load_pretrained(backbone.state_dict())
    torch.testing.assert_close(fresh.conv3.weight, backbone.conv3.weight)
    with pytest.raises(WeightsError, match="lack 5 tensors of li2014"):
        fresh.load_pretrained({"conv1.weight": torch.zeros(32, 3, 9, 9)})
