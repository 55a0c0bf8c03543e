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
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from poseg.codecs.personlab import PersonLabCodec, Targets
from poseg.datasets.dataset import Dataset
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
        targets = self.codec.encode(seen.people, size, seen.ignore)
        lesson = self._lesson(share.data, index)
        cells = self.codec.grid.shape(*size)
        if lesson is not None:
            everywhere = Sample(sample.image, sample.people[:0], name=sample.name)
            padding = warp(everywhere, matrix, size).ignore
            inside = np.ones(cells, bool) if padding is None else ~at_cells(padding, self.codec.grid)
            seen_lesson = lesson.seen_through(matrix, self.codec, cells)
            targets = blend(targets, seen_lesson, inside, complete=share.data.complete)
        targets = _forget_unknown(targets, share.data)
        image = jitter(seen.image, rng, self.view.augmentation.colour)
        mean, std = (np.array(v, np.float32) for v in (self.view.mean, self.view.std))
        return {
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


def batches(mixture: Mixture, batch_size: int, *, workers: int, first: int = 0) -> DataLoader[dict[str, Any]]:
    """Batches in the order of positions, from position `first` on."""
    return DataLoader(
        mixture,
        batch_size=batch_size,
        sampler=range(first, len(mixture)),
        num_workers=workers,
        drop_last=True,
        persistent_workers=False,
        prefetch_factor=3 if workers else None,
    )
