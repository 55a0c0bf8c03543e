"""Laws of Affine-Align: the numbers of the published templates, and windows that follow their person (section 3.2)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.codecs.pose2seg import paper_templates
from poseg.errors import ShapeError
from poseg.fields.align import (
    BY_BOX,
    BY_IMAGE,
    AlignedCrops,
    Templates,
    align,
    align_boxes,
    cluster_templates,
    crop_images,
    crop_masks,
)
from poseg.geometry import affine
from poseg.geometry.grid import pixel_centres
from poseg.geometry.masks import Masks
from poseg.io.coco_json import read_coco
from poseg.people import People
from poseg.skeletons import COCO17

ANNOTATIONS = (
    Path(__file__).resolve().parents[2].parent
    / "shared" / "data" / "coco_val_person_ann" / "person_keypoints_val2017_538.json.gz"
)  # fmt: skip
SIZE = (240, 320)
SIDE = 64
PUBLISHED = paper_templates()
SIX = PUBLISHED.with_swapped(COCO17)
STANDING, BACK, UPPER = range(3)
LEGS = [COCO17.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("knee", "ankle")]
FACE = [COCO17.index(joint) for joint in ("nose", "left_eye", "right_eye")]
ANGLES = st.floats(-np.pi, np.pi)


def poses(points, result=None) -> People:
    points = np.asarray(points, np.float32).reshape(-1, 17, 2)
    return People.from_poses(COCO17, points, np.ones(points.shape[:2]) if result is None else result)


def without(joints) -> np.ndarray:
    return np.where(np.isin(np.arange(17), joints), 0.0, 1.0)[None]


def aligned(people, templates=SIX, size=SIZE, padding=0.0, min_score=0.0) -> AlignedCrops:
    known = people.keypoint_scores > min_score
    return align(people.keypoints, known, people.boxes_xyxy, templates, size, side_px=SIDE, padding=padding)


def scores_of(people) -> list[float]:
    """How well each of the six templates fits the one person, when it is the only one."""
    alone = [Templates(SIX.points[t : t + 1], SIX.visible[t : t + 1]) for t in range(len(SIX))]
    return [float(aligned(people, one).scores[0]) for one in alone]


def noisy(seed: int, template: int = STANDING, scale_px: float = 120, noise: float = 0.03) -> np.ndarray:
    """A person of a template, every joint a little elsewhere: (17, 2)."""
    rng = np.random.default_rng(seed)
    return scale_px * (SIX.points[template] + rng.normal(0, noise, (17, 2))) + (60, 50)


# What the published templates give (specification, sections 3 and 11).


def test_a_template_scaled_and_moved_is_recovered():
    windows = aligned(poses(40 * PUBLISHED.points[STANDING] + (33.3, 71.9)))
    assert windows.templates.tolist() == [STANDING]
    assert windows.scores[0] == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(
        windows.matrices[0], SIDE / 40 * np.array([[1, 0, -33.3], [0, 1, -71.9]]), atol=1e-4 * SIDE
    )


def test_a_person_with_left_and_right_swapped_meets_the_swapped_template():
    windows = aligned(poses(40 * PUBLISHED.points[STANDING][COCO17.flip_index] + (33.3, 71.9)))
    assert windows.templates.tolist() == [STANDING + 3]
    assert windows.scores[0] == pytest.approx(1, abs=1e-6)


def test_a_person_lying_down_is_put_upright():
    lying = affine.similarity(40, np.pi / 2, target=(150, 71.9))
    windows = aligned(poses(affine.apply(lying, PUBLISHED.points[STANDING])))
    assert windows.templates.tolist() == [STANDING]
    assert windows.scores[0] == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(affine.compose(windows.matrices[0], lying), SIDE * affine.identity(), atol=1e-3)


@pytest.mark.parametrize(
    ("missing", "expected", "chosen"),
    [
        ([], {STANDING: 1.0000, STANDING + 3: 0.9937, BACK: 0, UPPER: 0}, STANDING),
        (LEGS, {UPPER: 0.9985, UPPER + 3: 0.9872, STANDING: 0.7647, BACK: 0}, UPPER),
        (FACE, {BACK + 3: 0.9995, BACK: 0.9958, STANDING: 0.8235, UPPER: 0}, BACK + 3),
    ],
)
def test_scores_are_those_of_the_paper_templates(missing, expected, chosen):
    person = poses(40 * PUBLISHED.points[STANDING] + (33.3, 71.9), without(missing))
    scores = scores_of(person)
    assert {template: scores[template] for template in expected} == pytest.approx(expected, abs=1e-3)
    windows = aligned(person)
    assert windows.templates.tolist() == [chosen]
    assert windows.scores[0] == pytest.approx(max(scores))


# The choice.


@given(st.integers(0, 10**6), st.integers(0, 5), st.sets(st.integers(0, 16), max_size=9))
def test_the_best_of_the_fits_is_taken(seed, template, missing):
    person = poses(noisy(seed, template), without(list(missing)))
    scores, windows = scores_of(person), aligned(person)
    if max(scores) == 0:
        assert windows.templates[0] in (BY_BOX, BY_IMAGE)
    else:
        assert windows.templates[0] == int(np.argmax(scores))
        assert windows.scores[0] == pytest.approx(max(scores))


def test_the_first_of_equally_good_templates_is_taken():
    twice = Templates(PUBLISHED.points[[0, 0, 0]], PUBLISHED.visible[[0, 0, 0]])
    assert aligned(poses(noisy(0)), twice).templates.tolist() == [0]


def test_a_joint_that_the_template_lacks_rules_it_out():
    result = np.zeros((1, 17))
    result[0, LEGS[1]] = result[0, FACE[0]] = result[0, 5] = result[0, 6] = 1  # an ankle and the nose: the front alone
    assert [score > 0 for score in scores_of(poses(noisy(0), result))] == [True, False, False, True, False, False]


@pytest.mark.parametrize("joints", [1, 2])
def test_fewer_than_three_joints_are_aligned_by_the_box(joints):
    result = without(range(joints, 17))
    person = replace(poses(noisy(0), result), boxes_xyxy=np.array([[100, 40, 150, 140]], np.float32))
    windows = aligned(person)
    assert windows.templates.tolist() == [BY_BOX]
    assert windows.scores.tolist() == [0]
    corners = affine.apply(windows.matrices[0], [[100, 40], [150, 140]])
    np.testing.assert_allclose(corners, [[16, 0], [48, 64]], atol=1e-3)


@pytest.mark.parametrize("box", [(0, 0, 0, 0), (5, 5, 5, 50), (50, 5, 5, 50), (np.nan, 0, 5, 5), (0, 0, np.inf, 5)])
def test_without_joints_and_box_the_whole_image_is_the_crop(box):
    person = replace(poses(np.zeros((17, 2)), np.zeros((1, 17))), boxes_xyxy=np.array([box], np.float32))
    windows = aligned(person)
    assert windows.templates.tolist() == [BY_IMAGE]
    corners = affine.apply(windows.matrices[0], [[0, 0], [SIZE[1], SIZE[0]]])
    np.testing.assert_allclose(corners, [[0, 8], [64, 56]], atol=1e-3)


@pytest.mark.parametrize(("side_px", "shown"), [(0.99 * SIZE[1], STANDING), (1.01 * SIZE[1], BY_BOX)])
def test_a_crop_is_never_larger_than_the_image(side_px, shown):
    assert aligned(poses(side_px * PUBLISHED.points[STANDING])).templates.tolist() == [shown]


def test_joints_below_the_minimum_score_are_missing():
    result = np.ones((1, 17))
    result[0, LEGS] = 0.2
    assert aligned(poses(noisy(0), result), min_score=0.1).templates[0] in (STANDING, STANDING + 3)
    assert aligned(poses(noisy(0), result), min_score=0.2).templates[0] in (UPPER, UPPER + 3)


# AlignedCrops follow their person.


@given(st.integers(0, 10**6), st.sets(st.integers(0, 16), max_size=8), ANGLES, st.floats(0.5, 2),
       st.tuples(st.floats(-200, 200), st.floats(-200, 200)))  # fmt: skip
def test_alignment_is_invariant_to_similarities(seed, missing, angle, scale, shift):
    motion = affine.similarity(scale, angle, target=shift)
    points, result = noisy(seed), without(list(missing))
    before, after = (aligned(poses(p, result), size=(800, 800)) for p in (points, affine.apply(motion, points)))
    if before.templates[0] < 0:
        assert after.templates[0] < 0
        return
    assert after.templates[0] == before.templates[0]
    assert after.scores[0] == pytest.approx(before.scores[0], abs=1e-5)
    np.testing.assert_allclose(
        affine.apply(affine.compose(after.matrices[0], motion), points), affine.apply(before.matrices[0], points),
        atol=2e-2,
    )  # fmt: skip


@given(st.integers(0, 10**6), st.sets(st.integers(0, 16), max_size=8))
def test_swapping_left_and_right_swaps_the_template_and_keeps_the_crop(seed, missing):
    points, result = noisy(seed), without(list(missing))
    flip = COCO17.flip_index
    before, after = aligned(poses(points, result)), aligned(poses(points[flip], result[:, flip]))
    if before.templates[0] >= 0:
        assert after.templates[0] == (before.templates[0] + 3) % 6
    np.testing.assert_allclose(after.matrices, before.matrices, atol=1e-6)


@pytest.mark.parametrize("margin", [0, 0.1, 0.3])
@pytest.mark.parametrize("joints", [17, 2])
def test_padding_surrounds_the_unit_square(margin, joints):
    people = poses(noisy(0), without(range(joints, 17)))
    bare, framed = aligned(people), aligned(people, padding=margin)
    np.testing.assert_array_equal(framed.templates, bare.templates)
    inner = affine.similarity(1 - 2 * margin, target=(margin * SIDE, margin * SIDE))
    np.testing.assert_allclose(framed.matrices[0], affine.compose(inner, bare.matrices[0]), atol=1e-9)


def test_people_are_aligned_independently():
    crowd = poses([noisy(seed, seed % 6) for seed in range(8)])
    together = aligned(crowd)
    for person in range(8):
        alone = aligned(crowd[[person]])
        np.testing.assert_allclose(together.matrices[person], alone.matrices[0], atol=1e-12)
        assert together.templates[person] == alone.templates[0]


def test_compose_gives_crops_of_the_source_image():
    windows = aligned(poses([noisy(0), noisy(1)]))
    first = affine.similarity(0.4, target=(12, 3))
    before = windows.compose(first)
    points = np.random.default_rng(0).uniform(0, 300, (5, 2))
    for matrix, inner in zip(before.matrices, windows.matrices, strict=True):
        np.testing.assert_allclose(
            affine.apply(matrix, points), affine.apply(inner, affine.apply(first, points)), atol=1e-3
        )
    np.testing.assert_array_equal(before.templates, windows.templates)


def test_no_people_have_no_crops():
    windows = aligned(poses(np.zeros((0, 17, 2))))
    assert len(windows) == len(windows.compose(affine.identity())) == 0
    assert crop_masks(Masks.empty(0, SIZE), windows).shape == (0, SIDE, SIDE)
    assert Masks.from_probabilities(np.zeros((0, SIDE, SIDE)), windows.matrices, SIZE).shape == (0, *SIZE)


# Pixels.


def framed(*matrices, side_px=SIDE) -> AlignedCrops:
    count = len(matrices)
    return AlignedCrops(np.array(matrices), np.zeros(count, np.intp), np.ones(count), side_px)


def test_a_crop_of_the_whole_image_is_the_identity():
    mask = np.random.default_rng(0).random((1, SIDE, SIDE)) > 0.5
    windows = framed(affine.identity())
    shown = crop_masks(Masks.from_full(mask), windows)
    np.testing.assert_array_equal(shown, mask)
    np.testing.assert_array_equal(Masks.from_probabilities(shown, windows.matrices, (SIDE, SIDE)), mask)


@pytest.mark.parametrize("times", [3, 5, 7])
def test_crop_masks_averages_areas(times):
    mask = np.random.default_rng(0).random((1, times * 16, times * 16)) > 0.6
    share = mask[0].reshape(16, times, 16, times).mean(axis=(1, 3))
    shown = crop_masks(Masks.from_full(mask), framed(affine.similarity(1 / times), side_px=16))[0]
    np.testing.assert_allclose(shown, share, atol=1e-5)


@given(st.floats(0.02, 20), ANGLES, st.tuples(st.floats(0, 320), st.floats(0, 240)))
def test_coverage_is_between_0_and_1_and_1_at_the_centre_of_a_mask(scale, angle, centre):
    windows = framed(affine.similarity(scale, angle, centre, (SIDE / 2, SIDE / 2)))
    mask = np.zeros((1, *SIZE), np.bool_)
    y, x = pixel_centres(np.indices(SIZE))
    mask[0] = np.hypot(x - centre[0], y - centre[1]) < 3 / scale + 2
    shown = crop_masks(Masks.from_full(mask), windows)[0]
    assert shown.min() >= 0
    assert shown.max() <= 1 + 1e-6
    inside = np.all([20 < centre[0] < 300, 20 < centre[1] < 220])
    if inside and scale > 0.25:
        assert shown[SIDE // 2, SIDE // 2] > 0.9
    far = np.hypot(*(np.indices((SIDE, SIDE)) + 0.5 - SIDE / 2))
    assert shown[far > 3 + 4 * scale + 3].max(initial=0) == 0


@pytest.mark.parametrize("scale", [1e-2, 1e-4, 1e-7, 1e-30])
def test_a_mask_in_a_far_larger_crop_nearly_vanishes(scale):
    windows = framed(affine.similarity(scale, centre=(160, 120), target=(SIDE / 2 + 0.5, SIDE / 2 + 0.5)))
    shown = crop_masks(Masks.from_full(np.ones((1, *SIZE))), windows)
    pixels = SIZE[0] * SIZE[1] * scale**2
    assert shown[0, SIDE // 2, SIDE // 2] == pytest.approx(min(1, pixels), rel=0.1)
    assert shown.max() <= shown[0, SIDE // 2, SIDE // 2]
    assert np.isfinite(shown).all()


# Where templates come from.


@pytest.mark.skipif(not ANNOTATIONS.exists(), reason="needs COCO's person annotation beside the repository")
def test_the_typical_poses_of_coco_are_the_published_ones():
    data = read_coco(ANNOTATIONS)
    rows = np.concatenate([data.rows[image_id][0] for image_id in data.images])
    triplets = data.table.triplets[rows]
    points, seen = pixel_centres(triplets[..., :2]), triplets[..., 2]
    result, visibility = cluster_templates(points, seen, data.table.boxes_xyxy[rows], COCO17)
    for known, place, scores in zip(PUBLISHED.visible, PUBLISHED.points, (1.96, 0.12, 1.82), strict=True):
        (same,) = np.flatnonzero((result.visible == known).all(axis=1))
        np.testing.assert_allclose(result.points[same][known], place[known], atol=0.05)
        assert visibility[same, COCO17.index("nose")] == pytest.approx(scores, abs=0.1)
    assert result.visible[0].all(), "most people are seen whole, from the front"


def clusters(counts=(30, 20, 10)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Persons of the three templates, each in a box of its own: points, visibilities, boxes."""
    rng = np.random.default_rng(0)
    which = np.repeat(np.arange(3), counts)
    sides, places = rng.uniform(20, 300, (len(which), 1, 1)), rng.uniform(0, 200, (len(which), 1, 2))
    boxes = np.concatenate([places[:, 0], places[:, 0] + sides[:, 0]], axis=1)
    return sides * PUBLISHED.points[which] + places, 2 * PUBLISHED.visible[which], boxes


