"""OCHuman as a COCO annotation file of one evaluation protocol, from its own layout or from a converted file.

In OCHuman's own layout, images hold their annotations: corners of a box, 19 joints or null, outer and inner polygons
or null, and the largest IoU of the box with another person's. Every person has a box; the data set proper are the
people with joints and mask. Of the 4,731 images that have one, the first 2,500 are for validation, the others for
testing. There is no training split.

Scores on OCHuman can only be compared under one protocol: most boxed people have no mask, so a person that a model
detects there counts as a false positive or not, depending on the file; a run on ground-truth poses has no such people.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from poseg.errors import AnnotationError
from poseg.geometry.rle import encode_rle, segmentation_mask
from poseg.geometry.similarity import box_iou_matrix
from poseg.io.coco_json import parse_coco
from poseg.io.coco_skeleton import coco_category, joint_names
from poseg.io.coco_table import person_category, record_list
from poseg.io.coco_values import Record, canonical_coco, is_integer
from poseg.skeletons import OCHUMAN19, Skeleton

Bounds = tuple[float, float]

# The upper bound is excluded, so one above 1 includes all people.
ALL: Bounds = (0.0, 1.01)
MODERATE: Bounds = (0.5, 0.75)
HARD: Bounds = (0.75, 1.01)
SUBSETS: Mapping[str, Bounds] = {"all": ALL, "moderate": MODERATE, "hard": HARD}

VAL_IMAGES = 2500
SPLITS: Mapping[str, slice] = {"val": slice(VAL_IMAGES), "test": slice(VAL_IMAGES, None), "all": slice(None)}

_DROPPED = "are not in the file, so people predicted there are false positives (ground-truth poses are not affected)"
_IGNORED = "are crowd regions, so people predicted there count neither for nor against"
_IMAGE_KEYS = ("file_name", "height", "width")
# missing, visible, occluded by the own body, occluded by another person: as in the authors' conversion.
_VISIBILITY = {0: 0, 1: 2, 2: 2, 3: 1}


@dataclass(frozen=True, slots=True)
class SubsetStats:
    """Numbers of images and people in a subset; of other people in these images, without labels or out of range."""

    images: int
    people: int
    unlabelled: int
    out_of_range: int


@dataclass(frozen=True, slots=True)
class OCHumanSubset:
    """Which people are evaluated, and what is done with the other people of their images.

    split             "val", "test" or "all"; the authors' since June 2019, when they corrected theirs
    max_iou           (low, high) of the people that are evaluated, high excluded. A person's MaxIoU is the largest
                      IoU of the box with another person's
    fully_labelled    only images in which every boxed person has a mask (OCHuman-FL, Ling et al. 2022)
    others_as_ignore  the others become crowd regions, where detections count neither for nor against. Otherwise they
                      are not in the file, as in the authors' conversion, and detecting them is a false positive

    Raises AnnotationError for an unknown split or an empty range.
    """

    split: str = "all"
    max_iou: Bounds = ALL
    fully_labelled: bool = False
    others_as_ignore: bool = False

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise AnnotationError(f"OCHuman has the splits {', '.join(SPLITS)}, got {self.split!r}; choose one.")
        low, high = self.max_iou
        if not 0 <= low < high < math.inf:
            raise AnnotationError(
                f"A range of MaxIoU is a lower and a larger upper number from 0 up, got {low:g} and {high:g}; "
                "give such as 0.5 and 0.75."
            )

    def contains(self, max_iou: float) -> bool:
        """Whether a person of that MaxIoU is evaluated."""
        return self.max_iou[0] <= max_iou < self.max_iou[1]

    def file_name(self, stem: str | None = None) -> str:
        """The name that the authors' converter gives the file, with suffixes for our options; `stem` replaces theirs.

        The range is rounded to two decimals, as theirs.
        """
        low, high = self.max_iou
        options = "_fully_labelled" * self.fully_labelled + "_others_ignored" * self.others_as_ignore
        return f"{stem or f'ochuman_coco_format_{self.split}'}_range_{low:.2f}_{high:.2f}{options}.json"

    def describe(self, stats: SubsetStats, converted: str | None = None) -> str:
        """The protocol in one sentence; `converted` is the name of the source if that was in COCO's format already."""
        low, high = self.max_iou
        outside = _pluralise(stats.out_of_range, "person", "people") + " outside the range"
        if converted is None:
            name = f"OCHuman {self.split}"
            labels = "fully labelled images only (OCHuman-FL)" if self.fully_labelled else "original labels"
            unlabelled = _pluralise(stats.unlabelled, "box", "boxes") + " without mask or joints"
        else:  # a converted file does not list boxes without a mask
            name = "OCHuman" if self.split == "all" else f"OCHuman {self.split}"
            labels = f"from {converted}, which is converted already"
            unlabelled = "boxes without a mask"
        if not self.others_as_ignore:
            others = f"{unlabelled} and {outside} {_DROPPED}"
        elif converted is None:
            others = f"{unlabelled} and {outside} {_IGNORED}"
        else:
            others = f"{outside} {_IGNORED}; {unlabelled} {_DROPPED}"
        images, people = _pluralise(stats.images, "image", "images"), _pluralise(stats.people, "person", "people")
        return f"{name}, {labels}, MaxIoU in [{low:g}, {high:g}): {images} with {people}; {others}."


