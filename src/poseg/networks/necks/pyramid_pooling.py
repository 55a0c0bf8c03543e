"""Pyramid pooling: every cell also gets means over large parts of the image (Zhao et al., CVPR 2017, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from poseg.errors import PosegError

BINS = (1, 2, 3, 6)
Norm = Literal["batch", "group"]


def normalisation(kind: Norm, channels: int) -> nn.Module:
    """Batch normalisation, or for batches of a few images at most 32 groups of 8 channels or more.

    A group of one channel would leave nothing of a mean over the whole image.
    """
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    max_groups = min(32, max(channels // 8, 1))
    return nn.GroupNorm(next(groups for groups in range(max_groups, 0, -1) if channels % groups == 0), channels)


def adaptive_pool(x: Tensor, bins: int) -> Tensor:
    """Means over `bins` x `bins` equal parts: (B, C, h, w) -> (B, C, bins, bins).

    A cell in two parts counts in both, by its overlap. That equals `adaptive_avg_pool2d` wherever parts are whole
    cells, but can be exported for images of any size.
    """
    rows, columns = (_bin_weights(x.shape[axis], bins, x) for axis in (-2, -1))
    return rows @ x @ columns.transpose(0, 1)


def _bin_weights(cells: int, bins: int, like: Tensor) -> Tensor:
    """(bins, cells) how much of each part is in each cell; rows sum to 1."""
    cell = torch.arange(cells, device=like.device)
    part = torch.arange(bins, device=like.device)[:, None]
    # In units of 1 / (cells bins) all borders are whole numbers.
    low, high = torch.maximum(cell * bins, part * cells), torch.minimum((cell + 1) * bins, (part + 1) * cells)
    return (high - low).clamp(min=0).to(like.dtype) / cells


class PyramidPooling(nn.Module):
    """C channels -> 2 C: the features, and for each of four bin counts C / 4 channels of means, interpolated back."""

    def __init__(self, channels: int, bins: Sequence[int] = BINS, norm: Norm = "batch") -> None:
        super().__init__()
        width = channels // len(bins)
        self.bins, self.norm = tuple(bins), norm
        self.levels = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, width, 1, bias=False), normalisation(norm, width), nn.ReLU())
            for _ in bins
        )
        self.channels = channels + width * len(self.bins)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 2 C, h, w). Raises PosegError for one image in training with batch normalisation."""
        if self.training and self.norm == "batch" and len(x) == 1:
            raise PosegError(
                "Pyramid pooling has one value for each channel of a single image, which batch normalisation cannot "
                "learn from; take an optim.batch_size of 2 or more in each micro-batch, or system.norm=group."
            )
        size = x.shape[-2:]
        means = [
            F.interpolate(level(adaptive_pool(x, bins)), size=size, mode="bilinear", align_corners=False)
            for level, bins in zip(self.levels, self.bins, strict=True)
        ]
        return torch.cat([x, *means], dim=1)


class SegmentationHead(nn.Sequential):
    """3x3 convolution, dropout, a logit for each class: the end of the branch, and the auxiliary one (section 4)."""

    def __init__(self, channels_in: int, channels: int, classes: int = 1, norm: Norm = "batch") -> None:
        super().__init__(
            nn.Conv2d(channels_in, channels, 3, padding=1, bias=False),
            normalisation(norm, channels),
            nn.ReLU(),
            nn.Dropout2d(0.1),
            nn.Conv2d(channels, classes, 1),
        )
