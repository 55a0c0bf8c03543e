"""What a network keeps of one for another skeleton: all layers, and the head channels of joints with the same names.

A head's last layer has a channel for each joint, edge or limb. Where the skeletons differ, its weights are those of the
other network times a matrix, by name: a joint's channels are copied, an edge's where both networks have it. Long
offsets point from anywhere in a person to a joint, so they also give the long offsets of a joint that is the mean of
others (a neck between shoulders), and the mid offsets of an edge that the other tree does not have. The rest is new.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from poseg.codecs import Codec
from poseg.fields import FieldSpec
from poseg.fields.paf import Limb
from poseg.networks.backbones.lite_hrnet import IterativeHead
from poseg.networks.heads.field_heads import FieldHead, LightPafStages
from poseg.skeletons import Skeleton
from poseg.skeletons.remap import remap_weights

Matrix = NDArray[np.float32]
XY = np.eye(2, dtype=np.float32)


@torch.no_grad()
def transfer(network: nn.Module, source: nn.Module, codec: Codec, source_codec: Codec) -> None:
    """Fill a network with the weights of another of its kind, for another skeleton.

    Layers of the same name and shape are copied but for the heads, whose channels are kept by the names of joints;
    layers that `source` does not have stay as they are.
    """
    heads = dict(_head_layers(network, codec, source_codec))
    layers = {f"{name}.{part}" for name in heads for part in ("weight", "bias")}
    theirs = source.state_dict()
    for name, tensor in network.state_dict().items():
        if name not in layers and name in theirs and theirs[name].shape == tensor.shape:
            tensor.copy_(theirs[name])
    for name, (outputs, inputs) in heads.items():
        own, other = network.get_submodule(name), source.get_submodule(name)
        assert isinstance(own, nn.Conv2d)
        assert isinstance(other, nn.Conv2d)
        _keep(own, other, torch.from_numpy(outputs), torch.from_numpy(inputs))


def kept_joints(skeleton: Skeleton, source: Skeleton) -> tuple[str, ...]:
    """The joints of a skeleton that another one has too, by name."""
    return tuple(joint for joint in skeleton.joints if joint in source.joints)


def _keep(own: nn.Conv2d, other: nn.Conv2d, outputs: Tensor, inputs: Tensor) -> None:
    """Rows of a layer that have a source; an input channel that is new starts without effect on them."""
    kept = outputs.abs().sum(dim=1) > 0
    weight = torch.einsum("oi,ijhw,cj->ochw", outputs, other.weight, inputs)
    own.weight[kept] = weight[kept]
    if own.bias is not None and other.bias is not None:
        own.bias[kept] = (outputs @ other.bias)[kept]


def _head_layers(network: nn.Module, codec: Codec, source: Codec) -> Iterator[tuple[str, tuple[Matrix, Matrix]]]:
    """Layers whose channels follow from the skeleton: name, and matrices of their output and input channels."""
    for name, module in network.named_modules():
        if isinstance(module, FieldHead):
            outputs = channel_matrix([spec.name for spec in module.specs], codec, source)
            yield f"{name}.conv", (outputs, np.eye(module.conv.in_channels, dtype=np.float32))
        elif isinstance(module, IterativeHead):
            joints = _same_names(codec.skeleton.joints, source.skeleton.joints)
            yield f"{name}.heatmap", (joints, np.eye(module.heatmap.in_channels, dtype=np.float32))
        elif isinstance(module, LightPafStages):
            yield from _stage_layers(name, module, codec, source)


def _stage_layers(
    name: str, stages: LightPafStages, codec: Codec, source: Codec
) -> Iterator[tuple[str, tuple[Matrix, Matrix]]]:
    """The last layers of each stage, and the first ones of later stages, which take the fields of the one before."""
    fields: list[str] = []
    heads: Any
    for stage, heads in enumerate(stages.outputs):
        for end, group in enumerate(heads.groups):
            names = [field for field, _ in group]
            inputs = np.eye(heads.ends[end][2].in_channels, dtype=np.float32)
            yield f"{name}.outputs.{stage}.ends.{end}.2", (channel_matrix(names, codec, source), inputs)
            fields += names if stage == 0 else []
    before = channel_matrix(fields, codec, source)
    for stage in range(1, len(stages.stages)):
        entry: Any = stages.get_submodule(f"stages.{stage}.0")
        features = np.eye(entry.in_channels - len(before), dtype=np.float32)
        yield f"{name}.stages.{stage}.0", (np.eye(entry.out_channels, dtype=np.float32), _diagonal(features, before))


def channel_matrix(names: Sequence[str], codec: Codec, source: Codec) -> Matrix:
    """(C, C_source) weights of the source's flat channels in those of fields, in this order; rows of zeros are new."""
    blocks = [_field_matrix(_spec(codec, name), codec, source) for name in names]
    matrix = _diagonal(*blocks)
    if "mid_offsets" in names and "long_offsets" in names:
        rows, columns = (np.cumsum([0, *(block.shape[axis] for block in blocks)]) for axis in (0, 1))
        mid, long = names.index("mid_offsets"), names.index("long_offsets")
        to_joint = np.zeros((len(codec.skeleton.edges), len(codec.skeleton)), np.float32)
        to_joint[np.arange(len(to_joint)), codec.skeleton.edges[:, 1]] = 1
        part = matrix[rows[mid] : rows[mid + 1]]
        new = ~part.any(axis=1)
        part[new, columns[long] : columns[long + 1]] = (np.kron(to_joint, XY) @ blocks[long])[new]
    return matrix


def _field_matrix(spec: FieldSpec, codec: Codec, source: Codec) -> Matrix:
    """(C, C_source) of one field: the Kronecker product of those of its axes."""
    ours, theirs = codec.skeleton, source.skeleton
    matrix = np.ones((1, 1), np.float32)
    for axis in spec.axes:
        if axis == "xy":
            part = XY
        elif axis == "joint" and spec.name == "long_offsets":
            part = remap_weights(theirs, ours)
        elif axis == "joint":
            part = _same_names(ours.joints, theirs.joints)
        elif axis == "edge":
            part = _same_names(_edge_names(ours), _edge_names(theirs))
        else:
            part = _same_limbs(codec.limbs, source.limbs)  # type: ignore[attr-defined]
        matrix = np.kron(matrix, part).astype(np.float32)
    return matrix


def _same_names(ours: Sequence[object], theirs: Sequence[object]) -> Matrix:
    return np.array([[a == b for b in theirs] for a in ours], np.float32).reshape(len(ours), len(theirs))


def _same_limbs(ours: Sequence[Limb], theirs: Sequence[Limb]) -> Matrix:
    """A limb that runs the other way has the opposite field."""
    return _same_names(ours, theirs) - _same_names([limb[::-1] for limb in ours], theirs)


def _edge_names(skeleton: Skeleton) -> list[tuple[str, str]]:
    return [(skeleton.joints[a], skeleton.joints[b]) for a, b in skeleton.edges]


def _diagonal(*blocks: Matrix) -> Matrix:
    """Blocks along the diagonal of a matrix of zeros."""
    matrix = np.zeros(tuple(np.sum([block.shape for block in blocks], axis=0)), np.float32)
    row = column = 0
    for block in blocks:
        matrix[row : row + block.shape[0], column : column + block.shape[1]] = block
        row, column = row + block.shape[0], column + block.shape[1]
    return matrix


def _spec(codec: Codec, name: str) -> FieldSpec:
    return next(spec for spec in codec.specs if spec.name == name)
