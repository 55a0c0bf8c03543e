"""3D people are placed by the image, keep their bones, and have one colour in all views."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from poseg.draw import PEOPLE_COLOURS, views_3d
from poseg.draw.scene3d import FLOOR_MM, MAX_DISTANCE_MM, place_people
from poseg.errors import SkeletonError
from poseg.people import People
from poseg.skeletons import BODY17_3D, COCO17, LSP14
from poseg.skeletons.bones import bone_lengths

GREY = np.full((480, 640, 3), 128, np.uint8)


def roots(scene):
    return scene.joints_mm[:, 0][:, [0, 2]]


def has_colour(image, colour, min_count=20):
    return (np.abs(image.astype(int) - colour).max(axis=-1) <= 2).sum() >= min_count


def test_place_people_recovers_positions(before_camera):
    positions = np.array([(-900, 0), (0, -700), (800, 400)], float)
    (scene,) = place_people([before_camera(positions)], (480, 640))
    result, expected = roots(scene), positions - np.median(positions, axis=0)
    apart = np.linalg.norm(result[:, None] - result[None], axis=-1)
    np.testing.assert_allclose(
        apart, np.linalg.norm(expected[:, None] - expected[None], axis=-1), rtol=0.15
    )  # fmt: skip
    assert result[:, 0].argsort().tolist() == [0, 1, 2]
    assert result[:, 1].argsort().tolist() == [1, 0, 2]


def test_bones_keep_their_lengths_and_all_people_are_on_the_floor(before_camera):
    people = before_camera([(-500, 0), (600, 300)])
    (scene,) = place_people([people], (480, 640))
    np.testing.assert_allclose(
        bone_lengths(scene.joints_mm, BODY17_3D), bone_lengths(people.keypoints_3d, BODY17_3D), rtol=1e-4
    )  # fmt: skip
    np.testing.assert_allclose(scene.joints_mm[..., 1].min(axis=1), FLOOR_MM)
    # Up is up and the camera is in front: the head is above the hips, the nose nearer than the head.
    assert (scene.joints_mm[:, 10, 1] > scene.joints_mm[:, 0, 1]).all()
    assert (scene.joints_mm[:, 9, 2] > scene.joints_mm[:, 10, 2]).all()


def test_the_size_of_the_image_changes_nothing(before_camera):
    people = before_camera([(-500, 0), (600, 300)])
    twice = replace(people, keypoints=people.keypoints * 2, boxes_xyxy=people.boxes_xyxy * 2)
    (one,), (other,) = place_people([people], (480, 640)), place_people([twice], (960, 1280))
    np.testing.assert_allclose(other.joints_mm, one.joints_mm, atol=1)


def test_people_of_another_skeleton_have_the_same_positions(before_camera):
    people = before_camera([(-500, 0), (600, 300)])
    (one,), (other,) = place_people([people], (480, 640)), place_people([people.remap_to(LSP14)], (480, 640))
    np.testing.assert_allclose(roots(other), roots(one), atol=150)
    np.testing.assert_allclose(
        other.joints_mm - other.joints_mm[:, :1], one.joints_mm - one.joints_mm[:, :1], atol=1e-6
    )  # fmt: skip


def test_crowds_are_brought_together_and_keep_their_order(before_camera):
    people = before_camera([(-1500, 0), (0, 0), (1500, 0), (3000, -20_000)])
    (scene,) = place_people([people], (480, 640))
    assert np.abs(roots(scene)).max() <= MAX_DISTANCE_MM
    assert roots(scene)[:, 0].argsort().tolist() == [0, 1, 2, 3]


def test_a_person_with_two_joints_is_placed_by_the_box(before_camera):
    people = before_camera([(-500, 0), (600, 0)])
    scores = people.keypoint_scores.copy()
    scores[1, 1:] = 0
    (scene,) = place_people([replace(people, keypoint_scores=scores)], (480, 640))
    assert np.isfinite(scene.joints_mm).all()
    assert roots(scene)[1, 0] > roots(scene)[0, 0] + 500


def test_positions_are_smooth_over_time(before_camera):
    rng = np.random.default_rng(0)
    people = replace(before_camera([(-500, 0), (600, 0)]), ids=np.array([4, 7]))
    frames = []
    for _ in range(30):
        shake = people.keypoints[:, :1] + (people.keypoints - people.keypoints[:, :1]) * rng.normal(1, 0.05)
        frames.append(replace(people, keypoints=shake.astype(np.float32))[[0, 1] if rng.random() < 0.7 else [1]])
    alone = np.array([roots(place_people([frame], (480, 640))[0])[0, 1] for frame in frames])
    together = place_people(frames, (480, 640))
    steady = np.array([roots(scene)[scene.ids == 7][0, 1] for scene in together])
    assert len(alone) == len(steady) == 30
    assert np.abs(np.diff(steady)).mean() < 100
    still = place_people([people] * 5, (480, 640))
    np.testing.assert_allclose(roots(still[0]), roots(place_people([people], (480, 640))[0]), atol=1e-6)


def test_views_have_one_colour_per_person_and_do_not_modify_the_image(before_camera):
    image, people = GREY.copy(), before_camera([(-700, 0), (700, 200)])
    drawn = views_3d(image, people)
    assert (image == 128).all()
    assert drawn.dtype == np.uint8
    height, width = drawn.shape[:2]
    photo = int(width * 0.6)
    for colour in PEOPLE_COLOURS[:2]:
        for part in (drawn[:, :photo], drawn[: height // 2, photo:], drawn[height // 2 :, photo:]):
            assert has_colour(part, colour)
    assert not has_colour(drawn, PEOPLE_COLOURS[2], 5)
    named = views_3d(image, replace(people, ids=np.array([0, 2])))
    assert has_colour(named, PEOPLE_COLOURS[2])
    assert not has_colour(named, PEOPLE_COLOURS[1], 5)


def test_the_order_of_the_people_does_not_matter(before_camera):
    people = replace(before_camera([(-700, 0), (700, 200), (0, -500)]), ids=np.arange(3))
    np.testing.assert_array_equal(views_3d(GREY, people), views_3d(GREY, people[[2, 0, 1]]))


@pytest.mark.parametrize("size", [(60, 40), (200, 1500), (1500, 200)])
def test_images_of_any_shape_are_drawn(before_camera, size):
    drawn = views_3d(np.full((*size, 3), 90, np.uint8), before_camera([(0, 0)], *size))
    assert drawn.ndim == 3
    assert min(drawn.shape[:2]) > 300
    assert max(drawn.shape[:2]) < 2500


def test_people_without_3d_joints_leave_an_empty_floor(before_camera):
    no_people = views_3d(GREY, before_camera([(0, 0)])[:0])
    assert not has_colour(no_people, PEOPLE_COLOURS[0], 1)
    people = before_camera([(-500, 0), (600, 0)])
    joints = people.keypoints_3d.copy()
    joints[0] = np.nan
    joints[1, 13] = np.nan
    drawn = views_3d(GREY, replace(people, keypoints_3d=joints))
    assert has_colour(drawn[:, -300:], PEOPLE_COLOURS[1])
    assert not has_colour(drawn[:, -300:], PEOPLE_COLOURS[0], 5)


def test_people_that_are_not_lifted_are_refused():
    flat = People.from_poses(COCO17, np.zeros((1, 17, 2)), np.ones((1, 17)))
    with pytest.raises(SkeletonError, match="keypoints_3d on one skeleton, got none; lift them"):
        views_3d(GREY, flat)
    with pytest.raises(SkeletonError, match="lift them"):
        place_people([])
