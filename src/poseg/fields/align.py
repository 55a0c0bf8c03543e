"""Affine-Align: each person upright in a window of its own, by its pose (Pose2Seg, section 3.2).

A template is a typical pose in the unit square that holds its person's box. A pose is carried onto the template that
covers it best by scale, turn and shift; the window of S x S pixels is the unit square with a margin around it. Windows
are pictures, so their coordinates are continuous pixels too (`geometry.grid`), from 0 to S.

Letters: N people, K joints, T templates, S the window's side, H x W pixels of the picture.
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

LEAST_SHARED = 3  # joints that pose and template must both have
LEAST_SIDE_PX = 4  # of the picture in a window; joints closer together say nothing of where a person is
ATTEMPTS = 10
BOX, WHOLE = -1, -2  # instead of a template's number: aligned by the box, or not at all


@dataclass(frozen=True, slots=True, eq=False)
class Templates:
    """Typical poses.

    points  (T, K, 2) float64 in the unit square
    known   (T, K) bool, the joints that a template has
    """

    points: NDArray[np.float64]
    known: Bools

    def __post_init__(self) -> None:
        points, known = np.asarray(self.points, np.float64), np.asarray(self.known, np.bool_)
        if points.ndim != 3 or points.shape[2] != 2 or known.shape != points.shape[:2]:
            raise ShapeError("templates", wanted=("T", "K", 2), got=points.shape)
        object.__setattr__(self, "points", np.where(known[..., None], points, 0))
        object.__setattr__(self, "known", known)

    def __len__(self) -> int:
        return len(self.points)

    def with_swapped(self, skeleton: Skeleton) -> Templates:
        """These, and each with left and right changed over: a person seen from behind, without mirroring a picture."""
        mirror = skeleton.mirror
        return Templates(
            np.concatenate([self.points, self.points[:, mirror]]), np.concatenate([self.known, self.known[:, mirror]])
        )


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Where people lie in their windows.

    matrices   (N, 2, 3) float64, from the picture to the window
    templates  (N,) number of the template, or BOX, or WHOLE
    scores     (N,) how well it fits, in [0, 1]; 0 where there is none
    side_px    S
    """

    matrices: affine.Matrix
    templates: NDArray[np.intp]
    scores: NDArray[np.float64]
    side_px: int

    def __len__(self) -> int:
        return len(self.matrices)

    @classmethod
    def joined(cls, parts: Sequence[Windows]) -> Windows:
        """All windows of some parts of one side, one part after the other. Raises ValueError for no parts."""
        return cls(
            np.concatenate([part.matrices for part in parts]), np.concatenate([part.templates for part in parts]),
            np.concatenate([part.scores for part in parts]), parts[0].side_px,
        )  # fmt: skip

    def after(self, first: affine.Matrix) -> Windows:
        """The windows of the picture that `first` carries onto this one."""
        moved = [affine.compose(matrix, first) for matrix in self.matrices]
        return Windows(np.array(moved).reshape(-1, 2, 3), self.templates, self.scores, self.side_px)


def align(
    keypoints: ArrayLike, known: ArrayLike, boxes_xyxy: ArrayLike, templates: Templates, size: tuple[int, int], *,
    side_px: int, margin: float,
) -> Windows:  # fmt: skip
    """Windows of people in a picture of `size` (height, width).

    keypoints   (N, K, 2); what is not finite is not known
    known       (N, K) bool
    boxes_xyxy  (N, 4)
    templates   those to choose from, swapped ones included
    side_px     S
    margin      of the window around the unit square, as a part of S

    A template fits when the pose has three joints of it and none besides, and when the window shows a part of the
    picture rather than more than all of it; the fit's score is the share of joints that both have times the mean of
    exp(-d^2 / 2) over them, d their distance in the unit square. Where none fits, the box is put into the unit square,
    and where there is no box either, the picture.
    """
    points = np.asarray(keypoints, np.float32)
    there = np.asarray(known, np.bool_) & np.isfinite(points).all(axis=-1)
    fitted, numbers, scores = _best_fits(points, there, templates, whole=1 / max(size))
    boxed, has_box = _box_fits(np.asarray(boxes_xyxy, np.float32))
    whole, _ = _box_fits(np.array([[0, 0, size[1], size[0]]], np.float32))
    fits = scores > 0
    numbers = np.where(fits, numbers, np.where(has_box, BOX, WHOLE))
    to_unit = np.where(fits[:, None, None], fitted, np.where(has_box[:, None, None], boxed, whole))
    return _with_margin(to_unit, numbers, np.where(fits, scores, 0), side_px, margin)


