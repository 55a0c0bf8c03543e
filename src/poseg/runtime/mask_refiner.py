"""Masks of detected people refined by a second network, all people of an image in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.mask_refiner import MaskRefinerCodec
from poseg.codecs.pixel_assignment import PixelAssignment
from poseg.errors import PosegError
from poseg.fields.align import AlignedCrops, crop_images
from poseg.people import People
from poseg.runtime.inference import InferenceModel
from poseg.runtime.multi_scale import ViewInstances
from poseg.transforms.letterbox import Letterbox

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

SYSTEM = "mask_refiner"
MAX_BATCH = 64  # crops in one run of the network; more people take another


@dataclass(frozen=True, slots=True, eq=False)
class RefinerBatch:
    """The parts of the network's input for some people of an image.

    people  (N) in pixels of the image, without masks
    crops   their crops of the image
    images  (N, S, S, 3) uint8 RGB pixels of the crops
    cues    (N, 2, S, S) person probability and assignment margin in the crops
    joints  (N, K, 3) in the crops
    """

    people: People
    crops: AlignedCrops
    images: Bytes
    cues: Floats
    joints: Floats


def refiner_batch(
    codec: MaskRefinerCodec, image: Bytes, letterbox: Letterbox, people: People, assignment: PixelAssignment
) -> RefinerBatch:
    """The batch of people (N) on the input of a view of an image (H, W, 3) uint8 RGB."""
    remapped = people if people.skeleton == codec.skeleton else people.remap_to(codec.skeleton)
    boxes_xyxy = letterbox.to_image(codec.person_boxes(remapped, assignment).reshape(-1, 2, 2)).reshape(-1, 4)
    crops = codec.crops(boxes_xyxy, (image.shape[0], image.shape[1]))
    cues = codec.cue_maps(assignment, letterbox.onto_image, crops)
    return RefinerBatch(
        letterbox.people_to_image(people), crops, crop_images(image, crops), cues,
        codec.joints(remapped, crops.compose(letterbox.onto_image)),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class MaskRefiner:
    """Refines the masks of detected people.

    model           a model of the system "mask_refiner"
    mask_threshold  minimum probability of a mask's pixel

    Settings out of range raise PosegError. One refiner may serve several threads.
    """

    model: InferenceModel
    mask_threshold: float = 0.5

    def __post_init__(self) -> None:
        card = self.model.card
        if card.system != SYSTEM:
            raise PosegError(
                f"The model {card.name!r} is of the system {card.system!r}, which does not refine masks of detected "
                f"people; take one of {SYSTEM!r}."
            )
        if not 0 < self.mask_threshold < 1:
            raise PosegError(f"mask_threshold is {self.mask_threshold}; it lies between 0 and 1.")

    def __call__(self, image: Bytes, parts: Sequence[ViewInstances], *, exclusive: bool) -> People:
        """The people of all parts, highest score first, in pixels of the image (H, W, 3) uint8 RGB, with masks.

        exclusive  a pixel belongs to the person with the highest probability only

        Raises FieldError where the network's outputs are not finite.
        """
        batch, size = self.make_batch(image, parts), (image.shape[0], image.shape[1])
        if not len(batch.people):
            return People.empty(batch.people.skeleton, size)
        tensor, codec = self.network_input(batch), self.model.codec
        runs = [self.model.run(tensor[first : first + MAX_BATCH]) for first in range(0, len(tensor), MAX_BATCH)]
        fields = codec.fields_from_outputs({name: np.concatenate([r[name] for r in runs])[:, None] for name in runs[0]})
        people: People = codec.decode(
            fields, batch.people, batch.crops, size, exclusive=exclusive, mask_threshold=self.mask_threshold
        )
        return people.top(len(people))

    def make_batch(self, image: Bytes, parts: Sequence[ViewInstances]) -> RefinerBatch:
        """The batch of the people of all parts with a pixel assignment."""
        batches = [
            refiner_batch(self.model.codec, image, part.letterbox, part.instances.people, part.instances.assignment)
            for part in parts
            if part.instances.assignment is not None
        ]
        return RefinerBatch(
            People.concatenate([batch.people for batch in batches]),
            AlignedCrops.concatenate([batch.crops for batch in batches]),
            np.concatenate([batch.images for batch in batches]), np.concatenate([batch.cues for batch in batches]),
            np.concatenate([batch.joints for batch in batches]),
        )  # fmt: skip

    def network_input(self, batch: RefinerBatch) -> Floats:
        """The network's input (N, 6, S, S)."""
        card = self.model.card
        tensor: Floats = self.model.codec.network_input(batch.images, batch.cues, batch.joints, card.mean, card.std)
        return tensor
