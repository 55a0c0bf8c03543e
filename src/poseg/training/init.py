"""The weights that a run starts from: a backbone's, published ones, or a whole network's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from poseg.errors import WeightsError
from poseg.networks.backbones.pretrained import pretrained_weights
from poseg.training.checkpoint import read_weights

BACKBONE = "backbone."
HEADS = ("head.", "heads.", "linear_head.")  # their channels follow from the skeleton


@dataclass(frozen=True, slots=True)
class Init:
    """Where the first weights come from; random where all are empty.

    backbone    ImageNet weights: a file (.pth, .safetensors), or "package:NAME" for the one an installed package ships;
                or the backbone of a network trained here: the folder of a run, or a .safetensors file
    google      Google's BodyPix (.npz) or MoveNet MultiPose (.tflite), for a network that contains its backbone
                (`recipes.first_weights`)
    tinypose    PP-TinyPose (.onnx), for the multi-task network with a Lite-HRNet (likewise)
    checkpoint  a whole network: the folder of a run (its averaged weights) or a .safetensors file. Heads that are
                missing there or have another shape, as for another skeleton or task, stay random
    """

    backbone: str = ""
    google: str = ""
    tinypose: str = ""
    checkpoint: str = ""


def load_init(network: nn.Module, init: Init) -> None:
    """Load the weights that `init` names into a fresh network. Raises WeightsError where they do not fit."""
    if init.backbone:
        backbone: Any = network.get_submodule("backbone")
        backbone.load_pretrained(_backbone_weights(init.backbone))
    if init.checkpoint:
        _load_checkpoint(network, read_weights(Path(init.checkpoint)), init.checkpoint)


def _backbone_weights(source: str) -> Mapping[str, Tensor]:
    """The backbone's part of a network trained here, or what was published for it alone."""
    path = Path(source)
    if not path.is_dir() and path.suffix != ".safetensors":
        return pretrained_weights(source)
    state = read_weights(path)
    part = {name.removeprefix(BACKBONE): tensor for name, tensor in state.items() if name.startswith(BACKBONE)}
    return part or state


def _load_checkpoint(network: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Load everything but heads that are missing or of another shape, as those for another skeleton or task are."""
    own = network.state_dict()
    for name, tensor in own.items():
        loaded = state.get(name)
        if loaded is not None and loaded.shape == tensor.shape:
            continue
        if name.startswith(HEADS):
            state.pop(name, None)
            continue
        got = "is missing" if loaded is None else f"has shape {tuple(loaded.shape)}, expected {tuple(tensor.shape)}"
        raise WeightsError(f"The weights in {source} are of another network: {name} {got}; give those of the same one.")
    network.load_state_dict({name: tensor for name, tensor in state.items() if name in own}, strict=False)
