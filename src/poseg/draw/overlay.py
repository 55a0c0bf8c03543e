"""The default drawing of a prediction: masks, poses, and optionally boxes and labels; and the crops of people."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from poseg.draw.antialias import Bytes, Floats, blend, clipped_slices, draw_line, text_coverage
from poseg.draw.mask import contour_half_width_px, draw_masks
from poseg.draw.palette import INK, person_colours
from poseg.draw.pose import draw_poses, drawing_order, shown_joints
from poseg.fields.align import AlignedCrops
from poseg.geometry import affine
from poseg.people import CONFIDENT_JOINT, People


def overlay(
    image: Bytes,
    people: People,
    *,
    masks: bool = True,
    poses: bool = True,
    boxes: bool = False,
    ids: bool = False,
    scores: bool = False,
    names: bool = False,
    min_score: float = CONFIDENT_JOINT,
) -> Bytes:
    """The image with its people, at the image's own size.

    image      (H, W, 3) uint8 RGB, not modified
    ids        label people with their ids, or else their numbers, counted from 0: what `poseg effect --person` takes
    scores     label people with their scores
    names      name the joints
    min_score  for joints (see `draw_poses`)
    """
    canvas = draw_masks(image, people) if masks else image.copy()
    if poses:
        canvas = draw_poses(canvas, people, min_score=min_score)
    if boxes:
        canvas = draw_boxes(canvas, people)
    if names:
        canvas = draw_joint_names(canvas, people, min_score=min_score)
    if ids or scores:
        canvas = draw_labels(canvas, people, ids=ids, scores=scores)
    return canvas


def draw_boxes(image: Bytes, people: People) -> Bytes:
    """The image with the boxes of all people; boxes without area are left out."""
    canvas = image.copy()
    radius = contour_half_width_px(image.shape)
    colours = person_colours(people)
    for person in drawing_order(people):
        box = people.boxes_xyxy[person]
        if not np.isfinite(box).all() or (box[2:] <= box[:2]).any():
            continue
        region = clipped_slices(box[:2] - 3 * radius - 2, box[2:] + 3 * radius + 2, canvas.shape)
        if region is None:
            continue
        part, offset = canvas[region], (region[1].start, region[0].start)
        blend(part, _frame(box, 2 * radius, part.shape[:2], offset), INK, 0.5)
        blend(part, _frame(box, radius, part.shape[:2], offset), colours[person])
    return canvas


def draw_labels(image: Bytes, people: People, *, ids: bool = True, scores: bool = True) -> Bytes:
    """The image with ids (numbers from 0 without ids) and scores of all people, on labels at the top left of boxes."""
    canvas = image.copy()
    max_px = max(11.0, 0.017 * float(np.hypot(image.shape[0], image.shape[1])))
    colours = person_colours(people)
    for person in drawing_order(people):
        number = person if people.ids is None else people.ids[person]
        text = "  ".join([f"#{number}"] * ids + [f"{people.scores[person]:.2f}"] * scores)
        width, height = np.clip(np.nan_to_num(people.boxes_xyxy[person, 2:] - people.boxes_xyxy[person, :2]), 0, None)
        size_px = float(np.clip(round(0.08 * np.hypot(width, height)), 10, max_px))
        _draw_label(canvas, text, people.boxes_xyxy[person], size_px, colours[person])
    return canvas


def draw_joint_names(image: Bytes, people: People, *, min_score: float = CONFIDENT_JOINT) -> Bytes:
    """The image with the name of each joint beside it, for the joints that `draw_poses` draws."""
    canvas = image.copy()
    size_px = max(10.0, 0.01 * float(np.hypot(image.shape[0], image.shape[1])))
    colours = person_colours(people)
    shown = shown_joints(people, min_score)
    for person in drawing_order(people):
        for joint in np.flatnonzero(shown[person]):
            x, y = people.keypoints[person, joint]
            beside = np.array([x + 0.6 * size_px, y + 0.9 * size_px, x, y], np.float32)
            _draw_label(canvas, people.skeleton.joints[joint], beside, size_px, colours[person])
    return canvas


def draw_crops(
    image: Bytes, people: People, crops: AlignedCrops, *masks: Floats, zoom: int = 3, gap_px: int = 0
) -> Bytes:
    """A row for each person: the crop with the pose on it, then each of the person's masks.

    image    (H, W, 3) uint8 RGB
    people   N, in pixels of the image
    crops    N, of S x S pixels
    masks    (N, S, S) in [0, 1] each
    zoom     factor by which crops are enlarged
    gap_px   white between the parts

    Returns (N zoom S + gaps, (1 + masks) zoom S + gaps, 3) uint8 RGB.
    """
    side = crops.side_px * zoom
    rows = []
    for row, matrix in enumerate(crops.matrices):
        large = affine.compose(affine.similarity(zoom), matrix)
        crop = np.asarray(cv2.warpAffine(image, affine.to_cv2(large), (side, side), flags=cv2.INTER_LINEAR), np.uint8)
        points = affine.apply(large, people.keypoints[row])
        person = People.from_poses(people.skeleton, points[None], people.keypoint_scores[[row]])
        rows.append(_tiled([overlay(crop, person), *(_to_uint8(mask[row], side) for mask in masks)], 1, gap_px))
    return _tiled(rows, 0, gap_px)


def _to_uint8(mask: Floats, side: int) -> Bytes:
    """A mask (S, S) of probabilities as an enlarged grey image."""
    large = cv2.resize(np.rint(255 * mask).astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST)
    return np.repeat(np.asarray(large, np.uint8)[..., None], 3, axis=2)


def _tiled(parts: list[Bytes], axis: int, gap_px: int) -> Bytes:
    """Images of one height or width, one after the other, with white between them."""
    shape = list(parts[0].shape)
    shape[axis] = gap_px
    white = np.full(shape, 255, np.uint8)
    spaced = [piece for part in parts for piece in (part, white)][:-1]
    return np.concatenate(spaced, axis=axis)


def _frame(box: Floats, radius: float, shape: tuple[int, int], offset: tuple[int, int]) -> Floats:
    coverage = np.zeros(shape, np.float32)
    x0, y0, x1, y1 = box
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]
    for start, end in pairwise(corners):
        draw_line(coverage, start, end, radius, offset)
    return coverage


def _draw_label(canvas: Bytes, text: str, box: Floats, size_px: float, colour: Bytes) -> None:
    """A pill with text above the box, or inside it at the image's top; moved into the image, cut if too wide."""
    if not np.isfinite(box).all():
        return
    letters = text_coverage(text, size_px)
    pad_x, pad_y = round(0.4 * size_px), round(0.22 * size_px)
    height, width = letters.shape[0] + 2 * pad_y, letters.shape[1] + 2 * pad_x
    left = int(np.clip(box[0], 0, max(canvas.shape[1] - width, 0)))
    above = box[1] - height - 1
    top = int(np.clip(above if above >= 0 else box[1] + 2, 0, max(canvas.shape[0] - height, 0)))
    part = canvas[top : top + height, left : left + width]
    pill = np.zeros((height, width), np.float32)
    draw_line(pill, (height / 2, height / 2), (width - height / 2, height / 2), height / 2 - 0.5)
    mark = np.zeros((height, width), np.float32)
    mark[pad_y : pad_y + letters.shape[0], pad_x : pad_x + letters.shape[1]] = letters
    blend(part, pill[: part.shape[0], : part.shape[1]], colour)
    blend(part, mark[: part.shape[0], : part.shape[1]], INK)
