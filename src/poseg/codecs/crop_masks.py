"""What codecs share that give each person a window with one mask in it: its field, its target, the joints there.

Letters: N people, K joints, S the window's side, H x W pixels of a picture.
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
    """A codec of masks in windows; it has a `min_keypoint_score`, below which joints are not there."""

    min_keypoint_score: float

    @property
    def specs(self) -> tuple[FieldSpec, ...]:
        """The one field, of one person, over the window's pixels."""
        return (FieldSpec(FIELD, (), (), "logit", Grid(1)),)

    def batched_specs(self, count: int) -> tuple[FieldSpec, ...]:
        """The field of several people."""
        (spec,) = self.specs
        return (replace(spec, axes=("person",), shape=(count,)),)

    def fields_from_outputs(self, outputs: Mapping[str, Floats]) -> Fields:
        """Fields of N people from a network's outputs (N, 1, S, S) by name."""
        masks = outputs[FIELD][:, 0]
        return Fields(self.batched_specs(len(masks)), {FIELD: masks})

    def visible(self, people: People) -> NDArray[np.bool_]:
        """The joints (N, K) that count."""
        return (people.keypoint_scores > self.min_keypoint_score) & np.isfinite(people.keypoints).all(axis=-1)

    def joints(self, people: People, windows: AlignedCrops) -> Floats:
        """The joints in their windows: (N, K, 3) x, y and 1 where there is one, else zeros."""
        known = self.visible(people)
        points = np.where(known[..., None], people.keypoints, 0).astype(np.float64)
        linear, shift = windows.matrices[..., :2], windows.matrices[:, None, :, 2]
        placed = points @ linear.swapaxes(-1, -2) + shift
        return np.concatenate([placed * known[..., None], known[..., None]], axis=-1).astype(np.float32)

    def encode(self, people: People, windows: AlignedCrops, ignore: NDArray[np.bool_] | None = None) -> Targets:
        """What windows should show: the share of each pixel that the person's mask covers, (N, S, S).

        Nothing is known of people with an all-false mask, nor outside the picture that masks and `ignore` (H, W) cover.
        """
        if people.masks is None:
            raise FieldError("Windows teach masks, and these people have none; give people with masks.")
        known = np.ones(people.masks.size, np.bool_) if ignore is None else ~ignore
        inside = crop_masks(Masks.from_full(known[None])[np.zeros(len(people), np.intp)], windows) > 0.5
        weight = inside & people.masks.nonempty[:, None, None]
        masks = people.masks if ignore is None else Masks.from_full(people.masks.full() & known)
        target = crop_masks(masks, windows)
        return Targets(self.batched_specs(len(people)), {FIELD: target}, {FIELD: weight.astype(np.float32)})

    @staticmethod
    def validate(fields: Fields, people: People, windows: AlignedCrops) -> None:
        """Raise FieldError for fields that are not finite, ShapeError for another number of windows than of people."""
        fields.check_finite()
        if not len(people) == len(windows) == len(fields[FIELD]):
            raise ShapeError("people, windows and fields", expected="as many of each",
                             got=(len(people), len(windows), len(fields[FIELD])))  # fmt: skip
