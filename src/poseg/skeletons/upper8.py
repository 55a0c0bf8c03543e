"""The 8 joints and 7 parts of an upper body that the heterogeneous multi-task network learns."""

from __future__ import annotations

from poseg.skeletons.skeleton import Skeleton

UPPER8 = Skeleton(
    name="upper8",
    joints=(
        "head", "left_shoulder", "neck", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    ),
    bones=(
        ("head", "neck"), ("left_shoulder", "neck"), ("neck", "right_shoulder"),
        ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
        ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"),
    ),
)  # fmt: skip
