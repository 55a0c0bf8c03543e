"""OCHuman as a COCO annotation file of one evaluation protocol, from its own layout or from a converted file.

Its images hold their annotations: corners of a box, 19 joints or null, outer and inner polygons or null, and the
box's largest IoU with another person's. Everybody has a box; the data set proper are the people with joints and mask.
Of the 4,731 pictures that have one, the first 2,500 of the file are for validation, the others for testing. There is no
training part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from poseg.errors import AnnotationError
from poseg.geometry.rle import encode_rle, fill_polygons
from poseg.geometry.similarity import box_iou_matrix
from poseg.io.coco_columns import person_category, records_of
from poseg.io.coco_json import parse_coco
from poseg.io.coco_skeleton import joint_names
from poseg.io.ochuman_protocol import SPLITS, Kept, Selection
from poseg.skeletons import OCHUMAN19, Skeleton

Record = Mapping[str, Any]

EVERYBODY = Selection(ignore_others=True)
_IMAGE_KEYS = ("file_name", "height", "width")
# missing, visible, hidden by the own body, hidden by somebody: as the authors' conversion has it.
_VISIBILITY = {0: 0, 1: 2, 2: 2, 3: 1}


def is_ochuman(plain: object) -> bool:
    """Whether a JSON file has OCHuman's own layout."""
    return isinstance(plain, Mapping) and "keypoint_names" in plain and "annotations" not in plain


def select_people(plain: object, selection: Selection, source: str, skeleton: Skeleton = OCHUMAN19) -> dict[str, Any]:
    """The COCO file of a protocol from either layout; `skeleton` is for OCHuman's own."""
    if is_ochuman(plain):
        return ochuman_as_coco(plain, selection, source, skeleton)
    return restrict_converted(plain, selection, source)


def ochuman_as_coco(
    plain: object, selection: Selection = EVERYBODY, source: str = "ochuman.json", skeleton: Skeleton = OCHUMAN19
) -> dict[str, Any]:
    """OCHuman's own layout in COCO's, as the authors convert it; `info.description` is the protocol.

    plain     what `ochuman.json` holds
    skeleton  of the result; its joints are found by the file's names, and must be among OCHuman's

    Pictures and people are numbered from 1 in the order of the file. Areas are those of the boxes, so that OKS is the
    authors' too. MaxIoU is the file's, else that of the boxes, and stays with each person as `max_iou`. Others that
    are ignored keep what labels they have, with their box for a mask. Raises AnnotationError that names the picture.
    """
    order = _joint_order(plain, skeleton, source)
    proper = [image for image in records_of(plain, "images", source) if any(map(_is_proper, _people(image, source)))]
    chosen = proper[SPLITS[selection.split]]
    if selection.fully_labelled:
        chosen = [image for image in chosen if all(person.get("segms") for person in image["annotations"])]
    images: list[dict[str, Any]] = []
    records: list[dict[str, Any]] = []
    boxed = unlabelled = 0
    for image in chosen:
        people = _convert_image(image, selection, order, source)
        if people:
            images.append({"id": len(images) + 1, **{key: image[key] for key in _IMAGE_KEYS}})
            records += [{"id": len(records) + i, "image_id": len(images), **p} for i, p in enumerate(people, start=1)]
            boxed += len(image["annotations"])
            unlabelled += sum(not _is_proper(person) for person in image["annotations"])
    persons = sum(not record["iscrowd"] for record in records)
    kept = Kept(len(images), persons, unlabelled, boxed - unlabelled - persons)
    bones = [[skeleton.index(a) + 1, skeleton.index(b) + 1] for a, b in skeleton.bones]
    return {
        "info": {"description": selection.sentence(kept)},
        "images": images,
        "annotations": records,
        "categories": [{"id": 1, "name": "person", "keypoints": list(skeleton.joints), "skeleton": bones}],
    }


