"""Cross-entropy of probability fields (heatmap, segmentation), masked."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def masked_cross_entropy(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean binary cross-entropy over the cells that count; 0 where none does.

    logits, target and weight have one shape; target in [0, 1], weight >= 0 (spec section 3, L_hm and L_seg).
    """
    loss = F.binary_cross_entropy_with_logits(logits, target, weight, reduction="sum")
    return loss / weight.sum().clamp(min=1)
