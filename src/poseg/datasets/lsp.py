"""Leeds Sports Pose and its extension: one annotated person a picture, 14 joints, no masks (Johnson & Everingham).

Only the person's own joints are labelled, so other people of the picture are unknown, and so are the joints of the
face, which these sets do not name.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from poseg.errors import AnnotationError
from poseg.geometry import boxes
from poseg.geometry.grid import pixel_centres
from poseg.io.images import read_image
from poseg.people import People, Sample
from poseg.skeletons import COCO17, LSP14, Skeleton, remap_weights

MARGIN = 0.2  # a body is that much larger than the box of its joints


class Lsp:
    """LSP or LSPET, on their own joints or on those that another skeleton has too.

    folder          with `joints.npz` and `images`
    pattern         file name of picture number i, counted from 1
    first, last     1-based range of pictures, both included: LSP's own split is 1-1000 for training
    hidden_counts   whether the third value 0 means hidden with a place given (LSP) or missing (LSPET)
    skeleton        of the people given out

    Raises AnnotationError for a folder that is none of LSP, and ImageError for a picture that cannot be read.
    """

    def __init__(
        self, name: str, folder: Path, pattern: str, first: int, last: int, *, hidden_counts: bool,
        skeleton: Skeleton = COCO17,
    ) -> None:  # fmt: skip
        self.skeleton = skeleton
        self.name, self.complete = name, False
        self.known = remap_weights(LSP14, skeleton).sum(axis=1) > 0
        self._folder, self._pattern = folder, pattern
        joints = read_joints(folder).astype(np.float32)
        self._numbers = range(first, min(last, len(joints)) + 1)
        self._joints, self._hidden_counts = joints, hidden_counts

    def __len__(self) -> int:
        return len(self._numbers)

    def key(self, index: int) -> str:
        """File name with the set's name before it."""
        return f"{self.name}/{self._pattern.format(self._numbers[index])}"

    def __getitem__(self, index: int) -> Sample:
        number = self._numbers[index]
        name = self._pattern.format(number)
        image = read_image(self._folder / "images" / name)
        joints = self._joints[number - 1][None]
        given = np.ones(joints.shape[:2], np.float32) if self._hidden_counts else joints[..., 2]
        people = People.from_poses(LSP14, pixel_centres(joints[..., :2]), (given > 0).astype(np.float32))
        box = boxes.boxes_from_points(people.keypoints, people.keypoint_scores > 0)
        margin = (box[:, 2:] - box[:, :2]).max() * MARGIN
        height, width = image.shape[:2]
        grown = np.clip(box + np.array([-1, -1, 1, 1]) * margin, 0, np.array([width, height, width, height]))
        return Sample(image, replace(people.remap_to(self.skeleton), boxes_xyxy=grown.astype(np.float32)), name=name)


def read_joints(folder: Path) -> NDArray[np.float64]:
    """(pictures, 14, 3) joints of LSP or LSPET as they are stored. Raises AnnotationError."""
    path = folder / "joints.npz"
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            joints: NDArray[np.float64] = file["joints"].astype(np.float64)
    except FileNotFoundError:
        raise AnnotationError(
            f"There is no {path}; give the folder of LSP or LSPET, with joints.npz and images."
        ) from None
    except (OSError, KeyError, ValueError, TypeError, EOFError, BadZipFile) as fault:
        raise AnnotationError(f"Cannot read {path}: {fault}; give the folder of LSP or LSPET.") from None
    if joints.ndim != 3 or joints.shape[1:] != (len(LSP14), 3) or len(joints) == 0:
        raise AnnotationError(f"{path} has joints of shape {joints.shape}, expected (pictures, 14, 3); get it again.")
    if not np.isfinite(joints).all():
        number = int(np.argwhere(~np.isfinite(joints))[0][0]) + 1
        raise AnnotationError(f"{path} has NaN or infinity among the joints of picture {number}; get it again.")
    return joints
