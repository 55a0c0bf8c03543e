"""Training examples of Pose2Seg: a view of an image, and the aligned crops of some of its people."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.pose2seg import Pose2SegCodec
from poseg.codecs.targets import Targets
from poseg.datasets.dataset import Dataset
from poseg.fields.align import AlignedCrops
from poseg.geometry import affine
from poseg.people import People
from poseg.training.copy_paste import copy_paste
from poseg.training.dataset import Example, Mixture, TrainInput, random_affine
from poseg.transforms.jitter import jitter_poses
from poseg.transforms.warp import image_area, warp

MIN_PIXELS = 64  # of a mask in the view; from fewer a network learns only how images are resampled
DROP_OCCLUDED = 0.5  # of the joints that a pasted person covers


@dataclass(frozen=True, slots=True)
class Pose2SegInput(TrainInput):
    """A view of an image and some of its people; the defaults for crops are the paper's.

    people_per_image  crops of each image; where it has fewer people, some come twice, each time augmented anew
    rotation_deg      a crop is rotated about its centre by up to this,
    zoom              enlarged by a factor between these,
    shift             and moved by up to this fraction of its side
    keypoint_noise    noise of the joints, in units of the annotators'; 0 for ground-truth poses
    keypoint_dropout  largest fraction of a person's joints that are missing
    clean_fraction    fraction of people who keep their ground-truth pose all the same
    """

    people_per_image: int = 2
    rotation_deg: float = 30.0
    zoom: tuple[float, float] = (0.8, 1.2)
    shift: float = 0.1
    keypoint_noise: float = 0.0
    keypoint_dropout: float = 0.0
    clean_fraction: float = 0.0


@dataclass(frozen=True, slots=True)
class Pose2SegTargets:
    """Views with "windows" (P, 2, 3) and "joints" (P, K, 3) as further inputs of the network."""

    mixture: Mixture[Dataset]
    codec: Pose2SegCodec
    input: Pose2SegInput

    block_size: ClassVar[int] = 1

    def targets(self, rng: np.random.Generator) -> list[Example]:
        """One view with P crops."""
        data, index = self.mixture.draw(rng)
        sample, config = data[index], self.input
        size = (config.side_px, config.side_px)
        matrix = random_affine(sample, size, rng, config.augmentation)
        plain, on_image = warp(sample, matrix, size), image_area(sample.image.shape[:2], matrix, size)
        view = copy_paste(plain, on_image, self.mixture, config.augmentation, rng, drop_occluded=DROP_OCCLUDED).view
        truth = self.sample_people(view.people, rng)
        noisy = jitter_poses(
            truth, rng, sigma_scale=config.keypoint_noise, max_missing=config.keypoint_dropout,
            clean_fraction=config.clean_fraction,
        )  # fmt: skip
        crops = self._jitter_crops(self.codec.crops(noisy, size), rng)
        inputs, targets = self.codec.network_inputs(noisy, crops), self.codec.encode(truth, crops, view.ignore)
        count = config.people_per_image
        return [
            Example(
                config.normalise(view.image, rng), _pad_targets(targets, count),
                {name: _pad(array, count) for name, array in inputs.items()}, data.sample_id(index),
            )
        ]  # fmt: skip

    def sample_people(self, people: People, rng: np.random.Generator) -> People:
        """People with masks for all crops, each once before any comes again; none where none has a mask."""
        assert people.masks is not None
        rows = np.flatnonzero(people.masks.areas >= MIN_PIXELS)
        if not len(rows):
            return people[:0]
        rounds = -(-self.input.people_per_image // len(rows))
        order = np.concatenate([rng.permutation(rows) for _ in range(rounds)])
        return people[order[: self.input.people_per_image]]

    def _jitter_crops(self, crops: AlignedCrops, rng: np.random.Generator) -> AlignedCrops:
        """The crops rotated, zoomed and shifted at random."""
        side = crops.side_px
        centre = (side / 2, side / 2)
        jittered = []
        for matrix in crops.matrices:
            offset = rng.uniform(-self.input.shift, self.input.shift, 2) * side
            rotation = np.deg2rad(rng.uniform(-self.input.rotation_deg, self.input.rotation_deg))
            zoom = float(rng.uniform(*self.input.zoom))
            target = (float(centre[0] + offset[0]), float(centre[1] + offset[1]))
            jittered.append(affine.compose(affine.similarity(zoom, rotation, centre, target), matrix))
        return replace(crops, matrices=np.array(jittered).reshape(-1, 2, 3))


def _pad(array: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """The array, with zeros up to a length."""
    return np.concatenate([array, np.zeros((length - len(array), *array.shape[1:]), np.float32)])


def _pad_targets(targets: Targets, length: int) -> Targets:
    """Empty crops of weight 0 up to a length."""
    arrays = ({name: _pad(a, length) for name, a in part.items()} for part in (targets.targets, targets.weights))
    return Targets(targets.specs, *arrays)
