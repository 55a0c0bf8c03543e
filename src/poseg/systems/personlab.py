"""PersonLab in one file: config, network, codec and loss (Papandreou et al., ECCV 2018).

The config is the factory: `PersonLab(stride=8).network()`. Letters: B images, K joints, E directed edges, h x w cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from poseg.codecs.personlab import PersonLabCodec
from poseg.losses.logits import masked_cross_entropy
from poseg.losses.offsets import masked_l1, refine
from poseg.networks.backbones.efficientnet_lite import EfficientNetLite
from poseg.networks.heads.field_head import FieldHead
from poseg.networks.necks.fpn import FeaturePyramid
from poseg.skeletons import COCO17, Skeleton

# What the ImageNet weights of EfficientNet-Lite expect of RGB values in 0..255.
MEAN = (127.0, 127.0, 127.0)
STD = (128.0, 128.0, 128.0)


@dataclass(frozen=True, slots=True)
class LossWeights:
    """Weights of the five terms; the defaults are the paper's (spec section 3)."""

    heatmap: float = 4.0
    segmentation: float = 2.0
    short_offsets: float = 1.0
    mid_offsets: float = 0.25
    long_offsets: float = 0.125


@dataclass(frozen=True, slots=True)
class PersonLab:
    """A PersonLab system.

    skeleton        joints and tree
    backbone        variant of EfficientNet-Lite
    stride          of the output grid: 8 or 16
    neck_channels   width of the feature pyramid
    disk_radius_px  radius R of the keypoint disks
    refine_steps    how often mid offsets are refined by short ones, and long ones by themselves and by short ones
    raw_share       how much of an offset's loss falls on the unrefined field; the rest falls on the refined one
    """

    skeleton: Skeleton = COCO17
    backbone: str = "lite0"
    stride: int = 8
    neck_channels: int = 128
    disk_radius_px: float = 32.0
    refine_steps: int = 2
    raw_share: float = 0.5
    weights: LossWeights = LossWeights()

    @property
    def codec(self) -> PersonLabCodec:
        """The codec that paints this system's targets and reads its fields."""
        return PersonLabCodec(self.skeleton, stride=self.stride, disk_radius_px=self.disk_radius_px)

    def network(self) -> PersonLabNetwork:
        """A fresh network with random weights."""
        return PersonLabNetwork(self)

    def loss(self) -> PersonLabLoss:
        """The loss that goes with the codec's targets."""
        return PersonLabLoss(self)


class PersonLabNetwork(nn.Module):
    """Backbone, feature pyramid and five heads.

    Input: normalised RGB (B, 3, 32 n + 1, 32 m + 1). Output: flat fields (B, C, h, w) by name.
    """

    def __init__(self, config: PersonLab) -> None:
        super().__init__()
        self.backbone = EfficientNetLite(config.backbone)
        used = [c for c, s in zip(self.backbone.channels, self.backbone.strides, strict=True) if s >= config.stride]
        self.skipped = len(self.backbone.strides) - len(used)
        self.neck = FeaturePyramid(used, config.neck_channels, blocks=(2,) + (1,) * (len(used) - 2) + (2,))
        self.head = FieldHead(config.neck_channels, config.codec.specs, unit_px=config.disk_radius_px)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Fields by name."""
        fields: dict[str, Tensor] = self.head(self.neck(self.backbone(image)[self.skipped :]))
        return fields


class PersonLabLoss(nn.Module):
    """The five terms on refined fields, each a mean over the cells that count (spec sections 3 and 4)."""

    def __init__(self, config: PersonLab) -> None:
        super().__init__()
        self.config = config
        self.specs = config.codec.specs
        self.edge_target = torch.as_tensor(config.skeleton.edges[:, 1].copy())

    def forward(
        self, fields: Mapping[str, Tensor], targets: Mapping[str, Tensor], weights: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Unweighted terms by field name, and their weighted sum as "total".

        fields   flat (B, C, h, w), as the network puts them out
        targets  (B, *spec.shape, h, w); weights likewise without the xy axis
        """
        c = self.config
        shaped = {s.name: _shaped(fields[s.name], s.shape) for s in self.specs}
        short, mid, long = (shaped[name] for name in ("short_offsets", "mid_offsets", "long_offsets"))
        mid_refined = refine(mid, short[:, self.edge_target], c.stride, c.refine_steps)
        long_refined = refine(refine(long, long, c.stride, c.refine_steps), short, c.stride, c.refine_steps)
        terms = {
            name: masked_cross_entropy(shaped[name], targets[name], weights[name])
            for name in ("heatmap", "segmentation")
        }
        for name, raw, refined in (
            ("short_offsets", short, None),
            ("mid_offsets", mid, mid_refined),
            ("long_offsets", long, long_refined),
        ):
            terms[name] = masked_l1(raw, targets[name], weights[name], c.disk_radius_px)
            if refined is not None:
                late = masked_l1(refined, targets[name], weights[name], c.disk_radius_px)
                terms[name] = c.raw_share * terms[name] + (1 - c.raw_share) * late
        total = torch.stack([getattr(c.weights, name) * term for name, term in terms.items()]).sum()
        return {**terms, "total": total}


def _shaped(field: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A flat field (B, C, h, w) as (B, *shape, h, w)."""
    b, _, h, w = field.shape
    return field.reshape(b, *shape, h, w)
