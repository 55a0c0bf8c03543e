"""Training targets with their weights, and imputation of joints that are not annotated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseg.fields import Fields, FieldSpec

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """The target of each field, and the weight of each cell.

    targets  by field name; probabilities in [0, 1] where the field's unit is "logit", else pixels
    weights  by field name, the shape of the target without its xy axis; 0 where nothing is annotated
    """

    specs: tuple[FieldSpec, ...]
    targets: Mapping[str, Floats]
    weights: Mapping[str, Floats]

    def as_fields(self, epsilon: float = 1e-4) -> Fields:
        """The fields of a perfect network; probabilities are kept `epsilon` away from 0 and 1."""
        arrays = {}
        for spec in self.specs:
            target = self.targets[spec.name]
            if spec.unit == "logit":
                p = np.clip(target, epsilon, 1 - epsilon)
                target = np.log(p / (1 - p)).astype(np.float32)
            arrays[spec.name] = target
        return Fields(self.specs, arrays)


def impute_missing_joints(
    keypoints: Floats, annotated: NDArray[np.bool_], edges: NDArray[np.intp]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Keypoints (N, K, 2) with guesses for those not annotated (N, K), and which have a position now (N, K).

    Decoding walks the tree of joints, so one missing joint would cut off all joints behind it. A network predicts
    joints that it does not see, but annotations lack them. A guess is the mean of the neighbours along the directed
    edges (E, 2) that have a position already. It advances one edge at a time, so a person with any annotated joint gets
    all of them.
    """
    points, placed = np.where(annotated[..., None], keypoints, 0).astype(np.float32), annotated.copy()
    neighbours = np.zeros((placed.shape[1], placed.shape[1]), np.float32)
    neighbours[edges[:, 1], edges[:, 0]] = 1
    while True:
        count = placed.astype(np.float32) @ neighbours.T
        fresh = ~placed & (count > 0)
        if not fresh.any():
            return points, placed
        total = np.einsum("ts,nsd->ntd", neighbours, points)
        points = np.where(fresh[..., None], total / np.maximum(count, 1)[..., None], points).astype(np.float32)
        placed |= fresh
