"""Leeds Sports Pose and its extension: one annotated person per image, 14 joints, no masks (Johnson & Everingham).

Only that person is annotated, so other people of the image are unknown, and so are the joints of the face, which
these sets do not have. As a COCO file, an occluded joint with coordinates has v = 1, and a joint that LSPET could not
locate (0, 0) has v = 0. Coordinates are pixel indices, as COCO's are.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.errors import AnnotationError
from poseg.geometry.boxes import boxes_from_points, xyxy_to_xywh
from poseg.geometry.grid import pixel_centres
from poseg.io.coco_skeleton import coco_category
from poseg.io.files import read_arrays
from poseg.io.images import image_size, read_image
from poseg.people import People, Sample
from poseg.skeletons import COCO17, LSP14, Skeleton, remap_weights

PATTERNS = ("im{:04d}.jpg", "im{:05d}.jpg")  # of LSP and of LSPET
DECIMALS = 2
SAMPLE_PADDING = 0.2  # of the longer side: training boxes around the joints
FILE_PADDING = 0.1  # the same for the boxes of a COCO file


class Lsp:
    """LSP or LSPET, on their own joints or remapped to another skeleton.

    folder            with `joints.npz` and `images`
    pattern           file name of image number i, counted from 1
    first, last       range of image numbers, both included: LSP's own split is 1-1000 for training
    include_occluded  whether the third value 0 means occluded with coordinates (LSP) or missing (LSPET)
    skeleton          of the samples

    Raises AnnotationError for a folder that is not LSP's, and ImageError for an image that cannot be read.
    """

    def __init__(
        self, name: str, folder: Path, pattern: str, first: int, last: int, *, include_occluded: bool,
        skeleton: Skeleton = COCO17,
    ) -> None:  # fmt: skip
        self.skeleton = skeleton
        self.name, self.exhaustive = name, False
        self.annotated_joints = remap_weights(LSP14, skeleton).sum(axis=1) > 0
        self._folder, self._pattern = folder, pattern
        joints = read_joints(folder).astype(np.float32)
        self._numbers = range(first, min(last, len(joints)) + 1)
        self._joints, self._include_occluded = joints, include_occluded

    def __len__(self) -> int:
        return len(self._numbers)

    def sample_id(self, index: int) -> str:
        """The set's name and the file name."""
        return f"{self.name}/{self._pattern.format(self._numbers[index])}"

    def __getitem__(self, index: int) -> Sample:
        number = self._numbers[index]
        name = self._pattern.format(number)
        image = read_image(self._folder / "images" / name)
        joints = self._joints[number - 1][None]
        flags = np.ones(joints.shape[:2], np.float32) if self._include_occluded else joints[..., 2]
        people = People.from_poses(LSP14, pixel_centres(joints[..., :2]), (flags > 0).astype(np.float32))
        tight = boxes_from_points(people.keypoints, people.keypoint_scores > 0)
        boxes_xyxy = _padded(tight, SAMPLE_PADDING, np.array([image.shape[:2]]))
        return Sample(image, replace(people.remap_to(self.skeleton), boxes_xyxy=boxes_xyxy), name=name)


def read_joints(folder: Path) -> NDArray[np.float64]:
    """(images, 14, 3) joints of LSP or LSPET as they are stored. Raises AnnotationError."""
    path = folder / "joints.npz"
    arrays = read_arrays(path, ("joints",), "give the folder of LSP or LSPET, with joints.npz and images")
    try:
        joints: NDArray[np.float64] = arrays["joints"].astype(np.float64)
    except (KeyError, ValueError) as fault:
        raise AnnotationError(f"Cannot read the array `joints` of {path} ({fault}); get it again.") from None
    if joints.ndim != 3 or joints.shape[1:] != (len(LSP14), 3) or len(joints) == 0:
        raise AnnotationError(f"{path} has joints of shape {joints.shape}, expected (images, 14, 3); get it again.")
    if not np.isfinite(joints).all():
        number = int(np.argwhere(~np.isfinite(joints))[0][0]) + 1
        raise AnnotationError(f"{path} has NaN or infinity among the joints of image {number}; get it again.")
    return joints


