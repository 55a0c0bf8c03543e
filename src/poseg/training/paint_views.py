"""Training items for a painter: windows of people that a model found, moved, mirrored and in other light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset as TorchDataset

from poseg.codecs.crop_masks import FIELD
from poseg.codecs.mask_refiner import MaskRefinerCodec
from poseg.codecs.targets import Targets
from poseg.datasets.found_people import FoundPeople, FoundPerson
from poseg.errors import AnnotationError
from poseg.geometry import affine
from poseg.training.loader import View, as_tensors
from poseg.transforms.photometric import jitter

Floats = NDArray[np.float32]
OUTSIDE = 127  # grey, as the codec has it outside a picture


@dataclass(frozen=True, slots=True)
class FoundShare:
    """People found in one data set and how often they are drawn, relative to the others."""

    data: FoundPeople
    weight: float


@dataclass(frozen=True, slots=True)
class PaintView(View):
    """How windows are changed; turns, zooms and shifts are normal with these spreads.

    turn_deg  about the window's middle
    zoom      of the logarithm of the factor
    shift     as a part of the window's side
    mirror    probability of the mirror image
    """

    turn_deg: float = 6.0
    zoom: float = 0.1
    shift: float = 0.03
    mirror: float = 0.5


class PaintViews(TorchDataset[dict[str, Any]]):
    """An endless-looking sequence of `length` windows, drawn from several sets by weight."""

    def __init__(
        self, shares: Sequence[FoundShare], codec: MaskRefinerCodec, view: PaintView, *, length: int, seed: int
    ) -> None:
        self.shares, self.codec, self.view, self.length, self.seed = tuple(shares), codec, view, length, seed
        for share in self.shares:
            if share.data.skeleton != codec.skeleton:
                raise AnnotationError(
                    f"{share.data.name} has the skeleton {share.data.skeleton.name}, the painter "
                    f"{codec.skeleton.name}; train a system with the skeleton of the data."
                )
        weights = np.array([share.weight for share in shares], np.float64)
        self._chance = weights / weights.sum()

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, position: int) -> dict[str, Any]:
        rng = np.random.default_rng((self.seed, position))
        data = self.shares[int(rng.choice(len(self.shares), p=self._chance))].data
        index = int(rng.integers(len(data)))
        seen = self._moved(data[index], data.margin, rng)
        picture = jitter(seen.picture, rng, self.view.augmentation.colour)
        planes = self.codec.network_input(
            picture[None], seen.evidence[None], seen.joints[None], self.view.mean, self.view.std
        )[0]  # fmt: skip
        targets = Targets(
            self.codec.batched_specs(1), {FIELD: seen.mask[None]}, {FIELD: seen.known[None].astype(np.float32)}
        )  # fmt: skip
        return {"name": data.key(index), "image": torch.from_numpy(planes), **as_tensors(targets)}

    def _moved(self, person: FoundPerson, margin: float, rng: np.random.Generator) -> FoundPerson:
        """The person in a window of the codec's size, at random near where it would be laid."""
        stored, side = len(person.picture), self.codec.crop_px
        inner = np.array([[margin, margin, 1 - margin, 1 - margin]]) * stored
        laid = self.codec.crops(inner, (stored, stored)).matrices[0]
        middle = (side / 2, side / 2)
        away = rng.normal(0, self.view.shift, 2) * side
        moved = affine.similarity(
            float(np.exp(rng.normal(0, self.view.zoom))), float(np.deg2rad(rng.normal(0, self.view.turn_deg))), middle,
            (middle[0] + float(away[0]), middle[1] + float(away[1])), bool(rng.random() < self.view.mirror),
        )  # fmt: skip
        matrix = affine.compose(moved, laid)

        def seen(planes: NDArray[Any], border: int, outside: float = 0.0) -> NDArray[Any]:
            return np.asarray(cv2.warpAffine(
                planes, affine.to_cv2(matrix), (side, side),
                flags=cv2.INTER_LINEAR, borderMode=border, borderValue=(outside,) * 4,
            ))  # fmt: skip

        joints = person.joints.copy()
        joints[:, :2] = affine.apply(matrix, joints[:, :2]) * joints[:, 2:]
        evidence = seen(np.ascontiguousarray(person.evidence.transpose(1, 2, 0)), cv2.BORDER_REPLICATE)
        truth = seen(np.dstack([person.mask, person.known.astype(np.float32)]), cv2.BORDER_CONSTANT)
        return FoundPerson(
            seen(person.picture, cv2.BORDER_CONSTANT, OUTSIDE), evidence.transpose(2, 0, 1), joints,
            truth[..., 0], truth[..., 1] > 0.5, person.name,
        )  # fmt: skip
