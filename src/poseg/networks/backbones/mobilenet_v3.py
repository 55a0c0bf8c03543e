"""MobileNetV3: inverted residuals, squeeze-and-excite, hard swish (Howard et al., ICCV 2019, tables 1 and 2).

Parameter names are those of timm's `mobilenetv3_large_100` and `mobilenetv3_small_100`, so that their state dicts load
as they are, and so are the details: symmetric padding, batch norms with eps 1e-5. (timm's `tf_mobilenetv3_*` have the
same names and fit too, but were trained with eps 1e-3 and another normalisation of images.)

With an input side of 32 n + 1 pixels every cell of every stage is at a pixel's centre, as `geometry.grid` has it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from poseg.errors import PosegError
from poseg.networks.backbones.backbone import Backbone
from poseg.networks.backbones.efficientnet_lite import round_channels

STEM_CHANNELS = 16
SQUEEZE = 4


class BlockSpec(NamedTuple):
    """One row of the paper's tables: kernel, hidden channels, channels, squeeze-and-excite, hard swish, stride."""

    kernel: int
    hidden: int
    channels: int
    excite: bool
    swish: bool
    stride: int


def _stages(*stages: tuple[tuple[int, int, int, int, int, int], ...]) -> tuple[tuple[BlockSpec, ...], ...]:
    return tuple(tuple(BlockSpec(*row[:3], bool(row[3]), bool(row[4]), row[5]) for row in stage) for stage in stages)


# By timm's stages: a stage ends where the resolution or the block's form changes.
LARGE = _stages(
    ((3, 16, 16, 0, 0, 1),),
    ((3, 64, 24, 0, 0, 2), (3, 72, 24, 0, 0, 1)),
    ((5, 72, 40, 1, 0, 2), (5, 120, 40, 1, 0, 1), (5, 120, 40, 1, 0, 1)),
    ((3, 240, 80, 0, 1, 2), (3, 200, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1)),
    ((3, 480, 112, 1, 1, 1), (3, 672, 112, 1, 1, 1)),
    ((5, 672, 160, 1, 1, 2), (5, 960, 160, 1, 1, 1), (5, 960, 160, 1, 1, 1)),
)
SMALL = _stages(
    ((3, 16, 16, 1, 0, 2),),
    ((3, 72, 24, 0, 0, 2), (3, 88, 24, 0, 0, 1)),
    ((5, 96, 40, 1, 1, 2), (5, 240, 40, 1, 1, 1), (5, 240, 40, 1, 1, 1)),
    ((5, 120, 48, 1, 1, 1), (5, 144, 48, 1, 1, 1)),
    ((5, 288, 96, 1, 1, 2), (5, 576, 96, 1, 1, 1), (5, 576, 96, 1, 1, 1)),
)
STAGES = {"mobilenet_v3_large": LARGE, "mobilenet_v3_small": SMALL}
# The last stages at strides 4, 8, 16 and 32.
OUT_LAYERS = {
    "mobilenet_v3_large": (1, 2, 4, 6),
    "mobilenet_v3_small": (0, 1, 3, 5),
}


class SqueezeExcite(nn.Module):
    """Scale each channel by a function of the channels' means over the image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = round_channels(channels / SQUEEZE)
        self.conv_reduce = nn.Conv2d(channels, squeezed, 1)
        self.conv_expand = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> the same shape."""
        squeezed = F.relu(self.conv_reduce(x.mean((2, 3), keepdim=True)))
        return x * F.hardsigmoid(self.conv_expand(squeezed))


class StemBlock(nn.Module):
    """Depthwise, excite, pointwise: the block without expansion that opens the network."""

    def __init__(self, channels_in: int, row: BlockSpec) -> None:
        super().__init__()
        self.conv_dw = _depthwise(channels_in, row)
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.act = nn.ReLU(inplace=True)
        self.se = SqueezeExcite(channels_in) if row.excite else nn.Identity()
        self.conv_pw = nn.Conv2d(channels_in, row.channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(row.channels)
        self.residual = row.stride == 1 and channels_in == row.channels

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C', h / stride, w / stride)."""
        y: Tensor = self.se(self.act(self.bn1(self.conv_dw(x))))
        y = self.bn2(self.conv_pw(y))
        return x + y if self.residual else y


class InvertedResidual(nn.Module):
    """Expand, depthwise, excite, project."""

    def __init__(self, channels_in: int, row: BlockSpec) -> None:
        super().__init__()
        self.conv_pw = nn.Conv2d(channels_in, row.hidden, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(row.hidden)
        self.conv_dw = _depthwise(row.hidden, row)
        self.bn2 = nn.BatchNorm2d(row.hidden)
        self.act = nn.Hardswish(inplace=True) if row.swish else nn.ReLU(inplace=True)
        self.se = SqueezeExcite(row.hidden) if row.excite else nn.Identity()
        self.conv_pwl = nn.Conv2d(row.hidden, row.channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(row.channels)
        self.residual = row.stride == 1 and channels_in == row.channels

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C', h / stride, w / stride)."""
        y: Tensor = self.act(self.bn1(self.conv_pw(x)))
        y = self.se(self.act(self.bn2(self.conv_dw(y))))
        y = self.bn3(self.conv_pwl(y))
        return x + y if self.residual else y


class LastConv(nn.Module):
    """The 1x1 convolution that closes the feature part, six times as wide."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act = nn.Hardswish(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C', h, w)."""
        y: Tensor = self.act(self.bn1(self.conv(x)))
        return y


class MobileNetV3(Backbone):
    """The feature part of MobileNetV3: features at strides 4, 8, 16 and 32.

    variant   "mobilenet_v3_large" or "mobilenet_v3_small"

    Raises PosegError on a variant that does not exist.
    """

    strides = (4, 8, 16, 32)

    def __init__(self, variant: str = "mobilenet_v3_large") -> None:
        super().__init__()
        if variant not in STAGES:
            raise PosegError(f"There is no MobileNetV3 {variant!r}; choose one of {', '.join(STAGES)}.")
        self.name = variant
        self.conv_stem = nn.Conv2d(3, STEM_CHANNELS, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM_CHANNELS)
        self.act = nn.Hardswish(inplace=True)
        channels, stages, widths = STEM_CHANNELS, [], []
        for index, rows in enumerate(STAGES[variant]):
            blocks: list[nn.Module] = []
            for row in rows:
                blocks.append(StemBlock(channels, row) if index == 0 else InvertedResidual(channels, row))
                channels = row.channels
            stages.append(nn.Sequential(*blocks))
            widths.append(channels)
        stages.append(nn.Sequential(LastConv(channels, channels * 6)))
        widths.append(channels * 6)
        self.blocks = nn.Sequential(*stages)
        self.channels = tuple(widths[layer] for layer in OUT_LAYERS[variant])
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Features at strides 4, 8, 16, 32 of normalised images (B, 3, 32 n + 1, 32 m + 1)."""
        x = self.act(self.bn1(self.conv_stem(image)))
        features = []
        for index, stage in enumerate(self.blocks):
            x = stage(x)
            if index in OUT_LAYERS[self.name]:
                features.append(x)
        return tuple(features)

    def stem_modules(self) -> tuple[nn.Module, ...]:
        """As in `Backbone`; how many blocks depends on the variant."""
        return self.conv_stem, self.bn1, *list(self.blocks)[: OUT_LAYERS[self.name][0] + 1]


def _depthwise(channels: int, row: BlockSpec) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, row.kernel, row.stride, row.kernel // 2, groups=channels, bias=False)
