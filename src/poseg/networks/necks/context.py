"""Features beyond a backbone's last stride: cheap, and they see a large person whole (levels P6, P7 of RetinaNet)."""

from __future__ import annotations

from torch import Tensor, nn


class Context(nn.Module):
    """`levels` further features, each at twice the stride of the one before, with `channels` channels."""

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
