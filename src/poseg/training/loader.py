"""From data sets to batches of tensors: view, warp, jitter, encode, blend, normalise.

Every draw follows from (seed, position in the run), so a run can be repeated and resumed whatever the number of
workers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset as TorchDataset

from poseg.codecs.personlab import PersonLabCodec, Targets
from poseg.datasets.dataset import Dataset
from poseg.errors import AnnotationError
from poseg.fields.segmentation import at_cells
from poseg.people import Sample
from poseg.training.augment import Augmentation, random_view
from poseg.training.distill import Lesson, blend
from poseg.transforms.photometric import jitter
from poseg.transforms.warp import warp

Batch = dict[str, dict[str, torch.Tensor] | torch.Tensor]


@dataclass(frozen=True, slots=True)
class Share:
    """A data set and how often it is drawn, relative to the others."""

    data: Dataset
    weight: float


@dataclass(frozen=True, slots=True)
class View:
    """What the network is shown: canvas side, augmentation, normalisation."""

    side_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    augmentation: Augmentation = field(default_factory=Augmentation)


class Mixture(TorchDataset[dict[str, Any]]):
    """An endless-looking sequence of `length` training items, drawn from several data sets by weight.

    lessons: folder of a teacher's lessons (`training.distill`), or None for labels alone.
    """

    def __init__(
        self, shares: Sequence[Share], codec: PersonLabCodec, view: View, *, length: int, seed: int,
        lessons: Path | None = None,
    ) -> None:  # fmt: skip
        self.shares, self.codec, self.view = tuple(shares), codec, view
        self.length, self.seed, self.lessons = length, seed, lessons
        for share in self.shares:
            if share.data.skeleton != codec.skeleton:
                raise AnnotationError(
                    f"{share.data.name} has the skeleton {share.data.skeleton.name}, the network "
                    f"{codec.skeleton.name}; train a system with the skeleton of the data."
                )
        weights = np.array([share.weight for share in shares], np.float64)
        self._chance = weights / weights.sum()

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, position: int) -> dict[str, Any]:
        rng = np.random.default_rng((self.seed, position))
        share = self.shares[int(rng.choice(len(self.shares), p=self._chance))]
        index = int(rng.integers(len(share.data)))
        sample = share.data[index]
        size = (self.view.side_px, self.view.side_px)
        matrix = random_view(sample, size, rng, self.view.augmentation)
        seen = warp(sample, matrix, size)
        targets = self.codec.encode(seen.people, size, seen.ignore, unsure=seen.unsure)
        lesson = self._lesson(share.data, index)
        cells = self.codec.grid.shape(*size)
        if lesson is not None:
            everywhere = Sample(sample.image, sample.people[:0], name=sample.name)
            padding = warp(everywhere, matrix, size).ignore
            inside = np.ones(cells, bool) if padding is None else ~at_cells(padding, self.codec.grid)
            seen_lesson = lesson.seen_through(matrix, self.codec, cells)
            targets = blend(targets, seen_lesson, inside, complete=share.data.complete)
        elif not share.data.complete:
            targets = _within_boxes(targets, seen.people.boxes_xyxy, self.codec)
        targets = _forget_unknown(targets, share.data)
        image = jitter(seen.image, rng, self.view.augmentation.colour)
        mean, std = (np.array(v, np.float32) for v in (self.view.mean, self.view.std))
        return {
            "name": share.data.key(index),
            "image": torch.from_numpy(((image - mean) / std).transpose(2, 0, 1).astype(np.float32)),
            "targets": {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in targets.targets.items()},
            "weights": {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in targets.weights.items()},
        }

    def _lesson(self, data: Dataset, index: int) -> Lesson | None:
        path = None if self.lessons is None else lesson_path(self.lessons, data.key(index))
        return Lesson.read(path) if path is not None and path.exists() else None


def lesson_path(folder: Path, key: str) -> Path:
    """Where the lesson of a picture lies."""
    return folder / (key.replace("/", "__") + ".npz")


def _forget_unknown(targets: Targets, data: Dataset) -> Targets:
    """No loss on the heatmaps of joints that the data set does not name."""
    weight = targets.weights["heatmap"] * data.known[:, None, None].astype(np.float32)
    return Targets(targets.specs, targets.targets, {**targets.weights, "heatmap": weight})


def _within_boxes(targets: Targets, boxes_xyxy: NDArray[np.float32], codec: PersonLabCodec) -> Targets:
    """Nothing is background outside the labelled boxes of a data set that does not label everybody."""
    x, y = codec.grid.positions(*targets.targets["segmentation"].shape)
    left, top, right, bottom = boxes_xyxy.T[:, :, None, None]
    inside = ((x >= left) & (x <= right) & (y >= top) & (y <= bottom)).any(axis=0).astype(np.float32)
    known = {name: targets.weights[name] * inside for name in ("heatmap", "segmentation")}
    return Targets(targets.specs, targets.targets, {**targets.weights, **known})
