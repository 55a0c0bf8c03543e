"""What is learnt from whom: crowds, people without joints, without masks, with a box alone; published layouts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from poseg.codecs.personlab import PersonLabCodec
from poseg.datasets import DATASETS, coco, coco_masks, crowdpose, custom_coco, ochuman
from poseg.errors import AnnotationError
from poseg.io.coco_json import read_coco
from poseg.skeletons import COCO17, CROWDPOSE14, LSP14, OCHUMAN19, OPENPOSE18

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
SAMPLES = SHARED / "mmpose_samples"
needs_samples = pytest.mark.skipif(not SAMPLES.exists(), reason="needs samples of published sets beside the repository")
needs_coco = pytest.mark.skipif(not (SHARED / "coco_mini").exists(), reason="needs coco_mini beside the repository")


def sample_of(data, name):
    return next(data[i] for i in range(len(data)) if data.sample_id(i).endswith(name))


def weights_of(sample, skeleton):
    """Loss weights of heatmap and segmentation on the grid of every eighth pixel."""
    codec = PersonLabCodec(skeleton, stride=8)
    height, width = sample.image.shape[:2]
    size = (height - 1) // 8 * 8 + 1, (width - 1) // 8 * 8 + 1
    people = replace(sample.people, masks=sample.people.masks.crop((0, 0, size[1], size[0])))
    return codec.encode(people, size, sample.ignore[: size[0], : size[1]])


def test_crowds_are_ignored_and_people_without_joints_have_no_negatives_in_their_mask(plain, write):
    data = custom_coco(write(plain))
    sample = sample_of(data, "a.png")
    assert len(sample.people) == 2
    assert sample.ignore[60:90, 80:120].all()
    assert sample.ignore.sum() == 30 * 40
    encoded = weights_of(sample, data.skeleton)
    heat, person = encoded.weights["heatmap"], encoded.weights["segmentation"]
    assert not heat[:, 8:11, 10:15].any(), "the crowd"
    assert not person[8:11, 10:15].any()
    assert not heat[:, 3:5, 11:14].any(), "the animal without joints"
    assert person[3:5, 11:14].all(), "is person all the same"
    assert (encoded.targets["segmentation"][3:5, 11:14] == 1).all()
    assert heat[:, 0, 0].all(), "background"


def test_a_box_and_nothing_else_is_ignored_and_joints_without_mask_leave_the_box_open(plain, write):
    boxed, bare = plain["annotations"][2], plain["annotations"][0]
    del boxed["segmentation"], bare["segmentation"]
    data = custom_coco(write(plain))
    sample = sample_of(data, "a.png")
    assert len(sample.people) == 1
    assert sample.ignore[16:44, 84:116].all()
    encoded = weights_of(sample, data.skeleton)
    assert not encoded.weights["segmentation"][4:6, 4:6].any()
    assert encoded.weights["heatmap"][:, 4:6, 4:6].all()


def test_pictures_of_nobody_and_missing_ones_are_left_out_unless_wanted(plain, write):
    plain["images"] += [
        {"id": 3, "file_name": "c.png", "height": 96, "width": 128},
        {"id": 4, "file_name": "b.png", "height": 96, "width": 128},
    ]
    path = write(plain)
    assert len(custom_coco(path)) == 2
    assert len(custom_coco(path, include_empty=True)) == 3, "c.png is not there"
    with pytest.raises(AnnotationError, match=r"None of the 2 labelled images .* such as a\.png"):
        custom_coco(path, path.parent / "elsewhere")
    (path.parent / "labels").mkdir()
    moved = path.rename(path.parent / "labels" / "labels.json")
    assert len(custom_coco(moved)) == 2, "found one folder up"


def test_a_picture_of_another_size_than_stated_is_refused(plain, write):
    path = write(plain)
    Image.new("RGB", (64, 48)).save(path.parent / "a.png")
    data = custom_coco(path)
    with pytest.raises(AnnotationError, match="image 1"):
        sample_of(data, "a.png")


def test_masks_alone_teach_no_joint(plain, write):
    data = coco_masks(write(plain))
    assert not data.annotated_joints.any()
    sample = sample_of(data, "a.png")
    assert (sample.people.keypoint_scores == 0).all()
    assert np.asarray(sample.people.masks).any(axis=(1, 2)).all()
    assert sample.people.skeleton is COCO17


def test_own_joints_go_onto_another_skeleton_by_name(plain, write):
    data = custom_coco(write(plain), skeleton=COCO17)
    assert data.annotated_joints.tolist() == [True] * 5 + [False] * 12
    people = sample_of(data, "a.png").people
    assert people.keypoints[0, COCO17.index("left_ear")].tolist() == [52.5, 32.5]
    plain["categories"][0]["keypoints"] = ["tail", "paw", "back", "belly", "tongue"]
    with pytest.raises(AnnotationError, match="none of which is a joint of coco17"):
        custom_coco(write(plain), skeleton=COCO17)


def test_places_without_visibility_are_unsure_on_the_target_skeleton(plain, write):
    plain["annotations"][1]["keypoints"][9:12] = [72, 42, 0]
    sample = sample_of(custom_coco(write(plain), skeleton=COCO17), "b.png")
    assert sample.uncertain.tolist() == [[COCO17.index("left_ear"), 72.5, 42.5]]
    assert len(sample_of(coco_masks(write(plain)), "b.png").uncertain) == 0


@pytest.mark.parametrize("target", [COCO17, LSP14, OPENPOSE18, OCHUMAN19], ids=lambda skeleton: skeleton.name)
def test_what_a_set_cannot_know_is_unknown_and_the_rest_is_copied(target):
    """CrowdPose onto any skeleton and back: common joints return, the others have score 0."""
    from poseg.people import People

    rng = np.random.default_rng(0)
    people = People.from_poses(CROWDPOSE14, rng.uniform(0, 99, (3, 14, 2)), np.ones((3, 14)))
    there = people.remap_to(target)
    common = [j for j in CROWDPOSE14.joints if j in target.joints]
    back = there.remap_to(CROWDPOSE14)
    for joint in common:
        place = CROWDPOSE14.index(joint)
        np.testing.assert_array_equal(back.keypoints[:, place], people.keypoints[:, place])
        assert (there.keypoint_scores[:, target.index(joint)] == 1).all()
    strangers = [target.index(j) for j in target.joints if j not in CROWDPOSE14.joints]
    assert (there.keypoint_scores[:, strangers] == 0).all()


def unpack(tmp_path: Path, sample: str, file: str, place: str) -> Path:
    """The layout of a published set, made of its samples."""
    for folder in ("images", Path(place).parent):
        (tmp_path / folder).mkdir(exist_ok=True, parents=True)
    (tmp_path / place).write_bytes((SAMPLES / sample / file).read_bytes())
    for picture in (SAMPLES / sample).glob("*.jpg"):
        (tmp_path / "images" / picture.name).symlink_to(picture)
    return tmp_path


@needs_samples
def test_crowdpose_gives_twelve_of_cocos_joints(tmp_path):
    folder = unpack(tmp_path, "crowdpose", "test_crowdpose.json", "json/crowdpose_train.json")
    data = DATASETS["crowdpose_train"](folder)
    assert (len(data), data.exhaustive, data.annotated_joints.sum(), data.skeleton) == (2, False, 12, COCO17)
    sample = sample_of(data, "106848.jpg")
    assert len(sample.people) == 2, "the third person is a box alone"
    assert sample.ignore.any()
    shoulder = sample.people.keypoints[0, COCO17.index("right_shoulder")]
    assert shoulder.tolist() == [208.5, 108.5]
    assert crowdpose(folder, skeleton=CROWDPOSE14).annotated_joints.all()


@needs_samples
def test_ochuman_in_cocos_format(tmp_path):
    folder = unpack(tmp_path, "ochuman", "test_ochuman.json", "ochuman_coco_format_val_range_0.00_1.00.json")
    data = ochuman(folder)
    assert (len(data), data.exhaustive, data.annotated_joints.all()) == (3, True, True)
    sample = data[0]
    assert np.asarray(sample.people.masks).any(axis=(1, 2)).all()


def test_ochuman_in_its_own_layout(tmp_path):
    keypoints = [number for i in range(19) for number in (10 + i, 20 + i, 1 + i % 3)]
    square = [8, 10, 28, 10, 28, 50, 8, 50]
    both = {"bbox": [8, 10, 28, 50], "keypoints": keypoints, "segms": {"outer": [square], "inner": []}}
    boxed = {"bbox": [50, 20, 70, 40], "keypoints": None, "segms": None}
    image = {"image_id": "7", "file_name": "7.png", "height": 60, "width": 80, "annotations": [both, boxed]}
    (tmp_path / "ochuman.json").write_text(json.dumps({"keypoint_names": [], "images": [image]}))
    (tmp_path / "images").mkdir()
    Image.new("RGB", (80, 60)).save(tmp_path / "images" / "7.png")
    for skeleton, joints in ((COCO17, 17), (OCHUMAN19, 19)):
        data = ochuman(tmp_path, skeleton=skeleton)
        sample = data[0]
        assert (len(sample.people), int((sample.people.keypoint_scores > 0).sum())) == (1, joints)
        assert sample.ignore.sum() == sample.ignore[20:40, 50:70].sum() == 400
    with pytest.raises(AnnotationError, match="None of the 0 labelled images"):
        ochuman(tmp_path, "test")


@needs_coco
def test_coco_persons_are_those_of_the_file():
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
def test_a_folder_without_the_set_is_refused_with_a_sentence(name, tmp_path):
    with pytest.raises(AnnotationError, match=r"give the folder of"):
        DATASETS[name](tmp_path)


def test_a_file_of_other_things_is_refused(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps([1]))
    with pytest.raises(AnnotationError, match="a list is a result file"):
        custom_coco(tmp_path / "x.json")
