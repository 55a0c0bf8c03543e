"""Of several looks at one picture, the one that suits a person: which are worth it, and the masks of all together.

A network outlines bodies in sizes that it was shown; details it sees where the picture is large. So a look suits a
person who is not too long in it, and of those that do the finest is best. A look that would suit nobody is left out,
and where it would suit some, it is their part of the picture that is looked at.

Letters: N people, L looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.geometry.boxes import CropXYXY
from poseg.geometry.pose_size import pose_boxes, pose_sides
from poseg.people import People

Floats = NDArray[np.float32]

# Chosen on coco_mini train: looks at less sure people find no more, and with less room around them they err.
WORTH_A_LOOK = 0.2
ROOM = 2.0  # around a person on each side, in lengths of the person: others of that size are often near


def too_long(people: People, scale_xy: tuple[float, float], longest_px: float) -> bool:
    """Whether anybody sure is too long in a look with `scale_xy` of its pixels in one of the picture."""
    return bool((_lengths_px(people, scale_xy)[people.scores >= WORTH_A_LOOK] > longest_px).any())


def part_to_see(
    people: Sequence[People], scale_xy: tuple[float, float], size: tuple[int, int], longest_px: float
) -> CropXYXY | None:
    """The part of a picture of `size` (height, width) where a look would suit somebody whom others found; or None.

    people    what each other look found, in pixels of the picture
    scale_xy  pixels of the look in one of the picture
    """
    parts = []
    for found in people:
        suits = (_lengths_px(found, scale_xy) <= longest_px) & (found.scores >= WORTH_A_LOOK)
        boxes_xyxy = pose_boxes(found.keypoints[suits], found.keypoint_scores[suits])
        room = ROOM * (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).max(axis=1, initial=0)[:, None]
        parts.append(np.concatenate([boxes_xyxy[:, :2] - room, boxes_xyxy[:, 2:] + room], axis=1))
    every = np.concatenate(parts)
    if not len(every):
        return None
    edge = np.array(size[::-1])
    left, top = np.clip(np.floor(every[:, :2].min(axis=0)), 0, edge - 1).astype(int).tolist()
    right, bottom = np.clip(np.ceil(every[:, 2:].max(axis=0)), (left + 1, top + 1), edge).astype(int).tolist()
    return left, top, right, bottom


def suiting_looks(
    people: People,
    scales_xy: Sequence[tuple[float, float]],
    longest_px: float,
    shown_xyxy: ArrayLike | None = None,
) -> NDArray[np.intp]:
    """The look in which each person is outlined: (N,). `scales_xy` are the L looks' pixels in one of the picture.

    It is the one where the pose is longest but no longer than `longest_px` pixels of the input, and where there is
    none, that where it is shortest. `shown_xyxy` (L, 4) are the parts of the picture that the looks show, where one
    shows all of it: a look that shows a part of a person does not suit him.
    """
    lengths_px = np.stack([_lengths_px(people, scale_xy) for scale_xy in scales_xy], axis=1)
    whole = (
        np.ones(lengths_px.shape, np.bool_)
        if shown_xyxy is None
        else _shown_whole(people, np.array(shown_xyxy, np.float32))
    )
    fitting = np.where(whole & (lengths_px <= longest_px), lengths_px, -1)
    some = fitting.max(axis=1) >= 0
    shortest = np.where(whole, lengths_px, np.inf).argmin(axis=1)
    return np.asarray(np.where(some, fitting.argmax(axis=1), shortest), np.intp)


def _lengths_px(people: People, scale_xy: tuple[float, float]) -> Floats:
    """(N,) how long people's poses are in a look."""
    sides = pose_sides(people.keypoints, people.keypoint_scores)
    return np.asarray((sides * np.array(scale_xy, np.float32)).max(axis=1, initial=0), np.float32)


def _shown_whole(people: People, shown_xyxy: Floats) -> NDArray[np.bool_]:
    """(N, L) whether what there is of a person in the picture lies in the part that a look shows."""
    edge = np.concatenate([shown_xyxy[:, :2].min(axis=0), shown_xyxy[:, 2:].max(axis=0)])
    boxes_xyxy = pose_boxes(people.keypoints, people.keypoint_scores)[:, None]
    # Joints are guessed beyond the edge of the picture too; there is nothing of them to be seen.
    boxes_xyxy = np.clip(boxes_xyxy, np.tile(edge[:2], 2), np.tile(edge[2:], 2))
    inside = (boxes_xyxy[..., :2] >= shown_xyxy[:, :2]) & (boxes_xyxy[..., 2:] <= shown_xyxy[:, 2:])
    return np.asarray(inside.all(axis=2), np.bool_)


def put_together(parts: Sequence[People], most: int, exclusive: bool) -> People:
    """Different people of one picture, outlined in several looks, as one value: surest first, `most` at most.

    `exclusive` gives a pixel that several parts claim to the first of them. Raises ValueError for no parts.
    """
    people = joined(parts)
    if people.masks is not None and exclusive and len(parts) > 1:
        masks = people.masks.without_overlaps()
        boxes_xyxy = np.where(masks.nonempty[:, None], masks.boxes_xyxy, people.boxes_xyxy)
        people = replace(people, masks=masks, boxes_xyxy=boxes_xyxy)
    return surest(people, most)


def surest(people: People, most: int) -> People:
    """At most so many people, surest first."""
    return people[np.argsort(-people.scores, kind="stable")[:most]]


def joined(parts: Sequence[People]) -> People:
    """All people of some parts, one part after the other: their poses, and masks where all parts have them."""
    return People.concatenate(parts)
