"""PersonLab in one file: config, network, codec and loss (Papandreou et al., ECCV 2018).

The config is the factory: `PersonLab(stride=8).network()`. Letters: B images, K joints, E directed edges, h x w cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from poseg.codecs.personlab import MASK_FIELDS, POSE_FIELDS, PersonLabCodec
from poseg.errors import PosegError
from poseg.fields import FieldSpec
from poseg.losses.masked import Tensors, masked_cross_entropy, masked_l1, refine_offsets
from poseg.networks.backbones.build import Normalisation, build_backbone, input_normalisation
from poseg.networks.heads.field_heads import FieldHead
from poseg.networks.necks.fpn import ExtraLevels, FeaturePyramid
from poseg.skeletons import COCO17, Skeleton

COARSE = "coarse."  # before the names of intermediate fields
GRID_RATIOS = (1, 2, 4)  # how much coarser than the output an intermediate grid may be
DEEP_SUPERVISION = ("none", "auxiliary", "residual")


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

    skeleton          joints and tree
    backbone          a name of `networks.backbones.build`
    stride            of the output grid: 8 or 16
    neck_channels     width of the feature pyramid; 0 for none: the heads read the backbone's last features, as in the
                      paper, and the backbone is dilated to `stride`
    extra_levels      strides beyond the backbone's last at which the pyramid begins: these see large people whole
    deep_supervision  what else is supervised. "none"; "auxiliary": heads on the backbone's last features but one, in
                      training only (the paper's); "residual": the pyramid's level at the backbone's last stride has
                      heads too, added to linear heads on the backbone's last features; finer heads are added to both
    residual_fields   the fields that such heads add to; the others are those of the linear heads, interpolated
    aux_weight        weight of that intermediate supervision
    disk_radius_px    radius R of the keypoint disks
    refine_steps      how often mid offsets are refined by short ones, and long ones by themselves and by short ones
    unrefined_weight  weight of an offset's loss before refinement; the rest is that of the refined one
    """

    skeleton: Skeleton = COCO17
    backbone: str = "lite0"
    stride: int = 8
    neck_channels: int = 128
    extra_levels: int = 0
    deep_supervision: str = "none"
    residual_fields: tuple[str, ...] = POSE_FIELDS + MASK_FIELDS
    aux_weight: float = 0.5
    disk_radius_px: float = 32.0
    refine_steps: int = 2
    unrefined_weight: float = 0.5
    weights: LossWeights = LossWeights()

    size_divisor: ClassVar[int] = 32
    size_offset: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.deep_supervision not in DEEP_SUPERVISION:
            raise PosegError(
                f"`deep_supervision` is one of {', '.join(DEEP_SUPERVISION)}, got {self.deep_supervision!r}."
            )
        unknown = [name for name in self.residual_fields if name not in POSE_FIELDS + MASK_FIELDS]
        if unknown or not self.residual_fields:
            raise PosegError(f"`residual_fields` names fields of PersonLab, at least one, got {self.residual_fields}.")
        if not self.neck_channels and (self.extra_levels or self.deep_supervision == "residual"):
            raise PosegError("Extra levels and residual fields need a feature pyramid; give it neck_channels.")

    @property
    def codec(self) -> PersonLabCodec:
        """The codec that encodes this system's targets and decodes its fields."""
        return PersonLabCodec(self.skeleton, stride=self.stride, disk_radius_px=self.disk_radius_px)

    @property
    def normalisation(self) -> Normalisation:
        """Mean and standard deviation of the RGB values (0..255) of the network's input."""
        return input_normalisation(self.backbone)

    def network(self) -> PersonLabNetwork:
        """A fresh network with random weights."""
        return PersonLabNetwork(self)

    def loss(self) -> PersonLabLoss:
        """The loss that goes with the codec's targets."""
        return PersonLabLoss(self)


class PersonLabNetwork(nn.Module):
    """Backbone, feature pyramid and five heads.

    Input: normalised RGB (B, 3, 32 n + 1, 32 m + 1). Output: flat fields (B, C, h, w) by name; with intermediate
    heads also theirs, named "coarse.heatmap" and so on.
    """

    def __init__(self, config: PersonLab) -> None:
        super().__init__()
        codec, residual = config.codec, config.deep_supervision == "residual"
        self.backbone = build_backbone(config.backbone, config.stride)
        channels, strides = self.backbone.channels, self.backbone.strides
        self.skipped = sum(stride < config.stride for stride in strides)
        self.context: ExtraLevels | None = None
        self.neck: FeaturePyramid | None = None
        if config.neck_channels:
            used = [*channels[self.skipped :], *(config.neck_channels,) * config.extra_levels]
            self.context = ExtraLevels(channels[-1], config.neck_channels, config.extra_levels)
            self.neck = FeaturePyramid(used, config.neck_channels, blocks=(2,) * len(used))
        elif strides[-1] != config.stride:
            raise PosegError(
                f"{config.backbone} ends at stride {strides[-1]}, the output is at {config.stride}; give neck_channels "
                "for a feature pyramid, or a backbone that can be dilated."
            )

        def head(channels_in: int, specs: Sequence[FieldSpec] = codec.specs) -> FieldHead:
            return FieldHead(channels_in, specs, unit_px=config.disk_radius_px)

        self.linear_head = head(channels[-1]) if residual else None
        self.auxiliary_head = head(channels[-2]) if config.deep_supervision == "auxiliary" else None
        at = sorted({config.stride, strides[-1]} if residual else {config.stride}, reverse=True)
        # Keyed by stride, coarsest first, so that a network with a coarser output is a part of this one.
        head_specs = [spec for spec in codec.specs if not residual or spec.name in config.residual_fields]
        heads = {str(stride): head(config.neck_channels or channels[-1], head_specs) for stride in at}
        self.levels = [strides[self.skipped :].index(stride) for stride in at] if self.neck is not None else [-1]
        if residual:
            for added in heads.values():
                added.zero_init()
        self.heads = nn.ModuleDict(heads)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Fields by name."""
        features = self.backbone(image)
        levels = [*features[self.skipped :]]
        if self.neck is not None and self.context is not None:
            levels = self.neck([*levels, *self.context(features[-1])])
        fields: dict[str, Tensor] = {} if self.linear_head is None else self.linear_head(features[-1])
        coarse: dict[str, Tensor] = {}
        for head, level in zip(self.heads.values(), self.levels, strict=True):
            coarse, fields = fields, _add_residuals(fields, head(levels[level]))
        if self.auxiliary_head is not None and self.training:
            coarse = self.auxiliary_head(features[-2])
        elif len(self.heads) == 1:
            return fields
        return {**fields, **{f"{COARSE}{name}": field for name, field in coarse.items()}}


def _add_residuals(coarse: Tensors, fine: Tensors) -> dict[str, Tensor]:
    """Coarse fields, interpolated, plus fine ones. Offsets are linear in the cell's position, so that is exact."""
    if not coarse:
        return dict(fine)
    size = next(iter(fine.values())).shape[-2:]
    upsampled = {
        name: field
        if field.shape[-2:] == size
        else F.interpolate(field, size=size, mode="bilinear", align_corners=True)
        for name, field in coarse.items()
    }
    return {name: field + fine[name] if name in fine else field for name, field in upsampled.items()}


