"""Ground truth of a COCO data set with the images that lie on disk, and people that a model is provided with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.errors import AnnotationError, ImageError
from poseg.io.coco_json import CocoDataset, parse_coco, read_coco
from poseg.io.coco_results import ImageId
from poseg.io.coco_table import person_category
from poseg.io.coco_values import canonical_coco
from poseg.io.files import read_json
from poseg.io.image_names import match_files
from poseg.io.images import read_image
from poseg.io.people_file import PeopleFile, annotated_people, match_images
from poseg.people import People

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class GroundTruth:
    """Annotations and their images.

    dataset      the annotation file, checked
    raw          the same file with its values read, for the official evaluator
    category     that of people
    paths        image file by image id, in the order of the annotation file
    num_missing  images without people that do not lie on disk
    left_out     images that lie there but cannot be used, with the reason
    """

    dataset: CocoDataset
    raw: Mapping[str, Any]
    category: Mapping[str, Any]
    paths: Mapping[int, Path]
    num_missing: int
    left_out: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """That of the annotation file, such as which of several protocols it is for; "" where it has none."""
        info = self.raw.get("info")
        return str(info.get("description", "")) if isinstance(info, Mapping) else ""

    def to_coco(self, sizes: Mapping[int, tuple[int, int]]) -> dict[str, Any]:
        """The COCO dictionary of the images in `sizes`, (height, width) by image id, with these sizes."""
        images = {
            image["id"]: {**image, "height": sizes[image["id"]][0], "width": sizes[image["id"]][1]}
            for image in self.raw["images"]
            if image["id"] in sizes
        }
        people = [record for record in self.raw["annotations"] if record["category_id"] == self.category["id"]]
        return {"images": list(images.values()), "annotations": people, "categories": [self.category]}

    def num_people(self, image_id: int) -> int:
        """How many people are annotated in an image, crowds left out."""
        return len(self.dataset.annotation_ids(image_id))

    def person_mask(self, image_id: int, size: tuple[int, int]) -> tuple[Mask, Mask]:
        """(H, W) pixels of people, and (H, W) pixels to ignore.

        The latter are crowds, and the boxes of people without a mask. Raises AnnotationError where `size` (height,
        width) is not that of the annotation file.
        """
        people = self.dataset.people(image_id, size)
        pixels = np.zeros(size, np.bool_) if people.masks is None else people.masks.union()
        crowd = self.dataset.ignore(image_id, size)
        has_mask = np.zeros(len(people), np.bool_) if people.masks is None else people.masks.nonempty
        boxed = np.zeros(size, np.bool_)
        for left, top, right, bottom in np.clip(people.boxes_xyxy[~has_mask], 0, None):
            boxed[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))] = True
        ignore = boxed & ~pixels
        return pixels, ignore if crowd is None else ignore | crowd


def load_ground_truth(
    data: str | Path, images: str | Path, limit: int | None = None, *, keypoints_only: bool = False
) -> GroundTruth:
    """Read an annotation file and find its images in the folder `images`; the first `limit` of them.

    keypoints_only  count only people with annotated joints (`with_keypoints_only`)

    An image without people may be missing: it is left out and counted. Raises AnnotationError where one with people
    is missing, or where no image is left.
    """
    raw = canonical_coco(read_json(data))
    dataset = parse_coco(raw, str(data))
    if keypoints_only:
        raw = with_keypoints_only(raw, dataset)
        dataset = parse_coco(raw, str(data))
    folder = Path(images)
    listed = {image_id: image.file_name for image_id, image in dataset.images.items()}
    files = match_files(folder, listed.values())
    paths = {image_id: files.paths[name] for image_id, name in listed.items() if name in files.paths}
    absent = [image_id for image_id, name in listed.items() if name not in files.paths and name not in files.faults]
    missing = [image_id for image_id in absent if image_id in dataset.rows]
    if missing:
        raise AnnotationError(
            f"{len(missing)} of the {len(dataset.rows)} images with people that {data} lists do not lie in {folder}, "
            f"the first is {listed[missing[0]] or f'image {missing[0]}, which has no file_name'}; give the folder that "
            "holds them, or names that fit one of its files each."
        )
    left_out = tuple(f"{name}: {fault}" for name, fault in files.faults.items())
    if not paths:
        example = f" ({left_out[0]})" if left_out else ""
        raise AnnotationError(
            f"None of the {len(listed)} images that {data} lists lies in {folder}{example}; "
            "give the folder that holds them."
        )
    if limit is not None and limit < 1:
        raise AnnotationError(f"A limit of {limit} images leaves nothing to evaluate; give 1 or more.")
    category = person_category(raw["categories"], raw["annotations"], str(data))
    first_paths = dict(list(paths.items())[:limit])
    return GroundTruth(dataset, raw, category, first_paths, len(absent), left_out)


def read_images(truth: GroundTruth, left_out: list[str]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Image ids and images; one that cannot be read is added to `left_out`, with the reason.

    Raises ImageError where none can be read.
    """
    failed = 0
    for image_id, path in truth.paths.items():
        try:
            image = read_image(path)
        except ImageError as fault:
            left_out.append(str(fault))
            failed += 1
            if failed == len(truth.paths):
                raise
            continue
        yield image_id, image