def test_cluster_templates_finds_planted_poses_by_frequency():
    result, visibility = cluster_templates(*clusters(), COCO17)
    np.testing.assert_array_equal(result.visible, PUBLISHED.visible)
    np.testing.assert_allclose(result.points, PUBLISHED.points, atol=1e-4)
    np.testing.assert_allclose(visibility, 2 * PUBLISHED.visible, atol=1e-6)
    other = cluster_templates(*clusters((10, 20, 30)), COCO17)[0]
    np.testing.assert_array_equal(other.visible, PUBLISHED.visible[::-1])


def test_types_do_not_depend_on_chance_nor_on_the_order_of_people():
    points, seen, boxes = clusters()
    points = points + np.random.default_rng(1).normal(0, 2, points.shape)
    first = cluster_templates(points, seen, boxes, COCO17)[0].points
    np.testing.assert_allclose(cluster_templates(points, seen, boxes, COCO17)[0].points, first, atol=0)
    np.testing.assert_allclose(cluster_templates(points, seen, boxes, COCO17, seed=5)[0].points, first, atol=1e-5)
    backwards = cluster_templates(points[::-1], seen[::-1], boxes[::-1], COCO17)[0].points
    np.testing.assert_allclose(backwards, first, atol=1e-5)


def test_types_are_symmetric():
    points, seen, boxes = clusters()
    points = points + np.random.default_rng(1).normal(0, 2, points.shape)
    result = cluster_templates(points, seen, boxes, COCO17)[0]
    flipped = np.where(result.visible[..., None], result.points[:, COCO17.flip_index] * (-1, 1) + (1, 0), 0)
    np.testing.assert_allclose(result.points, flipped, atol=1e-6)


