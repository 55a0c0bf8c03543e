"""3D joints as vectors from parent to child along the skeleton's tree, and back.

    vector(joint) = joint - parent                                                             (1)
    joint - root = sum of the vectors of the joint and its ancestors, but the root             (2)

Regressing vectors instead of joints is the choice of Li & Chan (ACCV 2014, section 3.1): they vary less, and left and
right have the same lengths.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.errors import ShapeError
from poseg.skeletons.skeleton import Skeleton


def parents(skeleton: Skeleton) -> NDArray[np.intp]:
    """(K,) the parent of each joint in the tree; the root is its own."""
    parent = np.arange(len(skeleton), dtype=np.intp)
    pairs = skeleton.indices(skeleton.required_tree)
    parent[pairs[:, 1]] = pairs[:, 0]
    return parent


def root(skeleton: Skeleton) -> int:
    """The joint that has no parent."""
    return int(np.flatnonzero(parents(skeleton) == np.arange(len(skeleton)))[0])


def to_parent_relative(joints: ArrayLike, skeleton: Skeleton) -> NDArray[Any]:
    """Vectors from each joint's parent to it, equation (1); same shape and unit as `joints` (..., K, D), root row 0.

    Float32 stays float32. Raises ShapeError.
    """
    points = _points(joints, skeleton)
    vectors: NDArray[Any] = points - points[..., parents(skeleton), :]
    return vectors


def from_parent_relative(vectors: ArrayLike, skeleton: Skeleton) -> NDArray[Any]:
    """Joints about the root, which lies at 0, equation (2); same shape and unit as `vectors` (..., K, D).

    NaN affects the joints below it and no others. The root's row of `vectors` is
    ignored. Float32 stays float32. Raises ShapeError.
    """
    joints = _points(vectors, skeleton).copy()
    joints[..., root(skeleton), :] = 0
    for parent, child in skeleton.indices(skeleton.required_tree):
        joints[..., child, :] += joints[..., parent, :]
    return joints


def bone_lengths(joints: ArrayLike, skeleton: Skeleton) -> NDArray[Any]:
    """(..., K - 1) lengths of the tree's bones in its order, for joints (..., K, D). Raises ShapeError."""
    pairs = skeleton.indices(skeleton.required_tree)
    points = _points(joints, skeleton)
    lengths: NDArray[Any] = np.linalg.norm(points[..., pairs[:, 1], :] - points[..., pairs[:, 0], :], axis=-1)
    return lengths


def _points(values: ArrayLike, skeleton: Skeleton) -> NDArray[Any]:
    array = np.asarray(values)
    if array.ndim < 2 or array.shape[-2] != len(skeleton):
        raise ShapeError("joints", expected=(..., len(skeleton), "coordinates"), got=array.shape)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)
