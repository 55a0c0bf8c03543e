"""Pictures with people in COCO's format, on any skeleton.

What is known of each person decides what is learnt (PersonLab, and spec section 2):

crowds                      pixels to ignore
a mask without joints       person pixels; no background for any joint inside the mask. COCO's small people are such
joints without a mask       joints; whether pixels of the box are person is unknown
a box and nothing else      pixels to ignore, all of the box
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from poseg.errors import AnnotationError
from poseg.geometry.masks import Masks
from poseg.io.coco_json import CocoDataset
from poseg.io.images import read_image
from poseg.people import People, Sample
from poseg.skeletons import Skeleton, remap_weights


class CocoFormat:
    """The pictures of an annotation file that are there.

    pictures    folder that `file_name` is relative to
    skeleton    of the people given out; the file's own by default. Joints that the file lacks are unknown
    complete    whether every person of a picture is labelled, so that the rest is background
    joints      False: no joint of anybody is known, whatever the file says
    with_nobody whether pictures without any annotation are given out: pure background
    """

    def __init__(
        self,
        name: str,
        data: CocoDataset,
        pictures: Path,
        *,
        skeleton: Skeleton | None = None,
        complete: bool = True,
        joints: bool = True,
        with_nobody: bool = False,
    ) -> None:
        self.name, self.complete = name, complete
        self.skeleton = data.skeleton if skeleton is None else skeleton
        self._weights = remap_weights(data.skeleton, self.skeleton)
        self.known: NDArray[np.bool_] = (self._weights.sum(axis=1) > 0) & joints
        self._data, self._pictures, self._has_joints = data, pictures, joints
        labelled = [image for image in data.images.values() if with_nobody or image.id in data.rows]
        here = files_there(pictures, (image.file_name for image in labelled))
        self._images = [image for image in labelled if image.file_name in here]
        if not self._images:
            example = f", such as {labelled[0].file_name}" if labelled else ""
            raise AnnotationError(
                f"None of the {len(labelled)} labelled pictures of {data.path}{example} is in {pictures}; "
                "give the folder that `file_name` counts from."
            )

    def __len__(self) -> int:
        return len(self._images)

    def key(self, index: int) -> str:
        """File name with the set's name before it."""
        return f"{self.name}/{self._images[index].file_name}"

    def __getitem__(self, index: int) -> Sample:
        entry = self._images[index]
        image = read_image(self._pictures / entry.file_name)
        size = (image.shape[0], image.shape[1])
        people = self._data.people(entry.id, size)
        masks = Masks.empty(len(people), size) if people.masks is None else people.masks
        sure = people.keypoint_scores if self._has_joints else np.zeros_like(people.keypoint_scores)
        people = replace(people, keypoint_scores=sure, masks=masks)
        boxed = ~(sure > 0).any(axis=1) & ~masks.nonempty
        ignore = self._data.ignore(entry.id, size)
        ignore = cover(np.zeros(size, np.bool_) if ignore is None else ignore, people.boxes_xyxy[boxed])
        return Sample(image, self._onto_skeleton(people[~boxed]), ignore, entry.file_name, self._unsure(entry.id))

    def _onto_skeleton(self, people: People) -> People:
        return people if self.skeleton == people.skeleton else people.remap_to(self.skeleton)

    def _unsure(self, image_id: int) -> NDArray[np.float32]:
        """(M, 3) joint number, x, y of places that the file gives without standing up for them."""
        if not self._has_joints:
            return np.zeros((0, 3), np.float32)
        places = self._data.uncertain_keypoints(image_id)
        target, place = np.nonzero(self._weights[:, places[:, 0].astype(np.intp)] == 1)
        return np.column_stack([target, places[place, 1:]]).astype(np.float32)


def cover(region: NDArray[np.bool_], boxes_xyxy: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The region (H, W) and all pixels that boxes (N, 4) touch."""
    covered = region.copy()
    height, width = region.shape
    corners = np.clip(boxes_xyxy, 0, np.array([width, height, width, height], np.float32))
    low, high = np.floor(corners[:, :2]).astype(int), np.ceil(corners[:, 2:]).astype(int)
    for (left, top), (right, bottom) in zip(low, high, strict=True):
        covered[top:bottom, left:right] = True
    return covered


def files_there(folder: Path, names: Iterable[str]) -> set[str]:
    """Those of the names, relative to the folder, that are files; each folder is listed once, not each file asked."""
    wanted = defaultdict(list)
    for name in names:
        wanted[PurePosixPath(name).parent].append(name)
    there: set[str] = set()
    for parent, inside in wanted.items():
        try:
            with os.scandir(folder / parent) as entries:
                files = {entry.name for entry in entries if entry.is_file()}
        except OSError:
            continue
        there.update(name for name in inside if PurePosixPath(name).name in files)
    return there
