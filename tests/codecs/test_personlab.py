"""Laws of PersonLab's codec: targets (spec section 2), and decoding undoes encoding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.codecs import CODECS, CORAL, DEFAULT, PAPER, TFJS, PersonLabCodec, PersonLabDecoder
from poseg.codecs.flip_fusion import flip_fields
from poseg.errors import FieldError, PosegError, ShapeError
from poseg.fields import Fields, sigmoid
from poseg.people import People
from poseg.skeletons import COCO17, LSP14

Crowd = Callable[..., People]
SIZE = (129, 161)


# Targets.


def people(*persons: dict[str, tuple[float, float]], masks: np.ndarray | None = None) -> People:
    points = np.zeros((len(persons), 17, 2), np.float32)
    scores = np.zeros((len(persons), 17), np.float32)
    for i, joints in enumerate(persons):
        for name, point in joints.items():
            points[i, COCO17.index(name)], scores[i, COCO17.index(name)] = point, 1
    return People.from_poses(COCO17, points, scores, masks=masks)


def edge(source: str, target: str) -> int:
    pair = [COCO17.index(source), COCO17.index(target)]
    return int(np.flatnonzero((COCO17.edges == pair).all(axis=1))[0])


@given(
    st.sampled_from([8, 16]),
    st.floats(1, 160),
    st.floats(1, 128),
)
def test_heatmap_is_a_disk_and_short_offsets_point_at_its_joint(stride, x, y):
    codec = PersonLabCodec(stride=stride)
    encoded = codec.encode(people({"nose": (x, y)}), SIZE)
    at = codec.grid.positions(*codec.grid.shape(*SIZE))
    joint = np.array([x, y], np.float32)[:, None, None]
    inside = np.hypot(*(at - joint)) <= codec.disk_radius_px
    heat = encoded.targets["heatmap"]
    near_border = np.isclose(np.hypot(*(at - joint)), codec.disk_radius_px, atol=1e-3)
    assert ((heat[0] > 0) == inside)[~near_border].all()
    assert heat[1:].max() == 0
    arrives = at + encoded.targets["short_offsets"][0]
    np.testing.assert_allclose(arrives[:, heat[0] > 0], np.broadcast_to(joint, at.shape)[:, heat[0] > 0], atol=1e-3)


def test_short_offsets_point_at_the_nearest_of_two_joints():
    codec = PersonLabCodec(stride=8)
    encoded = codec.encode(people({"nose": (40.5, 64.5)}, {"nose": (72.5, 64.5)}), SIZE)
    row = 8
    arrives = codec.grid.positions(*codec.grid.shape(*SIZE))[0, row] + encoded.targets["short_offsets"][0, 0, row]
    np.testing.assert_allclose(arrives[2:7], 40.5)  # up to the centre, ties to the first
    np.testing.assert_allclose(arrives[8:12], 72.5)


def test_mid_offsets_lead_to_a_joint_of_the_same_person_that_is_annotated():
    codec = PersonLabCodec(stride=8)
    two = people(
        {"nose": (40.5, 40.5), "left_eye": (60.5, 30.5)},
        {"nose": (120.5, 80.5)},
    )
    encoded = codec.encode(two, SIZE)
    to_eye = edge("nose", "left_eye")
    weight = encoded.weights["mid_offsets"][to_eye]
    at = codec.grid.positions(*codec.grid.shape(*SIZE))
    arrives = (at + encoded.targets["mid_offsets"][to_eye])[:, weight > 0]
    np.testing.assert_allclose(arrives, np.broadcast_to([[60.5], [30.5]], arrives.shape), atol=1e-3)
    assert weight[10, 15] == 0, "the second person's eye is not annotated"
    assert encoded.targets["heatmap"][0, 10, 15] == 1
    assert encoded.weights["mid_offsets"][edge("left_eye", "nose")].sum() > 0
    assert encoded.weights["mid_offsets"][edge("nose", "left_shoulder")].sum() == 0


def test_long_offsets_count_in_exactly_one_mask_and_for_annotated_joints():
    codec = PersonLabCodec(stride=8)
    masks = np.zeros((2, *SIZE), bool)
    masks[0, 20:100, 20:90] = True
    masks[1, 20:100, 70:140] = True
    encoded = codec.encode(
        people({"nose": (40.5, 40.5)}, {"nose": (110.5, 40.5), "left_hip": (112, 90)}, masks=masks), SIZE
    )
    weight, hip = encoded.weights["long_offsets"], COCO17.index("left_hip")
    assert weight[0, 5, 4] == 1
    assert weight[0, 5, 16] == 1
    assert weight[0, 5, 10] == 0, "two masks overlap here"
    assert weight[hip, 5, 4] == 0, "the first person's hip is not annotated"
    assert weight[hip, 5, 16] == 1
    assert weight[0, 0, 0] == 0, "background"
    at = codec.grid.positions(*codec.grid.shape(*SIZE))
    np.testing.assert_allclose((at + encoded.targets["long_offsets"][0])[:, 5, 16], [110.5, 40.5], atol=1e-3)


def test_weights_follow_the_table_of_what_is_ignored():
    codec = PersonLabCodec(stride=8)
    masks = np.zeros((2, *SIZE), bool)
    masks[0, :64, :64] = True
    crowd = np.zeros(SIZE, bool)
    crowd[100:] = True
    jointless = people({}, {"nose": (120.5, 40.5)}, masks=masks)
    encoded = codec.encode(jointless, SIZE, crowd)
    heat, person, long = (encoded.weights[name] for name in ("heatmap", "segmentation", "long_offsets"))
    assert (heat[:, 2, 2] == 0).all(), "a person without joints may have them anywhere in the mask"
    assert person[2, 2] == 1
    assert encoded.targets["segmentation"][2, 2] == 1, "but the mask is known to the segmentation"
    assert long[:, 2, 2].max() == 0
    assert (heat[:, 14, 4] == 0).all()
    assert person[14, 4] == 0
    assert person[5, 15] == 0 or encoded.targets["segmentation"][5, 15] == 0
    assert heat[0, 5, 12] == 1


def test_segmentation_ignores_the_box_of_a_person_without_a_mask():
    codec = PersonLabCodec(stride=8)
    masks = np.zeros((1, *SIZE), bool)
    encoded = codec.encode(people({"nose": (20, 20), "left_ankle": (80, 100)}, masks=masks), SIZE)
    assert encoded.weights["segmentation"][6, 6] == 0
    assert encoded.weights["segmentation"][6, 16] == 1


def test_segmentation_is_the_fraction_of_the_cell_that_is_covered():
    codec = PersonLabCodec(stride=8)
    masks = np.zeros((1, *SIZE), bool)
    masks[0, :, :64] = True
    covered = codec.encode(people({"nose": (20, 20)}, masks=masks), SIZE).targets["segmentation"]
    assert (covered[:, :7] == 1).all()
    assert (covered[:, 9:] == 0).all()
    np.testing.assert_allclose(covered[4, 8], 4 / 9, atol=1e-6)  # pixels 60..68 around pixel 64, four of nine inside


def test_encode_of_no_people_is_background():
    encoded = PersonLabCodec().encode(People.empty(COCO17, SIZE), SIZE)
    assert encoded.targets["heatmap"].max() == 0
    assert encoded.weights["heatmap"].min() == 1
    assert encoded.weights["segmentation"].min() == 1
    assert encoded.weights["long_offsets"].max() == 0


def test_fields_of_targets_have_the_shapes_of_the_specs():
    codec = PersonLabCodec(stride=16)
    fields = codec.encode(people({"nose": (20, 20)}), SIZE).as_fields()
    assert fields.shape_hw == (9, 11)
    assert sum(spec.channels for spec in codec.specs) == 150


def test_encode_rejects_masks_of_another_size():
    with pytest.raises(ShapeError, match=r"people\.masks"):
        PersonLabCodec().encode(people({"nose": (2, 2)}, masks=np.zeros((1, 10, 10), bool)), SIZE)


@pytest.mark.parametrize("stride", [8, 16])
def test_heatmap_ignores_positions_where_a_joint_may_be(stride):
    codec = PersonLabCodec(stride=stride)
    one = people({"nose": (40, 60), "left_ear": (60, 60)})
    nose, ear = COCO17.index("nose"), COCO17.index("left_ear")
    certain = codec.encode(one, SIZE)
    uncertain = codec.encode(one, SIZE, uncertain=np.array([[nose, 110, 60], [nose, 45, 60]], np.float32))
    at = codec.grid.positions(*codec.grid.shape(*SIZE))
    near = (np.hypot(at[0] - 110, at[1] - 60) <= 32) | (np.hypot(at[0] - 45, at[1] - 60) <= 32)
    labelled = certain.targets["heatmap"][nose] > 0
    np.testing.assert_array_equal(uncertain.weights["heatmap"][nose] == 0, near & ~labelled)
    np.testing.assert_array_equal(uncertain.weights["heatmap"][ear], certain.weights["heatmap"][ear])
    for name, target in certain.targets.items():
        np.testing.assert_array_equal(uncertain.targets[name], target)


# Decoding.


def gaps(found: People, truth: People) -> np.ndarray:
    """Distance (N, K) of each joint from the nearest true person's; each true person must be detected once."""
    apart = np.linalg.norm(found.keypoints[:, None] - truth.keypoints[None], axis=3)
    match = apart.mean(axis=2).argmin(axis=1)
    assert sorted(match) == list(range(len(truth)))
    return apart[np.arange(len(found)), match]


