"""YOLO labels: a text file an image, a line a person, numbers as fractions of the image's width and height.

pose   class, box centre x and y, width, height, then x, y, v of each joint (v: 0 no joint, 1 hidden, 2 visible)
seg    class, then x, y of each point of one polygon

Joints are COCO's pixel indices over the size, as converters of COCO data sets write them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poseg.errors import AnnotationError
from poseg.geometry.grid import pixel_centres, pixel_indices
from poseg.geometry.masks import Masks
from poseg.interop.image_people import ImagePeople, file_stems
from poseg.interop.rings import joined_ring, mask_rings, rings_mask
from poseg.io.files import make_folder, write_text
from poseg.io.images import image_size
from poseg.io.sources import find_images
from poseg.people import CONFIDENT_JOINT, People
from poseg.skeletons import COCO17, Skeleton

Floats = NDArray[np.float64]


class YoloTask(str, Enum):
    """Which of both formats."""

    pose = "pose"
    seg = "seg"


def to_yolo(folder: str | Path, images: Iterable[ImagePeople], task: YoloTask = YoloTask.pose) -> None:
    """Write FOLDER/labels/NAME.txt of each image, and FOLDER/data.yaml, which expects the images in FOLDER/images.

    A person without a mask has no line in seg labels. Raises AnnotationError for an image of unknown size, OutputError.
    """
    listed, out = list(images), Path(folder)
    labels = out / "labels"
    make_folder(labels)
    for stem, image in zip(file_stems([image.name for image in listed]), listed, strict=True):
        lines = _pose_lines(image) if task is YoloTask.pose else _seg_lines(image)
        write_text(labels / f"{stem}.txt", "".join(f"{line}\n" for line in lines))
    about = ["path: .", "train: images", "val: images", "names:", "  0: person"]
    if task is YoloTask.pose:
        skeleton = listed[0].people.skeleton if listed else COCO17
        about += [f"kpt_shape: [{len(skeleton)}, 3]", f"flip_idx: {list(map(int, skeleton.flip_index))}"]
    write_text(out / "data.yaml", "\n".join(about) + "\n")


def from_yolo(
    labels: str | Path, images: str | Path, task: YoloTask = YoloTask.pose, skeleton: Skeleton = COCO17
) -> list[ImagePeople]:
    """The people of the images in a folder from the labels of the same stems in another.

    Scores are 1, as are those of joints with v above 0. An image without labels has no people. Raises AnnotationError
    for a line of another length, ImageError.
    """
    found = find_images([str(images)])
    for fault in found.errors:
        raise fault
    out = []
    for path in found.paths:
        size = image_size(path)
        rows = _read_rows(Path(labels) / f"{path.stem}.txt")
        people = _pose_people(rows, size, skeleton) if task is YoloTask.pose else _seg_people(rows, size, skeleton)
        out.append(ImagePeople(path.name, people, size))
    return out


def _pose_lines(image: ImagePeople) -> list[str]:
    people, scale = image.people, np.array(image.known_size[::-1], np.float64)
    lines = []
    for row in range(len(people)):
        low, high = (np.clip(corner / scale, 0, 1) for corner in people.boxes_xyxy[row].reshape(2, 2))
        points = pixel_indices(people.keypoints[row]) / scale
        scores = people.keypoint_scores[row]
        flags = np.where(scores >= CONFIDENT_JOINT, 2, np.where(scores > 0, 1, 0))
        flags[((points < 0) | (points > 1)).any(axis=1)] = 0  # readers refuse joints outside of the image
        triplets = [f"{x:.6f} {y:.6f} {flag}" if flag else "0 0 0" for (x, y), flag in zip(points, flags, strict=True)]
        lines.append(" ".join(["0", *_numbers((low + high) / 2), *_numbers(high - low), *triplets]))
    return lines


def _seg_lines(image: ImagePeople) -> list[str]:
    scale, masks = np.array(image.known_size[::-1], np.float64), image.people.masks
    rings = [] if masks is None else [joined_ring(mask_rings(masks, row)) for row in range(len(masks))]
    return [" ".join(["0", *_numbers(np.clip(ring / scale, 0, 1).reshape(-1))]) for ring in rings if len(ring)]


def _numbers(values: NDArray[np.floating]) -> list[str]:
    return [f"{value:.6f}" for value in values]


def _read_rows(path: Path) -> list[tuple[Floats, str]]:
    """The numbers of each line, and where it stands; none for a file that is missing."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as fault:
        raise AnnotationError(f"Cannot read {path} ({fault}); give a folder of YOLO labels.") from None
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{path}, line {number}"
        try:
            values = np.array(line.split(), np.float64)
        except ValueError:
            raise AnnotationError(f"{where} holds something other than numbers; correct it.") from None
        if not np.isfinite(values).all():
            raise AnnotationError(f"{where} holds a number that is not finite; correct it.")
        if len(values):
            rows.append((values, where))
    return rows


def _pose_people(rows: Sequence[tuple[Floats, str]], size: tuple[int, int], skeleton: Skeleton) -> People:
    if not rows:
        return People.empty(skeleton)
    expected, scale = 5 + 3 * len(skeleton), np.array(size[::-1], np.float64)
    for values, where in rows:
        if len(values) != expected:
            raise AnnotationError(
                f"{where} has {len(values)} numbers, expected {expected} of a box and {len(skeleton)} joints; "
                "name the skeleton, or read it as seg."
            )
    values = np.stack([row for row, _ in rows])
    centres, sides = values[:, 1:3] * scale, values[:, 3:5] * scale
    triplets = values[:, 5:].reshape(len(rows), -1, 3)
    seen = triplets[..., 2] > 0
    points = np.where(seen[..., None], pixel_centres(triplets[..., :2] * scale), 0)
    people = People.from_poses(skeleton, points, seen, scores=np.ones(len(rows)))
    corners = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)
    return replace(people, boxes_xyxy=corners.astype(np.float32))


def _seg_people(rows: Sequence[tuple[Floats, str]], size: tuple[int, int], skeleton: Skeleton) -> People:
    scale = np.array(size[::-1], np.float64)
    bits = []
    for values, where in rows:
        if len(values) < 7 or len(values) % 2 == 0:
            raise AnnotationError(f"{where} has {len(values)} numbers, expected a class and pairs; read it as pose?")
        bits.append((rings_mask([(values[1:].reshape(-1, 2) * scale).astype(np.float32)], size), 0, 0))
    n, k = len(rows), len(skeleton)
    people = People.from_poses(skeleton, np.zeros((n, k, 2)), np.zeros((n, k)), scores=np.ones(n))
    return people.with_masks(Masks.from_bitmaps(bits, size))
