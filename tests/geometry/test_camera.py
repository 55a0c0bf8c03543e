"""A pinhole camera is rigid, and what it looks at is in the centre of its image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.errors import GeometryError, ShapeError
from poseg.geometry.camera import Camera, looking_at, random_camera

SEEDS = st.integers(0, 10_000)


def body(seed, *shape):
    return np.random.default_rng(seed).uniform(-900, 900, (*shape, 17, 3))


@given(SEEDS)
def test_the_root_is_projected_to_the_centre_at_its_distance(seed):
    rng = np.random.default_rng(seed)
    roots = rng.normal(0, 1000, (6, 3))
    cameras = random_camera(rng, 6, target_mm=roots, side_px=640)
    np.testing.assert_allclose(cameras.project(roots), np.full((6, 2), 320), atol=1e-6)
    depth = cameras.to_camera(roots)[:, 2]
    np.testing.assert_allclose(np.linalg.norm(cameras.position_mm - roots, axis=1), depth)
    assert (depth >= 2000).all()
    assert (depth <= 8000).all()


@given(SEEDS)
def test_random_cameras_are_within_the_elevations(seed):
    cameras = random_camera(np.random.default_rng(seed), 20, elevation_deg=(-10, 40))
    x, y, z = cameras.position_mm.T
    elevation = np.degrees(np.arctan2(y, np.hypot(x, z)))
    assert (elevation >= -10 - 1e-6).all()
    assert (elevation <= 40 + 1e-6).all()


def test_random_cameras_cover_all_azimuths_and_up_is_up():
    cameras = random_camera(np.random.default_rng(3), 400)
    x, _, z = cameras.position_mm.T
    assert np.histogram(np.arctan2(x, z), 8, (-np.pi, np.pi))[0].min() > 25
    heads = cameras.project(np.broadcast_to([0.0, 800.0, 0.0], (400, 3)))
    assert (heads[:, 1] < 500).all()


@given(SEEDS)
def test_a_camera_is_rigid_and_can_be_undone(seed):
    rng = np.random.default_rng(seed)
    cameras, points = random_camera(rng, 3), body(seed, 3)
    seen = cameras.to_camera(points)
    np.testing.assert_allclose(cameras.to_world(seen), points, atol=1e-6)
    apart = np.linalg.norm(points[:, :, None] - points[:, None], axis=-1)
    np.testing.assert_allclose(np.linalg.norm(seen[:, :, None] - seen[:, None], axis=-1), apart, atol=1e-6)


@given(SEEDS)
def test_a_stack_projects_like_its_cameras(seed):
    cameras, points = random_camera(np.random.default_rng(seed), 3), body(seed, 3)
    together = cameras.project(points)
    assert len(cameras) == 3
    for place in range(3):
        np.testing.assert_allclose(cameras[place].project(points[place]), together[place], atol=1e-9)
    np.testing.assert_allclose(cameras[1:].project(points[1:]), together[1:], atol=1e-9)


@given(SEEDS)
def test_a_flipped_world_is_the_flipped_image(seed):
    rng = np.random.default_rng(seed)
    distance, azimuth, elevation = rng.uniform(2000, 8000), rng.uniform(-3, 3), rng.uniform(-0.2, 0.7)
    camera = looking_at((0, 0, 0), distance_mm=distance, azimuth_rad=azimuth, elevation_rad=elevation)
    other = looking_at((0, 0, 0), distance_mm=distance, azimuth_rad=-azimuth, elevation_rad=elevation)
    points = body(seed)
    np.testing.assert_allclose(
        other.project(points * (-1, 1, 1)), (1000, 0) + camera.project(points) * (-1, 1), atol=1e-6
    )  # fmt: skip


def test_axes_of_a_frontal_camera():
    camera = looking_at((0, 1000, 0), distance_mm=4000, focal_px=800, centre_px=(320, 240))
    np.testing.assert_allclose(camera.position_mm, [0, 1000, 4000], atol=1e-9)
    # right is right, up is up (y falls), and what is nearer to the camera is less deep.
    points = [[500, 1000, 0], [0, 1500, 0], [0, 1000, 2000]]
    np.testing.assert_allclose(camera.to_camera(points), [[500, 0, 4000], [0, -500, 4000], [0, 0, 2000]], atol=1e-9)
    np.testing.assert_allclose(camera.project(points), [[420, 240], [320, 140], [320, 240]], atol=1e-9)


def test_a_camera_may_be_beside_or_straight_above():
    beside = looking_at((0, 0, 0), distance_mm=3000, azimuth_rad=np.pi / 2)
    np.testing.assert_allclose(beside.to_camera([[0, 0, 1.0]]), [[-1, 0, 3000]], atol=1e-9)
    above = looking_at((0, 0, 0), distance_mm=3000, elevation_rad=np.pi / 2)
    np.testing.assert_allclose(above.to_camera([[1.0, 0, 1.0]]), [[1, 1, 3000]], atol=1e-9)


def test_roll_rotates_the_image():
    points, quarter = np.array([[400.0, 0, 0]]), np.pi / 2
    np.testing.assert_allclose(
        looking_at((0, 0, 0), distance_mm=4000, focal_px=1000, roll_rad=quarter).project(points),
        [[500, 400]],
        atol=1e-9,
    )


def test_the_same_seed_gives_the_same_cameras():
    first, second = (random_camera(np.random.default_rng(5), 4) for _ in range(2))
    np.testing.assert_array_equal(first.rotation, second.rotation)
    assert random_camera(np.random.default_rng(5)).focal_px.shape == ()


def test_points_that_are_not_before_the_camera_are_refused():
    camera = looking_at((0, 0, 0), distance_mm=1000)
    with pytest.raises(GeometryError, match="1 of 2 points are not in front of the camera"):
        camera.project([[0, 0, 0], [0, 0, 1000.0]])
    with pytest.raises(GeometryError, match="in front of"):
        camera.project([[np.nan, 0, np.nan]])


@pytest.mark.parametrize(
    ("changes", "fault", "message"),
    [
        ({"focal_px": 0.0}, GeometryError, "focal length"),
        ({"focal_px": np.nan}, GeometryError, "focal length"),
        ({"rotation": np.diag([-1.0, 1, 1])}, GeometryError, "not a rotation"),
        ({"rotation": 2 * np.eye(3)}, GeometryError, "not a rotation"),
        ({"centre_px": (1.0, 2.0, 3.0)}, ShapeError, "centre_px"),
        ({"translation_mm": np.zeros((2, 3))}, ShapeError, "translation_mm"),
    ],
)
def test_invalid_cameras_are_refused(changes, fault, message):
    plain = {"focal_px": 1000.0, "centre_px": (0.0, 0.0), "rotation": np.eye(3), "translation_mm": np.zeros(3)}
    with pytest.raises(fault, match=message):
        Camera(**{**plain, **changes})


@pytest.mark.parametrize("shape", [(2,), (4, 3), (3,), (3, 17, 2)])
def test_points_that_do_not_go_with_a_stack_are_refused(shape):
    with pytest.raises(ShapeError, match="points_mm"):
        random_camera(np.random.default_rng(0), 3).project(np.zeros(shape))