def ious(found: People, truth: People) -> np.ndarray:
    """IoU of each mask with the true mask it overlaps most."""
    return found.masks.iou(truth.masks).max(axis=1)


@pytest.mark.parametrize("stride", [8, 16])
@pytest.mark.parametrize("n", [1, 2, 5, 12])
def test_decode_of_encode_gives_the_people(crowd: Crowd, stride: int, n: int) -> None:
    truth = crowd(n, (401, 401), 120)
    codec = PersonLabCodec(stride=stride)
    found = codec.decode(codec.encode(truth, (401, 401)).as_fields())
    assert gaps(found, truth).max() < 0.1
    assert found.keypoint_scores.min() > 0.99
    assert found.scores.min() > 0.8  # cells at an edge have half the probability
    assert (np.diff(found.scores) <= 0).all()
    assert found.masks.shape == (n, 401, 401)
    assert np.asarray(found.masks).sum(axis=0).max() == 1


@pytest.mark.parametrize("preset", [TFJS, CORAL], ids=["tfjs", "coral"])
def test_published_settings_decode_the_people_too(crowd: Crowd, preset: PersonLabDecoder) -> None:
    truth = crowd(3, (401, 401), 120)
    codec = PersonLabCodec()
    found = codec.decode(codec.encode(truth, (401, 401)).as_fields(), preset)
    confident = found[found.scores > 0.9]
    assert gaps(confident, truth).max() < 0.1
    assert ious(confident, truth).min() > 0.6


