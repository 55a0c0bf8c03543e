"""Published data sets: COCO, CrowdPose, and OCHuman in either layout."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from poseg.datasets import DATASETS, coco, crowdpose, ochuman
from poseg.errors import AnnotationError
from poseg.io.coco_json import read_coco
from poseg.io.ochuman import HARD, MODERATE, OCHumanSubset, ochuman_to_coco
from poseg.skeletons import COCO17, CROWDPOSE14, OCHUMAN19

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
SAMPLES = SHARED / "mmpose_samples"
needs_samples = pytest.mark.skipif(not SAMPLES.exists(), reason="needs samples of published sets beside the repository")
needs_coco = pytest.mark.skipif(not (SHARED / "coco_mini").exists(), reason="needs coco_mini beside the repository")
OCHUMAN_SAMPLES = SAMPLES / "ochuman"

NAMES = [joint.replace("head_top", "head") for joint in OCHUMAN19.joints]


def person(left: int, **changes: Any) -> dict[str, Any]:
    """A person 20 pixels wide, with all joints in the box and a mask that is the box."""
    right = left + 20
    keypoints = [number for i in range(19) for number in (left + i, 20 + i, 1 + i % 3)]
    segms = {"outer": [[left, 10, right, 10, right, 50, left, 50]], "inner": [], "height": 60, "width": 120}
    return {"bbox": [left, 10, right, 50], "keypoints": keypoints, "segms": segms, "max_iou": 0.6} | changes


@pytest.fixture
def plain() -> dict[str, Any]:
    """A moderate and a hard person; two moderate ones beside one without labels; a hard one alone."""
    bare = {"segms": None, "keypoints": None}
    photos = {
        "a": [person(0), person(30, max_iou=0.8)],
        "b": [person(0), person(30), person(60, **bare), person(90, segms=None)],
        "c": [person(0, max_iou=1.0)],
    }
    images = [
        {"image_id": name, "file_name": f"{name}.png", "height": 60, "width": 120, "annotations": people}
        for name, people in photos.items()
    ]
    return {"keypoint_names": NAMES, "keypoint_visible": {}, "images": images}


@pytest.fixture
def unpack(tmp_path: Path) -> Callable[..., Path]:
    def put(plain: object, name: str = "ochuman.json") -> Path:
        (tmp_path / "images").mkdir()
        for image in "abc":
            Image.new("RGB", (120, 60)).save(tmp_path / "images" / f"{image}.png")
        (tmp_path / name).write_text(json.dumps(plain))
        return tmp_path

    return put


def seen(data: Any) -> dict[str, tuple[list[float], list[int]]]:
    """Left edges of the people of each image, and those of runs of ignored columns."""
    found = {}
    for sample in (data[index] for index in range(len(data))):
        columns = sample.ignore.any(axis=0).astype(int)
        starts = np.flatnonzero(np.diff(columns, prepend=0) == 1).tolist()
        found[sample.name] = (sample.people.boxes_xyxy[:, 0].tolist(), starts)
    return found


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"a.png": ([0, 30], []), "b.png": ([0, 30], [60, 90]), "c.png": ([0], [])}),
        ({"max_iou": MODERATE}, {"a.png": ([0], [30]), "b.png": ([0, 30], [60, 90])}),
        ({"max_iou": HARD}, {"a.png": ([30], [0]), "c.png": ([0], [])}),
        ({"fully_labelled": True}, {"a.png": ([0, 30], []), "c.png": ([0], [])}),
        ({"fully_labelled": True, "max_iou": (0.7, 0.9)}, {"a.png": ([30], [0])}),
    ],
)
def test_ochuman_people_are_samples_or_ignored(plain, unpack, options, expected):
    assert seen(ochuman(unpack(plain), **options)) == expected


@pytest.mark.parametrize(("skeleton", "joints"), [(COCO17, 17), (OCHUMAN19, 19)])
def test_ochuman_joints_and_masks_are_those_of_the_file(plain, unpack, skeleton, joints):
    sample = ochuman(unpack(plain), skeleton=skeleton)[0]
    people = sample.people
    assert people.skeleton == skeleton
    assert (people.keypoint_scores > 0).sum() == 2 * joints
    place = OCHUMAN19.index("right_knee")
    assert people.keypoints[1, skeleton.index("right_knee")].tolist() == [30.5 + place, 20.5 + place]
    assert people.masks[1][10:50, 30:50].all()
    assert np.asarray(people.masks)[1].sum() == 800


@pytest.mark.parametrize("bounds", [MODERATE, HARD])
@pytest.mark.parametrize("name", ["ochuman_coco_format_val_range_0.00_1.00.json", OCHumanSubset("val").file_name()])
def test_ochuman_converted_file_gives_the_same_people(plain, unpack, bounds, name):
    """But of those without labels it knows nothing."""
    expected = {"a.png": ([0], [30]), "b.png": ([0, 30], [])} if bounds == MODERATE else {
        "a.png": ([30], [0]), "c.png": ([0], [])}  # fmt: skip
    converted = ochuman_to_coco(plain, OCHumanSubset("val"), skeleton=COCO17)
    assert seen(ochuman(unpack(converted, name), max_iou=bounds)) == expected


def test_ochuman_rejects_invalid_choices(plain, unpack):
    folder = unpack(plain)
    with pytest.raises(AnnotationError, match="None of the 0 labelled images"):
        ochuman(folder, "test")
    with pytest.raises(AnnotationError, match="splits val, test, all"):
        ochuman(folder, "train")
    with pytest.raises(AnnotationError, match="range of MaxIoU"):
        ochuman(folder, max_iou=(0.9, 0.5))
    (folder / "ochuman.json").unlink()
    with pytest.raises(AnnotationError, match=r"holds none of ochuman\.json"):
        ochuman(folder)
    converted = ochuman_to_coco(plain, OCHumanSubset("val"), skeleton=COCO17)
    (folder / OCHumanSubset("val").file_name()).write_text(json.dumps(converted))
    with pytest.raises(AnnotationError, match="converted already"):
        ochuman(folder, fully_labelled=True)


@pytest.mark.skipif(not OCHUMAN_SAMPLES.exists(), reason="needs samples of published sets beside the repository")
def test_ochuman_samples_are_filtered_by_box_overlap(tmp_path):
    (tmp_path / "images").symlink_to(OCHUMAN_SAMPLES)
    (tmp_path / "ochuman_coco_format_val_range_0.00_1.00.json").symlink_to(OCHUMAN_SAMPLES / "test_ochuman.json")
    kept = {bounds: list(seen(ochuman(tmp_path, max_iou=bounds))) for bounds in (MODERATE, HARD)}
    assert kept == {MODERATE: ["000817.jpg"], HARD: ["003896.jpg"]}


def sample_of(data, name):
    return next(data[i] for i in range(len(data)) if data.sample_id(i).endswith(name))


def unpack_samples(tmp_path: Path, sample: str, file: str, place: str) -> Path:
    """The layout of a published set, made of its samples."""
    for folder in ("images", Path(place).parent):
        (tmp_path / folder).mkdir(exist_ok=True, parents=True)
    (tmp_path / place).write_bytes((SAMPLES / sample / file).read_bytes())
    for photo in (SAMPLES / sample).glob("*.jpg"):
        (tmp_path / "images" / photo.name).symlink_to(photo)
    return tmp_path


@needs_samples
def test_crowdpose_has_twelve_of_cocos_joints(tmp_path):
    folder = unpack_samples(tmp_path, "crowdpose", "test_crowdpose.json", "json/crowdpose_train.json")
    data = DATASETS["crowdpose_train"](folder)
    assert (len(data), data.exhaustive, data.annotated_joints.sum(), data.skeleton) == (2, False, 12, COCO17)
    sample = sample_of(data, "106848.jpg")
    assert len(sample.people) == 2, "the third person is a box alone"
    assert sample.ignore.any()
    shoulder = sample.people.keypoints[0, COCO17.index("right_shoulder")]
    assert shoulder.tolist() == [208.5, 108.5]
    assert crowdpose(folder, skeleton=CROWDPOSE14).annotated_joints.all()


@needs_samples
def test_ochuman_in_coco_format(tmp_path):
    folder = unpack_samples(tmp_path, "ochuman", "test_ochuman.json", "ochuman_coco_format_val_range_0.00_1.00.json")
    data = ochuman(folder)
    assert (len(data), data.exhaustive, data.annotated_joints.all()) == (3, True, True)
    sample = data[0]
    assert np.asarray(sample.people.masks).any(axis=(1, 2)).all()


@needs_coco
def test_coco_people_are_those_of_the_file():
    data = coco(SHARED / "coco_mini", "val2017")
    file = read_coco(SHARED / "coco_mini" / "person_keypoints_val2017.json")
    assert (len(data), data.name, data.sample_id(0)[:13]) == (39, "coco_val2017", "coco_val2017/")
    samples = [data[i] for i in range(0, len(data), 8)]
    for sample in samples:
        image = next(image for image in file.images.values() if image.file_name == sample.name)
        assert len(sample.people) == len(file.people(image.id))
    ignored = [bool(sample.ignore.any()) for sample in samples]
    crowded = [
        any(len(rows[1]) for n, rows in file.rows.items() if file.images[n].file_name == s.name) for s in samples
    ]
    assert ignored == crowded


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_folder_without_the_set_is_reported(name, tmp_path):
    with pytest.raises(AnnotationError, match=r"give the folder of"):
        DATASETS[name](tmp_path)
