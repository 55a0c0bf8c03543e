"""Affine-Align: each person upright in a crop, aligned by pose (Pose2Seg, section 3.2).

A template is a typical pose in the unit square around its person's box. A pose is aligned with the template that
matches best by scale, rotation and shift; the crop of S x S pixels is the unit square with padding around it. Crops
are images, so their coordinates are continuous pixels too (`geometry.grid`), from 0 to S.

Letters: N people, K joints, T templates, S the side of a crop, H x W pixels of the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.errors import ShapeError
from poseg.geometry import affine
from poseg.geometry.masks import Masks
from poseg.skeletons import Skeleton

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

MIN_SHARED_JOINTS = 3  # that pose and template must have in common
MIN_SIDE_PX = 4  # of the image in a crop; joints closer together do not determine an alignment
MIN_KERNEL_PX = 4  # of the blur before a crop is sampled; large regions are reduced by area to come down to it
KMEANS_ATTEMPTS = 10
BY_BOX, BY_IMAGE = -1, -2  # instead of the index of a template: aligned by the person's box, or by the whole image


@dataclass(frozen=True, slots=True, eq=False)
class Templates:
    """Typical poses.

    points   (T, K, 2) float64 in the unit square
    visible  (T, K) bool, the joints that a template has
    """

    points: NDArray[np.float64]
    visible: Bools

    def __post_init__(self) -> None:
        points, visible = np.asarray(self.points, np.float64), np.asarray(self.visible, np.bool_)
        if points.ndim != 3 or points.shape[2] != 2 or visible.shape != points.shape[:2]:
            raise ShapeError("templates", expected=("T", "K", 2), got=points.shape)
        object.__setattr__(self, "points", np.where(visible[..., None], points, 0))
        object.__setattr__(self, "visible", visible)

    def __len__(self) -> int:
        return len(self.points)

    def with_swapped(self, skeleton: Skeleton) -> Templates:
        """These, and each with left and right swapped: people seen from behind, without flipping the image."""
        swap = skeleton.flip_index
        return Templates(
            np.concatenate([self.points, self.points[:, swap]]), np.concatenate([self.visible, self.visible[:, swap]])
        )


@dataclass(frozen=True, slots=True, eq=False)
class AlignedCrops:
    """Crops of people, one for each.

    matrices   (N, 2, 3) float64, from the image to the crop
    templates  (N,) index of the template, or BY_BOX, or BY_IMAGE
    scores     (N,) similarity to the template, in [0, 1]; 0 without one
    side_px    S
    """

    matrices: affine.Matrix
    templates: NDArray[np.intp]
    scores: NDArray[np.float64]
    side_px: int

    def __len__(self) -> int:
        return len(self.matrices)

    @classmethod
    def concatenate(cls, parts: Sequence[AlignedCrops]) -> AlignedCrops:
        """All crops of several parts with the same `side_px`. Raises ValueError for no parts."""
        return cls(
            np.concatenate([part.matrices for part in parts]), np.concatenate([part.templates for part in parts]),
            np.concatenate([part.scores for part in parts]), parts[0].side_px,
        )  # fmt: skip

    def compose(self, first: affine.Matrix) -> AlignedCrops:
        """The crops of the image that `first` maps onto this one."""
        matrices = [affine.compose(matrix, first) for matrix in self.matrices]
        return AlignedCrops(np.array(matrices).reshape(-1, 2, 3), self.templates, self.scores, self.side_px)


def align(
    keypoints: ArrayLike, visible: ArrayLike, boxes_xyxy: ArrayLike, templates: Templates, size: tuple[int, int], *,
    side_px: int, padding: float,
) -> AlignedCrops:  # fmt: skip
    """Crops of people in an image of `size` (height, width).

    keypoints   (N, K, 2); those that are not finite do not count
    visible     (N, K) bool
    boxes_xyxy  (N, 4)
    templates   to choose from, with those of `with_swapped`
    side_px     S
    padding     around the unit square, as a fraction of S

    A template matches when the pose has three or more of its joints and no others, and when the crop is smaller than
    the image; the score is the fraction of joints that both have, times the mean of exp(-d^2 / 2) over them, d being
    their distance in the unit square. Without a match the box is put into the unit square, and without a box the image.
    """
    points = np.asarray(keypoints, np.float32)
    valid = np.asarray(visible, np.bool_) & np.isfinite(points).all(axis=-1)
    fitted, indices, scores = _best_fits(points, valid, templates, min_scale=1 / max(size))
    boxed, has_box = _box_fits(np.asarray(boxes_xyxy, np.float32))
    whole, _ = _box_fits(np.array([[0, 0, size[1], size[0]]], np.float32))
    fits = scores > 0
    indices = np.where(fits, indices, np.where(has_box, BY_BOX, BY_IMAGE))
    to_unit = np.where(fits[:, None, None], fitted, np.where(has_box[:, None, None], boxed, whole))
    return _with_padding(to_unit, indices, np.where(fits, scores, 0), side_px, padding)


def align_boxes(boxes_xyxy: ArrayLike, size: tuple[int, int], *, side_px: int, padding: float) -> AlignedCrops:
    """Crops around boxes (N, 4), or around the image of `size` (height, width) for empty boxes; never rotated.

    side_px  S
    padding  around the longer side of the box, as a fraction of S
    """
    boxed, has_box = _box_fits(np.asarray(boxes_xyxy, np.float32))
    whole, _ = _box_fits(np.array([[0, 0, size[1], size[0]]], np.float32))
    to_unit = np.where(has_box[:, None, None], boxed, whole)
    return _with_padding(to_unit, np.where(has_box, BY_BOX, BY_IMAGE), np.zeros(len(boxed)), side_px, padding)


def _with_padding(
    to_unit: affine.Matrix, indices: NDArray[np.intp], scores: NDArray[np.float64], side_px: int, padding: float
) -> AlignedCrops:
    """Crops of `side_px` in which the unit square has padding around it."""
    matrices = to_unit * (side_px * (1 - 2 * padding))
    matrices[:, :, 2] += padding * side_px
    return AlignedCrops(matrices, indices, scores, side_px)


def _best_fits(
    keypoints: Floats, visible: Bools, templates: Templates, min_scale: float
) -> tuple[affine.Matrix, NDArray[np.intp], NDArray[np.float64]]:
    """For each person the map (N, 2, 3) to the unit square of the best template, its index and its score (0: none)."""
    if not len(keypoints):
        return np.zeros((0, 2, 3)), np.zeros(0, np.intp), np.zeros(0)
    both = visible[:, None] & templates.visible[None]
    either = visible[:, None] | templates.visible[None]
    points = np.where(visible[..., None], keypoints, 0).astype(np.float64)[:, None]
    matrices, defined = affine.fit_similarities(points, templates.points[None], both)
    mapped = points @ matrices[..., :2].swapaxes(-1, -2) + matrices[..., None, :, 2]
    squared = ((mapped - templates.points[None]) ** 2).sum(axis=-1)
    common = both.sum(axis=-1)
    near = (np.exp(-squared / 2) * both).sum(axis=-1) / np.maximum(common, 1)
    scale = np.sqrt(np.abs(np.linalg.det(matrices[..., :2])))
    covered = ~(visible[:, None] & ~templates.visible[None]).any(axis=-1)
    fits = defined & covered & (common >= MIN_SHARED_JOINTS) & (scale > min_scale) & (scale < 1 / MIN_SIDE_PX)
    scores = np.where(fits, common / np.maximum(either.sum(axis=-1), 1) * near, 0)
    best = scores.argmax(axis=1)
    rows = np.arange(len(best))
    return matrices[rows, best], best, scores[rows, best]


def _box_fits(boxes_xyxy: Floats) -> tuple[affine.Matrix, Bools]:
    """Maps (N, 2, 3) that put boxes into the centre of the unit square, and which boxes are valid (N,)."""
    boxes = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
    finite = np.asarray(np.isfinite(boxes).all(axis=1), np.bool_)
    boxes = np.where(finite[:, None], boxes, 0)
    sides = boxes[:, 2:] - boxes[:, :2]
    valid = np.asarray(finite & (sides > 0).all(axis=1), np.bool_)
    scale = 1 / np.where(valid, sides.max(axis=1), 1)
    shift = 0.5 - scale[:, None] * (boxes[:, :2] + boxes[:, 2:]) / 2
    linear = scale[:, None, None] * np.eye(2)
    return np.concatenate([linear, shift[..., None]], axis=-1), valid


def crop_masks(masks: Masks, crops: AlignedCrops) -> Floats:
    """Fraction of each pixel of a person's crop that the mask covers: (N, S, S) in [0, 1]."""
    side, out = crops.side_px, np.zeros((len(masks), crops.side_px, crops.side_px), np.float32)
    for row, (matrix, target) in enumerate(zip(crops.matrices, out, strict=True)):
        bits, left, top = masks.bitmap(row)
        if not bits.size:
            continue
        reduction = _reduction(matrix)
        frame = min(round(reduction), 2 * max(bits.shape)) if reduction > 1.5 else 0
        padded = np.pad(bits.astype(np.float32), frame)
        if frame:  # averages instead of single pixels
            limit = 2 * max(padded.shape)  # a larger kernel covers no more of the mask
            side_px = round(min(reduction, limit)) | 1
            weight = min(1, limit / reduction) ** 2
            padded = cv2.blur(padded, (side_px, side_px), borderType=cv2.BORDER_CONSTANT) * weight
        onto = affine.compose(matrix, np.array([[1.0, 0, left - frame], [0, 1, top - frame]]))
        target[:] = cv2.warpAffine(padded, affine.to_cv2(onto), (side, side), flags=cv2.INTER_LINEAR)
    return out


