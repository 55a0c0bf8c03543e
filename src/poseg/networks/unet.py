"""A small U-Net (Ronneberger et al., MICCAI 2015): down by halves, up again, with what was seen on the way down added.

Additions where the original concatenates, residual pairs of convolutions at each size: less work at the same depth.
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn


class Conv(nn.Module):
    """A convolution with batch normalisation and ReLU."""

    def __init__(self, channels_in: int, channels: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, channels, h / stride, w / stride)."""
        return F.relu(self.bn(self.conv(x)))


class Pair(nn.Module):
    """Two 3x3 convolutions with a residual around both."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = Conv(channels, channels)
        self.conv, self.bn = nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> the same shape."""
        y: Tensor = F.relu(x + self.bn(self.conv(self.first(x))))
        return y


class UNet(nn.Module):
    """(B, channels_in, h, w), sides multiples of 2^levels -> (B, width, h, w).

    width   channels at the full size; n + 1 times as many after n halvings
    levels  halvings
    deep    pairs at the coarsest size
    """

    def __init__(self, channels_in: int, width: int = 16, levels: int = 3, deep: int = 2) -> None:
        super().__init__()
        widths = [width * (level + 1) for level in range(levels + 1)]
        self.first = Conv(channels_in, width)
        self.halve = nn.ModuleList(Conv(fine, coarse, stride=2) for fine, coarse in pairwise(widths))
        self.down = nn.ModuleList(
            nn.Sequential(*(Pair(wide) for _ in range(deep if level == levels - 1 else 1)))
            for level, wide in enumerate(widths[1:])
        )
        self.narrow = nn.ModuleList(Conv(coarse, fine, 1) for fine, coarse in pairwise(widths))
        self.up = nn.ModuleList([Conv(width, width), *(Pair(wide) for wide in widths[1:-1])])

    def forward(self, x: Tensor) -> Tensor:
        """Features at the input's own size."""
        seen = [self.first(x)]
        for halve, down in zip(self.halve, self.down, strict=True):
            seen.append(down(halve(seen[-1])))
        y: Tensor = seen[-1]
        for fine, narrow, up in list(zip(seen, self.narrow, self.up, strict=False))[::-1]:
            y = up(fine + F.interpolate(narrow(y), size=fine.shape[-2:], mode="bilinear", align_corners=False))
        return y
