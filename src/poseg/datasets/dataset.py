"""The protocol of data sets, a remapped data set, images without people, and a rendering of samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from poseg.draw import overlay
from poseg.errors import AnnotationError
from poseg.io.images import read_image
from poseg.people import People, Sample
from poseg.skeletons import COCO17, Skeleton
from poseg.skeletons.remap import remap_weights

IGNORE_DIM = 0.35  # brightness of ignored pixels


class Dataset(Protocol):
    """A sequence of samples on one skeleton.

    name              for messages and for the model's card
    skeleton          of the people
    exhaustive        whether every person of an image is annotated, so that the rest is background
    annotated_joints  (K,) bool: joints that this set annotates at all; the others are never background
    """

    name: str
    skeleton: Skeleton
    exhaustive: bool
    annotated_joints: NDArray[np.bool_]

    def __len__(self) -> int:
        """The number of images."""
        ...

    def __getitem__(self, index: int) -> Sample:
        """One sample; raises ImageError or AnnotationError for a broken one."""
        ...

    def sample_id(self, index: int) -> str:
        """A name of the image that is stable between runs; teacher fields are stored under it."""
        ...


class RemappedDataset:
    """The samples of `data` with people on `skeleton`; a joint is annotated where all that it is computed from are."""

    def __init__(self, data: Dataset, skeleton: Skeleton) -> None:
        self.data, self.skeleton = data, skeleton
        self.name, self.exhaustive = data.name, data.exhaustive
        weights = remap_weights(data.skeleton, skeleton)
        sources = weights > 0
        self.annotated_joints = np.array(
            [row.any() and bool(data.annotated_joints[row].all()) for row in sources], np.bool_
        )
        # From a joint to the one joint here that is the same; joints that are only averaged have none (-1).
        same = weights == 1
        self._index = np.where(same.any(axis=0), same.argmax(axis=0), -1)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Sample:
        sample = self.data[index]
        uncertain = sample.uncertain.copy()
        uncertain[:, 0] = self._index[uncertain[:, 0].astype(np.intp)]
        people = sample.people.remap_to(self.skeleton)
        return replace(sample, people=people, uncertain=uncertain[uncertain[:, 0] >= 0])

    def sample_id(self, index: int) -> str:
        """That of the wrapped data set: teacher fields depend on the image only."""
        return self.data.sample_id(index)


class BackgroundImages:
    """The JPEG images of a folder, sorted by name; none shows a person, so all pixels are background."""

    def __init__(self, name: str, folder: Path, *, skeleton: Skeleton = COCO17) -> None:
        self.name, self.exhaustive, self.skeleton = name, True, skeleton
        self.annotated_joints = np.ones(len(skeleton), np.bool_)
        self._paths = sorted(path for path in folder.glob("*.jpg") if path.is_file())
        if not self._paths:
            raise AnnotationError(f"There is no .jpg image in {folder}; give a folder of images without people.")

    def __len__(self) -> int:
        return len(self._paths)

    def sample_id(self, index: int) -> str:
        """The set's name and the file name."""
        return f"{self.name}/{self._paths[index].name}"

    def __getitem__(self, index: int) -> Sample:
        image = read_image(self._paths[index])
        return Sample(image, People.empty(self.skeleton, image.shape[:2]), name=self._paths[index].name)


def draw_sample(sample: Sample, *, boxes: bool = False) -> NDArray[np.uint8]:
    """The image (H, W, 3) with poses and masks; ignored pixels are dimmed and striped."""
    canvas = sample.image.copy()
    if sample.ignore is not None and sample.ignore.any():
        rows, columns = np.nonzero(sample.ignore)
        brightness = np.where((rows + columns) % 12 < 2, 1.0, IGNORE_DIM)[:, None]
        canvas[rows, columns] = np.rint(canvas[rows, columns] * brightness).astype(np.uint8)
    return overlay(canvas, sample.people, boxes=boxes, min_score=0.0)