@pytest.mark.parametrize(("stride", "radius"), [(8, 101.3), (16, 180.7)])
def test_decode_gives_masks_that_the_grid_can_show(stride: int, radius: float) -> None:
    size, rows = (417, 417), np.arange(417)
    centre = np.array([205.3, 211.9], np.float32)
    disk = np.hypot(rows[None] + 0.5 - centre[0], rows[:, None] + 0.5 - centre[1]) <= radius
    angle = np.linspace(0, 2 * np.pi, 17, endpoint=False)
    joints = centre + 0.6 * radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    truth = People.from_poses(COCO17, joints[None], np.ones((1, 17)), masks=disk[None])
    codec = PersonLabCodec(stride=stride)
    found = codec.decode(codec.encode(truth, size).as_fields())
    assert ious(found, truth).min() > 0.99
    edges = np.concatenate([centre - radius, centre + radius])
    np.testing.assert_allclose(found.boxes_xyxy[0], edges, atol=stride / 6)


def test_decode_splits_touching_people_without_gap_or_overlap() -> None:
    """Two halves of one disk: away from the seam, where the grid cannot tell, every pixel belongs to its person."""
    size, rows = (257, 257), np.arange(257)
    disk = np.hypot(rows[None] - 128, rows[:, None] - 128) <= 90
    halves = np.stack([disk & (rows < 128), disk & (rows >= 128)])
    angle = np.linspace(0.2, 2 * np.pi, 17, endpoint=False)
    ring = 30 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    joints = ring + np.array([[[85, 128]], [[171, 128]]])
    codec = PersonLabCodec(stride=8)
    truth = People.from_poses(COCO17, joints, np.ones((2, 17)), masks=halves)
    found = codec.decode(codec.encode(truth, size).as_fields())
    order = found.keypoints[:, :, 0].mean(axis=1).argsort()
    assert not (found.masks[0] & found.masks[1]).any()
    seam = np.abs(rows - 127.5) < 8
    core = cv2.erode(disk.astype(np.uint8), np.ones((7, 7))).astype(bool)
    for mask, half in zip(found.masks[order], halves, strict=True):
        np.testing.assert_array_equal((mask & core)[:, ~seam], (half & core)[:, ~seam])
    assert (np.asarray(found.masks).any(axis=0) | ~core).all()


