"""Pictures without people: everything in them is background."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from poseg.errors import AnnotationError
from poseg.io.images import read_image
from poseg.people import People, Sample
from poseg.skeletons import COCO17, Skeleton


class PersonFree:
    """The JPEG pictures of a folder, in the order of their names."""

    def __init__(self, name: str, folder: Path, *, skeleton: Skeleton = COCO17) -> None:
        self.name, self.complete, self.skeleton = name, True, skeleton
        self.known = np.ones(len(skeleton), bool)
        self._paths = sorted(folder.glob("*.jpg"))
        if not self._paths:
            raise AnnotationError(f"There is no .jpg picture in {folder}; give a folder of person-free pictures.")

    def __len__(self) -> int:
        return len(self._paths)

    def key(self, index: int) -> str:
        """File name with the set's name before it."""
        return f"{self.name}/{self._paths[index].name}"

    def __getitem__(self, index: int) -> Sample:
        image = read_image(self._paths[index])
        return Sample(image, People.empty(self.skeleton, image.shape[:2]), name=self._paths[index].name)
