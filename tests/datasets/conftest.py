"""A small data set of one's own: dogs' heads with five joints, two images, a crowd, one animal without joints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from poseg.geometry.rle import encode_rle

NAMES = ["nose", "left eye", "right eye", "LEar", "REar"]
BONES = [[1, 2], [1, 3], [2, 4], [3, 5]]
SIZE = (96, 128)


def head(x: float, y: float, *, hidden: int = 0) -> list[float]:
    """COCO keypoints of a head around (x, y); the last `hidden` joints are hidden."""
    offsets = [(0, 8), (6, 0), (-6, 0), (12, -8), (-12, -8)]
    flags = [2] * (5 - hidden) + [1] * hidden
    return [v for (dx, dy), flag in zip(offsets, flags, strict=True) for v in (x + dx, y + dy, flag)]


def box_polygon(left: float, top: float, width: float, height: float) -> list[list[float]]:
    right, bottom = left + width, top + height
    return [[left, top, right, top, right, bottom, left, bottom]]


def animal(number: int, image: int, x: float, y: float, **changes: Any) -> dict[str, Any]:
    box = [x - 16, y - 14, 32, 28]
    record = {
        "id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "bbox": box, "area": 896.0,
        "keypoints": head(x, y), "num_keypoints": 5, "segmentation": box_polygon(*box),
    }  # fmt: skip
    return {**record, **changes}


@pytest.fixture
def plain() -> dict[str, Any]:
    """Nothing is wrong with this file."""
    crowd = np.zeros(SIZE, bool)
    crowd[60:90, 80:120] = True
    bare = animal(3, 1, 100, 30, keypoints=[0] * 15, num_keypoints=0)
    return {
        "images": [
            {"id": 1, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1]},
            {"id": 2, "file_name": "b.png", "height": SIZE[0], "width": SIZE[1]},
        ],
        "categories": [{"id": 1, "name": "dog", "keypoints": NAMES, "skeleton": BONES, "sigmas": [0.03] * 5}],
        "annotations": [
            animal(1, 1, 40, 40),
            animal(2, 2, 60, 50, keypoints=head(60, 50, hidden=2)),
            bare,
            {"id": 4, "image_id": 1, "category_id": 1, "iscrowd": 1, "bbox": [80, 60, 40, 30], "area": 1200,
             "segmentation": encode_rle(crowd)},
        ],
    }  # fmt: skip


@pytest.fixture
def write(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Writes a file beside its images, and returns its path."""

    def put(plain: dict[str, Any]) -> Path:
        for name in ("a.png", "b.png"):
            Image.new("RGB", SIZE[::-1], (9, 99, 9)).save(tmp_path / name)
        path = tmp_path / "labels.json"
        path.write_text(json.dumps(plain))
        return path

    return put
