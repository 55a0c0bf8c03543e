"""Pose branch in stages: each reads what the one before said, beside the shared features (Cao et al., CVPR 2017).

Letters: B pictures, C channels of the shared features, h x w cells. A stage puts out flat fields by name.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from poseg.fields import FieldSpec
from poseg.networks.necks.fpn import Separable

Said = dict[str, Tensor]


class Outputs(nn.Module):
    """Two ends of a stage: the fields of limbs, and those of joints."""

    def __init__(self, channels: int, hidden: int, groups: Sequence[Sequence[FieldSpec]]) -> None:
        super().__init__()
        self.groups = [[(spec.name, spec.channels) for spec in group] for group in groups]
        self.ends = nn.ModuleList()
        for group in self.groups:
            last = nn.Conv2d(hidden, sum(n for _, n in group), 1)
            nn.init.normal_(last.weight, std=0.01)
            assert last.bias is not None
            nn.init.zeros_(last.bias)
            self.ends.append(nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU(), last))

    def forward(self, x: Tensor) -> Said:
        """(B, C, h, w) -> flat fields by name."""
        said: Said = {}
        for end, group in zip(self.ends, self.groups, strict=True):
            parts = torch.split(end(x), [n for _, n in group], dim=1)
            said |= {name: part for (name, _), part in zip(group, parts, strict=True)}
        return said


class LightStages(nn.Module):
    """One trunk for both kinds of fields, and few stages.

    The design of Osokin's light OpenPose (2018), in separable convolutions where `dense` is False: for phones and
    CPUs these say as much for a quarter of the time.

    blocks   residual blocks of the first stage, and of each refining one
    """

    def __init__(
        self, channels: int, groups: Sequence[Sequence[FieldSpec]], *, refining: int = 1, hidden: int = 256,
        blocks: tuple[int, int] = (3, 5), dense: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        fields = sum(spec.channels for group in groups for spec in group)
        block = DenseBlock if dense else Separable
        self.trunks = nn.ModuleList()
        for stage in range(1 + refining):
            entry = [] if stage == 0 else [nn.Conv2d(channels + fields, channels, 1), nn.ReLU()]
            self.trunks.append(nn.Sequential(*entry, *(block(channels) for _ in range(blocks[min(stage, 1)]))))
        self.outputs = nn.ModuleList(Outputs(channels, hidden, groups) for _ in range(1 + refining))

    def forward(self, features: Tensor) -> list[Said]:
        """Shared features (B, C, h, w) -> fields of each stage, the last one the best."""
        stages: list[Said] = []
        for trunk, outputs in zip(self.trunks, self.outputs, strict=True):
            x = torch.cat([features, *stages[-1].values()], dim=1) if stages else features
            stages.append(outputs(trunk(x)))
        return stages


class DenseBlock(nn.Module):
    """1x1, then two 3x3 convolutions, the second of them dilated; a residual around both."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.entry = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.ReLU())
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=2, dilation=2, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> the same shape."""
        entry = self.entry(x)
        y: Tensor = entry + self.body(entry)
        return y


class PublishedStages(nn.Module):
    """The published branch: two rows of convolutions side by side in each of six stages, without normalisation."""

    def __init__(
        self, channels: int, groups: Sequence[Sequence[FieldSpec]], *, stages: int = 6, width: int = 128
    ) -> None:  # fmt: skip
        super().__init__()
        fields = sum(spec.channels for group in groups for spec in group)
        self.names = [[(spec.name, spec.channels) for spec in group] for group in groups]
        self.stages = nn.ModuleList()
        for stage in range(stages):
            rows = nn.ModuleList()
            for group in groups:
                out = sum(spec.channels for spec in group)
                first = _row(channels, width, [3, 3, 3], 512, out)
                rows.append(first if stage == 0 else _row(channels + fields, width, [7] * 5, width, out))
            self.stages.append(rows)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, features: Tensor) -> list[Said]:
        """Shared features (B, C, h, w) -> fields of each stage, the last one the best."""
        stages: list[Said] = []
        for rows in self.stages:
            x = torch.cat([*stages[-1].values(), features], dim=1) if stages else features
            said: Said = {}
            for row, group in zip(rows, self.names, strict=True):  # type: ignore[call-overload]
                parts = torch.split(row(x), [n for _, n in group], dim=1)
                said |= {name: part for (name, _), part in zip(group, parts, strict=True)}
            stages.append(said)
        return stages


def _row(channels_in: int, width: int, kernels: Sequence[int], hidden: int, channels_out: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for place, kernel in enumerate(kernels):
        layers += [nn.Conv2d(channels_in if place == 0 else width, width, kernel, padding=kernel // 2), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(width, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, channels_out, 1))
