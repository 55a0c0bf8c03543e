"""Pictures with a COCO-format file that people or networks wrote: real labels and pseudo-labels alike.

Beyond what `io.coco_json` reads, labels made by networks need three things (spec data, pseudo_labels): a joint counts
only where its visibility is high enough, a person scored low is a region about which nothing is known, and a picture
that was stored squashed is stretched to the size that the file states.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from poseg.geometry.masks import Masks
from poseg.io.coco_json import read_coco
from poseg.io.images import read_image
from poseg.people import Sample
from poseg.skeletons import COCO17


class LabelledFolder:
    """COCO-17 people of a folder of pictures; pictures without annotation or without a file are left out.

    annotations       COCO-format JSON, gzipped or not
    pictures          folder that `file_name` is relative to
    complete          whether every person of a picture is labelled
    least_visibility  joints below it are not annotated
    least_score       people scored lower by the labelling networks become regions to ignore
    beginning         only the pictures whose file name begins with one of these
    """

    def __init__(
        self,
        name: str,
        annotations: Path,
        pictures: Path,
        *,
        complete: bool,
        least_visibility: int = 1,
        least_score: float = 0.0,
        beginning: tuple[str, ...] = ("",),
    ) -> None:
        self.skeleton = COCO17
        self.name, self.complete = name, complete
        self.known = np.ones(len(COCO17), bool)
        self._data, self._pictures = read_coco(annotations), pictures
        self._least_visibility, self._least_score = least_visibility, least_score
        self._images = [
            image
            for image in self._data.images.values()
            if image.id in self._data.rows
            and image.file_name.startswith(beginning)
            and (pictures / image.file_name).exists()
        ]

    def __len__(self) -> int:
        return len(self._images)

    def key(self, index: int) -> str:
        """File name with the set's name before it."""
        return f"{self.name}/{self._images[index].file_name}"

    def __getitem__(self, index: int) -> Sample:
        entry = self._images[index]
        image = read_image(self._pictures / entry.file_name)
        if entry.size is not None and image.shape[:2] != entry.size:
            stretched = cv2.resize(image, entry.size[::-1], interpolation=cv2.INTER_CUBIC)
            image = np.asarray(stretched, np.uint8)
        size = (image.shape[0], image.shape[1])
        people = self._data.people(entry.id, size)
        seen = self._data.visibility(entry.id) >= self._least_visibility
        people = replace(
            people,
            keypoint_scores=np.where(seen, people.keypoint_scores, 0),
            masks=Masks.empty(len(people), size) if people.masks is None else people.masks,
        )
        doubtful = people.scores < self._least_score
        ignore = self._data.ignore(entry.id, size)
        ignore = np.zeros(size, bool) if ignore is None else ignore
        for left, top, right, bottom in np.round(people.boxes_xyxy[doubtful]).astype(int).clip(0):
            ignore[top:bottom, left:right] = True
        unsure = self._data.uncertain_keypoints(entry.id, min_visibility=self._least_visibility)
        return Sample(image, people[~doubtful], ignore, entry.file_name, unsure)
