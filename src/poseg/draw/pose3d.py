"""The image with its people, and the same people in 3D from the side and from above."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.draw.antialias import Bytes, Floats, blend, draw_line, text_coverage
from poseg.draw.figures import BACKGROUND, BRIGHT, GAP_PX, MARGIN_PX, MUTED, TITLE_PX, resize_to, write_text
from poseg.draw.palette import tint
from poseg.draw.pose import draw_poses
from poseg.draw.scene3d import Scene, place_people
from poseg.geometry.camera import Camera, looking_at
from poseg.people import CONFIDENT_JOINT, People

SQUARE_MM = 500.0
LENS_MM = 30_000.0  # camera distance, nearly orthographic
_BODY_MM = np.array([1000.0, 1700.0])
_HEIGHTS_PX = (560, 900)
_MAX_WIDTH_PX = 1600
_LINE: Bytes = np.array([124, 134, 158], np.uint8)
_LIT: Bytes = np.array([52, 57, 71], np.uint8)
_SHADES = 6


@dataclass(frozen=True, slots=True)
class _Viewpoint:
    """A viewing direction, its title, and whether the image's camera is below it, or at the left."""

    title: str
    azimuth_rad: float
    elevation_rad: float
    camera_below: bool


_SIDE = _Viewpoint("from the side", np.pi / 2, np.radians(9), False)
_ABOVE = _Viewpoint("from above", 0.0, np.pi / 2, True)