def test_points_of_weight_zero_do_not_count():
    points, seen, boxes = clusters()
    spoiled = np.where(seen[..., None] > 0, points, np.nan)
    expected = cluster_templates(points, seen, boxes, COCO17)[0].points
    np.testing.assert_array_equal(cluster_templates(spoiled, seen, boxes, COCO17)[0].points, expected)
    few, unboxed = np.zeros((9, 17)), np.tile([5.0, 5, 5, 50], (9, 1))
    few[:, :7] = 2
    more = [np.concatenate([a, b]) for a, b in ((points, points[:9] + 40), (seen, few), (boxes, boxes[:9]))]
    np.testing.assert_array_equal(cluster_templates(*more, COCO17)[0].points, expected)
    more = [np.concatenate([a, b]) for a, b in ((points, points[:9]), (seen, seen[:9]), (boxes, unboxed))]
    np.testing.assert_array_equal(cluster_templates(*more, COCO17)[0].points, expected)


@pytest.mark.parametrize("count", [0, 2])
def test_too_few_poses_have_no_types(count):
    points, seen, boxes = (array[:count] for array in clusters())
    with pytest.raises(ShapeError, match="8 joints"):
        cluster_templates(points, seen, boxes, COCO17)


# Bad input.


@pytest.mark.parametrize(
    "points",
    [np.full((17, 2), 50.0), np.full((17, 2), np.nan), np.full((17, 2), np.inf), np.full((17, 2), -3e38),
     np.where(np.arange(34).reshape(17, 2) % 3, noisy(0), np.nan), 1e30 * noisy(0), 1e-30 * noisy(0)],
    ids=["one place", "nan", "inf", "largest", "some nan", "huge", "tiny"],
)  # fmt: skip
def test_every_pose_has_a_crop(points):
    windows = aligned(poses([points, noisy(1)]))
    assert np.isfinite(windows.matrices).all()
    assert (np.abs(np.linalg.det(windows.matrices[:, :, :2])) > 0).all()
    np.testing.assert_allclose(windows.matrices[1], aligned(poses(noisy(1))).matrices[0], atol=1e-12)


