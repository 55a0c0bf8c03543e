"""Loss terms on tensors, masked by weights, and what goes with them: offset refinement and the balance of tasks.

Each term is a sum over the cells that count, divided by how much counts. `count` is what it is divided by where these
cells are a part of more, as in micro-batches; without it, it is the sum of the weights given.

Letters: B images, V vectors (joints or edges), h x w cells of stride s. Offsets are (B, V, 2, h, w), x before y, in
pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Tensors = Mapping[str, Tensor]  # fields, targets or weights by name


def masked_cross_entropy(logits: Tensor, target: Tensor, weight: Tensor, count: Tensor | None = None) -> Tensor:
    """Mean binary cross-entropy of heatmaps and masks; 0 where no cell counts.

    logits, target and weight have one shape; target in [0, 1], weight >= 0 (spec section 3, L_hm and L_seg).
    """
    loss = F.binary_cross_entropy_with_logits(logits, target, weight, reduction="sum")
    return loss / (weight.sum() if count is None else count).clamp(min=1)


def masked_mse(field: Tensor, target: Tensor, weight: Tensor, count: Tensor | None = None) -> Tensor:
    """Mean squared error; 0 where no cell counts.

    field and target (B, ...), weight of the same shape or without the xy axis (B, V, 1, h, w for B, V, 2, h, w).
    """
    error = (field - target) ** 2
    if weight.dim() < error.dim():
        error = error.sum(dim=2)
    return (error * weight).sum() / (weight.sum() if count is None else count).clamp(min=1)


def masked_l1(offsets: Tensor, target: Tensor, weight: Tensor, radius_px: float, count: Tensor | None = None) -> Tensor:
    """Mean of |dx| + |dy| in disk radii; 0 where no vector counts. weight (B, V, h, w)."""
    error = (offsets - target).abs().sum(dim=2) / radius_px
    return (error * weight).sum() / (weight.sum() if count is None else count).clamp(min=1)


def masked_dice(logits: Tensor, target: Tensor, weight: Tensor, count: Tensor | None = None) -> Tensor:
    """Mean over masks (N, 1, S, S) of 1 - (2 |p t| + 1) / (|p| + |t| + 1), over the pixels that count.

    Soft Dice loss (Milletari et al., 3DV 2016), with p the probabilities and t the target in [0, 1]. A mask in which no
    pixel counts costs nothing. `count` counts masks.
    """
    predicted, truth = torch.sigmoid(logits) * weight, target * weight
    axes = tuple(range(1, logits.dim()))
    overlap = (2 * (predicted * truth).sum(axes) + 1) / (predicted.sum(axes) + truth.sum(axes) + 1)
    return (1 - overlap).sum() / (len(logits) if count is None else count.clamp(min=1))


def sample_field(field: Tensor, offsets: Tensor, stride: int) -> Tensor:
    """The vectors of `field` at the points that `offsets` point to, bilinear, clamped to the border.

    field and offsets (B, V, 2, h, w); returns the same shape. Differentiable in both.
    """
    b, v, _, h, w = offsets.shape
    rows = torch.arange(h, dtype=offsets.dtype, device=offsets.device).view(h, 1)
    columns = torch.arange(w, dtype=offsets.dtype, device=offsets.device).view(1, w)
    x = (columns + offsets[:, :, 0] / stride) * (2 / max(w - 1, 1)) - 1  # (B, V, h, w)
    y = (rows + offsets[:, :, 1] / stride) * (2 / max(h - 1, 1)) - 1
    at = torch.stack([x, y], dim=-1).view(b * v, h, w, 2)
    vectors = F.grid_sample(
        field.reshape(b * v, 2, h, w), at, mode="bilinear", padding_mode="border", align_corners=True
    )
    return vectors.view(b, v, 2, h, w)


def refine_offsets(offsets: Tensor, field: Tensor, stride: int, steps: int) -> Tensor:
    """offsets(x) <- offsets(x) + field(x + offsets(x)), `steps` times (PersonLab, section 3.2; spec section 4)."""
    for _ in range(steps):
        offsets = offsets + sample_field(field, offsets, stride)
    return offsets


def uncertainty_weighting(terms: Sequence[Tensor], log_variances: Tensor, fractions: Tensor | None = None) -> Tensor:
    """Sum of exp(-s_i) L_i + s_i over the tasks (Kendall et al., CVPR 2018); s_i, of shape (tasks,), is learned.

    A task that stays uncertain counts less, at a price; at s = log L the gradient with respect to s is 0. `fractions`
    (tasks,) are the parts of each task's data that the terms were computed from, where a step is divided into
    micro-batches: these pay that part of the price, and a task without data pays none.
    """
    price = log_variances if fractions is None else fractions * log_variances
    return (torch.exp(-log_variances) * torch.stack(list(terms)) + price).sum()