def align_boxes(boxes_xyxy: ArrayLike, size: tuple[int, int], *, side_px: int, margin: float) -> Windows:
    """Windows around boxes (N, 4), or around the picture of `size` (height, width) where one is empty; never turned.

    side_px  S
    margin   of the window around the box's longer side, as a part of S
    """
    boxed, has_box = _box_fits(np.asarray(boxes_xyxy, np.float32))
    whole, _ = _box_fits(np.array([[0, 0, size[1], size[0]]], np.float32))
    to_unit = np.where(has_box[:, None, None], boxed, whole)
    return _with_margin(to_unit, np.where(has_box, BOX, WHOLE), np.zeros(len(boxed)), side_px, margin)


def _with_margin(
    to_unit: affine.Matrix, numbers: NDArray[np.intp], scores: NDArray[np.float64], side_px: int, margin: float
) -> Windows:
    """Windows of `side_px` in which the unit square has a margin around it."""
    matrices = to_unit * (side_px * (1 - 2 * margin))
    matrices[:, :, 2] += margin * side_px
    return Windows(matrices, numbers, scores, side_px)


def _best_fits(
    keypoints: Floats, known: Bools, templates: Templates, whole: float
) -> tuple[affine.Matrix, NDArray[np.intp], NDArray[np.float64]]:
    """For each person the map (N, 2, 3) to the unit square of the best template, its number and score; 0 for none."""
    if not len(keypoints):
        return np.zeros((0, 2, 3)), np.zeros(0, np.intp), np.zeros(0)
    both = known[:, None] & templates.known[None]
    either = known[:, None] | templates.known[None]
    points = np.where(known[..., None], keypoints, 0).astype(np.float64)[:, None]
    matrices, there = affine.fit_similarities(points, templates.points[None], both)
    placed = points @ matrices[..., :2].swapaxes(-1, -2) + matrices[..., None, :, 2]
    squared = ((placed - templates.points[None]) ** 2).sum(axis=-1)
    shared = both.sum(axis=-1)
    near = (np.exp(-squared / 2) * both).sum(axis=-1) / np.maximum(shared, 1)
    scale = np.sqrt(np.abs(np.linalg.det(matrices[..., :2])))
    covered = ~(known[:, None] & ~templates.known[None]).any(axis=-1)
    fits = there & covered & (shared >= LEAST_SHARED) & (scale > whole) & (scale < 1 / LEAST_SIDE_PX)
    scores = np.where(fits, shared / np.maximum(either.sum(axis=-1), 1) * near, 0)
    best = scores.argmax(axis=1)
    rows = np.arange(len(best))
    return matrices[rows, best], best, scores[rows, best]


def _box_fits(boxes_xyxy: Floats) -> tuple[affine.Matrix, Bools]:
    """Maps (N, 2, 3) that put boxes into the middle of the unit square, and which boxes there are."""
    boxes = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
    finite = np.asarray(np.isfinite(boxes).all(axis=1), np.bool_)
    boxes = np.where(finite[:, None], boxes, 0)
    sides = boxes[:, 2:] - boxes[:, :2]
    there = np.asarray(finite & (sides > 0).all(axis=1), np.bool_)
    scale = 1 / np.where(there, sides.max(axis=1), 1)
    shift = 0.5 - scale[:, None] * (boxes[:, :2] + boxes[:, 2:]) / 2
    linear = scale[:, None, None] * np.eye(2)
    return np.concatenate([linear, shift[..., None]], axis=-1), there


def into_windows(masks: Masks, windows: Windows) -> Floats:
    """How much of each pixel of its crop a person's mask covers: (N, S, S) in [0, 1]."""
    side, out = windows.side_px, np.zeros((len(masks), windows.side_px, windows.side_px), np.float32)
    for row, (matrix, target) in enumerate(zip(windows.matrices, out, strict=True)):
        bits, left, top = masks.bitmap(row)
        if not bits.size:
            continue
        shrink = _shrinks(matrix)
        frame = min(round(shrink), 2 * max(bits.shape)) if shrink > 1.5 else 0
        seen = np.pad(bits.astype(np.float32), frame)
        if frame:  # a fraction of many pixels, not one of them
            most = 2 * max(seen.shape)  # a larger kernel holds nothing more
            side_px = round(min(shrink, most)) | 1
            seen = cv2.blur(seen, (side_px, side_px), borderType=cv2.BORDER_CONSTANT) * min(1, most / shrink) ** 2
        onto = affine.compose(matrix, np.array([[1.0, 0, left - frame], [0, 1, top - frame]]))
        target[:] = cv2.warpAffine(seen, affine.for_cv2(onto), (side, side), flags=cv2.INTER_LINEAR)
    return out