def test_a_joint_that_is_no_number_is_not_there():
    points = noisy(0)
    points[LEGS[0]] = np.nan
    points[LEGS[1], 1] = np.inf
    expected = aligned(poses(noisy(0), without(LEGS[:2])))
    np.testing.assert_allclose(aligned(poses(points)).matrices, expected.matrices, atol=1e-9)


@pytest.mark.parametrize(("points", "known"), [((3, 17), (3, 17)), ((3, 17, 3), (3, 17)), ((3, 17, 2), (3, 16))])
def test_templates_of_another_shape_are_refused(points, known):
    with pytest.raises(ShapeError, match="templates"):
        Templates(np.zeros(points), np.ones(known, np.bool_))


@given(st.floats(0, 100), st.floats(0, 80), st.floats(5, 150), st.floats(5, 150), st.floats(0, 0.4))
def test_a_box_fills_its_crop_up_to_the_padding(left, top, width, height, margin):
    windows = align_boxes([[left, top, left + width, top + height]], SIZE, side_px=SIDE, padding=margin)
    corners = affine.apply(windows.matrices[0], [[left, top], [left + width, top + height]])
    np.testing.assert_allclose(corners.mean(axis=0), SIDE / 2, atol=1e-3)
    assert np.ptp(corners, axis=0).max() == pytest.approx(SIDE * (1 - 2 * margin), rel=1e-4)
    assert windows.templates[0] == BY_BOX


