"""Affine maps: composition, inverses, OpenCV's convention, and the best similarity."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from poseg.geometry.affine import apply, compose, fit_similarities, identity, invert, similarity, to_cv2
from poseg.geometry.grid import pixel_centres

COORDINATE = st.floats(-100, 100)
POINT = st.tuples(COORDINATE, COORDINATE)
MAPS = st.builds(similarity, scale=st.floats(0.25, 4), rotation_rad=st.floats(-np.pi, np.pi), centre=POINT,
                 target=POINT, flip=st.booleans())  # fmt: skip
LAW = settings(max_examples=25, deadline=None)


def centre_of_light(image):
    """Continuous x, y of the light in an image."""
    y, x = np.indices(image.shape)
    weight = image / image.sum()
    return np.array([(pixel_centres(x) * weight).sum(), (pixel_centres(y) * weight).sum()])


@given(MAPS, MAPS, POINT)
@LAW
def test_compose_is_first_then_second(second, first, point):
    np.testing.assert_allclose(apply(compose(second, first), point), apply(second, apply(first, point)), atol=2e-2)


@given(MAPS, POINT)
@LAW
def test_invert_undoes(matrix, point):
    np.testing.assert_allclose(compose(invert(matrix), matrix), identity(), atol=1e-6)
    np.testing.assert_allclose(compose(matrix, invert(matrix)), identity(), atol=1e-6)
    np.testing.assert_allclose(apply(invert(matrix), apply(matrix, point)), point, atol=5e-3)


def test_a_map_that_flattens_the_plane_has_no_inverse():
    with pytest.raises(np.linalg.LinAlgError):
        invert(np.zeros((2, 3)))


@given(st.floats(0.25, 4), st.floats(-np.pi, np.pi), POINT, POINT, st.booleans())
@LAW
def test_similarity_maps_its_centre_and_scales_lengths(scale, angle, centre, target, flip):
    matrix = similarity(scale, angle, centre, target, flip)
    np.testing.assert_allclose(apply(matrix, centre), target, atol=1e-3)
    assert np.linalg.det(matrix[:, :2]) == pytest.approx(-(scale**2) if flip else scale**2)
    np.testing.assert_allclose(matrix[:, :2] @ matrix[:, :2].T, scale**2 * np.eye(2), atol=1e-6)


def test_a_quarter_rotation_takes_right_to_down():
    np.testing.assert_allclose(
        apply(similarity(rotation_rad=np.pi / 2), [[1, 0], [0, 1]]), [[0, 1], [-1, 0]], atol=1e-6
    )


def test_flip_is_before_rotation():
    matrix = similarity(rotation_rad=np.pi / 2, flip=True)
    np.testing.assert_allclose(apply(matrix, [1, 0]), [0, -1], atol=1e-6)


def test_points_keep_their_leading_axes():
    points = np.arange(24, dtype=np.float32).reshape(3, 4, 2)
    moved = apply(similarity(target=(10, 20)), points)
    assert moved.dtype == np.float32
    np.testing.assert_array_equal(moved, points + np.array([10, 20]))


@given(
    st.integers(20, 43), st.integers(20, 35), st.floats(0.7, 1.5), st.floats(-np.pi, np.pi), st.booleans(),
    st.tuples(st.floats(-3, 3), st.floats(-3, 3)),
)  # fmt: skip
@LAW
def test_a_white_pixel_moves_by_the_map(column, row, scale, angle, flip, shift):
    width, height = 64, 56
    image = np.zeros((height, width), np.float32)
    image[row, column] = 1
    centre = (width / 2, height / 2)
    matrix = similarity(scale, angle, centre, (70 + shift[0], 65 + shift[1]), flip)
    moved = cv2.warpAffine(image, to_cv2(matrix), (140, 130), flags=cv2.INTER_LINEAR)
    assert moved.sum() > 0
    where = apply(matrix, pixel_centres([column, row]))
    # bilinear light spreads over a pixel either way; sampling it at pixel centres moves its centre by less than half
    np.testing.assert_allclose(centre_of_light(moved), where, atol=0.5)


@pytest.mark.parametrize("width", [7, 8])
def test_a_flip_moves_pixels_by_its_map(width):
    image = np.random.default_rng(0).random((5, width), np.float32)
    matrix = similarity(centre=(width / 2, 0), target=(width / 2, 0), flip=True)
    np.testing.assert_allclose(cv2.warpAffine(image, to_cv2(matrix), (width, 5)), image[:, ::-1], atol=1e-6)
    np.testing.assert_allclose(apply(matrix, pixel_centres([0, 2])), pixel_centres([width - 1, 2]))


@pytest.mark.parametrize(("turns", "angle"), [(1, -np.pi / 2), (2, np.pi), (3, np.pi / 2)])
def test_quarter_rotations_move_every_pixel_exactly(turns, angle):
    image = np.random.default_rng(1).random((6, 9), np.float32)
    expected = np.rot90(image, turns)
    height, width = expected.shape
    matrix = similarity(rotation_rad=angle, centre=(4.5, 3), target=(width / 2, height / 2))
    np.testing.assert_allclose(cv2.warpAffine(image, to_cv2(matrix), (width, height)), expected, atol=1e-4)


def test_doubling_agrees_with_resize():
    image = np.random.default_rng(2).random((6, 9), np.float32)
    moved = cv2.warpAffine(image, to_cv2(similarity(scale=2)), (18, 12), borderMode=cv2.BORDER_REPLICATE)
    np.testing.assert_allclose(moved, cv2.resize(image, (18, 12), interpolation=cv2.INTER_LINEAR), atol=1e-2)


def test_the_identity_is_the_same_in_both_conventions():
    np.testing.assert_array_equal(to_cv2(identity()), identity())


CLOUDS = st.integers(2, 17).flatmap(
    lambda count: st.tuples(
        arrays.arrays(np.float64, (count, 2), elements=COORDINATE),
        arrays.arrays(np.float64, (count, 2), elements=COORDINATE),
        arrays.arrays(np.float64, count, elements=st.just(0.0) | st.floats(0.1, 10)),
    )
)
POSE = np.random.default_rng(3).uniform(-50, 50, (9, 2))


def solved(source, target, weight):
    """The same map from a solver that knows nothing of similarities: unknowns a, b and the shift."""
    (x, y), nought, one = source.T, np.zeros(len(source)), np.ones(len(source))
    rows = np.concatenate([np.stack([x, -y, one, nought], axis=1), np.stack([y, x, nought, one], axis=1)])
    root = np.sqrt(np.tile(weight, 2))
    a, b, right, down = np.linalg.lstsq(rows * root[:, None], target.T.reshape(-1) * root, rcond=None)[0]
    return np.array([[a, -b, right], [b, a, down]])


def deviation_px(points, weight):
    """Root of the weighted mean square of the distances from the centre."""
    if not weight.sum():
        return 0.0
    centre = np.average(points, axis=0, weights=weight)
    return float(np.sqrt(np.average(((points - centre) ** 2).sum(axis=1), weights=weight)))


def moved(matrix, points):
    return points @ matrix[:, :2].T + matrix[:, 2]


@given(CLOUDS)
def test_the_closed_form_matches_a_generic_solver(cloud):
    assume(deviation_px(cloud[0], cloud[2]) > 5)
    matrix, there = fit_similarities(*cloud)
    assert there
    np.testing.assert_allclose(matrix, solved(*cloud), atol=1e-9, rtol=1e-9)


@given(st.floats(0.01, 100), st.floats(-np.pi, np.pi), POINT, POINT)
def test_a_similarity_is_recovered(scale, angle, centre, target):
    expected = similarity(scale, angle, centre, target)
    matrix, there = fit_similarities(POSE, moved(expected, POSE), np.ones(len(POSE)))
    assert there
    np.testing.assert_allclose(matrix, expected, atol=1e-9, rtol=1e-9)


@given(CLOUDS)
def test_fits_never_flip(cloud):
    (a, b, _), (c, d, _) = fit_similarities(*cloud)[0]
    assert (a, b) == (d, -c)
    assert a * d - b * c >= 0


def test_a_flipped_pose_gets_the_best_rotation():
    flipped = moved(similarity(flip=True), POSE)
    matrix, there = fit_similarities(POSE, flipped, np.ones(len(POSE)))
    assert there
    np.testing.assert_allclose(matrix, solved(POSE, flipped, np.ones(len(POSE))), atol=1e-9)
    assert np.abs(moved(matrix, POSE) - flipped).max() > 1


def test_leading_axes_are_many_fits_at_once_and_broadcast():
    rng = np.random.default_rng(0)
    people, templates = rng.uniform(-50, 50, (4, 1, 9, 2)), rng.uniform(0, 1, (1, 3, 9, 2))
    weights = rng.integers(0, 3, (4, 3, 9)).astype(np.float64)
    together, there = fit_similarities(people, templates, weights)
    assert together.shape == (4, 3, 2, 3)
    assert there.all()
    for person in range(4):
        for template in range(3):
            alone = fit_similarities(people[person, 0], templates[0, template], weights[person, template])[0]
            np.testing.assert_allclose(together[person, template], alone, atol=1e-12)


def test_a_weight_of_two_is_a_point_repeated_and_the_scale_of_weights_does_not_matter():
    target = np.random.default_rng(1).uniform(-50, 50, POSE.shape)
    weight = np.array([2, 1, 0, 1, 3, 1, 1, 0, 2.0])
    twice = np.repeat(np.arange(len(POSE)), weight.astype(int))
    expected = fit_similarities(POSE[twice], target[twice], np.ones(len(twice)))[0]
    np.testing.assert_allclose(fit_similarities(POSE, target, weight)[0], expected, atol=1e-9)
    np.testing.assert_allclose(fit_similarities(POSE, target, 1e-3 * weight)[0], expected, atol=1e-9)


@pytest.mark.parametrize("nonsense", [np.nan, np.inf, -np.inf, 1e300])
def test_a_point_without_weight_may_be_anything(nonsense):
    target = np.random.default_rng(2).uniform(-50, 50, POSE.shape)
    weight = np.where(np.arange(len(POSE)) == 4, 0.0, 1.0)
    expected = fit_similarities(np.delete(POSE, 4, 0), np.delete(target, 4, 0), np.ones(8))[0]
    for spoil in ((POSE, target), (target, POSE)):
        clouds = [cloud.copy() for cloud in spoil]
        clouds[0][4] = nonsense
        source, goal = clouds if spoil[0] is POSE else clouds[::-1]
        matrix, there = fit_similarities(source, goal, weight)
        assert there
        np.testing.assert_allclose(matrix, expected, atol=1e-9)


@pytest.mark.parametrize("place", [(0, 0), (31.7, -12.3), (1e4 / 3, 1e5 / 7)])
@pytest.mark.parametrize("count", [0, 1, 2, 17])
def test_fewer_than_two_distinct_points_have_no_map(place, count):
    source, target = np.tile(np.float32(place), (17, 1)), np.random.default_rng(0).uniform(0, 1, (17, 2))
    matrix, there = fit_similarities(source, target, np.arange(17) < count)
    assert not there
    np.testing.assert_array_equal(matrix, np.zeros((2, 3)))


@pytest.mark.parametrize("seed", range(5))
def test_points_that_differ_by_rounding_coincide(seed):
    rng = np.random.default_rng(seed)
    source = np.tile(rng.uniform(-1e4, 1e4, 2), (17, 1))
    matrix, there = fit_similarities(source, rng.uniform(0, 1, (17, 2)), rng.uniform(0.1, 10, 17))
    assert not there
    assert not matrix.any()


def test_one_point_that_counts_has_no_map_wherever_the_others_are():
    matrix, there = fit_similarities(POSE, POSE, np.arange(len(POSE)) == 5)
    assert not there
    assert not matrix.any()


def test_no_points_have_no_map():
    matrix, there = fit_similarities(np.zeros((3, 0, 2)), np.zeros((3, 0, 2)), np.zeros((3, 0)))
    assert matrix.shape == (3, 2, 3)
    assert not there.any()


def test_points_a_pixel_apart_far_from_the_origin_do_have_one():
    source = np.array([[40000.0, 3000], [40001, 3000]])
    matrix, there = fit_similarities(source, [[0, 0], [0, 1]], np.ones(2))
    assert there
    np.testing.assert_allclose(moved(matrix, source), [[0, 0], [0, 1]], atol=1e-9)


def test_coinciding_targets_give_scale_zero():
    matrix, there = fit_similarities(POSE, np.full_like(POSE, 7), np.ones(len(POSE)))
    assert there
    np.testing.assert_allclose(moved(matrix, POSE), np.full_like(POSE, 7), atol=1e-12)
