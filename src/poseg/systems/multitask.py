"""The multi-task pose network in one file: config, network, codec and loss, in 2D and in 3D.

Pose regression is trained together with the detection of joints and parts in sliding windows over the crop (Li, Liu and
Chan, CVPRW 2014; Li and Chan, ACCV 2014): as published, or behind a modern backbone.

Letters: B crops, each of one person; K joints, m x m windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from poseg.codecs.multitask import BONES, JOINT_WINDOWS, JOINTS, PART_WINDOWS, MultitaskCodec
from poseg.errors import PosegError
from poseg.geometry.grid import PIXEL_CENTRE
from poseg.losses.masked import Tensors
from poseg.networks.backbones.build import Normalisation, block_aligned, build_backbone, input_normalisation
from poseg.networks.backbones.li2014 import CROP_PX, Li2014Backbone
from poseg.networks.heads.crop_heads import ConvTower, FullyConnected, ScaleGradient, SlidingWindowHead, SoftArgmax
from poseg.networks.necks.fpn import FeatureMerge
from poseg.skeletons import LSP14, Pair, Skeleton

PAPER_BACKBONE = "li2014"
STRIDE = 8
REGRESSION, DETECTION = (JOINTS, BONES), (JOINT_WINDOWS, PART_WINDOWS)
REGRESSION_LOSSES = ("mse", "l1")
BONE_POOL = 5  # bones are regressed from features pooled to so many cells on each axis


@dataclass(frozen=True, slots=True)
class Multitask:
    """A multi-task system; the defaults are the published network, on the joints of LSP.

    skeleton, tasks, parts, crop_px, padding, window_px, window_stride_px, window_labels, bone_scale_mm   of the codec
    backbone                "li2014" as published, with fully connected heads; or a name of `networks.backbones.build`
                            that has features at stride 8, with convolutional heads
    widths                  channels that the features of each stride contribute, finest first
    channels                of the merged features
    blocks                  separable blocks of each task's own
    regression_hidden       width of the two hidden layers of the fully connected regressor
    detection_hidden        and of the detectors
    dropout                 after the first of them
    regression_loss         "mse" as published, or "l1"
    regression_weight, joint_weight, part_weight   of the terms
    positive_weight         of windows that contain something, which are few
    average_task_gradients  the backbone gets the mean of the tasks' gradients, as published, or their sum
    """

    skeleton: Skeleton = LSP14
    tasks: tuple[str, ...] = (JOINTS, JOINT_WINDOWS, PART_WINDOWS)
    parts: tuple[Pair, ...] = ()
    crop_px: int = CROP_PX
    padding: float = 0.15
    window_px: int = 30
    window_stride_px: int = 12
    window_labels: str = "all"
    bone_scale_mm: float = 1200.0
    backbone: str = PAPER_BACKBONE
    widths: tuple[int, ...] = (32, 64, 128)
    channels: int = 128
    blocks: int = 2
    regression_hidden: tuple[int, int] = (1024, 2048)
    detection_hidden: tuple[int, int] = (1024, 1024)
    dropout: float = 0.25
    regression_loss: str = "mse"
    regression_weight: float = 0.5
    joint_weight: float = 0.5
    part_weight: float = 0.5
    positive_weight: float = 1.0
    average_task_gradients: bool = True

    size_offset: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if self.regression_loss not in REGRESSION_LOSSES:
            raise PosegError(
                f"`regression_loss` is one of {', '.join(REGRESSION_LOSSES)}, got {self.regression_loss!r}."
            )
        if self.backbone == PAPER_BACKBONE and self.crop_px != CROP_PX:
            raise PosegError(
                f"The published network takes crops of {CROP_PX} px, got crop_px={self.crop_px}; "
                "other sizes need a backbone."
            )
        if self.backbone != PAPER_BACKBONE and not block_aligned(self.backbone) and self.crop_px % 32 != 1:
            raise PosegError(f"{self.backbone} takes crops of 32 n + 1 px, such as 193; got crop_px={self.crop_px}.")

    @property
    def codec(self) -> MultitaskCodec:
        """The codec that encodes this system's targets and decodes its fields."""
        return MultitaskCodec(
            self.skeleton, self.tasks, self.parts, self.crop_px, self.padding, self.window_px, self.window_stride_px,
            self.window_labels, self.bone_scale_mm,
        )  # fmt: skip

    @property
    def normalisation(self) -> Normalisation:
        """Mean and standard deviation of the RGB values (0..255) of the network's input."""
        return ((127.5,) * 3, (58.0,) * 3) if self.backbone == PAPER_BACKBONE else input_normalisation(self.backbone)

    @property
    def size_divisor(self) -> int:
        """Sides of the input are the crop's."""
        return self.crop_px

    def network(self) -> nn.Module:
        """A fresh network with random weights."""
        return PaperNetwork(self) if self.backbone == PAPER_BACKBONE else FullyConvNetwork(self)

    def loss(self) -> MultitaskLoss:
        """The loss that goes with the codec's targets."""
        return MultitaskLoss(self)