def views_3d(image: Bytes, people: People, *, min_score: float = CONFIDENT_JOINT) -> Bytes:
    """The image with all poses beside the same people from the side and from above: a new, larger image.

    image   (H, W, 3) uint8 RGB, not modified
    people  with `keypoints_3d`; each has the colour of `draw_poses` in all three views

    The floor has squares of half a metre. Distances between people are estimated from their sizes on the image, for an
    assumed lens (`draw.scene3d`). Raises SkeletonError for people without `keypoints_3d`.
    """
    (scene,) = place_people([people], (image.shape[0], image.shape[1]))
    height = int(np.clip(image.shape[0], *_HEIGHTS_PX))
    height = min(height, max(_HEIGHTS_PX[0] // 2, round(_MAX_WIDTH_PX * image.shape[0] / image.shape[1])))
    photo, scale = resize_to(image, round(max(image.shape[:2]) * height / image.shape[0]))
    larger = replace(people, keypoints=people.keypoints * scale, boxes_xyxy=people.boxes_xyxy * scale, masks=None)
    photo = draw_poses(photo, larger, min_score=min_score)
    title = TITLE_PX + 10
    panel = (photo.shape[0] - title - GAP_PX) // 2, max(round(0.62 * photo.shape[0]), 320)
    page = np.empty(
        (photo.shape[0] + title + 2 * MARGIN_PX, photo.shape[1] + GAP_PX + panel[1] + 2 * MARGIN_PX, 3), np.uint8
    )
    page[:] = BACKGROUND
    left, top = MARGIN_PX, MARGIN_PX
    write_text(page, "image", (left, top), TITLE_PX, BRIGHT)
    page[top + title : top + title + photo.shape[0], left : left + photo.shape[1]] = photo
    left += photo.shape[1] + GAP_PX
    for viewpoint in (_SIDE, _ABOVE):
        write_text(page, viewpoint.title, (left, top), TITLE_PX, BRIGHT)
        page[top + title : top + title + panel[0], left : left + panel[1]] = _panel(scene, viewpoint, panel)
        top += title + panel[0] + GAP_PX
    return page


def _panel(scene: Scene, viewpoint: _Viewpoint, size: tuple[int, int]) -> Bytes:
    """The people of a scene from a viewpoint: (height, width, 3)."""
    canvas, camera = _backdrop(size), _camera(scene, viewpoint, size)
    _draw_floor(canvas, scene, camera)
    _draw_shadows(canvas, scene, camera)
    depth = camera.to_camera(np.nan_to_num(scene.joints_mm))[..., 2].mean(axis=1)
    depth = np.where(scene.valid.any(axis=1), depth, np.inf)
    for row in np.argsort(-depth, kind="stable")[np.count_nonzero(np.isinf(depth)) :]:
        pixels = np.nan_to_num(_pixels(camera, scene.joints_mm[row])).astype(np.float32)
        # Limbs are proportional to the person's true size, from any viewpoint.
        centre, half = pixels[scene.valid[row]].mean(axis=0), _BODY_MM / 2 * float(camera.focal_px) / LENS_MM
        person = People(
            scene.skeleton, pixels[None], scene.valid[row : row + 1].astype(np.float32), np.ones(1, np.float32),
            np.concatenate([centre - half, centre + half])[None], ids=scene.ids[row : row + 1],
        )  # fmt: skip
        canvas = draw_poses(canvas, person)
    _draw_camera(canvas, viewpoint)
    return canvas


def _camera(scene: Scene, viewpoint: _Viewpoint, size: tuple[int, int]) -> Camera:
    """A distant camera that sees all joints and some floor around them."""
    joints = scene.joints_mm[scene.valid]
    low, high = (joints.min(axis=0), joints.max(axis=0)) if len(joints) else (np.zeros(3), np.full(3, 1000.0))
    low = np.minimum(low, [low[0], 0, low[2]])
    target = (low + high) / 2
    pose = {"distance_mm": LENS_MM, "azimuth_rad": viewpoint.azimuth_rad, "elevation_rad": viewpoint.elevation_rad}
    corners = np.stack(np.meshgrid(*zip(low, high, strict=True)), axis=-1).reshape(-1, 3)
    projected = looking_at(target, **pose, focal_px=1.0, centre_px=(0, 0)).project(corners)
    half = np.maximum(np.abs(projected).max(axis=0), 700 / LENS_MM)
    focal = float((0.5 * np.array(size[::-1]) * (0.8, 0.8) / half).min())
    return looking_at(target, **pose, focal_px=focal, centre_px=(size[1] / 2, size[0] / 2))


def _backdrop(size: tuple[int, int]) -> Bytes:
    """A dark panel, slightly lit at the centre."""
    y, x = ((np.arange(length) + 0.5) / length - 0.5 for length in size)
    light = np.exp(-4.5 * (x[None] ** 2 + (y[:, None] - 0.08) ** 2))[..., None]
    dark = tint(BACKGROUND, (255, 255, 255), 0.03).astype(np.float32)
    return np.rint(dark + (_LIT - dark) * light).astype(np.uint8)


def _draw_floor(canvas: Bytes, scene: Scene, camera: Camera) -> None:
    """Squares of the floor, fading with the distance from the people."""
    joints = scene.joints_mm[scene.valid][:, [0, 2]]
    low, high = (joints.min(axis=0), joints.max(axis=0)) if len(joints) else (np.zeros(2), np.zeros(2))
    centre_xz, reach = (low + high) / 2, (high - low).max() / 2 + 1500
    steps = np.arange(-np.ceil(reach / SQUARE_MM), np.ceil(reach / SQUARE_MM) + 1)
    lines = [np.round(centre / SQUARE_MM) * SQUARE_MM + steps * SQUARE_MM for centre in centre_xz]
    a, b = (grid.ravel() for grid in np.meshgrid(lines[0][:-1], lines[1]))
    c, d = (grid.ravel() for grid in np.meshgrid(lines[0], lines[1][:-1]))
    starts = np.stack([np.concatenate([a, c]), np.zeros(len(a) + len(c)), np.concatenate([b, d])], axis=1)
    along = np.repeat([[SQUARE_MM, 0, 0], [0, 0, SQUARE_MM]], (len(a), len(c)), axis=0)
    far = np.linalg.norm((starts + along / 2)[:, [0, 2]] - centre_xz, axis=1) / reach
    shade = np.clip(np.ceil((1 - far) * _SHADES), 0, _SHADES).astype(int)
    ends = camera.project(np.stack([starts, starts + along], axis=1))
    for level in range(1, _SHADES + 1):
        coverage = np.zeros(canvas.shape[:2], np.float32)
        for start, end in ends[shade == level]:
            draw_line(coverage, start, end, 0.15)
        blend(canvas, coverage, _LINE, 0.75 * level / _SHADES)


def _draw_shadows(canvas: Bytes, scene: Scene, camera: Camera) -> None:
    """Soft shadows of the bones on the floor below them."""
    pixels, valid = _pixels(camera, scene.joints_mm * (1, 0, 1)), scene.valid
    coverage = np.zeros(canvas.shape[:2], np.float32)
    radius = float(camera.focal_px) * 70 / LENS_MM
    for person, flags in zip(pixels, valid, strict=True):
        for a, b in scene.skeleton.indices(scene.skeleton.bones):
            if flags[a] and flags[b]:
                draw_line(coverage, person[a], person[b], radius)
    soft = np.asarray(cv2.GaussianBlur(coverage, (0, 0), max(1.2 * radius, 0.8)), np.float32)
    blend(canvas, np.clip(soft, 0, 1), (4, 5, 8), 0.6)


def _pixels(camera: Camera, joints_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Joints (..., 3) in a panel; NaN stays NaN."""
    valid = np.isfinite(joints_mm).all(axis=-1, keepdims=True)
    return np.where(valid, camera.project(np.where(valid, joints_mm, 0)), np.nan)


def _draw_camera(canvas: Bytes, viewpoint: _Viewpoint) -> None:
    """A small symbol at the edge where the camera of the image is."""
    height, width = canvas.shape[:2]
    letters = text_coverage("camera", 11)
    below = viewpoint.camera_below
    symbol = np.array([width / 2, height - 9.0]) if below else np.array([9.0, height / 2])
    ahead = np.array([0.0, -1.0]) if below else np.array([1.0, 0.0])
    aside = ahead[::-1]
    coverage: Floats = np.zeros((height, width), np.float32)
    for side in (-1, 1):
        draw_line(coverage, symbol, symbol + 9 * ahead + 5 * side * aside, 0.7)
    draw_line(coverage, symbol + 9 * ahead - 5 * aside, symbol + 9 * ahead + 5 * aside, 0.7)
    blend(canvas, coverage, MUTED, 0.9)
    row = int(symbol[1]) - letters.shape[0] // 2 - (1 if below else 0)
    column = int(symbol[0]) + 12 if below else int(symbol[0]) + 14
    row = min(row, height - letters.shape[0])
    blend(canvas[row : row + letters.shape[0], column : column + letters.shape[1]], letters, MUTED, 0.9)
