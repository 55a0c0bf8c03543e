"""Part affinity fields: along a limb every cell holds the unit vector from joint to joint (Cao et al., CVPR 2017).

Letters: N people, K joints, L limbs, h x w cells, P pairs of points.
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

MIN_LENGTH_PX = 1e-3  # a shorter limb has no direction
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


# COCO's joints, connected more than once: where a joint or limb is missing, other limbs still connect the rest of the
# person. The nearest neighbours come first.
COCO_LIMBS: tuple[Limb, ...] = (
    ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"), ("left_eye", "right_eye"),
    *_both(
        ("hip", "knee"), ("knee", "ankle"), ("shoulder", "hip"), ("shoulder", "elbow"), ("elbow", "wrist"),
        ("nose", "eye"), ("eye", "ear"), ("ear", "shoulder"), ("nose", "shoulder"),
        ("hip", "ankle"), ("shoulder", "wrist"), ("shoulder", "knee"), ("nose", "ear"), ("elbow", "hip"),
    ),
    ("left_knee", "right_knee"), ("left_ankle", "right_ankle"), ("left_elbow", "right_elbow"),
)  # fmt: skip


def default_limbs(skeleton: Skeleton) -> tuple[Limb, ...]:
    """The limbs that people of a skeleton are assembled from, in the order of assembly.

    `COCO_LIMBS` for COCO's joints, `OPENPOSE_LIMBS` for OpenPose's, else the tree: a limb for each joint but the first.
    """
    for limbs in (COCO_LIMBS, OPENPOSE_LIMBS):
        if {joint for limb in limbs for joint in limb} == set(skeleton.joints):
            return limbs
    return skeleton.required_tree


def redundant_limbs(skeleton: Skeleton, limbs: Sequence[Limb]) -> NDArray[np.bool_]:
    """(L,) whether a limb connects joints that limbs before it connect already, such as one from shoulder to ear.

    Raises SkeletonError for limbs that do not reach every joint.
    """
    group = {joint: joint for joint in skeleton.joints}

    def find_root(joint: str) -> str:
        while group[joint] != joint:
            joint = group[joint]
        return joint

    redundant = []
    for a, b in limbs:
        skeleton.indices([(a, b)])
        redundant.append(find_root(a) == find_root(b))
        group[find_root(b)] = find_root(a)
    apart = {find_root(joint) for joint in skeleton.joints}
    if len(apart) > 1:
        raise SkeletonError(
            f"The limbs leave the joints of {skeleton.name} in {len(apart)} parts, around {', '.join(sorted(apart))}; "
            "give limbs that connect them all."
        )
    return np.array(redundant, np.bool_)


def limb_flip(skeleton: Skeleton, limbs: Sequence[Limb]) -> tuple[NDArray[np.intp], Floats]:
    """(L,) permutation of the limbs that goes with `skeleton.flip_index`, and (L,) -1 for those that it reverses.

    Raises SkeletonError for limbs that are not the same on both sides.
    """
    ends = skeleton.indices(limbs)
    index = {(int(a), int(b)): i for i, (a, b) in enumerate(ends)}
    flipped = [(int(skeleton.flip_index[a]), int(skeleton.flip_index[b])) for a, b in ends]
    try:
        order = np.array([index[pair] if pair in index else index[pair[::-1]] for pair in flipped], np.intp)
    except KeyError:
        raise SkeletonError(
            f"The limbs of {skeleton.name} are not the same on both sides, so its fields cannot be flipped; "
            "give symmetric limbs or leave flipping off."
        ) from None
    return order, np.array([1 if pair in index else -1 for pair in flipped], np.float32)


def encode_pafs(
    keypoints: Floats,
    annotated: NDArray[np.bool_],
    ends: NDArray[np.intp],
    grid: Grid,
    cells: tuple[int, int],
    width_px: float,
) -> tuple[Floats, NDArray[np.bool_]]:
    """Part affinity fields (L, 2, h, w), and the cells on limbs (L, h, w) bool.

    keypoints (N, K, 2) image pixels, annotated (N, K), ends (L, 2) indices of joints. A cell is on a limb when it is
    no farther from the segment's line than `width_px`, and in the box around its ends padded by `width_px`. A cell on
    limbs of several people holds the mean of their vectors.
    """
    total = np.zeros((len(ends), 2, *cells), np.float32)
    count = np.zeros((len(ends), *cells), np.float32)
    xs, ys = grid.to_image(np.arange(cells[1])), grid.to_image(np.arange(cells[0]))
    both = annotated[:, ends].all(axis=2)
    for person, limb in zip(*np.nonzero(both), strict=True):
        a, b = keypoints[person, ends[limb]].astype(np.float64)
        length = float(np.hypot(*(b - a)))
        if length < MIN_LENGTH_PX:
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
    pafs: Floats, limb: NDArray[np.intp], starts: Floats, ends: Floats, grid: Grid, samples: int,
    min_alignment: float, min_inlier_fraction: float,
) -> Floats:  # fmt: skip
    """Alignment of limbs' fields (L, 2, h, w) with lines from starts (P, 2) to ends (P, 2), in image pixels: (P,).

    Each pair's field, that of `limb` (P,), is sampled bilinearly at `samples` evenly spaced points, both ends included.
    The result is the mean of its component along the line over the points where that is above `min_alignment`; 0
    where these are no more than `min_inlier_fraction` of the points, and for a start and an end that coincide.
    """
    # Separate arrays of x and y are faster than pairs.
    start, along = np.ascontiguousarray(starts.T), np.ascontiguousarray((ends - starts).T)
    length = np.hypot(along[0], along[1])
    mean, left = np.zeros(len(limb), np.float32), np.flatnonzero(length > MIN_LENGTH_PX)
    start, along, direction = start[:, left], along[:, left], (along / np.maximum(length, MIN_LENGTH_PX))[:, left]
    total, inliers = np.zeros(len(left), np.float32), np.zeros(len(left), np.intp)
    # From the centre outwards: a few points there rule out most pairs, which are joints of different people.
    steps = sorted(range(samples), key=lambda step: abs(2 * step - (samples - 1)))
    for done, step in enumerate(steps, 1):
        if not len(left):
            break
        points = start + along * np.float32(step / (samples - 1))
        across, down = sample_bilinear(pafs, limb[left], np.asarray(points.T, np.float32), grid).T * direction
        alignment = across + down
        aligned = alignment > min_alignment
        total += np.where(aligned, alignment, 0)
        inliers += aligned
        possible = np.flatnonzero((inliers + samples - done) / samples > min_inlier_fraction)
        if len(possible) < len(left):
            left, total, inliers = left[possible], total[possible], inliers[possible]
            start, along, direction = start[:, possible], along[:, possible], direction[:, possible]
    mean[left] = total / np.maximum(inliers, 1)
    return mean
