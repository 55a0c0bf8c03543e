"""What all backbones have in common: features of several strides, a stem that may stay frozen, pretrained weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from poseg.errors import WeightsError

Layers = Mapping[str, tuple[np.ndarray, np.ndarray]]


class Backbone(nn.Module):
    """Called with normalised images (B, 3, 32 n + 1, 32 m + 1), features of several strides, finest first.

    name        for messages
    channels    of the features
    strides     of the features; a dilated backbone has its output stride several times
    stem_names  of the modules up to stride 4
    """

    name: str
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    stem_names: ClassVar[tuple[str, ...]] = ()

    def stem_modules(self) -> tuple[nn.Module, ...]:
        """The modules up to stride 4, which may stay frozen: their features serve any task."""
        return tuple(self.get_submodule(name) for name in self.stem_names)

    def load_pretrained(self, state: Mapping[str, Tensor]) -> None:
        """Load a backbone's state dict or the feature part of a classifier's. Raises WeightsError (`load_features`)."""
        load_features(self, state, self.name)


def load_features(network: nn.Module, state: Mapping[str, Tensor], variant: str) -> None:
    """Load the feature part of a classifier's state dict; the classifier itself is left out.

    Raises WeightsError where a tensor is missing, has another shape, or is one too many of a module of this network, as
    in a deeper variant; the network is unchanged then.
    """
    own, again = network.state_dict(), f"give the state dict of {variant}."
    counters = {name for name in own if name.endswith("num_batches_tracked")}  # older files do not count batches
    if missing := sorted(set(own) - set(state) - counters):
        raise WeightsError(f"These weights lack {len(missing)} tensors of {variant}, first {missing[0]}; {again}")
    parts = {name.partition(".")[0] for name in own}
    if extra := sorted(name for name in state if name.partition(".")[0] in parts and name not in own):
        raise WeightsError(f"These weights have {len(extra)} tensors more than {variant}, first {extra[0]}; {again}")
    for name in own.keys() & state.keys():
        if own[name].shape != state[name].shape:
            raise WeightsError(
                f"Weight {name} has shape {tuple(state[name].shape)}, expected {tuple(own[name].shape)}; {again}"
            )
    network.load_state_dict({name: state[name] for name in own.keys() & state.keys()}, strict=False)


def folded_state(layers: Layers) -> dict[str, Tensor]:
    """The state dict of convolutions with folded norms, by name: weight (O, I / groups, h, w) and bias (O,)."""
    return {
        f"{name}.{part}": torch.from_numpy(np.ascontiguousarray(values))
        for name, arrays in layers.items()
        for part, values in zip(("weight", "bias"), arrays, strict=True)
    }
