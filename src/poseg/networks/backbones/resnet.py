"""ResNet-50, -101 and -152, dilated to output stride 8 or 16 (He et al., CVPR 2016; Chen et al., TPAMI 2018).

The block is the bottleneck "v1.5": the stride sits in the 3x3 convolution and in the shortcut's 1x1. Parameter names
are those of timm's `resnet50` and so on, which are torchvision's too, so that their state dicts load as they are.

Dilation is the à trous algorithm: where a stage would pass the output stride, its stride becomes 1, its strided 3x3
keeps the dilation that came in, and all that follows is dilated by the stride left out. Every `stride`-th cell of the
dilated network is then a cell of the plain one, so ImageNet weights keep their meaning.

Padding is symmetric, (k // 2) * dilation, in the max pool too: with an input side of 32 n + 1 pixels every cell of
every stage is at a pixel's centre, as `geometry.grid` has it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from poseg.errors import PosegError
from poseg.networks.backbones.backbone import Backbone

BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3), "resnet152": (3, 8, 36, 3)}
STEM_CHANNELS = 64
STEM_STRIDE = 4
BOTTLENECK_CHANNELS = (64, 128, 256, 512)
EXPANSION = 4
OUTPUT_STRIDES = (8, 16, 32)


class Bottleneck(nn.Module):
    """1x1 to fewer channels, 3x3, 1x1 to more channels; a shortcut around all three."""

    def __init__(self, channels_in: int, width: int, stride: int, dilation: int) -> None:
        super().__init__()
        channels = width * EXPANSION
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.act = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels_in != channels:
            shortcut = nn.Conv2d(channels_in, channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C', h / stride, w / stride)."""
        y: Tensor = self.act(self.bn1(self.conv1(x)))
        y = self.act(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        z: Tensor = self.act(y + (x if self.downsample is None else self.downsample(x)))
        return z


class ResNet(Backbone):
    """The feature part of a ResNet: features of its four stages, finest first.

    variant        "resnet50", "resnet101" or "resnet152"
    output_stride  stride of the last stage: 8, 16 or 32; 16 and 8 are dilated (PersonLab trains at 16, tests at 8)
    checkpointing  keep only the blocks' inputs for the backward pass and compute the rest again: less memory, about a
                   third more time. Batch norms must then be frozen, or they take every batch twice
    strides        (4, 8, 16, 32), (4, 8, 16, 16) or (4, 8, 8, 8)

    Raises PosegError on a variant or stride that does not exist.
    """

    stem_names = ("conv1", "bn1", "layer1")

    def __init__(self, variant: str = "resnet50", output_stride: int = 32, *, checkpointing: bool = False) -> None:
        super().__init__()
        if variant not in BLOCKS:
            raise PosegError(f"There is no ResNet {variant!r}; choose one of {', '.join(BLOCKS)}.")
        if output_stride not in OUTPUT_STRIDES:
            raise PosegError(f"A ResNet has output stride 8, 16 or 32, got {output_stride}; choose one of these.")
        self.name = variant
        self.checkpointing = checkpointing
        self.conv1 = nn.Conv2d(3, STEM_CHANNELS, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM_CHANNELS)
        self.act = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        stages, strides = [], []
        channels, reached, dilation = STEM_CHANNELS, STEM_STRIDE, 1
        for index, (width, repeats) in enumerate(zip(BOTTLENECK_CHANNELS, BLOCKS[variant], strict=True)):
            own_stride = 1 if index == 0 else 2
            stride = own_stride if reached * own_stride <= output_stride else 1
            first = Bottleneck(channels, width, stride, dilation)
            dilation *= own_stride // stride
            reached *= stride
            channels = width * EXPANSION
            rest = (Bottleneck(channels, width, 1, dilation) for _ in range(repeats - 1))
            stages.append(nn.Sequential(first, *rest))
            strides.append(reached)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.channels = tuple(width * EXPANSION for width in BOTTLENECK_CHANNELS)
        self.strides = tuple(strides)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Features of normalised images (B, 3, 32 n + 1, 32 m + 1), at `strides`."""
        x = self.maxpool(self.act(self.bn1(self.conv1(image))))
        features = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in stage:
                again = self.checkpointing and torch.is_grad_enabled()
                x = checkpoint(block, x, use_reentrant=False) if again else block(x)
            features.append(x)
        return tuple(features)
