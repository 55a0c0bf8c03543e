"""Teacher fields move with the image, survive the disk, and fill only what labels leave open."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from poseg.codecs.personlab import PersonLabCodec
from poseg.geometry import affine
from poseg.people import People
from poseg.skeletons import COCO17
from poseg.training.teacher import TEACHER_LONG_WEIGHT, TeacherFields, merge_teacher
from poseg.transforms.letterbox import letterbox

SIZE = (129, 161)
CODEC = PersonLabCodec(stride=8)


def people(masked: bool = True) -> People:
    points = np.full((1, 17, 2), np.nan, np.float32)
    points[0] = np.stack([np.linspace(50, 100, 17), np.linspace(30, 90, 17)], axis=1)
    masks = np.zeros((1, *SIZE), bool)
    masks[0, 20:100, 40:110] = masked
    return People.from_poses(COCO17, points, np.ones((1, 17)), masks=masks)


def teacher() -> TeacherFields:
    """The fields of a perfect teacher of stride 16 whose input is the image at twice its size."""
    size, one = (257, 321), people()
    masks = np.zeros((1, *size), bool)
    masks[0] = np.asarray(one.masks)[0].repeat(2, axis=0)[: size[0]].repeat(2, axis=1)[:, : size[1]]
    doubled = People.from_poses(COCO17, one.keypoints * 2, one.keypoint_scores, masks=masks)
    fields = PersonLabCodec(stride=16).encode(doubled, size).as_fields()
    image = np.zeros((*SIZE, 3), np.uint8)
    _, box = letterbox(image, 321, size_divisor=16, size_offset=1, mean=(0, 0, 0), std=(1, 1, 1))
    return TeacherFields.from_fields(fields, box)


def test_warped_offsets_point_at_the_same_joints():
    for matrix in (affine.identity(), affine.similarity(0.8, 0.3, (80, 60), (70, 66), flip=True)):
        warped = teacher().warped(matrix, CODEC, CODEC.grid.shape(*SIZE))
        at = CODEC.grid.positions(*CODEC.grid.shape(*SIZE))
        target = affine.apply(matrix, people().keypoints[0])
        if np.linalg.det(matrix[:, :2]) < 0:
            target = target[COCO17.flip_index]
        # On the person's cells, away from the edge of its mask where neighbours disagree.
        on = warped.segmentation > 0.95
        assert on.sum() > 10
        for joint in (0, 5, 16):
            arrives = (at + warped.long_offsets[joint])[:, on]
            assert np.abs(arrives - target[joint][:, None]).max() < 4


def test_save_and_read_are_inverse(tmp_path):
    one = teacher()
    one.save(tmp_path / "a.npz")
    again = TeacherFields.read(tmp_path / "a.npz")
    np.testing.assert_allclose(again.long_offsets, one.long_offsets, rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(again.cells_to_image, one.cells_to_image)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.npz"]


def test_merge_teacher_keeps_labels_and_fills_the_rest():
    cells = CODEC.grid.shape(*SIZE)
    on_image = np.ones(cells, bool)
    warped = teacher().warped(affine.identity(), CODEC, cells)
    labelled = CODEC.encode(people(), SIZE)
    kept = merge_teacher(labelled, warped, on_image, exhaustive=True)
    for name in ("heatmap", "short_offsets", "mid_offsets"):
        np.testing.assert_array_equal(kept.weights[name], labelled.weights[name])
    np.testing.assert_array_equal(kept.targets["segmentation"], labelled.targets["segmentation"])

    maskless = CODEC.encode(people(masked=False), SIZE)
    filled = merge_teacher(maskless, warped, on_image, exhaustive=False)
    assert (filled.weights["segmentation"] == 1).all()
    assert np.abs(filled.targets["segmentation"] - labelled.targets["segmentation"]).mean() < 0.05
    assert set(np.unique(filled.weights["long_offsets"])) == {0.0, np.float32(TEACHER_LONG_WEIGHT)}
    empty = CODEC.encode(People.empty(COCO17, SIZE), SIZE)
    discounted = merge_teacher(empty, warped, on_image, exhaustive=False)
    assert discounted.weights["heatmap"][0, 4, 6] == 0, "the teacher predicts a nose here, so it is no background"
    assert discounted.weights["heatmap"][0, 14, 18] > 0.9


def test_padding_has_no_weight():
    cells = CODEC.grid.shape(*SIZE)
    on_image = np.ones(cells, bool)
    on_image[:, 10:] = False
    warped = teacher().warped(affine.identity(), CODEC, cells)
    ignore = np.zeros(SIZE, bool)
    ignore[:, 80:] = True
    blended = merge_teacher(CODEC.encode(People.empty(COCO17, SIZE), SIZE, ignore), warped, on_image, exhaustive=False)
    assert blended.weights["segmentation"][:, 10:].max() == 0
    assert blended.weights["long_offsets"][:, :, 10:].max() == 0


@pytest.mark.parametrize("scale", [1.0, 0.75, 0.5])
def test_warped_heatmaps_cover_a_whole_disk_however_large_the_input_of_the_teacher_was(scale):
    # The teacher has another stride than the codec, and an input twice as large.
    matrix = affine.similarity(scale, 0, (0, 0), (0, 0))
    warped = teacher().warped(matrix, CODEC, CODEC.grid.shape(*SIZE))
    at = CODEC.grid.positions(*CODEC.grid.shape(*SIZE))
    nose = affine.apply(matrix, people().keypoints[0, 0])
    distance = np.hypot(*(at - nose[:, None, None]))
    assert warped.heatmap[0][distance < CODEC.disk_radius_px - CODEC.stride].min() > 0.25
