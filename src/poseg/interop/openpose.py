"""OpenPose's JSON: a file an image or frame, with (x, y, confidence) of its 18 joints for each person."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from poseg.geometry.grid import pixel_indices
from poseg.interop.image_people import ImagePeople, file_stems
from poseg.io.files import make_folder, write_json
from poseg.people import People
from poseg.skeletons import SKELETONS

JOINTS = SKELETONS["openpose18"]
VERSION = 1.3


def to_openpose(folder: str | Path, images: Iterable[ImagePeople]) -> None:
    """Write FOLDER/NAME_keypoints.json of each image, as OpenPose's `--write_json` with the model COCO.

    The neck is the middle of the shoulders where the people have none. Joints without a score are 0, 0, 0. Raises
    OutputError.
    """
    listed, out = list(images), Path(folder)
    make_folder(out)
    for stem, image in zip(file_stems([image.name for image in listed]), listed, strict=True):
        people = image.people
        triplets = openpose_triplets(people)
        entries = [
            {
                "person_id": [-1 if people.ids is None else int(people.ids[row])],
                "pose_keypoints_2d": np.round(triplets[row].astype(np.float64), 4).reshape(-1).tolist(),
                "face_keypoints_2d": [],
                "hand_left_keypoints_2d": [],
                "hand_right_keypoints_2d": [],
            }
            for row in range(len(people))
        ]
        write_json(out / f"{stem}_keypoints.json", {"version": VERSION, "people": entries})


def openpose_triplets(people: People) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """(N, 18, 3) x, y (pixel indices) and confidence of OpenPose's joints; zeros where a joint is missing."""
    remapped = people.remap_to(JOINTS)
    points, scores = remapped.keypoints.copy(), remapped.keypoint_scores.copy()
    neck, *shoulders = (JOINTS.index(name) for name in ("neck", "left_shoulder", "right_shoulder"))
    missing = (scores[:, neck] == 0) & (scores[:, shoulders] > 0).all(axis=1)
    points[missing, neck] = points[missing][:, shoulders].mean(axis=1)
    scores[missing, neck] = scores[missing][:, shoulders].min(axis=1)
    triplets = np.concatenate([pixel_indices(points), scores[..., None]], axis=2)
    return np.where(scores[..., None] > 0, triplets, np.float32(0))
