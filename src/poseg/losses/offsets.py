"""Offset losses and the recurrent refinement inside them (PersonLab, sections 3.2 and 3.3; spec sections 3 and 4).

Letters: B images, V vectors (joints or edges), h x w cells of stride s. Offsets are (B, V, 2, h, w), x before y, in
pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def masked_l1(offsets: Tensor, target: Tensor, weight: Tensor, radius_px: float, count: Tensor | None = None) -> Tensor:
    """Mean of |dx| + |dy| over the vectors that count, in disk radii; 0 where none does. weight (B, V, h, w).

    count is what the sum is divided by, where these vectors are part of more: the weight of all.
    """
    error = (offsets - target).abs().sum(dim=2) / radius_px
    return (error * weight).sum() / (weight.sum() if count is None else count).clamp(min=1)


def look_up(field: Tensor, offsets: Tensor, stride: int) -> Tensor:
    """The vectors of `field` at the places that `offsets` point to, bilinear, clamped to the border.

    field and offsets (B, V, 2, h, w); returns the same shape. Differentiable in both.
    """
    b, v, _, h, w = offsets.shape
    rows = torch.arange(h, dtype=offsets.dtype, device=offsets.device).view(h, 1)
    columns = torch.arange(w, dtype=offsets.dtype, device=offsets.device).view(1, w)
    x = (columns + offsets[:, :, 0] / stride) * (2 / max(w - 1, 1)) - 1  # (B, V, h, w)
    y = (rows + offsets[:, :, 1] / stride) * (2 / max(h - 1, 1)) - 1
    at = torch.stack([x, y], dim=-1).view(b * v, h, w, 2)
    found = F.grid_sample(field.reshape(b * v, 2, h, w), at, mode="bilinear", padding_mode="border", align_corners=True)
    return found.view(b, v, 2, h, w)


def refine(offsets: Tensor, field: Tensor, stride: int, steps: int) -> Tensor:
    """offsets(x) <- offsets(x) + field(x + offsets(x)), `steps` times (spec section 4)."""
    for _ in range(steps):
        offsets = offsets + look_up(field, offsets, stride)
    return offsets