def crop_images(image: NDArray[np.uint8], crops: AlignedCrops, colour: int = 127) -> NDArray[np.uint8]:
    """Crops of an image (H, W, 3): (N, S, S, 3), grey outside the image, area averages where they are reduced."""
    side = crops.side_px
    out = np.empty((len(crops), side, side, 3), np.uint8)
    for matrix, target in zip(crops.matrices, out, strict=True):
        part, onto = image, matrix
        kernel_px = round(_reduction(matrix))
        if kernel_px > 1:
            left, top, right, bottom = _extent(matrix, side, (image.shape[0], image.shape[1]), around=kernel_px)
            if right > left and bottom > top:
                part, factor = _prereduced(image[top:bottom, left:right], kernel_px // MIN_KERNEL_PX)
                kernel_px = round(kernel_px / factor)
                part = np.asarray(cv2.blur(part, (kernel_px, kernel_px), borderType=cv2.BORDER_REPLICATE), np.uint8)
                onto = affine.compose(matrix, np.array([[factor, 0, left], [0, factor, top]], np.float64))
        target[:] = cv2.warpAffine(
            part, affine.to_cv2(onto), (side, side),
            flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(colour,) * 3,
        )  # fmt: skip
    return out


def _prereduced(region: NDArray[np.uint8], factor: int) -> tuple[NDArray[np.uint8], int]:
    """A region (h, w, 3) reduced by a whole factor, several times as fast as by any other, and that factor.

    Rows and columns at the end that make no whole pixel are left out.
    """
    rows, columns = region.shape[0] // max(factor, 1), region.shape[1] // max(factor, 1)
    if factor < 2 or not rows or not columns:
        return region, 1
    whole = region[: rows * factor, : columns * factor]
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8), factor


