"""Joints in space as keys of a person's record: `keypoints_3d` and `skeleton_3d`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.errors import AnnotationError
from poseg.people import People
from poseg.skeletons import SKELETONS, Skeleton

NOWHERE = (None, None, None)


def joints_in_space(people: People, row: int) -> dict[str, Any]:
    """What a record says of one person's joints in space; nothing where nobody knows any of them.

    Millimetres to 0.01, x, y, z of one joint after the other; null for a joint that nobody knows.
    """
    if people.keypoints_3d is None or people.skeleton_3d is None:
        return {}
    joints = people.keypoints_3d[row].astype(np.float64)
    known = np.isfinite(joints).all(axis=1)
    if not known.any():
        return {}
    rounded = np.round(joints, 2) + 0.0  # adding 0 turns -0.0 into 0.0
    triplets = [
        triplet if there else NOWHERE for triplet, there in zip(rounded.tolist(), known, strict=True)
    ]  # fmt: skip
    return {
        "keypoints_3d": [value for triplet in triplets for value in triplet],
        "skeleton_3d": people.skeleton_3d.name,
    }


def read_joints_in_space(
    records: Sequence[Mapping[str, Any]], where: str
) -> tuple[NDArray[np.float32], Skeleton] | None:
    """(N, J, 3) joints in space of N records and their skeleton, NaN where nobody knows; None where no record has any.

    Raises AnnotationError, with `where` in it.
    """
    names = {str(record.get("skeleton_3d")) for record in records if record.get("keypoints_3d") is not None}
    if not names:
        return None
    if len(names) > 1 or not names <= set(SKELETONS):
        raise AnnotationError(
            f"{where} has joints in space on skeleton_3d {', '.join(sorted(names))}; "
            f"wanted one of {', '.join(sorted(SKELETONS))}."
        )
    skeleton = SKELETONS[names.pop()]
    joints = [_joints(record.get("keypoints_3d"), skeleton, where) for record in records]
    return np.stack(joints), skeleton


def _joints(values: object, skeleton: Skeleton, where: str) -> NDArray[np.float32]:
    """(J, 3) joints of one record."""
    if values is None:
        return np.full((len(skeleton), 3), np.nan, np.float32)
    try:
        # JSON's null becomes NaN here.
        joints = np.array(values, np.float32)
    except (TypeError, ValueError, OverflowError):
        joints = np.zeros(0, np.float32)
    if joints.shape != (3 * len(skeleton),) or np.isinf(joints).any():
        raise AnnotationError(
            f"{where} has a record whose `keypoints_3d` is not {3 * len(skeleton)} finite numbers or null; "
            "write the results again."
        )
    return joints.reshape(-1, 3)
