"""Laws of PoSeg's codec: targets; decoding undoes encoding for every skeleton and grid, flipped and in any order."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.codecs import CODECS, PAF_DEFAULT, PoSegCodec
from poseg.codecs.flip_fusion import flip_fields
from poseg.errors import FieldError, ShapeError, SkeletonError
from poseg.fields.segmentation import sample_at_cells
from poseg.people import People
from poseg.skeletons import COCO17, CROWDPOSE14, LSP14, OCHUMAN19, OPENPOSE18, Skeleton

Crowd = Callable[..., People]

# Joints whose limbs are no tree: the diagonals of a square with a tail.
KITE = Skeleton(
    "kite", ("top", "left_wing", "right_wing", "bottom", "tail"),
    (("top", "bottom"), ("left_wing", "right_wing"), ("top", "left_wing"), ("bottom", "tail")),
)  # fmt: skip
KITE_LIMBS = (
    ("top", "left_wing"), ("top", "right_wing"), ("left_wing", "bottom"), ("right_wing", "bottom"), ("bottom", "tail"),
)  # fmt: skip
SKELETONS = {
    "coco17": PoSegCodec(COCO17), "openpose18": PoSegCodec(OPENPOSE18), "lsp14": PoSegCodec(LSP14),
    "crowdpose14": PoSegCodec(CROWDPOSE14), "ochuman19": PoSegCodec(OCHUMAN19),
    "kite": PoSegCodec(KITE, limbs=KITE_LIMBS),
}  # fmt: skip
IN_BLOCKS = {"origin_px": 4.0}


@pytest.fixture(params=SKELETONS)
def codec(request) -> PoSegCodec:
    return SKELETONS[request.param]


def sized(codec: PoSegCodec, cells: tuple[int, int] = (41, 47)) -> tuple[int, int]:
    return codec.grid.size(*cells)


def people_on(crowd: Crowd, codec: PoSegCodec, n: int, height_px: float = 220.0, seed: int = 0) -> People:
    """People on the skeleton of the codec; kites and LSP's heads are made of COCO's joints."""
    people = crowd(n, sized(codec), height_px, seed)
    if codec.skeleton is KITE:
        points = people.keypoints[:, [0, 9, 10, 15, 16]]
        return People.from_poses(KITE, points, np.ones((n, 5)), masks=people.masks)
    remapped = people.remap_to(codec.skeleton)
    if codec.skeleton in (LSP14, CROWDPOSE14):
        points, scores = remapped.keypoints.copy(), remapped.keypoint_scores.copy()
        head = codec.skeleton.joints.index("head_top")
        points[:, head], scores[:, head] = people.keypoints[:, 0] - (0, 0.08 * height_px), 1
        remapped = replace(remapped, keypoints=points, keypoint_scores=scores)
    return remapped


def assert_same_people(found: People, true: People, tolerance_px: float = 1.0) -> None:
    """The same people in any order, no joint missed and none made up."""
    assert len(found) == len(true)
    there = true.keypoint_scores > 0
    gaps = np.linalg.norm(found.keypoints[:, None] - true.keypoints[None], axis=3)
    match = np.where(there[None], gaps, 0).max(axis=2).argmin(axis=1)
    assert sorted(match) == list(range(len(true)))
    np.testing.assert_array_equal(found.keypoint_scores > 0, there[match])
    assert (gaps[np.arange(len(found)), match] * there[match]).max(initial=0) < tolerance_px


# Round trips.


@pytest.mark.parametrize("changes", [{}, IN_BLOCKS], ids=["on pixels", "in blocks"])
@pytest.mark.parametrize("n", [1, 3, 5])
def test_decode_of_encode_gives_the_people(codec, changes, n, crowd: Crowd):
    codec = replace(codec, **changes)
    people = people_on(crowd, codec, n, {1: 220, 3: 150, 5: 130}[n], seed=n)
    found = codec.decode(codec.encode(people, sized(codec)).as_fields())
    assert_same_people(found, people)
    assert found.scores.min() > 0.7
    assert (np.diff(found.scores) <= 0).all()
    assert found.masks.shape == people.masks.shape


@pytest.mark.parametrize("redundant_limbs", ["join", "fill"])
def test_both_uses_of_redundant_limbs_give_the_people(codec, redundant_limbs, crowd: Crowd):
    people = people_on(crowd, codec, 3, 150)
    assert_same_people(
        codec.decode(
            codec.encode(people, sized(codec)).as_fields(), replace(PAF_DEFAULT, redundant_limbs=redundant_limbs)
        ),
        people,
    )


@given(seed=st.integers(0, 10**6))
def test_joints_not_annotated_are_not_detected(seed):
    """Where limbs lead around those that are missing, the others stay together."""
    codec, rng = SKELETONS["coco17"], np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(5), np.arange(4)), axis=-1).reshape(-1, 2)[:17]
    points = (40 + 60 * grid + rng.uniform(-8, 8, (17, 2)))[None]
    annotated = np.ones((1, 17))
    annotated[0, rng.choice([0, 1, 2, 3, 4, 7, 8, 9, 10, 15, 16], 3, replace=False)] = 0
    people = People.from_poses(COCO17, points, annotated, masks=np.zeros((1, *sized(codec)), bool))
    found = codec.decode(codec.encode(people, sized(codec)).as_fields(), replace(PAF_DEFAULT, masks=False))
    top = found[0]
    detected = top.keypoint_scores > 0
    assert detected.sum() >= 12
    assert not (detected & (annotated[0] == 0)).any()
    assert np.linalg.norm(top.keypoints - points[0], axis=1)[detected].max() < 1


def leaning(degrees: float, centre: tuple[float, float], height_px: float = 250.0) -> np.ndarray:
    """COCO's joints of a person who leans to the right: (17, 2)."""
    standing = np.array(
        [(0, -0.45), (0.03, -0.48), (-0.03, -0.48), (0.07, -0.46), (-0.07, -0.46), (0.12, -0.32), (-0.12, -0.32),
         (0.16, -0.17), (-0.16, -0.17), (0.17, -0.02), (-0.17, -0.02), (0.07, 0), (-0.07, 0), (0.08, 0.25),
         (-0.08, 0.25), (0.09, 0.48), (-0.09, 0.48)]
    )  # fmt: skip
    angle = np.deg2rad(degrees)
    return standing @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) * height_px + centre