class PersonLabLoss(nn.Module):
    """The five terms on refined fields, each a mean over the cells that count (spec sections 3 and 4)."""

    def __init__(self, config: PersonLab) -> None:
        super().__init__()
        self.config = config
        self.specs = config.codec.specs
        self.edge_target = torch.as_tensor(config.skeleton.edges[:, 1].copy())

    def normalisers(self, weights: Tensors) -> Tensor:
        """(fields, GRID_RATIOS) what terms are divided by, on the grid of the output and on coarser ones.

        Those of the micro-batches of a batch add up to those of the batch: give `forward` the sum, and the terms of the
        micro-batches add up to the terms of the batch.
        """
        rows = [[weights[spec.name][..., ::ratio, ::ratio].sum() for ratio in GRID_RATIOS] for spec in self.specs]
        return torch.stack([torch.stack(row) for row in rows])

    def forward(
        self, fields: Tensors, targets: Tensors, weights: Tensors, normalisers: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Unweighted terms by field name, and their weighted sum as "total".

        fields       flat (B, C, h, w), as the network predicts them, perhaps with intermediate ones
        targets      (B, *spec.shape, h, w); weights likewise without the xy axis
        normalisers  of the batch that this is a micro-batch of; None for those of `weights` alone
        """
        normalisers = self.normalisers(weights) if normalisers is None else normalisers
        terms = self._terms(fields, targets, weights, self.config.stride, normalisers[:, 0])
        total = self._weighted(terms)
        coarse = {name.removeprefix(COARSE): field for name, field in fields.items() if name.startswith(COARSE)}
        if not coarse:
            return {**terms, "total": total}
        # Grids of strides s and n s share a first cell, so every n-th target of the fine grid is one of the coarse.
        ratio = round((fields["heatmap"].shape[-1] - 1) / max(coarse["heatmap"].shape[-1] - 1, 1))
        coarse_targets, coarse_weights = (
            {name: a[..., ::ratio, ::ratio] for name, a in arrays.items()} for arrays in (targets, weights)
        )
        count = normalisers[:, GRID_RATIOS.index(ratio)]
        coarse_terms = self._terms(coarse, coarse_targets, coarse_weights, self.config.stride * ratio, count)
        coarse_total = self._weighted(coarse_terms)
        return {**terms, "coarse": coarse_total, "total": total + self.config.aux_weight * coarse_total}

    def _terms(
        self, fields: Tensors, targets: Tensors, weights: Tensors, stride: int, normalisers: Tensor
    ) -> dict[str, Tensor]:
        c, count = self.config, dict(zip((spec.name for spec in self.specs), normalisers, strict=True))
        shaped = {s.name: _shaped(fields[s.name], s.shape) for s in self.specs}
        short, mid, long = (shaped[name] for name in ("short_offsets", "mid_offsets", "long_offsets"))
        mid_refined = refine_offsets(mid, short[:, self.edge_target], stride, c.refine_steps)
        long_refined = refine_offsets(refine_offsets(long, long, stride, c.refine_steps), short, stride, c.refine_steps)
        terms = {
            name: masked_cross_entropy(shaped[name], targets[name], weights[name], count[name])
            for name in ("heatmap", "segmentation")
        }
        for name, raw, refined in (
            ("short_offsets", short, None),
            ("mid_offsets", mid, mid_refined),
            ("long_offsets", long, long_refined),
        ):
            terms[name] = masked_l1(raw, targets[name], weights[name], c.disk_radius_px, count[name])
            if refined is not None:
                after = masked_l1(refined, targets[name], weights[name], c.disk_radius_px, count[name])
                terms[name] = c.unrefined_weight * terms[name] + (1 - c.unrefined_weight) * after
        return terms

    def _weighted(self, terms: Tensors) -> Tensor:
        return torch.stack([getattr(self.config.weights, name) * term for name, term in terms.items()]).sum()


def _shaped(field: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A flat field (B, C, h, w) as (B, *shape, h, w)."""
    b, _, h, w = field.shape
    return field.reshape(b, *shape, h, w)
