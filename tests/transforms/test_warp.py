"""What moves an image moves its people."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from poseg.geometry import affine
from poseg.people import People, Sample
from poseg.skeletons import COCO17
from poseg.transforms.jitter import jitter_colours
from poseg.transforms.warp import warp

SIZE = (96, 128)


def sample(row: int, column: int) -> Sample:
    """A black image with one white pixel, and a person whose every joint and mask is that pixel's patch."""
    image = np.zeros((*SIZE, 3), np.uint8)
    image[row - 1 : row + 2, column - 1 : column + 2] = 255
    points = np.full((1, 17, 2), [column + 0.5, row + 0.5], np.float32)
    masks = (image[..., 0] > 0)[None]
    return Sample(image, People.from_poses(COCO17, points, np.ones((1, 17)), masks=masks))


@given(
    st.integers(30, 60), st.integers(40, 80), st.floats(0.8, 2.0), st.floats(-0.6, 0.6), st.booleans(),
)  # fmt: skip
def test_the_white_pixel_moves_with_the_joint(row, column, scale, angle, flip):
    one = sample(row, column)
    matrix = affine.similarity(scale, angle, (column, row), (64.0, 48.0), flip)
    moved = warp(one, matrix, SIZE)
    weight = np.clip(moved.image[..., 0].astype(float) - 128, 0, None)  # brighter than the grey outside
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    centre = [(columns * weight).sum() / weight.sum(), (rows * weight).sum() / weight.sum()]
    np.testing.assert_allclose(moved.people.keypoints[0, 0], centre, atol=0.3)
    assert moved.people.masks is not None
    ys, xs = np.nonzero(moved.people.masks[0])
    np.testing.assert_allclose([xs.mean() + 0.5, ys.mean() + 0.5], centre, atol=0.5)


def test_flipping_twice_is_the_identity_and_once_swaps_sides():
    one = sample(40, 50)
    points = one.people.keypoints + np.arange(17, dtype=np.float32)[None, :, None]
    one = Sample(one.image, People.from_poses(COCO17, points, np.ones((1, 17)), masks=one.people.masks))
    mirror = affine.similarity(1, 0, (SIZE[1] / 2, 0), (SIZE[1] / 2, 0), flip=True)
    once = warp(one, mirror, SIZE)
    twice = warp(once, mirror, SIZE)
    np.testing.assert_array_equal(twice.image, one.image)
    np.testing.assert_allclose(twice.people.keypoints, one.people.keypoints, atol=1e-4)
    left, right = COCO17.index("left_wrist"), COCO17.index("right_wrist")
    np.testing.assert_allclose(once.people.keypoints[0, left, 0], SIZE[1] - points[0, right, 0], atol=1e-4)


def test_uncertain_keypoints_move_like_joints():
    one = sample(40, 50)
    points = one.people.keypoints + np.arange(17, dtype=np.float32)[None, :, None]
    people = People.from_poses(COCO17, points, np.ones((1, 17)), masks=one.people.masks)
    unsure = np.column_stack([np.arange(17), points[0]]).astype(np.float32)
    mirror = affine.similarity(1.3, 0.4, (50, 40), (64, 48), flip=True)
    moved = warp(Sample(one.image, people, uncertain=unsure), mirror, SIZE)
    joints = moved.uncertain[:, 0].astype(int)
    np.testing.assert_array_equal(joints, COCO17.flip_index)
    np.testing.assert_allclose(moved.uncertain[:, 1:], moved.people.keypoints[0, joints], atol=1e-3)


def test_people_outside_the_canvas_are_dropped_and_new_pixels_are_ignored():
    one = sample(40, 50)
    moved = warp(one, affine.similarity(1, 0, (0, 0), (-60, 0)), SIZE)
    assert len(moved.people) == 0 or not (moved.people.keypoint_scores > 0).any()
    assert moved.ignore is not None
    assert moved.ignore[:, SIZE[1] - 58 :].all()
    assert not moved.ignore[:, : SIZE[1] - 62].any()


def test_jitter_is_repeatable_keeps_the_shape_and_strength_zero_is_the_identity():
    image = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    assert jitter_colours(image, np.random.default_rng(1), 0.0) is image
    once, again = (jitter_colours(image, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert once.shape == image.shape
    assert once.dtype == np.uint8
    assert (once != image).any()
