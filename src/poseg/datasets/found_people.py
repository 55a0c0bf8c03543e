"""People that a model found in labelled pictures, each in a window of its own: what a painter learns from.

One file holds a set, as a NumPy archive without objects. Letters: N people, K joints, S the windows' side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.errors import AnnotationError
from poseg.io.files import atomic_write
from poseg.skeletons import COCO17, Skeleton

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

_BYTE = 255
_ARRAYS = ("pictures", "evidence", "joints", "masks", "known", "names", "margin")


@dataclass(frozen=True, slots=True, eq=False)
class FoundPerson:
    """What a window shows of a person that was found, and what is true there.

    picture   (S, S, 3) uint8 RGB
    evidence  (2, S, S) probability of person in [0, 1] and weighted margin in [-1, 1], as the finder has them
    joints    (K, 3) x, y in the window and whether there is one, as found
    mask      (S, S) share of each pixel that the true mask covers
    known     (S, S) bool, where the truth is known
    name      of the picture
    """

    picture: Bytes
    evidence: Floats
    joints: Floats
    mask: Floats
    known: NDArray[np.bool_]
    name: str = ""


def write_found(path: Path, people: Sequence[FoundPerson], margin: float) -> None:
    """Write a set, whole or not at all; `margin` is that of the windows around what they were laid around.

    What lies between 0 and 1 becomes bytes. Raises AnnotationError for nobody.
    """
    if not people:
        raise AnnotationError(f"Nobody was found to write to {path}; give labelled pictures whose people have masks.")
    evidence = np.stack([person.evidence for person in people])
    scaled = (evidence + np.array([0, 1], np.float32)[:, None, None]) * np.array([1, 0.5], np.float32)[:, None, None]
    with atomic_write(path) as unfinished, open(unfinished, "wb") as file:
        np.savez(
            file,
            pictures=np.stack([person.picture for person in people]), evidence=_as_bytes(scaled),
            joints=np.stack([person.joints for person in people]),
            masks=_as_bytes(np.stack([person.mask for person in people])),
            known=np.stack([person.known for person in people]), names=np.array([person.name for person in people]),
            margin=np.float32(margin),
        )  # fmt: skip


def _as_bytes(values: ArrayLike) -> Bytes:
    return np.rint(np.clip(np.asarray(values, np.float32), 0, 1) * _BYTE).astype(np.uint8)


class FoundPeople:
    """A set that `write_found` wrote, person by person. Raises AnnotationError for a file that is none.

    side_px  S
    margin   of the windows around the longer side of what they were laid around, as a part of S
    """

    def __init__(self, name: str, path: Path, skeleton: Skeleton = COCO17) -> None:
        self.name, self.skeleton = name, skeleton
        try:
            with np.load(path, allow_pickle=False) as file:
                self._arrays = {key: file[key] for key in _ARRAYS}
        except (BadZipFile, EOFError, KeyError, OSError, ValueError) as fault:
            raise AnnotationError(
                f"{path} is no set of people found ({fault}); write it with `python -m poseg.recipes.find_people`."
            ) from None
        shape = self._arrays["pictures"].shape
        if len(shape) != 4 or self._arrays["joints"].shape[1:] != (len(skeleton), 3):
            raise AnnotationError(f"{path} holds windows or joints of other shapes; write it again.")
        self.side_px, self.margin = int(shape[1]), float(self._arrays["margin"])

    def __len__(self) -> int:
        return len(self._arrays["pictures"])

    def key(self, index: int) -> str:
        """Name of the picture with the set's name before it."""
        return f"{self.name}/{self._arrays['names'][index]}"

    def __getitem__(self, index: int) -> FoundPerson:
        a = self._arrays
        probability, margin = a["evidence"][index].astype(np.float32) / _BYTE
        return FoundPerson(
            a["pictures"][index], np.stack([probability, 2 * margin - 1]), a["joints"][index],
            a["masks"][index].astype(np.float32) / _BYTE, a["known"][index], str(a["names"][index]),
        )  # fmt: skip
