"""Motion capture as poses on BODY17_3D: three published sets, in one unit and with one definition of each joint.

Every pose is in millimetres, y-up, right-handed, with the pelvis at the origin. A joint name means the same point of
the body in every source, the one that `skeletons.remap` computes from a network's joints:

    pelvis, neck   the midpoint of the hips, of the shoulders
    spine          the joint of the back nearest to half way: `lowerback` (CMU), `Spine` (Bandai Namco)
    nose, head_top in no source. Both are constructed from the base of the skull: the top of the head 140 mm along the
                   head's axis, the nose 100 mm ahead, perpendicular to that axis and to the shoulders. A rotation of
                   the head against the shoulders is not in the joints, so it is lost.
    skull's base   the end of `head` (CMU); 55 mm beyond `Head` (Bandai Namco), whose neck is too short

Corrections of the files:

    cmu_asfamc     joints are ends of bones. The forearm is two bones in one line, `radius` and `wrist`, of which the
                   second is half the first and only twists: the wrist is the end of `wrist`.
    cmu_subset     its unit is 1/70 of that of the bones' file, which is an inch / 0.45: positions are 56.44 / 70 of
                   the numbers. Two bones with several children have lost their length: the upper back is extended by
                   its last bone again, the forearm by half of itself, as in cmu_asfamc, whose bones have these
                   proportions to 1 %. Each clip begins with a pose of all angles zero, which is not a recorded pose
                   and is left out. Its `walking_1` is the walk 02_01 of cmu_asfamc; after these corrections the two
                   agree to 14 mm at every joint.

bandai_namco has the body of one character for all its actors: 1.6 m, with narrow shoulders.

Sources: CMU (mocap.cs.cmu.edu; free use, acknowledgement requested) and Bandai Namco Research (CC BY-NC 4.0).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.errors import AnnotationError
from poseg.geometry.camera import Camera, random_camera
from poseg.io.files import read_arrays
from poseg.skeletons import BODY17_3D

Floats = NDArray[np.float32]
Floats64 = NDArray[np.float64]
Arrays = Mapping[str, NDArray[Any]]

CMU_SOURCES = ("cmu_asfamc", "cmu_subset")
SOURCES = (*CMU_SOURCES, "bandai_namco")
_FILES = {
    "cmu_asfamc": "cmu_asfamc_fk_5fps.npz",
    "cmu_subset": "cmu_subset_expmap_fk.npz",
    "bandai_namco": "bandai_namco_2.5fps.npz",
}

# The one clip of the subset that the other CMU set holds too, which gives its subject.
_SAME_WALK = "train/walking/walking_1"

# Held out of training: (source, subject) or (source, action).
VAL = frozenset({("cmu_asfamc", "03"), ("cmu_subset", "jumping")})
TEST = frozenset({("cmu_asfamc", "02"), ("cmu_subset", "02"), ("cmu_subset", "soccer"), ("cmu_subset", "washwindow")})

HEAD_TOP_MM = 140.0  # from the base of the skull, at the height of the ears, to the top of the head
NOSE_MM = 100.0
RIG_SKULL_MM = 55.0  # a neck is about 120 mm from the seventh vertebra to the skull; Bandai Namco's rig has 65

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
# The subset's file has no names; these are the positions of its 38 joints.
_SUBSET = {
    "left_hip": 2, "left_knee": 3, "left_ankle": 4, "right_hip": 8, "right_knee": 9, "right_ankle": 10,
    "spine": 14, "chest": 15, "below": 18, "skull": 19,
    "left_shoulder": 21, "left_elbow": 22, "left_wrist": 23,
    "right_shoulder": 30, "right_elbow": 31, "right_wrist": 32,
}  # fmt: skip
_ARM = ("shoulder", "elbow", "wrist")


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording. `subject` and `action` are empty where the source does not give them."""

    source: str
    name: str
    subject: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class MocapPoses:
    """Poses of clips, in the order of the recordings. Arrays are read-only.

    joints_mm   (N, 17, 3) float32 on BODY17_3D: y-up, the pelvis at the origin
    clip        (N,) int64: index into `clips` of each pose
    clips       the recordings of these poses, and no others
    """

    joints_mm: Floats
    clip: NDArray[np.int64]
    clips: tuple[Clip, ...]

    def __post_init__(self) -> None:
        for name, array in (("joints_mm", np.asarray(self.joints_mm, np.float32)), ("clip", np.asarray(self.clip))):
            array = array.view()
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.joints_mm)

    def __getitem__(self, which: Any) -> MocapPoses:
        """The chosen poses, indexed as an array, with their clips."""
        rows = np.atleast_1d(np.arange(len(self))[which])
        used, clip = np.unique(self.clip[rows], return_inverse=True)
        return MocapPoses(self.joints_mm[rows], clip.reshape(-1), tuple(self.clips[number] for number in used))

    @property
    def sources(self) -> NDArray[np.str_]:
        """(N,) the source of each pose."""
        return np.array([clip.source for clip in self.clips], np.str_)[self.clip]


