"""Heads on crops of one person: regression of numbers such as joint positions, and detection in sliding windows.

Letters: B crops, C channels, h x w cells, m x m windows, n numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from poseg.fields.windows import SlidingWindows
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


class SoftArgmax(nn.Module):
    """Joints regressed as mean positions of maps: (B, C, h, w) -> "joints" (B, 2 K, 1, 1), -1 .. 1 over the crop.

    The softmax of a map weighs the cells, so that positions are finer than cells and are learned without heatmap
    targets (integral regression; Sun et al., ECCV 2018).
    """

    def __init__(self, channels: int, joints: int, cells: tuple[float, float]) -> None:
        """`cells` are the position of the first cell and the step between cells, from -1 in units of half the crop."""
        super().__init__()
        self.maps = nn.Conv2d(channels, joints, 1)
        nn.init.normal_(self.maps.weight, std=0.01)
        self.first, self.step = cells

    def forward(self, features: Tensor) -> Outputs:
        """The mean positions, x before y."""
        maps = self.maps(features)
        b, k, h, w = maps.shape
        weights = torch.softmax(maps.float().flatten(2), dim=2).reshape(b, k, h, w)
        x = self.first + self.step * torch.arange(w, device=maps.device, dtype=weights.dtype)
        y = self.first + self.step * torch.arange(h, device=maps.device, dtype=weights.dtype)
        mean = torch.stack([(weights.sum(dim=2) * x).sum(dim=2), (weights.sum(dim=3) * y).sum(dim=2)], dim=2)
        return {"joints": mean.reshape(b, 2 * k, 1, 1)}


class SlidingWindowHead(nn.Module):
    """What sliding windows contain, from mean features in them: (B, C, h, w) -> (B, n m m, 1, 1) by name."""

    def __init__(
        self,
        channels: int,
        hidden: int,
        outputs: Mapping[str, int],
        windows: SlidingWindows,
        stride: int,
        origin: float,
    ) -> None:
        """Features are at `origin` + `stride` i, in the crop's pixels; `outputs` counts the kinds of each task."""
        super().__init__()
        self.register_buffer("weights", window_weights(windows, stride, origin), persistent=False)
        self.hidden = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU())
        self.outputs = nn.ModuleDict({name: nn.Conv2d(hidden, n, 1) for name, n in outputs.items()})

    weights: Tensor

    def forward(self, features: Tensor) -> Outputs:
        """Logits by name."""
        weights = self.weights.to(features.dtype)
        means = weights @ features @ weights.transpose(0, 1)
        hidden = self.hidden(means)
        return {name: layer(hidden).flatten(1)[..., None, None] for name, layer in self.outputs.items()}


def window_weights(windows: SlidingWindows, stride: int, origin: float) -> Tensor:
    """(m, cells) weight of each cell of a row in the mean over each window: the overlap of its block."""
    cells = int((windows.crop_px - 1 - int(origin)) // stride) + 1
    low = origin + stride * torch.arange(cells) - stride / 2
    starts = torch.from_numpy(windows.starts_px)[:, None]
    overlap = torch.minimum(low + stride, starts + windows.size_px) - torch.maximum(low, starts)
    inside = overlap.clamp(min=0)
    return (inside / inside.sum(dim=1, keepdim=True)).float()


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
