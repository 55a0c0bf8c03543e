"""Laws of PersonLab's decoder: what was painted is read back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from poseg.codecs import CODECS, CORAL, DEFAULT, PAPER, TFJS, PersonLabCodec, PersonLabDecoder
from poseg.codecs.flip_fusion import flip_fields
from poseg.errors import FieldError, PosegError
from poseg.fields import Fields, sigmoid
from poseg.people import People
from poseg.skeletons import COCO17, LSP14

Crowd = Callable[..., People]


def gaps(found: People, truth: People) -> np.ndarray:
    """Distance (N, K) of each joint from the nearest true person's; every true person must have been found once."""
    apart = np.linalg.norm(found.keypoints[:, None] - truth.keypoints[None], axis=3)
    match = apart.mean(axis=2).argmin(axis=1)
    assert sorted(match) == list(range(len(truth)))
    return apart[np.arange(len(found)), match]


def ious(found: People, truth: People) -> np.ndarray:
    """IoU of each found mask with the true mask it overlaps most."""
    both = np.einsum("nhw,mhw->nm", np.asarray(found.masks).astype(float), np.asarray(truth.masks).astype(float))
    sizes = np.asarray(found.masks).sum(axis=(1, 2))[:, None] + np.asarray(truth.masks).sum(axis=(1, 2))
    return (both / (sizes - both)).max(axis=1)


@pytest.mark.parametrize("stride", [8, 16])
@pytest.mark.parametrize("n", [1, 2, 5, 12])
def test_people_painted_are_people_read(crowd: Crowd, stride: int, n: int) -> None:
    truth = crowd(n, (401, 401), 120)
    codec = PersonLabCodec(stride=stride)
    found = codec.decode(codec.encode(truth, (401, 401)).as_fields())
    assert gaps(found, truth).max() < 0.1
    assert found.keypoint_scores.min() > 0.99
    assert found.scores.min() > 0.8  # cells on an outline are sure by half
    assert (np.diff(found.scores) <= 0).all()
    assert found.masks.shape == (n, 401, 401)
    assert np.asarray(found.masks).sum(axis=0).max() == 1


@pytest.mark.parametrize("preset", [TFJS, CORAL], ids=["tfjs", "coral"])
def test_the_published_decoders_read_them_too(crowd: Crowd, preset: PersonLabDecoder) -> None:
    truth = crowd(3, (401, 401), 120)
    codec = PersonLabCodec()
    found = codec.decode(codec.encode(truth, (401, 401)).as_fields(), preset)
    sure = found[found.scores > 0.9]
    assert gaps(sure, truth).max() < 0.1
    assert ious(sure, truth).min() > 0.6


@pytest.mark.parametrize(("stride", "radius"), [(8, 101.3), (16, 180.7)])
def test_masks_that_the_grid_can_show_come_back(stride: int, radius: float) -> None:
    size, rows = (417, 417), np.arange(417)
    centre = np.array([205.3, 211.9], np.float32)
    disk = np.hypot(rows[None] + 0.5 - centre[0], rows[:, None] + 0.5 - centre[1]) <= radius
    turn = np.linspace(0, 2 * np.pi, 17, endpoint=False)
    joints = centre + 0.6 * radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    truth = People.from_poses(COCO17, joints[None], np.ones((1, 17)), masks=disk[None])
    codec = PersonLabCodec(stride=stride)
    found = codec.decode(codec.encode(truth, size).as_fields())
    assert ious(found, truth).min() > 0.99
    edges = np.concatenate([centre - radius, centre + radius])
    np.testing.assert_allclose(found.boxes_xyxy[0], edges, atol=stride / 6)


