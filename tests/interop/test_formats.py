"""What is written is read back: poses, masks, scores and ids as far as each format holds them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from poseg.errors import AnnotationError, SkeletonError
from poseg.interop import (
    ImagePeople,
    YoloTask,
    from_coco,
    from_cvat,
    from_labelme,
    from_yolo,
    to_coco,
    to_cvat,
    to_labelme,
    to_openpose,
    to_yolo,
)
from poseg.interop.image_people import file_stems
from poseg.interop.rings import joined_ring, mask_rings, rings_mask
from poseg.people import People
from poseg.skeletons import SKELETONS

RoundTrip = Callable[[Path, list[ImagePeople]], list[ImagePeople]]


def write_images(folder: Path, images: list[ImagePeople]) -> Path:
    folder.mkdir()
    for image in images:
        Image.new("RGB", image.known_size[::-1]).save(folder / image.name)
    return folder


def coco(path: Path, images: list[ImagePeople]) -> list[ImagePeople]:
    to_coco(path / "x.json", images)
    return from_coco(path / "x.json")


def cvat(path: Path, images: list[ImagePeople]) -> list[ImagePeople]:
    to_cvat(path / "x.xml", images)
    return from_cvat(path / "x.xml")


def labelme(path: Path, images: list[ImagePeople]) -> list[ImagePeople]:
    to_labelme(path, images)
    return from_labelme(path)


def yolo(task: YoloTask) -> RoundTrip:
    def there_and_back(path: Path, images: list[ImagePeople]) -> list[ImagePeople]:
        to_yolo(path, images, task)
        return from_yolo(path / "labels", write_images(path / "images", images), task)

    return there_and_back


def assert_same_joints(back: People, people: People, atol: float = 0.011) -> None:
    seen = people.keypoint_scores > 0
    np.testing.assert_array_equal(back.keypoint_scores > 0, seen)
    np.testing.assert_allclose(back.keypoints[seen], people.keypoints[seen], atol=atol)


def mask_ious(back: People, people: People) -> np.ndarray:
    assert back.masks is not None
    assert people.masks is not None
    return np.diag(back.masks.iou(people.masks))


@pytest.mark.parametrize("which", ["drawn", "predicted"])
@pytest.mark.parametrize("round_trip", [coco, cvat, labelme], ids=["coco", "cvat", "labelme"])
def test_poses_masks_scores_and_boxes_come_back(
    round_trip: RoundTrip, which: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    image: ImagePeople = request.getfixturevalue(which)
    (back,) = round_trip(tmp_path, [image])
    assert (back.name, back.size) == (image.name, image.size)
    assert_same_joints(back.people, image.people)
    np.testing.assert_allclose(back.people.keypoint_scores, image.people.keypoint_scores, atol=1e-4)
    np.testing.assert_allclose(back.people.scores, image.people.scores, atol=1e-6)
    assert mask_ious(back.people, image.people).min() >= (0.97 if round_trip is labelme else 1)
    np.testing.assert_allclose(back.people.boxes_xyxy, image.people.boxes_xyxy, atol=1)
    if image.people.ids is not None:
        np.testing.assert_array_equal(back.people.ids, image.people.ids)


@pytest.mark.parametrize("which", ["drawn", "predicted"])
def test_yolo_keeps_joints_and_boxes_in_one_file_and_masks_in_another(
    which: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    image: ImagePeople = request.getfixturevalue(which)
    (tmp_path / "pose").mkdir()
    (posed,) = yolo(YoloTask.pose)(tmp_path / "pose", [image])
    inside = image.people
    outside = ((inside.keypoints < 0.5) | (inside.keypoints > np.array(image.known_size[::-1]) + 0.5)).any(axis=2)
    expected = replace(inside, keypoint_scores=np.where(outside, 0, inside.keypoint_scores))
    assert_same_joints(posed.people, expected)
    boxes = np.clip(inside.boxes_xyxy, 0, np.tile(image.known_size[::-1], 2))
    np.testing.assert_allclose(posed.people.boxes_xyxy, boxes, atol=0.01)
    (tmp_path / "seg").mkdir()
    (masked,) = yolo(YoloTask.seg)(tmp_path / "seg", [image])
    assert mask_ious(masked.people, image.people).min() > 0.97


@pytest.mark.parametrize(
    "round_trip", [coco, cvat, labelme, yolo(YoloTask.pose), yolo(YoloTask.seg)],
    ids=["coco", "cvat", "labelme", "pose", "seg"],
)  # fmt: skip
def test_images_without_people_and_people_without_masks(
    round_trip: RoundTrip, drawn: ImagePeople, without_people: ImagePeople, tmp_path: Path
) -> None:
    unmasked = ImagePeople("unmasked.jpg", replace(drawn.people, masks=None), drawn.size)
    back = {image.name: image for image in round_trip(tmp_path, [unmasked, without_people])}
    assert len(back["empty.jpg"].people) == 0
    assert len(back["unmasked.jpg"].people) in (0, 2)
    assert back["unmasked.jpg"].people.masks is None or not back["unmasked.jpg"].people.masks.areas.any()


def test_every_pixel_centre_stays_on_its_side_of_exact_rings(drawn: ImagePeople) -> None:
    masks = drawn.people.masks
    assert masks is not None
    for row in range(len(masks)):
        rings = mask_rings(masks, row)
        parts, joined = rings_mask(rings, masks.size), rings_mask([joined_ring(rings)], masks.size)
        assert np.mean(parts != masks.full(row)) < 0.003
        assert np.mean(joined != masks.full(row)) < 0.004


def test_openpose_has_its_joints_and_a_neck_between_the_shoulders(drawn: ImagePeople, tmp_path: Path) -> None:
    to_openpose(tmp_path, [drawn])
    people = json.loads((tmp_path / "photo_keypoints.json").read_text())["people"]
    assert [entry["person_id"] for entry in people] == [[4], [9]]
    triplets = np.array(people[0]["pose_keypoints_2d"]).reshape(18, 3)
    joints = SKELETONS["openpose18"]
    left, right = (triplets[joints.index(f"{side}_shoulder")] for side in ("left", "right"))
    np.testing.assert_allclose(triplets[joints.index("neck"), :2], (left + right)[:2] / 2, atol=1e-3)
    np.testing.assert_allclose(triplets[joints.index("nose"), :2] + 0.5, drawn.people[0]["nose"][:2], atol=1e-3)


def test_files_of_images_with_one_stem_have_names_of_their_own() -> None:
    assert file_stems(["a/x.jpg", "b/X.png", "y.jpg"]) == ["a__x.jpg", "b__X.png", "y"]


def test_unknown_sizes_and_several_skeletons_are_refused(drawn: ImagePeople, tmp_path: Path) -> None:
    unsized = ImagePeople("x.jpg", replace(drawn.people, masks=None))
    for write in (to_coco, to_cvat, to_labelme, to_yolo):
        with pytest.raises(AnnotationError, match="size"):
            write(tmp_path / "out", [unsized])
    other = drawn.with_people(drawn.people.remap_to(SKELETONS["lsp14"]))
    with pytest.raises(SkeletonError):
        to_coco(tmp_path / "x.json", [drawn, other])


@pytest.mark.parametrize("text", ["0 0.5", "0 a b c d e f", "0 nan 0 0 0 0 0", "0 " + "0.5 " * 60])
def test_broken_yolo_lines_are_named(text: str, drawn: ImagePeople, tmp_path: Path) -> None:
    images = write_images(tmp_path / "images", [drawn])
    (tmp_path / "photo.txt").write_text(text)
    with pytest.raises(AnnotationError, match="line 1"):
        from_yolo(tmp_path, images)


@pytest.mark.parametrize(
    "shape",
    [{"label": "tail", "points": [[1, 2]], "group_id": 1, "shape_type": "point"},
     {"label": "person", "points": [[1, 2], [3, 4]], "group_id": 1, "shape_type": "circle"},
     {"label": "person", "points": [["a", 2]]}, {"points": []}, 3],
)  # fmt: skip
def test_broken_labelme_shapes_are_refused(shape: object, tmp_path: Path) -> None:
    raw = {"imageHeight": 9, "imageWidth": 9, "imagePath": "x.jpg", "shapes": [shape]}
    (tmp_path / "x.json").write_text(json.dumps(raw))
    with pytest.raises(AnnotationError):
        from_labelme(tmp_path)


@pytest.mark.parametrize(
    "inside",
    ["<image/>",
     '<image name="a" width="9" height="9"><mask rle="1, 2" left="0" top="0" width="9" height="9"/></image>',
     '<image name="a" width="9" height="9"><skeleton><points label="nose" points="1"/></skeleton></image>', "<"],
)  # fmt: skip
def test_broken_cvat_files_are_refused(inside: str, tmp_path: Path) -> None:
    (tmp_path / "x.xml").write_text(f"<annotations>{inside}</annotations>")
    with pytest.raises(AnnotationError):
        from_cvat(tmp_path / "x.xml")