def test_decode_reads_the_visible_part_of_a_person_larger_than_the_image(crowd: Crowd) -> None:
    size = (257, 257)
    standing = crowd(1, size, 400)
    down = [0, 70]
    truth = replace(standing, keypoints=standing.keypoints + down, masks=np.roll(standing.masks, 70, axis=1))
    inside = ((truth.keypoints > 0) & (truth.keypoints < 257)).all(axis=2)
    assert 5 < inside.sum() < 15
    visible = replace(truth, keypoint_scores=inside.astype(np.float32))
    codec = PersonLabCodec()
    found = codec.decode(codec.encode(visible, size).as_fields())
    assert len(found) == 1
    assert np.abs(found.keypoints - truth.keypoints)[inside].max() < 0.1
    assert found.keypoint_scores[inside].min() > 0.99
    assert found.keypoint_scores[~inside].max() < 0.01
    assert ious(found, truth).min() > 0.9


def test_joints_not_annotated_get_no_score_and_harm_no_other(crowd: Crowd) -> None:
    truth = crowd(2, (257, 257), 130)
    annotated = np.ones((2, 17), np.float32)
    annotated[0, [9, 10]] = 0
    annotated[1, [13, 15, 14, 16]] = 0
    codec = PersonLabCodec(stride=8)
    found = codec.decode(codec.encode(replace(truth, keypoint_scores=annotated), (257, 257)).as_fields())
    order = found.keypoints[:, 0, 0].argsort()
    assert len(found) == 2
    assert np.linalg.norm(found.keypoints[order] - truth.keypoints, axis=2)[annotated > 0].max() < 0.1
    np.testing.assert_allclose(found.keypoint_scores[order], annotated, atol=0.01)


@pytest.mark.parametrize("stride", [8, 16])
def test_decode_moves_people_with_the_image_by_whole_cells(crowd: Crowd, stride: int) -> None:
    truth, shift = crowd(1, (257, 257), 110), 2 * stride
    moved = replace(truth, keypoints=truth.keypoints + np.array([shift, 0]), masks=np.roll(truth.masks, shift, axis=2))
    codec = PersonLabCodec(stride=stride)
    here, there = (codec.decode(codec.encode(people, (257, 257)).as_fields()) for people in (truth, moved))
    np.testing.assert_allclose(there.keypoints - here.keypoints, np.broadcast_to([shift, 0], (1, 17, 2)), atol=1e-2)
    np.testing.assert_array_equal(there.masks, np.roll(here.masks, shift, axis=2))
    np.testing.assert_allclose(there.boxes_xyxy - here.boxes_xyxy, [[shift, 0, shift, 0]])


