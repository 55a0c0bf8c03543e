"""Where joints that nobody annotated may be, so that the tree stays in one piece (perfect fields only).

The tree of joints leads from one side of a person to the other over the nose, and over every joint in between. A
network guesses joints that it does not see and passes on through them; labels say nothing of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def guess_joints(
    keypoints: Floats, annotated: NDArray[np.bool_], edges: NDArray[np.intp]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Keypoints (N, K, 2) with a guess for those not annotated (N, K), and which are known now.

    A guess is the mean of the neighbours on the tree, by directed edges (E, 2), that are known already; it spreads
    one edge at a time, so a person with any annotated joint ends with all of them.
    """
    points, known = np.where(annotated[..., None], keypoints, 0).astype(np.float32), annotated.copy()
    neighbours = np.zeros((known.shape[1], known.shape[1]), np.float32)
    neighbours[edges[:, 1], edges[:, 0]] = 1
    while True:
        count = known.astype(np.float32) @ neighbours.T
        fresh = ~known & (count > 0)
        if not fresh.any():
            return points, known
        total = np.einsum("ts,nsd->ntd", neighbours, points)
        points = np.where(fresh[..., None], total / np.maximum(count, 1)[..., None], points).astype(np.float32)
        known |= fresh
