"""Low and mid-level features of a backbone become one shared feature map, before branches part."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Merge(nn.Module):
    """Features of several strides, brought to one stride, side by side, then mixed by a 3x3 convolution.

    Finer features go down by strided 3x3 convolutions, those at the stride or coarser go through 1x1 convolutions,
    and coarser ones are interpolated with aligned corners (`networks.necks.fpn` says why).

    channels_in, strides   of the features, finest first
    stride                 where they meet
    widths                 channels that each contributes
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
        """Features, finest first -> (B, channels, h, w) at the stride where they meet."""
        levels = [way(feature) for way, feature in zip(self.ways, features, strict=True)]
        size = levels[self.finest].shape[-2:]
        same = [
            level if i <= self.finest else F.interpolate(level, size=size, mode="bilinear", align_corners=True)
            for i, level in enumerate(levels)
        ]
        mixed: Tensor = self.mix(torch.cat(same, dim=1))
        return mixed
