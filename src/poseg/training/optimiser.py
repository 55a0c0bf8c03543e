"""What learns and how: frozen parts, groups of parameters, the optimiser."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from poseg.training.schedule import Schedule


def freeze(network: nn.Module, schedule: Schedule) -> None:
    """Training mode, but for what the schedule keeps: the backbone's batch statistics, the weights of its stem."""
    network.train()
    for module in network.modules():
        if isinstance(module, _BatchNorm) and schedule.norm_momentum is not None:
            module.momentum = schedule.norm_momentum
    backbone = network.get_submodule("backbone")
    if schedule.frozen_norms:
        for module in backbone.modules():
            if isinstance(module, _BatchNorm):
                module.eval()
    if schedule.frozen_stem:
        stem: Any = backbone.stem_to_stride4
        for module in stem():
            module.requires_grad_(False)
    if schedule.frozen_start:
        for part in _pretrained(network):
            part.requires_grad_(False)


def _pretrained(network: nn.Module) -> list[nn.Module]:
    """The parts that published weights fill: the backbone, and the linear heads on it, where there are any."""
    parts = dict(network.named_children())
    return [parts[name] for name in ("backbone", "linear_head") if name in parts]


def build_optimiser(network: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    """Two groups, what published weights fill and the rest; "share" is a group's part of the learning rate."""
    backbone = [p for part in _pretrained(network) for p in part.parameters() if p.requires_grad]
    pretrained = set(map(id, backbone))
    fresh = [p for p in network.parameters() if p.requires_grad and id(p) not in pretrained]
    groups = [{"params": backbone, "share": schedule.backbone_rate}, {"params": fresh, "share": 1.0}]
    groups = [group for group in groups if group["params"]]
    if schedule.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=schedule.rate, momentum=schedule.momentum, weight_decay=schedule.weight_decay)
    return torch.optim.AdamW(groups, lr=schedule.rate, weight_decay=schedule.weight_decay)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of each group."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["share"]
