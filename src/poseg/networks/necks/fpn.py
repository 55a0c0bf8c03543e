"""A light feature pyramid: carry context from stride 32 down to the output stride (Lin et al., CVPR 2017).

Upsampling is bilinear with aligned corners: on sides of s * n + 1 pixels a cell of stride 2 s is exactly every other
cell of stride s (`geometry.grid`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class Separable(nn.Module):
    """Depthwise 5x5, then pointwise, each with batch normalisation; a residual around both."""

    def __init__(self, channels: int, kernel: int = 5) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv_pw = nn.Conv2d(channels, channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.act = nn.ReLU6(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> the same shape."""
        y: Tensor = self.act(x + self.bn2(self.conv_pw(self.act(self.bn1(self.conv_dw(x))))))
        return y


class FeaturePyramid(nn.Module):
    """Features of several strides, finest first: each gets the context of the coarser ones.

    Inside, everything counts from the coarsest, so that a pyramid that ends earlier is a part of this one by name.

    blocks   Separable blocks at each level, coarsest first
    """

    def __init__(self, channels_in: Sequence[int], channels: int = 128, blocks: Sequence[int] = (2, 1, 2)) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, channels, 1, bias=False), nn.BatchNorm2d(channels)) for c in channels_in[::-1]
        )
        self.levels = nn.ModuleList(nn.Sequential(*(Separable(channels) for _ in range(n))) for n in blocks)
        self.channels = channels

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Merged features at the stride of each one given, finest first, all with `channels` channels."""
        merged: list[Tensor] = []
        for level, feature, lateral in zip(self.levels, features[::-1], self.laterals, strict=True):
            x = lateral(feature)
            if merged:
                x = x + F.interpolate(merged[-1], size=x.shape[-2:], mode="bilinear", align_corners=True)
            merged.append(level(x))
        return merged[::-1]


class PlainPyramid(nn.Module):
    """The feature pyramid as published (Lin et al., CVPR 2017), and of its outputs the finest alone."""

    def __init__(self, channels_in: Sequence[int], channels: int = 256) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(c, channels, 1) for c in channels_in[::-1])
        self.output = nn.Conv2d(channels, channels, 3, padding=1)
        self.channels = channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Features, finest first -> (B, channels, h, w) at the finest stride."""
        x, *finer = (lateral(f) for lateral, f in zip(self.laterals, features[::-1], strict=True))
        for lateral in finer:
            x = lateral + F.interpolate(x, size=lateral.shape[-2:], mode="bilinear", align_corners=True)
        y: Tensor = self.output(x)
        return y
