"""One resampling per sample: image, people and ignore regions through one affine map."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.geometry import affine, boxes
from poseg.people import People, Sample

BORDER_VALUE = (127, 127, 127)  # outside the image


def warp(sample: Sample, matrix: affine.Matrix, size: tuple[int, int]) -> Sample:
    """The sample through an affine map of continuous coordinates, on a canvas of `size` (height, width).

    A map that flips swaps left and right joints. Joints and people that leave the canvas lose their annotation
    (spec section 2: a = 0); the canvas outside the original image is grey and ignored.
    """
    height, width = size
    at_centres = affine.to_cv2(matrix)
    image = warp_image(sample.image, matrix, size)
    outside = np.ones(sample.image.shape[:2], np.uint8) if sample.ignore is None else (~sample.ignore).astype(np.uint8)
    ignore = cv2.warpAffine(outside, at_centres, (width, height), flags=cv2.INTER_NEAREST) == 0
    people = _warp_people(sample.people, matrix, size)
    return Sample(image, people, ignore, sample.name, _warp_uncertain(sample, matrix))


def image_area(image_size: tuple[int, int], matrix: affine.Matrix, size: tuple[int, int]) -> NDArray[np.bool_]:
    """(height, width) bool pixels of a canvas of `size` that the image (height, width) fills, through an affine map."""
    inside = cv2.warpAffine(
        np.ones(image_size, np.uint8), affine.to_cv2(matrix), (size[1], size[0]), flags=cv2.INTER_NEAREST
    )  # fmt: skip
    return np.asarray(inside > 0, np.bool_)


def warp_image(image: NDArray[np.uint8], matrix: affine.Matrix, size: tuple[int, int]) -> NDArray[np.uint8]:
    """An image (H, W, 3) through an affine map, on a canvas of `size` (height, width); grey outside the image."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    part, onto = _antialiased(image, matrix, size, 0.4 / scale) if scale < 0.7 else (image, matrix)
    warped = cv2.warpAffine(
        part, affine.to_cv2(onto), size[::-1], flags=cv2.INTER_LINEAR, borderValue=BORDER_VALUE
    )  # fmt: skip
    return np.asarray(warped, np.uint8)


def _antialiased(
    image: NDArray[np.uint8], matrix: affine.Matrix, size: tuple[int, int], sigma_px: float
) -> tuple[NDArray[np.uint8], affine.Matrix]:
    """Low-pass before reducing, so that bilinear sampling does not alias: the part that is seen, and its map."""
    height, width = size
    margin = int(np.ceil(4 * sigma_px)) + 2
    corners = affine.apply(affine.invert(matrix), [[0, 0], [width, 0], [0, height], [width, height]])
    limits = image.shape[1::-1]
    left, top = np.clip(np.floor(corners.min(axis=0)) - margin, 0, limits).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(axis=0)) + margin, 0, limits).astype(int)
    if right <= left or bottom <= top:
        return image, matrix
    part = cv2.GaussianBlur(image[top:bottom, left:right], (0, 0), sigma_px)
    return np.asarray(part, np.uint8), affine.compose(matrix, np.array([[1.0, 0, left], [0, 1, top]]))


def _warp_uncertain(sample: Sample, matrix: affine.Matrix) -> NDArray[np.float32]:
    """(M, 3) joint, x and y of uncertain keypoints; a map that flips swaps left and right."""
    joint = sample.uncertain[:, 0].astype(np.intp)
    if np.linalg.det(matrix[:, :2]) < 0:
        joint = sample.people.skeleton.flip_index[joint]
    return np.column_stack([joint, affine.apply(matrix, sample.uncertain[:, 1:])]).astype(np.float32)


def _warp_people(people: People, matrix: affine.Matrix, size: tuple[int, int]) -> People:
    height, width = size
    points = affine.apply(matrix, people.keypoints)
    inside = ((points >= 0) & (points < np.array([width, height], np.float32))).all(axis=-1)
    scores = np.where(inside, people.keypoint_scores, 0).astype(np.float32)
    if np.linalg.det(matrix[:, :2]) < 0:
        points, scores = points[:, people.skeleton.flip_index], scores[:, people.skeleton.flip_index]
    masks = None if people.masks is None else people.masks.warp(matrix, size)
    corners = people.boxes_xyxy[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]
    boxes_xyxy = boxes.boxes_from_points(affine.apply(matrix, corners), np.ones(corners.shape[:2], bool))
    boxes_xyxy = np.clip(boxes_xyxy, 0, np.array([width, height, width, height], np.float32))
    warped = People(people.skeleton, points, scores, people.scores, boxes_xyxy, masks, people.ids)
    return warped[(boxes.areas(boxes_xyxy) > 0) | (scores > 0).any(axis=1)]