def test_touching_people_share_their_pixels_without_gap_or_overlap() -> None:
    """Two halves of one disk: away from the seam, where the grid cannot tell, every pixel has its owner."""
    size, rows = (257, 257), np.arange(257)
    disk = np.hypot(rows[None] - 128, rows[:, None] - 128) <= 90
    halves = np.stack([disk & (rows < 128), disk & (rows >= 128)])
    turn = np.linspace(0.2, 2 * np.pi, 17, endpoint=False)
    ring = 30 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    joints = ring + np.array([[[85, 128]], [[171, 128]]])
    codec = PersonLabCodec(stride=8)
    truth = People.from_poses(COCO17, joints, np.ones((2, 17)), masks=halves)
    found = codec.decode(codec.encode(truth, size).as_fields())
    order = found.keypoints[:, :, 0].mean(axis=1).argsort()
    assert not (found.masks[0] & found.masks[1]).any()
    seam = np.abs(rows - 127.5) < 8
    core = cv2.erode(disk.astype(np.uint8), np.ones((7, 7))).astype(bool)
    for mine, half in zip(found.masks[order], halves, strict=True):
        np.testing.assert_array_equal((mine & core)[:, ~seam], (half & core)[:, ~seam])
    assert (np.asarray(found.masks).any(axis=0) | ~core).all()


def test_a_person_larger_than_the_frame_is_read_as_far_as_it_is_in(crowd: Crowd) -> None:
    size = (257, 257)
    standing = crowd(1, size, 400)
    down = [0, 70]
    truth = replace(standing, keypoints=standing.keypoints + down, masks=np.roll(standing.masks, 70, axis=1))
    inside = ((truth.keypoints > 0) & (truth.keypoints < 257)).all(axis=2)
    assert 5 < inside.sum() < 15
    known = replace(truth, keypoint_scores=inside.astype(np.float32))
    codec = PersonLabCodec()
    found = codec.decode(codec.encode(known, size).as_fields())
    assert len(found) == 1
    assert np.abs(found.keypoints - truth.keypoints)[inside].max() < 0.1
    assert found.keypoint_scores[inside].min() > 0.99
    assert found.keypoint_scores[~inside].max() < 0.01
    assert ious(found, truth).min() > 0.9


def test_limbs_that_nobody_annotated_have_no_score_and_spoil_no_other(crowd: Crowd) -> None:
    truth = crowd(2, (257, 257), 130)
    seen = np.ones((2, 17), np.float32)
    seen[0, [9, 10]] = 0
    seen[1, [13, 15, 14, 16]] = 0
    codec = PersonLabCodec(stride=8)
    found = codec.decode(codec.encode(replace(truth, keypoint_scores=seen), (257, 257)).as_fields())
    order = found.keypoints[:, 0, 0].argsort()
    assert len(found) == 2
    assert np.linalg.norm(found.keypoints[order] - truth.keypoints, axis=2)[seen > 0].max() < 0.1
    np.testing.assert_allclose(found.keypoint_scores[order], seen, atol=0.01)


@pytest.mark.parametrize("stride", [8, 16])
def test_whole_cells_to_the_right_move_people_by_as_much(crowd: Crowd, stride: int) -> None:
    truth, shift = crowd(1, (257, 257), 110), 2 * stride
    moved = replace(truth, keypoints=truth.keypoints + np.array([shift, 0]), masks=np.roll(truth.masks, shift, axis=2))
    codec = PersonLabCodec(stride=stride)
    here, there = (codec.decode(codec.encode(people, (257, 257)).as_fields()) for people in (truth, moved))
    np.testing.assert_allclose(there.keypoints - here.keypoints, np.broadcast_to([shift, 0], (1, 17, 2)), atol=1e-2)
    np.testing.assert_array_equal(there.masks, np.roll(here.masks, shift, axis=2))
    np.testing.assert_allclose(there.boxes_xyxy - here.boxes_xyxy, [[shift, 0, shift, 0]])


