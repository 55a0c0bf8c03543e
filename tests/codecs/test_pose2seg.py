"""Laws of Pose2Seg's codec: decoding undoes encoding, and a pixel belongs to one person."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseg.codecs.pose2seg import Pose2SegCodec, paper_templates, to_points
from poseg.errors import FieldError, ShapeError
from poseg.fields.align import BY_BOX, BY_IMAGE
from poseg.geometry import affine
from poseg.geometry.grid import pixel_centres
from poseg.geometry.rle import tight_boxes
from poseg.io.coco_json import read_coco
from poseg.people import People
from poseg.skeletons import COCO17, CROWDPOSE14, LSP14, OCHUMAN19, OPENPOSE18

ANNOTATIONS = (
    Path(__file__).resolve().parents[2].parent
    / "shared" / "data" / "coco_val_person_ann" / "person_keypoints_val2017_538.json.gz"
)  # fmt: skip
CODEC = Pose2SegCodec()
TEMPLATES = paper_templates()
SIZE = (300, 360)
SIDE = CODEC.crop_px


def fields_of(probability, codec=CODEC):
    """Fields of a network that puts out (N, S, S) probabilities."""
    p = np.clip(np.asarray(probability, np.float32), 1e-4, 1 - 1e-4)
    return codec.fields_from_outputs({"mask": np.log(p / (1 - p))[:, None].astype(np.float32)})


def round_trip(people, size, codec=CODEC, **how):
    crops = codec.crops(people, size)
    targets = codec.encode(people, crops)
    return codec.decode(fields_of(targets.targets["mask"], codec), people, crops, size, **how)


def ious(masks, others):
    """Intersection over union, person by person."""
    masks, others = np.asarray(masks, bool), np.asarray(others, bool)
    return (masks & others).sum(axis=(1, 2)) / np.maximum((masks | others).sum(axis=(1, 2)), 1)


def person(motion, *, template=0, noise=0.0, seed=0, masks=None) -> People:
    """A person of a template whose unit square `motion` carries into the image."""
    rng = np.random.default_rng(seed)
    points = affine.apply(motion, TEMPLATES.points[template] + rng.normal(0, noise, (17, 2)))[None]
    return People.from_poses(COCO17, points, TEMPLATES.visible[[template]], masks=masks)


def crowd(*motions) -> People:
    points = np.stack([affine.apply(motion, TEMPLATES.points[0]) for motion in motions])
    return People.from_poses(COCO17, points, np.ones((len(motions), 17)))


def square_at(x, y, side_px=150.0):
    """The unit square, upright, its corner at (x, y)."""
    return affine.similarity(side_px, target=(x, y))


# Shapes of the unit square, by their distance from the edge: negative inside.


def ellipse(u, centre, radii):
    return (np.hypot(*((u - centre) / radii).T) - 1).T


def capsule(u, start, end, radius):
    along = np.subtract(end, start)
    t = np.clip((u - start) @ along / (along @ along), 0, 1)
    return np.hypot(*np.moveaxis(u - start - t[..., None] * along, -1, 0)) - radius


def figure(u):
    """A head, a torso, arms and legs."""
    limbs = [
        ((0.5, 0.3), (0.5, 0.55), 0.13), ((0.58, 0.26), (0.78, 0.45), 0.07), ((0.42, 0.26), (0.22, 0.45), 0.07),
        ((0.56, 0.55), (0.6, 0.85), 0.08), ((0.44, 0.55), (0.4, 0.85), 0.08),
    ]  # fmt: skip
    return np.minimum(ellipse(u, (0.5, 0.14), (0.09, 0.1)), np.min([capsule(u, *limb) for limb in limbs], axis=0))


SHAPES = {
    "round": lambda u: ellipse(u, (0.5, 0.5), (0.4, 0.4)),
    "long": lambda u: ellipse(u, (0.52, 0.5), (0.17, 0.42)),
    "two": lambda u: np.minimum(ellipse(u, (0.3, 0.35), (0.18, 0.25)), ellipse(u, (0.7, 0.65), (0.2, 0.22))),
    "figure": figure,
}


def shape_mask(shape, motion, size):
    """The mask (H, W) of a shape of the unit square."""
    y, x = pixel_centres(np.indices(size))
    back = affine.invert(motion)
    return SHAPES[shape](np.stack([x, y], axis=-1) @ back[:, :2].T + back[:, 2]) < 0


@given(
    st.sampled_from(sorted(SHAPES)), st.integers(0, 2), st.floats(60, 280), st.floats(-np.pi, np.pi),
    st.tuples(st.floats(-20, 20), st.floats(-20, 20)), st.floats(0, 0.02), st.integers(0, 1000),
)  # fmt: skip
def test_decode_of_encode_gives_the_mask(shape, template, side_px, rotation, shift, noise, seed):
    size = (320, 320)
    motion = affine.similarity(side_px, rotation, (0.5, 0.5), (160 + shift[0], 160 + shift[1]))
    mask = shape_mask(shape, motion, size)
    person_ = person(motion, template=template, noise=noise, seed=seed, masks=mask[None])
    assert CODEC.crops(person_, size).templates[0] % 3 == template
    (iou,) = ious(round_trip(person_, size).masks, mask[None])
    assert iou >= 0.97


@pytest.mark.parametrize(("crop_px", "padding"), [(64, 0.1), (48, 0.05), (96, 0.1)])
def test_decode_of_encode_gives_the_mask_with_other_crops(crop_px, padding):
    codec = Pose2SegCodec(crop_px=crop_px, padding=padding)
    motion = affine.similarity(210, 0.7, (0.5, 0.5), (180, 150))
    mask = shape_mask("figure", motion, SIZE)
    (iou,) = ious(round_trip(person(motion, masks=mask[None]), SIZE, codec).masks, mask[None])
    assert iou >= 0.97


@pytest.mark.parametrize("joints", [0, 2])
def test_decode_of_encode_gives_the_mask_of_a_person_with_a_box_alone(joints):
    motion = affine.similarity(210, 0.7, (0.5, 0.5), (180, 150))
    mask = shape_mask("figure", motion, SIZE)[None]
    person_ = replace(
        person(motion, masks=mask), keypoint_scores=(np.arange(17) < joints)[None], boxes_xyxy=tight_boxes(mask)
    )
    assert CODEC.crops(person_, SIZE).templates.tolist() == [BY_BOX]
    (iou,) = ious(round_trip(person_, SIZE).masks, mask)
    assert iou >= 0.97


@given(st.floats(-np.pi, np.pi), st.floats(0.6, 1.5), st.tuples(st.floats(-20, 20), st.floats(-20, 20)))
@settings(max_examples=12)
def test_crops_show_the_same_of_an_image_rotated_scaled_and_moved(rotation, scale, shift):
    motion = affine.similarity(130, 0.3, (0.5, 0.5), (130, 130))
    whole = affine.similarity(scale, rotation, (130, 130), (150 + shift[0], 150 + shift[1]))
    shown = []
    for size, moved in (((260, 260), motion), ((300, 300), affine.compose(whole, motion))):
        person_ = person(moved, noise=0.02, masks=shape_mask("two", moved, size)[None])
        shown.append(CODEC.encode(person_, CODEC.crops(person_, size)).targets["mask"][0])
    assert np.abs(shown[1] - shown[0]).mean() < 0.02  # edges alone
    assert ious(*(s[None] > 0.5 for s in shown))[0] > 0.95


@pytest.mark.skipif(not ANNOTATIONS.exists(), reason="needs COCO's person annotation beside the repository")
def test_decode_of_encode_gives_the_masks_of_real_people():
    data = read_coco(ANNOTATIONS)
    kept, outside, people_with_poses = [], 0, 0
    for image_id in list(data.images)[:80]:
        people = data.people(image_id)
        people = people[people.masks.areas > 1000]
        size = people.masks.size
        crops = CODEC.crops(people, size)
        inside = [whole(mask, matrix) for mask, matrix in zip(people.masks, crops.matrices, strict=True)]
        outside += len(inside) - sum(inside)
        people_with_poses += int((crops.templates >= 0).sum())
        back = round_trip(people, size, exclusive=False, rescore=False)
        kept += ious(back.masks, people.masks)[np.array(inside, bool)].tolist()
    assert len(kept) > 150
    assert outside < 0.05 * len(kept)
    assert people_with_poses > 0.6 * len(kept)
    assert np.mean(kept) > 0.98  # 0.985 when this was written
    assert np.percentile(kept, 5) > 0.95


def whole(mask, matrix) -> bool:
    """Whether the crop shows every pixel of a mask."""
    rows, columns = np.nonzero(mask)
    placed = affine.apply(matrix, pixel_centres(np.stack([columns, rows], axis=1)))
    return bool((placed > 0).all() and (placed < SIDE).all())


# Inputs of the network.


def test_network_inputs_have_a_template_in_the_crop_as_in_the_unit_square():
    person_ = person(affine.similarity(150, 1.1, (0.5, 0.5), (150, 150)))
    inputs = CODEC.network_inputs(person_, CODEC.crops(person_, SIZE))["joints"]
    assert inputs.dtype == np.float32
    np.testing.assert_allclose(inputs[0, :, :2], SIDE * TEMPLATES.points[0], atol=1e-3)
    np.testing.assert_array_equal(inputs[0, :, 2], 1)


def test_network_inputs_map_joints_of_crops_to_the_image():
    people = crowd(square_at(20, 30), affine.similarity(120, 0.5, target=(200, 40)))
    inputs = CODEC.network_inputs(people, CODEC.crops(people, SIZE))
    assert inputs["windows"].shape == (2, 2, 3)
    for matrix, joints, points in zip(inputs["windows"], inputs["joints"], people.keypoints, strict=True):
        np.testing.assert_allclose(affine.apply(matrix, joints[:, :2]), points, atol=1e-2)


def test_network_inputs_have_zeros_for_missing_joints():
    people = crowd(square_at(20, 30))
    scores, points = np.ones((1, 17)), people.keypoints.copy()
    scores[0, :4] = (0, 0.1, CODEC.min_keypoint_score, 0.21)
    points[0, 5], points[0, 6, 1] = np.nan, np.inf
    people = replace(people, keypoints=points, keypoint_scores=scores)
    inputs = CODEC.network_inputs(people, CODEC.crops(people, SIZE))["joints"][0]
    assert inputs[:8, 2].tolist() == [0, 0, 0, 1, 1, 0, 0, 1]
    assert not inputs[inputs[:, 2] == 0].any()


def test_network_inputs_are_precise_far_out_in_a_large_image():
    motion = square_at(11000, 9000, 300)
    inputs = CODEC.network_inputs(crowd(motion), CODEC.crops(crowd(motion), (12000, 12000)))["windows"]
    centre = affine.apply(inputs[0].astype(np.float64), [SIDE / 2, SIDE / 2])
    np.testing.assert_allclose(centre, [11150, 9150], atol=0.05)


# Targets.


def test_weights_are_zero_outside_the_image_where_ignored_and_without_masks():
    masks = np.ones((2, *SIZE), np.bool_)
    masks[1] = False
    people = replace(crowd(square_at(-75, 100), square_at(-75, 100)), masks=masks)  # half of it left of the image
    crops = CODEC.crops(people, SIZE)
    ignore = np.zeros(SIZE, np.bool_)
    ignore[175:] = True  # the lower half of the crop
    encoded = CODEC.encode(people, crops, ignore)
    target, weight = encoded.targets["mask"], encoded.weights["mask"]
    assert target.shape == weight.shape == (2, SIDE, SIDE)
    expected = np.zeros((SIDE, SIDE))
    expected[:32, 32:] = 1
    inside = np.ones((SIDE, SIDE), bool)
    inside[30:34], inside[:, 30:34] = False, False
    np.testing.assert_array_equal(weight[0][inside], expected[inside])
    np.testing.assert_allclose(target[0][inside], expected[inside], atol=1e-6)
    assert not weight[1].any()


def test_encode_rejects_people_without_masks():
    people = crowd(square_at(20, 30))
    with pytest.raises(FieldError, match="masks"):
        CODEC.encode(people, CODEC.crops(people, SIZE))


# Masks out of crops.


def neighbours(count: int) -> tuple[People, np.ndarray]:
    """People who overlap, and probabilities (N, S, S) as of a network: smooth, never quite equal."""
    rng = np.random.default_rng(count)
    motions = [
        affine.similarity(150, t, (0.5, 0.5), (100 + 40 * i, 150)) for i, t in enumerate(rng.normal(0, 1, count))
    ]
    y, x = pixel_centres(np.indices((SIDE, SIDE))) - SIDE / 2
    probability = [
        1 / (1 + np.exp((np.hypot(x - a, y - b) - r) / 5))
        for a, b, r in rng.uniform((-5, -5, 15), (5, 5, 25), (count, 3))
    ]
    return replace(crowd(*motions), scores=np.full(count, 0.5)), np.array(probability)


def decoded(people, probability, **how) -> People:
    return CODEC.decode(fields_of(probability), people, CODEC.crops(people, SIZE), SIZE, **how)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_exclusive_masks_share_few_pixels_and_lose_none(count):
    people, probability = neighbours(count)
    exclusive = decoded(people, probability).masks
    shared = decoded(people, probability, exclusive=False).masks
    assert np.asarray(shared).sum(axis=0).max() == min(count, 3)
    overlap = np.count_nonzero(np.asarray(exclusive).sum(axis=0) > 1)
    assert overlap <= 0.03 * exclusive.union().sum()
    assert (exclusive.union() ^ shared.union()).sum() <= 0.01 * shared.union().sum()


def test_exclusive_masks_give_a_pixel_to_the_person_with_the_highest_probability():
    people, _ = neighbours(2)
    same = replace(people, keypoints=people.keypoints[[0, 0]])
    x = np.arange(SIDE)[None].repeat(SIDE, axis=0)
    probability = np.stack([np.where(x < 32, 0.9, 0.7), np.where(x < 32, 0.6, 0.8)])
    first, second = decoded(same, probability, rescore=False).masks
    shared = decoded(same, probability, rescore=False, exclusive=False).masks
    assert ((first | second) != shared.union()).sum() <= 0.02 * shared.union().sum()
    matrix = CODEC.crops(same, SIZE).matrices[0]
    rows, columns = np.nonzero(shared[0])
    across = affine.apply(matrix, pixel_centres(np.stack([columns, rows], axis=1)))[:, 0]
    assert first[rows, columns][across < 31].mean() > 0.98
    assert second[rows, columns][across > 33].mean() > 0.98
    tied = decoded(same, probability[[0, 0]]).masks
    assert tied.iou(decoded(same[:1], probability[:1]).masks)[0, 0] > 0.97, "the first of equals"
    assert not tied.nonempty[1]


@given(st.permutations(range(5)), st.booleans())
@settings(max_examples=10)
def test_decode_does_not_depend_on_the_order_of_people(order, exclusive):
    """But for pixels that two people have the same probability of, which are the first one's."""
    people, probability = neighbours(5)
    order = np.array(order)
    found = decoded(people, probability, exclusive=exclusive, rescore=False)
    other = decoded(people[order], probability[order], exclusive=exclusive, rescore=False)
    assert (np.diag(other.masks.iou(found.masks[order])) > 0.98).all()
    np.testing.assert_allclose(other.boxes_xyxy, found.boxes_xyxy[order], atol=1)
    ranked, again = (decoded(people[o], probability[o], exclusive=exclusive) for o in (np.arange(5), order))
    np.testing.assert_array_equal(again.keypoints, ranked.keypoints)
    np.testing.assert_array_equal(again.scores, ranked.scores)


