"""Motion capture as poses of BODY17_3D: three published sets, reduced to joints, in one measure and one meaning.

Every pose is in millimetres, y-up, right-handed, its pelvis at the origin. A joint of one name is one place of the
body in every source, and is what `skeletons.remap` makes of a network's joints:

    pelvis, neck   the middle of the hips, of the shoulders
    spine          the joint of the back next to half way: `lowerback` (CMU), `Spine` (Bandai Namco)
    nose, head_top no source has them. Both are set up from the base of the skull: the top of the head 140 mm along the
                   head's axis, the nose 100 mm ahead, square to that axis and to the shoulders. A turn of the head
                   against the shoulders is not in joints alone, so it is lost.
    skull's base   the end of `head` (CMU); 55 mm beyond `Head` (Bandai Namco), whose neck is shorter than a neck is

What the files say otherwise is put right here:

    cmu_asfamc     joints are ends of bones. The forearm is two bones in one line, `radius` and `wrist`, of which the
                   second is half the first and only twists: the wrist is the end of `wrist`.
    cmu_subset     its unit is 1/70 of what the bones' file counts in, and that is an inch / 0.45: positions are
                   56.44 / 70 of the numbers given. Two bones with several children have lost their length there: the
                   upper back is drawn out by its last bone again, the forearm by half of itself, as in cmu_asfamc,
                   whose bones are in these proportions to 1 %. Each clip begins with the pose of all angles zero,
                   which nobody took: it is left out. Its `walking_1` is the walk 02_01 of cmu_asfamc; so put right,
                   the two agree to 14 mm at every joint.

The body of bandai_namco is one character's for all its actors: 1.6 m, with narrow shoulders.

Sources: CMU (mocap.cs.cmu.edu; use free, acknowledgement asked) and Bandai Namco Research (CC BY-NC 4.0).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from poseg.datasets.mocap_joints import READERS, taken
from poseg.errors import AnnotationError
from poseg.geometry.camera import Camera, random_camera
from poseg.skeletons import BODY17_3D

Floats = NDArray[np.float32]

CMU_SOURCES = ("cmu_asfamc", "cmu_subset")
SOURCES = (*CMU_SOURCES, "bandai_namco")
_FILES = {
    "cmu_asfamc": "cmu_asfamc_fk_5fps.npz",
    "cmu_subset": "cmu_subset_expmap_fk.npz",
    "bandai_namco": "bandai_namco_2.5fps.npz",
}

# The one clip of the subset that the other set holds as well, and so tells the subject of.
_SAME_WALK = "train/walking/walking_1"

# What is held out of training: (source, subject) or (source, action).
VAL = frozenset({("cmu_asfamc", "03"), ("cmu_subset", "jumping")})
TEST = frozenset({("cmu_asfamc", "02"), ("cmu_subset", "02"), ("cmu_subset", "soccer"), ("cmu_subset", "washwindow")})


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording. `subject` and `action` are empty where the source does not tell them."""

    source: str
    name: str
    subject: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Poses:
    """Poses of clips, in the order of the recordings. Arrays are read-only.

    joints_mm   (N, 17, 3) float32 on BODY17_3D: y-up, the pelvis at the origin
    clip        (N,) int64: which of `clips` a pose is of
    clips       every recording of a pose, and no other
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

    def __getitem__(self, which: Any) -> Poses:
        """The chosen poses, as an array is indexed, with the clips that they are of."""
        rows = np.atleast_1d(np.arange(len(self))[which])
        used, clip = np.unique(self.clip[rows], return_inverse=True)
        return Poses(self.joints_mm[rows], clip.reshape(-1), tuple(self.clips[number] for number in used))

    @property
    def sources(self) -> NDArray[np.str_]:
        """(N,) the source of each pose."""
        return np.array([clip.source for clip in self.clips], np.str_)[self.clip]


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """M pairs of a pose before a camera and what the camera sees of it.

    joints_mm   (M, 17, 3) float32 in the camera's frame: x right, y down, z away
    keypoints   (M, 17, 2) float32, continuous pixels
    pose        (M,) int64: which of the poses given it is
    cameras     M of them
    """

    joints_mm: Floats
    keypoints: Floats
    pose: NDArray[np.int64]
    cameras: Camera

    def __len__(self) -> int:
        return len(self.joints_mm)


def read_mocap(folder: Path, sources: tuple[str, ...] = SOURCES) -> Poses:
    """All poses of the sources, one source after the other.

    folder    with the three `.npz` files
    sources   of SOURCES; CMU_SOURCES are those whose terms allow a model to be shipped for any use

    Raises AnnotationError for a source that is unknown, a file that is missing or broken, and poses that are not
    finite, with their number and the clip of the first.
    """
    parts = [_read(folder, source) for source in sources]
    if not parts:
        raise AnnotationError(f"No source of motion capture was named; choose from {', '.join(SOURCES)}.")
    counts = np.cumsum([0, *(len(part.clips) for part in parts)])
    return Poses(
        np.concatenate([part.joints_mm for part in parts]),
        np.concatenate([part.clip + first for part, first in zip(parts, counts, strict=False)]),
        tuple(clip for part in parts for clip in part.clips),
    )


def split(poses: Poses) -> tuple[Poses, Poses, Poses]:
    """Poses to train on, to choose by and to test on; no clip is in two of them, and every pose is in one.

    The rule, the same every time:

    - cmu_asfamc tells its subjects: 01 trains, 03 validates, 02 tests.
    - cmu_subset does not. Whole actions are held out: jumping validates, soccer and window washing test, and so does
      the walk of subject 02 that both files hold.
    - bandai_namco tells no actors and gives all of them one body. All of it trains, since no part of it could be
      called unseen; to test on it, train without it (`read_mocap(folder, CMU_SOURCES)`).
    """

    def held(clip: Clip, out: frozenset[tuple[str, str]]) -> bool:
        return (clip.source, clip.subject) in out or (clip.source, clip.action) in out

    val, test = (np.array([held(clip, out) for clip in poses.clips], np.bool_)[poses.clip] for out in (VAL, TEST))
    return poses[~val & ~test], poses[val], poses[test]


def views(joints_mm: Floats, rng: np.random.Generator, cameras: int = 1, **choices: Any) -> Views:
    """Poses seen by random cameras that look at their pelvis, `cameras` for each pose, pose after pose.

    joints_mm   (N, 17, 3) of the y-up world, millimetres
    choices     as `geometry.camera.random_camera`

    A camera within reach of a limb may have it behind itself: such a view raises GeometryError.
    """
    pose = np.repeat(np.arange(len(joints_mm)), cameras)
    points = np.asarray(joints_mm, np.float64)[pose]
    stack = random_camera(rng, len(points), target_mm=points[:, BODY17_3D.index("pelvis")], **choices)
    seen = stack.to_camera(points)
    keypoints = stack.project_from_camera(seen)
    return Views(seen.astype(np.float32), keypoints.astype(np.float32), pose, stack)


def _read(folder: Path, source: str) -> Poses:
    """The poses of one source."""
    if source not in _FILES:
        raise AnnotationError(f"There is no motion capture called {source!r}; choose from {', '.join(SOURCES)}.")
    path = folder / _FILES[source]
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        joints_mm = READERS[source](arrays)
        number = arrays["clip"].astype(np.int64)
        clips = tuple(_clip(source, str(name)) for name in arrays["clip_names"])
        if len(number) != len(joints_mm) or (number < 0).any() or (number >= len(clips)).any():
            raise IndexError(f"{len(joints_mm)} poses do not go with {len(number)} numbers of {len(clips)} clips")
    except (OSError, KeyError, ValueError, TypeError, IndexError, EOFError, BadZipFile) as fault:
        raise AnnotationError(f"Cannot read {path}: {fault}; give the folder of the motion capture files.") from None
    broken = np.flatnonzero(~np.isfinite(joints_mm).all(axis=(1, 2)))
    if len(broken):
        raise AnnotationError(
            f"{path} has {len(broken)} poses with joints that are not finite numbers, the first in clip "
            f"{clips[number[broken[0]]].name}; leave those poses out of the file."
        )
    found = Poses(joints_mm.astype(np.float32), number, clips)
    return found[taken(source, arrays)]


def _clip(source: str, name: str) -> Clip:
    """What the name of a clip tells: CMU's subject before the underscore, the subset's folder, Bandai's own words."""
    if source == "cmu_asfamc":
        return Clip(source, name, subject=name.partition("_")[0])
    if source == "cmu_subset":
        return Clip(source, name, subject="02" if name == _SAME_WALK else "", action=name.split("/")[1])
    return Clip(source, name, action=name.split("_")[1])
