"""A run's folder on disk: weights, their average and the optimiser's state as safetensors, and `run.json`.

The files of a checkpoint have names of their own; `run.json`, written last, names them, and then the ones before it
go. A run killed at any moment leaves one whole checkpoint behind.
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
from poseg.training.ema import Average

PARTS = ("weights", "average", "optimiser")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The last whole checkpoint of a run.

    step     steps that were made
    run      what `run.json` holds
    parts    file of each of `PARTS`
    """

    step: int
    run: Mapping[str, Any]
    parts: Mapping[str, Path]

    def tensors(self, part: str) -> dict[str, Tensor]:
        """What is in one of the files. Raises WeightsError."""
        return read_tensors(self.parts[part])


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU. Raises WeightsError."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as fault:
        raise WeightsError(f"Cannot read the weights in {path} ({fault}); give a whole .safetensors file.") from None


def last_checkpoint(folder: Path) -> Checkpoint | None:
    """The checkpoint to go on from; None in a new folder. Raises WeightsError where `run.json` is damaged."""
    path = folder / "run.json"
    if not path.exists():
        return None
    try:
        run = json.loads(path.read_text())
        step = int(run["step"])
    except (ValueError, KeyError, TypeError):
        raise WeightsError(f"{path} does not tell the step of a checkpoint; start again in a new folder.") from None
    return Checkpoint(step, run, {part: folder / f"{part}-{step}.safetensors" for part in PARTS})


def save_checkpoint(
    folder: Path, step: int, network: nn.Module, average: Average, optimiser: torch.optim.Optimizer,
    extra: Mapping[str, Any],
) -> None:  # fmt: skip
    """Write a checkpoint; `extra` is further plain state for `run.json`. Raises OutputError."""
    moments = {
        f"{place}.{name}": value
        for place, state in optimiser.state_dict()["state"].items()
        for name, value in state.items()
        if isinstance(value, Tensor)
    }
    for part, tensors in zip(PARTS, (network.state_dict(), average.state, moments), strict=True):
        plain = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
        write_bytes(folder / f"{part}-{step}.safetensors", save(plain))
    write_text(folder / "run.json", json.dumps({"step": step, "averaged": average.steps, **extra}))
    for part in PARTS:
        for old in folder.glob(f"{part}-*.safetensors"):
            if old.name != f"{part}-{step}.safetensors":
                old.unlink()


def load_checkpoint(found: Checkpoint, network: nn.Module, average: Average, optimiser: torch.optim.Optimizer) -> None:
    """Put network, average and optimiser where the checkpoint was. Raises WeightsError where they do not fit."""
    try:
        network.load_state_dict(found.tensors("weights"))
    except RuntimeError:
        raise WeightsError(
            f"The weights in {found.parts['weights']} are not those of this network; "
            "train it in a folder of its own, or give the recipe that the run began with."
        ) from None
    average.load(found.tensors("average"), int(found.run["averaged"]))
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in found.tensors("optimiser").items():
        place, name = key.split(".", 1)
        state.setdefault(int(place), {})[name] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
