"""Human3.6M's poses, read from its official folders and file names, with one plain `.npz` per recording.

    FOLDER/S1/MyPoseFeatures/D3_Positions_mono/Walking 1.54138969.npz      or FOLDER/S1/Walking 1.54138969.npz
    FOLDER/S1/MyPoseFeatures/D2_Positions/Walking 1.54138969.npz           positions_2d, where stored separately
    FOLDER/S1/Images/Walking 1.54138969/000001.jpg ...                     optional; any names, in order of frames

    positions_3d   (T, 32, 3) or (T, 96), mm in the camera's frame: x right, y down, z away
    positions_2d   (T, 32, 2) or (T, 64), optional: pixels of the original image

The official archives hold CDF files of the same names. Of the common conversions, the single `.npz` for all subjects
holds pickled Python objects, which run code when they are read, and the `.h5` files need one more library. Convert a
CDF file with its own library, once, keeping names and folders:

    pose = cdflib.CDF(path).varget("Pose")[0]
    numpy.savez_compressed(path.with_suffix(".npz"), positions_3d=pose)

The data set may not be redistributed; its terms allow academic use (Ionescu et al., PAMI 2014).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.errors import AnnotationError
from poseg.io.files import read_arrays

Floats = NDArray[np.float32]

TRAIN_SUBJECTS = ("S1", "S5", "S6", "S7", "S8")
TEST_SUBJECTS = ("S9", "S11")

# The 17 of 32 joints that are BODY17_3D, in its order.
JOINTS_OF_32 = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)

# Subjects 5 to 11 have shorter names for three actions than subject 1 and the papers.
_ACTIONS = {"Photo": "TakingPhoto", "WalkDog": "WalkingDog", "WalkTogether": "WalkingTogether"}
_POSITIONS = ("MyPoseFeatures/D3_Positions_mono", "")
_IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})


@dataclass(frozen=True, slots=True)
class Recording:
    """One subject doing one action once before one camera; `read` reads its files.

    subject    "S1"
    action     as the papers name it, without number: "Walking"
    subaction  the name of its file without the camera: "Walking 1"
    camera     its serial number: "54138969"
    """

    subject: str
    action: str
    subaction: str
    camera: str
    path: Path

    def read(self) -> RecordedPoses:
        """The poses, on BODY17_3D. Raises AnnotationError for a broken file and for joints that are not finite."""
        arrays = _arrays(self.path)
        joints_mm = self._joints(arrays, "positions_3d", 3)
        beside = self.path.parent.parent / "D2_Positions" / self.path.name
        if "positions_2d" not in arrays and beside.is_file():
            arrays = _arrays(beside) | arrays
        keypoints = self._joints(arrays, "positions_2d", 2) if "positions_2d" in arrays else None
        if keypoints is not None and len(keypoints) != len(joints_mm):
            raise AnnotationError(
                f"{self.path} has {len(joints_mm)} poses in 3D, {len(keypoints)} in 2D; convert it again."
            )
        return RecordedPoses(joints_mm, keypoints)

    def images(self) -> tuple[Path, ...]:
        """The frames in order; empty where there are none on disk."""
        folder = _subject_folder(self.path) / "Images" / f"{self.subaction}.{self.camera}"
        if not folder.is_dir():
            return ()
        return tuple(sorted(path for path in folder.iterdir() if path.suffix.lower() in _IMAGE_SUFFIXES))

    def _joints(self, arrays: dict[str, NDArray[Any]], key: str, axes: int) -> Floats:
        """(T, 17, axes) of an array of all 32 joints."""
        if key not in arrays:
            raise AnnotationError(f"{self.path} has no `{key}`; convert it as in `poseg.datasets.human36m`.")
        stored = arrays[key]
        if stored.ndim not in (2, 3) or stored[:1].size not in (0, 32 * axes):
            raise AnnotationError(
                f"{self.path} has `{key}` of shape {stored.shape}, expected (frames, 32, {axes}); convert it again."
            )
        joints: Floats = stored.reshape(-1, 32, axes)[:, JOINTS_OF_32].astype(np.float32)
        broken = int(np.count_nonzero(~np.isfinite(joints).all(axis=(1, 2))))
        if broken:
            raise AnnotationError(
                f"{self.path} has {broken} poses of {len(joints)} in `{key}` that are not finite; convert it again."
            )
        return joints


@dataclass(frozen=True, slots=True, eq=False)
class RecordedPoses:
    """Poses of one recording in the frame of its camera.

    joints_mm   (T, 17, 3) float32 on BODY17_3D in the camera's frame: x right, y down, z away
    keypoints   (T, 17, 2) float32, continuous pixels, or None
    """

    joints_mm: Floats
    keypoints: Floats | None


def recordings(
    folder: Path, subjects: Collection[str] = TRAIN_SUBJECTS, *, actions: Collection[str] = ()
) -> tuple[Recording, ...]:
    """The recordings of some subjects, ordered by subject, subaction and camera.

    subjects   TRAIN_SUBJECTS and TEST_SUBJECTS are the usual split
    actions    keep these only, as the papers name them ("WalkingDog"); all where empty. The published networks of
               Li & Chan are each trained on one

    Raises AnnotationError where a subject has no files, or no subject has one of the actions.
    """
    available = [recording for subject in subjects for recording in _of_subject(folder, subject)]
    existing = {recording.action for recording in available}
    missing = sorted(set(actions) - existing)
    if missing:
        raise AnnotationError(
            f"{folder} has no recording of {', '.join(missing)}; it has {', '.join(sorted(existing))}."
        )  # fmt: skip
    return tuple(recording for recording in available if not actions or recording.action in actions)


def _of_subject(folder: Path, subject: str) -> list[Recording]:
    for subfolder in _POSITIONS:
        paths = sorted((folder / subject / subfolder).glob("*.npz"))
        if paths:
            return [_named(subject, path) for path in paths]
    tried = " or ".join(str(folder / subject / subfolder) for subfolder in _POSITIONS)
    raise AnnotationError(f"There are no recordings in {tried}; give the folder that holds {subject} and others.")


def _named(subject: str, path: Path) -> Recording:
    """A recording by its file name, such as "Walking 1.54138969.npz"."""
    parts = re.fullmatch(r"(([A-Za-z]+)(?: [0-9]+)?)\.([0-9]+)", path.stem)
    if parts is None:
        raise AnnotationError(f"{path} is not called ACTION NUMBER.CAMERA.npz; name it as its CDF file is named.")
    subaction, action, camera = parts.groups()
    return Recording(subject, _ACTIONS.get(action, action), subaction, camera, path)


def _subject_folder(path: Path) -> Path:
    """The subject's folder, from a file in either layout."""
    return path.parents[2] if path.parent.name == "D3_Positions_mono" else path.parent


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    return read_arrays(path, ("positions_3d", "positions_2d"), "convert it as in `poseg.datasets.human36m`")
