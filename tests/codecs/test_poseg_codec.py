"""PersonLabDecoder undoes encoding: for every skeleton and grid, in the mirror and in any order."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.codecs import CODECS, PAF_DEFAULT, PoSegCodec
from poseg.codecs.flip_fusion import flip_fields, fuse_fields
from poseg.errors import FieldError, SkeletonError
from poseg.fields import Fields
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


def some(crowd: Crowd, codec: PoSegCodec, n: int, height_px: float = 220.0, seed: int = 0) -> People:
    """People on the skeleton of the codec; kites and LSP's heads are made of COCO's joints."""
    people = crowd(n, sized(codec), height_px, seed)
    if codec.skeleton is KITE:
        points = people.keypoints[:, [0, 9, 10, 15, 16]]
        return People.from_poses(KITE, points, np.ones((n, 5)), masks=people.masks)
    known = people.remap_to(codec.skeleton)
    if codec.skeleton in (LSP14, CROWDPOSE14):
        points, sure = known.keypoints.copy(), known.keypoint_scores.copy()
        head = codec.skeleton.joints.index("head_top")
        points[:, head], sure[:, head] = people.keypoints[:, 0] - (0, 0.08 * height_px), 1
        known = replace(known, keypoints=points, keypoint_scores=sure)
    return known


def fuse_poses(found: People, true: People, tolerance_px: float = 1.0) -> None:
    """The same people in any order, no joint lost and none invented."""
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
def test_decoding_undoes_encoding(codec, changes, n, crowd: Crowd):
    codec = replace(codec, **changes)
    people = some(crowd, codec, n, {1: 220, 3: 150, 5: 130}[n], seed=n)
    found = codec.decode(codec.encode(people, sized(codec)).as_fields())
    fuse_poses(found, people)
    assert found.scores.min() > 0.7
    assert (np.diff(found.scores) <= 0).all()
    assert found.masks is not None
    assert people.masks is not None
    assert found.masks.shape == people.masks.shape


@pytest.mark.parametrize("closing", ["join", "fill"])
def test_both_ways_to_assemble_undo_encoding(codec, closing, crowd: Crowd):
    people = some(crowd, codec, 3, 150)
    fuse_poses(
        codec.decode(codec.encode(people, sized(codec)).as_fields(), replace(PAF_DEFAULT, redundant_limbs=closing)),
        people,
    )


@given(seed=st.integers(0, 10**6))
def test_joints_that_are_not_annotated_do_not_come_back(seed):
    """Where a way of limbs leads round those that are missing, the others stay together."""
    codec, rng = SKELETONS["coco17"], np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(5), np.arange(4)), axis=-1).reshape(-1, 2)[:17]
    points = (40 + 60 * grid + rng.uniform(-8, 8, (17, 2)))[None]
    sure = np.ones((1, 17))
    sure[0, rng.choice([0, 1, 2, 3, 4, 7, 8, 9, 10, 15, 16], 3, replace=False)] = 0
    people = People.from_poses(COCO17, points, sure, masks=np.zeros((1, *sized(codec)), bool))
    found = codec.decode(codec.encode(people, sized(codec)).as_fields(), replace(PAF_DEFAULT, masks=False))
    top = found[0]
    assert (top.keypoint_scores[0] > 0).sum() >= 12
    there = top.keypoint_scores[0] > 0
    assert not (there & (sure[0] == 0)).any()
    assert np.linalg.norm(top.keypoints[0] - points[0], axis=1)[there].max() < 1


def leaning(degrees: float, middle: tuple[float, float], height_px: float = 250.0) -> np.ndarray:
    """COCO's joints of a person who leans to the right: (17, 2)."""
    standing = np.array(
        [(0, -0.45), (0.03, -0.48), (-0.03, -0.48), (0.07, -0.46), (-0.07, -0.46), (0.12, -0.32), (-0.12, -0.32),
         (0.16, -0.17), (-0.16, -0.17), (0.17, -0.02), (-0.17, -0.02), (0.07, 0), (-0.07, 0), (0.08, 0.25),
         (-0.08, 0.25), (0.09, 0.48), (-0.09, 0.48)]
    )  # fmt: skip
    turn = np.deg2rad(degrees)
    return standing @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) * height_px + middle