def test_mirrored_fields_hold_mirrored_people(crowd: Crowd) -> None:
    codec = PersonLabCodec(stride=8)
    fields = codec.encode(crowd(3, (257, 257), 90), (257, 257)).as_fields()
    plain, mirrored = codec.decode(fields), codec.decode(flip_fields(fields, codec.flip_rules))
    flipped = plain.keypoints[:, COCO17.flip_index] * [-1, 1] + [257, 0]
    assert gaps(mirrored, replace(plain, keypoints=flipped)).max() < 0.01
    for mask in mirrored.masks:
        assert any((mask[:, ::-1] == other).mean() > 0.9999 for other in plain.masks)


def test_noise_on_mid_offsets_is_undone_by_one_step_of_short_offsets(crowd: Crowd) -> None:
    truth, rng = crowd(2, (257, 257), 130), np.random.default_rng(3)
    codec = PersonLabCodec(stride=8)
    fields = codec.encode(truth, (257, 257)).as_fields()
    noise = rng.uniform(-9, 9, fields["mid_offsets"].shape).astype(np.float32)
    noisy = Fields(fields.specs, {**fields.arrays, "mid_offsets": fields["mid_offsets"] + noise})
    assert gaps(codec.decode(noisy, replace(PAPER, mid_refine_steps=1)), truth).max() < 0.1
    assert gaps(codec.decode(noisy, replace(PAPER, mid_refine_steps=0)), truth).max() > 3


def test_without_mask_fields_there_are_poses_and_boxes_around_them(crowd: Crowd) -> None:
    truth = crowd(2)
    codec = PersonLabCodec(fields=("heatmap", "short_offsets", "mid_offsets"))
    assert [spec.name for spec in codec.specs] == ["heatmap", "short_offsets", "mid_offsets"]
    found = codec.decode(codec.encode(truth, (257, 257)).as_fields())
    assert found.masks is None
    order = found.keypoints[:, 0, 0].argsort()
    np.testing.assert_allclose(found.boxes_xyxy[order], truth.boxes_xyxy, atol=0.1)


def test_choices_do_what_they_say(crowd: Crowd) -> None:
    codec = PersonLabCodec()
    fields = codec.encode(crowd(6, (401, 401), 120), (401, 401)).as_fields()
    assert len(codec.decode(fields, replace(PAPER, max_people=4))) == 4
    assert len(codec.decode(fields, replace(PAPER, min_score=1.1))) == 0
    assert codec.decode(fields, replace(PAPER, masks=False)).masks is None
    both = codec.decode(fields, replace(PAPER, exclusive_masks=False, max_assignment_distance=1e9)).masks
    assert (both == both.any(axis=0)).all()
    assert len(codec.decode(fields, replace(PAPER, instance_nms="oks"))) == 6


def test_a_person_is_scored_by_pose_and_mask_together(crowd: Crowd) -> None:
    codec = PersonLabCodec(stride=8)
    fields = codec.encode(crowd(4, (401, 401), 120), (401, 401)).as_fields()
    posed = codec.decode(fields, replace(DEFAULT, instance_score="pose"))
    both = codec.decode(fields, DEFAULT)
    same = [int(np.abs(posed.keypoints - one).sum(axis=(1, 2)).argmin()) for one in both.keypoints]
    assert sorted(same) == [0, 1, 2, 3]
    np.testing.assert_array_equal(both.masks, posed.masks[same])
    person = sigmoid(fields["segmentation"])
    sure = [person[mask[::8, ::8]].mean() for mask in both.masks]
    least, most = np.sqrt(posed.scores[same] * np.square(sure) / 2), np.sqrt(posed.scores[same] * np.square(sure))
    assert ((both.scores > least) & (both.scores <= most + 1e-5)).all()
    assert (np.diff(both.scores) <= 0).all()
    for threshold in both.scores:  # whoever reaches the threshold in the end was not left out before
        kept = codec.decode(fields, replace(DEFAULT, min_score=float(threshold)))
        np.testing.assert_array_equal(kept.scores, both.scores[both.scores >= threshold])


