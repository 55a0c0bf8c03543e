"""VGG-19: torchvision's layers and names, cells at the centres of their blocks."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from poseg.errors import WeightsError  # noqa: E402
from poseg.networks.backbones.build import block_aligned, build_backbone  # noqa: E402
from poseg.networks.backbones.vgg import Vgg19  # noqa: E402


@pytest.fixture(scope="module")
def backbone() -> Vgg19:
    torch.manual_seed(0)
    return Vgg19().eval()


# Torchvision's places of the first ten convolutions, and what they are from and to.
LAYERS = {0: (3, 64), 2: (64, 64), 5: (64, 128), 7: (128, 128), 10: (128, 256), 12: (256, 256), 14: (256, 256),
          16: (256, 256), 19: (256, 512), 21: (512, 512)}  # fmt: skip


def test_layers_are_torchvisions(backbone):
    expected = {f"features.{place}.weight": (out, into, 3, 3) for place, (into, out) in LAYERS.items()}
    expected |= {f"features.{place}.bias": (out,) for place, (_, out) in LAYERS.items()}
    assert {name: tuple(tensor.shape) for name, tensor in backbone.state_dict().items()} == expected


def test_ten_convolutions_and_three_pools(backbone):
    kinds = [type(module).__name__ for module in backbone.features]
    assert kinds.count("Conv2d") == kinds.count("ReLU") == 10
    assert kinds.count("MaxPool2d") == 3


@pytest.mark.parametrize("size", [(64, 96), (40, 56)])
def test_features_are_those_of_strides_four_and_eight(backbone, size):
    with torch.no_grad():
        features = backbone(torch.randn(1, 3, *size))
    assert [tuple(f.shape[1:]) for f in features] == [
        (c, size[0] // s, size[1] // s) for c, s in zip(backbone.channels, backbone.strides, strict=True)
    ]
    assert backbone.strides == (4, 8)
    assert all((f >= 0).all() for f in features), "after their activation"


def test_a_cell_is_at_the_centre_of_its_block(backbone):
    """Its receptive field reaches as far to the left of the block as to the right; that of no other grid does."""
    # Positive kernels, so that no part of what is heard is cut off; several images, as a pool hears its largest only.
    network = Vgg19().eval()
    for parameter in network.parameters():
        parameter.data.abs_()
    image = torch.rand(8, 3, 128, 128, requires_grad=True)
    with torch.enable_grad():
        network(image)[1][:, :, 8, 8].sum().backward()
    heard = torch.nonzero(image.grad.sum(dim=(0, 1, 2)) > 0)[:, 0]
    assert (heard.min() + heard.max() + 1) / 2 == 4 + 8 * 8
    assert block_aligned("vgg19")
    assert not block_aligned("resnet50")


def test_flipped_images_have_flipped_features(backbone):
    """With symmetric kernels, which only the right alignment leaves symmetric: no shift between left and right."""
    network = Vgg19().eval()
    for name, parameter in network.named_parameters():
        if name.endswith("weight"):
            parameter.data.copy_((parameter.data + parameter.data.flip(3)) / 2)
    image = torch.randn(1, 3, 48, 64)
    with torch.no_grad():
        for seen, flipped in zip(network(image), network(image.flip(3)), strict=True):
            torch.testing.assert_close(flipped.flip(3), seen, atol=1e-5, rtol=1e-4)


def test_published_weights_fill_it_and_what_lies_beyond_is_left_out(backbone):
    state = {name: torch.randn_like(tensor) for name, tensor in backbone.state_dict().items()}
    state |= {"features.23.weight": torch.zeros(512, 512, 3, 3), "classifier.0.weight": torch.zeros(4, 4)}
    network = build_backbone("vgg19", 8)
    network.load_pretrained(state)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, state[name])


@pytest.mark.parametrize("fault", ["missing", "reshaped"])
def test_weights_of_another_network_are_refused(backbone, fault):
    state = dict(backbone.state_dict())
    if fault == "missing":
        del state["features.12.bias"]
    else:
        state["features.12.bias"] = torch.zeros(128)
    with pytest.raises(WeightsError, match=r"features\.12\.bias"):
        Vgg19().load_pretrained(state)


def test_the_stem_reaches_to_stride_four(backbone):
    stem = torch.nn.Sequential(*backbone.stem_modules())
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(stem(image), backbone(image)[0])
