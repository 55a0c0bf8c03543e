"""Masks of people with poses of any source (Pose2Seg)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from poseg.errors import PosegError, SkeletonError
from poseg.fields import Fields
from poseg.fields.align import MIN_SHARED_JOINTS, AlignedCrops
from poseg.geometry.masks import Masks
from poseg.io.images import Source, read_image
from poseg.people import People, Timings
from poseg.runtime.inference import InferenceModel, check_input_px
from poseg.skeletons import Skeleton

Floats = NDArray[np.float32]

SYSTEM = "pose2seg"
MAX_BATCH = 48  # crops in one run of the network; more people take another


@dataclass(frozen=True, slots=True, eq=False)
class Pose2SegBatch:
    """The network's inputs for the people of one image.

    tensor        normalised input (1, 3, h, w)
    extra_inputs  windows (N, 2, 3), from the crops to the input, and joints (N, K, 3) in the crops
    crops         of the image, not of the input
    """

    tensor: Floats
    extra_inputs: Mapping[str, Floats]
    crops: AlignedCrops


@dataclass(frozen=True, slots=True, eq=False)
class Pose2SegSegmenter:
    """Gives people masks: `segmenter(image, people)`.

    model           a model of the system "pose2seg"
    long_edge_px    long edge of the network's input; None uses that of the card
    exclusive       a pixel belongs only to the person with the highest probability times score
    mask_threshold  minimum probability of a mask's pixel
    prior_weight    weight of the masks that people have already in the mean with the new ones, 0 to 1
    rescore         multiply scores by the mean probability in the mask, and sort people by them

    Settings out of range raise PosegError. One segmenter may serve several threads.
    """

    model: InferenceModel
    long_edge_px: int | None = None
    exclusive: bool = True
    mask_threshold: float = 0.5
    prior_weight: float = 0.3
    rescore: bool = True

    def __post_init__(self) -> None:
        card = self.model.card
        if card.system != SYSTEM:
            raise PosegError(
                f"The model {card.name!r} is of the system {card.system!r}, which does not segment provided people; "
                f"use one of {SYSTEM!r}."
            )
        if self.long_edge_px is not None:
            check_input_px(self.long_edge_px)
        if not 0 < self.mask_threshold < 1:
            raise PosegError(f"mask_threshold is {self.mask_threshold}; it lies between 0 and 1.")
        if not 0 <= self.prior_weight <= 1:
            raise PosegError(f"prior_weight is {self.prior_weight}; it lies between 0 and 1.")

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.card.name

    def __call__(self, image: Source, people: People, *, name: str = "") -> People:
        """The people with masks, boxes around them, and timings of this step.

        `image` and `name` as in `io.images.read_image`. People keep their skeleton; their joints are remapped to the
        model's by name. A person with fewer than three joints is cropped by their box, and without a box the crop is
        the whole image. Raises ImageError, SkeletonError where skeletons share too few joints, and FieldError where the
        network's outputs are not finite.
        """
        pixels = read_image(image, name=name)
        size = (pixels.shape[0], pixels.shape[1])
        if not len(people):
            return replace(people, masks=Masks.empty(0, size), timings=Timings(0, 0, 0))
        start = perf_counter()
        batch = self.make_batch(pixels, people)
        ready = perf_counter()
        fields = self._run(batch)
        done = perf_counter()
        segmented: People = self.model.codec.decode(
            fields, people, batch.crops, size, exclusive=self.exclusive, mask_threshold=self.mask_threshold,
            prior_weight=self.prior_weight, rescore=self.rescore,
        )  # fmt: skip
        spent = Timings(1e3 * (ready - start), 1e3 * (done - ready), 1e3 * (perf_counter() - done))
        return replace(segmented, timings=spent)

    def make_batch(self, image: NDArray[np.uint8], people: People) -> Pose2SegBatch:
        """The network's inputs for people of an image (H, W, 3) uint8 RGB. Raises SkeletonError."""
        codec, long_edge_px = self.model.codec, self.long_edge_px or self.model.card.inference.long_edge_px
        _check_skeleton(people.skeleton, codec.skeleton)
        tensor, letterbox = self.model.prepare(image, long_edge_px)
        on_input = letterbox.people_to_input(people).remap_to(codec.skeleton)
        crops = codec.crops(on_input, letterbox.content_size)
        onto_input = np.column_stack([np.diag(letterbox.scale_xy), np.zeros(2)])
        return Pose2SegBatch(tensor, codec.network_inputs(on_input, crops), crops.compose(onto_input))

    def _run(self, batch: Pose2SegBatch) -> Fields:
        """The fields of all people, a few at a time."""
        parts = [
            self.model.run(
                batch.tensor, **{k: array[None, first : first + MAX_BATCH] for k, array in batch.extra_inputs.items()}
            )
            for first in range(0, len(batch.crops), MAX_BATCH)
        ]
        if len(parts) == 1:
            return parts[0]
        fields: Fields = self.model.codec.fields_from_outputs(
            {name: np.concatenate([part[name] for part in parts])[:, None] for name in parts[0]}
        )
        return fields


def _check_skeleton(provided: Skeleton, expected: Skeleton) -> None:
    shared = set(provided.joints) & set(expected.joints)
    if len(shared) < MIN_SHARED_JOINTS:
        raise SkeletonError(
            f"People on the skeleton {provided.name} share {len(shared)} joints with the model "
            f"({', '.join(expected.joints)}); rename the joints, or use a model of their skeleton."
        )


class PoseDetector(Protocol):
    """Detects the people of an image: a `Predictor`, or `PosesFrom`."""

    @property
    def name(self) -> str:
        """Of the model."""

    def __call__(self, image: Source, *, name: str = "") -> People:
        """The people, with timings."""


@dataclass(frozen=True, slots=True, eq=False)
class SegmentedPredictor:
    """A detector followed by a segmenter: `segmented(image)`."""

    predictor: PoseDetector
    segmenter: Pose2SegSegmenter

    @property
    def name(self) -> str:
        """Both models' names."""
        return f"{self.predictor.name}+{self.segmenter.name}"

    def __call__(self, image: Source, *, name: str = "") -> People:
        """The people of an image, highest score first, with the timings of both steps. Raises as both do."""
        pixels = read_image(image, name=name)
        detected = self.predictor(pixels)
        people = self.segmenter(pixels, detected)
        first, second = detected.timings, people.timings
        if first is None or second is None:
            return people
        return replace(people, timings=first + second)
