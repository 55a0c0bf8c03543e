"""Heads that follow from field specs: nobody counts channels by hand."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from poseg.fields import FieldSpec

PRIOR = 0.02  # share of cells that are inside a disk; the bias of a logit starts there (Lin et al., ICCV 2017)


class FieldHead(nn.Module):
    """One 1x1 convolution for all fields, split by spec.

    Offsets leave in pixels; inside they are in units of `unit_px`, which keeps the convolution's weights and
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

    def begin_silent(self) -> None:
        """Put out zeros until trained: for heads that correct the fields of others."""
        nn.init.zeros_(self.conv.weight)
        assert self.conv.bias is not None
        nn.init.zeros_(self.conv.bias)

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """(B, C, h, w) -> flat (B, spec.channels, h, w) by field name: logits and pixels."""
        parts = torch.split(self.conv(features) * self.scale, [spec.channels for spec in self.specs], dim=1)
        return {spec.name: part for spec, part in zip(self.specs, parts, strict=True)}