@pytest.mark.parametrize("codec", [SKELETONS["coco17"], SKELETONS["openpose18"]], ids=["coco17", "openpose18"])
@pytest.mark.parametrize(("degrees", "apart"), [(30, 40), (35, 60), (45, 80)])
def test_decode_keeps_crossing_people_apart(codec, degrees, apart):
    points = np.stack([leaning(degrees, (190 - apart / 2, 160)), leaning(-degrees, (190 + apart / 2, 160))])
    people = People.from_poses(COCO17, points, np.ones((2, 17))).remap_to(codec.skeleton)
    encoded = codec.encode(people, sized(codec))
    length = np.hypot(encoded.targets["paf"][:, 0], encoded.targets["paf"][:, 1])
    crossed = (length > 0.05) & (length < 0.95)
    assert crossed.sum() >= 5, "limbs cross, and their field is the mean there"
    assert_same_people(codec.decode(encoded.as_fields(), replace(PAF_DEFAULT, masks=False)), people, tolerance_px=2)


def test_decode_drops_people_with_few_joints(crowd: Crowd):
    codec, people = SKELETONS["coco17"], crowd(1, (321, 369), 220)
    forearm = np.zeros((1, 17))
    forearm[0, [7, 9]] = 1
    fields = codec.encode(replace(people, keypoint_scores=forearm), (321, 369)).as_fields()
    assert len(codec.decode(fields)) == 0
    lenient = replace(PAF_DEFAULT, min_joints=2, min_score=0.0, instance_score="pose")
    assert_same_people(codec.decode(fields, lenient), replace(people, keypoint_scores=forearm))


def test_encode_and_decode_take_no_people(codec):
    size = sized(codec)
    encoded = codec.encode(People.empty(codec.skeleton, size), size)
    for name in ("paf", "heatmap", "segmentation"):
        assert not encoded.targets[name].any()
    assert (encoded.targets["background"] == 1).all()
    assert all((weight == 1).all() for weight in encoded.weights.values())
    for masks in (True, False):
        found = codec.decode(encoded.as_fields(), replace(PAF_DEFAULT, masks=masks))
        assert len(found) == 0
        assert found.masks is None if not masks else found.masks.shape == (0, *size)


