"""The weights that a run starts from: a backbone's, published ones, a whole network's, or those of a model file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from poseg.errors import WeightsError
from poseg.networks.backbones.pretrained import pretrained_weights
from poseg.networks.heads.field_heads import FieldHead
from poseg.runtime.models import is_model, model_bytes
from poseg.runtime.onnx_weights import read_onnx_weights
from poseg.training.checkpoint import read_weights

BACKBONE = "backbone."
# Their channels follow from the skeleton, or they are used in training alone.
MAY_BE_NEW = ("head.", "heads.", "linear_head.", "auxiliary.", "auxiliary_head.")


@dataclass(frozen=True, slots=True)
class Init:
    """Where the first weights come from; random where all are empty.

    backbone    ImageNet weights: a file (.pth, .safetensors), or "package:NAME" for the one an installed package ships;
                or the backbone of a network trained here, given as for `checkpoint`
    google      Google's BodyPix (.npz) or MoveNet MultiPose (.tflite), for a network that contains its backbone
                (`recipes.first_weights`)
    tinypose    PP-TinyPose (.onnx), for the multi-task network with a Lite-HRNet (likewise)
    checkpoint  a whole network: the name of a bundled model ("small"), an ONNX file with a card, the folder of a run
                (its averaged weights), or a .safetensors file. Heads that are missing there or have another shape, as
                for another skeleton or task, stay random
    """

    backbone: str = ""
    google: str = ""
    tinypose: str = ""
    checkpoint: str = ""


def load_init(network: nn.Module, init: Init) -> None:
    """Load the weights that `init` names into a fresh network. Raises WeightsError where they do not fit."""
    if init.backbone:
        backbone: Any = network.get_submodule("backbone")
        backbone.load_pretrained(_backbone_weights(init.backbone, backbone))
    if init.checkpoint:
        _load_checkpoint(network, network_weights(init.checkpoint, network), init.checkpoint)


def network_weights(source: str, network: nn.Module) -> dict[str, Tensor]:
    """A network's tensors from any source of `Init.checkpoint`, under the names of `network`. Raises WeightsError.

    A model file has its batch norms folded into the convolutions before them: here these are the identity, but for
    their biases. Training keeps such norms as they are (`training.optim.freeze`).
    """
    if not is_model(source):
        return read_weights(Path(source))
    read = read_onnx_weights(model_bytes(source))
    state = {name: torch.from_numpy(array.copy()) for name, array in read.tensors.items()}
    state |= {name: tensor for name, tensor in network.state_dict().items() if name.endswith("num_batches_tracked")}
    for name, module in network.named_modules():
        if isinstance(module, FieldHead) and f"{name}.conv" in read.scaled:
            scale = module.scale.flatten()
            state[f"{name}.conv.bias"] /= scale
            state[f"{name}.conv.weight"] /= scale[:, None, None, None]
        for (before, conv), (after, norm) in pairwise(module.named_children()):
            conv_name, norm_name = (f"{name}.{child}" if name else child for child in (before, after))
            if isinstance(conv, nn.Conv2d) and isinstance(norm, _BatchNorm) and f"{conv_name}.weight" in state:
                bias = None if conv.bias is not None else state.pop(f"{conv_name}.bias", None)
                state |= {f"{norm_name}.{part}": tensor for part, tensor in _identity_norm(norm, bias).items()}
    return state


def _identity_norm(norm: _BatchNorm, bias: Tensor | None) -> dict[str, Tensor]:
    """The state of a batch norm that adds `bias` in evaluation mode and does nothing else."""
    zeros = torch.zeros(norm.num_features)
    return {
        "weight": zeros + 1, "bias": zeros if bias is None else bias, "running_mean": zeros,
        "running_var": zeros + 1 - norm.eps,
    }  # fmt: skip


def _backbone_weights(source: str, backbone: nn.Module) -> Mapping[str, Tensor]:
    """The backbone's part of a network trained here, or what was published for it alone."""
    path = Path(source)
    if not is_model(source) and not path.is_dir() and path.suffix != ".safetensors":
        return pretrained_weights(source)
    state = network_weights(source, nn.ModuleDict({BACKBONE.rstrip("."): backbone}))
    part = {name.removeprefix(BACKBONE): tensor for name, tensor in state.items() if name.startswith(BACKBONE)}
    return part or state


def _load_checkpoint(network: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Load everything but heads that are missing or of another shape, as those for another skeleton or task are."""
    own = network.state_dict()
    for name, tensor in own.items():
        loaded = state.get(name)
        if loaded is not None and loaded.shape == tensor.shape:
            continue
        if name.startswith(MAY_BE_NEW):
            state.pop(name, None)
            continue
        got = "is missing" if loaded is None else f"has shape {tuple(loaded.shape)}, expected {tuple(tensor.shape)}"
        raise WeightsError(f"The weights in {source} are of another network: {name} {got}; give those of the same one.")
    network.load_state_dict({name: tensor for name, tensor in state.items() if name in own}, strict=False)