def picture_in_windows(image: NDArray[np.uint8], windows: Windows, colour: int = 127) -> NDArray[np.uint8]:
    """What windows show of a picture (H, W, 3): (N, S, S, 3), grey outside it; where they shrink it, means of areas."""
    side = windows.side_px
    seen = np.empty((len(windows), side, side, 3), np.uint8)
    for matrix, target in zip(windows.matrices, seen, strict=True):
        part, onto = image, matrix
        kernel_px = round(_shrinks(matrix))
        if kernel_px > 1:
            left, top, right, bottom = _extent(matrix, side, (image.shape[0], image.shape[1]), around=kernel_px)
            if right > left and bottom > top:
                shown = image[top:bottom, left:right]
                part = np.asarray(cv2.blur(shown, (kernel_px, kernel_px), borderType=cv2.BORDER_REPLICATE), np.uint8)
                onto = affine.compose(matrix, np.array([[1.0, 0, left], [0, 1, top]]))
        target[:] = cv2.warpAffine(
            part, affine.for_cv2(onto), (side, side),
            flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(colour,) * 3,
        )  # fmt: skip
    return seen


def _shrinks(matrix: affine.Matrix) -> float:
    """Pixels of the picture in one of the window."""
    return float(1 / np.sqrt(abs(np.linalg.det(matrix[:, :2]))))


def _extent(matrix: affine.Matrix, side_px: int, size: tuple[int, int], around: int = 1) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the whole pixels that a window may touch, and some around, in the picture."""
    corners = affine.apply(affine.invert(matrix), [[0, 0], [side_px, 0], [0, side_px], [side_px, side_px]])
    low = np.clip(np.floor(corners.min(axis=0)) - around, 0, size[::-1]).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + around, 0, size[::-1]).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _clusters(vectors: Floats, count: int, rng: np.random.Generator) -> tuple[NDArray[np.int32], Floats]:
    """The best of several k-means, each begun at other vectors: labels (N, 1) and means (count, D)."""
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 1e-6)
    best, found = np.inf, (np.zeros((0, 1), np.int32), np.zeros((0, 0), np.float32))
    for _ in range(ATTEMPTS):
        seeds = vectors[rng.choice(len(vectors), count, replace=False)]
        first = ((vectors[:, None] - seeds) ** 2).sum(axis=-1).argmin(axis=1).astype(np.int32)[:, None]
        spread, label, means = cv2.kmeans(vectors, count, first, criteria, 1, cv2.KMEANS_USE_INITIAL_LABELS)
        if spread < best:
            best, found = spread, (np.asarray(label, np.int32), np.asarray(means, np.float32))
    return found


def typical_poses(
    keypoints: ArrayLike, visibility: ArrayLike, boxes_xyxy: ArrayLike, skeleton: Skeleton, *, count: int = 3,
    least_joints: int = 8, least_visibility: float = 0.4, seed: int = 0,
) -> tuple[Templates, NDArray[np.float64]]:  # fmt: skip
    """Templates as the paper makes them: k-means over poses, each in the unit square that holds its box.

    keypoints         (N, K, 2) pixels
    visibility        (N, K): 0 not annotated, 1 hidden, 2 seen
    boxes_xyxy        (N, 4)
    count             of clusters
    least_joints      poses with fewer do not count
    least_visibility  mean visibility below which a template lacks a joint

    A pose is the vector of (x, y, visibility) of its joints, (0.5, 0.5, 0) where one is not annotated; every pose is
    there a second time mirrored. Returns the templates and their mean visibilities (T, K), the largest cluster first.
    """
    points, seen = np.asarray(keypoints, np.float64), np.asarray(visibility, np.float64)
    to_unit, there = _box_fits(np.asarray(boxes_xyxy, np.float32))
    chosen = there & ((seen > 0).sum(axis=1) >= least_joints)
    if chosen.sum() < count:
        raise ShapeError(f"poses with {least_joints} joints and a box", wanted=f"{count} or more", got=chosen.sum())
    points, seen, to_unit = points[chosen], seen[chosen], to_unit[chosen]
    unit = points @ to_unit[..., :2].swapaxes(-1, -2) + to_unit[:, None, :, 2]
    mirrored = np.stack([1 - unit[..., 0], unit[..., 1]], axis=-1)[:, skeleton.mirror]
    unit, seen = np.concatenate([unit, mirrored]), np.concatenate([seen, seen[:, skeleton.mirror]])
    unit = np.where(seen[..., None] > 0, unit, 0.5)
    vectors = np.concatenate([unit, seen[..., None]], axis=-1).reshape(len(unit), -1).astype(np.float32)
    label, means = _clusters(vectors, count, np.random.default_rng(seed))
    order = np.argsort(-np.bincount(label[:, 0], minlength=count), kind="stable")
    centres: NDArray[np.float64] = np.asarray(means, np.float64)[order].reshape(count, -1, 3)
    # The data are symmetric, so what is not symmetric in a centre is chance.
    other = centres[:, skeleton.mirror] * (-1, 1, 1) + (1, 0, 0)
    matched = ((centres - other) ** 2).sum(axis=(1, 2)) < 0.5
    centres = np.where(matched[:, None, None], (centres + other) / 2, centres)
    return Templates(centres[..., :2], centres[..., 2] >= least_visibility), centres[..., 2]
