"""The people of many images from one file, annotated or predicted, and matching them with the user's images.

The file is COCO ground truth (an object) or COCO results (a list); the JSON itself tells which. Predicted masks are
read too; those of ground truth are not, since masks are what is to be predicted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePath

import numpy as np

from poseg.errors import AnnotationError
from poseg.io.coco_json import CocoDataset, parse_coco
from poseg.io.coco_results import PERSON, ImageId, group_by_image, masks_from_records, people_from_records
from poseg.io.coco_values import Record, canonical_results
from poseg.io.files import read_json
from poseg.io.image_names import NameIndex, last_number, name_parts
from poseg.people import People
from poseg.skeletons import COCO17, SKELETONS, Skeleton


@dataclass(frozen=True, eq=False)
class PeopleFile:
    """People by image.

    source           the file, for messages
    is_ground_truth  whether the people are annotated (ground truth) rather than predicted (results)
    skeleton         of all people
    by_image         by image id, without masks
    names            file names by image id, with "/" between folders; results may lack some or all of them
    segmentations    of the records of results, by image id: all decoded masks at once would not fit in memory
    """

    source: str
    is_ground_truth: bool
    skeleton: Skeleton
    by_image: Mapping[ImageId, People]
    names: Mapping[ImageId, str]
    segmentations: Mapping[ImageId, Sequence[Record]] = field(default_factory=dict)

    def people(self, image_id: ImageId | None) -> People:
        """The people of one image; empty where the file does not list it."""
        if image_id is None or image_id not in self.by_image:
            return People.empty(self.skeleton)
        people = self.by_image[image_id]
        if image_id not in self.segmentations:
            return people
        masks = masks_from_records(self.segmentations[image_id], f"{self.source}: image {image_id}")
        return replace(people, masks=masks)

    @cached_property
    def index(self) -> NameIndex[ImageId]:
        """Of the names; an image without one goes by its id."""
        return NameIndex({image_id: str(image_id) for image_id in self.by_image} | dict(self.names))


def read_people(path: str | Path) -> PeopleFile:
    """Read COCO ground truth or COCO results, plain or .gz; crowds are left out.

    Results on one built-in skeleton keep it; those on several are remapped to COCO's. Where a record has no
    `keypoint_scores` and the third number of its joints is a fraction instead of a flag, as many pose estimators
    write it, that is the joint's score. Raises AnnotationError.
    """
    source, raw = str(path), read_json(path)
    if isinstance(raw, list) and all(isinstance(record, Mapping) for record in raw):
        return _from_results(canonical_results(raw), source)
    if isinstance(raw, Mapping) and "annotations" in raw:
        data = parse_coco(raw, source)
        by_image: dict[ImageId, People] = dict(annotated_people(data).items())
        names: dict[ImageId, str] = {
            number: "/".join(name_parts(image.file_name)) for number, image in data.images.items() if image.file_name
        }
        return PeopleFile(source, True, data.skeleton, by_image, names)
    raise AnnotationError(
        f"{source} is neither COCO ground truth (an object with images, annotations and categories) "
        "nor COCO results (a list of records); give one of them."
    )


def annotated_people(data: CocoDataset) -> dict[int, People]:
    """The annotated people of each image by image id, without crowds and masks.

    Masks are rasterised only where a missing box is computed from them. Raises AnnotationError.
    """
    boxed = np.asarray(np.isfinite(data.table.boxes_xyxy).all(axis=1))
    needed = tuple(None if has_box else runs for has_box, runs in zip(boxed, data.table.segmentations, strict=True))
    light = replace(data, table=replace(data.table, segmentations=needed))
    empty = People.empty(data.skeleton)
    return {
        number: replace(light.people(number), masks=None) if len(light.annotation_ids(number)) else empty
        for number in data.images
    }


def find_image_id(people: PeopleFile, image: PurePath, number: int | None = None) -> ImageId | None:
    """The id of an image in the file; None where the file does not list it.

    The name in the file that fits the path best (`io.image_names`), or the id of an image without a name. Then
    `number`, the number of the image where names are missing: it is taken for the image id where the file has no name
    for that or both names end in it. Raises AnnotationError where two images of the file fit equally.
    """
    return _ranked_image_id(people, image, number)[1]


def _ranked_image_id(people: PeopleFile, image: PurePath, number: int | None) -> tuple[int, ImageId | None]:
    """The same, with how well it fits: 0 is best."""
    path = image.as_posix()
    rank, closest = people.index.find(path)
    if len(closest) > 1:
        listed = " and ".join(f"{people.names.get(image_id, image_id)} (image {image_id})" for image_id in closest[:2])
        raise AnnotationError(
            f"{image} may be {listed} of {people.source}; name the image with its folder, as the file does."
        )
    if closest:
        return rank, closest[0]
    if number is None or number not in people.by_image:
        return rank, None
    name = people.names.get(number)
    numbered = not path or name is None or last_number(path) == last_number(name) == number
    return rank, number if numbered else None


def people_for_image(people: PeopleFile, image: str | PurePath | int) -> People:
    """The people of an image by its path or its image id; empty where the file does not list it.

    A path that is not among the names, such as 000000000139.jpg, also stands for the number it ends in.
    Raises AnnotationError where two images of the file fit.
    """
    if isinstance(image, int):
        return people.people(image)
    path = PurePath(image)
    return people.people(find_image_id(people, path, last_number(path.name)))


def match_images(people: PeopleFile, images: Sequence[PurePath], numbers: Sequence[int]) -> list[ImageId | None]:
    """The image id of each image, as in `find_image_id`; None where the file does not list it.

    numbers   one per image, such as `io.sources.image_ids` or a data set gives them

    Of images that fit one of the file only the best one matches it. Raises AnnotationError where a name is ambiguous,
    where two images match the same one of the file equally, and where the file lists none of them, unless it is an
    empty list of results.
    """
    ranked = [_ranked_image_id(people, image, number) for image, number in zip(images, numbers, strict=True)]
    best: dict[ImageId | None, int] = {}
    for rank, image_id in ranked:
        best[image_id] = min(rank, best.get(image_id, rank))
    ids = [image_id if rank == best[image_id] else None for rank, image_id in ranked]
    taken: dict[ImageId, PurePath] = {}
    for image, image_id in zip(images, ids, strict=True):
        if image_id is not None and taken.setdefault(image_id, image) is not image:
            raise AnnotationError(
                f"{taken[image_id]} and {image} both match image {image_id} of {people.source}; "
                "give one of them at a time, or a file that names them with their folders."
            )
    if images and not taken and (people.is_ground_truth or people.by_image):
        listed = next(iter(people.names.values()), None) or next((f"image {i}" for i in people.by_image), "no image")
        raise AnnotationError(
            f"{people.source} lists none of these images: it lists {listed}, they are such as {images[0]}; "
            "give the file that belongs to them, or name them as it does."
        )
    return ids


def _from_results(raw: Sequence[Record], source: str) -> PeopleFile:
    skeletons = {str(record.get("skeleton", COCO17.name)) for record in raw}
    skeleton = SKELETONS.get(skeletons.pop(), COCO17) if len(skeletons) == 1 else COCO17
    by_image = group_by_image(raw, _person_category(raw, source), source)
    names: dict[ImageId, str] = {}
    for image_id, records in by_image.items():
        for name in (record.get("file_name") or image_id for record in records):
            if isinstance(name, str) and name_parts(name):
                names.setdefault(image_id, "/".join(name_parts(name)))
    people = {
        image_id: replace(
            people_from_records(list(map(_without_masks, records)), skeleton, f"{source}: image {image_id}"), masks=None
        )
        for image_id, records in by_image.items()
    }
    segmentations = {
        image_id: [{"segmentation": record.get("segmentation")} for record in records]
        for image_id, records in by_image.items()
    }
    return PeopleFile(source, False, skeleton, people, names, segmentations)


def _person_category(raw: Sequence[Record], source: str) -> int:
    """COCO's category of people, or the only one there is, since a data set may number it otherwise."""
    numbers = {n if isinstance(n := record.get("category_id", PERSON), int) else repr(n) for record in raw}
    if not numbers or PERSON in numbers:
        return PERSON
    only = next(iter(numbers))
    if len(numbers) > 1 or not isinstance(only, int):
        raise AnnotationError(
            f"{source} has records of the categories {', '.join(sorted(map(str, numbers)))}, and none of {PERSON}, "
            "which is COCO's for people; keep the records of people only."
        )
    return only


def _without_masks(record: Record) -> Record:
    """A record without a mask that is not needed for its box, and with fractional flags as joint scores."""
    light = dict(record)
    if light.get("bbox"):
        light.pop("segmentation", None)
    triplets = light.get("keypoints")
    if isinstance(triplets, list) and not light.get("keypoint_scores"):
        flags = triplets[2::3]
        if any(isinstance(flag, float) and not flag.is_integer() for flag in flags):
            light["keypoint_scores"] = [
                min(max(flag, 0), 1) if isinstance(flag, (int, float)) else flag for flag in flags
            ]
    return light
