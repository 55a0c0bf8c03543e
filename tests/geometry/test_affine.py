"""Affine maps: group laws, and a white pixel lands where the map says."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseg.geometry.affine import apply, compose, identity, invert, similarity, to_cv2
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
