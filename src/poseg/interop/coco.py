"""COCO data sets: one file with images, annotations and a category, which labelling tools and trainers import."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from poseg.errors import SkeletonError
from poseg.interop.image_people import ImagePeople
from poseg.io.coco_json import CocoDataset, parse_coco
from poseg.io.coco_results import coco_results
from poseg.io.coco_skeleton import coco_category
from poseg.io.coco_values import is_integer
from poseg.io.files import read_json, write_json
from poseg.people import CONFIDENT_JOINT, People
from poseg.skeletons import COCO17, Skeleton


def to_coco(path: str | Path, images: Iterable[ImagePeople]) -> None:
    """Write a COCO data set, whole or not at all.

    Its records also hold `score`, `keypoint_scores` and, where people have ids, `track_id`. v is 2 for joints of a
    score of at least `CONFIDENT_JOINT`, 1 for others that were detected. Raises SkeletonError for people on several
    skeletons, AnnotationError for an image of unknown size.
    """
    listed: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    skeleton: Skeleton | None = None
    for image_id, image in enumerate(images, 1):
        people = image.people
        if skeleton not in (None, people.skeleton):
            raise SkeletonError("A COCO file has people on one skeleton; convert them with people.remap_to() first.")
        skeleton = people.skeleton
        height, width = image.known_size
        listed.append({"id": image_id, "file_name": image.name, "height": height, "width": width})
        annotations += _annotations(people, image_id, len(annotations) + 1)
    categories = [coco_category(skeleton or COCO17)]
    write_json(path, {"images": listed, "annotations": annotations, "categories": categories})


def from_coco(path: str | Path) -> list[ImagePeople]:
    """The images of a COCO data set with their people, masks and ids included; crowds are left out.

    Raises AnnotationError, also where there are masks and an image has no height and width.
    """
    raw = read_json(path)
    data = parse_coco(raw, str(path))
    tracks = {record["id"]: record.get("track_id") for record in raw["annotations"]}
    return [
        ImagePeople(image.file_name, _with_ids(data, image_id, tracks), image.size)
        for image_id, image in data.images.items()
    ]


def _annotations(people: People, image_id: int, first_id: int) -> list[dict[str, Any]]:
    records = coco_results(people, image_id, first_id=first_id)
    for row, record in enumerate(records):
        record.pop("skeleton", None)
        scores = people.keypoint_scores[row]
        flags = np.where(scores >= CONFIDENT_JOINT, 2, np.where(scores > 0, 1, 0)).tolist()
        triplets = record["keypoints"]
        triplets[2::3] = flags
        for joint, flag in enumerate(flags):
            if not flag:
                triplets[3 * joint : 3 * joint + 2] = [0, 0]
        record |= {"iscrowd": 0, "num_keypoints": sum(flag > 0 for flag in flags)}
        if people.ids is not None:
            record["track_id"] = int(people.ids[row])
    return records


def _with_ids(data: CocoDataset, image_id: int, tracks: dict[Any, Any]) -> People:
    people = data.people(image_id)
    ids = [tracks.get(number) for number in data.annotation_ids(image_id).tolist()]
    if not ids or not all(map(is_integer, ids)):
        return people
    return replace(people, ids=np.array(ids, np.int64))
