"""Training examples of the multi-task network: a crop of one person, and of no person in images without people."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.multitask import HEATMAP, MultitaskCodec
from poseg.codecs.targets import Targets
from poseg.datasets.dataset import Dataset
from poseg.geometry import affine, boxes
from poseg.people import People, Sample
from poseg.runtime.inference import InferenceModel
from poseg.skeletons import Skeleton
from poseg.training.dataset import Example, Mixture, TrainInput
from poseg.transforms.warp import warp

MIN_JOINTS = 4  # fewer do not show how large a person is
NEGATIVE_PX = (40.0, 400.0)  # side of the square that is cropped from an image without people
TEACHER_ONLY_WEIGHT = 0.5  # of a teacher's heatmap where the joint is not annotated


@dataclass(frozen=True, slots=True)
class CropInput(TrainInput):
    """A crop of one person.

    zoom          enlarged by a factor between these, drawn log-uniformly
    shift         and moved by up to this fraction of its side
    rotation_deg  rotated by up to this
    flip_prob     probability of a flipped crop
    cutout_prob   probability that a part of the crop is covered by a uniform rectangle
    part_prob     probability that the crop is around the upper or lower half of the joints alone
    body_boxes    crops are around the boxes of people, as when boxes are provided, and not around those of their joints
    distilled     names of data sets whose heatmaps are those of the first weights too
    teacher_weight  of these in the target, against the annotation
    """

    zoom: tuple[float, float] = (0.75, 1.25)
    shift: float = 0.08
    rotation_deg: float = 40.0
    flip_prob: float = 0.5
    cutout_prob: float = 0.0
    part_prob: float = 0.0
    body_boxes: bool = False
    distilled: tuple[str, ...] = ()
    teacher_weight: float = 0.7


@dataclass(frozen=True, slots=True)
class CropTargets:
    """Crops of people.

    teacher  of heatmaps, for the data sets that are distilled
    """

    mixture: Mixture[Dataset]
    codec: MultitaskCodec
    input: CropInput
    teacher: InferenceModel | None = None

    block_size: ClassVar[int] = 1

    def targets(self, rng: np.random.Generator) -> list[Example]:
        """One crop."""
        data, index = self.mixture.draw(rng)
        image, person, joints_mm = self.crop(data[index], rng)
        scores = person.keypoint_scores * np.asarray(data.annotated_joints, np.float32)
        targets = self.codec.encode(replace(person, keypoint_scores=scores), joints_mm)
        if self.teacher is not None and data.name in self.input.distilled:
            targets = self._distil(targets, image, self.teacher)
        return [Example(self.input.normalise(self._cutout(image, rng), rng), targets, name=data.sample_id(index))]

    def _distil(self, targets: Targets, image: NDArray[np.uint8], teacher: InferenceModel) -> Targets:
        """Heatmaps mixed with the teacher's, and the teacher's alone where joints are not annotated."""
        mean, std = (np.array(v, np.float32) for v in (self.input.mean, self.input.std))
        seen = teacher.run(((image - mean) / std).transpose(2, 0, 1)[None].astype(np.float32))[HEATMAP]
        known = targets.weights[HEATMAP] > 0
        share = np.where(known, self.input.teacher_weight, 1).astype(np.float32)[:, None, None]
        mixed = (1 - share) * targets.targets[HEATMAP] + share * seen
        weight = np.where(known, 1, TEACHER_ONLY_WEIGHT).astype(np.float32)
        return replace(
            targets, targets={**targets.targets, HEATMAP: mixed}, weights={**targets.weights, HEATMAP: weight}
        )

    def crop(
        self, sample: Sample, rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], People, NDArray[np.float32] | None]:
        """A crop (h, w, 3) of a person, the one person in its pixels, and the joints in camera axes where annotated."""
        people = sample.people
        large = np.flatnonzero((people.keypoint_scores > 0).sum(axis=1) >= MIN_JOINTS)
        size = self.codec.crop_size_px
        if len(large):
            person = people[[int(rng.choice(large))]]
            box, onto = self._crop_of(person, rng)
        else:
            person, box = _empty_person(self.codec.skeleton), _random_box(sample.image.shape[:2], rng)
            onto = self.codec.crops(box)[0]
        zoom = float(np.exp(rng.uniform(*np.log(self.input.zoom))))
        rotation = float(np.deg2rad(rng.uniform(-1, 1) * self.input.rotation_deg))
        centre = np.array(size[::-1]) / 2
        to = centre + rng.uniform(-1, 1, 2) * self.input.shift * np.array(size[::-1])
        flipped = bool(rng.random() < self.input.flip_prob)
        moved = affine.similarity(zoom, rotation, (centre[0], centre[1]), (to[0], to[1]), flipped)
        # Boxes do not matter in a crop, but a person without one would be dropped.
        boxed = replace(person, masks=None, boxes_xyxy=box)
        view = warp(Sample(sample.image, boxed, name=sample.name), affine.compose(moved, onto), size)
        one = view.people if len(view.people) == 1 else _empty_person(self.codec.skeleton)
        return view.image, one, _rotate_3d(person, rotation, flipped)

    def _crop_of(self, person: People, rng: np.random.Generator) -> tuple[NDArray[np.float32], affine.Matrix]:
        """(1, 4) the box that a crop of a person is made around, and the map to the crop."""
        annotated = person.keypoint_scores > 0
        if self.input.part_prob and rng.random() < self.input.part_prob:
            height = np.where(annotated[0], person.keypoints[0, :, 1], np.nan)
            half = height <= np.nanmedian(height) if rng.random() < 0.6 else height >= np.nanmedian(height)
            box = boxes.boxes_from_points(person.keypoints, half[None])
        elif self.input.body_boxes:
            return person.boxes_xyxy, self.codec.crops_from_body_boxes(person.boxes_xyxy)[0]
        else:
            box = boxes.boxes_from_points(person.keypoints, annotated)
        return box, self.codec.crops(box)[0]

    def _cutout(self, image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """The crop, perhaps with a uniform rectangle over a part of it."""
        if rng.random() >= self.input.cutout_prob:
            return image
        size = np.array(image.shape[1::-1])
        extent = (rng.uniform(0.1, 0.35, 2) * size).astype(int)
        x, y = (int(rng.integers(0, side - length)) for side, length in zip(size, extent, strict=True))
        covered = image.copy()
        covered[y : y + extent[1], x : x + extent[0]] = rng.integers(0, 256, 3)
        return covered


def _empty_person(skeleton: Skeleton) -> People:
    return People.from_poses(skeleton, np.zeros((1, len(skeleton), 2)), np.zeros((1, len(skeleton))))


def _random_box(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """(1, 4) a square in an image of `size` (height, width)."""
    max_side = max(min(size), 2)
    side = float(np.clip(np.exp(rng.uniform(*np.log(NEGATIVE_PX))), 1, max_side))
    x, y = (rng.uniform(0, length - side) if length > side else 0.0 for length in (size[1], size[0]))
    return np.array([[x, y, x + side, y + side]], np.float32)


def _rotate_3d(person: People, rotation: float, flipped: bool) -> NDArray[np.float32] | None:
    """(1, K, 3) joints in camera axes after the crop was flipped and rotated, where they are annotated."""
    if person.keypoints_3d is None:
        return None
    joints = np.asarray(person.keypoints_3d, np.float64)
    if flipped:
        joints = joints[:, person.skeleton.flip_index] * np.array([-1, 1, 1])
    c, s = np.cos(rotation), np.sin(rotation)
    return np.asarray(joints @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]).T, np.float32)