def test_a_pose_without_person_pixels_comes_last_and_may_be_left_out(crowd: Crowd) -> None:
    truth, codec = crowd(3, (401, 401), 120), PersonLabCodec(stride=8)
    fields = codec.encode(truth, (401, 401)).as_fields()
    person = fields["segmentation"].copy()
    person[np.asarray(truth.masks)[1, ::8, ::8]] = -9
    ghostly = Fields(fields.specs, {**fields.arrays, "segmentation": person})
    found = codec.decode(ghostly, replace(DEFAULT, min_score=0.0))
    assert np.linalg.norm(found.keypoints[-1] - truth.keypoints[1], axis=1).max() < 0.1
    assert found.scores[-1] < 0.5 < found.scores[-2]
    assert len(codec.decode(ghostly, replace(DEFAULT, min_score=0.5))) == 2
    assert len(codec.decode(ghostly, replace(DEFAULT, min_score=0.5, instance_score="pose"))) == 3


def test_nobody_is_found_in_empty_fields() -> None:
    codec = PersonLabCodec()
    for preset in (DEFAULT, PAPER, TFJS, CORAL):
        found = codec.decode(codec.encode(People.empty(COCO17), (129, 161)).as_fields(), preset)
        assert found.masks.shape == (0, 129, 161)


def test_hough_maps_have_their_peaks_at_the_joints(crowd: Crowd) -> None:
    truth, codec = crowd(1), PersonLabCodec()
    maps = codec.hough_maps(codec.encode(truth, (257, 257)).as_fields(), stride_px=2)
    assert maps.shape == (17, 129, 129)
    row, column = np.divmod(maps.reshape(17, -1).argmax(axis=1), 129)
    np.testing.assert_allclose(np.stack([column, row], axis=1) * 2 + 0.5, truth.keypoints[0], atol=1.01)


def test_a_skeleton_without_measured_spreads_is_decoded_too() -> None:
    points = np.stack([np.linspace(40, 200, 14), np.linspace(200, 50, 14) + 20 * (np.arange(14) % 2)], axis=1)
    codec = PersonLabCodec(skeleton=LSP14, stride=8)
    truth = People.from_poses(LSP14, points[None], np.ones((1, 14)))
    found = codec.decode(codec.encode(truth, (257, 257)).as_fields())
    np.testing.assert_allclose(found.keypoints, truth.keypoints, atol=0.1)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_fields_that_are_not_finite_are_refused(crowd: Crowd, value: float) -> None:
    codec = PersonLabCodec()
    fields = codec.encode(crowd(1), (257, 257)).as_fields()
    broken = fields["short_offsets"].copy()
    broken[0, 0, 0, 0] = value
    with pytest.raises(FieldError, match="short_offsets"):
        codec.decode(Fields(fields.specs, {**fields.arrays, "short_offsets": broken}))


def test_settings_survive_the_card() -> None:
    codec = PersonLabCodec(LSP14, 8, 24.0, ("heatmap", "short_offsets", "mid_offsets"))
    plain = codec.to_dict()
    assert plain == {"stride": 8, "disk_radius_px": 24.0, "fields": ["heatmap", "short_offsets", "mid_offsets"]}
    assert CODECS["personlab"].from_dict(plain, LSP14) == codec


@pytest.mark.parametrize("plain", [{}, {"stride": "x", "disk_radius_px": 32, "fields": []}])
def test_settings_that_lack_something_are_refused(plain: dict[str, object]) -> None:
    with pytest.raises(FieldError, match="export"):
        PersonLabCodec.from_dict(plain, COCO17)


@pytest.mark.parametrize("fields", [("heatmap",), ("heatmap", "short_offsets", "mid_offsets", "paf")])
def test_a_codec_without_pose_fields_or_with_strange_ones_is_refused(fields: tuple[str, ...]) -> None:
    with pytest.raises(FieldError, match="PersonLab reads"):
        PersonLabCodec(fields=fields)


def test_a_word_that_is_no_choice_is_refused() -> None:
    with pytest.raises(PosegError, match="'hough' or 'cell'"):
        replace(PAPER, seed_source="guess")
