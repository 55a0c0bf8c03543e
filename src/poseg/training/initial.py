"""The weights a run starts from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from poseg.errors import WeightsError
from poseg.networks.backbones.imagenet_weights import imagenet_weights
from poseg.training.checkpoint import last_checkpoint, read_tensors
from poseg.training.recipe import Start

BACKBONE = "backbone."
HEADS = ("head.", "heads.", "linear_head.")  # their channels follow from the skeleton


def load_start(network: nn.Module, start: Start) -> None:
    """Put the weights that `start` names into a fresh network. Raises WeightsError where they do not fit."""
    if start.backbone:
        backbone: Any = network.get_submodule("backbone")
        backbone.load_imagenet(_backbone_weights(start.backbone))
    if start.weights:
        _load_whole(network, whole_weights(Path(start.weights)), start.weights)


def _backbone_weights(source: str) -> Mapping[str, Tensor]:
    """The backbone's part of a network of ours, or what was published for it alone."""
    path = Path(source)
    if not path.is_dir() and path.suffix != ".safetensors":
        return imagenet_weights(source)
    whole = whole_weights(path)
    part = {name.removeprefix(BACKBONE): tensor for name, tensor in whole.items() if name.startswith(BACKBONE)}
    return part or whole


def whole_weights(source: Path) -> dict[str, Tensor]:
    """A network's tensors from a run's folder (its averaged weights) or a file. Raises WeightsError."""
    if not source.is_dir():
        return read_tensors(source)
    found = last_checkpoint(source)
    if found is None:
        raise WeightsError(f"There is no checkpoint in {source}; give the folder of a run or a .safetensors file.")
    return found.tensors("average")


def _load_whole(network: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Load everything but heads that are missing or of another shape, as those for another skeleton or task are."""
    own = network.state_dict()
    for name, tensor in own.items():
        given = state.get(name)
        if given is not None and given.shape == tensor.shape:
            continue
        if name.startswith(HEADS):
            state.pop(name, None)
            continue
        got = "is missing" if given is None else f"has shape {tuple(given.shape)}, wanted {tuple(tensor.shape)}"
        raise WeightsError(f"The weights in {source} are of another network: {name} {got}; give those of the same one.")
    network.load_state_dict({name: tensor for name, tensor in state.items() if name in own}, strict=False)
