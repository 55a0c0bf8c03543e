"""Laws of MobileNetV3: alignment, channels, counts, names."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from poseg.errors import PosegError, WeightsError  # noqa: E402
from poseg.networks.backbones.mobilenet_v3 import STAGES, MobileNetV3  # noqa: E402

# What the published counts hold beyond the features: a widening layer with bias, and the classifier.
HEADS = {
    "mobilenet_v3_large": 960 * 1280 + 1280 + 1280 * 1000 + 1000,
    "mobilenet_v3_small": 576 * 1024 + 1024 + 1024 * 1000 + 1000,
}
PUBLISHED = {"mobilenet_v3_large": 5_483_032, "mobilenet_v3_small": 2_542_856}


@pytest.fixture(scope="module", params=sorted(STAGES))
def backbone(request):
    torch.manual_seed(0)
    return MobileNetV3(request.param).eval()


def test_features_have_the_declared_strides_and_channels(backbone):
    with torch.no_grad():
        features = backbone(torch.zeros(1, 3, 97, 129))
    for feature, stride, channels in zip(features, backbone.strides, backbone.channels, strict=True):
        assert feature.shape == (1, channels, 96 // stride + 1, 128 // stride + 1)


def test_parameters_are_as_many_as_published(backbone):
    count = sum(p.numel() for p in backbone.parameters())
    assert count + HEADS[backbone.name] == PUBLISHED[backbone.name]


def test_flipping_the_image_flips_the_features(backbone):
    flipped = MobileNetV3(backbone.name).eval()
    flipped.load_state_dict(
        {name: (t + t.flip(-1)) / 2 if t.ndim == 4 else t for name, t in backbone.state_dict().items()}
    )
    image = torch.randn(1, 3, 65, 97, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for ours, theirs in zip(flipped(image), flipped(image.flip(-1)), strict=True):
            torch.testing.assert_close(ours, theirs.flip(-1), atol=1e-4, rtol=1e-4)


def test_excitation_scales_channels_by_the_whole_image(backbone):
    excite = backbone.blocks[2][0].se
    x = 0.1 + torch.rand(1, excite.conv_reduce.in_channels, 9, 9, generator=torch.Generator().manual_seed(1))
    brighter = x.clone()
    brighter[..., 0, 0] += 50
    with torch.no_grad():
        scale, other = excite(x) / x, excite(brighter) / brighter
    assert scale.min() >= 0
    assert scale.max() <= 1
    torch.testing.assert_close(scale, scale[..., :1, :1].expand_as(scale))
    assert (other[..., 8, 8] - scale[..., 8, 8]).abs().max() > 0.01


def test_names_are_those_of_timm(backbone):
    names = set(backbone.state_dict())
    last = len(backbone.blocks) - 1
    expected = {"conv_stem.weight", "bn1.bias", "blocks.0.0.conv_dw.weight", "blocks.0.0.bn2.weight"}
    expected |= {
        f"blocks.2.0.{part}" for part in ("conv_pw.weight", "se.conv_reduce.bias", "conv_pwl.weight", "bn3.bias")
    }
    expected |= {f"blocks.{last}.0.conv.weight", f"blocks.{last}.0.bn1.running_mean"}
    assert expected <= names
    assert {name.partition(".")[0] for name in names} == {"conv_stem", "bn1", "blocks"}


def test_a_classifiers_state_dict_loads_without_its_classifier(backbone):
    other = MobileNetV3(backbone.name)
    other.load_pretrained(
        {**backbone.state_dict(), "conv_head.weight": torch.zeros(3), "classifier.bias": torch.zeros(3)}
    )
    for name, tensor in backbone.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name


def test_weights_of_the_other_variant_are_refused(backbone):
    (other,) = set(STAGES) - {backbone.name}
    with pytest.raises(WeightsError, match=backbone.name):
        backbone.load_pretrained(MobileNetV3(other).state_dict())


def test_a_variant_that_does_not_exist_is_refused():
    with pytest.raises(PosegError, match="mobilenet_v3_large"):
        MobileNetV3("huge")
