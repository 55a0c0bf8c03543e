"""PoSeg in one file: config, network, codec and loss.

One trunk; its low and mid-level features merge before two branches: poses as heatmaps and part affinity fields in
stages (Cao et al., CVPR 2017), and a person map by pyramid pooling (Zhao et al., CVPR 2017).

Letters: B images, K joints, L limbs, h x w cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from poseg.codecs.poseg import PoSegCodec
from poseg.errors import PosegError
from poseg.fields.paf import Limb
from poseg.geometry.grid import PIXEL_CENTRE
from poseg.losses.masked import masked_cross_entropy, masked_mse, uncertainty_weighting
from poseg.networks.backbones.build import Normalisation, block_aligned, build_backbone, input_normalisation
from poseg.networks.heads.paf_stages import LightStages, PublishedStages
from poseg.networks.necks.merge import Merge
from poseg.networks.necks.pyramid_pooling import Norm, PyramidPooling, SegmentationHead
from poseg.skeletons import COCO17, Skeleton

STRIDE = 8
POSE = ("paf", "heatmap", "background")
EARLY, AUXILIARY, NOISE = "stage", "auxiliary.segmentation", "log_variances"
BRANCHES = ("light", "dense", "published")
BALANCES = ("fixed", "learned")


@dataclass(frozen=True, slots=True)
class PoSeg:
    """A PoSeg system.

    skeleton         joints
    limbs            pairs of joints that people are put together from; where none are given `fields.paf.default_limbs`
    backbone         a name of `networks.backbones.build`; those that can be dilated end at stride 8
    widths           channels that the features of each stride contribute, finest first
    channels         of the merged features
    branch           stages of the pose branch: "light" (separable), "dense" (Osokin, 2018) or "published" (two rows of
                     7x7 convolutions)
    refining         stages after the first
    norm             of the segmentation branch: "batch", or "group" for batches of a few pictures
    balance          "fixed": `pose_weight`; "learned": by the uncertainty of each task
    pose_weight      of the pose terms, which are means over many empty cells, beside the person map's
    auxiliary_share  weight of the person map made from the trunk's last features alone, in training only
    sigma_px         of the Gaussians around joints
    width_px         how far a limb's field reaches to each side
    """

    skeleton: Skeleton = COCO17
    limbs: tuple[Limb, ...] = ()
    backbone: str = "mobilenet_v1_075"
    widths: tuple[int, ...] = (32, 64, 128)
    channels: int = 128
    branch: str = "light"
    refining: int = 1
    norm: Norm = "batch"
    balance: str = "fixed"
    pose_weight: float = 40.0
    auxiliary_share: float = 0.4
    sigma_px: float = 7.0
    width_px: float = 8.0

    def __post_init__(self) -> None:
        for name, words in (("branch", BRANCHES), ("balance", BALANCES), ("norm", ("batch", "group"))):
            if getattr(self, name) not in words:
                raise PosegError(f"`{name}` is one of {', '.join(words)}, got {getattr(self, name)!r}.")
        if self.refining < 0:
            raise PosegError(f"`refining` counts the stages after the first, 0 or more, got {self.refining}.")

    @property
    def codec(self) -> PoSegCodec:
        """The codec that paints this system's targets and reads its fields."""
        origin_px = STRIDE / 2 if block_aligned(self.backbone) else PIXEL_CENTRE
        return PoSegCodec(
            self.skeleton, STRIDE, origin_px, sigma_px=self.sigma_px, width_px=self.width_px, limbs=self.limbs
        )

    @property
    def normalisation(self) -> Normalisation:
        """Mean and standard deviation of the RGB values (0..255) that the network reads."""
        return input_normalisation(self.backbone)

    @property
    def input_rule(self) -> tuple[int, int]:
        """(a, b): sides of the network's input are a n + b pixels."""
        return (STRIDE, 0) if block_aligned(self.backbone) else (32, 1)

    def network(self) -> PoSegNetwork:
        """A fresh network with random weights."""
        return PoSegNetwork(self)

    def loss(self) -> PoSegLoss:
        """The loss that goes with the codec's targets."""
        return PoSegLoss(self)


