"""Training items by position: drawn from weighted data sets, augmented, encoded by a system, turned into tensors.

Every draw follows from (seed, position in the run), so a run can be repeated and resumed with any number of workers.
How a system makes its examples is its `TargetEncoder`, in a file of its own beside this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset as TorchDataset

from poseg.codecs.targets import Targets
from poseg.errors import AnnotationError
from poseg.geometry import affine
from poseg.people import Sample
from poseg.skeletons import Skeleton
from poseg.transforms.jitter import jitter_colours

Floats = NDArray[np.float32]
MIN_PERSON_PX = 8  # smaller people are not zoomed in on


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """Ranges of the random view of an image.

    person_px     long side of the chosen person's box on the canvas, drawn log-uniformly
    max_upscale   of the image; beyond it there is only blur to learn from
    image_px      the long side of the whole image stays within these bounds on the canvas
    rotation_deg  standard deviation of the rotation; cut at three times that
    flip_prob     probability of a flipped view
    color_jitter  strength of the photometric jitter

    copy_paste_prob    probability that people of other images are pasted over the view (`training.copy_paste`)
    copy_paste_people  at most so many of them
    """

    person_px: tuple[float, float] = (40.0, 420.0)
    max_upscale: float = 2.5
    image_px: tuple[float, float] = (256.0, 1100.0)
    rotation_deg: float = 10.0
    flip_prob: float = 0.5
    color_jitter: float = 0.3
    copy_paste_prob: float = 0.0
    copy_paste_people: int = 1


@dataclass(frozen=True, slots=True)
class TrainInput:
    """What the network's input is in training: side of the canvas, normalisation, augmentation."""

    side_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    augmentation: AugmentConfig = field(default_factory=AugmentConfig)

    def normalise(self, image: NDArray[np.uint8], rng: np.random.Generator) -> Floats:
        """An image (H, W, 3) with its colours jittered, as the network takes it: (3, H, W)."""
        jittered = jitter_colours(image, rng, self.augmentation.color_jitter)
        mean, std = (np.array(v, np.float32) for v in (self.mean, self.std))
        return ((jittered - mean) / std).transpose(2, 0, 1).astype(np.float32)


def random_affine(
    sample: Sample, size: tuple[int, int], rng: np.random.Generator, augmentation: AugmentConfig
) -> affine.Matrix:
    """A map from the image to a canvas of `size` that shows one of its people, or any part where there are none."""
    height, width = sample.image.shape[:2]
    long_side = max(height, width)
    boxes = sample.people.boxes_xyxy
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) if len(boxes) else np.zeros(0)
    centre, person = np.array([width, height]) * rng.uniform(0.3, 0.7, 2), 0.6 * long_side
    if (sides > MIN_PERSON_PX).any():
        chosen = rng.choice(np.flatnonzero(sides > MIN_PERSON_PX))
        centre, person = (boxes[chosen, :2] + boxes[chosen, 2:]) / 2, float(sides[chosen])
    low, high = augmentation.person_px
    scale = np.exp(rng.uniform(np.log(low), np.log(high))) / person
    min_scale, max_scale = (side / long_side for side in augmentation.image_px)
    scale = float(np.clip(scale, min_scale, min(max_scale, max(augmentation.max_upscale, min_scale))))
    rotation = np.clip(rng.normal(0, augmentation.rotation_deg), *np.array([-3, 3]) * augmentation.rotation_deg)
    flip = bool(rng.random() < augmentation.flip_prob)
    # The person may stand anywhere on the canvas; an image smaller than the canvas stays on it as a whole.
    canvas = np.array([size[1], size[0]], np.float64)
    target = canvas * rng.uniform(0.25, 0.75, 2)
    for axis, side in enumerate((width, height)):
        if side * scale <= canvas[axis]:
            slack = canvas[axis] - side * scale
            before = side - centre[axis] if flip and axis == 0 else centre[axis]
            target[axis] = rng.uniform(0, slack) + before * scale
    to = (float(target[0]), float(target[1]))
    return affine.similarity(scale, np.deg2rad(rotation), (float(centre[0]), float(centre[1])), to, flip=flip)


class Samples(Protocol):
    """What a mixture needs of a data set."""

    name: str
    skeleton: Skeleton

    def __len__(self) -> int:
        """How many samples."""
        ...

    def sample_id(self, index: int) -> str:
        """Name of a sample that is stable between runs."""
        ...


Data = TypeVar("Data", bound=Samples)


@dataclass(frozen=True, slots=True)
class WeightedDataset(Generic[Data]):
    """A data set and how often it is drawn, relative to the others."""

    data: Data
    weight: float


class Mixture(Generic[Data]):
    """Data sets drawn by weight. Raises AnnotationError where one has not the skeleton of the network."""

    def __init__(self, parts: Sequence[WeightedDataset[Data]], skeleton: Skeleton) -> None:
        self.parts = tuple(parts)
        for part in self.parts:
            if part.data.skeleton != skeleton:
                raise AnnotationError(
                    f"{part.data.name} has the skeleton {part.data.skeleton.name}, the network {skeleton.name}; "
                    "train a system with the skeleton of the data."
                )
        weights = np.array([part.weight for part in parts], np.float64)
        self._probabilities = weights / weights.sum()

    def draw(self, rng: np.random.Generator) -> tuple[Data, int]:
        """A data set and the index of one of its samples."""
        data = self.parts[int(rng.choice(len(self.parts), p=self._probabilities))].data
        return data, int(rng.integers(len(data)))


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """What a network learns from at one position of the run.

    image    (C, H, W) the network's input
    targets  of the codec
    inputs   further inputs, by the names of the network's arguments
    name     of the image, for messages
    """

    image: Floats
    targets: Targets
    inputs: Mapping[str, Floats] | None = None
    name: str = ""

    def to_tensors(self) -> dict[str, Any]:
        """The training item: "image", "targets", "weights", and "inputs" and "name" where there are any."""
        parts = {"targets": self.targets.targets, "weights": self.targets.weights, "inputs": self.inputs}
        item: dict[str, Any] = {"name": self.name} if self.name else {}
        item["image"] = torch.from_numpy(self.image)
        for part, arrays in parts.items():
            if arrays is not None:
                item[part] = {n: torch.from_numpy(np.ascontiguousarray(array)) for n, array in arrays.items()}
        return item


class TargetEncoder(Protocol):
    """How one system draws, augments and encodes its examples.

    block_size   how many of them `targets` makes at once
    """

    block_size: ClassVar[int]

    def targets(self, rng: np.random.Generator) -> Sequence[Example]:
        """`block_size` examples; everything in them follows from `rng`."""
        ...


class TrainDataset(TorchDataset[dict[str, Any]]):
    """An endless-looking sequence of `length` training items of any system."""

    def __init__(self, encoder: TargetEncoder, *, length: int, seed: int) -> None:
        self.encoder, self.length, self.seed = encoder, length, seed
        self._block: tuple[int, Sequence[Example]] = (-1, [])

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, position: int) -> dict[str, Any]:
        block, row = divmod(position, self.encoder.block_size)
        if self._block[0] != block:
            self._block = (block, self.encoder.targets(np.random.default_rng((self.seed, block))))
        return self._block[1][row].to_tensors()