def _reduction(matrix: affine.Matrix) -> float:
    """Pixels of the image per pixel of the crop."""
    return float(1 / np.sqrt(abs(np.linalg.det(matrix[:, :2]))))


def _extent(matrix: affine.Matrix, side_px: int, size: tuple[int, int], around: int = 1) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the image's pixels that a crop reads, padded by `around` pixels."""
    corners = affine.apply(affine.invert(matrix), [[0, 0], [side_px, 0], [0, side_px], [side_px, side_px]])
    low = np.clip(np.floor(corners.min(axis=0)) - around, 0, size[::-1]).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + around, 0, size[::-1]).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _clusters(vectors: Floats, count: int, rng: np.random.Generator) -> tuple[NDArray[np.int32], Floats]:
    """The best of several k-means runs from different seeds: labels (N, 1) and means (count, D)."""
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 1e-6)
    best, result = np.inf, (np.zeros((0, 1), np.int32), np.zeros((0, 0), np.float32))
    for _ in range(KMEANS_ATTEMPTS):
        seeds = vectors[rng.choice(len(vectors), count, replace=False)]
        first = ((vectors[:, None] - seeds) ** 2).sum(axis=-1).argmin(axis=1).astype(np.int32)[:, None]
        inertia, label, means = cv2.kmeans(vectors, count, first, criteria, 1, cv2.KMEANS_USE_INITIAL_LABELS)
        if inertia < best:
            best, result = inertia, (np.asarray(label, np.int32), np.asarray(means, np.float32))
    return result


