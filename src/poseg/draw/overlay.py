"""The default picture of a prediction: masks, poses, and on request boxes and scores."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from poseg.draw.ink import Bytes, Floats, ink_line, lay, window
from poseg.draw.lettering import letter
from poseg.draw.mask import contour_half_width_px, draw_masks
from poseg.draw.palette import INK, person_colours
from poseg.draw.pose import MIN_SCORE, draw_poses, drawing_order
from poseg.people import People


def overlay(
    image: Bytes,
    people: People,
    *,
    masks: bool = True,
    poses: bool = True,
    boxes: bool = False,
    scores: bool = False,
    min_score: float = MIN_SCORE,
) -> Bytes:
    """The picture with what is known of its people, at the picture's own size.

    image (H, W, 3) uint8 RGB, not written into. `min_score` is for joints (see `draw_poses`).
    """
    canvas = draw_masks(image, people) if masks else image.copy()
    if poses:
        canvas = draw_poses(canvas, people, min_score=min_score)
    if boxes:
        canvas = draw_boxes(canvas, people)
    if scores:
        canvas = draw_scores(canvas, people)
    return canvas


def draw_boxes(image: Bytes, people: People) -> Bytes:
    """The picture with everybody's box; boxes without area are left out."""
    canvas = image.copy()
    radius = contour_half_width_px(image.shape)
    colours = person_colours(people)
    for person in drawing_order(people):
        box = people.boxes_xyxy[person]
        if not np.isfinite(box).all() or (box[2:] <= box[:2]).any():
            continue
        place = window(box[:2] - 3 * radius - 2, box[2:] + 3 * radius + 2, canvas.shape)
        if place is None:
            continue
        part, offset = canvas[place], (place[1].start, place[0].start)
        lay(part, _frame(box, 2 * radius, part.shape[:2], offset), INK, 0.5)
        lay(part, _frame(box, radius, part.shape[:2], offset), colours[person])
    return canvas


def draw_scores(image: Bytes, people: People) -> Bytes:
    """The picture with everybody's score (and id, where there are ids) on a tag at the top left of the box."""
    canvas = image.copy()
    largest = max(11.0, 0.017 * float(np.hypot(image.shape[0], image.shape[1])))
    colours = person_colours(people)
    for person in drawing_order(people):
        text = f"{people.scores[person]:.2f}"
        if people.ids is not None:
            text = f"#{people.ids[person]}  {text}"
        width, height = np.clip(np.nan_to_num(people.boxes_xyxy[person, 2:] - people.boxes_xyxy[person, :2]), 0, None)
        size_px = float(np.clip(round(0.08 * np.hypot(width, height)), 10, largest))
        _tag(canvas, text, people.boxes_xyxy[person], size_px, colours[person])
    return canvas


def _frame(box: Floats, radius: float, shape: tuple[int, int], offset: tuple[int, int]) -> Floats:
    cover = np.zeros(shape, np.float32)
    x0, y0, x1, y1 = box
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]
    for start, end in pairwise(corners):
        ink_line(cover, start, end, radius, offset)
    return cover


def _tag(canvas: Bytes, text: str, box: Floats, size_px: float, colour: Bytes) -> None:
    """A pill with text above the box, or inside it at the picture's top; kept in the picture, cut where too wide."""
    if not np.isfinite(box).all():
        return
    letters = letter(text, size_px)
    pad_x, pad_y = round(0.4 * size_px), round(0.22 * size_px)
    height, width = letters.shape[0] + 2 * pad_y, letters.shape[1] + 2 * pad_x
    left = int(np.clip(box[0], 0, max(canvas.shape[1] - width, 0)))
    above = box[1] - height - 1
    top = int(np.clip(above if above >= 0 else box[1] + 2, 0, max(canvas.shape[0] - height, 0)))
    part = canvas[top : top + height, left : left + width]
    pill, radius = np.zeros((height, width), np.float32), height / 2 - 0.5
    ink_line(pill, (height / 2, height / 2), (width - height / 2, height / 2), radius, (0, 0))
    mark = np.zeros((height, width), np.float32)
    mark[pad_y : pad_y + letters.shape[0], pad_x : pad_x + letters.shape[1]] = letters
    lay(part, pill[: part.shape[0], : part.shape[1]], colour)
    lay(part, mark[: part.shape[0], : part.shape[1]], INK)