def test_decode_of_flipped_fields_gives_flipped_people(crowd: Crowd) -> None:
    codec = PersonLabCodec(stride=8)
    fields = codec.encode(crowd(3, (257, 257), 90), (257, 257)).as_fields()
    plain, flipped = codec.decode(fields), codec.decode(flip_fields(fields, codec.flip_rules))
    assert gaps(flipped, plain.flipped(257)).max() < 0.01
    assert ious(flipped, plain.flipped(257)).min() > 0.999


def test_one_mid_refine_step_undoes_noise_on_mid_offsets(crowd: Crowd) -> None:
    truth, rng = crowd(2, (257, 257), 130), np.random.default_rng(3)
    codec = PersonLabCodec(stride=8)
    fields = codec.encode(truth, (257, 257)).as_fields()
    noise = rng.uniform(-9, 9, fields["mid_offsets"].shape).astype(np.float32)
    noisy = Fields(fields.specs, {**fields.arrays, "mid_offsets": fields["mid_offsets"] + noise})
    assert gaps(codec.decode(noisy, replace(PAPER, mid_refine_steps=1)), truth).max() < 0.1
    assert gaps(codec.decode(noisy, replace(PAPER, mid_refine_steps=0)), truth).max() > 3


def test_codec_without_mask_fields_gives_poses_and_boxes(crowd: Crowd) -> None:
    truth = crowd(2)
    codec = PersonLabCodec(fields=("heatmap", "short_offsets", "mid_offsets"))
    assert [spec.name for spec in codec.specs] == ["heatmap", "short_offsets", "mid_offsets"]
    found = codec.decode(codec.encode(truth, (257, 257)).as_fields())
    assert found.masks is None
    order = found.keypoints[:, 0, 0].argsort()
    np.testing.assert_allclose(found.boxes_xyxy[order], truth.boxes_xyxy, atol=0.1)


def test_decoder_settings_are_obeyed(crowd: Crowd) -> None:
    codec = PersonLabCodec()
    fields = codec.encode(crowd(6, (401, 401), 120), (401, 401)).as_fields()
    assert len(codec.decode(fields, replace(PAPER, max_people=4))) == 4
    assert len(codec.decode(fields, replace(PAPER, min_score=1.1))) == 0
    assert codec.decode(fields, replace(PAPER, masks=False)).masks is None
    shared = codec.decode(fields, replace(PAPER, exclusive_masks=False, max_assignment_distance=1e9)).masks
    assert (np.asarray(shared) == shared.union()).all()
    assert len(codec.decode(fields, replace(PAPER, instance_nms="oks"))) == 6


def test_instance_score_is_the_geometric_mean_of_pose_and_mask(crowd: Crowd) -> None:
    codec = PersonLabCodec(stride=8)
    fields = codec.encode(crowd(4, (401, 401), 120), (401, 401)).as_fields()
    posed = codec.decode(fields, replace(DEFAULT, instance_score="pose"))
    both = codec.decode(fields, DEFAULT)
    same = [int(np.abs(posed.keypoints - one).sum(axis=(1, 2)).argmin()) for one in both.keypoints]
    assert sorted(same) == [0, 1, 2, 3]
    np.testing.assert_array_equal(both.masks, posed.masks[same])
    person = sigmoid(fields["segmentation"])
    probability = np.array([person[mask[::8, ::8]].mean() for mask in both.masks])
    highest = np.sqrt(posed.scores[same]) * probability
    assert ((both.scores > highest / np.sqrt(2)) & (both.scores <= highest + 1e-5)).all()
    assert (np.diff(both.scores) <= 0).all()
    for threshold in both.scores:  # no person who reaches the threshold in the end is left out before
        kept = codec.decode(fields, replace(DEFAULT, min_score=float(threshold)))
        np.testing.assert_array_equal(kept.scores, both.scores[both.scores >= threshold])


