"""The mask refiner in one file: config, network, codec and loss. It predicts the masks of people that a model detected.

Each person in a crop: the image, the cues of the detector's fields (person probability, assignment margin), and the
limbs (`codecs.mask_refiner`); a small U-Net predicts which pixels are the person's. It is Pose2Seg's idea (masks from
poses, each in a crop of its own) with the cues that a bottom-up network has anyway in place of a network over the whole
image.

Letters: N people, S the crop's side.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from poseg.codecs.crop_masks import FIELD
from poseg.codecs.mask_refiner import INPUT_CHANNELS, MaskRefinerCodec
from poseg.losses.masked import Tensors, masked_cross_entropy, masked_dice
from poseg.networks.backbones.build import Normalisation
from poseg.skeletons import COCO17, Skeleton


@dataclass(frozen=True, slots=True)
class MaskRefinerSystem:
    """A mask refiner.

    skeleton           joints of the people that are provided
    crop_px            side S of the crops, a multiple of 2^depth
    padding            of the crop around the person's longer side, as a fraction of S
    width              channels of the U-Net at the crop's size
    depth              how often it halves
    bottleneck_blocks  residual blocks at its coarsest size
    dice_weight        weight of the overlap's loss, beside the pixels' cross-entropy of weight 1
    """

    skeleton: Skeleton = COCO17
    crop_px: int = 64
    padding: float = 0.12
    width: int = 16
    depth: int = 3
    bottleneck_blocks: int = 2
    dice_weight: float = 0.5
    backbone: str = "unet"

    size_offset: ClassVar[int] = 0

    @property
    def codec(self) -> MaskRefinerCodec:
        """The codec that places this system's crops, encodes its targets and decodes its masks."""
        return MaskRefinerCodec(self.skeleton, crop_px=self.crop_px, padding=self.padding)

    @property
    def normalisation(self) -> Normalisation:
        """Mean and standard deviation of the RGB values (0..255) of the network's input."""
        return (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)

    @property
    def size_divisor(self) -> int:
        """Sides of the input are the crop's."""
        return self.crop_px

    def network(self) -> MaskRefinerNetwork:
        """A fresh network with random weights."""
        return MaskRefinerNetwork(self)

    def loss(self) -> MaskRefinerLoss:
        """The loss that goes with the codec's targets."""
        return MaskRefinerLoss(self)


class ConvNormReLU(nn.Module):
    """A convolution with batch normalisation and ReLU."""

    def __init__(self, channels_in: int, channels: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, channels, h / stride, w / stride)."""
        return F.relu(self.bn(self.conv(x)))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a residual around both."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvNormReLU(channels, channels)
        self.conv, self.bn = nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> the same shape."""
        y: Tensor = F.relu(x + self.bn(self.conv(self.first(x))))
        return y


class UNet(nn.Module):
    """A small U-Net (Ronneberger et al., MICCAI 2015): (B, channels_in, h, w) -> (B, width, h, w).

    Sides are multiples of 2^depth. Additions where the original concatenates, and residual blocks at each size: less
    work at the same depth. There are `width` channels at the full size and n + 1 times as many after n halvings.
    """

    def __init__(self, channels_in: int, width: int = 16, depth: int = 3, bottleneck_blocks: int = 2) -> None:
        super().__init__()
        widths = [width * (level + 1) for level in range(depth + 1)]
        self.first = ConvNormReLU(channels_in, width)
        self.halve = nn.ModuleList(ConvNormReLU(fine, coarse, stride=2) for fine, coarse in pairwise(widths))
        self.down = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(wide) for _ in range(bottleneck_blocks if level == depth - 1 else 1)))
            for level, wide in enumerate(widths[1:])
        )
        self.narrow = nn.ModuleList(ConvNormReLU(coarse, fine, 1) for fine, coarse in pairwise(widths))
        self.up = nn.ModuleList([ConvNormReLU(width, width), *(ResidualBlock(wide) for wide in widths[1:-1])])

    def forward(self, x: Tensor) -> Tensor:
        """Features at the input's own size."""
        levels = [self.first(x)]
        for halve, down in zip(self.halve, self.down, strict=True):
            levels.append(down(halve(levels[-1])))
        y: Tensor = levels[-1]
        for fine, narrow, up in list(zip(levels, self.narrow, self.up, strict=False))[::-1]:
            y = up(fine + F.interpolate(narrow(y), size=fine.shape[-2:], mode="bilinear", align_corners=False))
        return y


class MaskRefinerNetwork(nn.Module):
    """Crops (N, 6, S, S) -> "mask", logits (N, 1, S, S)."""

    def __init__(self, config: MaskRefinerSystem) -> None:
        super().__init__()
        self.backbone = UNet(INPUT_CHANNELS, config.width, config.depth, config.bottleneck_blocks)
        self.logit = nn.Conv2d(config.width, 1, 1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """The mask of each crop, by name."""
        return {FIELD: self.logit(self.backbone(image))}


class MaskRefinerLoss(nn.Module):
    """Cross-entropy over the pixels of all crops, and the overlap of masks, crop by crop."""

    def __init__(self, config: MaskRefinerSystem) -> None:
        super().__init__()
        self.dice_weight = config.dice_weight

    def normalisers(self, weights: Tensors) -> Tensor:
        """(2,) what the terms are divided by, pixels and crops; those of the micro-batches of a batch add up."""
        weight = weights[FIELD]
        return torch.stack([weight.sum(), weight.new_tensor(float(len(weight)))])

    def forward(
        self, fields: Tensors, targets: Tensors, weights: Tensors, normalisers: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Both terms by name, and their weighted sum as "total"; targets and weights (N, 1, S, S) or (N, S, S)."""
        pixels, crops = self.normalisers(weights) if normalisers is None else normalisers
        logits = fields[FIELD].float()
        target, weight = (array[FIELD].reshape(logits.shape) for array in (targets, weights))
        terms = {
            "pixels": masked_cross_entropy(logits, target, weight, pixels),
            "overlap": masked_dice(logits, target, weight, crops),
        }
        return {**terms, "total": terms["pixels"] + self.dice_weight * terms["overlap"]}
