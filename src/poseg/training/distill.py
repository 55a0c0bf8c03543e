"""What a teacher network says about a picture, kept on disk and blended into targets.

Labels made by people or by keypoint networks miss people. A teacher with dense fields fills the gaps: its person map
where no mask is known, its long offsets where no embedding is known, and its heatmaps as a doubt about negatives
(a cell where the teacher sees a joint is no background).

Letters: K joints, h x w cells of the teacher's grid.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
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

PERSON = 0.5  # a cell is the teacher's person above this
REFINE_STEPS = 2  # of the teacher's long offsets, by themselves and then by its short ones (spec section 4)
LONG_WEIGHT = 0.3  # a teacher's embedding counts less than a labelled one


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """A teacher's fields over one picture, in picture pixels.

    heatmap       (K, h, w) probabilities
    segmentation  (h, w) probabilities
    long_offsets  (K, 2, h, w) refined, picture pixels
    placement     (2, 3) map from the teacher's cells (column, row) to picture coordinates
    stride        pixels of the teacher's input between its cells
    """

    heatmap: Floats
    segmentation: Floats
    long_offsets: Floats
    placement: NDArray[np.float64]
    stride: int

    @classmethod
    def from_fields(cls, fields: Fields, box: Letterbox) -> Lesson:
        """Take down what a teacher put out for a letterboxed picture."""
        scale = np.asarray(box.scale_xy, np.float64)
        grid = fields.grid
        placement = np.column_stack([np.diag(grid.stride / scale), grid.origin / scale])
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
            placement,
            grid.stride,
        )

    def save(self, path: Path) -> None:
        """Write to `path` (.npz), half precision; a killed run leaves no half file behind."""
        half = path.with_suffix(f".{os.getpid()}.part")
        with half.open("wb") as file:
            np.savez(
                file,
                heatmap=self.heatmap.astype(np.float16),
                segmentation=self.segmentation.astype(np.float16),
                long_offsets=self.long_offsets.astype(np.float16),
                placement=self.placement,
                stride=np.array(self.stride),
            )
        half.replace(path)

    @classmethod
    def read(cls, path: Path) -> Lesson:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            heatmap, segmentation, long = (
                file[name].astype(np.float32) for name in ("heatmap", "segmentation", "long_offsets")
            )
            return cls(heatmap, segmentation, long, file["placement"], int(file["stride"]))

    def seen_through(self, matrix: affine.Matrix, codec: PersonLabCodec, cells: tuple[int, int]) -> Lesson:
        """The same lesson on the codec's grid over the canvas that `matrix` maps the picture to.

        Offsets turn with the map; a mirroring map swaps left and right joints.
        """
        k = len(self.heatmap)
        grid, to_canvas = codec.grid, affine.compose(matrix, self.placement)
        to_cells = np.column_stack([to_canvas[:, :2], to_canvas[:, 2] - grid.origin]) / grid.stride
        flat_long = self.long_offsets.reshape(2 * k, *self.segmentation.shape)
        stack = np.concatenate([self.heatmap, self.segmentation[None], flat_long])
        moved = cv2.warpAffine(
            np.ascontiguousarray(stack.transpose(1, 2, 0)), to_cells, cells[::-1],
            flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE,
        ).transpose(2, 0, 1)  # fmt: skip
        heatmap, segmentation, long = moved[:k], moved[k], moved[k + 1 :].reshape(k, 2, *cells)
        long = np.einsum("ab,kbhw->kahw", matrix[:, :2].astype(np.float32), long)
        if np.linalg.det(matrix[:, :2]) < 0:
            heatmap, long = heatmap[codec.skeleton.flip_index], long[codec.skeleton.flip_index]
        # A disk has the same radius in every input, so a teacher that saw the picture larger saw smaller disks.
        ratio = np.sqrt(abs(np.linalg.det(to_canvas[:, :2]))) / self.stride  # canvas pixels in one of the teacher's
        reach = int(np.ceil(codec.disk_radius_px * max(0.0, 1 - ratio) / codec.stride))
        if reach:
            kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
            heatmap = np.stack([cv2.dilate(np.ascontiguousarray(h), kernel) for h in heatmap])
        heatmap, segmentation = (np.ascontiguousarray(a, np.float32) for a in (heatmap, segmentation))
        return Lesson(heatmap, segmentation, long, np.eye(2, 3), self.stride)


def blend(targets: Targets, lesson: Lesson, inside: NDArray[np.bool_], *, complete: bool) -> Targets:
    """Targets with a teacher's lesson where labels say nothing.

    inside (h, w): cells on the picture, not on padding. complete: whether every person of the picture is labelled,
    so that what lies outside all masks is background whatever the teacher says.
    """
    heat_weight = targets.weights["heatmap"]
    person, person_weight = targets.targets["segmentation"], targets.weights["segmentation"]
    long, long_weight = targets.targets["long_offsets"], targets.weights["long_offsets"]
    if not complete:
        negative = targets.targets["heatmap"] < 0.5
        heat_weight = np.where(negative, heat_weight * np.clip(1 - 2 * lesson.heatmap, 0, 1), heat_weight)
        person = np.where(person_weight > 0, np.maximum(person, lesson.segmentation), person)
    unknown = (person_weight == 0) & inside
    person = np.where(unknown, lesson.segmentation, person)
    person_weight = np.where(unknown, 1, person_weight)
    silent = (long_weight.max(axis=0) == 0) & inside & (lesson.segmentation > PERSON)
    long = np.where(silent, lesson.long_offsets, long)
    long_weight = np.where(silent, LONG_WEIGHT, long_weight)
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
