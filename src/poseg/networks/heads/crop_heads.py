"""Heads on crops of one person: regression of numbers such as joint positions, and detection in sliding windows.

Letters: B crops, C channels, h x w cells, r x c windows, n numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from poseg.fields.windows import SlidingWindows
from poseg.geometry.grid import Grid
from poseg.networks.necks.fpn import Separable

Outputs = dict[str, Tensor]


class ScaleGradient(torch.autograd.Function):
    """The identity, with a scaled gradient: features that tasks share get the mean of the tasks' gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
        """The features as they are."""
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """The scaled gradient."""
        return gradients[0] * ctx.scale, None


class FullyConnected(nn.Module):
    """Two hidden layers and a linear output for each kind of numbers, as published, perhaps with a final tanh."""

    def __init__(
        self, inputs: int, hidden: tuple[int, int], outputs: Mapping[str, int], dropout: float, *, tanh: bool
    ) -> None:
        super().__init__()
        self.hidden1 = nn.Linear(inputs, hidden[0])
        self.dropout = nn.Dropout(dropout)
        self.hidden2 = nn.Linear(hidden[0], hidden[1])
        last = {name: nn.Linear(hidden[1], n) for name, n in outputs.items()}
        self.outputs = nn.ModuleDict(last)
        self.tanh = tanh
        for layer in (self.hidden1, self.hidden2):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        for layer in last.values():
            # As published; larger random weights would hide what is learned (`poseg.analysis.weights`).
            nn.init.normal_(layer.weight, std=0.001)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> Outputs:
        """(B, C, h, w) -> (B, n, 1, 1) by name."""
        hidden = self.dropout(torch.relu(self.hidden1(features.flatten(1))))
        last = torch.relu(self.hidden2(hidden))
        numbers = {name: layer(last) for name, layer in self.outputs.items()}
        return {name: (torch.tanh(n) if self.tanh else n)[..., None, None] for name, n in numbers.items()}


class SlidingWindowHead(nn.Module):
    """What sliding windows contain, from mean features in them: (B, C, h, w) -> (B, n r c, 1, 1) by name."""

    def __init__(
        self, channels: int, hidden: int, outputs: Mapping[str, int], windows: SlidingWindows, grid: Grid
    ) -> None:
        """Features are on `grid` over the crop; `outputs` counts the kinds of each task."""
        super().__init__()
        for name, weights in zip(("rows", "columns"), window_weights(windows, grid), strict=True):
            self.register_buffer(name, weights, persistent=False)
        self.hidden = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU())
        self.outputs = nn.ModuleDict({name: nn.Conv2d(hidden, n, 1) for name, n in outputs.items()})

    rows: Tensor
    columns: Tensor

    def forward(self, features: Tensor) -> Outputs:
        """Logits by name."""
        rows, columns = (weights.to(features.dtype) for weights in (self.rows, self.columns))
        hidden = self.hidden(rows @ features @ columns.transpose(0, 1))
        return {name: layer(hidden).flatten(1)[..., None, None] for name, layer in self.outputs.items()}


def window_weights(windows: SlidingWindows, grid: Grid) -> tuple[Tensor, Tensor]:
    """(r, h) and (c, w): weights of rows and columns of cells in the mean over each window, by their overlap."""
    weights = []
    for starts_px, cells in zip(windows.starts_px, grid.shape(*windows.crop_size_px), strict=True):
        low = grid.to_image(np.arange(cells)) - grid.stride / 2
        overlap = np.minimum(low + grid.stride, starts_px[:, None] + windows.size_px) - np.maximum(
            low, starts_px[:, None]
        )
        inside = torch.from_numpy(np.maximum(overlap, 0)).float()
        weights.append(inside / inside.sum(dim=1, keepdim=True))
    return weights[0], weights[1]


class ConvTower(nn.Module):
    """Separable residual blocks, so that a task has features of its own, then its head: (B, C, h, w) -> the head's."""

    def __init__(self, channels: int, blocks: int, name: str, head: nn.Module) -> None:
        super().__init__()
        self.tower = nn.Sequential(*(Separable(channels) for _ in range(blocks)))
        self.name = name
        self.add_module(name, head)

    def forward(self, features: Tensor) -> Outputs:
        """The head's outputs, by name."""
        outputs: Outputs = self.get_submodule(self.name)(self.tower(features))
        return outputs
