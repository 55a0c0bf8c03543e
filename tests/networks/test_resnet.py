"""Laws of the dilated ResNet: alignment, translation, à trous equivalence, names, counts."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from poseg.errors import PosegError, WeightsError  # noqa: E402
from poseg.networks.backbones.resnet import ResNet  # noqa: E402

CLASSIFIER_PARAMETERS = 2048 * 1000 + 1000


def lively(network):
    """The network in evaluation mode with batch statistics of its own, so that no layer is a mere pass-through."""
    generator = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            module.weight.data.uniform_(0.3, 0.8, generator=generator)
            module.bias.data.normal_(0, 0.1, generator=generator)
    return network.eval()


@pytest.fixture(scope="module")
def plain():
    torch.manual_seed(0)
    return lively(ResNet("resnet50", 32))


def dilated(state, stride):
    """ResNet-50 of these weights, not copied."""
    with torch.device("meta"):
        network = ResNet("resnet50", stride)
    network.load_state_dict(state, assign=True)
    return network.eval()


def shortened(network):
    """Two blocks in each stage: every stride and dilation is still there, and it is quick."""
    for place in (1, 2, 3, 4):
        setattr(network, f"layer{place}", getattr(network, f"layer{place}")[:2])
    return network


@pytest.mark.parametrize(("output_stride", "strides"), [(32, (4, 8, 16, 32)), (16, (4, 8, 16, 16)), (8, (4, 8, 8, 8))])
def test_features_have_the_declared_strides_and_channels(output_stride, strides):
    with torch.device("meta"):
        network = ResNet("resnet50", output_stride)
        features = network(torch.zeros(1, 3, 65, 97))
    assert network.strides == strides
    for feature, stride, channels in zip(features, network.strides, network.channels, strict=True):
        assert feature.shape == (1, channels, 64 // stride + 1, 96 // stride + 1)


@pytest.mark.parametrize("output_stride", [8, 16])
def test_every_so_many_cells_the_dilated_network_is_the_plain_one(plain, output_stride):
    # Borders too: zeros outside the image are zeros in both.
    image = torch.randn(1, 3, 97, 65, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        coarse, fine = plain(image), dilated(plain.state_dict(), output_stride)(image)
    for feature, dense, stride in zip(coarse, fine, plain.strides, strict=True):
        step = max(1, stride // output_stride)
        torch.testing.assert_close(dense[:, :, ::step, ::step], feature, atol=1e-5, rtol=1e-4)


def test_shifting_the_image_by_the_stride_shifts_the_features_by_a_cell():
    # Without bias a black surround stays black, so of a patch amid 129 pixels a cell near the centre feels the border
    # only by a path of 52 pixels out and 56 back; the shortened network sees 97 pixels far, so those cells are exact.
    torch.manual_seed(0)
    network = shortened(ResNet("resnet50", 8).eval())
    patch = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    image, shifted = torch.zeros(1, 3, 129, 129), torch.zeros(1, 3, 129, 129)
    image[:, :, 60:68, 60:68] = patch
    shifted[:, :, 68:76, 60:68] = patch
    with torch.no_grad():
        before, after = network(image)[-1], network(shifted)[-1]
    ours, theirs = before[:, :, 7:9, 7:10], after[:, :, 8:10, 7:10]
    size = float(ours.abs().max())
    torch.testing.assert_close(theirs / size, ours / size, atol=1e-5, rtol=1e-4)
    assert float((after - before)[:, :, 7:9, 7:10].abs().max()) > 0.01 * size  # else any shift would do


def test_flipping_the_image_flips_the_features(plain):
    # Together with the shapes this puts cell c on pixel stride * c: max pool and strided layers lean to no side.
    symmetric = {name: (t + t.flip(-1)) / 2 if t.ndim == 4 else t for name, t in plain.state_dict().items()}
    network = dilated(symmetric, 16)
    image = torch.randn(1, 3, 65, 97, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        for ours, theirs in zip(network(image), network(image.flip(-1)), strict=True):
            torch.testing.assert_close(ours, theirs.flip(-1), atol=1e-4, rtol=1e-4)


def kept_bytes(network, image):
    """Gradients of the weights, and the bytes kept for the backward pass besides the weights."""
    own = {tensor.untyped_storage().data_ptr() for tensor in network.state_dict().values()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    network.zero_grad()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = sum(feature.square().mean() for feature in network(image))
    loss.backward()
    return [p.grad.clone() for p in network.parameters()], sum(kept.values())


def test_recomputing_blocks_changes_memory_and_nothing_else(plain):
    network = shortened(dilated({name: tensor.clone() for name, tensor in plain.state_dict().items()}, 16))
    image = torch.randn(1, 3, 65, 65, generator=torch.Generator().manual_seed(4))
    usual, much = kept_bytes(network, image)
    network.checkpointing = True
    again, little = kept_bytes(network, image)
    torch.testing.assert_close(again, usual)
    assert little < much / 2


@pytest.mark.parametrize(
    ("variant", "parameters"), [("resnet50", 25_557_032), ("resnet101", 44_549_160), ("resnet152", 60_192_808)]
)
def test_parameters_are_as_many_as_published(variant, parameters):
    with torch.device("meta"):
        network = ResNet(variant, 8)
    assert sum(p.numel() for p in network.parameters()) + CLASSIFIER_PARAMETERS == parameters


def test_names_are_those_of_timm_and_torchvision(plain):
    names = set(plain.state_dict())
    assert {"conv1.weight", "bn1.running_var", "layer1.0.downsample.0.weight", "layer1.0.downsample.1.bias"} <= names
    assert {"layer3.5.conv2.weight", "layer4.2.bn3.weight"} <= names
    assert {name.partition(".")[0] for name in names} == {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4"}


def test_a_classifiers_state_dict_loads_without_its_classifier(plain):
    other = dilated({name: torch.zeros_like(tensor) for name, tensor in plain.state_dict().items()}, 8)
    other.load_pretrained({**plain.state_dict(), "fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)})
    for name, tensor in plain.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name


def test_weights_of_a_deeper_network_are_refused_and_change_nothing(plain):
    with torch.device("meta"):
        other = ResNet("resnet101")
    own = {name: tensor.clone() for name, tensor in plain.state_dict().items()}
    with pytest.raises(WeightsError, match="more than resnet50"):
        plain.load_pretrained(other.state_dict())
    with pytest.raises(WeightsError, match="lack"):
        other.load_pretrained(own)
    with pytest.raises(WeightsError, match="shape"):
        plain.load_pretrained({**own, "conv1.weight": torch.zeros(64, 3, 3, 3)})
    assert all(torch.equal(plain.state_dict()[name], tensor) for name, tensor in own.items())


def test_strides_and_variants_that_do_not_exist_are_refused():
    with pytest.raises(PosegError, match="8, 16 or 32, got 4"):
        ResNet("resnet50", 4)
    with pytest.raises(PosegError, match="resnet50, resnet101, resnet152"):
        ResNet("resnet18")
