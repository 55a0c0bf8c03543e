"""People of many pictures from one file, whoever drew or found them, and which of the user's pictures are meant.

The file is COCO ground truth (an object) or COCO results (a list), told apart by what they are. Masks that somebody
found come along; true ones stay in the file, for they are what is asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

import numpy as np

from poseg.errors import AnnotationError
from poseg.geometry.masks import Masks
from poseg.io.coco_json import CocoDataset, parse_coco
from poseg.io.coco_results import PERSON, ImageId, masks_of_records, people_of_records
from poseg.io.files import read_json
from poseg.people import People
from poseg.skeletons import COCO17, SKELETONS, Skeleton

Record = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class GivenPeople:
    """People by picture.

    source    where they were read, for messages
    true      whether they are annotated (ground truth) rather than found (results)
    skeleton  names their joints
    by_image  without masks, by image id
    outlines  what holds masks in the records of results, by image id: all of them at once would not fit in memory
    names     file names by image id, with "/" between folders; results may lack some or all of them
    """

    source: str
    true: bool
    skeleton: Skeleton
    by_image: Mapping[ImageId, People]
    names: Mapping[ImageId, str]
    outlines: Mapping[ImageId, Sequence[Record]] = field(default_factory=dict)

    def people(self, image_id: ImageId | None) -> People:
        """Those of one picture; nobody where the file says nothing of it."""
        found = None if image_id is None else self.by_image.get(image_id)
        if found is None or image_id is None or image_id not in self.outlines:
            return People.empty(self.skeleton) if found is None else found
        masks = masks_of_records(self.outlines[image_id], f"{self.source}: image {image_id}")
        return replace(found, masks=None if masks is None else Masks.from_full(masks))

    @cached_property
    def _by_base_name(self) -> dict[str, list[tuple[tuple[str, ...], ImageId]]]:
        """Parts of the names, and ids, by the last part."""
        index: dict[str, list[tuple[tuple[str, ...], ImageId]]] = {}
        for image_id, name in self.names.items():
            parts = PurePosixPath(name).parts
            index.setdefault(parts[-1], []).append((parts, image_id))
        return index


def read_people(path: str | Path) -> GivenPeople:
    """Read COCO ground truth or COCO results, plain or .gz; crowds are left out.

    Results on one known skeleton keep it; those on several come back on COCO's. Where a record has no
    `keypoint_scores` and the third number of its joints is no flag but a fraction, as many pose estimators write it,
    that is the joint's score. Raises AnnotationError.
    """
    source, plain = str(path), read_json(path)
    if isinstance(plain, list) and all(isinstance(record, Mapping) for record in plain):
        return _found(plain, source)
    if isinstance(plain, Mapping) and "annotations" in plain:
        data = parse_coco(plain, source)
        by_image: dict[ImageId, People] = dict(annotated_people(data).items())
        names: dict[ImageId, str] = {
            number: _spelled(image.file_name) for number, image in data.images.items() if image.file_name
        }
        return GivenPeople(source, True, data.skeleton, by_image, names)
    raise AnnotationError(
        f"{source} is neither COCO ground truth (an object with images, annotations and categories) "
        "nor COCO results (a list of records); give one of them."
    )


def annotated_people(data: CocoDataset) -> dict[int, People]:
    """The annotated people of each picture by image id, crowds left out, without masks.

    Masks are drawn only where they have to stand in for a box that is missing. Raises AnnotationError.
    """
    columns = data.columns
    boxed = np.asarray(np.isfinite(columns.boxes_xyxy).all(axis=1))
    needed = tuple(None if known else outline for known, outline in zip(boxed, columns.segmentations, strict=True))
    light = replace(data, columns=replace(columns, segmentations=needed))
    nobody = People.empty(data.skeleton)
    return {
        number: replace(light.people(number), masks=None) if len(light.annotation_ids(number)) else nobody
        for number in data.images
    }


def image_id_of(given: GivenPeople, picture: PurePath, number: int | None = None) -> ImageId | None:
    """Which picture of the file is meant; None where it says nothing of this one.

    A whole name of the file that the path ends in comes first, then the name that shares most of its end, at least
    the base name. Then `number`, what the picture is called where names are lacking: it is taken for the image id
    where the file has no name for that or both names end in it. Raises AnnotationError where two names fit alike.
    """
    parts = PurePosixPath(_spelled(picture.as_posix())).parts
    candidates = given._by_base_name.get(parts[-1], []) if parts else []
    fits = [(_fit(parts, theirs), image_id) for theirs, image_id in candidates]
    best = max((fit for fit, _ in fits), default=None)
    closest = [image_id for fit, image_id in fits if fit == best]
    if len(closest) > 1:
        listed = " and ".join(f"{given.names[image_id]} (image {image_id})" for image_id in closest[:2])
        raise AnnotationError(
            f"{picture} may be {listed} of {given.source}; name the picture with its folder, as the file does."
        )
    if closest:
        return closest[0]
    if number is None or number not in given.by_image:
        return None
    name = given.names.get(number)
    numbered = not parts or name is None or _last_number(parts[-1]) == _last_number(name) == number
    return number if numbered else None


def people_of(given: GivenPeople, picture: str | PurePath | int) -> People:
    """The people of a picture by its path or its image id; nobody where the file says nothing of it.

    A path that is not among the names, such as 000000000139.jpg, also stands for the number it ends in.
    Raises AnnotationError where two pictures of the file fit.
    """
    if isinstance(picture, int):
        return given.people(picture)
    path = PurePath(picture)
    return given.people(image_id_of(given, path, _last_number(path.name)))


def match_pictures(
    given: GivenPeople, pictures: Sequence[PurePath], numbers: Sequence[int]
) -> list[ImageId | None]:  # fmt: skip
    """The image id of each picture, as in `image_id_of`; None where the file says nothing of it.

    numbers   one a picture, such as `io.sources.image_ids` or a data set gives them

    Raises AnnotationError where a name is ambiguous, where two pictures are the same one of the file, and where the
    file says nothing of any of them, unless it is an empty list of results.
    """
    ids = [image_id_of(given, picture, number) for picture, number in zip(pictures, numbers, strict=True)]
    taken: dict[ImageId, PurePath] = {}
    for picture, image_id in zip(pictures, ids, strict=True):
        if image_id is not None and taken.setdefault(image_id, picture) is not picture:
            raise AnnotationError(
                f"{taken[image_id]} and {picture} both fit image {image_id} of {given.source}; "
                "give one of them at a time, or a file that names them with their folders."
            )
    if pictures and not taken and (given.true or given.by_image):
        theirs = next(iter(given.names.values()), None) or next((f"image {i}" for i in given.by_image), "no picture")
        raise AnnotationError(
            f"{given.source} says nothing of these pictures: it speaks of {theirs}, they are such as {pictures[0]}; "
            "give the file that belongs to them, or name them as it does."
        )
    return ids


def _fit(path: Sequence[str], name: Sequence[str]) -> tuple[bool, int]:
    """Whether a path ends in a whole name, and how many parts they share at the end."""
    pairs = zip(reversed(path), reversed(name), strict=False)
    shared = next((count for count, (ours, theirs) in enumerate(pairs) if ours != theirs), min(len(path), len(name)))
    return shared == len(name), shared


def _spelled(name: str) -> str:
    """A name as we spell it: "/" between folders, and no "./" before them."""
    return PurePosixPath(name.replace("\\", "/")).as_posix()


def _last_number(name: str) -> int | None:
    digits = re.search(r"([0-9]{1,18})$", PurePosixPath(name).stem)
    return int(digits[1]) if digits else None


def _found(plain: Sequence[Record], source: str) -> GivenPeople:
    """Results as given people."""
    named = {str(record.get("skeleton", COCO17.name)) for record in plain}
    skeleton = SKELETONS.get(named.pop(), COCO17) if len(named) == 1 else COCO17
    category = _person_category(plain, source)
    by_image: dict[ImageId, list[dict[str, Any]]] = {}
    names: dict[ImageId, str] = {}
    outlines: dict[ImageId, list[Record]] = {}
    for place, record in enumerate(plain):
        if record.get("category_id", category) != category:
            continue
        image_id = record.get("image_id")
        if not isinstance(image_id, (int, str)) or isinstance(image_id, bool):
            raise AnnotationError(f"{source}: record {place} has image_id {image_id!r}, wanted a number or a name.")
        by_image.setdefault(image_id, []).append(_lightened(record))
        outlines.setdefault(image_id, []).append({"segmentation": record.get("segmentation")})
        name = record.get("file_name") or image_id
        if isinstance(name, str) and PurePosixPath(name).parts:
            names.setdefault(image_id, _spelled(name))
    people = {
        image_id: replace(people_of_records(records, skeleton, f"{source}: image {image_id}"), masks=None)
        for image_id, records in by_image.items()
    }
    return GivenPeople(source, False, skeleton, people, names, outlines)


def _person_category(plain: Sequence[Record], source: str) -> int:
    """COCO's number for persons, or the only one there is, since a data set may number them otherwise."""
    numbers = {n if isinstance(n := record.get("category_id", PERSON), int) else repr(n) for record in plain}
    if not numbers or PERSON in numbers:
        return PERSON
    only = next(iter(numbers))
    if len(numbers) > 1 or not isinstance(only, int):
        raise AnnotationError(
            f"{source} has records of the categories {', '.join(sorted(map(str, numbers)))}, and none of {PERSON}, "
            "which is COCO's for persons; keep those of persons only."
        )
    return only


def _lightened(record: Record) -> dict[str, Any]:
    """A result without a mask that nothing needs, and with fractions for flags as joint scores."""
    light = dict(record)
    if light.get("bbox"):
        light.pop("segmentation", None)
    triplets = light.get("keypoints")
    if isinstance(triplets, list) and not light.get("keypoint_scores"):
        sure = triplets[2::3]
        if any(isinstance(score, float) and not score.is_integer() for score in sure):
            light["keypoint_scores"] = [
                min(max(score, 0), 1) if isinstance(score, (int, float)) else score for score in sure
            ]
    return light
