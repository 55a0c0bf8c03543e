"""People that a model is given instead of finding them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from poseg.io.coco_json import read_coco
from poseg.io.coco_results import ImageId
from poseg.io.given_people import GivenPeople, annotated_people, match_pictures
from poseg.people import People


def true_people(annotations: str | Path) -> dict[int, People]:
    """The annotated people of each picture, crowds left out and without their masks, by image id.

    People without any annotated joint are among them: of these the box is known. Raises AnnotationError.
    """
    return annotated_people(read_coco(annotations))


@dataclass(frozen=True, slots=True, eq=False)
class PeopleOfPictures(Mapping[int, People]):
    """The people of a file by the image ids of a data set; masks are drawn when a picture is asked for.

    ids    the file's own, by those of the data set; pictures that it says nothing of are absent
    posed  leave out annotated people without any joint
    """

    given: GivenPeople
    ids: Mapping[int, ImageId]
    posed: bool = False

    def __getitem__(self, number: int) -> People:
        people = self.given.people(self.ids[number])
        if self.posed and self.given.true:
            people = people[np.asarray((people.keypoint_scores > 0).any(axis=1))]
        return people

    def __iter__(self) -> Iterator[int]:
        return iter(self.ids)

    def __len__(self) -> int:
        return len(self.ids)


def people_for(given: GivenPeople, data: str | Path, *, posed: bool = False) -> PeopleOfPictures:
    """The people of a file by the image ids of a COCO data set; pictures it says nothing of are absent.

    posed  leave out annotated people without any joint, as `evaluate` then does

    Pictures are found by their names, then by their ids. Raises AnnotationError where none is found.
    """
    images = read_coco(data).images
    paths = [PurePath(image.file_name) for image in images.values()]
    ids = match_pictures(given, paths, list(images))
    there = {number: theirs for number, theirs in zip(images, ids, strict=True) if theirs is not None}
    return PeopleOfPictures(given, there, posed)
