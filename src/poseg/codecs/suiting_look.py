"""Of several looks at one picture, the one that suits a person, and the masks of all put together.

A network outlines bodies in sizes that it was shown; details it sees where the picture is large. So a person is
outlined in the finest look in which he is not too long.

Letters: N people, L looks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.agreement import pose_sides
from poseg.geometry.masks import tight_boxes
from poseg.people import People


def suiting_looks(people: People, scales_xy: Sequence[tuple[float, float]], longest_px: float) -> NDArray[np.intp]:
    """The look in which each person is outlined: (N,). `scales_xy` are the L looks' pixels in one of the picture.

    It is the one where the pose is longest but no longer than `longest_px` pixels of the input, and where there is
    none, that where it is shortest.
    """
    sides = pose_sides(people.keypoints, people.keypoint_scores)
    lengths_px = (sides[:, None] * np.array(scales_xy, np.float32)).max(axis=2)
    fitting = np.where(lengths_px <= longest_px, lengths_px, -1)
    some = fitting.max(axis=1) >= 0
    return np.asarray(np.where(some, fitting.argmax(axis=1), lengths_px.argmin(axis=1)), np.intp)


def put_together(parts: Sequence[People], most: int, exclusive: bool) -> People:
    """Different people of one picture, outlined in several looks, as one value: surest first, `most` at most.

    `exclusive` gives a pixel that several parts claim to the first of them. Raises ValueError for no parts.
    """
    outlined = [part.masks for part in parts if part.masks is not None]
    masks = np.concatenate(outlined) if len(outlined) == len(parts) else None
    boxes_xyxy = np.concatenate([part.boxes_xyxy for part in parts])
    if masks is not None and exclusive:
        first = 0
        for part in parts[:-1]:
            first += len(part)
            lost = masks[first:] & masks[first - len(part) : first].any(axis=0)
            masks[first:] &= ~lost
            cut = first + np.flatnonzero(lost.any(axis=(1, 2)) & masks[first:].any(axis=(1, 2)))
            boxes_xyxy[cut] = tight_boxes(masks[cut])
    people = People(
        parts[0].skeleton,
        keypoints=np.concatenate([part.keypoints for part in parts]),
        keypoint_scores=np.concatenate([part.keypoint_scores for part in parts]),
        scores=np.concatenate([part.scores for part in parts]),
        boxes_xyxy=boxes_xyxy,
        masks=masks,
    )
    return people[np.argsort(-people.scores, kind="stable")[:most]]
