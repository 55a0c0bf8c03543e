"""Heads that predict fields; their channels follow from field specs.

Letters: B images, C channels of the features, h x w cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from poseg.fields import FieldSpec
from poseg.networks.necks.fpn import Separable

FlatFields = dict[str, Tensor]  # (B, spec.channels, h, w) by field name
PRIOR = 0.02  # fraction of cells that are inside a disk; the bias of a logit starts there (Lin et al., ICCV 2017)


class FieldHead(nn.Module):
    """One 1x1 convolution for all fields, split by spec.

    Offsets are predicted in pixels; inside they are in units of `unit_px`, which keeps the convolution's weights and
    gradients of the same size for every field (PersonLab divides its errors by the disk radius for the same reason).
    """

    scale: Tensor

    def __init__(self, channels_in: int, specs: Sequence[FieldSpec], unit_px: float) -> None:
        super().__init__()
        self.specs = tuple(specs)
        self.conv = nn.Conv2d(channels_in, sum(spec.channels for spec in self.specs), 1)
        nn.init.normal_(self.conv.weight, std=0.01)
        scale = torch.cat([torch.full((s.channels,), unit_px if s.unit == "px" else 1.0) for s in self.specs])
        self.register_buffer("scale", scale.view(1, -1, 1, 1), persistent=False)
        with torch.no_grad():
            prior = torch.logit(torch.tensor(PRIOR)).item()
            starts = [torch.full((s.channels,), prior if s.name == "heatmap" else 0.0) for s in self.specs]
            self.conv.bias = nn.Parameter(torch.cat(starts))

    def zero_init(self) -> None:
        """Predict zeros until trained: for heads that add to the fields of others."""
        nn.init.zeros_(self.conv.weight)
        assert self.conv.bias is not None
        nn.init.zeros_(self.conv.bias)

    def forward(self, features: Tensor) -> FlatFields:
        """(B, C, h, w) -> flat (B, spec.channels, h, w) by field name: logits and pixels."""
        parts = torch.split(self.conv(features) * self.scale, [spec.channels for spec in self.specs], dim=1)
        return {spec.name: part for spec, part in zip(self.specs, parts, strict=True)}


class StageHeads(nn.Module):
    """The two heads of a stage: the fields of limbs, and those of joints."""

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

    def forward(self, x: Tensor) -> FlatFields:
        """(B, C, h, w) -> flat fields by name."""
        fields: FlatFields = {}
        for end, group in zip(self.ends, self.groups, strict=True):
            parts = torch.split(end(x), [n for _, n in group], dim=1)
            fields |= {name: part for (name, _), part in zip(group, parts, strict=True)}
        return fields


class LightPafStages(nn.Module):
    """Shared blocks for both kinds of fields, and few stages.

    The design of Osokin's light OpenPose (2018), in separable convolutions where `dense` is False: these are as good
    in a quarter of the time on phones and CPUs.

    blocks   residual blocks of the first stage, and of each refinement stage
    """

    def __init__(
        self, channels: int, groups: Sequence[Sequence[FieldSpec]], *, refinement_stages: int = 1, hidden: int = 256,
        blocks: tuple[int, int] = (3, 5), dense: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        num_fields = sum(spec.channels for group in groups for spec in group)
        block = DenseBlock if dense else Separable
        self.stages = nn.ModuleList()
        for stage in range(1 + refinement_stages):
            entry = [] if stage == 0 else [nn.Conv2d(channels + num_fields, channels, 1), nn.ReLU()]
            self.stages.append(nn.Sequential(*entry, *(block(channels) for _ in range(blocks[min(stage, 1)]))))
        self.outputs = nn.ModuleList(StageHeads(channels, hidden, groups) for _ in range(1 + refinement_stages))

    def forward(self, features: Tensor) -> list[FlatFields]:
        """Shared features (B, C, h, w) -> fields of each stage, the last one the best."""
        stages: list[FlatFields] = []
        for blocks, outputs in zip(self.stages, self.outputs, strict=True):
            x = torch.cat([features, *stages[-1].values()], dim=1) if stages else features
            stages.append(outputs(blocks(x)))
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


class PaperPafStages(nn.Module):
    """The published branch: in each of six stages a stack of convolutions for each kind of fields, without norms."""

    def __init__(
        self, channels: int, groups: Sequence[Sequence[FieldSpec]], *, stages: int = 6, width: int = 128
    ) -> None:  # fmt: skip
        super().__init__()
        num_fields = sum(spec.channels for group in groups for spec in group)
        self.names = [[(spec.name, spec.channels) for spec in group] for group in groups]
        self.stages = nn.ModuleList()
        for stage in range(stages):
            stacks = nn.ModuleList()
            for group in groups:
                out = sum(spec.channels for spec in group)
                first = _conv_stack(channels, width, [3, 3, 3], 512, out)
                stacks.append(first if stage == 0 else _conv_stack(channels + num_fields, width, [7] * 5, width, out))
            self.stages.append(stacks)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, features: Tensor) -> list[FlatFields]:
        """Shared features (B, C, h, w) -> fields of each stage, the last one the best."""
        stages: list[FlatFields] = []
        for stacks in self.stages:
            x = torch.cat([*stages[-1].values(), features], dim=1) if stages else features
            fields: FlatFields = {}
            for stack, group in zip(stacks, self.names, strict=True):  # type: ignore[call-overload]
                parts = torch.split(stack(x), [n for _, n in group], dim=1)
                fields |= {name: part for (name, _), part in zip(group, parts, strict=True)}
            stages.append(fields)
        return stages


def _conv_stack(channels_in: int, width: int, kernels: Sequence[int], hidden: int, channels_out: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index, kernel in enumerate(kernels):
        layers += [nn.Conv2d(channels_in if index == 0 else width, width, kernel, padding=kernel // 2), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(width, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, channels_out, 1))
