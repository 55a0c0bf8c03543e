"""Training examples of PersonLab and PoSeg: fields of whole views, completed by a teacher where labels are not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.personlab import PersonLabCodec
from poseg.codecs.poseg import PoSegCodec
from poseg.codecs.targets import Targets
from poseg.datasets.dataset import Dataset
from poseg.fields.segmentation import sample_at_cells
from poseg.geometry.affine import Matrix
from poseg.geometry.grid import Grid
from poseg.people import Sample
from poseg.skeletons import COCO17
from poseg.skeletons.remap import remap_weights
from poseg.training.copy_paste import copy_paste
from poseg.training.dataset import Example, Mixture, TrainInput, random_affine
from poseg.training.teacher import PERSON_THRESHOLD, TeacherFields, find_teacher_fields, merge_teacher
from poseg.transforms.warp import image_area, warp

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

# Of a teacher's heatmap: a joint where it says 0.5 is as likely as not, and no background.
NEGATIVE_DISCOUNT = 2.0
DROP_OCCLUDED = 1.0  # of the joints that a pasted person covers: they become uncertain, neither joint nor background


@dataclass(frozen=True)
class PersonLabTargets:
    """PersonLab's fields of a view.

    teacher_dir   folder of a teacher's fields (`training.teacher`), or None for labels alone
    """

    mixture: Mixture[Dataset]
    codec: PersonLabCodec
    input: TrainInput
    teacher_dir: Path | None = None

    block_size: ClassVar[int] = 1

    def targets(self, rng: np.random.Generator) -> list[Example]:
        """One view of an image."""
        data, index = self.mixture.draw(rng)
        sample = data[index]
        size = (self.input.side_px, self.input.side_px)
        matrix = random_affine(sample, size, rng, self.input.augmentation)
        plain, on_image = warp(sample, matrix, size), image_area(sample.image.shape[:2], matrix, size)
        pasted = copy_paste(plain, on_image, self.mixture, self.input.augmentation, rng, drop_occluded=DROP_OCCLUDED)
        view, cover = pasted.view, sample_at_cells(pasted.cover, self.codec.grid)
        targets = self.codec.encode(view.people, size, view.ignore, uncertain=view.uncertain)
        teacher = find_teacher_fields(self.teacher_dir, data.sample_id(index))
        if teacher is not None:
            warped = teacher.warped(matrix, self.codec, cover.shape).without(cover)
            cells = sample_at_cells(on_image, self.codec.grid)
            targets = merge_teacher(targets, warped, cells, exhaustive=data.exhaustive)
        elif not data.exhaustive:
            inside = _cells_in_boxes(targets, plain.people.boxes_xyxy, self.codec.grid) | cover
            targets = _with_weights(
                targets, {name: targets.weights[name] * inside for name in ("heatmap", "segmentation")}
            )
        annotated = np.asarray(data.annotated_joints)[:, None, None] | cover
        targets = _with_weights(targets, {"heatmap": targets.weights["heatmap"] * annotated})
        return [Example(self.input.normalise(view.image, rng), targets, name=data.sample_id(index))]


@dataclass(frozen=True)
class PoSegTargets:
    """PoSeg's fields of a view.

    teacher_dir   folder of a teacher's fields (`training.teacher`), or None for labels alone
    """

    mixture: Mixture[Dataset]
    codec: PoSegCodec
    input: TrainInput
    teacher_dir: Path | None = None

    block_size: ClassVar[int] = 1

    def targets(self, rng: np.random.Generator) -> list[Example]:
        """One view of an image."""
        data, index = self.mixture.draw(rng)
        sample = data[index]
        size = (self.input.side_px, self.input.side_px)
        matrix = random_affine(sample, size, rng, self.input.augmentation)
        plain, on_image = warp(sample, matrix, size), image_area(sample.image.shape[:2], matrix, size)
        pasted = copy_paste(plain, on_image, self.mixture, self.input.augmentation, rng, drop_occluded=DROP_OCCLUDED)
        view, cover = pasted.view, sample_at_cells(pasted.cover, self.codec.grid)
        targets = self.codec.encode(view.people, size, view.ignore, uncertain=view.uncertain)
        if not data.exhaustive:
            targets = self._supervise_incomplete(targets, data.sample_id(index), plain, matrix, cover)
        targets = _mask_unannotated(targets, np.asarray(data.annotated_joints), self.codec, cover)
        return [Example(self.input.normalise(view.image, rng), targets, name=data.sample_id(index))]

    @cached_property
    def _sources(self) -> Bools:
        """(K, 17) COCO's joints that each joint lies on or between; a teacher's fields are on COCO's joints."""
        return np.asarray(remap_weights(COCO17, self.codec.skeleton) > 0)

    def _supervise_incomplete(self, targets: Targets, key: str, view: Sample, matrix: Matrix, cover: Bools) -> Targets:
        """Where not all people are labelled: targets with a teacher's negatives, or else inside the labelled boxes.

        `view` is that before people were pasted over its cells `cover`, whom the teacher has not seen.
        """
        in_boxes = _cells_in_boxes(targets, view.people.boxes_xyxy, self.codec.grid) | cover
        teacher = find_teacher_fields(self.teacher_dir, key)
        if teacher is None:
            return _with_weights(targets, {name: w * in_boxes for name, w in targets.weights.items()})
        on_image = np.ones(in_boxes.shape, np.bool_)
        if view.ignore is not None:
            on_image = ~sample_at_cells(view.ignore, self.codec.grid)
        # The teacher's own grid and joints.
        warped = teacher.warped(matrix, PersonLabCodec(COCO17, stride=self.codec.stride), cover.shape).without(cover)
        return self._apply_teacher(targets, warped, on_image, in_boxes)

    def _apply_teacher(self, targets: Targets, warped: TeacherFields, on_image: Bools, in_boxes: Bools) -> Targets:
        """Targets where a teacher that predicts people without labels takes weight from negatives."""
        joint = np.stack([warped.heatmap[sources].max(axis=0, initial=0) for sources in self._sources])
        weight = np.clip(1 - NEGATIVE_DISCOUNT * joint, 0, 1)
        heat, weights = targets.targets["heatmap"], targets.weights
        person, annotated = targets.targets["segmentation"], weights["segmentation"] > 0
        unlabelled = (warped.segmentation > PERSON_THRESHOLD) & (person < PERSON_THRESHOLD) & ~in_boxes
        supervised = ~unlabelled | (np.abs(targets.targets["paf"]).sum(axis=1) > 0)
        person = np.where(annotated, np.maximum(person, warped.segmentation), warped.segmentation)
        changed = {
            "heatmap": np.where(heat > 0, weights["heatmap"], weights["heatmap"] * weight),
            "background": weights["background"] * np.where(heat.max(axis=0) > 0, 1, weight.min(axis=0)),
            "paf": weights["paf"] * supervised,
            "segmentation": annotated | on_image,
        }
        return _with_weights(Targets(targets.specs, {**targets.targets, "segmentation": person}, weights), changed)


