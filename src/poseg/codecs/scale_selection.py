"""Which view of an image fits a person, and which views are worth running: adaptive multi-scale inference.

A network segments people of the sizes that it was trained on, and finer views show more detail. So a view fits a person
who is not too large in it (the valid range of SNIP, Singh & Davis 2018), and the finest view that fits is best. A view
that fits no person is left out, and one that fits some is cropped to their part of the image (AutoFocus, Najibi et al.
2019).

Letters: N people, V views.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.geometry.boxes import CropXYXY
from poseg.geometry.pose_size import pose_boxes, pose_sides
from poseg.people import People

Floats = NDArray[np.float32]

# Chosen on coco_mini train: finer views of less confident people detect no more, and less context causes errors.
MIN_FOCUS_SCORE = 0.2
CROP_CONTEXT = 2.0  # around a person on each side, in sizes of the person: others of that size are often near


def any_too_large(people: People, scale_xy: tuple[float, float], max_person_px: float) -> bool:
    """Whether a confident person is larger than `max_person_px`, at `scale_xy` input pixels per image pixel."""
    return bool((_pose_sizes_px(people, scale_xy)[people.scores >= MIN_FOCUS_SCORE] > max_person_px).any())


def focus_crop(
    people: Sequence[People], scale_xy: tuple[float, float], size: tuple[int, int], max_person_px: float
) -> CropXYXY | None:
    """The part of an image of `size` (height, width) where a finer view would fit a person detected so far; or None.

    people    of each view so far, in pixels of the image
    scale_xy  input pixels of the finer view per image pixel
    """
    parts = []
    for detected in people:
        fits = (_pose_sizes_px(detected, scale_xy) <= max_person_px) & (detected.scores >= MIN_FOCUS_SCORE)
        boxes_xyxy = pose_boxes(detected.keypoints[fits], detected.keypoint_scores[fits])
        context = CROP_CONTEXT * (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).max(axis=1, initial=0)[:, None]
        parts.append(np.concatenate([boxes_xyxy[:, :2] - context, boxes_xyxy[:, 2:] + context], axis=1))
    boxes = np.concatenate(parts)
    if not len(boxes):
        return None
    edge = np.array(size[::-1])
    left, top = np.clip(np.floor(boxes[:, :2].min(axis=0)), 0, edge - 1).astype(int).tolist()
    right, bottom = np.clip(np.ceil(boxes[:, 2:].max(axis=0)), (left + 1, top + 1), edge).astype(int).tolist()
    return left, top, right, bottom


def select_views(
    people: People, scales_xy: Sequence[tuple[float, float]], max_person_px: float, crops_xyxy: ArrayLike
) -> NDArray[np.intp]:
    """The view that each person's mask is read in: (N,).

    scales_xy   (V, 2) input pixels of the views per image pixel
    crops_xyxy  (V, 4) the parts of the image that they show; one at least shows all of it

    It is the view where the pose is largest but no larger than `max_person_px` input pixels, or without such a view the
    one where it is smallest. A view that shows only a part of a person does not fit.
    """
    sizes_px = np.stack([_pose_sizes_px(people, scale_xy) for scale_xy in scales_xy], axis=1)
    whole = _fully_visible(people, np.array(crops_xyxy, np.float32))
    fitting = np.where(whole & (sizes_px <= max_person_px), sizes_px, -1)
    any_fits = fitting.max(axis=1) >= 0
    smallest = np.where(whole, sizes_px, np.inf).argmin(axis=1)
    return np.asarray(np.where(any_fits, fitting.argmax(axis=1), smallest), np.intp)


def _pose_sizes_px(people: People, scale_xy: tuple[float, float]) -> Floats:
    """(N,) the longer side of people's poses in a view."""
    sides = pose_sides(people.keypoints, people.keypoint_scores)
    return np.asarray((sides * np.array(scale_xy, np.float32)).max(axis=1, initial=0), np.float32)


def _fully_visible(people: People, crops_xyxy: Floats) -> NDArray[np.bool_]:
    """(N, V) whether a view shows all of a person that is in the image."""
    edge = np.concatenate([crops_xyxy[:, :2].min(axis=0), crops_xyxy[:, 2:].max(axis=0)])
    boxes_xyxy = pose_boxes(people.keypoints, people.keypoint_scores)[:, None]
    # Predicted joints may lie outside the image, where no view can show them.
    boxes_xyxy = np.clip(boxes_xyxy, np.tile(edge[:2], 2), np.tile(edge[2:], 2))
    inside = (boxes_xyxy[..., :2] >= crops_xyxy[:, :2]) & (boxes_xyxy[..., 2:] <= crops_xyxy[:, 2:])
    return np.asarray(inside.all(axis=2), np.bool_)
