"""OCHuman's own annotation file as a COCO annotation file.

Its images hold their annotations: corners of a box, 19 joints or null, outer and inner polygons or null. Everybody
has a box; the data set proper are the 4,731 pictures where somebody has joints and a mask, of which the first 2,500
by id are for validation and the others for testing. There is no training part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from poseg.errors import AnnotationError
from poseg.geometry.masks import encode_rle, fill_polygons
from poseg.io.coco_columns import records_of
from poseg.skeletons import OCHUMAN19

Split = Literal["val", "test", "all"]
Record = Mapping[str, Any]

VAL_PICTURES = 2500
# missing, visible, hidden by the own body, hidden by somebody: as the authors' conversion has it.
_VISIBILITY = (0, 2, 2, 1)


def is_ochuman(plain: object) -> bool:
    """Whether a JSON file has OCHuman's own layout."""
    return isinstance(plain, Mapping) and "keypoint_names" in plain and "annotations" not in plain


def ochuman_as_coco(plain: object, split: Split = "all", source: str = "ochuman.json") -> dict[str, Any]:
    """The pictures of one split in COCO's layout, with OCHuman's 19 joints.

    plain  what `ochuman.json` holds

    Areas are those of the boxes, as in the authors' own conversion, so that OKS is the same. People without mask or
    joints stay in. Raises AnnotationError that names the picture.
    """
    images = [image for image in records_of(plain, "images", source) if _is_proper(image)]
    images.sort(key=lambda image: str(image.get("image_id")))
    chosen = {"val": images[:VAL_PICTURES], "test": images[VAL_PICTURES:], "all": images}[split]
    records: list[dict[str, Any]] = []
    for number, image in enumerate(chosen, start=1):
        for annotation in image["annotations"]:
            try:
                records.append({"id": len(records) + 1, "image_id": number, **_person(annotation, image)})
            except (AnnotationError, KeyError, TypeError, ValueError, IndexError) as fault:
                raise AnnotationError(
                    f"{source}: image {image.get('image_id')} has an annotation that is not OCHuman's ({fault!r}); "
                    "get the file again."
                ) from None
    bones = [[OCHUMAN19.index(a) + 1, OCHUMAN19.index(b) + 1] for a, b in OCHUMAN19.bones]
    return {
        "images": [
            {"id": number, "file_name": image.get("file_name"), "height": image.get("height"),
             "width": image.get("width")}
            for number, image in enumerate(chosen, start=1)
        ],
        "annotations": records,
        "categories": [{"id": 1, "name": "person", "keypoints": list(OCHUMAN19.joints), "skeleton": bones}],
    }  # fmt: skip


def _is_proper(image: Record) -> bool:
    people = image.get("annotations")
    return isinstance(people, list) and any(
        isinstance(person, Mapping) and person.get("keypoints") and person.get("segms") for person in people
    )


def _person(annotation: Record, image: Record) -> dict[str, Any]:
    left, top, right, bottom = (float(v) for v in annotation["bbox"])
    record = {
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [left, top, right - left, bottom - top],
        "area": (right - left) * (bottom - top),
    }
    if annotation.get("keypoints"):
        triplets = np.array(annotation["keypoints"], np.float64).reshape(len(OCHUMAN19), 3)
        triplets[:, 2] = [_VISIBILITY[int(v)] for v in triplets[:, 2]]
        triplets[triplets[:, 2] == 0] = 0
        record |= {"keypoints": triplets.reshape(-1).tolist(), "num_keypoints": int((triplets[:, 2] > 0).sum())}
    if annotation.get("segms"):
        record["segmentation"] = _mask(annotation["segms"], image)
    return record


def _mask(segms: Record, image: Record) -> dict[str, Any]:
    """Run lengths of the outer polygons without the inner ones."""
    size = int(segms.get("height") or image["height"]), int(segms.get("width") or image["width"])
    outer, inner = (_polygons(segms.get(key)) for key in ("outer", "inner"))
    return encode_rle(fill_polygons(outer, size) & ~fill_polygons(inner, size))


def _polygons(plain: object) -> Sequence[Sequence[float]]:
    return plain if isinstance(plain, list) else []
