"""The multi-task pose network in one file: config, network, codec and loss, in two dimensions and in three.

Pose regression learns together with windows that slide over the crop and say which joints and parts they hold (Li, Liu
and Chan, CVPRW 2014; Li and Chan, ACCV 2014): as published, or behind a trunk of today.

Letters: B crops, each of one person; K joints, m x m windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from poseg.codecs.multitask import BONES, JOINT_WINDOWS, JOINTS, PART_WINDOWS, MultitaskCodec
from poseg.errors import PosegError
from poseg.geometry.grid import PIXEL_CENTRE
from poseg.networks.backbones.build import Normalisation, block_aligned, build_backbone, input_normalisation
from poseg.networks.backbones.three_convolutions import CROP_PX, ThreeConvolutions
from poseg.networks.heads.crop_heads import ExpectedPlaces, FullyConnected, Shared, Tower, WindowMaps
from poseg.networks.necks.merge import Merge
from poseg.skeletons import LSP14, Pair, Skeleton

PUBLISHED = "three_convolutions"
STRIDE = 8
REGRESSION, DETECTION = (JOINTS, BONES), (JOINT_WINDOWS, PART_WINDOWS)
ERRORS = ("square", "absolute")
BONE_CELLS = 5  # bones are read from the features' means over so many parts of the crop on each axis


@dataclass(frozen=True, slots=True)
class Multitask:
    """A multi-task system; the defaults are the published network, on the joints of LSP.

    skeleton, tasks, parts, crop_px, margin, window_px, window_stride_px, labels, bone_scale_mm   of the codec
    backbone          "three_convolutions" as published, with fully connected heads; or a name of
                      `networks.backbones.build` that has features at stride 8, with heads that stay maps
    widths            channels that the features of each stride contribute, finest first
    channels          of the merged features
    blocks            separable blocks of each task's own
    regression        width of the two hidden layers of the fully connected regressor
    detection         and of the detectors
    dropout           after the first of them
    error             of regression: "square" as published, or "absolute"
    regression_weight, joint_weight, part_weight   of the terms
    positive_weight   of windows that hold something, which are few
    averaged          tasks meet in the trunk at the mean of their gradients, as published, or at their sum
    """

    skeleton: Skeleton = LSP14
    tasks: tuple[str, ...] = (JOINTS, JOINT_WINDOWS, PART_WINDOWS)
    parts: tuple[Pair, ...] = ()
    crop_px: int = CROP_PX
    margin: float = 0.15
    window_px: int = 30
    window_stride_px: int = 12
    labels: str = "all"
    bone_scale_mm: float = 1200.0
    backbone: str = PUBLISHED
    widths: tuple[int, ...] = (32, 64, 128)
    channels: int = 128
    blocks: int = 2
    regression: tuple[int, int] = (1024, 2048)
    detection: tuple[int, int] = (1024, 1024)
    dropout: float = 0.25
    error: str = "square"
    regression_weight: float = 0.5
    joint_weight: float = 0.5
    part_weight: float = 0.5
    positive_weight: float = 1.0
    averaged: bool = True

    def __post_init__(self) -> None:
        if self.error not in ERRORS:
            raise PosegError(f"`error` is one of {', '.join(ERRORS)}, got {self.error!r}.")
        if self.backbone == PUBLISHED and self.crop_px != CROP_PX:
            raise PosegError(
                f"The published network takes crops of {CROP_PX} px, got crop_px={self.crop_px}; "
                "other sizes need a backbone."
            )
        if self.backbone != PUBLISHED and not block_aligned(self.backbone) and self.crop_px % 32 != 1:
            raise PosegError(f"{self.backbone} takes crops of 32 n + 1 px, such as 193; got crop_px={self.crop_px}.")

    @property
    def codec(self) -> MultitaskCodec:
        """The codec that paints this system's targets and reads its fields."""
        return MultitaskCodec(
            self.skeleton, self.tasks, self.parts, self.crop_px, self.margin, self.window_px, self.window_stride_px,
            self.labels, self.bone_scale_mm,
        )  # fmt: skip

    @property
    def normalisation(self) -> Normalisation:
        """Mean and standard deviation of the RGB values (0..255) that the network reads."""
        return ((127.5,) * 3, (58.0,) * 3) if self.backbone == PUBLISHED else input_normalisation(self.backbone)

    @property
    def input_rule(self) -> tuple[int, int]:
        """Sides of the input are the crop's."""
        return self.crop_px, 0

    def network(self) -> nn.Module:
        """A fresh network with random weights."""
        return PublishedNetwork(self) if self.backbone == PUBLISHED else MapsNetwork(self)

    def loss(self) -> MultitaskLoss:
        """The loss that goes with the codec's targets."""
        return MultitaskLoss(self)


