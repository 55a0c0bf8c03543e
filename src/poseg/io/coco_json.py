"""COCO annotation files, plain or gzipped: the people of each picture, and the pixels about which nothing is known.

COCO's keypoints are pixel numbers, its boxes and polygons lie on the continuous plane already: the half pixel is
added to keypoints here, and nowhere else. Results are in `io.coco_results`, whose names are here too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poseg.errors import AnnotationError
from poseg.geometry.grid import pixel_centres
from poseg.geometry.masks import Masks
from poseg.geometry.rle import segmentation_mask
from poseg.io.coco_columns import (
    CocoImage,
    Columns,
    complete_boxes,
    parse_annotations,
    parse_images,
    parse_skeleton,
    person_category,
    records_of,
)
from poseg.io.coco_results import coco_results, read_results, write_results
from poseg.io.files import read_json
from poseg.io.sources import image_ids
from poseg.people import People
from poseg.skeletons import Skeleton

__all__ = [
    "CocoDataset",
    "CocoImage",
    "coco_results",
    "image_ids",
    "parse_coco",
    "read_coco",
    "read_results",
    "write_results",
]

Size = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class CocoDataset:
    """A COCO annotation file. Masks are drawn when asked for, so that reading a large file is quick.

    path       where it was read, for messages
    skeleton   names the K joints
    images     by id, in the order of the file, each once
    columns    all annotations of the person category
    rows       for an image id, which annotations are its persons, and which are unsure (crowds)

    `people`, `visibility`, `annotation_ids` and `areas` of one image speak of the same persons in the same order.
    An unknown image id is an AnnotationError.
    """

    path: str
    skeleton: Skeleton
    images: Mapping[int, CocoImage]
    columns: Columns
    rows: Mapping[int, tuple[NDArray[np.intp], NDArray[np.intp]]]

    def __len__(self) -> int:
        """Count the pictures."""
        return len(self.images)

    def people(self, image_id: int, size: Size | None = None) -> People:
        """The persons of a picture, crowds left out.

        size    (height, width) of the picture as it was read; must agree with the file, and is needed where the
                file does not say

        Joints with v = 0 lie at (0, 0) with score 0; the others have score 1, or the record's `keypoint_scores`.
        Persons without a segmentation have an all-false mask; where no person of the picture has one, masks is
        None. Boxes are the file's, else tight around the mask, else around the joints. Raises AnnotationError.
        """
        rows = self._rows(image_id)[0]
        triplets = self.columns.triplets[rows]
        found = triplets[..., 2] > 0
        points = np.where(found[..., None], pixel_centres(triplets[..., :2]), np.float32(0))
        masked = len(rows) == 0 or any(self.columns.segmentations[row] is not None for row in rows)
        masks = self._masks(rows, self._size(image_id, size)) if masked else None
        return People(
            skeleton=self.skeleton,
            keypoints=points,
            keypoint_scores=np.where(found, self.columns.joint_scores[rows], 0),
            scores=self.columns.scores[rows],
            boxes_xyxy=complete_boxes(self.columns.boxes_xyxy[rows], masks, points, found),
            masks=None if masks is None else Masks.from_full(masks),
        )

    def visibility(self, image_id: int) -> NDArray[np.uint8]:
        """(N, K) uint8: 0 not annotated, 1 annotated though hidden, 2 seen."""
        return self.columns.triplets[self._rows(image_id)[0], :, 2].astype(np.uint8)

    def unsure_joints(self, image_id: int, least_visibility: int = 1) -> NDArray[np.float32]:
        """(M, 3) joint number, x, y of joints that are placed but below that visibility: guesses, no labels."""
        triplets = self.columns.triplets[self._rows(image_id)[0]]
        placed = (triplets[..., :2] != 0).any(axis=-1)
        person, joint = np.nonzero(placed & (triplets[..., 2] < least_visibility))
        return np.column_stack([joint, pixel_centres(triplets[person, joint, :2])]).astype(np.float32)

    def annotation_ids(self, image_id: int) -> NDArray[np.int64]:
        """(N,) ids of the persons' annotations in the file."""
        return self.columns.ids[self._rows(image_id)[0]]

    def areas(self, image_id: int) -> NDArray[np.float32]:
        """(N,) square pixels that the file gives for each person, which OKS is scaled by; NaN where it gives none."""
        return self.columns.areas[self._rows(image_id)[0]]

    def ignore(self, image_id: int, size: Size | None = None) -> NDArray[np.bool_] | None:
        """(H, W) bool: pixels of crowds and of records marked `ignore` (their box, without a segmentation).

        None where the picture has none of these. `size` as in `people`.
        """
        rows = self._rows(image_id)[1]
        if len(rows) == 0:
            return None
        height, width = self._size(image_id, size)
        region: NDArray[np.bool_] = np.logical_or.reduce(self._masks(rows, (height, width)), axis=0)
        for row in rows:
            box = self.columns.boxes_xyxy[row]
            if self.columns.segmentations[row] is None and np.isfinite(box).all():
                left, top = np.floor(np.clip(box[:2], 0, (width, height))).astype(int)
                right, bottom = np.ceil(np.clip(box[2:], 0, (width, height))).astype(int)
                region[top:bottom, left:right] = True
        return region

    def _rows(self, image_id: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        if image_id not in self.images:
            raise AnnotationError(f"{self.path} has no image {image_id}; its ids are those of `images`.")
        return self.rows.get(image_id, _NONE)

    def _size(self, image_id: int, size: Size | None) -> Size:
        image = self.images[image_id]
        if size is None and image.size is None:
            raise AnnotationError(
                f"{self.path}: image {image_id} ({image.file_name}) has no height and width; "
                "add them, or say how large the picture is."
            )
        if size is not None and image.size not in (None, size):
            raise AnnotationError(
                f"{self.path}: image {image_id} ({image.file_name}) is {image.size} in the file, "
                f"the picture is {size} (height, width); resize the picture or correct the file."
            )
        return size or image.size  # type: ignore[return-value]

    def _masks(self, rows: NDArray[np.intp], size: Size) -> NDArray[np.bool_]:
        """(len(rows), H, W) bool."""
        masks = np.zeros((len(rows), *size), np.bool_)
        for place, row in enumerate(rows):
            try:
                masks[place] = segmentation_mask(self.columns.segmentations[row], size)
            except AnnotationError as fault:
                raise AnnotationError(f"{self.path}: annotation {self.columns.ids[row]}: {fault}") from None
        return masks


_NONE = (np.zeros(0, np.intp), np.zeros(0, np.intp))


def read_coco(path: str | Path) -> CocoDataset:
    """Read a COCO annotation file (ground truth), plain or .gz: its persons and their pictures.

    Persons are the annotations of the category named 'person', else of the only category. Joint names make the
    skeleton; without names it is COCO17. Records may also carry `score`, `keypoint_scores` and `ignore`, as
    pseudo-labels do. Raises AnnotationError that names the file, the annotation and the fault.
    """
    return parse_coco(read_json(path), str(path))


def parse_coco(plain: object, source: str) -> CocoDataset:
    """What `read_coco` reads, from a file that is in memory already; `source` is for messages."""
    images = parse_images(records_of(plain, "images", source), source)
    category = person_category(records_of(plain, "categories", source), source)
    annotations = []
    for record in records_of(plain, "annotations", source):
        if "category_id" not in record:
            raise AnnotationError(f"{source}: annotation {record.get('id')} has no category_id; add it.")
        if record["category_id"] == category["id"]:
            annotations.append(record)
    skeleton = parse_skeleton(category, annotations, source)
    columns = parse_annotations(annotations, images, len(skeleton), source)
    return CocoDataset(source, skeleton, images, columns, _rows_by_image(columns))


def _rows_by_image(columns: Columns) -> dict[int, tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """For each image id, rows of sure and of unsure annotations, in the order of the file."""
    order = np.argsort(columns.image_ids, kind="stable")
    numbers, starts = np.unique(columns.image_ids[order], return_index=True)
    groups = np.split(order, starts[1:])[: len(numbers)]  # splitting nothing gives one empty group
    return {
        int(number): (rows[~columns.unsure[rows]], rows[columns.unsure[rows]])
        for number, rows in zip(numbers, groups, strict=True)
    }
