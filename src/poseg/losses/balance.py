"""Several tasks in one loss, weighed against each other by what the network learns of their noise."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def by_uncertainty(terms: Sequence[Tensor], log_variances: Tensor, shares: Tensor | None = None) -> Tensor:
    """Sum of exp(-s_i) L_i + s_i over the tasks (Kendall et al., CVPR 2018): s_i (tasks,) are learned.

    A task that stays uncertain counts less, at a price; at s = log L a term's pull on s is none. `shares` (tasks,) say
    which part of each task's data the terms are of, where a step is seen in slices: of the price they pay as much, and
    a task without data pays none.
    """
    price = log_variances if shares is None else shares * log_variances
    return (torch.exp(-log_variances) * torch.stack(list(terms)) + price).sum()
