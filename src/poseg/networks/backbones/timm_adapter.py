"""Any feature network of timm as a backbone: `timm:NAME`. timm is optional and imported only when one is used.

A network fits if its cells are at pixels' centres: an input side of 32 n + 1 pixels must give 32 n / stride + 1
cells (`geometry.grid`). Those that divide the image into patches do not, and are rejected when they are built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from poseg.errors import PosegError
from poseg.networks.backbones.backbone import Backbone, load_features

FINEST_STRIDE = 4
COARSEST_STRIDE = 32
RGB = tuple[float, float, float]
PROBE_SHAPE = (1, 3, 97, 65)


class TimmBackbone(Backbone):
    """A network of timm, with random weights, as features at stride 4 and coarser.

    timm does not tell which modules lead up to stride 4, so there are no stem modules.

    name           as in `timm.list_models()`, such as "regnety_008"
    output_stride  8 and 16 dilate the networks that timm can dilate; the others keep their strides

    Raises PosegError where timm is not installed, or has no such network, or its cells miss the pixels' centres.
    """

    def __init__(self, name: str, output_stride: int = COARSEST_STRIDE) -> None:
        super().__init__()
        self.name = name
        self.model: nn.Module = _features(name, output_stride)
        strides: list[int] = self.model.feature_info.reduction()  # type: ignore[union-attr, operator]
        channels: list[int] = self.model.feature_info.channels()  # type: ignore[union-attr, operator]
        self.skipped = sum(stride < FINEST_STRIDE for stride in strides)
        self.strides = tuple(strides[self.skipped :])
        self.channels = tuple(channels[self.skipped :])
        self._check_alignment()

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Features of normalised images (B, 3, 32 n + 1, 32 m + 1), at `strides`."""
        return tuple(self.model(image)[self.skipped :])

    def load_pretrained(self, state: Mapping[str, Tensor]) -> None:
        """As `Backbone` does, from the state dict of timm's classifier of the same name.

        timm's feature networks join the first parts of a name by "_" where the classifier has "."; both are taken.
        """
        own = {_flat(name): name for name in self.model.state_dict()}
        load_features(self.model, {own.get(_flat(name), name): tensor for name, tensor in state.items()}, self.name)

    def _check_alignment(self) -> None:
        _, _, height, width = PROBE_SHAPE
        training = self.training
        try:
            with torch.no_grad():
                features = self.eval()(torch.zeros(PROBE_SHAPE))
        except (AssertionError, RuntimeError) as fault:  # transformers that take images of one size only
            raise PosegError(
                f"timm:{self.name} cannot take {height} x {width} pixels ({fault}); choose another."
            ) from None
        self.train(training)
        for feature, stride, channels in zip(features, self.strides, self.channels, strict=True):
            expected = (1, channels, (height - 1) // stride + 1, (width - 1) // stride + 1)
            if tuple(feature.shape) != expected:
                raise PosegError(
                    f"timm:{self.name} makes features {tuple(feature.shape)} of {height} x {width} pixels at stride "
                    f"{stride}, expected {expected}; choose a network with cells at pixels, such as timm:resnet50."
                )


def timm_normalisation(name: str) -> tuple[RGB, RGB]:
    """Mean and standard deviation that the weights of a network of timm expect of RGB values in 0..255."""
    config = _timm(name).get_pretrained_cfg(name)
    return _bytes(config.mean), _bytes(config.std)


def _features(name: str, output_stride: int) -> nn.Module:
    """The feature network, dilated where that is possible."""
    timm = _timm(name)
    options = {"features_only": True, "pretrained": False}
    if output_stride < COARSEST_STRIDE:
        try:
            dilated: nn.Module = timm.create_model(name, output_stride=output_stride, **options)
            return dilated
        except (TypeError, AssertionError, NotImplementedError):  # what those raise that cannot be dilated
            pass
    try:
        network: nn.Module = timm.create_model(name, **options)
    except (RuntimeError, TypeError, AssertionError) as fault:
        raise PosegError(f"timm cannot give the features of {name} ({fault}); choose another network.") from None
    return network


def _timm(name: str) -> Any:
    """The package timm, which knows the network `name`."""
    try:
        timm = import_module("timm")
    except (ImportError, RuntimeError) as fault:  # RuntimeError: a torchvision that does not go with this torch
        raise PosegError(
            f"timm:{name} needs the packages timm and torchvision, which cannot be imported here ({fault}); "
            "pip install them in versions that go with torch, or choose a backbone of our own."
        ) from None
    if not timm.is_model(name):
        raise PosegError(f"timm has no network {name!r}; see timm.list_models() for those that it has.")
    return timm


def _bytes(values: Sequence[float]) -> RGB:
    """Of RGB values in 0..1, in 0..255."""
    red, green, blue = (round(255 * value, 3) for value in values)
    return red, green, blue


def _flat(name: str) -> str:
    return name.removeprefix("model.").replace(".", "_")
