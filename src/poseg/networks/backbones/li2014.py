"""The backbone of the multi-task pose networks: three convolutions on crops of 112 px (Li and Chan, ACCV 2014).

Widths and kernels are those of the network that its author published later; nothing is padded, and pooling rounds up.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from poseg.networks.backbones.backbone import Backbone

CROP_PX = 112


class WithinChannelLRN(nn.Module):
    """u / (1 + alpha mean(u^2))^beta, the mean over a neighbourhood in each channel (section 3.1): less brightness."""

    def __init__(self, window: int = 5, alpha: float = 0.0025, beta: float = 0.75) -> None:
        super().__init__()
        self.window, self.alpha, self.beta = window, alpha, beta

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> the same shape."""
        energy = F.avg_pool2d(x * x, self.window, stride=1, padding=self.window // 2)
        return x / (1 + self.alpha * energy) ** self.beta


class Li2014Backbone(Backbone):
    """(B, 3, S, S) -> features at strides 4 and 8; for a crop of 112 px (B, 64, 24, 24) and (B, 64, 10, 10)."""

    name = "li2014"  # no weights of it are published
    channels = (64, 64)
    stem_names = ("conv1", "conv2")
    strides = (4, 8)

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 9)
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = nn.Conv2d(32, 64, 5)
        self.norm = WithinChannelLRN()
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv3 = nn.Conv2d(64, 64, 5)
        self.pool3 = nn.MaxPool2d(3, 2, ceil_mode=True)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Features, finest first; the last convolution is linear."""
        first = self.pool1(F.relu(self.conv1(image)))
        second = self.pool2(self.norm(F.relu(self.conv2(first))))
        return second, self.pool3(self.conv3(second))
