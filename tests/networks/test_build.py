"""Every backbone has the one interface; unknown names are rejected."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from poseg.errors import PosegError, WeightsError  # noqa: E402
from poseg.networks.backbones.build import (  # noqa: E402
    BACKBONES,
    NORMALISATION,
    block_aligned,
    build_backbone,
    input_normalisation,
)


@pytest.fixture(scope="module", params=list(BACKBONES))
def named(request):
    with torch.device("meta"):  # shapes, names and who depends on whom need no numbers
        return request.param, build_backbone(request.param, 16).eval()


@pytest.fixture
def backbone(named):
    return named[1]


def test_features_have_the_declared_strides_and_channels(named):
    name, backbone = named
    last = 0 if block_aligned(name) else 1  # a cell on the edge pixel too, or whole blocks alone
    with torch.no_grad():
        features = backbone(torch.zeros(1, 3, 32 + last, 64 + last, device="meta"))
    for feature, stride, channels in zip(features, backbone.strides, backbone.channels, strict=True):
        assert feature.shape == (1, channels, 32 // stride + last, 64 // stride + last)
    assert backbone.strides[0] == 4
    assert list(backbone.strides) == sorted(backbone.strides)


def test_freezing_the_stem_freezes_all_that_leads_to_stride_4_and_no_more(backbone):
    backbone.zero_grad()
    backbone(torch.zeros(1, 3, 33, 33, device="meta"))[0].sum().backward()
    stem = {id(p) for module in backbone.stem_modules() for p in module.parameters()}
    assert {id(p) for p in backbone.parameters() if p.grad is not None} == stem
    assert len(stem) < len(list(backbone.parameters()))


def test_weights_with_a_tensor_missing_are_refused(backbone):
    state = dict(backbone.state_dict())
    del state[next(iter(state))]
    with pytest.raises(WeightsError):
        backbone.load_pretrained(state)


@pytest.mark.parametrize("stride", [8, 16, 32])
def test_a_dilated_backbone_ends_at_its_output_stride(stride):
    with torch.device("meta"):
        assert build_backbone("resnet50", stride).strides[-1] == stride


def test_every_backbone_has_a_normalisation():
    assert NORMALISATION.keys() == BACKBONES.keys()
    for name in BACKBONES:
        mean, std = input_normalisation(name)
        assert len(mean) == len(std) == 3
        white = [(255 - m) / s for m, s in zip(mean, std, strict=True)]
        black = [-m / s for m, s in zip(mean, std, strict=True)]
        assert all(0.9 < value < 3 for value in white)
        assert all(-3 < value < -0.9 for value in black)


@pytest.mark.parametrize("ask", [lambda name: build_backbone(name, 8), input_normalisation])
def test_an_unknown_name_is_rejected_with_the_known_ones(ask):
    with pytest.raises(PosegError, match=r"'resnet51'.*lite0.*resnet50.*timm:NAME"):
        ask("resnet51")