def cluster_templates(
    keypoints: ArrayLike, visibility: ArrayLike, boxes_xyxy: ArrayLike, skeleton: Skeleton, *, count: int = 3,
    min_joints: int = 8, min_visibility: float = 0.4, seed: int = 0,
) -> tuple[Templates, NDArray[np.float64]]:  # fmt: skip
    """Templates as in the paper: k-means over poses, each in the unit square around its box.

    keypoints         (N, K, 2) pixels
    visibility        (N, K): 0 not annotated, 1 occluded, 2 visible
    boxes_xyxy        (N, 4)
    count             of clusters
    min_joints        poses with fewer do not count
    min_visibility    mean visibility below which a template lacks a joint

    A pose is the vector of (x, y, visibility) of its joints, (0.5, 0.5, 0) where one is not annotated; every pose is
    used a second time flipped. Returns the templates and their mean visibilities (T, K), the largest cluster first.
    """
    points, flags = np.asarray(keypoints, np.float64), np.asarray(visibility, np.float64)
    to_unit, valid = _box_fits(np.asarray(boxes_xyxy, np.float32))
    chosen = valid & ((flags > 0).sum(axis=1) >= min_joints)
    if chosen.sum() < count:
        raise ShapeError(f"poses with {min_joints} joints and a box", expected=f"{count} or more", got=chosen.sum())
    points, flags, to_unit = points[chosen], flags[chosen], to_unit[chosen]
    unit = points @ to_unit[..., :2].swapaxes(-1, -2) + to_unit[:, None, :, 2]
    flipped = np.stack([1 - unit[..., 0], unit[..., 1]], axis=-1)[:, skeleton.flip_index]
    unit, flags = np.concatenate([unit, flipped]), np.concatenate([flags, flags[:, skeleton.flip_index]])
    unit = np.where(flags[..., None] > 0, unit, 0.5)
    vectors = np.concatenate([unit, flags[..., None]], axis=-1).reshape(len(unit), -1).astype(np.float32)
    label, means = _clusters(vectors, count, np.random.default_rng(seed))
    order = np.argsort(-np.bincount(label[:, 0], minlength=count), kind="stable")
    centres: NDArray[np.float64] = np.asarray(means, np.float64)[order].reshape(count, -1, 3)
    # The data are symmetric, so asymmetry in a centre is chance.
    other = centres[:, skeleton.flip_index] * (-1, 1, 1) + (1, 0, 0)
    matched = ((centres - other) ** 2).sum(axis=(1, 2)) < 0.5
    centres = np.where(matched[:, None, None], (centres + other) / 2, centres)
    return Templates(centres[..., :2], centres[..., 2] >= min_visibility), centres[..., 2]