@dataclass(frozen=True, slots=True, eq=False)
class ProjectedPoses:
    """M poses in the frame of a camera each, and their projections.

    joints_mm   (M, 17, 3) float32 in the camera's frame: x right, y down, z away
    keypoints   (M, 17, 2) float32, continuous pixels
    pose        (M,) int64: index of the projected pose
    cameras     M of them
    """

    joints_mm: Floats
    keypoints: Floats
    pose: NDArray[np.int64]
    cameras: Camera

    def __len__(self) -> int:
        return len(self.joints_mm)


def read_mocap(folder: Path, sources: tuple[str, ...] = SOURCES) -> MocapPoses:
    """All poses of the sources, one source after the other.

    folder    with the three `.npz` files
    sources   of SOURCES; CMU_SOURCES are those whose terms allow a model to be distributed for any use

    Raises AnnotationError for an unknown source, a file that is missing or broken, and poses that are not finite,
    with their number and the clip of the first.
    """
    parts = [_read(folder, source) for source in sources]
    if not parts:
        raise AnnotationError(f"No source of motion capture was named; choose from {', '.join(SOURCES)}.")
    counts = np.cumsum([0, *(len(part.clips) for part in parts)])
    return MocapPoses(
        np.concatenate([part.joints_mm for part in parts]),
        np.concatenate([part.clip + first for part, first in zip(parts, counts, strict=False)]),
        tuple(clip for part in parts for clip in part.clips),
    )


def split(poses: MocapPoses) -> tuple[MocapPoses, MocapPoses, MocapPoses]:
    """Poses for training, validation and test; no clip is in two of them, and every pose is in one.

    The rule, the same every time:

    - cmu_asfamc gives its subjects: 01 trains, 03 validates, 02 tests.
    - cmu_subset does not. Whole actions are held out: jumping validates, soccer and window washing test, and so does
      the walk of subject 02 that both files hold.
    - bandai_namco gives no actors, and one body for all of them. All of it trains, since no part of it would be
      unseen; to test on it, train without it (`read_mocap(folder, CMU_SOURCES)`).
    """

    def held_out(clip: Clip, groups: frozenset[tuple[str, str]]) -> bool:
        return (clip.source, clip.subject) in groups or (clip.source, clip.action) in groups

    val, test = (
        np.array([held_out(clip, groups) for clip in poses.clips], np.bool_)[poses.clip] for groups in (VAL, TEST)
    )
    return poses[~val & ~test], poses[val], poses[test]


def project(joints_mm: Floats, rng: np.random.Generator, cameras: int = 1, **choices: Any) -> ProjectedPoses:
    """Poses projected by random cameras that are aimed at their pelvis, `cameras` for each pose, pose after pose.

    joints_mm   (N, 17, 3) of the y-up world, millimetres
    choices     as `geometry.camera.random_camera`

    A camera very close to a limb may have it behind itself; that raises GeometryError.
    """
    pose = np.repeat(np.arange(len(joints_mm)), cameras)
    points = np.asarray(joints_mm, np.float64)[pose]
    stack = random_camera(rng, len(points), target_mm=points[:, BODY17_3D.index("pelvis")], **choices)
    in_camera = stack.to_camera(points)
    keypoints = stack.project_from_camera(in_camera)
    return ProjectedPoses(in_camera.astype(np.float32), keypoints.astype(np.float32), pose, stack)


