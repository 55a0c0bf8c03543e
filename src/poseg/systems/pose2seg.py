"""Pose2Seg in one file: config, network, codec and loss (Zhang et al., CVPR 2019).

People are provided by any model. For each a crop of the image's features is aligned upright by the pose
(`fields.align`) and concatenated with features of the skeleton; the network predicts the crop's mask.

Letters: B images, P people in each, K joints, S the crop's side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from poseg.codecs.pose2seg import Pose2SegCodec
from poseg.errors import PosegError
from poseg.losses.masked import Tensors, masked_cross_entropy
from poseg.networks.backbones.build import Normalisation, build_backbone, input_normalisation
from poseg.networks.heads.pose2seg_head import MaskHead, SkeletonFeatures, affine_align
from poseg.networks.necks.fpn import ExtraLevels, FeaturePyramid, PlainPyramid
from poseg.skeletons import COCO17, Skeleton

STRIDE = 4
EYES = ("left_eye", "right_eye")
NECKS = ("separable", "plain")


@dataclass(frozen=True, slots=True)
class Pose2Seg:
    """A Pose2Seg system; the defaults are the paper's.

    What differs from the published code: one logit and not two, and occluded joints are drawn as visible ones, since
    predicted poses do not tell them apart.

    skeleton            joints of the people that are provided
    backbone            a name of `networks.backbones.build`
    neck                feature pyramid: "plain" as published, or "separable", which is an eighth of the work
    neck_channels       its width
    extra_levels        strides beyond the backbone's last at which a separable pyramid begins
    crop_px             side S of the crops
    padding             of the crop around the template's unit square, as a fraction of S
    min_keypoint_score  joints of lower scores do not count
    stem_width, width, blocks, out_width   of the mask head
    """

    skeleton: Skeleton = COCO17
    backbone: str = "resnet50"
    neck: str = "plain"
    neck_channels: int = 256
    extra_levels: int = 0
    crop_px: int = 64
    padding: float = 0.0
    min_keypoint_score: float = 0.2
    stem_width: int = 256
    width: int = 256
    blocks: int = 10
    out_width: int = 128

    size_divisor: ClassVar[int] = 32
    size_offset: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.neck not in NECKS:
            raise PosegError(f"`neck` is one of {', '.join(NECKS)}, got {self.neck!r}.")
        if self.neck == "plain" and self.extra_levels:
            raise PosegError("A plain pyramid has no extra levels; take neck=separable for them.")

    @property
    def codec(self) -> Pose2SegCodec:
        """The codec that places this system's crops, encodes its targets and decodes its masks."""
        return Pose2SegCodec(
            self.skeleton, crop_px=self.crop_px, padding=self.padding, min_keypoint_score=self.min_keypoint_score,
            stride=STRIDE,
        )  # fmt: skip

    @property
    def normalisation(self) -> Normalisation:
        """Mean and standard deviation of the RGB values (0..255) of the network's input."""
        return input_normalisation(self.backbone)

    def network(self) -> Pose2SegNetwork:
        """A fresh network with random weights."""
        return Pose2SegNetwork(self)

    def loss(self) -> Pose2SegLoss:
        """The loss that goes with the codec's targets."""
        return Pose2SegLoss()


def skeleton_limbs(skeleton: Skeleton) -> list[tuple[int, int]]:
    """Pairs of joint numbers: the bones, and for faces the line between the eyes, the last of COCO's nineteen."""
    limbs = [(skeleton.index(a), skeleton.index(b)) for a, b in skeleton.bones]
    if set(EYES) <= set(skeleton.joints):
        eyes = (skeleton.index(EYES[0]), skeleton.index(EYES[1]))
        limbs += [] if eyes in limbs or eyes[::-1] in limbs else [eyes]
    return limbs


class Pose2SegNetwork(nn.Module):
    """Backbone, pyramid, aligned crops, mask head.

    Input: normalised RGB (B, 3, 32 n + 1, 32 m + 1), `windows` (B, P, 2, 3) from crops to the image's continuous
    pixels, `joints` (B, P, K, 3) in the crops. Output: "mask", logits (B P, 1, S, S).
    """

    def __init__(self, config: Pose2Seg) -> None:
        super().__init__()
        self.backbone = build_backbone(config.backbone, 32)
        channels, strides = self.backbone.channels, self.backbone.strides
        if STRIDE not in strides:
            raise PosegError(f"{config.backbone} has no features at stride {STRIDE}; choose another backbone.")
        self.skipped = strides.index(STRIDE)
        used = channels[self.skipped :]
        self.context: ExtraLevels | None = None
        self.neck: FeaturePyramid | PlainPyramid = PlainPyramid(used, config.neck_channels)
        if config.neck == "separable":
            self.context = ExtraLevels(channels[-1], config.neck_channels, config.extra_levels)
            wide = (*used, *(config.neck_channels,) * config.extra_levels)
            self.neck = FeaturePyramid(wide, config.neck_channels, blocks=(2,) * len(wide))
        limbs = skeleton_limbs(config.skeleton)
        self.skeleton_features = SkeletonFeatures(config.crop_px, limbs)
        channels_in = config.neck_channels + len(config.skeleton) + 2 * len(limbs)
        self.head = MaskHead(channels_in, config.stem_width, config.width, config.blocks, config.out_width)
        self.crop_px = config.crop_px

    def forward(self, image: Tensor, windows: Tensor, joints: Tensor) -> dict[str, Tensor]:
        """The mask of each crop, by name."""
        crops = affine_align(self.features(image), windows, self.crop_px, STRIDE)
        skeletons = self.skeleton_features(joints.reshape(-1, *joints.shape[2:])).to(crops.dtype)
        return {"mask": self.head(torch.cat([crops, skeletons], dim=1))}

    def features(self, image: Tensor) -> Tensor:
        """(B, C, h, w) at stride 4."""
        features = self.backbone(image)
        levels = [*features[self.skipped :]]
        if isinstance(self.neck, PlainPyramid):
            finest: Tensor = self.neck(levels)
        else:
            assert self.context is not None
            finest = self.neck([*levels, *self.context(features[-1])])[0]
        return finest


class Pose2SegLoss(nn.Module):
    """Cross-entropy over the pixels of all crops (section 3.5)."""

    def normalisers(self, weights: Tensors) -> Tensor:
        """(1,) what the term is divided by; those of the micro-batches of a batch add up."""
        return weights["mask"].sum()[None]

    def forward(
        self, fields: Tensors, targets: Tensors, weights: Tensors, normalisers: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The term by its name, and as "total"; targets and weights (B, P, S, S), fields (B P, 1, S, S)."""
        logits = fields["mask"].float()
        shape = logits.shape
        target, weight = (array["mask"].reshape(shape) for array in (targets, weights))
        count = self.normalisers(weights)[0] if normalisers is None else normalisers[0]
        term = masked_cross_entropy(logits, target, weight, count)
        return {"mask": term, "total": term}
