"""What codecs with one crop and one mask per person share: the field, its target and the joints in the crop.

Letters: N people, K joints, S the side of a crop, H x W pixels of the image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.targets import Targets
from poseg.errors import FieldError, ShapeError
from poseg.fields import Fields, FieldSpec
from poseg.fields.align import AlignedCrops, crop_masks
from poseg.geometry.grid import Grid
from poseg.geometry.masks import Masks
from poseg.people import People

Floats = NDArray[np.float32]

FIELD = "mask"


class CropMaskCodec:
    """A codec of masks in crops. Joints with a score of at most `min_keypoint_score` are ignored."""

    min_keypoint_score: float

    @property
    def specs(self) -> tuple[FieldSpec, ...]:
        """The one field, of one person, over the pixels of the crop."""
        return (FieldSpec(FIELD, (), (), "logit", Grid(1)),)

    def batched_specs(self, count: int) -> tuple[FieldSpec, ...]:
        """The field of `count` people."""
        (spec,) = self.specs
        return (replace(spec, axes=("person",), shape=(count,)),)

    def fields_from_outputs(self, outputs: Mapping[str, Floats]) -> Fields:
        """Fields of N people from a network's outputs (N, 1, S, S) by name."""
        masks = outputs[FIELD][:, 0]
        return Fields(self.batched_specs(len(masks)), {FIELD: masks})

    def visible(self, people: People) -> NDArray[np.bool_]:
        """(N, K) joints above the minimum score that are finite."""
        return (people.keypoint_scores > self.min_keypoint_score) & np.isfinite(people.keypoints).all(axis=-1)

    def joints(self, people: People, crops: AlignedCrops) -> Floats:
        """Joints in the crops of their people: (N, K, 3) x, y and 1 where a joint is visible, else zeros."""
        visible = self.visible(people)
        points = np.where(visible[..., None], people.keypoints, 0).astype(np.float64)
        linear, shift = crops.matrices[..., :2], crops.matrices[:, None, :, 2]
        in_crop = points @ linear.swapaxes(-1, -2) + shift
        return np.concatenate([in_crop * visible[..., None], visible[..., None]], axis=-1).astype(np.float32)

    def encode(self, people: People, crops: AlignedCrops, ignore: NDArray[np.bool_] | None = None) -> Targets:
        """The target (N, S, S): the fraction of each crop pixel that the person's mask covers.

        Weights are 0 for people with an empty mask, outside the image, and on the pixels of `ignore` (H, W).
        Raises FieldError for people without masks.
        """
        if people.masks is None:
            raise FieldError("Targets of crops need masks, and these people have none; provide people with masks.")
        annotated = np.ones(people.masks.size, np.bool_) if ignore is None else ~ignore
        inside = crop_masks(Masks.from_full(annotated[None])[np.zeros(len(people), np.intp)], crops) > 0.5
        weight = inside & people.masks.nonempty[:, None, None]
        masks = people.masks if ignore is None else Masks.from_full(people.masks.full() & annotated)
        target = crop_masks(masks, crops)
        return Targets(self.batched_specs(len(people)), {FIELD: target}, {FIELD: weight.astype(np.float32)})

    @staticmethod
    def validate(fields: Fields, people: People, crops: AlignedCrops) -> None:
        """Raise FieldError for fields that are not finite, ShapeError where fields, people and crops differ in N."""
        fields.check_finite()
        if not len(people) == len(crops) == len(fields[FIELD]):
            raise ShapeError("people, crops and fields", expected="the same number of each",
                             got=(len(people), len(crops), len(fields[FIELD])))  # fmt: skip
