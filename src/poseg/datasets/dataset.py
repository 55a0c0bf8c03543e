"""What training asks of a data set."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from poseg.people import Sample
from poseg.skeletons import Skeleton


class Dataset(Protocol):
    """A sequence of samples on one skeleton.

    name      for messages and for the model's card
    skeleton  of the people given out
    complete  whether every person of a picture is labelled, so that the rest is background
    known     (K,) bool: joints this set annotates at all; the others are never background
    """

    name: str
    skeleton: Skeleton
    complete: bool
    known: NDArray[np.bool_]

    def __len__(self) -> int:
        """How many pictures."""
        ...

    def __getitem__(self, index: int) -> Sample:
        """One sample; raises ImageError or AnnotationError for a broken one."""
        ...

    def key(self, index: int) -> str:
        """Name of a picture that is stable between runs: the place of its teacher's lesson on disk."""
        ...
