"""Leeds Sports Pose as samples, and one error message for each invalid folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from poseg.datasets.lsp import Lsp, lsp_to_coco, read_joints
from poseg.errors import AnnotationError, ImageError
from poseg.skeletons import COCO17

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def damaged(path):
    np.savez(path, joints=np.zeros((3, 14, 3)))
    path.write_bytes(path.read_bytes()[:300])


def one_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros((3, 14, 3)))


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda path: None, r"There is no .*joints\.npz; give the folder of LSP or LSPET, with joints\.npz"),
        (lambda path: path.touch(), "Cannot read .*: No data left in file"),
        (lambda path: path.write_text("x"), "Cannot read"),
        (lambda path: path.mkdir(), "Cannot read .*directory"),
        (damaged, "Cannot read .*: File is not a zip file"),
        (one_array, "Cannot read"),
        (lambda path: np.savez(path, places=np.zeros((3, 14, 3))), "Cannot read the array `joints`"),
        (lambda path: np.savez(path, joints=np.array([["a"]])), "Cannot read .*could not convert"),
        (lambda path: np.savez(path, joints=np.zeros((3, 13, 3))), r"shape \(3, 13, 3\), expected \(images, 14, 3\)"),
        (lambda path: np.savez(path, joints=np.zeros((0, 14, 3))), r"shape \(0, 14, 3\)"),
        (lambda path: np.savez(path, joints=np.full((3, 14, 3), np.inf)), "infinity among the joints of image 1"),
    ],
    ids=["none", "empty", "text", "folder", "damaged", "array", "key", "letters", "joints", "no people", "infinite"],
)
def test_invalid_folders_are_reported(tmp_path, make, complaint):
    make(tmp_path / "joints.npz")
    for read in (lsp_to_coco, lambda folder: Lsp("lsp", folder, "im{:04d}.jpg", 1, 1000, include_occluded=True)):
        with pytest.raises(AnnotationError, match=complaint) as error:
            read(tmp_path)
        assert "\n" not in str(error.value)


def test_missing_image_is_reported(tmp_path):
    np.savez(tmp_path / "joints.npz", joints=np.ones((3, 14, 3)))
    data = Lsp("lsp", tmp_path, "im{:04d}.jpg", 2, 1000, include_occluded=True)
    assert (len(data), len(read_joints(tmp_path))) == (2, 3)
    with pytest.raises(ImageError, match=r"im0003\.jpg"):
        data[1]


@pytest.mark.skipif(not (SHARED / "lsp").exists(), reason="needs the LSP photographs beside the repository")
def test_lsp_has_twelve_of_cocos_joints():
    data = Lsp("lsp", SHARED / "lsp", "im{:04d}.jpg", 1, 1000, include_occluded=True)
    assert len(data) == 1000
    assert data.annotated_joints.sum() == 12
    sample = data[0]
    assert (sample.people.keypoint_scores[0] > 0).sum() == 12
    assert not sample.people.keypoint_scores[0, : COCO17.index("left_shoulder")].any()
    raw = np.load(SHARED / "lsp" / "joints.npz")["joints"][0]
    np.testing.assert_allclose(sample.people.keypoints[0, COCO17.index("right_ankle")], raw[0, :2] + 0.5, atol=1e-4)
