"""PersonLab's geometric embedding as a picture: pixels of one person point at the same joints (section 3.2).

The embedding of a pixel is where its K long-range offsets point. Alike embeddings get alike colours.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.draw.ink import Bytes, Floats
from poseg.draw.palette import oklch
from poseg.draw.plate import Plate

_SAMPLE = 4096  # pixels that the axes are computed from; plenty for three directions
_LEAST_SPREAD_PX = 24.0  # less than this, root mean square over joints, is noise within one person


def embedding_colours(targets: Floats, person: NDArray[np.bool_]) -> Bytes:
    """Colours (H, W, 3) of the points (K, 2, H, W) that pixels point at; grey outside `person` (H, W).

    The three main axes of the embeddings of person pixels become yellow to blue, red to green and light to dark.
    """
    picture = np.full((*person.shape, 3), 127, np.uint8)
    points = targets[:, :, person].reshape(2 * len(targets), -1).T
    if len(points) == 0:
        return picture
    sample = points[:: max(len(points) // _SAMPLE, 1)].astype(np.float64)
    middle = sample.mean(axis=0)
    spread = (sample - middle).T @ (sample - middle)
    axes = np.linalg.eigh(spread)[1][:, :-4:-1]  # eigenvalues come in rising order
    axes *= np.where(axes.sum(axis=0) < 0, -1, 1)  # the sign of an axis is free: fixed, so that pictures repeat
    places = (points - middle) @ axes / np.sqrt(targets.shape[0])
    reach = max(float(np.quantile(np.abs(places), 0.98)), _LEAST_SPREAD_PX)
    unit = np.zeros((len(points), 3))
    unit[:, : axes.shape[1]] = np.clip(places / reach, -1, 1)
    chroma = 0.045 + 0.15 * np.hypot(unit[:, 0], unit[:, 1])
    picture[person] = oklch(0.72 + 0.13 * unit[:, 2], chroma, np.arctan2(unit[:, 0], unit[:, 1]))
    return picture


def landing_energy(plate: Plate, targets: Floats, person: NDArray[np.bool_]) -> Floats:
    """How many person cells point where: (K, H, W) in [0, 1] over the plate.

    targets (K, 2, h, w) in pixels of the network's input, person (h, w). Each joint's light is relative to its
    brightest place, so that small people and large crowds both show.
    """
    height, width = plate.picture.shape[:2]
    energies = np.zeros((len(targets), height, width), np.float32)
    for joint, points in enumerate(targets[:, :, person]):
        x, y = np.floor(points * plate.scale[:, None]).astype(np.int64)
        inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
        votes = np.bincount(y[inside] * width + x[inside], minlength=height * width).astype(np.float32)
        spot = np.asarray(cv2.GaussianBlur(votes.reshape(height, width), (0, 0), 2.5), np.float32)
        energies[joint] = np.sqrt(spot / max(float(spot.max()), 1e-9))
    return energies
