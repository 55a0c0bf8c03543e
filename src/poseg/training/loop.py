"""The training loop: one page, resumable, ends when its steps or its minutes are over.

The learning rate warms up, then falls as a half cosine over the run's progress; progress is whichever of steps and
minutes is further, so a run that must stop in time still ends with a small rate.
"""

from __future__ import annotations

import json
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from poseg.errors import WeightsError
from poseg.io.atomic import write_text
from poseg.systems.personlab import PersonLabLoss, PersonLabNetwork
from poseg.training.ema import Average
from poseg.training.loader import Mixture, batches


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to learn.

    backbone_rate   learning rate of the pre-trained backbone, relative to the rest
    minutes         of training, all processes of the run together; the run ends by itself
    """

    batch_size: int = 12
    steps: int = 10_000
    minutes: float = math.inf
    rate: float = 1.5e-3
    backbone_rate: float = 0.3
    weight_decay: float = 1e-4
    warm_up_steps: int = 200
    clip_norm: float = 5.0
    average_decay: float = 0.998
    save_every: int = 250


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run reports after each step."""

    step: int
    images_per_s: float
    rate: float
    terms: Mapping[str, float]


def train(
    network: PersonLabNetwork,
    loss: PersonLabLoss,
    mixture: Mixture,
    schedule: Schedule,
    folder: Path,
    *,
    workers: int,
    report: Callable[[Progress], None],
) -> Average:
    """Train, from `folder`'s checkpoint where there is one; returns the averaged weights.

    Raises WeightsError where the loss stops being finite; the checkpoint before it is kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    freeze(network)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(_groups(network, schedule), weight_decay=schedule.weight_decay)
    average = Average(network, schedule.average_decay)
    step, minutes = _resume(folder, network, optimiser, average)
    began, recent = time.monotonic(), deque[float](maxlen=50)
    for batch in batches(mixture, schedule.batch_size, workers=workers, first=step * schedule.batch_size):
        spent = minutes + (time.monotonic() - began) / 60
        progress = max(step / schedule.steps, spent / schedule.minutes)
        if progress >= 1:
            break
        rate = schedule.rate * min(1, (step + 1) / schedule.warm_up_steps) * (1 + math.cos(math.pi * progress)) / 2
        for group in optimiser.param_groups:
            group["lr"] = rate * group["share"]
        fields = network(batch["image"].to(memory_format=torch.channels_last))
        terms = loss(fields, batch["targets"], batch["weights"])
        if not torch.isfinite(terms["total"]):
            raise WeightsError(f"The loss is not finite at step {step}; lower the rate and resume from {folder}.")
        optimiser.zero_grad(set_to_none=True)
        terms["total"].backward()
        nn.utils.clip_grad_norm_(network.parameters(), schedule.clip_norm)
        optimiser.step()
        average.update(network)
        step += 1
        recent.append(time.monotonic())
        speed = schedule.batch_size * (len(recent) - 1) / max(recent[-1] - recent[0], 1e-9)
        report(Progress(step, speed, rate, {name: float(term.detach()) for name, term in terms.items()}))
        if step % schedule.save_every == 0:
            _save(folder, step, spent, network, optimiser, average)
    _save(folder, step, minutes + (time.monotonic() - began) / 60, network, optimiser, average)
    return average


def freeze(network: PersonLabNetwork) -> None:
    """Training mode, but the backbone keeps its ImageNet batch statistics, and its first strides their weights."""
    network.train()
    for module in network.backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    for module in network.backbone.stem_to_stride4():
        module.requires_grad_(False)


def _groups(network: PersonLabNetwork, schedule: Schedule) -> list[dict[str, object]]:
    backbone = [p for p in network.backbone.parameters() if p.requires_grad]
    fresh = [p for part in (network.neck, network.head) for p in part.parameters()]
    return [{"params": backbone, "share": schedule.backbone_rate}, {"params": fresh, "share": 1.0}]


def _save(
    folder: Path, step: int, minutes: float, network: nn.Module, optimiser: torch.optim.Optimizer, average: Average
) -> None:
    """Write a checkpoint under names of its own; `run.json` then names it, and the one before it goes.

    A run killed at any moment leaves one whole checkpoint behind.
    """
    moments = {
        f"{place}.{name}": value
        for place, state in optimiser.state_dict()["state"].items()
        for name, value in state.items()
    }
    parts = {"weights": network.state_dict(), "average": average.state, "adam": moments}
    for name, tensors in parts.items():
        half = folder / f"{name}.part"
        save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, half)
        half.replace(folder / f"{name}-{step}.safetensors")
    run = {"step": step, "averaged": average.steps, "minutes": minutes}
    write_text(folder / "run.json", json.dumps(run))
    for name in parts:
        for old in folder.glob(f"{name}-*.safetensors"):
            if old.name != f"{name}-{step}.safetensors":
                old.unlink()


def checkpoint(folder: Path) -> tuple[dict[str, Any], dict[str, Path]] | None:
    """What `run.json` says of the last checkpoint, and its files by part; None in a new folder."""
    if not (folder / "run.json").exists():
        return None
    run = json.loads((folder / "run.json").read_text())
    return run, {part: folder / f"{part}-{run['step']}.safetensors" for part in ("weights", "average", "adam")}


def _resume(folder: Path, network: nn.Module, optimiser: torch.optim.Optimizer, average: Average) -> tuple[int, float]:
    """Load the last checkpoint; returns the step to go on with and the minutes spent, 0 in a new folder."""
    found = checkpoint(folder)
    if found is None:
        return 0, 0.0
    run, parts = found
    network.load_state_dict(load_file(parts["weights"]))
    average.load(load_file(parts["average"]), run["averaged"])
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in load_file(parts["adam"]).items():
        place, name = key.split(".", 1)
        state.setdefault(int(place), {})[name] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    return int(run["step"]), float(run["minutes"])