def test_scores_are_multiplied_by_the_confidence_of_masks():
    people = crowd(square_at(10, 10, 80), square_at(110, 10, 80), square_at(220, 10, 80))
    people = replace(people, scores=[0.5, 1, 0.8], ids=[7, 8, 9])
    probability = np.broadcast_to(np.array([0.8, 0.2, 0.9])[:, None, None], (3, SIDE, SIDE))
    found = decoded(people, probability)
    assert found.ids.tolist() == [9, 7, 8]
    np.testing.assert_allclose(found.scores, [0.72, 0.4, 0], atol=0.01)
    np.testing.assert_array_equal(found.keypoints, people.keypoints[[2, 0, 1]])
    kept = decoded(people, probability, rescore=False)
    np.testing.assert_array_equal(kept.scores, people.scores)
    assert kept.ids.tolist() == [7, 8, 9]


def test_boxes_go_around_masks_and_stay_where_there_is_none():
    people = crowd(square_at(10, 10, 80), square_at(110, 10, 80))
    found = decoded(people, [np.ones((SIDE, SIDE)), np.zeros((SIDE, SIDE))], rescore=False)
    np.testing.assert_allclose(found.boxes_xyxy[0], [10, 10, 90, 90], atol=1)
    np.testing.assert_array_equal(found.boxes_xyxy[1], people.boxes_xyxy[1])


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_masks_are_where_the_probability_reaches_the_threshold(threshold):
    people, probability = neighbours(1)
    where = decoded(people, probability, mask_threshold=threshold, rescore=False).masks[0]
    hard = decoded(people, probability > threshold, rescore=False).masks[0]
    assert ious(where[None], hard[None])[0] > 0.95
    assert where.any()


