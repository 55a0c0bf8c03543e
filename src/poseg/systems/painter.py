"""A painter in one file: config, network, codec and loss. It paints the masks of people that another model found.

Each person in a window: the picture, what the finder's fields say of person and of whose, and the limbs
(`codecs.mask_refiner`); a small U-Net says which pixels are the person's. It is Pose2Seg's idea (masks from poses, each
in a window of its own) with the evidence that a bottom-up network has anyway in place of a network over the whole
picture.

Letters: N people, S the window's side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from poseg.codecs.crop_masks import FIELD
from poseg.codecs.mask_refiner import INPUT_CHANNELS, MaskRefinerCodec
from poseg.losses.masked import masked_cross_entropy, masked_dice
from poseg.networks.backbones.build import Normalisation
from poseg.networks.unet import UNet
from poseg.skeletons import COCO17, Skeleton


@dataclass(frozen=True, slots=True)
class Painter:
    """A painter.

    skeleton     joints of the people that it is given
    crop_px    side S of the windows, a multiple of 2^levels
    padding       of the window around the person's longer side, as a part of S
    width        channels of the U-Net at the window's size
    levels       how often it halves
    deep         pairs of convolutions at its coarsest size
    dice_share   weight of the overlap's loss, beside the pixels' cross-entropy of weight 1
    """

    skeleton: Skeleton = COCO17
    crop_px: int = 64
    padding: float = 0.12
    width: int = 16
    levels: int = 3
    deep: int = 2
    dice_share: float = 0.5
    backbone: str = "unet"

    @property
    def codec(self) -> MaskRefinerCodec:
        """The codec that finds this system's windows, paints its targets and reads its masks."""
        return MaskRefinerCodec(self.skeleton, crop_px=self.crop_px, padding=self.padding)

    @property
    def normalisation(self) -> Normalisation:
        """Mean and standard deviation of the RGB values (0..255) that the network reads."""
        return (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)

    @property
    def input_rule(self) -> tuple[int, int]:
        """(a, b): sides of the network's input are a n + b pixels."""
        return (self.crop_px, 0)

    def network(self) -> PainterNetwork:
        """A fresh network with random weights."""
        return PainterNetwork(self)

    def loss(self) -> PainterLoss:
        """The loss that goes with the codec's targets."""
        return PainterLoss(self)


class PainterNetwork(nn.Module):
    """Windows (N, 6, S, S) -> "mask", logits (N, 1, S, S)."""

    def __init__(self, config: Painter) -> None:
        super().__init__()
        self.backbone = UNet(INPUT_CHANNELS, config.width, config.levels, config.deep)
        self.logit = nn.Conv2d(config.width, 1, 1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """The mask of each window, by name."""
        return {FIELD: self.logit(self.backbone(image))}


class PainterLoss(nn.Module):
    """Cross-entropy over the pixels of all windows, and the overlap of masks, window by window."""

    def __init__(self, config: Painter) -> None:
        super().__init__()
        self.dice_share = config.dice_share

    def normalisers(self, weights: Mapping[str, Tensor]) -> Tensor:
        """(2,) what the terms are divided by, pixels and windows; those of the slices of a batch add up."""
        weight = weights[FIELD]
        return torch.stack([weight.sum(), weight.new_tensor(float(len(weight)))])

    def forward(
        self,
        fields: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        weights: Mapping[str, Tensor],
        normalisers: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Both terms by name, and their weighted sum as "total"; targets and weights (N, 1, S, S) or (N, S, S)."""
        pixels, windows = self.normalisers(weights) if normalisers is None else normalisers
        logits = fields[FIELD].float()
        target, weight = (array[FIELD].reshape(logits.shape) for array in (targets, weights))
        terms = {
            "pixels": masked_cross_entropy(logits, target, weight, pixels),
            "overlap": masked_dice(logits, target, weight, windows),
        }
        return {**terms, "total": terms["pixels"] + self.dice_share * terms["overlap"]}