def test_codec_takes_a_skeleton_of_one_joint():
    dots = Skeleton("dot", ("dot",), ())
    codec = PoSegCodec(dots)
    people = People.from_poses(dots, [[(40.3, 60.7)], [(120.2, 33.1)]], np.ones((2, 1)))
    fields = codec.encode(people, (161, 161)).as_fields()
    assert_same_people(codec.decode(fields, replace(PAF_DEFAULT, min_joints=1, masks=False)), people, 0.05)


# Symmetry.


def flipped_people(people: People, width: int) -> People:
    """The flipped people, with zeros where a joint is not annotated."""
    flipped = people.flipped(width)
    return replace(flipped, keypoints=np.where(flipped.keypoint_scores[..., None] > 0, flipped.keypoints, 0))


@pytest.mark.parametrize("changes", [{}, IN_BLOCKS], ids=["on pixels", "in blocks"])
def test_flipped_fields_are_those_of_flipped_people(codec, changes, crowd: Crowd):
    codec = replace(codec, **changes)
    size, people = sized(codec), people_on(crowd, codec, 3, 150)
    flipped = flip_fields(codec.encode(people, size).as_fields(), codec.flip_rules)
    expected = codec.encode(flipped_people(people, size[1]), size).as_fields()
    for name in flipped:
        np.testing.assert_allclose(flipped[name], expected[name], atol=2e-3, err_msg=name)
    assert np.abs(flipped["paf"] - codec.encode(people, size).as_fields()["paf"]).max() > 0.5


def test_paf_of_a_limb_along_a_row_of_cells_is_symmetric():
    """Its field ends on cells exactly, where a closed end and an open one differ."""
    codec = PoSegCodec(LSP14)
    size = codec.grid.size(11, 21)
    points, scores = np.zeros((1, 14, 2)), np.zeros((1, 14))
    points[0, [12, 13]], scores[0, [12, 13]] = [(40.5, 40.5), (80.5, 40.5)], 1
    people = People.from_poses(LSP14, points, scores)
    flipped = flip_fields(codec.encode(people, size).as_fields(), codec.flip_rules)
    np.testing.assert_array_equal(flipped["paf"], codec.encode(flipped_people(people, size[1]), size).targets["paf"])


@pytest.mark.parametrize("changes", [{}, IN_BLOCKS], ids=["on pixels", "in blocks"])
def test_decode_commutes_with_flipping(codec, changes, crowd: Crowd):
    codec = replace(codec, **changes)
    size, people = sized(codec), people_on(crowd, codec, 3, 150)
    fields = codec.encode(people, size).as_fields()
    found = codec.decode(flip_fields(fields, codec.flip_rules))
    assert_same_people(found, flipped_people(codec.decode(fields), size[1]), tolerance_px=0.1)
    assert_same_people(found, flipped_people(people, size[1]))


def test_encode_does_not_depend_on_the_order_of_people(crowd: Crowd):
    codec = SKELETONS["coco17"]
    people = people_on(crowd, codec, 5, 130)
    size, order = sized(codec), np.array([3, 1, 4, 0, 2])
    one, other = codec.encode(people, size), codec.encode(people[order], size)
    for name in one.targets:
        np.testing.assert_allclose(other.targets[name], one.targets[name], atol=1e-6, err_msg=name)
        np.testing.assert_array_equal(other.weights[name], one.weights[name], err_msg=name)
    first, second = codec.decode(one.as_fields()), codec.decode(other.as_fields())
    np.testing.assert_allclose(first.keypoints, second.keypoints, atol=1e-3)
    np.testing.assert_array_equal(first.masks, second.masks)


# Bad input and cards.


def test_decode_rejects_fields_that_are_not_finite(crowd: Crowd):
    codec = SKELETONS["coco17"]
    fields = codec.encode(people_on(crowd, codec, 1), sized(codec)).as_fields()
    fields["paf"][3, 1, 7, 7] = np.nan
    with pytest.raises(FieldError, match="paf"):
        codec.decode(fields)


