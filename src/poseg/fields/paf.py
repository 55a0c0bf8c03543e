"""Part affinity fields: along a limb every cell holds the unit vector from joint to joint (Cao et al., CVPR 2017).

Letters: N people, K joints, L limbs, h x w cells, P pairs of places.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from poseg.errors import SkeletonError
from poseg.fields.offsets import sample_bilinear
from poseg.geometry.grid import Grid
from poseg.skeletons import Skeleton

Floats = NDArray[np.float32]
Limb = tuple[str, str]

SHORTEST_PX = 1e-3  # a shorter limb has no direction
OPENPOSE_LIMBS: tuple[Limb, ...] = (
    ("neck", "right_shoulder"), ("neck", "left_shoulder"),
    ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"),
    ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
    ("neck", "right_hip"), ("right_hip", "right_knee"), ("right_knee", "right_ankle"),
    ("neck", "left_hip"), ("left_hip", "left_knee"), ("left_knee", "left_ankle"),
    ("neck", "nose"), ("nose", "right_eye"), ("right_eye", "right_ear"), ("nose", "left_eye"), ("left_eye", "left_ear"),
    ("right_shoulder", "right_ear"), ("left_shoulder", "left_ear"),
)  # fmt: skip


def _both(*pairs: Limb) -> tuple[Limb, ...]:
    """The pairs on the left and on the right."""
    sides = ("left", "right")
    return tuple((a if a == "nose" else f"{side}_{a}", f"{side}_{b}") for a, b in pairs for side in sides)


# COCO's joints, joined more than once: annotators and pictures leave joints out, and a person in whom a limb is
# missing stays whole where another way leads round it. The nearest neighbours come first.
COCO_LIMBS: tuple[Limb, ...] = (
    ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"), ("left_eye", "right_eye"),
    *_both(
        ("hip", "knee"), ("knee", "ankle"), ("shoulder", "hip"), ("shoulder", "elbow"), ("elbow", "wrist"),
        ("nose", "eye"), ("eye", "ear"), ("ear", "shoulder"), ("nose", "shoulder"),
        ("hip", "ankle"), ("shoulder", "wrist"), ("shoulder", "knee"), ("nose", "ear"), ("elbow", "hip"),
    ),
    ("left_knee", "right_knee"), ("left_ankle", "right_ankle"), ("left_elbow", "right_elbow"),
)  # fmt: skip


def limbs_of(skeleton: Skeleton) -> tuple[Limb, ...]:
    """The limbs that people of a skeleton are put together from, in the order of assembly.

    `COCO_LIMBS` for COCO's joints, `OPENPOSE_LIMBS` for OpenPose's, else the tree: a limb for each joint but the first.
    """
    for limbs in (COCO_LIMBS, OPENPOSE_LIMBS):
        if {joint for limb in limbs for joint in limb} == set(skeleton.joints):
            return limbs
    return skeleton.tree


def closing_limbs(skeleton: Skeleton, limbs: Sequence[Limb]) -> NDArray[np.bool_]:
    """(L,) whether a limb joins what those before it have joined already, as one from shoulder to ear does.

    Raises SkeletonError for limbs that do not reach every joint.
    """
    group = {joint: joint for joint in skeleton.joints}

    def head(joint: str) -> str:
        while group[joint] != joint:
            joint = group[joint]
        return joint

    closing = []
    for a, b in limbs:
        skeleton.indices([(a, b)])
        closing.append(head(a) == head(b))
        group[head(b)] = head(a)
    apart = {head(joint) for joint in skeleton.joints}
    if len(apart) > 1:
        raise SkeletonError(
            f"The limbs leave the joints of {skeleton.name} in {len(apart)} parts, around {', '.join(sorted(apart))}; "
            "give limbs that join them all."
        )
    return np.array(closing, np.bool_)


def limb_mirror(skeleton: Skeleton, limbs: Sequence[Limb]) -> tuple[NDArray[np.intp], Floats]:
    """(L,) permutation of the limbs that goes with `skeleton.mirror`, and (L,) -1 for those that then run backwards.

    Raises SkeletonError for limbs that are not the same on both sides.
    """
    ends = skeleton.indices(limbs)
    place = {(int(a), int(b)): i for i, (a, b) in enumerate(ends)}
    seen = [(int(skeleton.mirror[a]), int(skeleton.mirror[b])) for a, b in ends]
    try:
        order = np.array([place[pair] if pair in place else place[pair[::-1]] for pair in seen], np.intp)
    except KeyError:
        raise SkeletonError(
            f"The limbs of {skeleton.name} are not the same on both sides, so its fields cannot be mirrored; "
            "give symmetric limbs or leave flipping off."
        ) from None
    return order, np.array([1 if pair in place else -1 for pair in seen], np.float32)


def paint_limbs(
    keypoints: Floats,
    annotated: NDArray[np.bool_],
    ends: NDArray[np.intp],
    grid: Grid,
    cells: tuple[int, int],
    width_px: float,
) -> tuple[Floats, NDArray[np.bool_]]:
    """Fields (L, 2, h, w), and where limbs are (L, h, w).

    keypoints (N, K, 2) image pixels, annotated (N, K), ends (L, 2) numbers of joints. A cell is on a limb when it is
    no farther from the segment's line than `width_px`, and in the box of its ends grown by as much. Where several
    people's limbs lie on a cell it holds the mean of their vectors.
    """
    total = np.zeros((len(ends), 2, *cells), np.float32)
    count = np.zeros((len(ends), *cells), np.float32)
    xs, ys = grid.to_image(np.arange(cells[1])), grid.to_image(np.arange(cells[0]))
    both = annotated[:, ends].all(axis=2)
    for person, limb in zip(*np.nonzero(both), strict=True):
        a, b = keypoints[person, ends[limb]].astype(np.float64)
        length = float(np.hypot(*(b - a)))
        if length < SHORTEST_PX:
            continue
        v = (b - a) / length
        (x0, y0), (x1, y1) = np.minimum(a, b) - width_px, np.maximum(a, b) + width_px
        columns = slice(np.searchsorted(xs, x0), np.searchsorted(xs, x1, "right"))
        rows = slice(np.searchsorted(ys, y0), np.searchsorted(ys, y1, "right"))
        across = np.abs((xs[columns] - a[0]) * v[1] - (ys[rows, None] - a[1]) * v[0])
        near = (across <= width_px).astype(np.float32)
        total[limb, :, rows, columns] += near * v[:, None, None].astype(np.float32)
        count[limb, rows, columns] += near
    total /= np.maximum(count, 1)[:, None]
    return total, count > 0


def line_integrals(
    pafs: Floats, limb: NDArray[np.intp], starts: Floats, ends: Floats, grid: Grid, samples: int, least: float,
    least_share: float,
) -> Floats:  # fmt: skip
    """How well limbs' fields (L, 2, h, w) run from starts (P, 2) to ends (P, 2), in image pixels: (P,).

    Each pair's field, that of `limb` (P,), is read at `samples` places evenly between, both ends included, bilinearly
    (`fields.offsets.sample_bilinear`).
    The result is the mean of its part in the direction of the limb over the places where that is above `least`; 0
    where these are no more than `least_share` of the places, and for a start and an end that coincide.
    """
    # Runs of x and runs of y are faster to work on than pairs of them.
    start, along = np.ascontiguousarray(starts.T), np.ascontiguousarray((ends - starts).T)
    length = np.hypot(along[0], along[1])
    mean, left = np.zeros(len(limb), np.float32), np.flatnonzero(length > SHORTEST_PX)
    start, along, direction = start[:, left], along[:, left], (along / np.maximum(length, SHORTEST_PX))[:, left]
    total, kept = np.zeros(len(left), np.float32), np.zeros(len(left), np.intp)
    # From the middle outwards: a few places there rule out most pairs, which are joints of different people.
    steps = sorted(range(samples), key=lambda step: abs(2 * step - (samples - 1)))
    for done, step in enumerate(steps, 1):
        if not len(left):
            break
        places = start + along * np.float32(step / (samples - 1))
        across, down = sample_bilinear(pafs, limb[left], np.asarray(places.T, np.float32), grid).T * direction
        agreement = across + down
        agrees = agreement > least
        total += np.where(agrees, agreement, 0)
        kept += agrees
        may = np.flatnonzero((kept + samples - done) / samples > least_share)
        if len(may) < len(left):
            left, total, kept = left[may], total[may], kept[may]
            start, along, direction = start[:, may], along[:, may], direction[:, may]
    mean[left] = total / np.maximum(kept, 1)
    return mean
