"""The 17 joints of Human3.6M that networks of the field regress in space, limbs in their published order.

`neck` is the thorax, between the shoulders; `nose` is the joint of the head. A parent comes before its children.
"""

from __future__ import annotations

from poseg.skeletons.skeleton import Skeleton

_LIMBS = (
    ("pelvis", "right_hip"), ("right_hip", "right_knee"), ("right_knee", "right_ankle"),
    ("pelvis", "left_hip"), ("left_hip", "left_knee"), ("left_knee", "left_ankle"),
    ("pelvis", "spine"), ("spine", "neck"), ("neck", "nose"), ("nose", "head_top"),
    ("neck", "left_shoulder"), ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
    ("neck", "right_shoulder"), ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"),
)  # fmt: skip

BODY17_3D = Skeleton(
    name="body17_3d",
    joints=(
        "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
        "spine", "neck", "nose", "head_top",
        "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist",
    ),
    bones=_LIMBS,
    tree=_LIMBS,
)  # fmt: skip
