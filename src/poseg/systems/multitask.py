"""The multi-task pose network in one file: config, network, codec and loss, in 2D and in 3D.

Joints are estimated together with the detection of joints and parts in sliding windows over the crop (Li, Liu and
Chan, CVPRW 2014; Li and Chan, ACCV 2014): regressed as published, or as heatmaps of a Lite-HRNet.

Letters: B crops, each of one person; K joints, h x w cells, m windows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from poseg.codecs.multitask import (
    BONES,
    HEATMAP,
    HEATMAP_GRID,
    JOINT_WINDOWS,
    JOINTS,
    PART_WINDOWS,
    MultitaskCodec,
)
from poseg.errors import PosegError
from poseg.losses.masked import Tensors
from poseg.networks.backbones.build import MEAN_STD_IMAGENET, Normalisation
from poseg.networks.backbones.li2014 import CROP_PX, Li2014Backbone
from poseg.networks.backbones.lite_hrnet import LiteHRNetPose
from poseg.networks.heads.crop_heads import ConvTower, FullyConnected, ScaleGradient, SlidingWindowHead
from poseg.skeletons import LSP14, Pair, Skeleton

PAPER_BACKBONE, LITE_HRNET = BACKBONES = ("li2014", "lite_hrnet")
REGRESSION, DETECTION = (JOINTS, BONES), (JOINT_WINDOWS, PART_WINDOWS)
COARSEST_STRIDE = 32  # of Lite-HRNet


@dataclass(frozen=True, slots=True)
class Multitask:
    """A multi-task system; the defaults are the published network, on the joints of LSP.

    skeleton, tasks, parts, crop_size_px, padding, window_px, window_stride_px, window_labels, bone_scale_mm
                            of the codec
    backbone                "li2014" as published, with fully connected heads for the tasks "joints" and "bones"; or
                            "lite_hrnet", whose task is "heatmap"; both detect
    blocks                  separable blocks of the detectors on Lite-HRNet's features
    regression_hidden       width of the two hidden layers of the fully connected regressor
    detection_hidden        and of the detectors; on Lite-HRNet's features the first is that of its one hidden layer
    dropout                 after the first of them
    regression_weight, joint_weight, part_weight   of the terms; heatmaps are regressed too
    positive_weight         of windows that contain something, which are few
    average_task_gradients  the backbone gets the mean of the tasks' gradients, as published, or their sum
    """

    skeleton: Skeleton = LSP14
    tasks: tuple[str, ...] = (JOINTS, JOINT_WINDOWS, PART_WINDOWS)
    parts: tuple[Pair, ...] = ()
    crop_size_px: tuple[int, int] = (CROP_PX, CROP_PX)
    padding: float = 0.15
    window_px: int = 30
    window_stride_px: int = 12
    window_labels: str = "all"
    bone_scale_mm: float = 1200.0
    backbone: str = PAPER_BACKBONE
    blocks: int = 2
    regression_hidden: tuple[int, int] = (1024, 2048)
    detection_hidden: tuple[int, int] = (1024, 1024)
    dropout: float = 0.25
    regression_weight: float = 0.5
    joint_weight: float = 0.5
    part_weight: float = 0.5
    positive_weight: float = 1.0
    average_task_gradients: bool = True

    size_offset: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if self.backbone not in BACKBONES:
            raise PosegError(f"`backbone` is one of {', '.join(BACKBONES)}, got {self.backbone!r}.")
        refused = REGRESSION if self.backbone == LITE_HRNET else (HEATMAP,)
        if any(task in refused for task in self.tasks) or (self.backbone == LITE_HRNET and HEATMAP not in self.tasks):
            raise PosegError(
                f"Heatmaps are the task of {LITE_HRNET}, {' and '.join(REGRESSION)} those of {PAPER_BACKBONE}; "
                f"{self.backbone} cannot have the tasks {', '.join(self.tasks)}."
            )
        if self.backbone == PAPER_BACKBONE and self.crop_size_px != (CROP_PX, CROP_PX):
            raise PosegError(
                f"The published network takes crops of {CROP_PX} x {CROP_PX} px, "
                f"got crop_size_px={self.crop_size_px}; other sizes need {LITE_HRNET}."
            )
        if self.backbone == LITE_HRNET and any(side % COARSEST_STRIDE for side in self.crop_size_px):
            raise PosegError(f"{LITE_HRNET} takes crops of 32 n x 32 m px; got crop_size_px={self.crop_size_px}.")

    @property
    def codec(self) -> MultitaskCodec:
        """The codec that encodes this system's targets and decodes its fields."""
        return MultitaskCodec(
            self.skeleton, self.tasks, self.parts, self.crop_size_px, self.padding, self.window_px,
            self.window_stride_px, self.window_labels, self.bone_scale_mm,
        )  # fmt: skip

    @property
    def normalisation(self) -> Normalisation:
        """Mean and standard deviation of the RGB values (0..255) of the network's input."""
        return ((127.5,) * 3, (58.0,) * 3) if self.backbone == PAPER_BACKBONE else MEAN_STD_IMAGENET

    @property
    def size_divisor(self) -> int:
        """Sides of the input are the crop's, both multiples of this."""
        return math.gcd(*self.crop_size_px)

    def network(self) -> nn.Module:
        """A fresh network with random weights."""
        return PaperNetwork(self) if self.backbone == PAPER_BACKBONE else HeatmapNetwork(self)

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
            features = self.backbone(torch.zeros(1, 3, *config.crop_size_px))[-1]
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


