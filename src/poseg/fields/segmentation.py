"""Person masks on a grid: the fraction of each cell that is person, and which person.

Letters: N people, H x W pixels, h x w cells of stride s.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.geometry.grid import Grid

Floats = NDArray[np.float32]


def area_downsample(mask: NDArray[np.bool_], grid: Grid) -> Floats:
    """Fraction of the s x s pixels around each cell that the mask covers: (h, w) in [0, 1].

    A fraction instead of a bit keeps the position of the edge inside the cell, which the decoder recovers by
    interpolation. mask (H, W) of an image whose sides are s * n + 1 pixels, or s * n for a grid of whole blocks.
    """
    first = int(grid.origin)
    side = grid.stride | 1 if grid.origin > first else grid.stride  # an even block's centre lies between two pixels
    blurred = cv2.blur(mask.astype(np.float32), (side, side), borderType=cv2.BORDER_REPLICATE)
    cells: Floats = np.ascontiguousarray(blurred[first :: grid.stride, first :: grid.stride])
    return cells


def sample_at_cells(masks: NDArray[np.bool_], grid: Grid) -> NDArray[np.bool_]:
    """The masks (..., H, W) at the positions of the cells: (..., h, w)."""
    first = int(grid.origin)
    return masks[..., first :: grid.stride, first :: grid.stride]


def nearest_person(masks: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Index of the person whose mask each cell belongs to or is nearest to: (h, w); -1 everywhere without masks.

    masks (N, h, w) on the grid. Where masks overlap the smaller one owns the cell: it is usually in front.
    """
    owner = np.full(masks.shape[1:], -1, np.intp)
    nonempty = [i for i in np.argsort(-masks.sum(axis=(1, 2)), kind="stable") if masks[i].any()]
    for person in nonempty:
        owner[masks[person]] = person
    if not nonempty or (owner >= 0).all():
        return owner
    # Labels of the distance transform number the zero pixels, so a lookup turns them into people.
    _, label = cv2.distanceTransformWithLabels(
        (owner < 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    person_of_label = np.full(int(label.max()) + 1, -1, np.intp)
    person_of_label[label[owner >= 0]] = owner[owner >= 0]
    return np.asarray(person_of_label[label], np.intp)