def with_keypoints_only(raw: Mapping[str, Any], dataset: CocoDataset) -> dict[str, Any]:
    """An annotation file in which people without any annotated joint are crowds: regions to ignore.

    COCOPersons, the subset on which Pose2Seg was evaluated, counts only people with joints. `dataset` is the same
    file. Raises AnnotationError where no person has joints.
    """
    columns = dataset.table
    without = np.asarray(~(columns.triplets[..., 2] > 0).any(axis=1))
    if len(without) and (without | columns.crowd_or_ignore).all():
        raise AnnotationError(
            f"None of the people in {dataset.path} has an annotated joint, so no person is left to evaluate; "
            "count all people."
        )
    ignored = set(columns.ids[without].tolist())
    annotations = [{**record, "iscrowd": 1} if record.get("id") in ignored else record for record in raw["annotations"]]
    return {**raw, "annotations": annotations}


def ground_truth_people(annotations: str | Path) -> dict[int, People]:
    """The annotated people of each image, by image id, without crowds and without masks.

    People without any annotated joint are among them, with their box. Raises AnnotationError.
    """
    return annotated_people(read_coco(annotations))


@dataclass(frozen=True, slots=True, eq=False)
class PeopleByImage(Mapping[int, People]):
    """The people of a file by the image ids of a data set; masks are decoded on access.

    ids             the file's image ids by those of the data set; images that it does not list are absent
    keypoints_only  leave out annotated people without any joint
    """

    file: PeopleFile
    ids: Mapping[int, ImageId]
    keypoints_only: bool = False

    def __getitem__(self, image_id: int) -> People:
        people = self.file.people(self.ids[image_id])
        if self.keypoints_only and self.file.is_ground_truth:
            people = people[np.asarray((people.keypoint_scores > 0).any(axis=1))]
        return people

    def __iter__(self) -> Iterator[int]:
        return iter(self.ids)

    def __len__(self) -> int:
        return len(self.ids)


def match_people(file: PeopleFile, data: str | Path, *, keypoints_only: bool = False) -> PeopleByImage:
    """The people of a file by the image ids of a COCO data set; images that the file does not list are absent.

    keypoints_only  leave out annotated people without any joint, as `evaluate` then does

    Images are matched by their names, then by their ids. Raises AnnotationError where none matches.
    """
    images = read_coco(data).images
    paths = [PurePath(image.file_name) for image in images.values()]
    ids = match_images(file, paths, list(images))
    matched = {image_id: theirs for image_id, theirs in zip(images, ids, strict=True) if theirs is not None}
    return PeopleByImage(file, matched, keypoints_only)