ALL_PEOPLE = OCHumanSubset(others_as_ignore=True)


def is_ochuman(raw: object) -> bool:
    """Whether a JSON file has OCHuman's own layout."""
    return isinstance(raw, Mapping) and "keypoint_names" in raw and "annotations" not in raw


def select_people(raw: object, subset: OCHumanSubset, source: str, skeleton: Skeleton = OCHUMAN19) -> dict[str, Any]:
    """The COCO file of a protocol from either layout; `skeleton` is for OCHuman's own."""
    if is_ochuman(raw):
        return ochuman_to_coco(raw, subset, source, skeleton)
    return filter_converted(raw, subset, source)


def ochuman_to_coco(
    raw: object, subset: OCHumanSubset = ALL_PEOPLE, source: str = "ochuman.json", skeleton: Skeleton = OCHUMAN19
) -> dict[str, Any]:
    """OCHuman's own layout in COCO's, as the authors convert it; `info.description` is the protocol.

    raw       the content of `ochuman.json`
    skeleton  of the result; its joints are looked up by the file's names, and must be among OCHuman's

    Images and people are numbered from 1 in the order of the file. Areas are those of the boxes, so that OKS equals
    the authors'. MaxIoU is the file's, else that of the boxes, and is kept as `max_iou` of each person. Ignored people
    keep the labels that they have, with their box as mask. Raises AnnotationError that names the image.
    """
    raw = canonical_coco(raw)
    order = _joint_order(raw, skeleton, source)
    proper = [image for image in record_list(raw, "images", source) if any(map(_is_proper, _people(image, source)))]
    chosen = proper[SPLITS[subset.split]]
    if subset.fully_labelled:
        chosen = [image for image in chosen if all(person.get("segms") for person in image["annotations"])]
    images: list[dict[str, Any]] = []
    records: list[dict[str, Any]] = []
    boxed = unlabelled = 0
    for image in chosen:
        people = _convert_image(image, subset, order, source)
        if people:
            images.append({"id": len(images) + 1, **{key: image[key] for key in _IMAGE_KEYS}})
            records += [{"id": len(records) + i, "image_id": len(images), **p} for i, p in enumerate(people, start=1)]
            boxed += len(image["annotations"])
            unlabelled += sum(not _is_proper(person) for person in image["annotations"])
    evaluated = sum(not record["iscrowd"] for record in records)
    stats = SubsetStats(len(images), evaluated, unlabelled, boxed - unlabelled - evaluated)
    return {
        "info": {"description": subset.describe(stats)},
        "images": images,
        "annotations": records,
        "categories": [coco_category(skeleton)],
    }


