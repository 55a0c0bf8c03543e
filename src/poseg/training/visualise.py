"""Images of a training step: the input, the targets and what the network predicts, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from poseg.codecs import BottomUpCodec
from poseg.codecs.lifting import FIELD, LiftingCodec
from poseg.codecs.mask_refiner import MaskRefinerCodec
from poseg.codecs.multitask import BONES, MultitaskCodec
from poseg.codecs.pose2seg import Pose2SegCodec
from poseg.draw import overlay
from poseg.draw.overlay import draw_crops
from poseg.fields import Fields
from poseg.fields.align import AlignedCrops
from poseg.fields.spec import sigmoid
from poseg.geometry import affine
from poseg.people import People
from poseg.skeletons import Skeleton
from poseg.skeletons.bones import from_parent_relative
from poseg.training.dataset import TrainInput

Bytes = NDArray[np.uint8]
Batch = Mapping[str, Any]
MIN_SCORE, MAX_PEOPLE = 0.1, 10
CROPS = 6
FIGURE_PX = 256


def draw_batch_fields(batch: Batch, fields: Mapping[str, Tensor], codec: BottomUpCodec, config: TrainInput) -> Bytes:
    """The first image of a batch: with the people decoded from its fields, target heatmaps, predicted heatmaps.

    Returns (H, 3 W, 3) uint8 RGB for a batch of images (B, 3, H, W).
    """
    image = _denormalise(batch["image"][0], config)
    flat = {spec.name: fields[spec.name][0].float().cpu().numpy() for spec in codec.specs}
    predicted = Fields.from_flat(codec.specs, flat)
    decoder = replace(codec.default_config, min_score=MIN_SCORE, max_people=MAX_PEOPLE)
    target = np.asarray(batch["targets"]["heatmap"][0].float().cpu().numpy(), np.float32)
    panels = [
        overlay(image, codec.decode(predicted, decoder)),
        _overlay_heatmap(target, image),
        _overlay_heatmap(predicted.probability("heatmap"), image),
    ]
    return np.concatenate(panels, axis=1)


def draw_batch_pose2seg(batch: Batch, fields: Mapping[str, Tensor], codec: Pose2SegCodec, config: TrainInput) -> Bytes:
    """The crops of the first image of a batch, a row for each: with the pose, target mask, predicted mask.

    Returns (P 3 S, 9 S, 3) uint8 RGB, every crop enlarged three times; the image alone where it has no people.
    """
    image = _denormalise(batch["image"][0], config)
    to_image, joints = (batch["inputs"][name][0].double().cpu().numpy() for name in ("windows", "joints"))
    rows = np.abs(np.linalg.det(to_image[:, :, :2])) > 0  # the others fill up the batch
    crops = AlignedCrops(
        np.array([affine.invert(matrix) for matrix in to_image[rows]]).reshape(-1, 2, 3),
        np.zeros(rows.sum(), np.intp), np.zeros(rows.sum()), codec.crop_px,
    )  # fmt: skip
    points = [affine.apply(matrix, pose[:, :2]) for matrix, pose in zip(to_image[rows], joints[rows], strict=True)]
    people = People.from_poses(codec.skeleton, np.array(points), joints[rows, :, 2])
    predicted = sigmoid(fields["mask"].float().cpu().numpy()[: len(rows), 0][rows])
    target = batch["targets"]["mask"][0].float().cpu().numpy()[rows]
    return draw_crops(image, people, crops, target, predicted) if rows.any() else image


def draw_batch_crops(batch: Batch, fields: Mapping[str, Tensor], codec: MultitaskCodec, config: TrainInput) -> Bytes:
    """The first crops of a batch with the target joints, and below with the predicted ones: (2 h, n w, 3) uint8 RGB."""
    identity, columns = np.eye(2, 3)[None], []
    for row in range(min(len(batch["image"]), CROPS)):
        image = _denormalise(batch["image"][row], config)
        predicted = {spec.name: fields[spec.name][row : row + 1].float().cpu().numpy() for spec in codec.specs}
        target = {spec.name: batch["targets"][spec.name][row].float().cpu().numpy() for spec in codec.specs}
        logits = {n: np.log((a + 1e-3) / (1.001 - a)) if n.endswith("windows") else a for n, a in target.items()}
        if codec.tasks == (BONES,):
            return image
        both = (Fields(codec.specs, logits), codec.fields_from_outputs(predicted))
        columns.append(np.concatenate([overlay(image, codec.decode(one, identity)) for one in both]))
    return np.concatenate(columns, axis=1)


def draw_batch_refiner(
    batch: Batch, fields: Mapping[str, Tensor], codec: MaskRefinerCodec, config: TrainInput
) -> Bytes:
    """The first crops of a batch with their limbs, the detector's cues, target masks, predicted masks.

    One below the other: (5 S, n S, 3) uint8 RGB.
    """
    columns = []
    for row in range(min(len(batch["image"]), CROPS)):
        channels = batch["image"][row].float().cpu().numpy()
        target = batch["targets"]["mask"][row].float().cpu().numpy().reshape(channels.shape[1:])
        predicted = sigmoid(fields["mask"][row, 0].float().cpu().numpy())
        limbs = np.maximum(_denormalise(batch["image"][row, :3], config), _to_uint8(channels[5]))
        panels = (channels[3], (channels[4] + 1) / 2, target, predicted)
        columns.append(np.concatenate([limbs, *map(_to_uint8, panels)]))
    return np.concatenate(columns, axis=1)


def draw_batch_lifter(batch: Batch, fields: Mapping[str, Tensor], codec: LiftingCodec, config: TrainInput) -> Bytes:
    """The first person of a batch: the input joints, then in 3D, from the front and from the side.

    Target joints above, predicted ones below: (2 S, 3 S, 3) uint8 RGB.
    """
    inputs = batch["image"][0].float().cpu().numpy().reshape(-1, 3)
    both = (array[FIELD][0].float().cpu().numpy().reshape(-1, 3) for array in (batch["targets"], fields))
    rows = []
    for bones in both:
        joints = from_parent_relative(bones, codec.skeleton)
        views = [(inputs[:, :2], inputs[:, 2]), *((joints[:, axes], np.ones(len(joints))) for axes in ([0, 1], [2, 1]))]
        rows.append(np.concatenate([_figure(points, scores, codec.skeleton) for points, scores in views], axis=1))
    return np.concatenate(rows)


def _figure(points: NDArray[np.float32], scores: NDArray[np.float32], skeleton: Skeleton) -> Bytes:
    """A pose that fills a dark square."""
    low, high = points[scores > 0].min(axis=0), points[scores > 0].max(axis=0)
    scale = 0.8 * FIGURE_PX / max(float((high - low).max()), 1e-6)
    centred = (points - (low + high) / 2) * scale + FIGURE_PX / 2
    background = np.full((FIGURE_PX, FIGURE_PX, 3), 24, np.uint8)
    return overlay(background, People.from_poses(skeleton, centred[None], scores[None]))


def _to_uint8(plane: NDArray[np.float32]) -> Bytes:
    """Values (h, w) in [0, 1] as an image (h, w, 3)."""
    return np.repeat(np.rint(255 * np.clip(plane, 0, 1)).astype(np.uint8)[..., None], 3, axis=2)


def _denormalise(tensor: Tensor, config: TrainInput) -> Bytes:
    """A normalised image (3, H, W) as it was: (H, W, 3) uint8."""
    image = tensor.float().cpu().numpy().transpose(1, 2, 0) * np.array(config.std) + np.array(config.mean)
    return np.ascontiguousarray(np.clip(np.rint(image), 0, 255).astype(np.uint8))


def _overlay_heatmap(heatmap: NDArray[np.float32], image: Bytes) -> Bytes:
    """The most likely joint of each cell (K, h, w), as light on the darkened image."""
    size = (image.shape[1], image.shape[0])
    highest = np.clip(cv2.resize(heatmap.max(axis=0), size, interpolation=cv2.INTER_LINEAR), 0, 1)
    glow = cv2.applyColorMap(np.rint(255 * highest).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    return np.asarray(cv2.addWeighted(np.ascontiguousarray(glow), 0.75, image, 0.25, 0), np.uint8)