def test_codec_rejects_limbs_that_do_not_connect_all_joints():
    with pytest.raises(SkeletonError, match="connect them all"):
        PoSegCodec(KITE, limbs=KITE_LIMBS[:-1])
    with pytest.raises(SkeletonError, match="no joint 'nose'"):
        PoSegCodec(KITE, limbs=(*KITE_LIMBS, ("nose", "tail")))


@pytest.mark.parametrize("changes", [{}, {"stride": 4, "origin_px": 2.0, "sigma_px": 5.5, "width_px": 6.0}], ids=str)
def test_codec_round_trips_through_a_card(codec, changes):
    codec = replace(codec, **changes)
    plain = codec.to_dict()
    assert CODECS["poseg"].from_dict(plain, codec.skeleton) == codec
    assert PoSegCodec.from_dict(json.loads(json.dumps(plain)), codec.skeleton) == codec


@pytest.mark.parametrize(
    "wrong", [{"stride": None}, {"sigma_px": "wide"}, {"limbs": 3}, {"limbs": [["nose"]]}], ids=str
)
def test_codec_rejects_a_card_with_a_setting_missing_or_wrong(wrong):
    plain = {**PoSegCodec().to_dict(), **wrong}
    with pytest.raises(FieldError, match="export the model again"):
        PoSegCodec.from_dict({name: value for name, value in plain.items() if value is not None}, COCO17)


def test_fields_from_outputs_takes_flat_outputs(codec):
    rng = np.random.default_rng(0)
    flat = {spec.name: rng.normal(size=(1, spec.channels, 4, 5)).astype(np.float32) for spec in codec.specs}
    fields = codec.fields_from_outputs({**flat, "stage0.paf": flat["paf"]})
    assert set(fields) == {"paf", "heatmap", "background", "segmentation"}
    np.testing.assert_array_equal(fields["paf"][2, 1], flat["paf"][0, 5])
    with pytest.raises(FieldError, match="paf"):
        codec.fields_from_outputs({"heatmap": flat["heatmap"]})


@pytest.mark.parametrize("setting", [{"stride": 0}, {"origin_px": 8.0}, {"sigma_px": 0.0}, {"width_px": -1.0}])
def test_codec_rejects_settings_out_of_range(setting):
    with pytest.raises(FieldError, match="above 0"):
        PoSegCodec(**setting)


# Targets.

CODEC, CELLS = PoSegCodec(), (41, 47)
SIZE = CODEC.grid.size(*CELLS)


@pytest.mark.parametrize(
    "codec", [CODEC, PoSegCodec(OPENPOSE18, **IN_BLOCKS), PoSegCodec(LSP14)], ids=lambda codec: codec.skeleton.name
)
def test_targets_have_the_shapes_of_the_specs(codec, crowd: Crowd):
    size = codec.grid.size(*CELLS)
    encoded = codec.encode(crowd(2, size, 150).remap_to(codec.skeleton), size)
    for spec in codec.specs:
        target, weight = encoded.targets[spec.name], encoded.weights[spec.name]
        assert target.shape == (*spec.shape, *CELLS)
        axes = [n for n, axis in zip(spec.shape, spec.axes, strict=True) if axis != "xy"]
        assert weight.shape == (*axes, *CELLS)
        assert target.dtype == weight.dtype == np.float32
    np.testing.assert_allclose(
        encoded.targets["background"], 1 - encoded.targets["heatmap"].max(axis=0), atol=1e-6
    )  # fmt: skip


@pytest.mark.parametrize("changes", [{}, IN_BLOCKS], ids=["on pixels", "in blocks"])
def test_weights_are_zero_where_ignored(changes, crowd: Crowd):
    codec = replace(CODEC, **changes)
    size = codec.grid.size(*CELLS)
    people = crowd(2, size, 150)
    ignore = np.zeros(size, bool)
    ignore[100:200, 50:300] = True
    people = replace(people, masks=np.zeros((2, *size), bool)) if changes else people
    encoded = codec.encode(people, size, ignore)
    inside = sample_at_cells(ignore, codec.grid)
    for name, weight in encoded.weights.items():
        assert not weight[..., inside].any(), name
    for name in ("paf", "heatmap", "background"):
        assert encoded.weights[name][..., ~inside].all(), name


