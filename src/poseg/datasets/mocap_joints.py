"""From the joints of each motion capture file to BODY17_3D; `datasets.mocap` says why each is what it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.skeletons import BODY17_3D

Floats64 = NDArray[np.float64]
Arrays = Mapping[str, NDArray[Any]]

HEAD_TOP_MM = 140.0  # from the base of the skull, at the height of the ears, to the top of the head
NOSE_MM = 100.0
RIG_SKULL_MM = 55.0  # a neck is about 120 mm long from the seventh vertebra to the skull, that of the rig 65

_SUBSET_UNIT = 25.4 / 0.45 / 70
_FOREARM = 1.5  # of its first bone, `radius`

_CMU = {
    "right_hip": "rhipjoint", "right_knee": "rfemur", "right_ankle": "rtibia",
    "left_hip": "lhipjoint", "left_knee": "lfemur", "left_ankle": "ltibia", "spine": "lowerback",
    "left_shoulder": "lclavicle", "left_elbow": "lhumerus", "left_wrist": "lwrist",
    "right_shoulder": "rclavicle", "right_elbow": "rhumerus", "right_wrist": "rwrist",
    "below": "upperneck", "skull": "head",
}  # fmt: skip

_BANDAI = {
    "right_hip": "UpperLeg_R", "right_knee": "LowerLeg_R", "right_ankle": "Foot_R",
    "left_hip": "UpperLeg_L", "left_knee": "LowerLeg_L", "left_ankle": "Foot_L", "spine": "Spine",
    "left_shoulder": "UpperArm_L", "left_elbow": "LowerArm_L", "left_wrist": "Hand_L",
    "right_shoulder": "UpperArm_R", "right_elbow": "LowerArm_R", "right_wrist": "Hand_R",
    "below": "Neck", "skull": "Head",
}  # fmt: skip

# The subset's file has no names; these are the places of its 38 joints.
_SUBSET = {
    "left_hip": 2, "left_knee": 3, "left_ankle": 4, "right_hip": 8, "right_knee": 9, "right_ankle": 10,
    "spine": 14, "chest": 15, "below": 18, "skull": 19,
    "left_shoulder": 21, "left_elbow": 22, "left_wrist": 23,
    "right_shoulder": 30, "right_elbow": 31, "right_wrist": 32,
}  # fmt: skip


def cmu_asfamc(arrays: Arrays) -> Floats64:
    """(N, 17, 3) mm from ends of bones in centimetres."""
    return _body(_named(arrays, _CMU))


def bandai_namco(arrays: Arrays) -> Floats64:
    """(N, 17, 3) mm from joints in centimetres about the hips."""
    joints = _named(arrays, _BANDAI)
    joints["skull"] = joints["skull"] + RIG_SKULL_MM * _unit(joints["skull"] - joints["below"])
    return _body(joints)


def cmu_subset(arrays: Arrays) -> Floats64:
    """(N, 17, 3) mm, with the unit put right and the lengths that the file has lost."""
    given = arrays["joints_mm"].astype(np.float64) * _SUBSET_UNIT
    joints = {name: given[:, place] for name, place in _SUBSET.items()}
    lost = joints["chest"] - joints["spine"]
    above = ("below", "skull", *(f"{side}_{joint}" for side in ("left", "right") for joint in _ARM))
    for name in above:
        joints[name] = joints[name] + lost
    for side in ("left", "right"):
        elbow = joints[f"{side}_elbow"]
        joints[f"{side}_wrist"] = elbow + _FOREARM * (joints[f"{side}_wrist"] - elbow)
    return _body(joints)


_ARM = ("shoulder", "elbow", "wrist")
READERS: dict[str, Callable[[Arrays], Floats64]] = {
    "cmu_asfamc": cmu_asfamc,
    "cmu_subset": cmu_subset,
    "bandai_namco": bandai_namco,
}


def taken(source: str, arrays: Arrays) -> NDArray[np.bool_]:
    """(N,) which poses somebody took: not the one of all angles zero that the clips of the subset begin with."""
    clip = arrays["clip"]
    begins = np.concatenate([[True], clip[1:] != clip[:-1]])[: len(clip)]
    return ~begins if source == "cmu_subset" else np.ones(len(clip), np.bool_)


def _named(arrays: Arrays, names: Mapping[str, str]) -> dict[str, Floats64]:
    """Joints (N, 3) mm by our names, from an array in centimetres and the names of its joints."""
    theirs = [str(name) for name in arrays["joint_names"]]
    given = arrays["joints_cm"].astype(np.float64) * 10
    return {ours: given[:, theirs.index(name)] for ours, name in names.items()}


def _body(joints: dict[str, Floats64]) -> Floats64:
    """All of BODY17_3D about the pelvis, from its joints but the middle ones, the skull's base and what is below it."""
    shoulders = joints["left_shoulder"], joints["right_shoulder"]
    joints["pelvis"] = (joints["left_hip"] + joints["right_hip"]) / 2
    joints["neck"] = (shoulders[0] + shoulders[1]) / 2
    up = _unit(joints["skull"] - joints["below"])
    ahead = _unit(np.cross(shoulders[0] - shoulders[1], up))
    joints["head_top"] = joints["skull"] + HEAD_TOP_MM * up
    joints["nose"] = joints["skull"] + NOSE_MM * ahead
    body: Floats64 = np.stack([joints[name] for name in BODY17_3D.joints], axis=1)
    return body - body[:, :1]


def _unit(vectors: Floats64) -> Floats64:
    """Vectors (N, 3) of length 1; those of length 0 stay."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Floats64 = vectors / np.where(length > 0, length, 1)
    return scaled