def cmu_asfamc(arrays: Arrays) -> Floats64:
    """(N, 17, 3) mm from ends of bones in centimetres."""
    return _to_body17(_joints_by_name(arrays, _CMU))


def bandai_namco(arrays: Arrays) -> Floats64:
    """(N, 17, 3) mm from joints in centimetres about the hips."""
    joints = _joints_by_name(arrays, _BANDAI)
    joints["skull"] = joints["skull"] + RIG_SKULL_MM * _unit(joints["skull"] - joints["below"])
    return _to_body17(joints)


def cmu_subset(arrays: Arrays) -> Floats64:
    """(N, 17, 3) mm, with the unit and the lost lengths corrected."""
    stored = arrays["joints_mm"].astype(np.float64) * _SUBSET_UNIT
    joints = {name: stored[:, index] for name, index in _SUBSET.items()}
    lost = joints["chest"] - joints["spine"]
    above = ("below", "skull", *(f"{side}_{joint}" for side in ("left", "right") for joint in _ARM))
    for name in above:
        joints[name] = joints[name] + lost
    for side in ("left", "right"):
        elbow = joints[f"{side}_elbow"]
        joints[f"{side}_wrist"] = elbow + _FOREARM * (joints[f"{side}_wrist"] - elbow)
    return _to_body17(joints)


READERS: dict[str, Callable[[Arrays], Floats64]] = {
    "cmu_asfamc": cmu_asfamc,
    "cmu_subset": cmu_subset,
    "bandai_namco": bandai_namco,
}


def _read(folder: Path, source: str) -> MocapPoses:
    """The poses of one source."""
    if source not in _FILES:
        raise AnnotationError(f"There is no motion capture called {source!r}; choose from {', '.join(SOURCES)}.")
    path = folder / _FILES[source]
    hint = "give the folder of the motion capture files"
    arrays = read_arrays(path, ("joints_cm", "joints_mm", "joint_names", "clip", "clip_names"), hint)
    try:
        joints_mm = READERS[source](arrays)
        number = arrays["clip"].astype(np.int64)
        clips = tuple(_clip(source, str(name)) for name in arrays["clip_names"])
        if len(number) != len(joints_mm) or (number < 0).any() or (number >= len(clips)).any():
            raise IndexError(f"{len(joints_mm)} poses do not go with {len(number)} numbers of {len(clips)} clips")
    except (KeyError, ValueError, TypeError, IndexError) as fault:
        raise AnnotationError(f"Cannot read {path}: {fault}; {hint}.") from None
    broken = np.flatnonzero(~np.isfinite(joints_mm).all(axis=(1, 2)))
    if len(broken):
        raise AnnotationError(
            f"{path} has {len(broken)} poses with joints that are not finite numbers, the first in clip "
            f"{clips[number[broken[0]]].name}; leave those poses out of the file."
        )
    return MocapPoses(joints_mm.astype(np.float32), number, clips)[_is_recorded(source, number)]


def _is_recorded(source: str, clip: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(N,) False for the pose of all angles zero that the clips of the subset begin with."""
    begins = np.concatenate([[True], clip[1:] != clip[:-1]])[: len(clip)]
    return ~begins if source == "cmu_subset" else np.ones(len(clip), np.bool_)


def _clip(source: str, name: str) -> Clip:
    """A clip by its name: CMU's has the subject before the underscore, the subset's a folder, Bandai's the action."""
    if source == "cmu_asfamc":
        return Clip(source, name, subject=name.partition("_")[0])
    if source == "cmu_subset":
        return Clip(source, name, subject="02" if name == _SAME_WALK else "", action=name.split("/")[1])
    return Clip(source, name, action=name.split("_")[1])


def _joints_by_name(arrays: Arrays, names: Mapping[str, str]) -> dict[str, Floats64]:
    """Joints (N, 3) mm by our names, from an array in centimetres and the names of its joints."""
    stored_names = [str(name) for name in arrays["joint_names"]]
    stored = arrays["joints_cm"].astype(np.float64) * 10
    return {ours: stored[:, stored_names.index(theirs)] for ours, theirs in names.items()}


def _to_body17(joints: dict[str, Floats64]) -> Floats64:
    """All of BODY17_3D about the pelvis, from its measured joints, the skull's base and the joint below it."""
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
