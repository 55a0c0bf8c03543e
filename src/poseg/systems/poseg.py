"""PoSeg in one file: config, network, codec and loss.

One backbone; its low and mid-level features merge before two branches: poses as heatmaps and part affinity fields in
stages (Cao et al., CVPR 2017), and a person map by pyramid pooling (Zhao et al., CVPR 2017).

Letters: B images, K joints, L limbs, h x w cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from poseg.codecs.poseg import PoSegCodec
from poseg.errors import PosegError
from poseg.fields.paf import Limb
from poseg.geometry.grid import PIXEL_CENTRE
from poseg.losses.masked import Tensors, masked_cross_entropy, masked_mse, uncertainty_weighting
from poseg.networks.backbones.build import Normalisation, block_aligned, build_backbone, input_normalisation
from poseg.networks.heads.field_heads import LightPafStages, PaperPafStages
from poseg.networks.necks.fpn import FeatureMerge
from poseg.networks.necks.pyramid_pooling import Norm, PyramidPooling, SegmentationHead
from poseg.skeletons import COCO17, Skeleton

STRIDE = 8
POSE = ("paf", "heatmap", "background")
EARLY, AUXILIARY, LOG_VARIANCES = "stage", "auxiliary.segmentation", "log_variances"
CHOICES = {
    "pose_branch": ("light", "dense", "paper"), "norm": ("batch", "group"), "loss_balance": ("fixed", "learned"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PoSeg:
    """A PoSeg system.

    skeleton           joints
    limbs              pairs of joints that people are assembled from; `fields.paf.default_limbs` where empty
    backbone           a name of `networks.backbones.build`; those that can be dilated end at stride 8
    widths             channels that the features of each stride contribute, finest first
    channels           of the merged features
    pose_branch        its stages: "light" (separable), "dense" (Osokin, 2018) or "paper" (two stacks of 7x7
                       convolutions)
    refinement_stages  after the first stage
    norm               of the segmentation branch: "batch", or "group" for batches of a few images
    loss_balance       "fixed": `pose_weight`; "learned": by the uncertainty of each task
    pose_weight        of the pose terms, which are means over many empty cells, beside the person map's
    aux_weight         of the person map predicted from the backbone's last features alone, in training only
    sigma_px           of the Gaussians around joints
    width_px           how far a limb's field reaches to each side
    """

    skeleton: Skeleton = COCO17
    limbs: tuple[Limb, ...] = ()
    backbone: str = "mobilenet_v1_075"
    widths: tuple[int, ...] = (32, 64, 128)
    channels: int = 128
    pose_branch: str = "light"
    refinement_stages: int = 1
    norm: Norm = "batch"
    loss_balance: str = "fixed"
    pose_weight: float = 40.0
    aux_weight: float = 0.4
    sigma_px: float = 7.0
    width_px: float = 8.0

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise PosegError(f"`{name}` is one of {', '.join(choices)}, got {getattr(self, name)!r}.")
        if self.refinement_stages < 0:
            raise PosegError(f"`refinement_stages` are 0 or more, got {self.refinement_stages}.")

    @property
    def codec(self) -> PoSegCodec:
        """The codec that encodes this system's targets and decodes its fields."""
        origin_px = STRIDE / 2 if block_aligned(self.backbone) else PIXEL_CENTRE
        return PoSegCodec(
            self.skeleton, STRIDE, origin_px, sigma_px=self.sigma_px, width_px=self.width_px, limbs=self.limbs
        )

    @property
    def normalisation(self) -> Normalisation:
        """Mean and standard deviation of the RGB values (0..255) of the network's input."""
        return input_normalisation(self.backbone)

    @property
    def size_divisor(self) -> int:
        """Sides of the network's input are multiples of this, plus `size_offset` pixels."""
        return STRIDE if block_aligned(self.backbone) else 32

    @property
    def size_offset(self) -> int:
        """See `size_divisor`."""
        return 0 if block_aligned(self.backbone) else 1

    def network(self) -> PoSegNetwork:
        """A fresh network with random weights."""
        return PoSegNetwork(self)

    def loss(self) -> PoSegLoss:
        """The loss that goes with the codec's targets."""
        return PoSegLoss(self)


