"""EfficientNet-Lite: inverted residuals with ReLU6, no squeeze-and-excite (Tan & Le 2019; Lite variant 2020).

Parameter names are those of timm's `tf_efficientnet_lite*`, so that its state dicts load as they are; the names of
the first PyTorch port (`_conv_stem`, `_blocks.0...`), in which a package ships ImageNet weights, are translated.

Padding is symmetric (k // 2), so with an input side of 32 n + 1 pixels every cell of every stage stands on a pixel's
centre, as `geometry.grid` has it; for odd sides this equals the "SAME" padding the weights were trained with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from torch import Tensor, nn

from poseg.errors import PosegError
from poseg.networks.backbones.backbone import Backbone


def _norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation with the values of the original TensorFlow training."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


@dataclass(frozen=True, slots=True)
class Stage:
    """One row of the architecture table: block repeats, kernel, stride, expansion, output channels."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
STEM_CHANNELS = 32
DEPTHS = {"lite0": 1.0, "lite1": 1.1, "lite2": 1.2}
WIDTHS = {"lite0": 1.0, "lite1": 1.0, "lite2": 1.1}


class SeparableBlock(nn.Module):
    """Depthwise then pointwise convolution: the block without expansion that opens the network."""

    def __init__(self, channels_in: int, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(channels_in, channels_in, kernel, stride, kernel // 2, groups=channels_in, bias=False)
        self.bn1 = _norm(channels_in)
        self.conv_pw = nn.Conv2d(channels_in, channels, 1, bias=False)
        self.bn2 = _norm(channels)
        self.act = nn.ReLU6(inplace=True)
        self.residual = stride == 1 and channels_in == channels

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C', h / stride, w / stride)."""
        y: Tensor = self.bn2(self.conv_pw(self.act(self.bn1(self.conv_dw(x)))))
        return x + y if self.residual else y


class InvertedResidual(nn.Module):
    """Expand, depthwise, project."""

    def __init__(self, channels_in: int, channels: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        hidden = channels_in * expand
        self.conv_pw = nn.Conv2d(channels_in, hidden, 1, bias=False)
        self.bn1 = _norm(hidden)
        self.conv_dw = nn.Conv2d(hidden, hidden, kernel, stride, kernel // 2, groups=hidden, bias=False)
        self.bn2 = _norm(hidden)
        self.conv_pwl = nn.Conv2d(hidden, channels, 1, bias=False)
        self.bn3 = _norm(channels)
        self.act = nn.ReLU6(inplace=True)
        self.residual = stride == 1 and channels_in == channels

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C', h / stride, w / stride)."""
        y: Tensor = self.act(self.bn1(self.conv_pw(x)))
        y = self.act(self.bn2(self.conv_dw(y)))
        y = self.bn3(self.conv_pwl(y))
        return x + y if self.residual else y


class EfficientNetLite(Backbone):
    """The feature part of EfficientNet-Lite: features at strides 4, 8, 16 and 32.

    variant   "lite0", "lite1" or "lite2"

    Raises PosegError on a variant that does not exist.
    """

    strides = (4, 8, 16, 32)
    stem_names = ("conv_stem", "bn1", "blocks.0", "blocks.1")

    def __init__(self, variant: str = "lite0") -> None:
        super().__init__()
        if variant not in DEPTHS:
            raise PosegError(f"There is no EfficientNet-Lite {variant!r}; choose one of {', '.join(DEPTHS)}.")
        self.name = f"EfficientNet-{variant.capitalize()}"
        depth, width = DEPTHS[variant], WIDTHS[variant]
        self.conv_stem = nn.Conv2d(3, STEM_CHANNELS, 3, 2, 1, bias=False)
        self.bn1 = _norm(STEM_CHANNELS)
        self.act = nn.ReLU6(inplace=True)
        stages, channels = [], STEM_CHANNELS
        for index, stage in enumerate(STAGES):
            fixed = index in (0, len(STAGES) - 1)  # Lite leaves the first and the last stage as deep as they are
            repeats = stage.repeats if fixed else ceil(stage.repeats * depth)
            out = round_channels(stage.channels * width)
            blocks: list[nn.Module] = []
            for i in range(repeats):
                stride = stage.stride if i == 0 else 1
                blocks.append(
                    SeparableBlock(channels, out, stage.kernel, stride)
                    if stage.expand == 1
                    else InvertedResidual(channels, out, stage.kernel, stride, stage.expand)
                )
                channels = out
            stages.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*stages)
        self.channels = tuple(round_channels(STAGES[i].channels * width) for i in (1, 2, 4, 6))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Features at strides 4, 8, 16, 32 of normalised images (B, 3, 32 n + 1, 32 m + 1)."""
        x = self.act(self.bn1(self.conv_stem(image)))
        x = self.blocks[0](x)
        c2 = self.blocks[1](x)
        c3 = self.blocks[2](c2)
        c4 = self.blocks[4](self.blocks[3](c3))
        c5 = self.blocks[6](self.blocks[5](c4))
        return c2, c3, c4, c5

    def load_pretrained(self, state: Mapping[str, Tensor]) -> None:
        """As `Backbone` does, by timm's names or the first port's."""
        super().load_pretrained(_timm_names(self, state))


def round_channels(channels: float, divisor: int = 8) -> int:
    """Nearest multiple of the divisor that does not lose more than a tenth."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def _timm_names(network: EfficientNetLite, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the first port's flat block numbers to stage.block; timm's own names pass unchanged."""
    positions = [(s, b) for s, stage in enumerate(network.blocks) for b in range(len(stage))]  # type: ignore[arg-type]
    parts = {
        "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
        "_project_conv": "conv_pwl", "_bn2": "bn3",
    }  # fmt: skip
    first = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    named = {}
    for name, tensor in state.items():
        block = re.fullmatch(r"_blocks\.(\d+)\.(\w+?)\.(\w+)", name)
        if block and int(block[1]) < len(positions):
            stage, index = positions[int(block[1])]
            table = first if stage == 0 else parts
            named[f"blocks.{stage}.{index}.{table.get(block[2], block[2])}.{block[3]}"] = tensor
        else:
            # A block number past the last one stays a block, so that a deeper variant is recognised.
            plain = name.replace("_blocks.", "blocks.").replace("_conv_stem.", "conv_stem.").replace("_bn0.", "bn1.")
            named[plain] = tensor
    return named
