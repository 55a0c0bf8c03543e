"""A pinhole camera: from 3D points in the world, in millimetres, to continuous pixels.

    (x, y, z) = rotation world + translation          camera frame: x right, y down, z away from the camera   (1)
    pixel = centre + focal (x, y) / z                 continuous pixels of `geometry.grid`                    (2)

The world is y-up and right-handed, as motion capture is. There is no lens distortion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.errors import GeometryError, ShapeError

Floats64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """One camera, or a stack of B cameras that each see points of their own.

    focal_px         () or (B,), above 0
    centre_px        (2,) or (B, 2): the principal point, x before y
    rotation         (3, 3) or (B, 3, 3), world to camera
    translation_mm   (3,) or (B, 3): the world's origin in the camera's frame

    Raises ShapeError, and GeometryError for a focal length that is not positive or an invalid rotation.
    """

    focal_px: Floats64
    centre_px: Floats64
    rotation: Floats64
    translation_mm: Floats64

    def __post_init__(self) -> None:
        for name in ("focal_px", "centre_px", "rotation", "translation_mm"):
            array = np.array(getattr(self, name), np.float64)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        stack = self.focal_px.shape
        for name, shape in (("centre_px", (2,)), ("rotation", (3, 3)), ("translation_mm", (3,))):
            if len(stack) > 1 or getattr(self, name).shape != (*stack, *shape):
                raise ShapeError(name, expected=(*stack[:1], *shape), got=getattr(self, name).shape)
        if not (np.isfinite(self.focal_px).all() and (self.focal_px > 0).all()):
            raise GeometryError(f"The focal length is {self.focal_px} pixels; expected a number above 0.")
        product = self.rotation @ np.swapaxes(self.rotation, -1, -2)
        if not np.allclose(product, np.eye(3), atol=1e-6) or not (np.linalg.det(self.rotation) > 0).all():
            raise GeometryError(
                "The rotation of the camera is not a rotation; give orthonormal rows with determinant 1."
            )

    def __len__(self) -> int:
        """Number of cameras in a stack; one camera has no length (TypeError)."""
        return len(self.focal_px)

    def __getitem__(self, index: Any) -> Camera:
        """Cameras of a stack, indexed as an array."""
        return Camera(
            self.focal_px[index], self.centre_px[index], self.rotation[index], self.translation_mm[index]
        )  # fmt: skip

    @property
    def position_mm(self) -> Floats64:
        """(3,) or (B, 3): position of the camera in the world."""
        position: Floats64 = -np.einsum("...ji,...j->...i", self.rotation, self.translation_mm)
        return position

    def to_camera(self, points_mm: ArrayLike) -> Floats64:
        """World points in the camera's frame, equation (1): (..., 3) mm, (B, ..., 3) for a stack."""
        points, extra = self._matched(points_mm)
        rotation = self._broadcast(self.rotation, extra)
        moved: Floats64 = np.einsum("...ij,...j->...i", rotation, points) + self._broadcast(self.translation_mm, extra)
        return moved

    def to_world(self, points_mm: ArrayLike) -> Floats64:
        """Points of the camera's frame in the world; the inverse of `to_camera`."""
        points, extra = self._matched(points_mm)
        away = points - self._broadcast(self.translation_mm, extra)
        moved: Floats64 = np.einsum("...ji,...j->...i", self._broadcast(self.rotation, extra), away)
        return moved

    def project(self, points_mm: ArrayLike) -> Floats64:
        """World points as continuous pixels (..., 2), equations (1) and (2).

        Raises GeometryError for a point that is not in front of the camera.
        """
        return self.project_from_camera(self.to_camera(points_mm))

    def project_from_camera(self, points_mm: ArrayLike) -> Floats64:
        """Points of the camera's own frame as continuous pixels (..., 2), equation (2). Raises as `project`."""
        points, extra = self._matched(points_mm)
        behind = int(np.count_nonzero(~(points[..., 2] > 0)))
        if behind:
            raise GeometryError(
                f"{behind} of {points[..., 2].size} points are not in front of the camera; move it away from them."
            )
        focal = self._broadcast(self.focal_px, extra)[..., None]
        pixels: Floats64 = self._broadcast(self.centre_px, extra) + focal * points[..., :2] / points[..., 2:]
        return pixels

    def _matched(self, points_mm: ArrayLike) -> tuple[Floats64, int]:
        """Points as an array, and how many axes a stack needs to broadcast with them."""
        points = np.asarray(points_mm, np.float64)
        stack = self.focal_px.shape
        if points.shape[-1:] != (3,) or points.shape[: len(stack)] != stack or points.ndim <= len(stack):
            raise ShapeError("points_mm", expected=(*stack, ..., 3), got=points.shape)
        return points, points.ndim - 1 - len(stack)

    def _broadcast(self, array: Floats64, extra: int) -> Floats64:
        """A value per camera with `extra` axes for the points; that of one camera needs none."""
        stack = self.focal_px.ndim
        return array.reshape(*array.shape[:stack], *(1,) * extra, *array.shape[stack:]) if stack else array


