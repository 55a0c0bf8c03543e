"""The lifter in one file: config, network, codec and loss. From 2D joints to 3D joints.

Fully connected layers with residuals (Martinez et al., ICCV 2017) on what `codecs.lifting` makes of people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from poseg.codecs.lifting import FIELD, LiftingCodec
from poseg.losses.masked import Tensors
from poseg.networks.backbones.build import Normalisation
from poseg.skeletons import BODY17_3D, Skeleton
from poseg.skeletons.bones import from_parent_relative


@dataclass(frozen=True, slots=True)
class LifterSystem:
    """A lifter.

    skeleton, bone_scale_mm, min_joints, min_keypoint_score   of the codec
    width       of the layers
    blocks      of two layers each, with a residual around them
    dropout     after each layer
    """

    skeleton: Skeleton = BODY17_3D
    bone_scale_mm: float = 1000.0
    min_joints: int = 6
    min_keypoint_score: float = 0.1
    width: int = 768
    blocks: int = 2
    dropout: float = 0.1
    backbone: str = "joints"

    size_divisor: ClassVar[int] = 1  # there is no image: the input has one cell
    size_offset: ClassVar[int] = 0

    @property
    def codec(self) -> LiftingCodec:
        """The codec that makes the input, encodes targets and decodes the output."""
        return LiftingCodec(self.skeleton, self.bone_scale_mm, self.min_joints, self.min_keypoint_score)

    @property
    def normalisation(self) -> Normalisation:
        """There is no image to normalise."""
        return (0.0,) * 3, (1.0,) * 3

    def network(self) -> nn.Module:
        """A fresh network with random weights."""
        return LifterNetwork(self)

    def loss(self) -> LifterLoss:
        """The loss that goes with the codec's targets."""
        return LifterLoss(self)


class LifterNetwork(nn.Module):
    """(B, 3 K, 1, 1) -> "bones" (B, 3 K, 1, 1)."""

    def __init__(self, config: LifterSystem) -> None:
        super().__init__()
        codec, width = config.codec, config.width
        self.backbone = nn.Sequential(
            _layer(codec.inputs, width, config.dropout), *(_Block(width, config.dropout) for _ in range(config.blocks))
        )
        self.out = nn.Linear(width, codec.specs[0].channels)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """The bones of each person."""
        return {FIELD: self.out(self.backbone(image.flatten(1)))[..., None, None]}


def _layer(inputs: int, width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(dropout))


class _Block(nn.Module):
    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(_layer(width, width, dropout), _layer(width, width, dropout))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.layers(x)
        return y


class LifterLoss(nn.Module):
    """Mean distance of joints relative to the root, as evaluated, and of bones, which keeps limbs in their lengths."""

    def __init__(self, config: LifterSystem) -> None:
        super().__init__()
        k = len(config.skeleton)
        chains = from_parent_relative(torch.eye(k).numpy(), config.skeleton)
        self.register_buffer("chains", torch.from_numpy(chains).float(), persistent=False)
        self.joints = k

    chains: Tensor

    def normalisers(self, weights: Tensors) -> Tensor:
        """(1,) the number of people; those of the micro-batches of a batch add up."""
        return weights[FIELD].new_tensor([float(len(weights[FIELD]))])

    def forward(
        self, fields: Tensors, targets: Tensors, weights: Tensors, normalisers: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Both in units of `bone_scale_mm`, as "joints", "bones" and their sum "total"; targets (B, K, 3, 1, 1)."""
        people = (self.normalisers(weights) if normalisers is None else normalisers)[0]
        predicted = fields[FIELD].float().reshape(-1, self.joints, 3)
        error = predicted - targets[FIELD].reshape(predicted.shape)
        weight = weights[FIELD].reshape(predicted.shape[:2])
        complete = (weight.min(dim=1, keepdim=True).values > 0).float()  # a joint's position needs all bones before it
        joint_error = torch.einsum("ij,bjd->bid", self.chains, error)
        terms = {
            "joints": (_length(joint_error) * complete).sum() / (people * self.joints),
            "bones": (_length(error) * weight).sum() / (people * self.joints),
        }
        return {**terms, "total": terms["joints"] + terms["bones"]}


def _length(vectors: Tensor) -> Tensor:
    """Lengths (B, K) of vectors (B, K, 3), with a gradient at 0 too."""
    return (vectors.square().sum(dim=2) + 1e-8).sqrt()