def filter_converted(raw: object, subset: OCHumanSubset, source: str) -> dict[str, Any]:
    """The people of a COCO file whose MaxIoU is in range, and the images that have one; ids are kept.

    raw  content of a file of the authors' conversion, or of ours. It is one split, which `subset.split` only names

    MaxIoU is the record's `max_iou`, which ours have, else that of the boxes in the file. The authors' lack the boxes
    of people without mask, so that may be smaller than in OCHuman's own file. Raises AnnotationError, also for
    `fully_labelled`, which cannot be determined from such a file.
    """
    if subset.fully_labelled:
        raise AnnotationError(
            f"{source} is converted already, and a converted file does not list people without a mask; "
            "give OCHuman's own ochuman.json to keep the fully labelled images."
        )
    data = parse_coco(raw, source)
    file: Mapping[str, Any] = canonical_coco(raw)
    category = person_category(file["categories"], file["annotations"], source)["id"]
    records = [record for record in file["annotations"] if record["category_id"] == category]
    inside = np.zeros(len(records), np.bool_)
    for rows, _ in data.rows.values():
        try:
            overlaps = _max_ious(data.table.boxes_xyxy[rows], [records[row].get("max_iou") for row in rows])
        except (TypeError, ValueError) as fault:
            number = data.table.image_ids[rows[0]]
            raise AnnotationError(f"{source}: people of image {number} have no MaxIoU: {fault}.") from None
        inside[rows] = [subset.contains(overlap) for overlap in overlaps]
    listed = np.isin(data.table.image_ids, data.table.image_ids[inside])
    outside = listed & ~inside & ~data.table.crowd_or_ignore
    kept = listed & (subset.others_as_ignore | ~outside)
    numbers = set(data.table.image_ids[listed].tolist())
    images = [image for image in file["images"] if image["id"] in numbers]
    ignored = [{**record, "iscrowd": 1} if out else record for record, out in zip(records, outside, strict=True)]
    stats = SubsetStats(len(numbers), int(inside.sum()), 0, int(outside.sum()))
    info = dict(file["info"]) if isinstance(file.get("info"), Mapping) else {}
    before = f' Description of the source: "{info["description"]}"' if info.get("description") else ""
    info["description"] = subset.describe(stats, converted=Path(source).name) + before
    annotations = [record for record, keep in zip(ignored, kept, strict=True) if keep]
    return {**file, "info": info, "images": images, "annotations": annotations}


def _joint_order(raw: object, skeleton: Skeleton, source: str) -> list[int]:
    """Positions of the skeleton's joints in the file; without names it has OCHuman's own order."""
    listed = raw.get("keypoint_names") if isinstance(raw, Mapping) else None
    if not isinstance(listed, list):
        raise AnnotationError(f"{source} has no list of names under `keypoint_names`; give OCHuman's ochuman.json.")
    names = [{"head": "head_top"}.get(name, name) for name in joint_names(listed)] or list(OCHUMAN19.joints)
    wrong = sorted(set(names) ^ set(OCHUMAN19.joints)) + sorted(set(skeleton.joints) - set(OCHUMAN19.joints))
    if wrong or len(names) != len(OCHUMAN19):
        raise AnnotationError(
            f"{source}: `keypoint_names` must be OCHuman's {len(OCHUMAN19)} joints and hold those of {skeleton.name}; "
            f"wrong are {', '.join(wrong) or 'names that occur twice'}; get the file again."
        )
    return [names.index(joint) for joint in skeleton.joints]


