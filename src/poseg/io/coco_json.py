"""COCO annotation files, plain or gzipped: the people of each image, and the pixels to ignore.

COCO's keypoints are pixel indices, its boxes and polygons are continuous coordinates already: the half pixel is
added to keypoints here, and nowhere else. Result files are in `io.coco_results`.
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
from poseg.io.coco_table import (
    CocoImage,
    CocoTable,
    boxes_or_fallback,
    parse_annotations,
    parse_images,
    parse_skeleton,
    people_records,
    person_category,
    record_list,
)
from poseg.io.coco_values import canonical_coco
from poseg.io.files import read_json
from poseg.people import People
from poseg.skeletons import Skeleton

Size = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class CocoDataset:
    """A COCO annotation file. Masks are rasterised on demand, so that a large file is read fast.

    path       of the file, for messages
    skeleton   of the K joints
    images     by id, in the order of the file, each once
    table      all annotations of the person category
    rows       by image id: the table's rows that are people, and those that are crowds or ignored

    `people`, `visibility`, `annotation_ids` and `areas` of one image hold the same people in the same order.
    An unknown image id raises AnnotationError.
    """

    path: str
    skeleton: Skeleton
    images: Mapping[int, CocoImage]
    table: CocoTable
    rows: Mapping[int, tuple[NDArray[np.intp], NDArray[np.intp]]]

    def __len__(self) -> int:
        """The number of images."""
        return len(self.images)

    def people(self, image_id: int, size: Size | None = None) -> People:
        """The people of an image, without crowds.

        size    (height, width) of the image as it was read; must agree with the file, and is needed where the file
                has none

        Joints with v = 0 are at (0, 0) with score 0; the others have score 1, or the record's `keypoint_scores`.
        People without a segmentation have an empty mask; where no person of the image has one, masks is None. Boxes
        are the file's, else tight around the mask, else around the joints. Raises AnnotationError.
        """
        rows = self._rows(image_id)[0]
        triplets = self.table.triplets[rows]
        annotated = triplets[..., 2] > 0
        points = np.where(annotated[..., None], pixel_centres(triplets[..., :2]), np.float32(0))
        segmented = len(rows) == 0 or any(self.table.segmentations[row] is not None for row in rows)
        masks = self._masks(rows, self._size(image_id, size)) if segmented else None
        return People(
            skeleton=self.skeleton,
            keypoints=points,
            keypoint_scores=np.where(annotated, self.table.joint_scores[rows], 0),
            scores=self.table.scores[rows],
            boxes_xyxy=boxes_or_fallback(self.table.boxes_xyxy[rows], masks, points, annotated),
            masks=masks,
        )

    def visibility(self, image_id: int) -> NDArray[np.uint8]:
        """(N, K) uint8: 0 not annotated, 1 annotated but hidden, 2 visible."""
        return self.table.triplets[self._rows(image_id)[0], :, 2].astype(np.uint8)

    def uncertain_keypoints(self, image_id: int, min_visibility: int = 1) -> NDArray[np.float32]:
        """(M, 3) joint index, x, y of joints with coordinates but below that visibility: guesses, no labels."""
        triplets = self.table.triplets[self._rows(image_id)[0]]
        placed = (triplets[..., :2] != 0).any(axis=-1)
        person, joint = np.nonzero(placed & (triplets[..., 2] < min_visibility))
        return np.column_stack([joint, pixel_centres(triplets[person, joint, :2])]).astype(np.float32)

    def annotation_ids(self, image_id: int) -> NDArray[np.int64]:
        """(N,) ids of the people's annotations in the file."""
        return self.table.ids[self._rows(image_id)[0]]

    def areas(self, image_id: int) -> NDArray[np.float32]:
        """(N,) square pixels of each person in the file, which OKS is scaled by; NaN where it has none."""
        return self.table.areas[self._rows(image_id)[0]]

    def mask_agreement(self, image_id: int) -> NDArray[np.float32]:
        """(N,) IoU of the networks that made each person's mask; 1 where the file does not say."""
        return self.table.mask_agreement[self._rows(image_id)[0]]

    def ignore(self, image_id: int, size: Size | None = None) -> NDArray[np.bool_] | None:
        """(H, W) bool: pixels of crowds and of records marked `ignore` (their box, without a segmentation).

        None where the image has none of these. `size` as in `people`.
        """
        rows = self._rows(image_id)[1]
        if len(rows) == 0:
            return None
        region = self._masks(rows, self._size(image_id, size)).union()
        boxed = [row for row in rows if self.table.segmentations[row] is None]
        boxes_xyxy = self.table.boxes_xyxy[boxed]
        return fill_boxes(region, boxes_xyxy[np.isfinite(boxes_xyxy).all(axis=1)])

    def _rows(self, image_id: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        if image_id not in self.images:
            raise AnnotationError(f"{self.path} has no image {image_id}; its ids are those of `images`.")
        return self.rows.get(image_id, _NONE)

    def _size(self, image_id: int, size: Size | None) -> Size:
        image = self.images[image_id]
        if size is None and image.size is None:
            raise AnnotationError(
                f"{self.path}: image {image_id} ({image.file_name}) has no height and width; "
                "add them, or pass the size of the image."
            )
        if size is not None and image.size not in (None, size):
            raise AnnotationError(
                f"{self.path}: image {image_id} ({image.file_name}) is {image.size} in the file, "
                f"the image is {size} (height, width); resize the image or correct the file."
            )
        return size or image.size  # type: ignore[return-value]

    def _masks(self, rows: NDArray[np.intp], size: Size) -> Masks:
        return Masks.from_bitmaps([(self._mask(row, size), 0, 0) for row in rows], size)

    def _mask(self, row: int, size: Size) -> NDArray[np.bool_]:
        try:
            return segmentation_mask(self.table.segmentations[row], size)
        except AnnotationError as fault:
            raise AnnotationError(f"{self.path}: annotation {self.table.ids[row]}: {fault}") from None


_NONE = (np.zeros(0, np.intp), np.zeros(0, np.intp))


def read_coco(path: str | Path) -> CocoDataset:
    """Read a COCO annotation file (ground truth), plain or .gz: its images and people.

    People are the annotations of the category named 'person', else of the only category. Joint names make the
    skeleton; without names it is COCO17. Records may also have `score`, `keypoint_scores` and `ignore`, as
    pseudo-labels do. Raises AnnotationError that names the file, the annotation and the error.
    """
    return parse_coco(read_json(path), str(path))


def parse_coco(raw: object, source: str) -> CocoDataset:
    """As `read_coco`, from a file that is in memory already; `source` is its name in messages."""
    raw = canonical_coco(raw)
    images = parse_images(record_list(raw, "images", source), source)
    listed = record_list(raw, "annotations", source)
    category = person_category(record_list(raw, "categories", source), listed, source)
    annotations = people_records(listed, category, source)
    skeleton = parse_skeleton(category, annotations, source)
    table = parse_annotations(annotations, images, len(skeleton), source)
    return CocoDataset(source, skeleton, images, table, _rows_by_image(table))


def fill_boxes(region: NDArray[np.bool_], boxes_xyxy: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The region (H, W) with all pixels added that boxes (N, 4) touch; the region itself stays as it is."""
    filled = region.copy()
    height, width = region.shape
    corners = np.clip(boxes_xyxy, 0, np.array([width, height, width, height], np.float32))
    low, high = np.floor(corners[:, :2]).astype(int), np.ceil(corners[:, 2:]).astype(int)
    for (left, top), (right, bottom) in zip(low, high, strict=True):
        filled[top:bottom, left:right] = True
    return filled


def _rows_by_image(table: CocoTable) -> dict[int, tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """For each image id the rows of people, and those of crowds and ignored records, in the order of the file."""
    order = np.argsort(table.image_ids, kind="stable")
    numbers, starts = np.unique(table.image_ids[order], return_index=True)
    groups = np.split(order, starts[1:])[: len(numbers)]  # np.split of an empty array gives one group
    return {
        int(number): (rows[~table.crowd_or_ignore[rows]], rows[table.crowd_or_ignore[rows]])
        for number, rows in zip(numbers, groups, strict=True)
    }
