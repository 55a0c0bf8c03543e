"""An exponential moving average of weights: the practical stand-in for Polyak averaging (spec section 8)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Average:
    """Moving average of a network's floating-point state; ramps up from plain copying."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.state = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take in the weights after one step."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, tensor in network.state_dict().items():
            kept = self.state[name]
            if kept.dtype.is_floating_point:
                kept.lerp_(tensor, 1 - decay)
            else:
                kept.copy_(tensor)

    def load(self, state: Mapping[str, Tensor], steps: int) -> None:
        """Go on from a checkpoint."""
        self.state = {name: tensor.to(self.state[name].device, copy=True) for name, tensor in state.items()}
        self.steps = steps
