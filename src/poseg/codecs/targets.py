"""What a codec's encoder puts out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseg.fields import Fields, FieldSpec

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """What the fields should be, and how much each cell counts.

    targets  by field name; probabilities in [0, 1] where the field's unit is "logit", else pixels
    weights  by field name, the shape of the target without its xy axis; 0 where nothing is known
    """

    specs: tuple[FieldSpec, ...]
    targets: Mapping[str, Floats]
    weights: Mapping[str, Floats]

    def as_fields(self, certainty: float = 1e-4) -> Fields:
        """The fields of a network that makes no mistake; probabilities are kept `certainty` away from 0 and 1."""
        arrays = {}
        for spec in self.specs:
            target = self.targets[spec.name]
            if spec.unit == "logit":
                p = np.clip(target, certainty, 1 - certainty)
                target = np.log(p / (1 - p)).astype(np.float32)
            arrays[spec.name] = target
        return Fields(self.specs, arrays)
