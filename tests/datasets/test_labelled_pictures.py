"""Data sets read what their files say, in continuous coordinates."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from poseg.datasets.coco_people import CocoPeople, pseudo_labels
from poseg.datasets.dataset import BackgroundImages
from poseg.datasets.lsp import Lsp
from poseg.errors import AnnotationError
from poseg.skeletons import COCO17

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


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


def test_a_labelled_folder_stretches_shifts_and_ignores(tmp_path):
    data = folder(tmp_path)
    assert len(data) == 1, "pictures without people or without a file are left out"
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


def test_pictures_are_chosen_by_the_beginning_of_their_name(tmp_path):
    folder(tmp_path)
    for prefix in ("a", ""):
        assert len(pseudo_labels("m", tmp_path / "ann.json", tmp_path, exhaustive=False, prefixes=("b", prefix))) == 1
    with pytest.raises(AnnotationError, match="None of the 0 labelled images"):
        pseudo_labels("m", tmp_path / "ann.json", tmp_path, exhaustive=False, prefixes=("b",))


def test_person_free_pictures_have_nobody(tmp_path):
    Image.new("RGB", (40, 30)).save(tmp_path / "x.jpg")
    sample = BackgroundImages("empty", tmp_path)[0]
    assert len(sample.people) == 0
    with pytest.raises(AnnotationError, match=r"no \.jpg"):
        BackgroundImages("empty", tmp_path / "nowhere")


@pytest.mark.skipif(not (SHARED / "lsp").exists(), reason="needs the LSP photographs beside the repository")
def test_lsp_maps_twelve_joints_to_coco():
    data = Lsp("lsp", SHARED / "lsp", "im{:04d}.jpg", 1, 1000, include_occluded=True)
    assert len(data) == 1000
    assert data.annotated_joints.sum() == 12
    sample = data[0]
    assert (sample.people.keypoint_scores[0] > 0).sum() == 12
    assert not sample.people.keypoint_scores[0, : COCO17.index("left_shoulder")].any()
    raw = np.load(SHARED / "lsp" / "joints.npz")["joints"][0]
    np.testing.assert_allclose(sample.people.keypoints[0, COCO17.index("right_ankle")], raw[0, :2] + 0.5, atol=1e-4)


def test_a_folder_that_is_not_lsp_is_refused(tmp_path):
    with pytest.raises(AnnotationError, match="folder of LSP"):
        Lsp("lsp", tmp_path, "im{:04d}.jpg", 1, 10, include_occluded=True)
