"""OCHuman's own layout: corners, four visibilities, holes, splits."""

from __future__ import annotations

import numpy as np
import pytest

from poseg.errors import AnnotationError
from poseg.io.coco_json import parse_coco
from poseg.io.ochuman_json import VAL_PICTURES, is_ochuman, ochuman_as_coco
from poseg.skeletons import COCO17, OCHUMAN19

NAMES = [joint.replace("head_top", "head") for joint in OCHUMAN19.joints]


def square(left, top, side):
    return [left, top, left + side, top, left + side, top + side, left, top + side]


def person(**changes):
    keypoints = [number for i in range(19) for number in (10 + i, 20 + i, i % 4)]
    segms = {"outer": [square(8, 10, 20)], "inner": [square(12, 14, 4)], "height": 60, "width": 80}
    return {"bbox": [8, 10, 28, 40], "keypoints": keypoints, "segms": segms, "max_iou": 0.6} | changes


def picture(number, *people):
    return {"image_id": f"{number:06d}", "file_name": f"{number:06d}.jpg", "height": 60, "width": 80,
            "annotations": list(people)}  # fmt: skip


def ochuman(*images):
    return {"keypoint_names": NAMES, "keypoint_visible": {"missing": 0, "vis": 1}, "images": list(images)}


def test_a_person_keeps_box_joints_and_holes():
    plain = ochuman(picture(5, person(), person(keypoints=None, segms=None)))
    assert is_ochuman(plain)
    converted = ochuman_as_coco(plain)
    assert not is_ochuman(converted)
    data = parse_coco(converted, "ochuman.json")
    assert data.skeleton is OCHUMAN19
    people = data.people(1)
    assert people.boxes_xyxy.tolist() == [[8, 10, 28, 40]] * 2
    mask = np.zeros((60, 80), bool)
    mask[10:30, 8:28] = True
    mask[14:18, 12:16] = False
    np.testing.assert_array_equal(people.masks[0], mask)
    assert not people.masks[1].any()
    assert data.visibility(1)[0, :4].tolist() == [0, 2, 2, 1]
    assert data.areas(1).tolist() == [600, 600]
    coco = people.to(COCO17)
    place = OCHUMAN19.index("left_wrist")
    assert coco.keypoints[0, COCO17.index("left_wrist")].tolist() == [10.5 + place, 20.5 + place]


def test_splits_are_the_authors():
    images = [picture(n, person(segms=None, keypoints=None) if n % 3 == 0 else person(segms={})) for n in range(30)]
    assert ochuman_as_coco(ochuman(*images))["images"] == [], "nobody has joints and a mask"
    many = [picture(n, person()) for n in range(VAL_PICTURES + 3)]
    val, test = (ochuman_as_coco(ochuman(*reversed(many)), split)["images"] for split in ("val", "test"))
    assert (len(val), len(test)) == (VAL_PICTURES, 3)
    assert val[0]["file_name"] == "000000.jpg"
    assert test[-1]["file_name"] == f"{VAL_PICTURES + 2:06d}.jpg"


@pytest.mark.parametrize("changes", [{"bbox": [1, 2]}, {"keypoints": [1, 2, 3]}, {"keypoints": [0, 0, 9] * 19}])
def test_what_is_not_ochumans_is_refused(changes):
    with pytest.raises(AnnotationError, match="image 000001 has an annotation that is not OCHuman's"):
        ochuman_as_coco(ochuman(picture(1, person(), person(**changes))))
