"""Laws of the backbone: alignment, channels, names."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from poseg.errors import PosegError, WeightsError  # noqa: E402
from poseg.networks.backbones.efficientnet_lite import EfficientNetLite  # noqa: E402


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    return EfficientNetLite("lite0").eval()


def test_features_have_the_declared_strides_and_channels(backbone):
    features = backbone(torch.zeros(1, 3, 97, 129))
    for feature, stride, channels in zip(features, backbone.strides, backbone.channels, strict=True):
        assert feature.shape == (1, channels, 96 // stride + 1, 128 // stride + 1)


def test_cells_stand_on_pixels_so_flipping_the_image_flips_the_features(backbone):
    # Only a symmetric alignment survives a mirror; the weights must be symmetric too.
    flipped = EfficientNetLite("lite0").eval()
    symmetric = {
        name: (tensor + tensor.flip(-1)) / 2 if tensor.ndim == 4 else tensor
        for name, tensor in backbone.state_dict().items()
    }
    flipped.load_state_dict(symmetric)
    image = torch.randn(1, 3, 65, 97, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for ours, theirs in zip(flipped(image), flipped(image.flip(-1)), strict=True):
            torch.testing.assert_close(ours, theirs.flip(-1), atol=1e-4, rtol=1e-4)


def test_its_own_state_dict_loads_by_timm_names(backbone):
    other = EfficientNetLite("lite0")
    other.load_pretrained({**backbone.state_dict(), "classifier.weight": torch.zeros(3)})
    image = torch.randn(1, 3, 65, 65)
    with torch.no_grad():
        torch.testing.assert_close(other.eval()(image)[-1], backbone(image)[-1])


def test_names_of_the_first_port_are_translated(backbone):
    flat, number = {}, 0
    parts = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1",
             "conv_pwl": "_project_conv", "bn3": "_bn2"}  # fmt: skip
    opening = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
    for s, stage in enumerate(backbone.blocks):
        for block in stage:
            for name, tensor in block.state_dict().items():
                module, leaf = name.split(".")
                flat[f"_blocks.{number}.{(opening if s == 0 else parts)[module]}.{leaf}"] = tensor
            number += 1
    for name, tensor in backbone.state_dict().items():
        if name.startswith(("conv_stem", "bn1")):
            flat[name.replace("conv_stem", "_conv_stem").replace("bn1", "_bn0")] = tensor
    other = EfficientNetLite("lite0")
    other.load_pretrained(flat)
    for name, tensor in backbone.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name


def test_weights_of_another_variant_are_refused(backbone):
    with pytest.raises(WeightsError, match="shape"):
        EfficientNetLite("lite2").load_pretrained(
            {**EfficientNetLite("lite2").state_dict(), "conv_stem.weight": torch.zeros(8, 3, 3, 3)}
        )
    with pytest.raises(WeightsError, match="lack"):
        EfficientNetLite("lite0").load_pretrained({"fc.weight": torch.zeros(1)})


@pytest.mark.parametrize("naming", ["timm", "first port"])
def test_weights_of_a_deeper_variant_are_refused(backbone, naming):
    # Lite1 is as wide as Lite0: all that Lite0 wants is there in the right shape, and only what is left over tells.
    deeper = EfficientNetLite("lite1").state_dict()
    if naming == "first port":
        deeper = {**backbone.state_dict(), "_blocks.16._bn0.weight": torch.zeros(1152)}
    with pytest.raises(WeightsError, match="more than EfficientNet-Lite0"):
        EfficientNetLite("lite0").load_pretrained(deeper)


def test_a_relative_with_other_parts_is_refused(backbone):
    with pytest.raises(WeightsError, match="se_reduce"):
        EfficientNetLite("lite0").load_pretrained(
            {**backbone.state_dict(), "_blocks.0._se_reduce.weight": torch.zeros(1)}
        )


def test_a_variant_that_does_not_exist_is_refused():
    with pytest.raises(PosegError, match="lite0, lite1, lite2"):
        EfficientNetLite("lite9")
