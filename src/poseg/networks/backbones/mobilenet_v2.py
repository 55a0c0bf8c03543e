"""MobileNetV2 one and a half times as wide, with the small pyramid of MoveNet MultiPose (stride 32 up to 4).

Inverted residuals (Sandler et al., CVPR 2018); the pyramid is CenterNet's mobile one: bilinear steps up, sums,
separable convolutions. Batch norms are folded into the convolutions, as in the published file: this backbone is made to
start from such weights (`load_google`), not to be trained from random ones.

With an input side of 32 n + 1 pixels every cell of every stage is at a pixel's centre, as `geometry.grid` has it.
The published network takes sides of 32 n and pads them at the bottom and right alone, so that its cells are shifted
by 31 pixels; up to that shift both compute the same, but for the borders.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from poseg.networks.backbones.backbone import Backbone, Layers, folded_state

STEM, FIRST, LAST = 48, 24, 1280
EXPANSION = 6
# Channels and stride of each inverted residual behind the first layers.
BLOCKS = (
    (40, 2), (40, 1),
    (48, 2), (48, 1), (48, 1),
    (96, 2), (96, 1), (96, 1), (96, 1), (144, 1), (144, 1), (144, 1),
    (240, 2), (240, 1), (240, 1), (480, 1),
)  # fmt: skip
TAPS = (1, 4, 8)  # blocks whose outputs are the pyramid's inputs at strides 4, 8 and 16
DEEP = 11  # the last block at stride 16
PYRAMID = (24, 32, 64, 64)  # channels of its inputs at strides 4, 8, 16 and 32
UPSAMPLING = ((64, 32), (32, 24), (24, 24))  # channels in and out of each upsampling block, coarsest first


class InvertedResidual(nn.Module):
    """Pointwise expansion, depthwise 3x3, pointwise projection without a rectifier; a sum around where shapes fit."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        hidden = EXPANSION * channels_in
        self.conv_pw = nn.Conv2d(channels_in, hidden, 1)
        self.conv_dw = nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden)
        self.conv_pwl = nn.Conv2d(hidden, channels, 1)
        self.act = nn.ReLU6(inplace=True)
        self.adds = stride == 1 and channels_in == channels

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C', h / stride, w / stride)."""
        y: Tensor = self.conv_pwl(self.act(self.conv_dw(self.act(self.conv_pw(x)))))
        return x + y if self.adds else y


class UpsampleBlock(nn.Module):
    """A coarser feature on top of a finer one, then depthwise 3x3 and pointwise."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(channels_in, channels_in, 3, 1, 1, groups=channels_in)
        self.conv_pw = nn.Conv2d(channels_in, channels, 1)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """(B, C, h, w) and (B, C, 2 h - 1, 2 w - 1) -> (B, C', 2 h - 1, 2 w - 1)."""
        # Half-pixel centres shift coarse cells by a quarter of a cell; the weights were trained with that.
        up = F.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=False)[..., 1:, 1:]
        return F.relu(self.conv_pw(self.conv_dw(up + fine)))


class MobileNetV2(Backbone):
    """Features at strides 4, 8, 16 and 32 of normalised images (B, 3, 32 n + 1, 32 m + 1).

    At stride 4 they are the block's own; at stride 8 also the pyramid's, and the pyramid's of stride 4, subsampled and
    max pooled; at stride 16 the block's and the pyramid's; at stride 32 the last layer's.

    """

    name = "this MobileNetV2"
    strides = (4, 8, 16, 32)
    stem_names = ("conv_stem", "conv_dw", "conv_pwl", *(f"blocks.{block}" for block in range(TAPS[0] + 1)))

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = nn.Conv2d(3, STEM, 3, 2, 1)
        self.conv_dw = nn.Conv2d(STEM, STEM, 3, 1, 1, groups=STEM)
        self.conv_pwl = nn.Conv2d(STEM, FIRST, 1)
        self.act = nn.ReLU6(inplace=True)
        blocks, channels = [], FIRST
        for wide, stride in BLOCKS:
            blocks.append(InvertedResidual(channels, wide, stride))
            channels = wide
        self.blocks = nn.ModuleList(blocks)
        self.conv_head = nn.Conv2d(channels, LAST, 1)
        reads = (*(BLOCKS[tap][0] for tap in TAPS), LAST)
        self.laterals = nn.ModuleList(nn.Conv2d(c, wide, 1) for c, wide in zip(reads, PYRAMID, strict=True))
        self.steps_up = nn.ModuleList(UpsampleBlock(*step) for step in UPSAMPLING)
        at16, at8, at4 = (step[1] for step in UPSAMPLING)
        self.channels = (BLOCKS[TAPS[0]][0], BLOCKS[TAPS[1]][0] + at8 + 2 * at4, BLOCKS[DEEP][0] + at16, LAST)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Features, finest first."""
        x = self.act(self.conv_dw(self.act(self.conv_stem(image))))
        x = self.conv_pwl(x)
        kept: dict[int, Tensor] = {}
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in (*TAPS, DEEP):
                kept[index] = x
        last = self.act(self.conv_head(x))
        finer = [lateral(kept[tap]) for lateral, tap in zip(self.laterals, TAPS, strict=False)]
        pyramid = self.laterals[-1](last)
        ups = []
        for step, fine in zip(self.steps_up, finer[::-1], strict=True):
            pyramid = step(pyramid, fine)
            ups.append(pyramid)
        at16, at8, at4 = ups
        around = F.max_pool2d(at4, 3, 2, 1)
        return (
            kept[TAPS[0]],
            torch.cat([kept[TAPS[1]], at8, at4[..., ::2, ::2], around], 1),
            torch.cat([kept[DEEP], at16], 1),
            last,
        )

    def convolutions(self) -> list[str]:
        """Names of all convolutions as they are executed where each lateral one follows the block that it reads."""
        names = ["conv_stem", "conv_dw", "conv_pwl"]
        for index in range(len(BLOCKS)):
            names += [f"blocks.{index}.{part}" for part in ("conv_pw", "conv_dw", "conv_pwl")]
            if index in TAPS:
                names.append(f"laterals.{TAPS.index(index)}")
        names += ["conv_head", f"laterals.{len(TAPS)}"]
        return [*names, *(f"steps_up.{n}.{part}" for n in range(len(UPSAMPLING)) for part in ("conv_dw", "conv_pw"))]

    def load_google(self, layers: Layers) -> None:
        """Load folded convolutions by this class's names. Raises WeightsError where one is missing or does not fit."""
        self.load_pretrained(folded_state(layers))
