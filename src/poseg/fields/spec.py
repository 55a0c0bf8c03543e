"""A field is described by a `FieldSpec`, which encoder, head, loss, decoder and drawing share.

Letters: C channels, h and w cells. A vector keeps an axis of its own, x before y; flattening happens once, at
the last convolution of a head.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import NDArray

from poseg.errors import FieldError, ShapeError
from poseg.fields.offsets import as_vectors
from poseg.geometry.grid import Grid

Floats = NDArray[np.float32]

UNITS = ("logit", "px", "scalar")


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """Name, axes, unit and grid of one field.

    name   such as "short_offsets"
    axes   names of the leading axes, such as ("joint", "xy")
    shape  their lengths, such as (17, 2)
    unit   "logit" (sigmoid gives a probability), "px" (pixels of the network's input) or "scalar" (a number, such
           as a confidence or a coordinate of a unit vector)
    grid   positions of the cells
    """

    name: str
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    unit: str
    grid: Grid

    def __post_init__(self) -> None:
        if len(self.axes) != len(self.shape):
            raise ShapeError(f"FieldSpec {self.name!r}", expected=f"one length for each of {self.axes}", got=self.shape)
        if self.unit not in UNITS:
            raise FieldError(f"Field {self.name!r} has the unit {self.unit!r}; it must be one of {', '.join(UNITS)}.")

    @property
    def channels(self) -> int:
        """Channels of the last convolution."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Fields(Mapping[str, Floats]):
    """The fields of one image by name, each (*spec.shape, h, w) float32, all on one grid of h x w cells."""

    specs: tuple[FieldSpec, ...]
    arrays: Mapping[str, Floats]
    _vectors: dict[str, NDArray[np.complex64]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        cells = None
        for spec in self.specs:
            if spec.name not in self.arrays:
                raise FieldError(
                    f"The field {spec.name!r} is missing; there are {', '.join(sorted(self.arrays)) or 'none'}. "
                    "Is this a model of another system?"
                )
            shape = self.arrays[spec.name].shape
            cells = cells or shape[-2:]
            if shape != (*spec.shape, *cells):
                raise ShapeError(f"field {spec.name!r}", expected=(*spec.shape, *cells), got=shape)

    @classmethod
    def from_flat(cls, specs: tuple[FieldSpec, ...], flat: Mapping[str, Floats]) -> Fields:
        """Fields from the outputs of a network: (C, h, w) arrays by name."""
        named = {
            spec.name: flat[spec.name].reshape(*spec.shape, *flat[spec.name].shape[-2:])
            for spec in specs
            if spec.name in flat
        }
        return cls(specs, named)

    def __getitem__(self, name: str) -> Floats:
        return self.arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    @property
    def grid(self) -> Grid:
        """The grid that all fields share."""
        return self.specs[0].grid

    @property
    def shape_hw(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.arrays[self.specs[0].name].shape[-2:]
        return rows, columns

    def vectors(self, name: str) -> NDArray[np.complex64]:
        """A field (C, 2, h, w) as complex numbers x + iy, (C, h, w) (`offsets.as_vectors`), made once."""
        if name not in self._vectors:
            self._vectors[name] = as_vectors(self[name])
        return self._vectors[name]

    def probability(self, name: str) -> Floats:
        """The field as probabilities in [0, 1]: the sigmoid of logits; scalars are clipped."""
        unit = next(spec.unit for spec in self.specs if spec.name == name)
        return sigmoid(self[name]) if unit == "logit" else np.clip(self[name], 0, 1)

    def check_finite(self) -> None:
        """Raise FieldError for NaN and infinite values: such fields cannot be decoded."""
        for name, array in self.arrays.items():
            # The sum is finite where all values are, but for an overflow; it takes a fifth of the time.
            if not np.isfinite(array.sum()) and not np.isfinite(array).all():
                raise FieldError(
                    f"The field {name!r} has values that are not finite; the model or its input is broken, "
                    "so nothing was decoded. Export the model again or check its weights."
                )


def sigmoid(logits: Floats) -> Floats:
    """Logistic function, float32, safe for large arguments of either sign."""
    half: Floats = np.tanh(logits * np.float32(0.5)) * np.float32(0.5) + np.float32(0.5)
    return half
