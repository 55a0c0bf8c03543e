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

from poseg.codecs.personlab import PersonLabCodec
from poseg.codecs.targets import Targets
from poseg.datasets.dataset import Dataset
from poseg.errors import AnnotationError
from poseg.fields.segmentation import sample_at_cells
from poseg.people import Sample
from poseg.skeletons import Skeleton
from poseg.training.augment import Augmentation, random_view
from poseg.training.distill import Lesson, blend
from poseg.transforms.photometric import jitter
from poseg.transforms.warp import warp


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


class Views(TorchDataset[dict[str, Any]]):
    """An endless-looking sequence of `length` views of pictures, drawn from several data sets by weight."""

    def __init__(self, shares: Sequence[Share], skeleton: Skeleton, view: View, *, length: int, seed: int) -> None:
        self.shares, self.view, self.length, self.seed = tuple(shares), view, length, seed
        for share in self.shares:
            if share.data.skeleton != skeleton:
                raise AnnotationError(
                    f"{share.data.name} has the skeleton {share.data.skeleton.name}, the network "
                    f"{skeleton.name}; train a system with the skeleton of the data."
                )
        weights = np.array([share.weight for share in shares], np.float64)
        self._chance = weights / weights.sum()

    def __len__(self) -> int:
        return self.length

    def draw(self, rng: np.random.Generator) -> tuple[Dataset, int]:
        """A data set and the number of one of its pictures."""
        share = self.shares[int(rng.choice(len(self.shares), p=self._chance))]
        return share.data, int(rng.integers(len(share.data)))

    def normalised(self, image: NDArray[np.uint8], rng: np.random.Generator) -> torch.Tensor:
        """The view's picture (H, W, 3) with other colours, as the network reads it: (3, H, W)."""
        jittered = jitter(image, rng, self.view.augmentation.colour)
        mean, std = (np.array(v, np.float32) for v in (self.view.mean, self.view.std))
        return torch.from_numpy(((jittered - mean) / std).transpose(2, 0, 1).astype(np.float32))


class Mixture(Views):
    """Training items for PersonLab.

    lessons: folder of a teacher's lessons (`training.distill`), or None for labels alone.
    """

    def __init__(
        self, shares: Sequence[Share], codec: PersonLabCodec, view: View, *, length: int, seed: int,
        lessons: Path | None = None,
    ) -> None:  # fmt: skip
        super().__init__(shares, codec.skeleton, view, length=length, seed=seed)
        self.codec, self.lessons = codec, lessons

    def __getitem__(self, position: int) -> dict[str, Any]:
        rng = np.random.default_rng((self.seed, position))
        data, index = self.draw(rng)
        sample = data[index]
        size = (self.view.side_px, self.view.side_px)
        matrix = random_view(sample, size, rng, self.view.augmentation)
        seen = warp(sample, matrix, size)
        targets = self.codec.encode(seen.people, size, seen.ignore, uncertain=seen.uncertain)
        lesson = self._lesson(data, index)
        cells = self.codec.grid.shape(*size)
        if lesson is not None:
            everywhere = Sample(sample.image, sample.people[:0], name=sample.name)
            padding = warp(everywhere, matrix, size).ignore
            inside = np.ones(cells, bool) if padding is None else ~sample_at_cells(padding, self.codec.grid)
            seen_lesson = lesson.seen_through(matrix, self.codec, cells)
            targets = blend(targets, seen_lesson, inside, complete=data.complete)
        elif not data.complete:
            targets = _within_boxes(targets, seen.people.boxes_xyxy, self.codec)
        targets = _forget_unknown(targets, data)
        return {"name": data.key(index), "image": self.normalised(seen.image, rng), **as_tensors(targets)}

    def _lesson(self, data: Dataset, index: int) -> Lesson | None:
        path = None if self.lessons is None else lesson_path(self.lessons, data.key(index))
        return Lesson.read(path) if path is not None and path.exists() else None


def as_tensors(targets: Targets) -> dict[str, dict[str, torch.Tensor]]:
    """Targets and weights as a training item has them."""
    return {
        kind: {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
        for kind, arrays in (("targets", targets.targets), ("weights", targets.weights))
    }


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