@pytest.mark.parametrize("codec", [SKELETONS["coco17"], SKELETONS["openpose18"]], ids=["coco17", "openpose18"])
@pytest.mark.parametrize(("degrees", "apart"), [(30, 40), (35, 60), (45, 80)])
def test_two_crossing_people_are_kept_apart(codec, degrees, apart):
    points = np.stack([leaning(degrees, (190 - apart / 2, 160)), leaning(-degrees, (190 + apart / 2, 160))])
    people = People.from_poses(COCO17, points, np.ones((2, 17))).remap_to(codec.skeleton)
    encoded = codec.encode(people, sized(codec))
    length = np.hypot(encoded.targets["paf"][:, 0], encoded.targets["paf"][:, 1])
    crossed = (length > 0.05) & (length < 0.95)
    assert crossed.sum() >= 5, "limbs cross, and their field is the mean there"
    fuse_poses(codec.decode(encoded.as_fields(), replace(PAF_DEFAULT, masks=False)), people, tolerance_px=2)


def test_a_forearm_alone_is_nobody(crowd: Crowd):
    codec, people = SKELETONS["coco17"], crowd(1, (321, 369), 220)
    sure = np.zeros((1, 17))
    sure[0, [7, 9]] = 1
    fields = codec.encode(replace(people, keypoint_scores=sure), (321, 369)).as_fields()
    assert len(codec.decode(fields)) == 0
    anybody = replace(PAF_DEFAULT, min_joints=2, min_score=0.0, instance_score="pose")
    fuse_poses(codec.decode(fields, anybody), replace(people, keypoint_scores=sure))


def test_nobody_gives_nobody(codec):
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


def test_a_skeleton_of_one_joint_needs_no_limbs():
    dots = Skeleton("dot", ("dot",), ())
    codec = PoSegCodec(dots)
    people = People.from_poses(dots, [[(40.3, 60.7)], [(120.2, 33.1)]], np.ones((2, 1)))
    fields = codec.encode(people, (161, 161)).as_fields()
    fuse_poses(codec.decode(fields, replace(PAF_DEFAULT, min_joints=1, masks=False)), people, 0.05)


# Symmetry.


def mirrored(people: People, width: int) -> People:
    masks = None if people.masks is None else np.asarray(people.masks)[..., ::-1]
    order = people.skeleton.flip_index
    points = people.keypoints[:, order] * np.array([-1, 1]) + np.array([width, 0])
    points = np.where(people.keypoint_scores[:, order, None] > 0, points, 0)
    return People.from_poses(people.skeleton, points, people.keypoint_scores[:, order], masks=masks)


@pytest.mark.parametrize("changes", [{}, IN_BLOCKS], ids=["on pixels", "in blocks"])
def test_mirrored_fields_are_those_of_mirrored_people(codec, changes, crowd: Crowd):
    codec = replace(codec, **changes)
    size, people = sized(codec), some(crowd, codec, 3, 150)
    turned = flip_fields(codec.encode(people, size).as_fields(), codec.flip_rules)
    painted = codec.encode(mirrored(people, size[1]), size).as_fields()
    for name in turned:
        np.testing.assert_allclose(turned[name], painted[name], atol=2e-3, err_msg=name)
    assert np.abs(turned["paf"] - codec.encode(people, size).as_fields()["paf"]).max() > 0.5


def test_a_limb_along_a_row_of_cells_is_as_long_in_the_mirror():
    """Its field ends on cells exactly, where a closed end and an open one differ."""
    codec = PoSegCodec(LSP14)
    size = codec.grid.size(11, 21)
    points, sure = np.zeros((1, 14, 2)), np.zeros((1, 14))
    points[0, [12, 13]], sure[0, [12, 13]] = [(40.5, 40.5), (80.5, 40.5)], 1
    people = People.from_poses(LSP14, points, sure)
    turned = flip_fields(codec.encode(people, size).as_fields(), codec.flip_rules)
    np.testing.assert_array_equal(turned["paf"], codec.encode(mirrored(people, size[1]), size).targets["paf"])


@pytest.mark.parametrize("changes", [{}, IN_BLOCKS], ids=["on pixels", "in blocks"])
def test_decoding_commutes_with_mirroring(codec, changes, crowd: Crowd):
    codec = replace(codec, **changes)
    size, people = sized(codec), some(crowd, codec, 3, 150)
    fields = codec.encode(people, size).as_fields()
    found = codec.decode(flip_fields(fields, codec.flip_rules))
    fuse_poses(found, mirrored(codec.decode(fields), size[1]), tolerance_px=0.1)
    fuse_poses(found, mirrored(people, size[1]))
    both = fuse_fields([fields, flip_fields(flip_fields(fields, codec.flip_rules), codec.flip_rules)], codec.skeleton)
    fuse_poses(codec.decode(both), people)


