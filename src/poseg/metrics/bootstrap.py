"""Bootstrap over pictures: how much a score owes to the pictures it was measured on.

Pictures are drawn with replacement, as a whole, since the people of one picture are not independent.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def image_counts(rng: np.random.Generator, images: int, resamples: int = 1000) -> NDArray[np.int64]:
    """(resamples, images) how often each picture is drawn; every row sums to `images`."""
    if images == 0:
        return np.zeros((resamples, 0), np.int64)
    return rng.multinomial(images, np.full(images, 1 / images), size=resamples).astype(np.int64)


def percentile_interval(values: ArrayLike, coverage: float = 0.95) -> tuple[float, float] | None:
    """The middle `coverage` of the resampled values (B,); NaN values are left out, None where nothing is left."""
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    if not len(known):
        return None
    tail = 50 * (1 - coverage)
    low, high = np.percentile(known, [tail, 100 - tail])
    return float(low), float(high)
