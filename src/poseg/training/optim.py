"""How long and how fast a network learns: the optimiser, its learning rate, and what stays frozen.

Steps alone decide, so a run is the same on any machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from poseg.errors import PosegError

FOLDED_EPS = 1e-6


@dataclass(frozen=True, slots=True)
class OptimConfig:
    """The optimiser and its learning rate.

    steps               of the optimiser
    batch_size          images in a step, of all processes together: with more processes each takes fewer
    accumulation_steps  micro-batches in which every process takes its part of a step; more of them need less memory
    optimiser           AdamW or SGD with momentum
    lr                  highest learning rate
    backbone_lr_scale   learning rate of the pre-trained backbone, relative to `lr`
    weight_decay        of all weights
    momentum            of SGD
    warmup_steps        over which the learning rate rises linearly
    lr_schedule         how it falls over the run: half a cosine, a line, to a tenth at each milestone, or not at all
    milestones          of "multistep", as fractions of the run
    grad_clip_norm      largest norm of the gradient; 0 for no clipping
    ema_decay           of the moving average of the weights
    precision           of the network's arithmetic; weights and losses are always FP32
    freeze_bn           the backbone keeps its batch statistics
    freeze_stem         the backbone keeps its weights up to stride 4
    freeze_pretrained   the backbone keeps all its weights, and so do pre-trained heads on it: only new layers learn
    bn_momentum         of batch statistics; None for the network's own
    checkpoint_every    steps between checkpoints
    """

    steps: int = 10_000
    batch_size: int = 12
    accumulation_steps: int = 1
    optimiser: Literal["adamw", "sgd"] = "adamw"
    lr: float = 1.5e-3
    backbone_lr_scale: float = 0.3
    weight_decay: float = 1e-4
    momentum: float = 0.9
    warmup_steps: int = 200
    lr_schedule: Literal["cosine", "linear", "multistep", "constant"] = "cosine"
    milestones: tuple[float, ...] = (0.67, 0.89)
    grad_clip_norm: float = 5.0
    ema_decay: float = 0.998
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    freeze_bn: bool = True
    freeze_stem: bool = True
    freeze_pretrained: bool = False
    bn_momentum: float | None = None
    checkpoint_every: int = 250

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulation_steps", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise PosegError(f"optim.{name} must be 1 or more, got {getattr(self, name)}.")
        if not self.lr > 0:
            raise PosegError(f"optim.lr must be above 0, got {self.lr}.")
        if not 0 <= self.ema_decay < 1:
            raise PosegError(f"optim.ema_decay must be in [0, 1), got {self.ema_decay}.")

    def lr_at(self, step: int) -> float:
        """Learning rate of a step, the first being 0."""
        return self.lr * min(1.0, (step + 1) / max(self.warmup_steps, 1)) * self._decay(step / self.steps)

    def _decay(self, progress: float) -> float:
        """Factor of the learning rate when this fraction of the run, in [0, 1], is over."""
        if self.lr_schedule == "cosine":
            return (1 + math.cos(math.pi * progress)) / 2
        if self.lr_schedule == "linear":
            return 1 - progress
        if self.lr_schedule == "multistep":
            return float(0.1 ** sum(progress >= milestone for milestone in self.milestones))
        return 1.0

    def micro_batch_size(self, processes: int) -> int:
        """Images that a process takes at once. Raises PosegError where a step cannot be divided evenly."""
        parts = processes * self.accumulation_steps
        if self.batch_size % parts:
            raise PosegError(
                f"{self.batch_size} images a step cannot be divided among {processes} processes in "
                f"{self.accumulation_steps} micro-batches each; set optim.batch_size to a multiple of {parts}."
            )
        return self.batch_size // parts


def freeze(network: nn.Module, optim: OptimConfig) -> None:
    """Training mode, but for what the config freezes: batch statistics, and weights of the stem or the backbone.

    Batch norms that were folded into the convolutions before them, as in model files, have no statistics to learn from
    (`training.init`): they stay in evaluation mode, whatever the config says, and their weights and biases learn.
    """
    network.train()
    for module in network.modules():
        if isinstance(module, _BatchNorm) and optim.bn_momentum is not None:
            module.momentum = optim.bn_momentum
        if isinstance(module, _BatchNorm) and _is_folded(module):
            module.eval()
    backbone = network.get_submodule("backbone")
    if optim.freeze_bn:
        for module in backbone.modules():
            if isinstance(module, _BatchNorm):
                module.eval()
    if optim.freeze_stem:
        stem: Any = backbone.stem_modules
        for module in stem():
            module.requires_grad_(False)
    if optim.freeze_pretrained:
        for part in _pretrained(network):
            part.requires_grad_(False)


def _is_folded(norm: _BatchNorm) -> bool:
    """Whether a batch norm divides by exactly one; a fresh one does not."""
    return norm.running_var is not None and bool((norm.running_var + norm.eps - 1).abs().max() < FOLDED_EPS)


def _pretrained(network: nn.Module) -> list[nn.Module]:
    """What published weights fill: the backbone, and the heads on it that a network names or that are linear."""
    parts, names = dict(network.named_children()), getattr(network, "pretrained", ("backbone", "linear_head"))
    return [parts[name] for name in names if name in parts]


def build_optimiser(network: nn.Module, optim: OptimConfig) -> torch.optim.Optimizer:
    """Two groups of parameters, pre-trained and new; "lr_scale" is a group's factor of the learning rate."""
    backbone = [p for part in _pretrained(network) for p in part.parameters() if p.requires_grad]
    pretrained = set(map(id, backbone))
    fresh = [p for p in network.parameters() if p.requires_grad and id(p) not in pretrained]
    groups = [{"params": backbone, "lr_scale": optim.backbone_lr_scale}, {"params": fresh, "lr_scale": 1.0}]
    groups = [group for group in groups if group["params"]]
    if optim.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=optim.lr, momentum=optim.momentum, weight_decay=optim.weight_decay)
    return torch.optim.AdamW(groups, lr=optim.lr, weight_decay=optim.weight_decay)


def set_lr(optimiser: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of each group."""
    for group in optimiser.param_groups:
        group["lr"] = lr * group["lr_scale"]
