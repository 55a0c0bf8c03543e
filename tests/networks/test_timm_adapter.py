"""The adapter to timm, against a stand-in for timm: it is optional and need not be installed."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from poseg.errors import PosegError, WeightsError  # noqa: E402
from poseg.networks.backbones.build import build_backbone, input_normalisation  # noqa: E402

CHANNELS = (6, 8, 10, 12, 14)


class Features(nn.Module):
    """What timm's `features_only` gives: a list of features from stride 2 on, and what they are."""

    def __init__(self, kernel, output_stride=32):
        super().__init__()
        self.strides, channels, stride = [], 3, 1
        for place, wide in enumerate(CHANNELS):
            step = 2 if stride < output_stride else 1
            stride *= step
            self.add_module(
                f"stages_{place}", nn.Sequential(nn.Conv2d(channels, wide, kernel, step, (kernel - 1) // 2))
            )
            self.strides.append(stride)
            channels = wide
        self.feature_info = SimpleNamespace(reduction=lambda: self.strides, channels=lambda: list(CHANNELS))

    def forward(self, x):
        features = []
        for stage in self.children():
            x = stage(x)
            features.append(x)
        return features


class Fixed(Features):
    """One that takes images of one size only."""

    def __init__(self):
        super().__init__(3)

    def forward(self, x):
        raise AssertionError("Input height (97) doesn't match model (224).")


@pytest.fixture
def timm(monkeypatch):
    module = ModuleType("timm")
    module.made = []

    def create_model(name, *, features_only, pretrained, **options):
        assert features_only
        assert not pretrained
        if name == "rigid" and options:
            raise TypeError("unexpected keyword argument 'output_stride'")
        if name == "fixed":
            return Fixed()
        if name == "flat":
            raise RuntimeError("features_only not implemented")
        module.made.append((name, options))
        return Features(2 if name == "patches" else 3, **options)

    module.create_model = create_model
    module.is_model = lambda name: name in ("net", "rigid", "patches", "flat", "fixed")
    module.get_pretrained_cfg = lambda name: SimpleNamespace(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    monkeypatch.setitem(sys.modules, "timm", module)
    return module


def test_features_from_stride_4_on_with_their_strides(timm):
    backbone = build_backbone("timm:net", 32)
    assert backbone.strides == (4, 8, 16, 32)
    assert backbone.channels == CHANNELS[1:]
    for feature, stride, channels in zip(
        backbone(torch.zeros(2, 3, 65, 33)), backbone.strides, backbone.channels, strict=True
    ):
        assert feature.shape == (2, channels, 64 // stride + 1, 32 // stride + 1)
    assert backbone.training, "as any fresh module"
    assert backbone.stem_modules() == ()


def test_networks_are_dilated_where_timm_can(timm):
    assert build_backbone("timm:net", 8).strides == (4, 8, 8, 8)
    assert build_backbone("timm:rigid", 8).strides == (4, 8, 16, 32)
    assert timm.made == [("net", {"output_stride": 8}), ("rigid", {})]


def test_a_classifiers_state_dict_loads(timm):
    backbone = build_backbone("timm:net", 32)
    expected = {name: torch.randn_like(tensor) for name, tensor in backbone.model.state_dict().items()}
    dotted = {name.replace("stages_", "stages.", 1): tensor for name, tensor in expected.items()}
    backbone.load_pretrained({**dotted, "head.fc.weight": torch.zeros(3)})
    assert all(torch.equal(backbone.model.state_dict()[name], tensor) for name, tensor in expected.items())
    with pytest.raises(WeightsError, match="lack"):
        backbone.load_pretrained(dict(list(dotted.items())[2:]))


def test_normalisation_is_in_the_units_of_bytes(timm):
    assert input_normalisation("timm:net") == ((127.5,) * 3, (63.75,) * 3)


def test_cells_that_miss_the_pixels_are_refused(timm):
    with pytest.raises(PosegError, match=r"timm:patches.*stride 4.*\(1, 8, 25, 17\)"):
        build_backbone("timm:patches", 32)
    with pytest.raises(PosegError, match="timm:fixed cannot take 97 x 65 pixels"):
        build_backbone("timm:fixed", 32)


def test_names_that_timm_does_not_know_or_cannot_take_apart_are_refused(timm):
    with pytest.raises(PosegError, match="no network 'nest'"):
        build_backbone("timm:nest", 32)
    with pytest.raises(PosegError, match="features of flat"):
        build_backbone("timm:flat", 32)


@pytest.mark.parametrize("ask", [lambda: build_backbone("timm:net", 32), lambda: input_normalisation("timm:net")])
def test_without_timm_a_sentence_says_what_to_install(monkeypatch, ask):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(PosegError, match=r"needs the packages timm and torchvision.*pip install"):
        ask()
