"""People in their windows, as Pose2Seg sees them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.draw.overlay import overlay
from poseg.fields.align import AlignedCrops
from poseg.geometry import affine
from poseg.people import People

Bytes = NDArray[np.uint8]


def draw_windows(
    image: Bytes, people: People, windows: AlignedCrops, *masks: NDArray[np.float32], zoom: int = 3, gap_px: int = 0
) -> Bytes:
    """A row for each person: the picture seen through the window with the pose on it, then each of its masks.

    image    (H, W, 3) uint8 RGB
    people   N, in the picture's pixels
    windows  N
    masks    (N, S, S) in [0, 1] each
    zoom     how much larger than a window's S pixels it is drawn
    gap_px   white between the parts

    Returns (N zoom S + gaps, (1 + masks) zoom S + gaps, 3) uint8 RGB.
    """
    side = windows.side_px * zoom
    rows = []
    for place, matrix in enumerate(windows.matrices):
        large = affine.compose(affine.similarity(zoom), matrix)
        seen = cv2.warpAffine(image, affine.to_cv2(large), (side, side), flags=cv2.INTER_LINEAR)
        points = affine.apply(large, people.keypoints[place])
        person = People.from_poses(people.skeleton, points[None], people.keypoint_scores[[place]])
        parts = [overlay(np.asarray(seen, np.uint8), person), *(_grey(mask[place], side) for mask in masks)]
        rows.append(_joined(parts, 1, gap_px))
    return _joined(rows, 0, gap_px)


def _grey(mask: NDArray[np.float32], side: int) -> Bytes:
    """A mask (S, S) of probabilities, enlarged."""
    large = cv2.resize(np.rint(255 * mask).astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST)
    return np.repeat(np.asarray(large, np.uint8)[..., None], 3, axis=2)


def _joined(parts: list[Bytes], axis: int, gap_px: int) -> Bytes:
    """Pictures of one height or width, one after the other, with white between them."""
    shape = list(parts[0].shape)
    shape[axis] = gap_px
    white = np.full(shape, 255, np.uint8)
    spaced = [piece for part in parts for piece in (part, white)][:-1]
    return np.concatenate(spaced, axis=axis)