class PoSegNetwork(nn.Module):
    """Backbone, merged features, two branches.

    Input: normalised RGB (B, 3, 32 n + 1, 32 m + 1), or (B, 3, 8 n, 8 m) for a block-aligned backbone. Output: flat
    fields (B, C, h, w) by name; in training also those of earlier stages ("stage0.paf"), the auxiliary person map, and
    the log variances of a learned balance.
    """

    def __init__(self, config: PoSeg) -> None:
        super().__init__()
        specs = {spec.name: spec for spec in config.codec.specs}
        groups = ((specs["paf"],), (specs["heatmap"], specs["background"]))
        self.backbone = build_backbone(config.backbone, STRIDE)
        used = [level for level, stride in enumerate(self.backbone.strides) if stride >= STRIDE // 2]
        if len(used) != len(config.widths):
            raise PosegError(
                f"{config.backbone} has features of {len(used)} strides from {STRIDE // 2} on; "
                f"give as many widths, got {len(config.widths)}."
            )
        channels = [self.backbone.channels[level] for level in used]
        strides = [self.backbone.strides[level] for level in used]
        self.used = used
        self.merge = FeatureMerge(channels, strides, STRIDE, config.widths, config.channels)
        self.pose: LightPafStages | PaperPafStages
        if config.pose_branch == "paper":
            self.pose = PaperPafStages(config.channels, groups, stages=1 + config.refinement_stages)
        else:
            dense = config.pose_branch == "dense"
            self.pose = LightPafStages(config.channels, groups, refinement_stages=config.refinement_stages, dense=dense)
        self.pooling = PyramidPooling(config.channels, norm=config.norm)
        self.person = SegmentationHead(self.pooling.channels, max(config.channels // 2, 16), norm=config.norm)
        self.auxiliary: SegmentationHead | None = None
        if config.aux_weight:
            self.auxiliary = SegmentationHead(channels[-1], config.channels // 2, norm=config.norm)
        self.log_variances = nn.Parameter(torch.zeros(2)) if config.loss_balance == "learned" else None

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Fields by name."""
        features = self.backbone(image)
        levels = [features[level] for level in self.used]
        shared = self.merge(levels)
        *early, last = self.pose(shared)
        fields = {**last, "segmentation": self.person(self.pooling(shared))}
        if not self.training:
            return fields
        for stage, predicted in enumerate(early):
            fields |= {f"{EARLY}{stage}.{name}": field for name, field in predicted.items()}
        if self.auxiliary is not None:
            fields[AUXILIARY] = self.auxiliary(levels[-1])
        if self.log_variances is not None:
            fields[LOG_VARIANCES] = self.log_variances
        return fields


class PoSegLoss(nn.Module):
    """Squared errors of every stage's fields, and cross-entropy of the person map, each a mean over cells that count.

    A cell counts by the weights of the codec's targets, so an image trains the tasks that it has labels for.
    """

    def __init__(self, config: PoSeg) -> None:
        super().__init__()
        self.config = config
        self.specs = config.codec.specs

    def normalisers(self, weights: Tensors) -> Tensor:
        """(fields,) what terms are divided by; those of the micro-batches of a batch add up."""
        return torch.stack([weights[spec.name].sum() for spec in self.specs])

    def forward(
        self, fields: Tensors, targets: Tensors, weights: Tensors, normalisers: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Terms of the last stage by field name, those of the others as "early" and "auxiliary", their sum as "total".

        fields       flat (B, C, h, w), as the network predicts them
        targets      (B, *spec.shape, h, w); weights likewise without the xy axis
        normalisers  of the batch that this is a micro-batch of; None for those of `weights` alone
        """
        normalisers = self.normalisers(weights) if normalisers is None else normalisers
        count = {spec.name: number for spec, number in zip(self.specs, normalisers, strict=True)}

        def pose_terms(prefix: str) -> dict[str, Tensor]:
            return {
                spec.name: masked_mse(
                    _as_target(fields[prefix + spec.name], targets[spec.name]), targets[spec.name], weights[spec.name],
                    count[spec.name],
                )
                for spec in self.specs if spec.name in POSE
            }  # fmt: skip

        def mask_term(name: str) -> Tensor:
            logits = _as_target(_resize_to(fields[name], targets["segmentation"]), targets["segmentation"])
            return masked_cross_entropy(logits, targets["segmentation"], weights["segmentation"], count["segmentation"])

        terms = pose_terms("")
        pose = self._pose(terms)
        stages = sorted({name.partition(".")[0] for name in fields if name.startswith(EARLY)})
        if stages:
            terms["early"] = _sum([self._pose(pose_terms(f"{stage}.")) for stage in stages])
            pose = pose + terms["early"]
        terms["segmentation"] = mask = mask_term("segmentation")
        if AUXILIARY in fields:
            terms["auxiliary"] = mask_term(AUXILIARY)
            mask = mask + self.config.aux_weight * terms["auxiliary"]
        pose = self.config.pose_weight * pose
        if LOG_VARIANCES not in fields:
            return {**terms, "total": pose + mask}
        fractions = torch.stack([weights[n].sum() / count[n].clamp(min=1) for n in ("heatmap", "segmentation")])
        return {**terms, "total": uncertainty_weighting((pose, mask), fields[LOG_VARIANCES].float(), fractions)}

    def _pose(self, terms: Tensors) -> Tensor:
        """The pose terms of a stage; the background is one channel beside those of the joints."""
        return _sum([terms["paf"], terms["heatmap"], terms["background"] / len(self.config.skeleton)])


def _as_target(field: Tensor, target: Tensor) -> Tensor:
    """A flat field in the shape of its target, in full precision."""
    return field.float().reshape(target.shape)


def _resize_to(field: Tensor, target: Tensor) -> Tensor:
    """A field on the grid of its target: a backbone may end at a coarser stride."""
    if field.shape[-2:] == target.shape[-2:]:
        return field
    return nn.functional.interpolate(field.float(), size=target.shape[-2:], mode="bilinear", align_corners=True)


def _sum(terms: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(terms)).sum()