def looking_at(
    target_mm: ArrayLike,
    *,
    distance_mm: ArrayLike,
    azimuth_rad: ArrayLike = 0.0,
    elevation_rad: ArrayLike = 0.0,
    roll_rad: ArrayLike = 0.0,
    focal_px: ArrayLike = 1145.0,
    centre_px: ArrayLike = (500.0, 500.0),
) -> Camera:
    """A camera that points at a target in the y-up world; numbers give one camera, arrays (B,) a stack.

    target_mm    (3,) or (B, 3), projected to `centre_px`
    azimuth_rad  0 is on the side of +z, pi / 2 on that of +x
    elevation    above the target; pi / 2 is straight from above
    roll_rad     rotates the camera about its axis, so that the image rotates the other way
    """
    distance, azimuth, elevation, roll, focal = np.broadcast_arrays(
        *(np.asarray(value, np.float64) for value in (distance_mm, azimuth_rad, elevation_rad, roll_rad, focal_px))
    )
    none, one = np.zeros_like(azimuth), np.ones_like(azimuth)

    def matrix(*entries: Floats64) -> Floats64:
        return np.stack(entries, axis=-1).reshape(*azimuth.shape, 3, 3)

    ca, sa, ce, se, cr, sr = (f(a) for a in (azimuth, elevation, roll) for f in (np.cos, np.sin))
    pan = matrix(ca, none, -sa, none, one, none, sa, none, ca)
    # The target's side of the camera becomes +z, and up becomes -y.
    tilt = matrix(one, none, none, none, -ce, se, none, -se, -ce)
    roll_matrix = matrix(cr, sr, none, -sr, cr, none, none, none, one)
    rotation = roll_matrix @ tilt @ pan
    target = np.broadcast_to(np.asarray(target_mm, np.float64), (*azimuth.shape, 3))
    shift = np.stack([none, none, distance], axis=-1) - np.einsum("...ij,...j->...i", rotation, target)
    centre = np.broadcast_to(np.asarray(centre_px, np.float64), (*azimuth.shape, 2))
    return Camera(focal, centre, rotation, shift)


def random_camera(
    rng: np.random.Generator,
    count: int | None = None,
    *,
    target_mm: ArrayLike = (0.0, 0.0, 0.0),
    distance_mm: tuple[float, float] = (2000, 8000),
    elevation_deg: tuple[float, float] = (-10, 40),
    roll_deg: float = 3.0,
    focal_px: tuple[float, float] = (900, 1600),
    side_px: int = 1000,
) -> Camera:
    """A camera around a person that points at their root; with `count` a stack of them.

    target_mm               (3,), or (count, 3) for one target each; projected to the centre of a square image
    distance, elevation,    uniform between two bounds; the azimuth is uniform over the circle
    focal length
    roll_deg                standard deviation of a normal distribution, clipped at three times that
    """
    shape = () if count is None else (count,)
    low, high = np.radians(elevation_deg)
    return looking_at(
        target_mm,
        distance_mm=rng.uniform(*distance_mm, shape),
        azimuth_rad=rng.uniform(-np.pi, np.pi, shape),
        elevation_rad=rng.uniform(low, high, shape),
        roll_rad=np.radians(roll_deg) * np.clip(rng.normal(size=shape), -3, 3),
        focal_px=rng.uniform(*focal_px, shape),
        centre_px=(side_px / 2, side_px / 2),
    )