@pytest.mark.parametrize("exclusive", [True, False])
def test_codec_takes_no_people(exclusive):
    people = People.empty(COCO17)
    crops = CODEC.crops(people, SIZE)
    inputs = CODEC.network_inputs(people, crops)
    assert inputs["windows"].shape == (0, 2, 3)
    assert inputs["joints"].shape == (0, 17, 3)
    found = CODEC.decode(fields_of(np.zeros((0, SIDE, SIDE))), people, crops, SIZE, exclusive=exclusive)
    assert found.masks.shape == (0, *SIZE)
    assert CODEC.encode(People.empty(COCO17, SIZE), crops).targets["mask"].shape == (0, SIDE, SIDE)


@pytest.mark.parametrize("corner", [(1000, 20), (-5000, 20), (20, 1e6), (-1e6, -1e6)])
def test_person_outside_the_image_has_no_mask_and_takes_no_pixels(corner):
    people = crowd(square_at(*corner), square_at(100, 100))
    found = decoded(people, np.ones((2, SIDE, SIDE)), rescore=False)
    assert not np.asarray(found.masks)[0].any()
    np.testing.assert_array_equal(found.masks[1], decoded(people[1:], np.ones((1, SIDE, SIDE))).masks[0])
    np.testing.assert_array_equal(found.boxes_xyxy[0], people.boxes_xyxy[0])


