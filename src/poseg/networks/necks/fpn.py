"""Necks: feature pyramids (Lin et al., CVPR 2017), levels beyond a backbone's last, and one merged feature map.

Upsampling is bilinear with aligned corners: on sides of s * n + 1 pixels a cell of stride 2 s is exactly every other
cell of stride s (`geometry.grid`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
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
    """A light pyramid: features of several strides, finest first, each with the context of the coarser ones.

    Modules are numbered from the coarsest, so that a pyramid that ends earlier is a part of this one by name.

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
        """Merged features at the stride of each input, finest first, all with `channels` channels."""
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


class ExtraLevels(nn.Module):
    """`levels` features beyond a backbone's last stride, each at twice the stride of the one before.

    They are cheap and see a large person whole (levels P6, P7 of RetinaNet).
    """

    def __init__(self, channels_in: int, channels: int, levels: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels_in if level == 0 else channels, channels, 1, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU6(inplace=True),
                nn.Conv2d(channels, channels, 5, 2, 2, groups=channels, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU6(inplace=True),
                nn.Conv2d(channels, channels, 1, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU6(inplace=True),
            )
            for level in range(levels)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, C, h, w) -> features of sides (h + 1) / 2 and so on, finest first."""
        features = []
        for level in self.levels:
            x = level(x)
            features.append(x)
        return features


class FeatureMerge(nn.Module):
    """Features of several strides, resampled to one stride, concatenated, then mixed by a 3x3 convolution.

    Finer features are downsampled by strided 3x3 convolutions, those at the stride or coarser go through 1x1
    convolutions, and coarser ones are interpolated with aligned corners.

    channels_in, strides   of the features, finest first
    stride                 of the result
    widths                 channels that each feature contributes
    channels               of the result
    """

    def __init__(
        self, channels_in: Sequence[int], strides: Sequence[int], stride: int, widths: Sequence[int], channels: int
    ) -> None:
        super().__init__()
        self.ways = nn.ModuleList()
        for c, from_stride, width in zip(channels_in, strides, widths, strict=True):
            steps = [
                nn.Sequential(
                    nn.Conv2d(c if step == 0 else width, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
                )
                for step in range(max((stride // from_stride).bit_length() - 1, 0))
            ]
            level = nn.Sequential(nn.Conv2d(c, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
            self.ways.append(nn.Sequential(*steps) if steps else level)
        self.mix = nn.Sequential(
            nn.Conv2d(sum(widths), channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
        )
        self.channels = channels
        self.finest = max(i for i, from_stride in enumerate(strides) if from_stride <= stride)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Features, finest first -> (B, channels, h, w) at the stride of the result."""
        levels = [way(feature) for way, feature in zip(self.ways, features, strict=True)]
        size = levels[self.finest].shape[-2:]
        same = [
            level if i <= self.finest else F.interpolate(level, size=size, mode="bilinear", align_corners=True)
            for i, level in enumerate(levels)
        ]
        mixed: Tensor = self.mix(torch.cat(same, dim=1))
        return mixed