def _people(image: Record, source: str) -> Sequence[Record]:
    """The people of an image, whose entry is checked here."""
    name, *sides = (image.get(key) for key in _IMAGE_KEYS)
    if not isinstance(name, str) or not all(is_integer(side) and side > 0 for side in sides):
        raise AnnotationError(
            f"{source}: image {image.get('image_id')} needs a file_name, and a height and width in pixels; "
            "get the file again."
        )
    people = image.get("annotations")
    if not isinstance(people, list) or not all(isinstance(person, Mapping) for person in people):
        raise AnnotationError(
            f"{source}: image {image.get('image_id')} has no list of people under `annotations`; get the file again."
        )
    return people


def _is_proper(person: Record) -> bool:
    return bool(person.get("keypoints") and person.get("segms"))


def _convert_image(image: Record, subset: OCHumanSubset, order: list[int], source: str) -> list[dict[str, Any]]:
    """Records of the people that are kept, the ignored ones marked; none where no person is evaluated."""
    people = image["annotations"]
    try:
        overlaps = _max_ious([person["bbox"] for person in people], [person.get("max_iou") for person in people])
        evaluated = [
            _is_proper(person) and subset.contains(overlap) for person, overlap in zip(people, overlaps, strict=True)
        ]
        if not any(evaluated):
            return []
        return [
            {**_person(person, image, order), "iscrowd": int(not counts), "max_iou": overlap}
            for person, counts, overlap in zip(people, evaluated, overlaps, strict=True)
            if counts or subset.others_as_ignore
        ]
    except (AnnotationError, KeyError, TypeError, ValueError, IndexError, OverflowError) as fault:
        raise AnnotationError(
            f"{source}: image {image.get('image_id')} has an annotation that is not OCHuman's ({fault!r}); "
            "get the file again."
        ) from None


def _max_ious(boxes_xyxy: ArrayLike, stored: Sequence[object]) -> list[float]:
    """Largest IoU of each person's box with another's; the stored number where there is one. Raises ValueError."""
    boxes = np.asarray(boxes_xyxy, np.float32)
    if boxes.shape != (len(stored), 4) or not np.isfinite(boxes).all():
        raise ValueError("every person needs a box of four numbers")
    overlaps = box_iou_matrix(boxes, boxes)
    np.fill_diagonal(overlaps, 0)
    max_ious = [
        float(computed) if number is None else float(number)  # type: ignore[arg-type]
        for computed, number in zip(overlaps.max(axis=1, initial=0), stored, strict=True)
    ]
    if not all(0 <= value < math.inf for value in max_ious):
        raise ValueError("a `max_iou` is not a number from 0 up")
    return max_ious


def _person(annotation: Record, image: Record, order: list[int]) -> dict[str, Any]:
    left, top, right, bottom = (float(v) for v in annotation["bbox"])
    triplets = np.zeros((len(order), 3))
    if annotation.get("keypoints"):
        triplets = np.array(annotation["keypoints"], np.float64).reshape(len(OCHUMAN19), 3)[order]
        triplets[:, 2] = [_VISIBILITY[v] for v in triplets[:, 2]]
        triplets[triplets[:, 2] == 0] = 0
    corners = [left, top, right, top, right, bottom, left, bottom]
    return {
        "category_id": 1,
        "bbox": [left, top, right - left, bottom - top],
        "area": (right - left) * (bottom - top),
        "keypoints": triplets.reshape(-1).tolist(),
        "num_keypoints": int((triplets[:, 2] > 0).sum()),
        "segmentation": _mask(annotation.get("segms") or {"outer": [corners]}, image),
    }


def _mask(segms: Record, image: Record) -> dict[str, Any]:
    """Run lengths of the outer polygons without the inner ones."""
    if not isinstance(segms, Mapping):
        raise TypeError(f"segms are a {type(segms).__name__}, expected outer and inner polygons")
    size = int(segms.get("height") or image["height"]), int(segms.get("width") or image["width"])
    outer, inner = (segmentation_mask(segms.get(key) or [], size) for key in ("outer", "inner"))
    return encode_rle(outer & ~inner)


def _pluralise(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