@pytest.mark.parametrize("side_px", [2e3, 1e5, 1e8])
def test_person_larger_than_the_image_fills_it(side_px):
    people = replace(crowd(square_at(-side_px / 2, -side_px / 2, side_px)), masks=np.ones((1, *SIZE), np.bool_))
    crops = CODEC.crops(people, SIZE)
    assert crops.templates.tolist() == [BY_BOX]
    assert decoded(people, np.ones((1, SIDE, SIDE))).masks.full().all()
    pixels = SIZE[0] * SIZE[1] * abs(np.linalg.det(crops.matrices[0, :, :2]))
    assert CODEC.encode(people, crops).targets["mask"].sum() <= 1.1 * pixels


def test_decode_rejects_fields_that_are_not_finite():
    people, _ = neighbours(1)
    broken = CODEC.fields_from_outputs({"mask": np.full((1, 1, SIDE, SIDE), np.nan, np.float32)})
    with pytest.raises(FieldError, match="not finite"):
        CODEC.decode(broken, people, CODEC.crops(people, SIZE), SIZE)


# Bad poses.


@pytest.mark.parametrize(
    ("points", "joints", "shown"),
    [
        (0.0, 0, BY_IMAGE), (50.0, 1, BY_IMAGE), (50.0, 17, BY_IMAGE), (np.nan, 17, BY_IMAGE), (np.inf, 17, BY_IMAGE),
        (-3e38, 17, BY_IMAGE), ("template", 0, BY_IMAGE), ("template", 1, BY_IMAGE), ("template", 2, BY_BOX),
        ("template", 3, 4),
    ],
)  # fmt: skip
def test_all_people_get_a_mask_whatever_the_pose(points, joints, shown):
    template = affine.apply(square_at(60, 60, 200), TEMPLATES.points[0])
    pose = template if points == "template" else np.full((17, 2), points, np.float32)
    found = np.isin(np.arange(17), [5, 12, 15][:joints] if joints < 4 else np.arange(17))
    sound = crowd(square_at(60, 60, 200))
    both = People.from_poses(
        COCO17, [pose, sound.keypoints[0]], [found, np.ones(17)], masks=np.ones((2, *SIZE), np.bool_)
    )
    crops = CODEC.crops(both, SIZE)
    assert crops.templates.tolist() == [shown, 0]
    assert all(np.isfinite(array).all() for array in CODEC.network_inputs(both, crops).values())
    encoded = CODEC.encode(both, crops)
    assert encoded.weights["mask"][0].any()
    masks = decoded(both, np.ones((2, SIDE, SIDE)), exclusive=False, rescore=False).masks
    assert masks[0].any()
    np.testing.assert_array_equal(masks[1], decoded(sound, np.ones((1, SIDE, SIDE))).masks[0])


