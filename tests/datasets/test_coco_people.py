"""CocoPeople: what is learnt from crowds, people without joints, masks or both; pseudo-labels; custom files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from poseg.codecs.personlab import PersonLabCodec
from poseg.datasets import coco_masks, custom_coco
from poseg.datasets.coco_people import CocoPeople, pseudo_labels
from poseg.errors import AnnotationError
from poseg.skeletons import COCO17, CROWDPOSE14, LSP14, OCHUMAN19, OPENPOSE18


def sample_of(data, name):
    return next(data[i] for i in range(len(data)) if data.sample_id(i).endswith(name))


def weights_of(sample, skeleton):
    """Loss weights of heatmap and segmentation on the grid of every eighth pixel."""
    codec = PersonLabCodec(skeleton, stride=8)
    height, width = sample.image.shape[:2]
    size = (height - 1) // 8 * 8 + 1, (width - 1) // 8 * 8 + 1
    people = replace(sample.people, masks=sample.people.masks.crop((0, 0, size[1], size[0])))
    return codec.encode(people, size, sample.ignore[: size[0], : size[1]])


def test_crowds_are_ignored_and_masks_without_joints_have_no_negatives(plain, write):
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


def test_box_only_is_ignored_and_joints_without_mask_leave_the_box_unknown(plain, write):
    boxed, bare = plain["annotations"][2], plain["annotations"][0]
    del boxed["segmentation"], bare["segmentation"]
    data = custom_coco(write(plain))
    sample = sample_of(data, "a.png")
    assert len(sample.people) == 1
    assert sample.ignore[16:44, 84:116].all()
    encoded = weights_of(sample, data.skeleton)
    assert not encoded.weights["segmentation"][4:6, 4:6].any()
    assert encoded.weights["heatmap"][:, 4:6, 4:6].all()


def test_images_without_people_or_file_are_left_out(plain, write):
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


def test_image_of_another_size_is_rejected(plain, write):
    path = write(plain)
    Image.new("RGB", (64, 48)).save(path.parent / "a.png")
    data = custom_coco(path)
    with pytest.raises(AnnotationError, match="image 1"):
        sample_of(data, "a.png")


def test_coco_masks_annotates_no_joint(plain, write):
    data = coco_masks(write(plain))
    assert not data.annotated_joints.any()
    sample = sample_of(data, "a.png")
    assert (sample.people.keypoint_scores == 0).all()
    assert np.asarray(sample.people.masks).any(axis=(1, 2)).all()
    assert sample.people.skeleton is COCO17


def test_custom_joints_are_remapped_by_name(plain, write):
    data = custom_coco(write(plain), skeleton=COCO17)
    assert data.annotated_joints.tolist() == [True] * 5 + [False] * 12
    people = sample_of(data, "a.png").people
    assert people.keypoints[0, COCO17.index("left_ear")].tolist() == [52.5, 32.5]
    plain["categories"][0]["keypoints"] = ["tail", "paw", "back", "belly", "tongue"]
    with pytest.raises(AnnotationError, match="none of which is a joint of coco17"):
        custom_coco(write(plain), skeleton=COCO17)


def test_joints_without_visibility_are_uncertain_on_the_target_skeleton(plain, write):
    plain["annotations"][1]["keypoints"][9:12] = [72, 42, 0]
    sample = sample_of(custom_coco(write(plain), skeleton=COCO17), "b.png")
    assert sample.uncertain.tolist() == [[COCO17.index("left_ear"), 72.5, 42.5]]
    assert len(sample_of(coco_masks(write(plain)), "b.png").uncertain) == 0


@pytest.mark.parametrize("target", [COCO17, LSP14, OPENPOSE18, OCHUMAN19], ids=lambda skeleton: skeleton.name)
def test_remapping_copies_common_joints_and_leaves_the_others_unannotated(target):
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


def test_other_json_is_rejected(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps([1]))
    with pytest.raises(AnnotationError, match="a list is a result file"):
        custom_coco(tmp_path / "x.json")


def folder(tmp_path: Path) -> CocoPeople:
    Image.new("RGB", (40, 40), (9, 9, 9)).save(tmp_path / "a.png")
    keypoints = [10, 20, 2, 12, 18, 1, *[5, 5, 0] * 2, *[0, 0, 0] * 13]
    annotations = [
        {"id": 1, "image_id": 1, "bbox": [4, 4, 20, 30], "keypoints": keypoints, "score": 0.9,
         "segmentation": [[4, 4, 24, 4, 24, 34, 4, 34]]},
        {"id": 2, "image_id": 1, "bbox": [30, 30, 20, 20], "ignore": 1},
        {"id": 3, "image_id": 1, "bbox": [60, 2, 10, 10], "keypoints": keypoints, "score": 0.1},
    ]  # fmt: skip
    images = [{"id": 1, "file_name": "a.png", "width": 80, "height": 60}, {"id": 2, "file_name": "b.png"}]
    for record in annotations:
        record["category_id"] = 1
    categories = [{"id": 1, "name": "person"}]
    plain = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "ann.json").write_text(json.dumps(plain))
    return pseudo_labels("made", tmp_path / "ann.json", tmp_path, exhaustive=False, min_score=0.2)


def test_pseudo_labels_resize_and_ignore_low_scores(tmp_path):
    data = folder(tmp_path)
    assert len(data) == 1, "images without people or without a file are left out"
    sample = data[0]
    assert sample.image.shape == (60, 80, 3)
    assert len(sample.people) == 1
    np.testing.assert_allclose(sample.people.keypoints[0, 0], [10.5, 20.5])
    assert sample.people.keypoint_scores[0].sum() == 1, "only the joint of visibility 2 counts"
    assert sample.people.masks is not None
    assert np.asarray(sample.people.masks)[0].sum() == 600
    assert sample.ignore is not None
    assert sample.ignore[40, 40], "marked ignore"
    assert sample.ignore[5, 65], "scored below the least score"
    assert not sample.ignore[10, 10]
    assert data.sample_id(0) == "made/a.png"
    placed = sample.uncertain[sample.uncertain[:, 1] < 40]
    np.testing.assert_allclose(placed[:3], [[1, 12.5, 18.5], [2, 5.5, 5.5], [3, 5.5, 5.5]])


def test_prefixes_select_images(tmp_path):
    folder(tmp_path)
    for prefix in ("a", ""):
        assert len(pseudo_labels("m", tmp_path / "ann.json", tmp_path, exhaustive=False, prefixes=("b", prefix))) == 1
    with pytest.raises(AnnotationError, match="None of the 0 labelled images"):
        pseudo_labels("m", tmp_path / "ann.json", tmp_path, exhaustive=False, prefixes=("b",))