def test_heatmap_ignores_positions_where_a_joint_may_be(crowd: Crowd):
    people = crowd(1, SIZE, 200)
    point, joint = np.array([300.5, 200.5], np.float32), 9
    uncertain = np.array([[joint, *point]], np.float32)
    plain, encoded = CODEC.encode(people, SIZE), CODEC.encode(people, SIZE, uncertain=uncertain)
    far = np.hypot(*(CODEC.grid.positions(*CELLS) - point[:, None, None])) > 3 * CODEC.sigma_px
    np.testing.assert_array_equal(encoded.weights["heatmap"][joint] > 0, far)
    np.testing.assert_array_equal(encoded.weights["background"] > 0, far)
    assert encoded.weights["heatmap"][np.arange(17) != joint].all()
    for name in ("paf", "segmentation"):
        np.testing.assert_array_equal(encoded.weights[name], plain.weights[name])
    for name in plain.targets:
        np.testing.assert_array_equal(encoded.targets[name], plain.targets[name])


def test_heatmap_counts_at_an_annotated_joint_near_an_uncertain_one(crowd: Crowd):
    people = crowd(1, SIZE, 200)
    uncertain = np.array([[9, *(people.keypoints[0, 9] + 10)]], np.float32)
    encoded = CODEC.encode(people, SIZE, uncertain=uncertain)
    assert encoded.weights["heatmap"][9][encoded.targets["heatmap"][9] > 0].all()
    assert not encoded.weights["heatmap"][9].all()


def test_paf_ignores_the_box_of_a_person_whose_limb_has_one_end(crowd: Crowd):
    people = crowd(2, SIZE, 170)
    scores = people.keypoint_scores.copy()
    scores[0, 9] = 0  # left wrist
    encoded = CODEC.encode(replace(people, keypoint_scores=scores), SIZE)
    x0, y0, x1, y1 = people.boxes_xyxy[0]
    x, y = CODEC.grid.positions(*CELLS)
    box = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
    assert 50 < box.sum() < box.size / 2
    on = (np.abs(encoded.targets["paf"]) > 0).any(axis=1)
    for limb, (a, b) in enumerate(CODEC.limbs):
        open_ended = "left_wrist" in (a, b)
        assert on[limb].any()
        expected = ~box | on[limb] if open_ended else np.ones_like(box)
        np.testing.assert_array_equal(encoded.weights["paf"][limb] > 0, expected, err_msg=f"{a} {b}")
    assert encoded.weights["heatmap"].all()


def test_people_without_joints_are_ignored_for_poses_and_segmented(crowd: Crowd):
    people = crowd(2, SIZE, 150)
    scores = people.keypoint_scores.copy()
    scores[1] = 0
    encoded = CODEC.encode(replace(people, keypoint_scores=scores), SIZE)
    mask = sample_at_cells(people.masks[1], CODEC.grid)
    assert mask.sum() > 20
    for name in ("paf", "heatmap", "background"):
        assert not encoded.weights[name][..., mask].any(), name
        assert encoded.weights[name][..., ~mask].all(), name
    assert (encoded.weights["segmentation"] == 1).all()
    assert (encoded.targets["segmentation"][mask] > 0.4).all()


def test_segmentation_ignores_boxes_of_people_without_a_mask(crowd: Crowd):
    people = crowd(2, SIZE, 150)
    boxes = people.boxes_xyxy.copy()
    boxes[1] = (0, 0, 200, 200)
    masks = np.asarray(people.masks).copy()
    masks[1] = False
    encoded = CODEC.encode(replace(people, masks=masks, boxes_xyxy=boxes), SIZE)
    x, y = CODEC.grid.positions(*CELLS)
    expected = ~((x < 200) & (y < 200)) | sample_at_cells(masks[0], CODEC.grid)
    np.testing.assert_array_equal(encoded.weights["segmentation"] > 0, expected)
    assert encoded.weights["heatmap"].all()
    no_masks = CODEC.encode(replace(people, masks=None, boxes_xyxy=boxes), SIZE)
    assert not no_masks.weights["segmentation"][:25, :25].any()


def test_encode_rejects_masks_of_another_size(crowd: Crowd):
    with pytest.raises(ShapeError, match=r"people\.masks"):
        CODEC.encode(crowd(1, (257, 257), 100), (257, 265))
