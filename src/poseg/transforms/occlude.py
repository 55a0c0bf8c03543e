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
ON_MASK = 0.04  # of the long side of a mask: an annotated joint may lie so far off it


def paste_person(
    target: Sample, source: Sample, *, drop_occluded: float = 0.0, rng: np.random.Generator | None = None
) -> Sample:
    """The image `target` with the people of `source`, who have masks, pasted over it.

    Both have the same size and skeleton. Covered pixels leave the masks of `target`; a covered joint keeps its
    annotation or, with `rng`, loses it with the probability `drop_occluded` and becomes uncertain: it is still there,
    but hidden. So do the joints of pasted people that lie off their masks: what they show was not pasted. People who
    are covered completely are removed. The pasted people come last, and none of their image but they is pasted.
    """
    if target.image.shape != source.image.shape or source.people.masks is None:
        raise ShapeError("source", expected=f"an image of {target.image.shape} with masks", got=source.image.shape)
    cover = source.people.masks.union()
    alpha = cv2.GaussianBlur(cover.astype(np.float32), (0, 0), FEATHER_PX)[..., None]
    alpha = np.where(cover[..., None], alpha, 0)  # the background of the source is not pasted
    image = np.rint(source.image * alpha + target.image * (1 - alpha)).astype(np.uint8)
    dropped = np.zeros(target.people.keypoint_scores.shape, np.bool_)
    if rng is not None and drop_occluded > 0:
        dropped = _covered(target.people.keypoints, cover) & (rng.random(dropped.shape) < drop_occluded)
    (behind, hidden), (pasted, off) = _hide(target.people, dropped), _hide(source.people, _off_mask(source.people))
    guesses = source.uncertain[_in_boxes(source.uncertain[:, 1:], pasted)]
    return replace(
        target, image=image, people=_merge(behind, pasted, cover),
        ignore=None if target.ignore is None else target.ignore & ~cover,
        uncertain=np.concatenate([target.uncertain, hidden, guesses, off]), exact_masks=None,
    )  # fmt: skip


def _merge(target: People, source: People, cover: NDArray[np.bool_]) -> People:
    """People of the target without what is covered, then those of the source."""
    size = (cover.shape[0], cover.shape[1])
    old = Masks.empty(len(target), size) if target.masks is None else target.masks
    bitmaps = [old.bitmap(row) for row in range(len(old))]
    visible = [
        (bits & ~cover[top : top + bits.shape[0], left : left + bits.shape[1]], left, top)
        for bits, left, top in bitmaps
    ]
    masks = Masks.from_bitmaps(visible, size)
    kept = masks.nonempty | ~old.nonempty
    boxes_xyxy = np.where(masks.nonempty[:, None], masks.boxes_xyxy, target.boxes_xyxy)
    assert source.masks is not None
    return People(
        target.skeleton,
        np.concatenate([target.keypoints[kept], source.keypoints]),
        np.concatenate([target.keypoint_scores[kept], source.keypoint_scores]),
        np.concatenate([target.scores[kept], source.scores]),
        np.concatenate([boxes_xyxy[kept], source.boxes_xyxy]),
        Masks.concatenate([masks[kept], source.masks]),
    )


def _hide(people: People, hidden: NDArray[np.bool_]) -> tuple[People, NDArray[np.float32]]:
    """The people without the annotations `hidden` (N, K), and where these were: (M, 3) joint index, x, y."""
    person, joint = np.nonzero(hidden & (people.keypoint_scores > 0))
    uncertain = np.column_stack([joint, people.keypoints[person, joint]]).astype(np.float32)
    return replace(people, keypoint_scores=np.where(hidden, 0, people.keypoint_scores)), uncertain


def _off_mask(people: People) -> NDArray[np.bool_]:
    """(N, K) joints that are not on the person's own mask, nor near it."""
    assert people.masks is not None
    off = np.zeros(people.keypoint_scores.shape, np.bool_)
    for row in np.flatnonzero(people.masks.nonempty).tolist():
        bits, left, top = people.masks.bitmap(row)
        reach = max(round(ON_MASK * max(bits.shape)), 1)
        around = cv2.dilate(np.pad(bits, reach).astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0
        off[row] = ~_covered(people.keypoints[row] - np.array([left - reach, top - reach], np.float32), around)
    return off


def _in_boxes(points: NDArray[np.float32], people: People) -> NDArray[np.bool_]:
    """(M,) whether points (M, 2) lie in the box of any of the people."""
    low, high = people.boxes_xyxy[:, None, :2], people.boxes_xyxy[:, None, 2:]
    return np.asarray(((points >= low) & (points <= high)).all(axis=2).any(axis=0))


def _covered(points: NDArray[np.float32], cover: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(...,) whether points (..., 2) lie on a pixel of `cover` (H, W)."""
    height, width = cover.shape
    x, y = (np.floor(np.nan_to_num(points[..., axis], nan=-1.0)).astype(np.intp) for axis in (0, 1))
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return np.asarray(inside & cover[np.where(inside, y, 0), np.where(inside, x, 0)], np.bool_)
