"""A data set on another skeleton, by the names of the joints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from poseg.datasets.dataset import Dataset
from poseg.people import Sample
from poseg.skeletons import Skeleton
from poseg.skeletons.remap import remap_weights


class Renamed:
    """The samples of `data` with people on `skeleton`; a joint is known where all that it is made from are."""

    def __init__(self, data: Dataset, skeleton: Skeleton) -> None:
        self.data, self.skeleton = data, skeleton
        self.name, self.complete = data.name, data.complete
        weights = remap_weights(data.skeleton, skeleton)
        parts = weights > 0
        self.known = np.array([row.any() and bool(data.known[row].all()) for row in parts], np.bool_)
        # From a joint to the one joint here that is the same; those that are only parts of others have none.
        same = weights == 1
        self._place = np.where(same.any(axis=0), same.argmax(axis=0), -1)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Sample:
        sample = self.data[index]
        unsure = sample.uncertain.copy()
        unsure[:, 0] = self._place[unsure[:, 0].astype(np.intp)]
        return replace(sample, people=sample.people.remap_to(self.skeleton), uncertain=unsure[unsure[:, 0] >= 0])

    def key(self, index: int) -> str:
        """That of the data set underneath: a teacher's lesson is about the picture."""
        return self.data.key(index)