class PublishedNetwork(nn.Module):
    """Three convolutions, then three fully connected layers for regression and three for detection.

    Input: normalised crops (B, 3, 112, 112). Output: (B, C, 1, 1) by the name of the task.
    """

    def __init__(self, config: Multitask) -> None:
        super().__init__()
        self.backbone = ThreeConvolutions()
        with torch.no_grad():
            features = self.backbone(torch.zeros(1, 3, config.crop_px, config.crop_px))[-1]
        channels = {spec.name: spec.channels for spec in config.codec.specs}
        self.heads = nn.ModuleDict()
        for name, tasks, hidden in (
            ("regression", REGRESSION, config.regression),
            ("detection", DETECTION, config.detection),
        ):
            outputs = {task: n for task, n in channels.items() if task in tasks}
            if outputs:
                self.heads[name] = FullyConnected(
                    features.numel(), hidden, outputs, config.dropout, bounded=name == "regression"
                )
        self.part = 1 / len(self.heads) if config.averaged else 1.0

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """What each task says, by name."""
        features = self.backbone(image)[-1]
        said: dict[str, Tensor] = {}
        for head in self.heads.values():
            said |= head(_shared(features, self.part if self.training else 1.0))
        return said


class MapsNetwork(nn.Module):
    """A trunk of today, its strides merged, then a tower of maps for each kind of task.

    Input: normalised crops (B, 3, S, S). Output: (B, C, 1, 1) by the name of the task.
    """

    def __init__(self, config: Multitask) -> None:
        super().__init__()
        codec, k, width = config.codec, len(config.skeleton), config.channels
        self.backbone = build_backbone(config.backbone, STRIDE)
        if len(self.backbone.strides) != len(config.widths):
            raise PosegError(
                f"{config.backbone} has features of {len(self.backbone.strides)} strides; give as many widths, "
                f"got {len(config.widths)}."
            )
        self.merge = Merge(self.backbone.channels, self.backbone.strides, STRIDE, config.widths, width)
        origin = STRIDE / 2 if block_aligned(config.backbone) else PIXEL_CENTRE
        self.heads = nn.ModuleDict()
        if JOINTS in config.tasks:
            half = config.crop_px / 2
            places = ExpectedPlaces(width, k, (origin / half - 1, STRIDE / half))
            self.heads["regression"] = Tower(width, config.blocks, JOINTS, places)
        if BONES in config.tasks:
            self.heads["bones"] = FullyConnected(
                width * BONE_CELLS**2, config.regression, {BONES: 3 * k}, config.dropout, bounded=True
            )
        kinds = {JOINT_WINDOWS: k, PART_WINDOWS: len(codec.parts)}
        held = {task: n for task, n in kinds.items() if task in config.tasks}
        if held:
            windows = WindowMaps(width, width, held, codec.windows, STRIDE, origin)
            self.heads["detection"] = Tower(width, config.blocks, "windows", windows)
        self.part = 1 / len(self.heads) if config.averaged else 1.0

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """What each task says, by name."""
        features = self.merge(self.backbone(image))
        said: dict[str, Tensor] = {}
        for name, head in self.heads.items():
            x = _shared(features, self.part if self.training else 1.0)
            said |= head(F.adaptive_avg_pool2d(x, BONE_CELLS) if name == "bones" else x)
        return said


def _shared(features: Tensor, part: float) -> Tensor:
    """The features; only `part` of a gradient comes back."""
    if part == 1:
        return features
    same: Tensor = Shared.apply(features, part)  # type: ignore[no-untyped-call]
    return same


class MultitaskLoss(nn.Module):
    """Squared error of joints or bones plus cross-entropy of windows: sums over outputs, means over crops (eq. 6)."""

    def __init__(self, config: Multitask) -> None:
        super().__init__()
        self.config = config
        self.shapes = {spec.name: spec.shape for spec in config.codec.specs}

    def normalisers(self, weights: Mapping[str, Tensor]) -> Tensor:
        """(1,) how many crops there are; those of the slices of a batch add up."""
        some = next(iter(weights.values()))
        return some.new_tensor([float(len(some))])

    def forward(
        self,
        fields: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        weights: Mapping[str, Tensor],
        normalisers: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Terms by task, unweighted, and their weighted sum as "total"; targets (B, ..., 1, 1), fields (B, C, 1, 1)."""
        crops = (self.normalisers(weights) if normalisers is None else normalisers)[0]
        config = self.config
        share = {
            JOINTS: config.regression_weight, BONES: config.regression_weight, JOINT_WINDOWS: config.joint_weight,
            PART_WINDOWS: config.part_weight,
        }  # fmt: skip
        terms: dict[str, Tensor] = {}
        for name, shape in self.shapes.items():
            field = fields[name].float().reshape(-1, *shape)
            target, weight = (array[name].reshape(len(field), *array[name].shape[1:-2]) for array in (targets, weights))
            if name in REGRESSION:
                gap = field - target
                error = gap.abs() if config.error == "absolute" else gap * gap
                terms[name] = (error.sum(dim=2) * weight).sum() / crops
            else:
                weight = weight * (1 + (config.positive_weight - 1) * target)
                terms[name] = F.binary_cross_entropy_with_logits(field, target, weight, reduction="sum") / crops
        total = torch.stack([share[name] * term for name, term in terms.items()]).sum()
        return {**terms, "total": total}
