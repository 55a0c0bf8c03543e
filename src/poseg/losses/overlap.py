"""How much two masks overlap, as a loss."""

from __future__ import annotations

import torch
from torch import Tensor


def masked_dice(logits: Tensor, target: Tensor, weight: Tensor, count: Tensor | None = None) -> Tensor:
    """Mean over masks (N, 1, S, S) of 1 - (2 |p t| + 1) / (|p| + |t| + 1), over the pixels that count.

    Soft Dice loss (Milletari et al., 3DV 2016), with p the probabilities and t the target in [0, 1]. A mask without a
    pixel that counts costs nothing. count is what the sum is divided by, where these masks are part of more.
    """
    likely, wanted = torch.sigmoid(logits) * weight, target * weight
    over = tuple(range(1, logits.dim()))
    overlap = (2 * (likely * wanted).sum(over) + 1) / (likely.sum(over) + wanted.sum(over) + 1)
    return (1 - overlap).sum() / (len(logits) if count is None else count.clamp(min=1))
