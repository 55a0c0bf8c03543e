"""The 14 joints of Leeds Sports Pose, person-centric, in the order of its files."""

from __future__ import annotations

from poseg.skeletons.skeleton import Skeleton

LSP14 = Skeleton(
    name="lsp14",
    joints=(
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle",
        "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist",
        "neck", "head_top",
    ),
    bones=(
        ("right_ankle", "right_knee"), ("right_knee", "right_hip"),
        ("left_ankle", "left_knee"), ("left_knee", "left_hip"), ("right_hip", "left_hip"),
        ("right_wrist", "right_elbow"), ("right_elbow", "right_shoulder"),
        ("left_wrist", "left_elbow"), ("left_elbow", "left_shoulder"),
        ("right_shoulder", "neck"), ("left_shoulder", "neck"),
        ("right_shoulder", "right_hip"), ("left_shoulder", "left_hip"), ("neck", "head_top"),
    ),
    tree=(
        ("neck", "head_top"),
        ("neck", "right_shoulder"), ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"),
        ("neck", "left_shoulder"), ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
        ("right_shoulder", "right_hip"), ("right_hip", "right_knee"), ("right_knee", "right_ankle"),
        ("left_shoulder", "left_hip"), ("left_hip", "left_knee"), ("left_knee", "left_ankle"),
    ),
)  # fmt: skip
