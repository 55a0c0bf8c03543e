"""Losses on fields of plain numbers."""

from __future__ import annotations

from torch import Tensor


def masked_square(field: Tensor, target: Tensor, weight: Tensor, count: Tensor | None = None) -> Tensor:
    """Mean squared error over the cells that count; 0 where none does.

    field and target (B, ...), weight of the same shape or without the xy axis (B, V, 1, h, w for B, V, 2, h, w).
    count is what the sum is divided by, where these cells are part of more: the weight of all.
    """
    error = (field - target) ** 2
    if weight.dim() < error.dim():
        error = error.sum(dim=2)
    return (error * weight).sum() / (weight.sum() if count is None else count).clamp(min=1)