@pytest.mark.parametrize("name", SKELETONS)
@given(seed=st.integers(0, 10**6))
def test_mirroring_fields_twice_is_nothing(name, seed):
    codec, rng = SKELETONS[name], np.random.default_rng(seed)
    arrays = {spec.name: rng.normal(size=(*spec.shape, 5, 6)).astype(np.float32) for spec in codec.specs}
    fields = Fields(codec.specs, arrays)
    twice = flip_fields(flip_fields(fields, codec.flip_rules), codec.flip_rules)
    for field in fields:
        np.testing.assert_array_equal(twice[field], fields[field])


def test_the_order_of_people_does_not_matter(crowd: Crowd):
    codec = SKELETONS["coco17"]
    people = some(crowd, codec, 5, 130)
    size, order = sized(codec), np.array([3, 1, 4, 0, 2])
    one, other = codec.encode(people, size), codec.encode(people[order], size)
    for name in one.targets:
        np.testing.assert_allclose(other.targets[name], one.targets[name], atol=1e-6, err_msg=name)
        np.testing.assert_array_equal(other.weights[name], one.weights[name], err_msg=name)
    first, second = codec.decode(one.as_fields()), codec.decode(other.as_fields())
    np.testing.assert_allclose(first.keypoints, second.keypoints, atol=1e-3)
    assert first.masks is not None
    np.testing.assert_array_equal(first.masks, second.masks)


# Bad input and cards.


def test_fields_that_are_not_finite_are_refused(crowd: Crowd):
    codec = SKELETONS["coco17"]
    fields = codec.encode(some(crowd, codec, 1), sized(codec)).as_fields()
    fields["paf"][3, 1, 7, 7] = np.nan
    with pytest.raises(FieldError, match="paf"):
        codec.decode(fields)


def test_limbs_that_do_not_reach_all_joints_are_refused():
    with pytest.raises(SkeletonError, match="connect them all"):
        PoSegCodec(KITE, limbs=KITE_LIMBS[:-1])
    with pytest.raises(SkeletonError, match="no joint 'nose'"):
        PoSegCodec(KITE, limbs=(*KITE_LIMBS, ("nose", "tail")))


@pytest.mark.parametrize("changes", [{}, {"stride": 4, "origin_px": 2.0, "sigma_px": 5.5, "width_px": 6.0}], ids=str)
def test_a_codec_comes_back_from_its_card(codec, changes):
    codec = replace(codec, **changes)
    plain = codec.to_dict()
    assert CODECS["poseg"].from_dict(plain, codec.skeleton) == codec
    assert PoSegCodec.from_dict(json.loads(json.dumps(plain)), codec.skeleton) == codec


@pytest.mark.parametrize(
    "wrong", [{"stride": None}, {"sigma_px": "wide"}, {"limbs": 3}, {"limbs": [["nose"]]}], ids=str
)
def test_a_card_with_a_setting_missing_or_wrong_is_refused(wrong):
    plain = {**PoSegCodec().to_dict(), **wrong}
    with pytest.raises(FieldError, match="export the model again"):
        PoSegCodec.from_dict({name: value for name, value in plain.items() if value is not None}, COCO17)


def test_fields_come_from_a_networks_flat_outputs(codec):
    rng = np.random.default_rng(0)
    flat = {spec.name: rng.normal(size=(1, spec.channels, 4, 5)).astype(np.float32) for spec in codec.specs}
    fields = codec.fields_from_outputs({**flat, "stage0.paf": flat["paf"]})
    assert set(fields) == {"paf", "heatmap", "background", "segmentation"}
    np.testing.assert_array_equal(fields["paf"][2, 1], flat["paf"][0, 5])
    with pytest.raises(FieldError, match="paf"):
        codec.fields_from_outputs({"heatmap": flat["heatmap"]})


@pytest.mark.parametrize("setting", [{"stride": 0}, {"origin_px": 8.0}, {"sigma_px": 0.0}, {"width_px": -1.0}])
def test_settings_that_paint_nothing_are_refused(setting):
    with pytest.raises(FieldError, match="above 0"):
        PoSegCodec(**setting)