def _mask_unannotated(targets: Targets, annotated: Bools, codec: PoSegCodec, cover: Bools) -> Targets:
    """No loss on joints that the data set does not annotate, nor on limbs that end at one, but on pasted people."""
    limbs = np.asarray(annotated[codec.limb_joints].all(axis=1))
    weights = {
        "heatmap": targets.weights["heatmap"] * (annotated[:, None, None] | cover),
        "paf": targets.weights["paf"] * (limbs[:, None, None] | cover),
    }
    if not annotated.all():
        known = (targets.targets["heatmap"].max(axis=0) > 0) | cover
        weights["background"] = targets.weights["background"] * known
    return _with_weights(targets, weights)


def _cells_in_boxes(targets: Targets, boxes_xyxy: Floats, grid: Grid) -> Bools:
    """(h, w) cells in the boxes of labelled people; outside nothing is background where not all are labelled."""
    x, y = grid.positions(*targets.targets["segmentation"].shape)
    left, top, right, bottom = boxes_xyxy.T[:, :, None, None]
    return np.asarray(((x >= left) & (x <= right) & (y >= top) & (y <= bottom)).any(axis=0))


def _with_weights(targets: Targets, weights: Mapping[str, NDArray[Any]]) -> Targets:
    """Targets with some of their weights replaced."""
    changed = {name: np.asarray(weight, np.float32) for name, weight in weights.items()}
    return Targets(targets.specs, targets.targets, {**targets.weights, **changed})
