"""Distillation: a teacher network's fields of an image, kept on disk and merged into targets.

Labels made by people or by keypoint networks miss people. A teacher with dense fields fills the gaps: its person map
where no mask is annotated, its long offsets where these are missing, and its heatmaps to discount negatives (a cell
where the teacher predicts a joint is no background).

Letters: K joints, h x w cells of the teacher's grid.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.codecs.personlab import PersonLabCodec
from poseg.codecs.targets import Targets
from poseg.fields import Fields, sigmoid
from poseg.fields.offsets import refine
from poseg.geometry import affine
from poseg.transforms.letterbox import Letterbox

Floats = NDArray[np.float32]

PERSON_THRESHOLD = 0.5  # a cell is the teacher's person above this
REFINE_STEPS = 2  # of the teacher's long offsets, by themselves and then by its short ones (spec section 4)
TEACHER_LONG_WEIGHT = 0.3  # a teacher's long offsets count less than labelled ones


@dataclass(frozen=True, slots=True, eq=False)
class TeacherFields:
    """A teacher's fields over one image, in image pixels.

    heatmap         (K, h, w) probabilities
    segmentation    (h, w) probabilities
    long_offsets    (K, 2, h, w) refined, image pixels
    cells_to_image  (2, 3) map from the teacher's cells (column, row) to image coordinates
    stride          pixels of the teacher's input between its cells
    """

    heatmap: Floats
    segmentation: Floats
    long_offsets: Floats
    cells_to_image: NDArray[np.float64]
    stride: int

    @classmethod
    def from_fields(cls, fields: Fields, letterbox: Letterbox) -> TeacherFields:
        """What a teacher predicts for a letterboxed image."""
        scale = np.asarray(letterbox.scale_xy, np.float64)
        grid = fields.grid
        cells_to_image = np.column_stack([np.diag(grid.stride / scale), grid.origin / scale])
        k, (rows, columns) = len(fields["heatmap"]), fields.shape_hw
        at = grid.positions(rows, columns).reshape(2, -1).T  # (h w, 2)
        joint = np.repeat(np.arange(k), len(at))
        points = at + fields["long_offsets"].reshape(k, 2, -1).transpose(0, 2, 1)  # (K, h w, 2)
        points = refine(points.reshape(-1, 2), fields["long_offsets"], joint, grid, REFINE_STEPS)
        points = refine(points, fields["short_offsets"], joint, grid, REFINE_STEPS)
        long = (points.reshape(k, -1, 2) - at).transpose(0, 2, 1).reshape(k, 2, rows, columns)
        return cls(
            sigmoid(fields["heatmap"]),
            sigmoid(fields["segmentation"]),
            (long / scale.astype(np.float32)[:, None, None]).astype(np.float32),
            cells_to_image,
            grid.stride,
        )

    def save(self, path: Path) -> None:
        """Write to `path` (.npz), in half precision; a killed run leaves no incomplete file behind."""
        part = path.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as file:
            np.savez(
                file,
                heatmap=self.heatmap.astype(np.float16),
                segmentation=self.segmentation.astype(np.float16),
                long_offsets=self.long_offsets.astype(np.float16),
                placement=self.cells_to_image,
                stride=np.array(self.stride),
            )
        part.replace(path)

    @classmethod
    def read(cls, path: Path) -> TeacherFields:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            heatmap, segmentation, long = (
                file[name].astype(np.float32) for name in ("heatmap", "segmentation", "long_offsets")
            )
            return cls(heatmap, segmentation, long, file["placement"], int(file["stride"]))

    def warped(self, matrix: affine.Matrix, codec: PersonLabCodec, cells: tuple[int, int]) -> TeacherFields:
        """The same fields on the codec's grid over the canvas that `matrix` maps the image to.

        Offsets rotate with the map; a flipping map swaps left and right joints.
        """
        k = len(self.heatmap)
        grid, to_canvas = codec.grid, affine.compose(matrix, self.cells_to_image)
        to_cells = np.column_stack([to_canvas[:, :2], to_canvas[:, 2] - grid.origin]) / grid.stride
        flat_long = self.long_offsets.reshape(2 * k, *self.segmentation.shape)
        stack = np.concatenate([self.heatmap, self.segmentation[None], flat_long])
        warped = cv2.warpAffine(
            np.ascontiguousarray(stack.transpose(1, 2, 0)), to_cells, cells[::-1],
            flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE,
        ).transpose(2, 0, 1)  # fmt: skip
        heatmap, segmentation, long = warped[:k], warped[k], warped[k + 1 :].reshape(k, 2, *cells)
        long = np.einsum("ab,kbhw->kahw", matrix[:, :2].astype(np.float32), long)
        if np.linalg.det(matrix[:, :2]) < 0:
            heatmap, long = heatmap[codec.skeleton.flip_index], long[codec.skeleton.flip_index]
        # A disk has the same radius in every input, so a teacher whose input was larger has smaller disks.
        ratio = np.sqrt(abs(np.linalg.det(to_canvas[:, :2]))) / self.stride  # canvas pixels in one of the teacher's
        reach = int(np.ceil(codec.disk_radius_px * max(0.0, 1 - ratio) / codec.stride))
        if reach:
            kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
            heatmap = np.stack([cv2.dilate(np.ascontiguousarray(h), kernel) for h in heatmap])
        heatmap, segmentation = (np.ascontiguousarray(a, np.float32) for a in (heatmap, segmentation))
        return TeacherFields(heatmap, segmentation, long, np.eye(2, 3), self.stride)

    def without(self, cells: NDArray[np.bool_]) -> TeacherFields:
        """The same fields with no people in `cells` (h, w), such as under people who were pasted over the image."""
        heatmap, segmentation = (np.where(cells, np.float32(0), a) for a in (self.heatmap, self.segmentation))
        return replace(self, heatmap=heatmap, segmentation=segmentation)


def teacher_path(folder: Path, key: str) -> Path:
    """Where the fields of an image are stored."""
    return folder / (key.replace("/", "__") + ".npz")


def find_teacher_fields(folder: Path | None, key: str) -> TeacherFields | None:
    """The fields of an image, where a folder is given that has them."""
    path = None if folder is None else teacher_path(folder, key)
    return TeacherFields.read(path) if path is not None and path.exists() else None


def merge_teacher(
    targets: Targets, teacher: TeacherFields, on_image: NDArray[np.bool_], *, exhaustive: bool
) -> Targets:
    """Targets with a teacher's fields where there are no labels.

    on_image    (h, w) cells on the image, not on padding
    exhaustive  whether every person of the image is labelled, so that what lies outside all masks is background
                whatever the teacher predicts
    """
    heat_weight = targets.weights["heatmap"]
    person, person_weight = targets.targets["segmentation"], targets.weights["segmentation"]
    long, long_weight = targets.targets["long_offsets"], targets.weights["long_offsets"]
    if not exhaustive:
        negative = targets.targets["heatmap"] < 0.5
        heat_weight = np.where(negative, heat_weight * np.clip(1 - 2 * teacher.heatmap, 0, 1), heat_weight)
        person = np.where(person_weight > 0, np.maximum(person, teacher.segmentation), person)
    unlabelled = (person_weight == 0) & on_image
    person = np.where(unlabelled, teacher.segmentation, person)
    person_weight = np.where(unlabelled, 1, person_weight)
    unsupervised = (long_weight.max(axis=0) == 0) & on_image & (teacher.segmentation > PERSON_THRESHOLD)
    long = np.where(unsupervised, teacher.long_offsets, long)
    long_weight = np.where(unsupervised, TEACHER_LONG_WEIGHT, long_weight)
    return Targets(
        targets.specs,
        targets={**targets.targets, "segmentation": _floats(person), "long_offsets": _floats(long)},
        weights={
            **targets.weights,
            "heatmap": _floats(heat_weight),
            "segmentation": _floats(person_weight),
            "long_offsets": _floats(long_weight),
        },
    )


def _floats(array: NDArray[np.floating]) -> Floats:
    return np.asarray(array, np.float32)
