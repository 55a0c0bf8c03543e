"""A lesson moves with the picture, survives the disk, and fills only what labels leave open."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from poseg.codecs.personlab import PersonLabCodec
from poseg.geometry import affine
from poseg.people import People
from poseg.skeletons import COCO17
from poseg.training.distill import LONG_WEIGHT, Lesson, blend
from poseg.transforms.letterbox import letterbox

SIZE = (129, 161)
CODEC = PersonLabCodec(stride=8)


def people(masked: bool = True) -> People:
    points = np.full((1, 17, 2), np.nan, np.float32)
    points[0] = np.stack([np.linspace(50, 100, 17), np.linspace(30, 90, 17)], axis=1)
    masks = np.zeros((1, *SIZE), bool)
    masks[0, 20:100, 40:110] = masked
    return People.from_poses(COCO17, points, np.ones((1, 17)), masks=masks)


def lesson() -> Lesson:
    """What a perfect teacher of stride 16 says of the picture, seen at twice its size."""
    size = (257, 321)
    doubled = people()
    doubled = People.from_poses(
        COCO17, doubled.keypoints * 2, doubled.keypoint_scores,
        masks=doubled.masks.repeat(2, axis=1)[:, : size[0]].repeat(2, axis=2)[:, :, : size[1]],
    )  # fmt: skip
    masks = np.zeros((1, *size), bool)
    masks[0, : doubled.masks.shape[1], : doubled.masks.shape[2]] = doubled.masks[0]
    doubled = People.from_poses(COCO17, doubled.keypoints, doubled.keypoint_scores, masks=masks)
    fields = PersonLabCodec(stride=16).encode(doubled, size).as_fields()
    image = np.zeros((*SIZE, 3), np.uint8)
    _, box = letterbox(image, 321, size_divisor=16, size_offset=1, mean=(0, 0, 0), std=(1, 1, 1))
    return Lesson.from_fields(fields, box)


def test_a_lesson_points_at_the_same_joints_wherever_it_is_seen_from():
    for matrix in (affine.identity(), affine.similarity(0.8, 0.3, (80, 60), (70, 66), flip=True)):
        seen = lesson().seen_through(matrix, CODEC, CODEC.grid.shape(*SIZE))
        at = CODEC.grid.positions(*CODEC.grid.shape(*SIZE))
        target = affine.apply(matrix, people().keypoints[0])
        if np.linalg.det(matrix[:, :2]) < 0:
            target = target[COCO17.flip_index]
        # On the person's cells, away from the edge of its mask where neighbours disagree.
        on = seen.segmentation > 0.95
        assert on.sum() > 10
        for joint in (0, 5, 16):
            arrives = (at + seen.long_offsets[joint])[:, on]
            assert np.abs(arrives - target[joint][:, None]).max() < 4


def test_a_lesson_survives_the_disk(tmp_path):
    one = lesson()
    one.save(tmp_path / "a.npz")
    again = Lesson.read(tmp_path / "a.npz")
    np.testing.assert_allclose(again.long_offsets, one.long_offsets, rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(again.placement, one.placement)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.npz"]


def test_labels_win_and_the_teacher_fills_the_rest():
    cells = CODEC.grid.shape(*SIZE)
    inside = np.ones(cells, bool)
    seen = lesson().seen_through(affine.identity(), CODEC, cells)
    known = CODEC.encode(people(), SIZE)
    kept = blend(known, seen, inside, complete=True)
    for name in ("heatmap", "short_offsets", "mid_offsets"):
        np.testing.assert_array_equal(kept.weights[name], known.weights[name])
    np.testing.assert_array_equal(kept.targets["segmentation"], known.targets["segmentation"])

    maskless = CODEC.encode(people(masked=False), SIZE)
    filled = blend(maskless, seen, inside, complete=False)
    assert (filled.weights["segmentation"] == 1).all()
    assert np.abs(filled.targets["segmentation"] - known.targets["segmentation"]).mean() < 0.05
    assert set(np.unique(filled.weights["long_offsets"])) == {0.0, np.float32(LONG_WEIGHT)}
    nobody = CODEC.encode(People.empty(COCO17, SIZE), SIZE)
    doubted = blend(nobody, seen, inside, complete=False)
    assert doubted.weights["heatmap"][0, 4, 6] == 0, "the teacher sees a nose here, so it is no background"
    assert doubted.weights["heatmap"][0, 14, 18] > 0.9


def test_nothing_is_learned_from_padding():
    cells = CODEC.grid.shape(*SIZE)
    inside = np.ones(cells, bool)
    inside[:, 10:] = False
    seen = lesson().seen_through(affine.identity(), CODEC, cells)
    unknown = np.zeros(SIZE, bool)
    unknown[:, 80:] = True
    blended = blend(CODEC.encode(People.empty(COCO17, SIZE), SIZE, unknown), seen, inside, complete=False)
    assert blended.weights["segmentation"][:, 10:].max() == 0
    assert blended.weights["long_offsets"][:, :, 10:].max() == 0


@pytest.mark.parametrize("scale", [1.0, 0.75, 0.5])
def test_a_lesson_doubts_a_whole_disk_however_much_larger_the_teacher_saw_it(scale):
    # The teacher has another stride than the codec, and saw the picture twice as large.
    matrix = affine.similarity(scale, 0, (0, 0), (0, 0))
    seen = lesson().seen_through(matrix, CODEC, CODEC.grid.shape(*SIZE))
    at = CODEC.grid.positions(*CODEC.grid.shape(*SIZE))
    nose = affine.apply(matrix, people().keypoints[0, 0])
    distance = np.hypot(*(at - nose[:, None, None]))
    assert seen.heatmap[0][distance < CODEC.disk_radius_px - CODEC.stride].min() > 0.25
