"""Training examples of the mask refiner: crops of people that a model detected, moved, flipped and in other light."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.codecs.crop_masks import FIELD
from poseg.codecs.mask_refiner import MaskRefinerCodec
from poseg.codecs.targets import Targets
from poseg.datasets.refiner_samples import RefinerSample, RefinerSamples
from poseg.geometry import affine
from poseg.training.dataset import Example, Mixture, TrainInput
from poseg.transforms.jitter import jitter_colours

BORDER_VALUE = 127  # grey, as the codec has it outside an image


@dataclass(frozen=True, slots=True)
class RefinerInput(TrainInput):
    """How crops are moved; rotations, zooms and shifts are normal with these standard deviations.

    rotation_std_deg  about the crop's centre
    zoom              of the logarithm of the factor
    shift             as a fraction of the crop's side
    flip_prob         probability of a flipped crop
    """

    rotation_std_deg: float = 6.0
    zoom: float = 0.1
    shift: float = 0.03
    flip_prob: float = 0.5


@dataclass(frozen=True, slots=True)
class RefinerTargets:
    """Crops of detected people with their ground-truth masks."""

    mixture: Mixture[RefinerSamples]
    codec: MaskRefinerCodec
    input: RefinerInput

    block_size: ClassVar[int] = 1

    def targets(self, rng: np.random.Generator) -> list[Example]:
        """One crop."""
        data, index = self.mixture.draw(rng)
        person = self._moved(data[index], data.padding, rng)
        image = jitter_colours(person.image, rng, self.input.augmentation.color_jitter)
        channels = self.codec.network_input(
            image[None], person.cues[None], person.joints[None], self.input.mean, self.input.std
        )[0]  # fmt: skip
        targets = Targets(
            self.codec.batched_specs(1), {FIELD: person.mask[None]}, {FIELD: person.valid[None].astype(np.float32)}
        )  # fmt: skip
        return [Example(channels, targets, name=data.sample_id(index))]

    def _moved(self, person: RefinerSample, padding: float, rng: np.random.Generator) -> RefinerSample:
        """The person in a crop of the codec's size, at random near where it is placed in use."""
        stored, side = len(person.image), self.codec.crop_px
        inner = np.array([[padding, padding, 1 - padding, 1 - padding]]) * stored
        placed = self.codec.crops(inner, (stored, stored)).matrices[0]
        centre = (side / 2, side / 2)
        offset = rng.normal(0, self.input.shift, 2) * side
        zoom, rotation = np.exp(rng.normal(0, self.input.zoom)), np.deg2rad(rng.normal(0, self.input.rotation_std_deg))
        moved = affine.similarity(
            float(zoom), float(rotation), centre, (centre[0] + float(offset[0]), centre[1] + float(offset[1])),
            bool(rng.random() < self.input.flip_prob),
        )  # fmt: skip
        matrix = affine.compose(moved, placed)

        def warped(array: NDArray[Any], border: int, value: float = 0.0) -> NDArray[Any]:
            return np.asarray(cv2.warpAffine(
                array, affine.to_cv2(matrix), (side, side),
                flags=cv2.INTER_LINEAR, borderMode=border, borderValue=(value,) * 4,
            ))  # fmt: skip

        joints = person.joints.copy()
        joints[:, :2] = affine.apply(matrix, joints[:, :2]) * joints[:, 2:]
        cues = warped(np.ascontiguousarray(person.cues.transpose(1, 2, 0)), cv2.BORDER_REPLICATE)
        truth = warped(np.dstack([person.mask, person.valid.astype(np.float32)]), cv2.BORDER_CONSTANT)
        return RefinerSample(
            warped(person.image, cv2.BORDER_CONSTANT, BORDER_VALUE), cues.transpose(2, 0, 1), joints,
            truth[..., 0], truth[..., 1] > 0.5, person.name,
        )  # fmt: skip
