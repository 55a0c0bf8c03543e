"""What the network is shown and what it makes of it, as one picture for the eye."""

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
from poseg.codecs.multitask import JOINT_WINDOWS, JOINTS, MultitaskCodec
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
from poseg.training.loader import View

Bytes = NDArray[np.uint8]
MIN_SCORE, MAX_PEOPLE = 0.1, 10
CROPS = 6
FIGURE_PX = 256


def training_picture(batch: Mapping[str, Any], fields: Mapping[str, Tensor], codec: BottomUpCodec, view: View) -> Bytes:
    """The first picture of a batch: with the people decoded from its fields, heatmaps wanted, heatmaps found.

    Returns (H, 3 W, 3) uint8 RGB for a batch of images (B, 3, H, W).
    """
    image = _shown(batch["image"][0], view)
    flat = {spec.name: fields[spec.name][0].float().cpu().numpy() for spec in codec.specs}
    found = Fields.from_flat(codec.specs, flat)
    choices = replace(codec.default_config, min_score=MIN_SCORE, max_people=MAX_PEOPLE)
    wanted = np.asarray(batch["targets"]["heatmap"][0].float().cpu().numpy(), np.float32)
    panels = [
        overlay(image, codec.decode(found, choices)),
        _heat(wanted, image),
        _heat(found.probability("heatmap"), image),
    ]
    return np.concatenate(panels, axis=1)


def window_picture(batch: Mapping[str, Any], fields: Mapping[str, Tensor], codec: Pose2SegCodec, view: View) -> Bytes:
    """The windows of the first picture of a batch, a row for each: what is seen with the pose, mask wanted, mask found.

    Returns (P 3 S, 9 S, 3) uint8 RGB, every window enlarged three times; the picture alone where it has no people.
    """
    image = _shown(batch["image"][0], view)
    back, joints = (batch["given"][name][0].double().cpu().numpy() for name in ("windows", "joints"))
    there = np.abs(np.linalg.det(back[:, :, :2])) > 0  # the others fill up the batch
    windows = AlignedCrops(
        np.array([affine.invert(matrix) for matrix in back[there]]).reshape(-1, 2, 3),
        np.zeros(there.sum(), np.intp), np.zeros(there.sum()), codec.crop_px,
    )  # fmt: skip
    points = [affine.apply(matrix, pose[:, :2]) for matrix, pose in zip(back[there], joints[there], strict=True)]
    people = People.from_poses(codec.skeleton, np.array(points), joints[there, :, 2])
    found = sigmoid(fields["mask"].float().cpu().numpy()[: len(there), 0][there])
    wanted = batch["targets"]["mask"][0].float().cpu().numpy()[there]
    return draw_crops(image, people, windows, wanted, found) if there.any() else image


def crop_picture(batch: Mapping[str, Any], fields: Mapping[str, Tensor], codec: MultitaskCodec, view: View) -> Bytes:
    """The first crops of a batch with the joints wanted, and below with those found: (2 S, n S, 3) uint8 RGB."""
    whole, columns = np.eye(2, 3)[None], []
    for row in range(min(len(batch["image"]), CROPS)):
        image = _shown(batch["image"][row], view)
        found = {spec.name: fields[spec.name][row : row + 1].float().cpu().numpy() for spec in codec.specs}
        wanted = {spec.name: batch["targets"][spec.name][row].float().cpu().numpy() for spec in codec.specs}
        true = {n: np.log((a + 1e-3) / (1.001 - a)) if n.endswith("windows") else a for n, a in wanted.items()}
        if JOINTS not in codec.tasks and JOINT_WINDOWS not in codec.tasks:
            return image
        people = [codec.decode(Fields(codec.specs, true), whole), codec.decode(codec.fields_from_outputs(found), whole)]
        columns.append(np.concatenate([overlay(image, one) for one in people]))
    return np.concatenate(columns, axis=1)


def paint_picture(batch: Mapping[str, Any], fields: Mapping[str, Tensor], view: View) -> Bytes:
    """The first windows of a batch with their limbs, what the finder knew of them, masks wanted, masks found.

    One below the other: (5 S, n S, 3) uint8 RGB.
    """
    columns = []
    for row in range(min(len(batch["image"]), CROPS)):
        planes = batch["image"][row].float().cpu().numpy()
        wanted = batch["targets"]["mask"][row].float().cpu().numpy().reshape(planes.shape[1:])
        found = sigmoid(fields["mask"][row, 0].float().cpu().numpy())
        limbs = np.maximum(_shown(batch["image"][row, :3], view), _grey(planes[5]))
        columns.append(np.concatenate([limbs, *map(_grey, (planes[3], (planes[4] + 1) / 2, wanted, found))]))
    return np.concatenate(columns, axis=1)


def _grey(plane: NDArray[np.float32]) -> Bytes:
    """Values (h, w) in [0, 1] as a picture."""
    return np.repeat(np.rint(255 * np.clip(plane, 0, 1)).astype(np.uint8)[..., None], 3, axis=2)


def lift_picture(batch: Mapping[str, Any], fields: Mapping[str, Tensor], codec: LiftingCodec) -> Bytes:
    """The first person of a batch: joints that went in, then in space, from the front and from the side.

    Joints wanted are above, those found below: (2 S, 3 S, 3) uint8 RGB.
    """
    read = batch["image"][0].float().cpu().numpy().reshape(-1, 3)
    wanted, found = (array[FIELD][0].float().cpu().numpy().reshape(-1, 3) for array in (batch["targets"], fields))
    rows = []
    for bones in (wanted, found):
        joints = from_parent_relative(bones, codec.skeleton)
        views = [(read[:, :2], read[:, 2]), *((joints[:, axes], np.ones(len(joints))) for axes in ([0, 1], [2, 1]))]
        rows.append(np.concatenate([_figure(points, sure, codec.skeleton) for points, sure in views], axis=1))
    return np.concatenate(rows)


def _figure(points: NDArray[np.float32], sure: NDArray[np.float32], skeleton: Skeleton) -> Bytes:
    """A pose that fills a dark square."""
    low, high = points[sure > 0].min(axis=0), points[sure > 0].max(axis=0)
    scale = 0.8 * FIGURE_PX / max(float((high - low).max()), 1e-6)
    placed = (points - (low + high) / 2) * scale + FIGURE_PX / 2
    ground = np.full((FIGURE_PX, FIGURE_PX, 3), 24, np.uint8)
    return overlay(ground, People.from_poses(skeleton, placed[None], sure[None]))


def _shown(tensor: Tensor, view: View) -> Bytes:
    """A normalised image (3, H, W) as it was: (H, W, 3) uint8."""
    image = tensor.float().cpu().numpy().transpose(1, 2, 0) * np.array(view.std) + np.array(view.mean)
    return np.ascontiguousarray(np.clip(np.rint(image), 0, 255).astype(np.uint8))


def _heat(heatmap: NDArray[np.float32], image: Bytes) -> Bytes:
    """The surest joint at each cell (K, h, w), glowing over the darkened picture."""
    size = (image.shape[1], image.shape[0])
    likely = np.clip(cv2.resize(heatmap.max(axis=0), size, interpolation=cv2.INTER_LINEAR), 0, 1)
    glow = cv2.applyColorMap(np.rint(255 * likely).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    return np.asarray(cv2.addWeighted(np.ascontiguousarray(glow), 0.75, image, 0.25, 0), np.uint8)
