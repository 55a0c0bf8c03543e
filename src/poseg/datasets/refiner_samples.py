"""Training samples of a mask refiner: crops of people that a model detected in labelled images.

One file holds a set, as a NumPy archive without objects. Letters: N people, K joints, S the side of a crop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.errors import AnnotationError
from poseg.io.files import atomic_write, read_arrays
from poseg.skeletons import COCO17, Skeleton

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

_ARRAYS = ("images", "cues", "joints", "masks", "valid", "names", "padding")
_WRITER = "python -m poseg.recipes.write_refiner_crops"


@dataclass(frozen=True, slots=True, eq=False)
class RefinerSample:
    """The crop of a detected person with its ground truth.

    image   (S, S, 3) uint8 RGB
    cues    (2, S, S) probability of person in [0, 1] and weighted assignment margin in [-1, 1], of the detector
    joints  (K, 3) x, y in the crop and whether the joint was detected
    mask    (S, S) fraction of each pixel that the ground-truth mask covers
    valid   (S, S) bool, where the ground truth is annotated
    name    of the image
    """

    image: Bytes
    cues: Floats
    joints: Floats
    mask: Floats
    valid: NDArray[np.bool_]
    name: str = ""


def write_samples(path: Path, samples: Sequence[RefinerSample], padding: float) -> None:
    """Write a set, whole or not at all; `padding` is that of the crops, as in `RefinerSamples`.

    Values between 0 and 1 are stored as bytes. Raises AnnotationError for an empty set.
    """
    if not samples:
        raise AnnotationError(f"No people were detected for {path}; give labelled images whose people have masks.")
    cues = np.stack([sample.cues for sample in samples])
    scaled = (cues + np.array([0, 1], np.float32)[:, None, None]) * np.array([1, 0.5], np.float32)[:, None, None]
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        np.savez(
            file,
            images=np.stack([sample.image for sample in samples]), cues=_to_bytes(scaled),
            joints=np.stack([sample.joints for sample in samples]),
            masks=_to_bytes(np.stack([sample.mask for sample in samples])),
            valid=np.stack([sample.valid for sample in samples]), names=np.array([sample.name for sample in samples]),
            padding=np.float32(padding),
        )  # fmt: skip


def _to_bytes(values: ArrayLike) -> Bytes:
    return np.rint(np.clip(np.asarray(values, np.float32), 0, 1) * 255).astype(np.uint8)


class RefinerSamples:
    """A set that `write_samples` wrote. Raises AnnotationError for any other file.

    side_px  S
    padding  of the crops around the longer side of the person, as a fraction of S
    """

    def __init__(self, name: str, path: Path, skeleton: Skeleton = COCO17) -> None:
        self.name, self.skeleton = name, skeleton
        self._arrays = read_arrays(path, _ARRAYS, f"write it with `{_WRITER}`")
        if len(self._arrays) != len(_ARRAYS):
            raise AnnotationError(f"{path} is not a set of refiner samples; write it with `{_WRITER}`.")
        shape = self._arrays["images"].shape
        if len(shape) != 4 or self._arrays["joints"].shape[1:] != (len(skeleton), 3):
            raise AnnotationError(f"{path} holds crops or joints of other shapes; write it again.")
        self.side_px, self.padding = int(shape[1]), float(self._arrays["padding"])

    def __len__(self) -> int:
        return len(self._arrays["images"])

    def sample_id(self, index: int) -> str:
        """The set's name and the name of the image."""
        return f"{self.name}/{self._arrays['names'][index]}"

    def __getitem__(self, index: int) -> RefinerSample:
        a = self._arrays
        probability, margin = a["cues"][index].astype(np.float32) / 255
        return RefinerSample(
            a["images"][index], np.stack([probability, 2 * margin - 1]), a["joints"][index],
            a["masks"][index].astype(np.float32) / 255, a["valid"][index], str(a["names"][index]),
        )  # fmt: skip
