"""Assign pixels to people by their poses: each person pixel goes to the person with the nearest limb.

Letters: M cells that may be person, N people, S limbs of one of them, K joints, h x w cells.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.codecs.decoder_config import PafDecoder
from poseg.codecs.pixel_assignment import PixelAssignment, assignment_margins, candidate_cells
from poseg.codecs.pose_scoring import person_scales
from poseg.fields import Fields, sigmoid
from poseg.people import People

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]

LIMB_RADIUS_RATIO = 0.15  # half the thickness of a limb over its length


def assign_by_limbs(fields: Fields, people: People, config: PafDecoder) -> PixelAssignment:
    """Assign cells of the person map to people (N) on the network's input by the bones of their skeleton.

    A cell goes to the person whose limbs are nearest, in units of that person's scale. A connected region of person
    cells with joints of one person only goes to that person as a whole, however large it is.
    """
    person = sigmoid(fields["segmentation"])
    visible = people.keypoint_scores > 0
    cells = candidate_cells(person, config.mask_threshold) if len(people) else np.zeros(0, np.intp)
    row, column = np.divmod(cells, person.shape[1])
    points = fields.grid.to_image(np.stack([column, row], axis=1))
    bones = people.skeleton.indices(people.skeleton.bones)
    distances = limb_distances(points, people.keypoints, visible, bones)
    distances /= person_scales(people.keypoints, people.keypoint_scores)
    occupant = _sole_occupant(person >= config.mask_threshold, people, visible, fields)[cells]
    own = (occupant[:, None] == np.arange(len(people))) & np.isfinite(distances)
    distances[own] = np.minimum(distances[own], config.max_assignment_distance / 2)
    distances[(occupant >= 0)[:, None] & ~own] = np.inf
    margin = assignment_margins(distances, people.scores, config.max_assignment_distance, config.exclusive_masks)
    return PixelAssignment(person, cells, margin, fields.grid)


def limb_distances(points: Floats, keypoints: Floats, visible: NDArray[np.bool_], limbs: Indices) -> Floats:
    """Distances (M, N) in pixels of points (M, 2) from the nearest limb of each person.

    keypoints  (N, K, 2)
    visible    (N, K); only limbs between visible joints count
    limbs      (L, 2) the joints that each limb connects

    A limb extends `LIMB_RADIUS_RATIO` of its length to each side. A person without a limb is measured from their
    joints, and one without joints is infinitely far away.
    """
    x, y = np.ascontiguousarray(points.T)
    distances = np.full((len(points), len(keypoints)), np.inf, np.float32)
    # Person by person, so that intermediate arrays stay in the cache.
    for person, (joints, shown) in enumerate(zip(keypoints, visible, strict=True)):
        own = limbs[shown[limbs].all(axis=1)]
        if not len(own):
            own = np.repeat(np.flatnonzero(shown)[:, None], 2, axis=1)
        start, stop = joints[own[:, 0], :, None], joints[own[:, 1], :, None]  # (S, 2, 1)
        along = stop - start
        squared = (along**2).sum(axis=1)
        dx, dy = x - start[:, 0], y - start[:, 1]  # (S, M)
        t = np.clip((dx * along[:, 0] + dy * along[:, 1]) / np.maximum(squared, 1e-9), 0, 1)
        dx -= t * along[:, 0]
        dy -= t * along[:, 1]
        gap = np.sqrt(dx * dx + dy * dy) - LIMB_RADIUS_RATIO * np.sqrt(squared)
        distances[:, person] = np.maximum(gap.min(axis=0, initial=np.inf), 0)
    return distances


def _sole_occupant(person: NDArray[np.bool_], people: People, visible: NDArray[np.bool_], fields: Fields) -> Indices:
    """(h w,) for each cell the only person with joints in its region of person cells; -1 for none or several."""
    rows, columns = person.shape
    regions, region = cv2.connectedComponents(person.astype(np.uint8), connectivity=8)
    cells = np.rint(fields.grid.to_cells(people.keypoints)).astype(np.intp)
    index, joint = np.nonzero(visible & (cells >= 0).all(axis=2) & (cells < (columns, rows)).all(axis=2))
    x, y = cells[index, joint].T
    occupied = np.zeros((regions, max(len(people), 1)), bool)
    occupied[region[y, x], index] = True
    occupied[0] = False
    occupant = np.where(occupied.sum(axis=1) == 1, occupied.argmax(axis=1), -1)
    return np.asarray(occupant[region].reshape(-1), np.intp)
