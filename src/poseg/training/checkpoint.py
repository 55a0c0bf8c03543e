"""A run's folder on disk: weights, their average and the optimiser's state as safetensors, and `run.json`.

The files of a checkpoint have names of their own; `run.json`, written last, names them, and then the previous ones are
deleted. A run killed at any moment leaves one complete checkpoint behind.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from poseg.errors import WeightsError
from poseg.io.files import write_bytes, write_text

PARTS = ("weights", "average", "optimiser")


class ModelEma:
    """Exponential moving average of a network's floating-point state, the practical stand-in for Polyak averaging.

    The decay rises from 0.1 to the one given, so that the average forgets random weights soon (spec section 8).
    """

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
            average = self.state[name]
            if average.dtype.is_floating_point:
                average.lerp_(tensor, 1 - decay)
            else:
                average.copy_(tensor)

    def load(self, state: Mapping[str, Tensor], steps: int) -> None:
        """Resume from a checkpoint."""
        self.state = {name: tensor.to(self.state[name].device, copy=True) for name, tensor in state.items()}
        self.steps = steps


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The last complete checkpoint of a run.

    step   steps that were made
    run    what `run.json` holds
    parts  file of each of `PARTS`
    """

    step: int
    run: Mapping[str, Any]
    parts: Mapping[str, Path]

    def tensors(self, part: str) -> dict[str, Tensor]:
        """What one of the files holds. Raises WeightsError."""
        return read_tensors(self.parts[part])


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU. Raises WeightsError."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as fault:
        raise WeightsError(f"Cannot read the weights in {path} ({fault}); give a whole .safetensors file.") from None


def read_weights(source: Path) -> dict[str, Tensor]:
    """A network's tensors from a run's folder (its averaged weights) or a file. Raises WeightsError."""
    if not source.is_dir():
        return read_tensors(source)
    checkpoint = last_checkpoint(source)
    if checkpoint is None:
        raise WeightsError(f"There is no checkpoint in {source}; give the folder of a run or a .safetensors file.")
    return checkpoint.tensors("average")


def last_checkpoint(folder: Path) -> Checkpoint | None:
    """The checkpoint to resume from; None in a new folder. Raises WeightsError where `run.json` is damaged."""
    path = folder / "run.json"
    if not path.exists():
        return None
    try:
        run = json.loads(path.read_text())
        step, averaged = int(run["step"]), int(run["averaged"])
        if min(step, averaged) < 0:
            raise ValueError("steps below 0")
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise WeightsError(f"{path} does not hold the step of a checkpoint; start again in a new folder.") from None
    return Checkpoint(step, run, {part: folder / f"{part}-{step}.safetensors" for part in PARTS})


def save_checkpoint(
    folder: Path, step: int, network: nn.Module, ema: ModelEma, optimiser: torch.optim.Optimizer,
    extra: Mapping[str, Any],
) -> None:  # fmt: skip
    """Write a checkpoint; `extra` is further plain state for `run.json`. Raises OutputError."""
    moments = {
        f"{index}.{name}": value
        for index, state in optimiser.state_dict()["state"].items()
        for name, value in state.items()
        if isinstance(value, Tensor)
    }
    for part, tensors in zip(PARTS, (network.state_dict(), ema.state, moments), strict=True):
        plain = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
        write_bytes(folder / f"{part}-{step}.safetensors", save(plain))
    write_text(folder / "run.json", json.dumps({"step": step, "averaged": ema.steps, **extra}))
    for part in PARTS:
        for old in folder.glob(f"{part}-*.safetensors"):
            if old.name != f"{part}-{step}.safetensors":
                old.unlink()


def load_checkpoint(
    checkpoint: Checkpoint, network: nn.Module, ema: ModelEma, optimiser: torch.optim.Optimizer
) -> None:
    """Set network, average and optimiser to a checkpoint. Raises WeightsError where they do not fit."""
    average = checkpoint.tensors("average")
    try:
        network.load_state_dict(checkpoint.tensors("weights"))
        _check_shapes(average, ema.state)
        state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in checkpoint.tensors("optimiser").items():
            index, _, name = key.partition(".")
            state.setdefault(int(index), {})[name] = tensor
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    except (RuntimeError, ValueError):
        raise WeightsError(
            f"The weights in {checkpoint.parts['weights']} and beside it are not those of this network; "
            "train it in a folder of its own, or give the recipe that the run began with."
        ) from None
    ema.load(average, int(checkpoint.run["averaged"]))


def _check_shapes(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Raise ValueError where tensors have other names or shapes."""
    if {name: tensor.shape for name, tensor in state.items()} != {name: t.shape for name, t in expected.items()}:
        raise ValueError("other names or shapes")
