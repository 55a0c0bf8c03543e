"""labelme's JSON: a file an image. A person is a group: points named as joints, polygons or else a rectangle "person".

Shapes also hold `score`, which labelme keeps when it saves. Points are continuous pixels, as labelme's canvas has them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from poseg.errors import AnnotationError
from poseg.geometry.masks import Masks
from poseg.interop.image_people import ImagePeople, file_stems
from poseg.interop.rings import Ring, mask_rings, rings_mask
from poseg.io.files import make_folder, read_json, write_json
from poseg.people import People
from poseg.skeletons import COCO17, Skeleton

PERSON = "person"
Shape = dict[str, Any]


def to_labelme(folder: str | Path, images: Iterable[ImagePeople]) -> None:
    """Write FOLDER/NAME.json of each image; labelme opens it beside the image. Raises AnnotationError, OutputError."""
    listed, out = list(images), Path(folder)
    make_folder(out)
    for stem, image in zip(file_stems([image.name for image in listed]), listed, strict=True):
        height, width = image.known_size
        shapes = [shape for row in range(len(image.people)) for shape in _shapes(image.people, row)]
        write_json(
            out / f"{stem}.json",
            {"version": "5.0.0", "flags": {}, "shapes": shapes, "imagePath": image.name, "imageData": None,
             "imageHeight": height, "imageWidth": width},
        )  # fmt: skip


def from_labelme(folder: str | Path, skeleton: Skeleton = COCO17) -> list[ImagePeople]:
    """The images of the JSON files in a folder, sorted by name; `ids` are the groups.

    A polygon or rectangle without a group is a person of their own. A point that is no joint of the skeleton, a shape
    of another kind, or a point without a group raises AnnotationError.
    """
    paths = sorted(Path(folder).glob("*.json"))
    if not paths:
        raise AnnotationError(f"{folder} holds no .json files; give a folder that labelme saved to.")
    return [_read(path, skeleton) for path in paths]


def _shapes(people: People, row: int) -> list[Shape]:
    group = row if people.ids is None else int(people.ids[row])
    rings = [] if people.masks is None else mask_rings(people.masks, row)
    kind = "polygon" if rings else "rectangle"
    polygons = rings or [people.boxes_xyxy[row].reshape(2, 2)]
    score = round(float(people.scores[row]), 6)
    shapes = [_shape(PERSON, corners, kind, group, score) for corners in polygons]
    for joint, name in enumerate(people.skeleton.joints):
        confidence = float(people.keypoint_scores[row, joint])
        if confidence > 0:
            point = people.keypoints[row, joint][None]
            shapes.append(_shape(name, point, "point", group, max(round(confidence, 4), 1e-4)))
    return shapes


def _shape(label: str, points: Ring, kind: str, group: int, score: float) -> Shape:
    rounded = np.round(points.astype(np.float64), 2).tolist()
    return {"label": label, "points": rounded, "group_id": group, "shape_type": kind, "flags": {}, "score": score}


def _read(path: Path, skeleton: Skeleton) -> ImagePeople:
    raw = read_json(path)
    try:
        size = int(raw["imageHeight"]), int(raw["imageWidth"])
        name = str(raw["imagePath"]).replace("\\", "/").rpartition("/")[2]
        shapes = [_checked(shape) for shape in raw["shapes"]]
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise AnnotationError(f"{path} is no file of labelme ({fault!r}); save it with labelme again.") from None
    groups: dict[Any, list[Shape]] = {}
    for number, shape in enumerate(shapes):
        single = ("alone", number)
        groups.setdefault(single if shape["group_id"] is None else shape["group_id"], []).append(shape)
    taken = [group for group in groups if isinstance(group, int)]
    free = max(taken, default=-1) + 1
    ids = [group if isinstance(group, int) else free + number for number, group in enumerate(groups)]
    people = _people(list(groups.values()), size, skeleton, path)
    return ImagePeople(name, replace(people, ids=np.array(ids, np.int64)) if ids else people, size)


def _checked(shape: Any) -> Shape:
    """What is used of a shape. Raises KeyError, TypeError or ValueError."""
    points = np.array(shape["points"], np.float32).reshape(-1, 2)
    if not np.isfinite(points).all() or not len(points):
        raise ValueError("points that are not finite")
    group = shape.get("group_id")
    return {
        "label": str(shape["label"]), "points": points, "kind": str(shape.get("shape_type", "polygon")),
        "group_id": None if group is None else int(group), "score": float(shape.get("score", 1.0)),
    }  # fmt: skip


def _people(groups: list[list[Shape]], size: tuple[int, int], skeleton: Skeleton, path: Path) -> People:
    n, k = len(groups), len(skeleton)
    points, joint_scores = np.zeros((n, k, 2), np.float32), np.zeros((n, k), np.float32)
    scores, boxes = np.ones(n, np.float32), np.zeros((n, 4), np.float32)
    rings: list[list[Ring]] = [[] for _ in groups]
    for row, shapes in enumerate(groups):
        for shape in shapes:
            kind, label = shape["kind"], shape["label"]
            if kind == "point":
                if label not in skeleton.joints or shape["group_id"] is None:
                    raise AnnotationError(
                        f"{path}: point {label!r} is no joint of {skeleton.name} in a group; mend it."
                    )
                joint = skeleton.index(label)
                points[row, joint], joint_scores[row, joint] = shape["points"][0], shape["score"]
            elif kind == "polygon":
                rings[row].append(shape["points"])
                scores[row] = shape["score"]
            elif kind == "rectangle":
                boxes[row] = [*shape["points"].min(axis=0), *shape["points"].max(axis=0)]
                scores[row] = shape["score"]
            else:
                raise AnnotationError(f"{path}: a {kind} cannot be a person; use points, polygons and rectangles.")
    people = People.from_poses(skeleton, points, np.clip(joint_scores, 0, 1), scores=scores)
    boxed = (boxes[:, 2:] > boxes[:, :2]).all(axis=1, keepdims=True)
    people = replace(people, boxes_xyxy=np.where(boxed, boxes, people.boxes_xyxy))
    if not any(rings):
        return people
    return people.with_masks(Masks.from_bitmaps([(rings_mask(parts, size), 0, 0) for parts in rings], size))
