"""The published trunk of the multi-task networks."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from poseg.errors import WeightsError  # noqa: E402
from poseg.networks.backbones.three_convolutions import SpatialNormalisation, ThreeConvolutions  # noqa: E402


@pytest.fixture(scope="module")
def trunk():
    torch.manual_seed(0)
    return ThreeConvolutions().eval()


def test_features_are_as_large_as_published(trunk):
    with torch.no_grad():
        image = torch.randn(2, 3, 112, 112)
        first = trunk.conv1(image)
        pooled = trunk.pool1(first)
        second = trunk.conv2(pooled)
        features = trunk(image)
    assert [tuple(f.shape[1:]) for f in (first, pooled, second, *features)] == [
        (32, 104, 104), (32, 52, 52), (64, 48, 48), (64, 24, 24), (64, 10, 10),
    ]  # fmt: skip
    assert features[-1].min() < 0, "the last convolution is linear"
    assert features[0].min() >= 0


def test_normalisation_is_within_a_channel_and_takes_brightness_away():
    torch.manual_seed(0)
    norm, x = SpatialNormalisation(alpha=1.0), torch.rand(1, 2, 12, 12) + 1
    alone = norm(x[:, :1])
    torch.testing.assert_close(norm(x)[:, :1], alone)
    weak = norm(100 * x) / norm(x)
    assert weak.max() < 10, "a hundred times as bright, far from a hundred times as much"
    torch.testing.assert_close(norm(-x), -norm(x))
    small = 1e-4 * x
    torch.testing.assert_close(norm(small), small)


def test_it_equals_the_formula_in_the_middle():
    torch.manual_seed(0)
    x = torch.randn(1, 1, 9, 9)
    energy = (x[0, 0, 2:7, 2:7] ** 2).mean()
    wanted = x[0, 0, 4, 4] / (1 + 0.0025 * energy) ** 0.75
    torch.testing.assert_close(SpatialNormalisation()(x)[0, 0, 4, 4], wanted)


def test_weights_of_another_trunk_are_refused(trunk):
    fresh = ThreeConvolutions()
    fresh.load_pretrained(trunk.state_dict())
    torch.testing.assert_close(fresh.conv3.weight, trunk.conv3.weight)
    with pytest.raises(WeightsError, match="three convolutions"):
        fresh.load_pretrained({"conv1.weight": torch.zeros(32, 3, 9, 9)})
