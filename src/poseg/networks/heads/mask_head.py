"""Pose2Seg's SegModule: from a window's features and skeleton to its mask (section 3.4 of the paper)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

EXPANSION = 4


class Unit(nn.Module):
    """A residual bottleneck: 1x1, 3x3, 1x1, and around them nothing, or a 1x1 where channels differ."""

    def __init__(self, channels_in: int, planes: int) -> None:
        super().__init__()
        channels = planes * EXPANSION
        self.conv1, self.bn1 = nn.Conv2d(channels_in, planes, 1), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = nn.Conv2d(planes, planes, 3, padding=1), nn.BatchNorm2d(planes)
        self.conv3, self.bn3 = nn.Conv2d(planes, channels, 1), nn.BatchNorm2d(channels)
        self.shortcut: nn.Module | None = None
        if channels_in != channels:
            self.shortcut = nn.Sequential(nn.Conv2d(channels_in, channels, 1), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(M, C, h, w) -> (M, 4 planes, h, w)."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class MaskHead(nn.Module):
    """Down to half the window, a row of units that see about 50 of its 64 pixels, up again, and a logit.

    channels_in  of features and skeleton maps together
    stem         channels of the first convolution
    planes       of the row's units, which have four times as many channels
    units        in the row
    last_planes  of the unit at the window's own size
    channels_out 1 for a logit; 2 as published, for background and person

    The published network is MaskHead(311, 256, 256, 10, 128, channels_out=2), of 16,030,978 parameters.
    """

    def __init__(
        self, channels_in: int, stem: int, planes: int, units: int, last_planes: int, *, channels_out: int = 1
    ) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels_in, stem, 7, 2, 3), nn.BatchNorm2d(stem)
        channels = planes * EXPANSION
        self.units = nn.Sequential(*(Unit(stem if place == 0 else channels, planes) for place in range(units)))
        self.last = Unit(channels, last_planes)
        self.logit = nn.Conv2d(last_planes * EXPANSION, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(M, C, S, S) -> (M, channels_out, S, S)."""
        y = self.units(F.relu(self.bn1(self.conv1(x))))
        y = F.interpolate(y, size=x.shape[-2:], mode="bilinear", align_corners=True)
        z: Tensor = self.logit(self.last(y))
        return z
