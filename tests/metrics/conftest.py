"""Random pairs of poses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from poseg.metrics.pairs import PosePairs, make_pairs
from poseg.skeletons import LSP14, Skeleton


@pytest.fixture(scope="session")
def random_pairs() -> Callable[..., PosePairs]:
    """Builds pairs of random poses: some joints not annotated, some not detected, several people per image."""

    def build(
        seed: int, people: int = 12, images: int = 5, *, axes: int = 2, noise: float = 20.0, missing: float = 0.1,
        skeleton: Skeleton = LSP14, **changes: object,
    ) -> PosePairs:  # fmt: skip
        rng = np.random.default_rng(seed)
        truth = rng.uniform(0, 200, (people, len(skeleton), axes))
        arguments: dict[str, object] = {
            "annotated": rng.random(truth.shape[:2]) >= missing,
            "detected": rng.random(truth.shape[:2]) >= missing,
            "image_index": rng.integers(0, images, people),
            "num_images": images,
        }
        return make_pairs(skeleton, truth, truth + rng.normal(0, noise, truth.shape), **(arguments | changes))  # type: ignore[arg-type]

    return build
