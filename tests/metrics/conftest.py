"""Pairs of poses to measure."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from poseg.metrics.pairs import PosePairs, pair_up
from poseg.skeletons import LSP14, Skeleton


@pytest.fixture(scope="session")
def random_pairs() -> Callable[..., PosePairs]:
    """Builds pairs of random poses: some joints not annotated, some not found, several people a picture."""

    def build(
        seed: int, people: int = 12, pictures: int = 5, *, axes: int = 2, spread: float = 20.0, missing: float = 0.1,
        skeleton: Skeleton = LSP14, **changes: object,
    ) -> PosePairs:  # fmt: skip
        rng = np.random.default_rng(seed)
        true = rng.uniform(0, 200, (people, len(skeleton), axes))
        arguments: dict[str, object] = {
            "annotated": rng.random(true.shape[:2]) >= missing,
            "placed": rng.random(true.shape[:2]) >= missing,
            "picture": rng.integers(0, pictures, people),
            "pictures": pictures,
        }
        return pair_up(skeleton, true, true + rng.normal(0, spread, true.shape), **(arguments | changes))  # type: ignore[arg-type]

    return build