class PoSegNetwork(nn.Module):
    """Trunk, merged features, two branches.

    Input: normalised RGB (B, 3, 32 n + 1, 32 m + 1), or (B, 3, 8 n, 8 m) for a trunk that pools blocks. Output: flat
    fields (B, C, h, w) by name; in training also those of earlier stages ("stage0.paf"), the auxiliary person map, and
    the log variances of a learned balance.
    """

    def __init__(self, config: PoSeg) -> None:
        super().__init__()
        specs = {spec.name: spec for spec in config.codec.specs}
        groups = ((specs["paf"],), (specs["heatmap"], specs["background"]))
        self.backbone = build_backbone(config.backbone, STRIDE)
        used = [place for place, stride in enumerate(self.backbone.strides) if stride >= STRIDE // 2]
        if len(used) != len(config.widths):
            raise PosegError(
                f"{config.backbone} has features of {len(used)} strides from {STRIDE // 2} on; "
                f"give as many widths, got {len(config.widths)}."
            )
        channels = [self.backbone.channels[place] for place in used]
        strides = [self.backbone.strides[place] for place in used]
        self.used = used
        self.merge = Merge(channels, strides, STRIDE, config.widths, config.channels)
        self.pose: LightStages | PublishedStages
        if config.branch == "published":
            self.pose = PublishedStages(config.channels, groups, stages=1 + config.refining)
        else:
            self.pose = LightStages(config.channels, groups, refining=config.refining, dense=config.branch == "dense")
        self.pooling = PyramidPooling(config.channels, norm=config.norm)
        self.person = SegmentationHead(self.pooling.channels, max(config.channels // 2, 16), norm=config.norm)
        self.auxiliary: SegmentationHead | None = None
        if config.auxiliary_share:
            self.auxiliary = SegmentationHead(channels[-1], config.channels // 2, norm=config.norm)
        self.log_variances = nn.Parameter(torch.zeros(2)) if config.balance == "learned" else None

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Fields by name."""
        features = self.backbone(image)
        levels = [features[place] for place in self.used]
        shared = self.merge(levels)
        *early, last = self.pose(shared)
        fields = {**last, "segmentation": self.person(self.pooling(shared))}
        if not self.training:
            return fields
        for place, said in enumerate(early):
            fields |= {f"{EARLY}{place}.{name}": field for name, field in said.items()}
        if self.auxiliary is not None:
            fields[AUXILIARY] = self.auxiliary(levels[-1])
        if self.log_variances is not None:
            fields[NOISE] = self.log_variances
        return fields


class PoSegLoss(nn.Module):
    """Squared errors of every stage's fields, and cross-entropy of the person map, each a mean over cells that count.

    A cell counts by the weights of the codec's targets, so a picture teaches the tasks that it has labels for.
    """

    def __init__(self, config: PoSeg) -> None:
        super().__init__()
        self.config = config
        self.specs = config.codec.specs

    def normalisers(self, weights: Mapping[str, Tensor]) -> Tensor:
        """(fields,) what terms are divided by; those of the slices of a batch add up."""
        return torch.stack([weights[spec.name].sum() for spec in self.specs])

    def forward(
        self,
        fields: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        weights: Mapping[str, Tensor],
        normalisers: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Terms of the last stage by field name, those of the others as "early" and "auxiliary", their sum as "total".

        fields   flat (B, C, h, w), as the network puts them out
        targets  (B, *spec.shape, h, w); weights likewise without the xy axis
        normalisers   of the batch that these are a slice of; those of `weights` alone where not given
        """
        normalisers = self.normalisers(weights) if normalisers is None else normalisers
        count = {spec.name: number for spec, number in zip(self.specs, normalisers, strict=True)}

        def squares(prefix: str) -> dict[str, Tensor]:
            return {
                spec.name: masked_mse(
                    _like(fields[prefix + spec.name], targets[spec.name]), targets[spec.name], weights[spec.name],
                    count[spec.name],
                )
                for spec in self.specs if spec.name in POSE
            }  # fmt: skip

        def person(name: str) -> Tensor:
            logits = _like(_sized(fields[name], targets["segmentation"]), targets["segmentation"])
            return masked_cross_entropy(logits, targets["segmentation"], weights["segmentation"], count["segmentation"])

        terms = squares("")
        pose = self._pose(terms)
        stages = sorted({name.partition(".")[0] for name in fields if name.startswith(EARLY)})
        if stages:
            terms["early"] = _sum([self._pose(squares(f"{stage}.")) for stage in stages])
            pose = pose + terms["early"]
        terms["segmentation"] = mask = person("segmentation")
        if AUXILIARY in fields:
            terms["auxiliary"] = person(AUXILIARY)
            mask = mask + self.config.auxiliary_share * terms["auxiliary"]
        pose = self.config.pose_weight * pose
        if NOISE not in fields:
            return {**terms, "total": pose + mask}
        shares = torch.stack([weights[n].sum() / count[n].clamp(min=1) for n in ("heatmap", "segmentation")])
        return {**terms, "total": uncertainty_weighting((pose, mask), fields[NOISE].float(), shares)}

    def _pose(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The pose terms of a stage; nobody's joint is one channel beside the others."""
        return _sum([terms["paf"], terms["heatmap"], terms["background"] / len(self.config.skeleton)])


def _like(field: Tensor, target: Tensor) -> Tensor:
    """A flat field in the shape of its target, in full precision."""
    return field.float().reshape(target.shape)


def _sized(field: Tensor, target: Tensor) -> Tensor:
    """A field on the grid of its target: a trunk may end at a coarser stride."""
    if field.shape[-2:] == target.shape[-2:]:
        return field
    return nn.functional.interpolate(field.float(), size=target.shape[-2:], mode="bilinear", align_corners=True)


def _sum(terms: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(terms)).sum()