class HeatmapNetwork(LiteHRNetPose):
    """Lite-HRNet, its features merged, then a heatmap for each joint, and a convolutional tower that detects.

    Input: normalised crops (B, 3, H, W). Output: (B, C, 1, 1) by the name of the task, heatmaps flattened.
    """

    pretrained = ("backbone", "head")  # read by `training.optim`

    def __init__(self, config: Multitask) -> None:
        super().__init__(joints=len(config.skeleton))
        kinds = {JOINT_WINDOWS: len(config.skeleton), PART_WINDOWS: len(config.codec.parts)}
        detected = {task: n for task, n in kinds.items() if task in config.tasks}
        width = self.backbone.channels[0]
        self.heads = nn.ModuleDict()
        if detected:
            windows = SlidingWindowHead(width, config.detection_hidden[0], detected, config.codec.windows, HEATMAP_GRID)
            self.heads["detection"] = ConvTower(width, config.blocks, "windows", windows)
        self.gradient_scale = 1 / (1 + len(self.heads)) if config.average_task_gradients else 1.0

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Each task's outputs by name."""
        features = self.head.features(self.backbone(image))
        shared = _scaled_gradient(features, self.gradient_scale if self.training else 1.0)
        outputs: dict[str, Tensor] = {HEATMAP: self.head.heatmap(shared).flatten(1)[..., None, None]}
        for head in self.heads.values():
            outputs |= head(shared)
        return outputs


def _scaled_gradient(features: Tensor, scale: float) -> Tensor:
    """The features; their gradient is scaled."""
    if scale == 1:
        return features
    same: Tensor = ScaleGradient.apply(features, scale)  # type: ignore[no-untyped-call]
    return same


class MultitaskLoss(nn.Module):
    """Squared errors of joints, bones or heatmaps plus cross-entropy of windows (eq. 6).

    Sums over outputs, but means over the cells of a heatmap; means over crops.
    """

    def __init__(self, config: Multitask) -> None:
        super().__init__()
        self.shapes = {spec.name: spec.shape for spec in config.codec.specs}
        self.positive_weight = config.positive_weight
        detection = {JOINT_WINDOWS: config.joint_weight, PART_WINDOWS: config.part_weight}
        self.term_weights = {name: detection.get(name, config.regression_weight) for name in self.shapes}

    def normalisers(self, weights: Tensors) -> Tensor:
        """(1,) the number of crops; those of the micro-batches of a batch add up."""
        first = next(iter(weights.values()))
        return first.new_tensor([float(len(first))])

    def forward(
        self, fields: Tensors, targets: Tensors, weights: Tensors, normalisers: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Terms by task, unweighted, and their weighted sum as "total"; targets (B, ..., 1, 1), fields (B, C, 1, 1)."""
        crops = (self.normalisers(weights) if normalisers is None else normalisers)[0]
        terms: dict[str, Tensor] = {}
        for name, shape in self.shapes.items():
            field = fields[name].float().reshape(-1, *shape)
            target, weight = (array[name].reshape(len(field), *array[name].shape[1:-2]) for array in (targets, weights))
            if name in DETECTION:
                weight = weight * (1 + (self.positive_weight - 1) * target)
                terms[name] = F.binary_cross_entropy_with_logits(field, target, weight, reduction="sum") / crops
            else:
                error = ((field - target) ** 2).flatten(2)
                error = error.mean(dim=2) if name == HEATMAP else error.sum(dim=2)
                terms[name] = (error * weight).sum() / crops
        total = torch.stack([self.term_weights[name] * term for name, term in terms.items()]).sum()
        return {**terms, "total": total}