@pytest.mark.parametrize(("skeleton", "chosen"), [(OCHUMAN19, 0), (OPENPOSE18, 0), (LSP14, 1), (CROWDPOSE14, 1)])
def test_codec_takes_joints_of_other_skeletons_by_name(skeleton, chosen):
    people = crowd(affine.similarity(120, 0.4, target=(80, 60)), square_at(180, 60))
    others = replace(people.remap_to(skeleton), masks=np.ones((2, *SIZE), np.bool_))
    crops, expected = CODEC.crops(others, SIZE), CODEC.crops(others.remap_to(COCO17), SIZE)
    np.testing.assert_array_equal(crops.matrices, expected.matrices)
    assert (crops.templates % 3).tolist() == [chosen, chosen]
    inputs = CODEC.network_inputs(others, crops)["joints"]
    np.testing.assert_array_equal(inputs, CODEC.network_inputs(others.remap_to(COCO17), crops)["joints"])
    assert inputs[0, :, 2].sum() == len(set(skeleton.joints) & set(COCO17.joints))
    found = CODEC.decode(fields_of(np.ones((2, SIDE, SIDE))), others, crops, SIZE, rescore=False)
    assert found.skeleton == skeleton
    np.testing.assert_array_equal(found.keypoints, others.keypoints)


