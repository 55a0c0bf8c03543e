"""Copy-paste augmentation: people pasted over others, with masks of both (Ghiasi et al., CVPR 2021)."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.errors import ShapeError
from poseg.geometry.masks import Masks
from poseg.people import People, Sample

FEATHER_PX = 1.0


def paste_person(
    target: Sample, source: Sample, *, drop_occluded: float = 0.0, rng: np.random.Generator | None = None
) -> Sample:
    """The image `target` with the people of `source`, who have masks, pasted over it.

    Both have the same size and skeleton. Covered pixels leave the masks of `target`; a covered joint keeps its
    annotation or, with `rng`, loses it with the probability `drop_occluded`. People who are covered completely are
    removed. The pasted people come last.
    """
    if target.image.shape != source.image.shape or source.people.masks is None:
        raise ShapeError("source", expected=f"an image of {target.image.shape} with masks", got=source.image.shape)
    cover = source.people.masks.union()
    alpha = cv2.GaussianBlur(cover.astype(np.float32), (0, 0), FEATHER_PX)[..., None]
    alpha = np.where(cover[..., None], alpha, 0)  # the background of the source is not pasted
    image = np.rint(source.image * alpha + target.image * (1 - alpha)).astype(np.uint8)
    people = _merge(target.people, source.people, cover, drop_occluded, rng)
    ignore = None if target.ignore is None else target.ignore & ~cover
    return replace(target, image=image, people=people, ignore=ignore)


def _merge(
    target: People, source: People, cover: NDArray[np.bool_], drop_occluded: float, rng: np.random.Generator | None
) -> People:
    """People of the target without what is covered, then those of the source."""
    size = (cover.shape[0], cover.shape[1])
    old = Masks.empty(len(target), size) if target.masks is None else target.masks
    bitmaps = [old.bitmap(row) for row in range(len(old))]
    visible = [
        (bits & ~cover[top : top + bits.shape[0], left : left + bits.shape[1]], left, top)
        for bits, left, top in bitmaps
    ]
    masks = Masks.from_bitmaps(visible, size)
    scores = target.keypoint_scores
    if rng is not None and drop_occluded > 0:
        dropped = _covered(target.keypoints, cover) & (rng.random(scores.shape) < drop_occluded)
        scores = np.where(dropped, 0, scores).astype(np.float32)
    kept = masks.nonempty | ~old.nonempty
    boxes_xyxy = np.where(masks.nonempty[:, None], masks.boxes_xyxy, target.boxes_xyxy)
    assert source.masks is not None
    return People(
        target.skeleton,
        np.concatenate([target.keypoints[kept], source.keypoints]),
        np.concatenate([scores[kept], source.keypoint_scores]),
        np.concatenate([target.scores[kept], source.scores]),
        np.concatenate([boxes_xyxy[kept], source.boxes_xyxy]),
        Masks.concatenate([masks[kept], source.masks]),
    )


def _covered(points: NDArray[np.float32], cover: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(...,) whether points (..., 2) lie on a pixel of `cover` (H, W)."""
    height, width = cover.shape
    x, y = (np.floor(np.nan_to_num(points[..., axis], nan=-1.0)).astype(np.intp) for axis in (0, 1))
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return np.asarray(inside & cover[np.where(inside, y, 0), np.where(inside, x, 0)], np.bool_)