class PaperNetwork(nn.Module):
    """Three convolutions, then three fully connected layers for regression and three for detection.

    Input: normalised crops (B, 3, 112, 112). Output: (B, C, 1, 1) by the name of the task.
    """

    def __init__(self, config: Multitask) -> None:
        super().__init__()
        self.backbone = Li2014Backbone()
        with torch.no_grad():
            features = self.backbone(torch.zeros(1, 3, config.crop_px, config.crop_px))[-1]
        channels = {spec.name: spec.channels for spec in config.codec.specs}
        self.heads = nn.ModuleDict()
        for name, tasks, hidden in (
            ("regression", REGRESSION, config.regression_hidden),
            ("detection", DETECTION, config.detection_hidden),
        ):
            outputs = {task: n for task, n in channels.items() if task in tasks}
            if outputs:
                self.heads[name] = FullyConnected(
                    features.numel(), hidden, outputs, config.dropout, tanh=name == "regression"
                )
        self.gradient_scale = 1 / len(self.heads) if config.average_task_gradients else 1.0

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Each task's outputs by name."""
        features = self.backbone(image)[-1]
        outputs: dict[str, Tensor] = {}
        for head in self.heads.values():
            outputs |= head(_scaled_gradient(features, self.gradient_scale if self.training else 1.0))
        return outputs


class FullyConvNetwork(nn.Module):
    """A modern backbone, its strides merged, then a convolutional tower for each kind of task.

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
        self.merge = FeatureMerge(self.backbone.channels, self.backbone.strides, STRIDE, config.widths, width)
        origin = STRIDE / 2 if block_aligned(config.backbone) else PIXEL_CENTRE
        self.heads = nn.ModuleDict()
        if JOINTS in config.tasks:
            half = config.crop_px / 2
            soft_argmax = SoftArgmax(width, k, (origin / half - 1, STRIDE / half))
            self.heads["regression"] = ConvTower(width, config.blocks, JOINTS, soft_argmax)
        if BONES in config.tasks:
            self.heads["bones"] = FullyConnected(
                width * BONE_POOL**2, config.regression_hidden, {BONES: 3 * k}, config.dropout, tanh=True
            )
        kinds = {JOINT_WINDOWS: k, PART_WINDOWS: len(codec.parts)}
        detected = {task: n for task, n in kinds.items() if task in config.tasks}
        if detected:
            windows = SlidingWindowHead(width, width, detected, codec.windows, STRIDE, origin)
            self.heads["detection"] = ConvTower(width, config.blocks, "windows", windows)
        self.gradient_scale = 1 / len(self.heads) if config.average_task_gradients else 1.0

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Each task's outputs by name."""
        features = self.merge(self.backbone(image))
        outputs: dict[str, Tensor] = {}
        for name, head in self.heads.items():
            x = _scaled_gradient(features, self.gradient_scale if self.training else 1.0)
            outputs |= head(F.adaptive_avg_pool2d(x, BONE_POOL) if name == "bones" else x)
        return outputs


def _scaled_gradient(features: Tensor, scale: float) -> Tensor:
    """The features; their gradient is scaled."""
    if scale == 1:
        return features
    same: Tensor = ScaleGradient.apply(features, scale)  # type: ignore[no-untyped-call]
    return same


class MultitaskLoss(nn.Module):
    """Regression of joints or bones plus cross-entropy of windows: sums over outputs, means over crops (eq. 6)."""

    def __init__(self, config: Multitask) -> None:
        super().__init__()
        self.config = config
        self.shapes = {spec.name: spec.shape for spec in config.codec.specs}

    def normalisers(self, weights: Tensors) -> Tensor:
        """(1,) the number of crops; those of the micro-batches of a batch add up."""
        first = next(iter(weights.values()))
        return first.new_tensor([float(len(first))])

    def forward(
        self, fields: Tensors, targets: Tensors, weights: Tensors, normalisers: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Terms by task, unweighted, and their weighted sum as "total"; targets (B, ..., 1, 1), fields (B, C, 1, 1)."""
        crops = (self.normalisers(weights) if normalisers is None else normalisers)[0]
        config = self.config
        term_weights = {
            JOINTS: config.regression_weight, BONES: config.regression_weight, JOINT_WINDOWS: config.joint_weight,
            PART_WINDOWS: config.part_weight,
        }  # fmt: skip
        terms: dict[str, Tensor] = {}
        for name, shape in self.shapes.items():
            field = fields[name].float().reshape(-1, *shape)
            target, weight = (array[name].reshape(len(field), *array[name].shape[1:-2]) for array in (targets, weights))
            if name in REGRESSION:
                error = field - target
                error = error.abs() if config.regression_loss == "l1" else error * error
                terms[name] = (error.sum(dim=2) * weight).sum() / crops
            else:
                weight = weight * (1 + (config.positive_weight - 1) * target)
                terms[name] = F.binary_cross_entropy_with_logits(field, target, weight, reduction="sum") / crops
        total = torch.stack([term_weights[name] * term for name, term in terms.items()]).sum()
        return {**terms, "total": total}