def test_pose_without_person_pixels_has_a_low_score(crowd: Crowd) -> None:
    truth, codec = crowd(3, (401, 401), 120), PersonLabCodec(stride=8)
    fields = codec.encode(truth, (401, 401)).as_fields()
    person = fields["segmentation"].copy()
    person[np.asarray(truth.masks)[1, ::8, ::8]] = -9
    without = Fields(fields.specs, {**fields.arrays, "segmentation": person})
    found = codec.decode(without, replace(DEFAULT, min_score=0.0))
    assert np.linalg.norm(found.keypoints[-1] - truth.keypoints[1], axis=1).max() < 0.1
    assert found.scores[-1] < 0.5 < found.scores[-2]
    assert len(codec.decode(without, replace(DEFAULT, min_score=0.5))) == 2
    assert len(codec.decode(without, replace(DEFAULT, min_score=0.5, instance_score="pose"))) == 3


def test_decode_of_empty_fields_gives_no_people() -> None:
    codec = PersonLabCodec()
    for preset in (DEFAULT, PAPER, TFJS, CORAL):
        found = codec.decode(codec.encode(People.empty(COCO17), (129, 161)).as_fields(), preset)
        assert found.masks.shape == (0, 129, 161)


def test_hough_maps_peak_at_the_joints(crowd: Crowd) -> None:
    truth, codec = crowd(1), PersonLabCodec()
    maps = codec.hough_maps(codec.encode(truth, (257, 257)).as_fields(), stride_px=2)
    assert maps.shape == (17, 129, 129)
    row, column = np.divmod(maps.reshape(17, -1).argmax(axis=1), 129)
    np.testing.assert_allclose(np.stack([column, row], axis=1) * 2 + 0.5, truth.keypoints[0], atol=1.01)


def test_codec_takes_a_skeleton_without_measured_sigmas() -> None:
    points = np.stack([np.linspace(40, 200, 14), np.linspace(200, 50, 14) + 20 * (np.arange(14) % 2)], axis=1)
    codec = PersonLabCodec(skeleton=LSP14, stride=8)
    truth = People.from_poses(LSP14, points[None], np.ones((1, 14)))
    found = codec.decode(codec.encode(truth, (257, 257)).as_fields())
    np.testing.assert_allclose(found.keypoints, truth.keypoints, atol=0.1)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_decode_rejects_fields_that_are_not_finite(crowd: Crowd, value: float) -> None:
    codec = PersonLabCodec()
    fields = codec.encode(crowd(1), (257, 257)).as_fields()
    broken = fields["short_offsets"].copy()
    broken[0, 0, 0, 0] = value
    with pytest.raises(FieldError, match="short_offsets"):
        codec.decode(Fields(fields.specs, {**fields.arrays, "short_offsets": broken}))


def test_codec_round_trips_through_a_card() -> None:
    codec = PersonLabCodec(LSP14, 8, 24.0, ("heatmap", "short_offsets", "mid_offsets"))
    plain = codec.to_dict()
    assert plain == {"stride": 8, "disk_radius_px": 24.0, "fields": ["heatmap", "short_offsets", "mid_offsets"]}
    assert CODECS["personlab"].from_dict(plain, LSP14) == codec


@pytest.mark.parametrize("plain", [{}, {"stride": "x", "disk_radius_px": 32, "fields": []}])
def test_codec_rejects_incomplete_settings(plain: dict[str, object]) -> None:
    with pytest.raises(FieldError, match="export"):
        PersonLabCodec.from_dict(plain, COCO17)


@pytest.mark.parametrize("fields", [("heatmap",), ("heatmap", "short_offsets", "mid_offsets", "paf")])
def test_codec_rejects_missing_and_unknown_fields(fields: tuple[str, ...]) -> None:
    with pytest.raises(FieldError, match="PersonLab reads"):
        PersonLabCodec(fields=fields)


def test_decoder_rejects_an_unknown_word() -> None:
    with pytest.raises(PosegError, match="'hough' or 'heatmap'"):
        replace(PAPER, seed_source="guess")