def restrict_converted(plain: object, selection: Selection, source: str) -> dict[str, Any]:
    """The people of a COCO file whose MaxIoU is in range, and the pictures that have one; numbers stay.

    plain  what a file of the authors' conversion holds, or of ours. It is one split, which `selection.split` only names

    MaxIoU is the record's `max_iou`, which ours have, else that of the boxes in the file. The authors' lack the boxes
    of people without mask, so that may be smaller than in OCHuman's own file. Raises AnnotationError, also for
    `fully_labelled`, which such a file cannot tell.
    """
    if selection.fully_labelled:
        raise AnnotationError(
            f"{source} is converted already, and a converted file does not list people without a mask; "
            "give OCHuman's own ochuman.json to keep the fully labelled pictures."
        )
    data = parse_coco(plain, source)
    assert isinstance(plain, Mapping), "parse_coco takes nothing else"
    category = person_category(plain["categories"], source)["id"]
    records = [record for record in plain["annotations"] if record["category_id"] == category]
    inside = np.zeros(len(records), np.bool_)
    for rows, _ in data.rows.values():
        try:
            overlaps = _max_ious(data.columns.boxes_xyxy[rows], [records[row].get("max_iou") for row in rows])
        except (TypeError, ValueError) as fault:
            number = data.columns.image_ids[rows[0]]
            raise AnnotationError(f"{source}: people of image {number} have no MaxIoU: {fault}.") from None
        inside[rows] = [selection.holds(overlap) for overlap in overlaps]
    there = np.isin(data.columns.image_ids, data.columns.image_ids[inside])
    outside = there & ~inside & ~data.columns.unsure
    kept = there & (selection.ignore_others | ~outside)
    numbers = set(data.columns.image_ids[there].tolist())
    images = [image for image in plain["images"] if image["id"] in numbers]
    crowded = [{**record, "iscrowd": 1} if out else record for record, out in zip(records, outside, strict=True)]
    found = Kept(len(numbers), int(inside.sum()), 0, int(outside.sum()))
    said = plain.get("info")
    info = dict(said) if isinstance(said, Mapping) else {}
    before = f' Before that it said: "{info["description"]}"' if info.get("description") else ""
    info["description"] = selection.sentence(found, converted=Path(source).name) + before
    chosen = [record for record, keep in zip(crowded, kept, strict=True) if keep]
    return {**plain, "info": info, "images": images, "annotations": chosen}


def _joint_order(plain: object, skeleton: Skeleton, source: str) -> list[int]:
    """Where the file has the joints of the skeleton; without names it has OCHuman's own order."""
    said = plain.get("keypoint_names") if isinstance(plain, Mapping) else None
    if not isinstance(said, list):
        raise AnnotationError(f"{source} has no list of names under `keypoint_names`; give OCHuman's ochuman.json.")
    names = [{"head": "head_top"}.get(name, name) for name in joint_names(said)] or list(OCHUMAN19.joints)
    odd = sorted(set(names) ^ set(OCHUMAN19.joints)) + sorted(set(skeleton.joints) - set(OCHUMAN19.joints))
    if odd or len(names) != len(OCHUMAN19):
        raise AnnotationError(
            f"{source}: `keypoint_names` must be OCHuman's {len(OCHUMAN19)} joints and hold those of {skeleton.name}; "
            f"wrong are {', '.join(odd) or 'names that occur twice'}; get the file again."
        )
    return [names.index(joint) for joint in skeleton.joints]


def _people(image: Record, source: str) -> Sequence[Record]:
    """The people of an image, whose entry is checked here."""
    name, *sides = (image.get(key) for key in _IMAGE_KEYS)
    if not isinstance(name, str) or not all(type(side) is int and side > 0 for side in sides):
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


def _convert_image(image: Record, selection: Selection, order: list[int], source: str) -> list[dict[str, Any]]:
    """Records of the people that stay, the ignored ones marked; none where nobody is measured."""
    people = image["annotations"]
    try:
        overlaps = _max_ious([person["bbox"] for person in people], [person.get("max_iou") for person in people])
        measured = [
            _is_proper(person) and selection.holds(overlap) for person, overlap in zip(people, overlaps, strict=True)
        ]
        if not any(measured):
            return []
        return [
            {**_person(person, image, order), "iscrowd": int(not counts), "max_iou": overlap}
            for person, counts, overlap in zip(people, measured, overlaps, strict=True)
            if counts or selection.ignore_others
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
        raise ValueError("everybody needs a box of four numbers")
    overlaps = box_iou_matrix(boxes, boxes)
    np.fill_diagonal(overlaps, 0)
    largest = [
        float(computed) if said is None else float(said)  # type: ignore[arg-type]
        for computed, said in zip(overlaps.max(axis=1, initial=0), stored, strict=True)
    ]
    if not all(0 <= value < math.inf for value in largest):
        raise ValueError("a `max_iou` is not a number from 0 up")
    return largest


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
        raise TypeError(f"segms are a {type(segms).__name__}, wanted outer and inner polygons")
    size = int(segms.get("height") or image["height"]), int(segms.get("width") or image["width"])
    outer, inner = (fill_polygons(segms.get(key) or [], size) for key in ("outer", "inner"))
    return encode_rle(outer & ~inner)
