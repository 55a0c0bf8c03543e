"""Leeds Sports Pose and its extension as a COCO annotation file on their own 14 joints.

A joint with a place that the sets mark as hidden is COCO's v = 1; one that LSPET could not place (0, 0) is v = 0. The
places are pixel numbers, as COCO's are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.datasets.lsp import read_joints
from poseg.errors import AnnotationError
from poseg.geometry.boxes import boxes_from_points, xyxy_to_xywh
from poseg.geometry.grid import pixel_centres
from poseg.io.images import image_size
from poseg.skeletons import LSP14

PATTERNS = ("im{:04d}.jpg", "im{:05d}.jpg")  # of LSP and of LSPET
DIGITS = 2
MARGIN = 0.1  # how far a body reaches beyond the box of its joints


def lsp_as_coco(folder: Path, first: int = 1, last: int | None = None) -> dict[str, Any]:
    """The pictures `first` to `last` (counted from 1, both included, all by default) as a COCO annotation file.

    folder  with `joints.npz` (`joints`: (pictures, 14, 3), x, y and whether visible or annotated) and `images`

    Image and annotation ids are the numbers of the pictures; `file_name` counts from `images`. Boxes lie around the
    joints with a margin of a tenth of the longer side, as far as bodies reach, cut to the picture, and `area` is the
    box's. `info.description` says which pictures these are. Raises AnnotationError, and ImageError for a picture that
    cannot be read.
    """
    joints = read_joints(folder)
    end = len(joints) if last is None else last
    if not 1 <= first <= end <= len(joints):
        raise AnnotationError(
            f"{folder} has pictures 1 to {len(joints):,}, so {first} to {end} cannot be taken; choose among them."
        )
    pattern = _pattern(folder, first)
    numbers = range(first, end + 1)
    names = [pattern.format(number) for number in numbers]
    missing = [name for name in names if not (folder / "images" / name).is_file()]
    if missing:
        raise AnnotationError(
            f"{folder / 'images'} lacks {len(missing):,} of the pictures, the first is {missing[0]}; copy them there."
        )
    sizes = np.array([image_size(folder / "images" / name) for name in names], np.int64)
    chosen = joints[first - 1 : end]
    kind = "LSP" if pattern == PATTERNS[0] else "LSPET"
    bones = [[LSP14.index(a) + 1, LSP14.index(b) + 1] for a, b in LSP14.bones]
    return {
        "info": {"description": f"{kind}, pictures {first} to {end}: one person of each is annotated"},
        "images": [
            {"id": number, "file_name": name, "height": height, "width": width}
            for number, name, (height, width) in zip(numbers, names, sizes.tolist(), strict=True)
        ],
        "annotations": _records(chosen, sizes, first),
        "categories": [{"id": 1, "name": "person", "keypoints": list(LSP14.joints), "skeleton": bones}],
    }


def visibility(joints: NDArray[np.float64]) -> NDArray[np.int64]:
    """COCO's v of joints (..., 3): 2 seen, 1 placed though hidden, 0 without a place."""
    placed = (joints[..., :2] != 0).any(axis=-1)
    return np.where(joints[..., 2] > 0, 2, np.where(placed, 1, 0)).astype(np.int64)


def _pattern(folder: Path, number: int) -> str:
    """How the folder names its pictures: LSP with four digits, LSPET with five."""
    for pattern in PATTERNS:
        if (folder / "images" / pattern.format(number)).is_file():
            return pattern
    tried = " nor ".join(pattern.format(number) for pattern in PATTERNS)
    raise AnnotationError(f"{folder / 'images'} holds neither {tried}; give the folder of LSP or LSPET.")


def _records(joints: NDArray[np.float64], sizes: NDArray[np.int64], first: int) -> list[dict[str, Any]]:
    """An annotation for each picture that has a joint."""
    seen = visibility(joints)
    placed = seen > 0
    tight = boxes_from_points(pixel_centres(joints[..., :2]), placed)
    margin = (tight[:, 2:] - tight[:, :2]).max(axis=1, keepdims=True) * MARGIN
    edges = np.concatenate([sizes[:, ::-1], sizes[:, ::-1]], axis=1)
    boxes = xyxy_to_xywh(np.clip(tight + np.array([-1, -1, 1, 1]) * margin, 0, edges)).astype(np.float64)
    triplets = np.concatenate([np.where(placed[..., None], joints[..., :2], 0), seen[..., None]], axis=-1)
    return [
        {
            "id": first + row,
            "image_id": first + row,
            "category_id": 1,
            "iscrowd": 0,
            "bbox": [round(side, DIGITS) for side in boxes[row].tolist()],
            "area": round(float(boxes[row, 2] * boxes[row, 3]), DIGITS),
            "keypoints": _plain(triplets[row]),
            "num_keypoints": int(placed[row].sum()),
        }
        for row in range(len(joints))
        if placed[row].any()
    ]


def _plain(triplets: NDArray[np.float64]) -> list[float | int]:
    """x, y, v of each joint in one list; v is a whole number."""
    plain: list[float | int] = np.round(triplets, DIGITS).reshape(-1).tolist()
    plain[2::3] = triplets[:, 2].astype(int).tolist()
    return plain