def test_an_empty_box_is_aligned_by_the_image():
    windows = align_boxes([[0, 0, 0, 0], [5, 5, np.nan, 9]], SIZE, side_px=SIDE, padding=0.0)
    assert (windows.templates == BY_IMAGE).all()
    corners = affine.apply(windows.matrices[0], [[0, 0], [SIZE[1], SIZE[0]]])
    np.testing.assert_allclose(corners[:, 0], (0, SIDE), atol=1e-3)


@pytest.mark.parametrize("scale", [0.4, 1.0, 3.0, 9.0])
def test_crop_images_keeps_colours(scale):
    """A ramp comes out as the same ramp, enlarged or shrunk; beyond the image it is grey."""
    size = (round(120 * scale), round(150 * scale))
    y, x = np.mgrid[: size[0], : size[1]]
    x, y = pixel_centres(x), pixel_centres(y)
    ramp = np.stack([x * 200 / size[1], y * 200 / size[0], np.full(size, 50)], axis=-1)
    image = np.rint(ramp).astype(np.uint8)
    box = np.array([[30, 20, 100, 90]]) * scale
    (inside,) = crop_images(image, align_boxes(box, size, side_px=SIDE, padding=0.0))
    at = pixel_centres(np.arange(SIDE)) / SIDE
    np.testing.assert_allclose(inside[..., 0], np.tile((30 + 70 * at) * 200 / 150, (SIDE, 1)), atol=2.5)
    np.testing.assert_allclose(inside[..., 1], np.tile((20 + 70 * at) * 200 / 120, (SIDE, 1)).T, atol=2.5)
    assert (inside[..., 2] == 50).all()
    outside = crop_images(image, align_boxes(-box[:, [2, 3, 0, 1]], size, side_px=SIDE, padding=0.0))
    assert (outside == 127).all()


def test_shrinking_takes_every_pixel_into_account():
    """A fine chequerboard is grey from afar, not a pattern of its own."""
    y, x = np.mgrid[:480, :480]
    board = np.repeat((255 * ((x + y) % 2)).astype(np.uint8)[..., None], 3, axis=2)
    (seen,) = crop_images(board, align_boxes([[0, 0, 480, 480]], (480, 480), side_px=SIDE, padding=0.0))
    assert np.abs(seen[2:-2, 2:-2].astype(float) - 127.5).max() < 12
