"""The pictures of a COCO data set that can be evaluated: those that lie on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from poseg.errors import AnnotationError
from poseg.io.coco_columns import person_category, records_of
from poseg.io.coco_json import CocoDataset, parse_coco
from poseg.io.files import read_json
from poseg.metrics.iou import Mask


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Ground truth and its pictures.

    dataset      the annotation file, checked
    plain        the same file as it was read, for the official evaluator
    category_id  that of the person category
    paths        picture file by image id, in the order of the annotation file
    skipped      pictures without people that do not lie on disk
    """

    dataset: CocoDataset
    plain: Mapping[str, Any]
    category_id: int
    paths: Mapping[int, Path]
    skipped: int

    def truth(self, sizes: Mapping[int, tuple[int, int]]) -> dict[str, Any]:
        """The COCO dictionary of the pictures in `sizes`, (height, width) by image id, with just these sizes."""
        images = {
            image["id"]: {**image, "height": sizes[image["id"]][0], "width": sizes[image["id"]][1]}
            for image in self.plain["images"]
            if image["id"] in sizes
        }
        return {**self.plain, "images": list(images.values())}

    def persons(self, image_id: int) -> int:
        """How many people are annotated in a picture, crowds left out."""
        return len(self.dataset.annotation_ids(image_id))

    def true_pixels(self, image_id: int, size: tuple[int, int]) -> tuple[Mask, Mask]:
        """(H, W) pixels of people, and (H, W) pixels about which nothing is known.

        These are crowds, and the boxes of people whose outline nobody drew. Raises AnnotationError where `size`
        (height, width) is not that of the annotation file.
        """
        people = self.dataset.people(image_id, size)
        pixels = np.zeros(size, np.bool_) if people.masks is None else people.masks.union()
        crowd = self.dataset.ignore(image_id, size)
        drawn = np.zeros(len(people), np.bool_) if people.masks is None else people.masks.nonempty
        boxed = np.zeros(size, np.bool_)
        for left, top, right, bottom in np.clip(people.boxes_xyxy[~drawn], 0, None):
            boxed[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))] = True
        unknown = boxed & ~pixels
        return pixels, unknown if crowd is None else unknown | crowd


def posed_only(plain: Mapping[str, Any], dataset: CocoDataset) -> dict[str, Any]:
    """An annotation file in which people without any annotated joint are crowds: regions to ignore.

    COCOPersons, the subset that Pose2Seg was measured on, so counts only those with joints. `dataset` is the same file.
    Raises AnnotationError where nobody has joints.
    """
    columns = dataset.columns
    bare = np.asarray(~(columns.triplets[..., 2] > 0).any(axis=1))
    if len(bare) and (bare | columns.unsure).all():
        raise AnnotationError(
            f"None of the people in {dataset.path} has an annotated joint, so counting only those that do leaves "
            "nobody; count everybody."
        )
    ignored = set(columns.ids[bare].tolist())
    annotations = [
        {**record, "iscrowd": 1} if record.get("id") in ignored else record for record in plain["annotations"]
    ]
    return {**plain, "annotations": annotations}


def find_pictures(
    data: str | Path, images: str | Path, limit: int | None = None, *, posed: bool = False
) -> Pictures:  # fmt: skip
    """Read an annotation file and find its pictures in the folder `images`; the first `limit` of them.

    posed   count only people with annotated joints (`posed_only`)

    A picture without people may be missing (it is skipped and counted). Raises AnnotationError where one with
    people is missing, or where no picture is left.
    """
    plain = read_json(data)
    dataset = parse_coco(plain, str(data))
    if posed:
        plain = posed_only(plain, dataset)
        dataset = parse_coco(plain, str(data))
    folder = Path(images)
    found = {number: folder / image.file_name for number, image in dataset.images.items()}
    missing = [number for number, path in found.items() if not path.is_file()]
    peopled = [number for number in missing if number in dataset.rows]
    if peopled:
        first = dataset.images[peopled[0]].file_name
        raise AnnotationError(
            f"{len(peopled)} of the {len(dataset.rows)} pictures with people that {data} lists do not lie in {folder}, "
            f"the first is {first}; give the folder that holds them."
        )
    there = {number: path for number, path in found.items() if path.is_file()}
    if not there:
        raise AnnotationError(
            f"None of the {len(found)} pictures that {data} lists lies in {folder}; give the folder that holds them."
        )
    if limit is not None and limit < 1:
        raise AnnotationError(f"A limit of {limit} pictures leaves nothing to evaluate; give 1 or more.")
    category = person_category(records_of(plain, "categories", str(data)), str(data))
    chosen = dict(list(there.items())[:limit])
    return Pictures(dataset, plain, int(category["id"]), chosen, len(missing))