def lsp_to_coco(folder: Path, first: int = 1, last: int | None = None) -> dict[str, Any]:
    """The images `first` to `last` (counted from 1, both included, all by default) as a COCO file on the 14 joints.

    folder  with `joints.npz` (`joints`: (images, 14, 3), x, y and whether visible or annotated) and `images`

    Image and annotation ids are the image numbers; `file_name` is relative to `images`. Boxes are those of the joints
    padded by a tenth of the longer side, clipped to the image, and `area` is the box's. `info.description` names the
    images. Raises AnnotationError, and ImageError for an image that cannot be read.
    """
    joints = read_joints(folder)
    end = len(joints) if last is None else last
    if not 1 <= first <= end <= len(joints):
        raise AnnotationError(
            f"{folder} has images 1 to {len(joints):,}, so {first} to {end} cannot be taken; choose among them."
        )
    pattern = _pattern(folder, first)
    numbers = range(first, end + 1)
    names = [pattern.format(number) for number in numbers]
    missing = [name for name in names if not (folder / "images" / name).is_file()]
    if missing:
        raise AnnotationError(
            f"{folder / 'images'} lacks {len(missing):,} of the images, the first is {missing[0]}; copy them there."
        )
    sizes = np.array([image_size(folder / "images" / name) for name in names], np.int64)
    set_name = "LSP" if pattern == PATTERNS[0] else "LSPET"
    return {
        "info": {"description": f"{set_name}, images {first} to {end}: one person of each is annotated"},
        "images": [
            {"id": number, "file_name": name, "height": height, "width": width}
            for number, name, (height, width) in zip(numbers, names, sizes.tolist(), strict=True)
        ],
        "annotations": _records(joints[first - 1 : end], sizes, first),
        "categories": [coco_category(LSP14)],
    }


def visibility(joints: NDArray[np.float64]) -> NDArray[np.int64]:
    """COCO's v of joints (..., 3): 2 visible, 1 occluded with coordinates, 0 without coordinates."""
    located = (joints[..., :2] != 0).any(axis=-1)
    return np.where(joints[..., 2] > 0, 2, np.where(located, 1, 0)).astype(np.int64)


def _pattern(folder: Path, number: int) -> str:
    """How the folder names its images: LSP with four digits, LSPET with five."""
    for pattern in PATTERNS:
        if (folder / "images" / pattern.format(number)).is_file():
            return pattern
    tried = " nor ".join(pattern.format(number) for pattern in PATTERNS)
    raise AnnotationError(f"{folder / 'images'} holds neither {tried}; give the folder of LSP or LSPET.")


def _padded(tight_xyxy: NDArray[np.float32], padding: float, sizes: NDArray[np.int64]) -> NDArray[np.float32]:
    """Boxes (N, 4) padded by a fraction of their longer side, clipped to images of `sizes` (N, 2) height and width."""
    margin = (tight_xyxy[:, 2:] - tight_xyxy[:, :2]).max(axis=1, keepdims=True) * padding
    edges = np.concatenate([sizes[:, ::-1], sizes[:, ::-1]], axis=1)
    padded = np.clip(tight_xyxy + np.array([-1, -1, 1, 1]) * margin, 0, edges)
    return np.asarray(padded, np.float32)


def _records(joints: NDArray[np.float64], sizes: NDArray[np.int64], first: int) -> list[dict[str, Any]]:
    """An annotation for each image that has a joint."""
    flags = visibility(joints)
    located = flags > 0
    tight = boxes_from_points(pixel_centres(joints[..., :2]), located)
    boxes = xyxy_to_xywh(_padded(tight, FILE_PADDING, sizes)).astype(np.float64)
    triplets = np.concatenate([np.where(located[..., None], joints[..., :2], 0), flags[..., None]], axis=-1)
    return [
        {
            "id": first + row,
            "image_id": first + row,
            "category_id": 1,
            "iscrowd": 0,
            "bbox": [round(side, DECIMALS) for side in boxes[row].tolist()],
            "area": round(float(boxes[row, 2] * boxes[row, 3]), DECIMALS),
            "keypoints": _flat(triplets[row]),
            "num_keypoints": int(located[row].sum()),
        }
        for row in range(len(joints))
        if located[row].any()
    ]


def _flat(triplets: NDArray[np.float64]) -> list[float | int]:
    """x, y, v of each joint in one list; v is an integer."""
    flat: list[float | int] = np.round(triplets, DECIMALS).reshape(-1).tolist()
    flat[2::3] = triplets[:, 2].astype(int).tolist()
    return flat
