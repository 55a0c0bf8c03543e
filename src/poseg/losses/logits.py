"""Cross-entropy of probability fields (heatmap, segmentation), masked."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def masked_cross_entropy(logits: Tensor, target: Tensor, weight: Tensor, count: Tensor | None = None) -> Tensor:
    """Mean binary cross-entropy over the cells that count; 0 where none does.

    logits, target and weight have one shape; target in [0, 1], weight >= 0 (spec section 3, L_hm and L_seg).
    count is what the sum is divided by, where these cells are part of more: the weight of all.
    """
    loss = F.binary_cross_entropy_with_logits(logits, target, weight, reduction="sum")
    return loss / (weight.sum() if count is None else count).clamp(min=1)
