"""Lite-HRNet without its channel weighting, in the wide form of PP-TinyPose (Yu et al., CVPR 2021; PaddleDetection).

Up to four branches, at strides 4 to 32, run side by side and exchange features after every module. Batch norms are
folded into the convolutions, as in the published file: this backbone is made to start from such weights, not to be
trained from nothing. Convolutions are registered in the order in which they run, which is the order of the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from poseg.networks.backbones.backbone import Backbone

WIDTHS = (40, 80, 160, 320)
MODULES = (2, 4, 2)  # modules with two, three and four branches
UNITS = 2  # shuffle units of each branch in each module
STEM = 32


class Separable(nn.Sequential):
    """Depthwise 3x3, then pointwise, with one ReLU at the end or none: (B, C, h, w) -> (B, C', h / s, w / s)."""

    def __init__(self, channels_in: int, channels: int, stride: int = 1, *, relu: bool = True) -> None:
        super().__init__()
        self.append(nn.Conv2d(channels_in, channels_in, 3, stride, 1, groups=channels_in))
        self.append(nn.Conv2d(channels_in, channels, 1))
        if relu:
            self.append(nn.ReLU())


def interleave(first: Tensor, second: Tensor) -> Tensor:
    """Channels of two features in turn, which is ShuffleNet's shuffle: twice (B, C, h, w) -> (B, 2 C, h, w)."""
    return torch.stack((first, second), dim=2).flatten(1, 2)


class Stem(nn.Module):
    """Normalised images (B, 3, H, W) -> (B, 32, H / 4, W / 4)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.split = half = channels // 2
        self.conv = nn.Sequential(nn.Conv2d(3, channels, 3, 2, 1), nn.ReLU())
        self.branch1 = Separable(half, half, 2)
        self.expand = nn.Sequential(nn.Conv2d(half, channels, 1), nn.ReLU())
        self.branch2 = Separable(channels, half, 2)

    def forward(self, image: Tensor) -> Tensor:
        """Half of the channels go through a wider branch."""
        first, second = torch.split(self.conv(image), self.split, dim=1)
        return interleave(self.branch1(first), self.branch2(self.expand(second)))


class ShuffleUnit(nn.Module):
    """ShuffleNetV2's unit: half of the channels pass, half are convolved: (B, C, h, w) -> (B, C, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.split = half = channels // 2
        self.pointwise = nn.Sequential(nn.Conv2d(half, half, 1), nn.ReLU())
        self.separable = Separable(half, half)

    def forward(self, x: Tensor) -> Tensor:
        """The halves, interleaved."""
        passed, convolved = torch.split(x, self.split, dim=1)
        return interleave(passed, self.separable(self.pointwise(convolved)))


def _resample(source: int, target: int, widths: Sequence[int]) -> nn.Module:
    """From one branch to another: nearest neighbours upwards, a chain of strided convolutions downwards."""
    if source > target:
        scale = float(2 ** (source - target))
        return nn.Sequential(nn.Conv2d(widths[source], widths[target], 1), nn.Upsample(scale_factor=scale))
    steps = [Separable(widths[source], widths[source], 2) for _ in range(target - source - 1)]
    return nn.Sequential(*steps, Separable(widths[source], widths[target], 2, relu=False))


class Exchange(nn.Module):
    """Units of each branch, then each branch takes features from all others: features -> features, finest first.

    As in the published network, whatever enters a sum first counts twice, and coarser branches take the finest
    branch's sum and not its features (its code adds in place). Weights were trained that way.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*(ShuffleUnit(width) for _ in range(UNITS))) for width in widths)
        n = len(widths)
        rows = ([_resample(source, target, widths) for source in range(n) if source != target] for target in range(n))
        self.exchange = nn.ModuleList(nn.ModuleList(row) for row in rows)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """(B, C, h, w) of every branch."""
        own = [branch(x) for branch, x in zip(self.branches, features, strict=True)]
        sums = []
        for target, row in enumerate(self.exchange):
            others = iter(row if isinstance(row, nn.ModuleList) else ())
            terms = [x if source == target else next(others)(x) for source, x in enumerate(own)]
            total = 2 * terms[0]
            for term in terms[1:]:
                total = total + term
            sums.append(total)
            own[0] = sums[0]
        return [torch.relu(total) for total in sums]


class LiteHRNet(Backbone):
    """Features at strides 4, 8, 16 and 32 of normalised images (B, 3, 32 n, 32 m).

    Cell c stands on the centre of pixel stride * c (`geometry.grid`).

    widths    channels of the branches, all even
    modules   modules with two, three and four branches
    """

    name = "this Lite-HRNet"
    strides = (4, 8, 16, 32)
    stem_names = ("stem",)

    def __init__(self, widths: Sequence[int] = WIDTHS, modules: Sequence[int] = MODULES, stem: int = STEM) -> None:
        super().__init__()
        self.channels = tuple(widths)
        self.stem = Stem(stem)
        self.first = nn.ModuleList(Separable(stem, widths[i], 1 + i) for i in range(2))
        stages = []
        for branches, n in enumerate(modules, start=2):
            stages.append(nn.Sequential(*(Exchange(widths[:branches]) for _ in range(n))))
            if branches < len(widths):
                stages.append(nn.Sequential(Separable(widths[branches - 1], widths[branches], 2)))
        self.stages = nn.ModuleList(stages)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Features, finest first."""
        x = self.stem(image)
        features = [branch(x) for branch in self.first]
        for position, stage in enumerate(self.stages):
            features = [*features, stage(features[-1])] if position % 2 else stage(features)
        return tuple(features)


class IterativeHead(nn.Module):
    """Features merged from coarse to fine, then a map for each joint: finest first -> (B, K, h, w) at stride 4."""

    def __init__(self, channels: Sequence[int] = WIDTHS, joints: int = 17) -> None:
        super().__init__()
        finer = [*reversed(channels), channels[0]]
        self.merge = nn.ModuleList(Separable(wide, narrow) for wide, narrow in pairwise(finer))
        self.heatmap = nn.Conv2d(channels[0], joints, 1)

    def features(self, features: Sequence[Tensor]) -> Tensor:
        """(B, C, h, w) at stride 4: what the maps are made from."""
        merged: Tensor | None = None
        for finer, merge in zip(reversed(features), self.merge, strict=True):
            if merged is not None:
                finer = finer + nn.functional.interpolate(merged, scale_factor=2.0, mode="bilinear", align_corners=True)
            merged = merge(finer)
        assert merged is not None
        return merged

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Heatmaps, about 0 to 1."""
        maps: Tensor = self.heatmap(self.features(features))
        return maps


class LiteHRNetPose(nn.Module):
    """PP-TinyPose: normalised crops (B, 3, 32 n, 32 m) of one person each -> {"heatmap": (B, K, 8 n, 8 m)}.

    A subclass may have further heads on the features of `head`; the published file has none of them.
    """

    def __init__(self, backbone: LiteHRNet | None = None, joints: int = 17) -> None:
        super().__init__()
        self.backbone = backbone or LiteHRNet()
        self.head = IterativeHead(self.backbone.channels, joints)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Heatmaps, about 0 to 1; joints that are not in the crop have flat ones."""
        return {"heatmap": self.head(self.backbone(image))}

    def convolutions(self) -> Iterator[tuple[str, nn.Conv2d]]:
        """Convolutions of backbone and head by name, in the order in which they run."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d) and name.startswith(("backbone.", "head.")):
                yield name, module
