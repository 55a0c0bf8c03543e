"""One resampling per sample: picture, people and ignore regions through one affine map."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.geometry import affine, boxes
from poseg.people import People, Sample

GREY = (127, 127, 127)


def warp(sample: Sample, matrix: affine.Matrix, size: tuple[int, int]) -> Sample:
    """The sample seen through an affine map of continuous coordinates, on a canvas of `size` (height, width).

    A map that mirrors swaps left and right joints. Joints and people that leave the canvas lose their annotation
    (spec section 2: a = 0); what lies outside the old picture is grey and ignored.
    """
    height, width = size
    at_centres = affine.for_cv2(matrix)
    image = picture_through(sample.image, matrix, size)
    outside = np.ones(sample.image.shape[:2], np.uint8) if sample.ignore is None else (~sample.ignore).astype(np.uint8)
    ignore = cv2.warpAffine(outside, at_centres, (width, height), flags=cv2.INTER_NEAREST) == 0
    people = _warp_people(sample.people, matrix, size)
    unsure = _warp_unsure(sample, matrix)
    return Sample(image, people, ignore, sample.name, unsure)


def picture_through(image: NDArray[np.uint8], matrix: affine.Matrix, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture (H, W, 3) seen through an affine map, on a canvas of `size` (height, width); grey beyond its border."""
    height, width = size
    shrinks = np.sqrt(abs(np.linalg.det(matrix[:, :2]))) < 0.7
    seen = cv2.warpAffine(
        _blurred(image, matrix) if shrinks else image,
        affine.for_cv2(matrix), (width, height), flags=cv2.INTER_LINEAR, borderValue=GREY,
    )  # fmt: skip
    return np.asarray(seen, np.uint8)


def _blurred(image: NDArray[np.uint8], matrix: affine.Matrix) -> NDArray[np.uint8]:
    """Low-pass before shrinking, so that bilinear sampling does not alias."""
    sigma = 0.4 / np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)


def _warp_unsure(sample: Sample, matrix: affine.Matrix) -> NDArray[np.float32]:
    """Joint number, x and y of the places where a joint may be; a mirroring map swaps left and right."""
    joint = sample.uncertain[:, 0].astype(np.intp)
    if np.linalg.det(matrix[:, :2]) < 0:
        joint = sample.people.skeleton.mirror[joint]
    return np.column_stack([joint, affine.apply(matrix, sample.uncertain[:, 1:])]).astype(np.float32)


def _warp_people(people: People, matrix: affine.Matrix, size: tuple[int, int]) -> People:
    height, width = size
    points = affine.apply(matrix, people.keypoints)
    inside = ((points >= 0) & (points < np.array([width, height], np.float32))).all(axis=-1)
    sure = np.where(inside, people.keypoint_scores, 0).astype(np.float32)
    if np.linalg.det(matrix[:, :2]) < 0:
        points, sure = points[:, people.skeleton.mirror], sure[:, people.skeleton.mirror]
    masks = None if people.masks is None else people.masks.warp(matrix, size)
    corners = people.boxes_xyxy[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]
    moved = boxes.around_points(affine.apply(matrix, corners), np.ones(corners.shape[:2], bool))
    moved = np.clip(moved, 0, np.array([width, height, width, height], np.float32))
    warped = People(people.skeleton, points, sure, people.scores, moved, masks, people.ids)
    seen = (boxes.areas(moved) > 0) | (sure > 0).any(axis=1)
    return warped[seen]