# The codec as a value.


@pytest.mark.parametrize("skeleton", [COCO17, OCHUMAN19, LSP14, OPENPOSE18])
def test_paper_templates_hold_for_skeletons_with_coco_names_and_are_symmetric(skeleton):
    found = paper_templates(skeleton)
    for joint, name in enumerate(skeleton.joints):
        if name in COCO17.joints:
            np.testing.assert_array_equal(found.points[:, joint], TEMPLATES.points[:, COCO17.index(name)])
            np.testing.assert_array_equal(found.visible[:, joint], TEMPLATES.visible[:, COCO17.index(name)])
        else:
            assert not found.visible[:, joint].any()
    flipped = np.where(found.visible[..., None], found.points[:, skeleton.flip_index] * (-1, 1) + (1, 0), 0)
    np.testing.assert_allclose(found.points, flipped, atol=1e-12)
    assert CODEC.templates.visible.sum(axis=1).tolist() == [17, 14, 13] * 2


@pytest.mark.parametrize(
    "codec",
    [CODEC, Pose2SegCodec(LSP14, crop_px=48, padding=0.1, min_keypoint_score=0.05, stride=8),
     Pose2SegCodec(points=to_points(TEMPLATES)[1:])],
)  # fmt: skip
def test_codec_round_trips_through_a_card(codec):
    again = Pose2SegCodec.from_dict(json.loads(json.dumps(codec.to_dict())), codec.skeleton)
    assert again == codec
    assert hash(again) == hash(codec)
    np.testing.assert_array_equal(again.templates.points, codec.templates.points)


@pytest.mark.parametrize("missing", ["points", "crop_px", "padding", "min_keypoint_score", "stride"])
def test_codec_rejects_incomplete_settings(missing):
    plain = CODEC.to_dict()
    del plain[missing]
    with pytest.raises(FieldError, match=missing):
        Pose2SegCodec.from_dict(plain, COCO17)


@pytest.mark.parametrize(
    ("name", "value"),
    [("points", 3), ("points", [[3] * 17]), ("points", [[[0.5]] * 17]), ("points", [["ab"] * 17]), ("points", [[None]]),
     ("crop_px", None), ("crop_px", "wide"), ("crop_px", float("inf")), ("crop_px", 4), ("padding", 0.5),
     ("padding", float("nan")), ("min_keypoint_score", None)],
)  # fmt: skip
def test_codec_rejects_settings_out_of_range(name, value):
    with pytest.raises(FieldError, match="export the model again"):
        Pose2SegCodec.from_dict({**CODEC.to_dict(), name: value}, COCO17)


def test_codec_rejects_templates_of_another_skeleton():
    with pytest.raises(ShapeError, match="templates"):
        Pose2SegCodec(LSP14, points=CODEC.points)
