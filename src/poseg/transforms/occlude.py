"""Paste people over people: overlap to learn from, with true masks on both sides."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.errors import ShapeError
from poseg.geometry.masks import Masks
from poseg.geometry.rle import tight_boxes
from poseg.people import People, Sample

FEATHER_PX = 1.0


def occlude(behind: Sample, front: Sample, *, forget: float = 0.0, rng: np.random.Generator | None = None) -> Sample:
    """The picture `behind` with the people of `front`, who have masks, cut out and laid over it.

    Both have one size and one skeleton. What is covered leaves the masks behind; a joint that is covered keeps its
    annotation, or, with `rng`, loses it with the probability `forget`, as a network that cannot see it would. People
    who are covered altogether are gone. The pasted come last.
    """
    if behind.image.shape != front.image.shape or front.people.masks is None:
        raise ShapeError("front", wanted=f"a picture of {behind.image.shape} with masks", got=front.image.shape)
    cover = front.people.masks.union()
    share = cv2.GaussianBlur(cover.astype(np.float32), (0, 0), FEATHER_PX)[..., None]
    share = np.where(cover[..., None], share, 0)  # the background behind the pasted does not come along
    image = np.rint(front.image * share + behind.image * (1 - share)).astype(np.uint8)
    ignore = None if behind.ignore is None else behind.ignore & ~cover
    return replace(behind, image=image, people=_joined(behind.people, front.people, cover, forget, rng), ignore=ignore)


def _joined(
    behind: People, front: People, cover: NDArray[np.bool_], forget: float, rng: np.random.Generator | None
) -> People:
    """People behind, without what is covered, and those in front."""
    size = (cover.shape[0], cover.shape[1])
    old = np.zeros((len(behind), *size), np.bool_) if behind.masks is None else behind.masks.full()
    masks = old & ~cover
    sure = behind.keypoint_scores
    if rng is not None and forget > 0:
        hidden = _under(behind.keypoints, cover) & (rng.random(sure.shape) < forget)
        sure = np.where(hidden, 0, sure).astype(np.float32)
    left = np.asarray(masks.any(axis=(1, 2)))
    seen = left | ~old.any(axis=(1, 2))
    boxes_xyxy = np.where(left[:, None], tight_boxes(masks), behind.boxes_xyxy)
    assert front.masks is not None
    return People(
        behind.skeleton,
        np.concatenate([behind.keypoints[seen], front.keypoints]),
        np.concatenate([sure[seen], front.keypoint_scores]),
        np.concatenate([behind.scores[seen], front.scores]),
        np.concatenate([boxes_xyxy[seen], front.boxes_xyxy]),
        Masks.concatenate([Masks.from_full(masks[seen]), front.masks]),
    )


def _under(points: NDArray[np.float32], cover: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which points (..., 2) lie on a pixel of `cover` (H, W)."""
    height, width = cover.shape
    x, y = (np.floor(np.nan_to_num(points[..., axis], nan=-1.0)).astype(np.intp) for axis in (0, 1))
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return np.asarray(inside & cover[np.where(inside, y, 0), np.where(inside, x, 0)], np.bool_)
