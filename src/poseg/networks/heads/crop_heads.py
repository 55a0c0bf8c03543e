"""What is said of a crop that shows one person: numbers such as where joints are, and which windows hold them.

Letters: B crops, C channels, h x w cells, m x m windows, n numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from poseg.fields.windows import SlidingWindows
from poseg.networks.necks.fpn import Separable

Said = dict[str, Tensor]


class Shared(torch.autograd.Function):
    """The identity, which hands a part of the gradient back: tasks that share features meet at their mean."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, part: float) -> Tensor:
        """The features as they are."""
        ctx.part = part
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """The part of the gradient."""
        return gradients[0] * ctx.part, None


class FullyConnected(nn.Module):
    """Two hidden layers and an output for each kind of numbers, as published; `bounded` outputs end in tanh."""

    def __init__(
        self, inputs: int, hidden: tuple[int, int], outputs: Mapping[str, int], dropout: float, *, bounded: bool
    ) -> None:
        super().__init__()
        self.hidden1 = nn.Linear(inputs, hidden[0])
        self.dropout = nn.Dropout(dropout)
        self.hidden2 = nn.Linear(hidden[0], hidden[1])
        ends = {name: nn.Linear(hidden[1], n) for name, n in outputs.items()}
        self.outputs = nn.ModuleDict(ends)
        self.bounded = bounded
        for layer in (self.hidden1, self.hidden2):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        for layer in ends.values():
            # As published; with larger ones, what was learnt would drown in what was drawn (`poseg.analysis.weights`).
            nn.init.normal_(layer.weight, std=0.001)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> Said:
        """(B, C, h, w) -> (B, n, 1, 1) by name."""
        hidden = self.dropout(torch.relu(self.hidden1(features.flatten(1))))
        last = torch.relu(self.hidden2(hidden))
        said = {name: layer(last) for name, layer in self.outputs.items()}
        return {name: (torch.tanh(n) if self.bounded else n)[..., None, None] for name, n in said.items()}


class ExpectedPlaces(nn.Module):
    """Joints regressed as mean places of maps: (B, C, h, w) -> "joints" (B, 2 K, 1, 1), -1 .. 1 over the crop.

    A map's softmax weighs the cells, so that places are as fine as pixels and everything is learned from places alone
    (Sun et al., ECCV 2018).
    """

    def __init__(self, channels: int, joints: int, places: tuple[float, float]) -> None:
        """Places are where the first cell stands and how far apart cells are, in units of half the crop from -1."""
        super().__init__()
        self.maps = nn.Conv2d(channels, joints, 1)
        nn.init.normal_(self.maps.weight, std=0.01)
        self.first, self.apart = places

    def forward(self, features: Tensor) -> Said:
        """The mean places, x before y."""
        maps = self.maps(features)
        b, k, h, w = maps.shape
        weights = torch.softmax(maps.float().flatten(2), dim=2).reshape(b, k, h, w)
        x = self.first + self.apart * torch.arange(w, device=maps.device, dtype=weights.dtype)
        y = self.first + self.apart * torch.arange(h, device=maps.device, dtype=weights.dtype)
        mean = torch.stack([(weights.sum(dim=2) * x).sum(dim=2), (weights.sum(dim=3) * y).sum(dim=2)], dim=2)
        return {"joints": mean.reshape(b, 2 * k, 1, 1)}


class WindowMaps(nn.Module):
    """What sliding windows hold, from the means of features in them: (B, C, h, w) -> (B, n m m, 1, 1) by name."""

    def __init__(
        self,
        channels: int,
        hidden: int,
        outputs: Mapping[str, int],
        windows: SlidingWindows,
        stride: int,
        origin: float,
    ) -> None:
        """Features stand at `origin` + `stride` i, in the crop's pixels; outputs (n) are the kinds of things held."""
        super().__init__()
        self.register_buffer("shares", window_shares(windows, stride, origin), persistent=False)
        self.hidden = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU())
        self.outputs = nn.ModuleDict({name: nn.Conv2d(hidden, n, 1) for name, n in outputs.items()})

    shares: Tensor

    def forward(self, features: Tensor) -> Said:
        """Logits by name."""
        shares = self.shares.to(features.dtype)
        means = shares @ features @ shares.transpose(0, 1)
        hidden = self.hidden(means)
        return {name: layer(hidden).flatten(1)[..., None, None] for name, layer in self.outputs.items()}


def window_shares(windows: SlidingWindows, stride: int, origin: float) -> Tensor:
    """(m, cells) how much each cell of a row counts in the mean over each window: as its block lies in it."""
    cells = int((windows.crop_px - 1 - int(origin)) // stride) + 1
    low = origin + stride * torch.arange(cells) - stride / 2
    starts = torch.from_numpy(windows.starts_px)[:, None]
    overlap = torch.minimum(low + stride, starts + windows.size_px) - torch.maximum(low, starts)
    inside = overlap.clamp(min=0)
    return (inside / inside.sum(dim=1, keepdim=True)).float()


class Tower(nn.Module):
    """Separable residual blocks, so that a task has features of its own, and its end: (B, C, h, w) -> the end's."""

    def __init__(self, channels: int, blocks: int, name: str, end: nn.Module) -> None:
        super().__init__()
        self.tower = nn.Sequential(*(Separable(channels) for _ in range(blocks)))
        self.name = name
        self.add_module(name, end)

    def forward(self, features: Tensor) -> Said:
        """What the end says, by name."""
        said: Said = self.get_submodule(self.name)(self.tower(features))
        return said
