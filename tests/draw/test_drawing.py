"""Laws of all drawings on an image, and of crops of people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.codecs.pose2seg import Pose2SegCodec, paper_templates
from poseg.draw import draw_boxes, draw_labels, draw_masks, draw_poses, overlay
from poseg.draw.overlay import draw_crops
from poseg.people import People
from poseg.skeletons import COCO17, LSP14, Skeleton

SIZE = (120, 160)


def all_layers(image: np.ndarray, people: People) -> np.ndarray:
    return overlay(image, people, boxes=True, ids=True, scores=True)


DRAWINGS = [draw_masks, draw_poses, draw_boxes, draw_labels, overlay, all_layers]
each_drawing = pytest.mark.parametrize("draw", DRAWINGS, ids=lambda draw: draw.__name__)


def noise(size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)


def crowd(count: int, size: tuple[int, int] = SIZE, skeleton: Skeleton = COCO17, extent: float = 40) -> People:
    """People of random poses, each with a rectangle for a mask."""
    rng = np.random.default_rng(count)
    centres = rng.uniform((0, 0), size[::-1], (count, 1, 2))
    points = centres + rng.uniform(-extent / 2, extent / 2, (count, len(skeleton), 2))
    masks = np.zeros((count, *size), bool)
    for mask, joints in zip(masks, points, strict=True):
        (x0, y0), (x1, y1) = np.clip([joints.min(0), joints.max(0)], 0, None).astype(int)
        mask[y0 : y1 + 1, x0 : x1 + 1] = True
    scores = rng.uniform(0.5, 1, points.shape[:2])
    return People.from_poses(skeleton, points, scores, scores=rng.uniform(0, 1, count), masks=masks)


@each_drawing
@pytest.mark.parametrize("count", [1, 3, 60])
def test_the_input_is_not_modified_and_the_output_has_its_shape(draw: Callable, count: int):
    image, people = noise(), crowd(count)
    image.flags.writeable = False
    before = image.copy()
    after = draw(image, people)
    np.testing.assert_array_equal(image, before)
    assert (after.shape, after.dtype) == (image.shape, np.uint8)
    assert not np.shares_memory(after, image)
    assert (after != image).any()


@each_drawing
def test_no_people_leave_the_image_unchanged(draw: Callable):
    image = noise()
    for empty in (People.empty(COCO17), People.empty(COCO17, SIZE)):
        np.testing.assert_array_equal(draw(image, empty), image)


@each_drawing
def test_pixels_far_from_all_people_are_unchanged(draw: Callable):
    size = (300, 400)
    image, people = noise(size), crowd(1, size)
    people = replace(people, keypoints=people.keypoints - people.keypoints.mean(axis=1) + (200, 150))
    people = replace(people, boxes_xyxy=[[180, 130, 220, 170]], masks=None)
    mask = np.zeros((1, *size), bool)
    mask[0, 135:165, 185:215] = True
    changed = (draw(image, replace(people, masks=mask)) != image).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert 100 <= rows.min() <= rows.max() < 180
    assert 170 <= columns.min() <= columns.max() < 235


@each_drawing
@pytest.mark.parametrize("level", [0, 128, 255])
def test_people_are_visible_on_any_grey(draw: Callable, level: int):
    image = np.full((*SIZE, 3), level, np.uint8)
    people = crowd(1)
    away = np.abs(draw(image, people).astype(int) - level).max(axis=2)
    assert (away > 60).sum() > 30


@each_drawing
def test_drawing_is_deterministic(draw: Callable):
    image, people = noise(), crowd(5)
    np.testing.assert_array_equal(draw(image, people), draw(image, people))


@each_drawing
def test_joints_outside_the_image_are_cut(draw: Callable):
    image, people = noise(), crowd(2)
    far = np.array(people.keypoints)
    far[0] += (-5000, 1e7)
    far[1, ::2] += 1e4
    moved = replace(people, keypoints=far, boxes_xyxy=people.boxes_xyxy + 1e4)
    assert draw(image, moved).shape == image.shape


@each_drawing
def test_joints_that_are_not_numbers_are_left_out(draw: Callable):
    image, people = noise(), crowd(2)
    broken = np.array(people.keypoints)
    broken[:, 5] = np.nan
    people = replace(people, keypoints=broken, boxes_xyxy=np.full((2, 4), np.nan))
    assert draw(image, people).shape == image.shape


@each_drawing
@pytest.mark.parametrize("size", [(1, 1), (2, 40), (40, 2)])
def test_tiny_images(draw: Callable, size: tuple[int, int]):
    image, people = noise(size), crowd(2, size, extent=3)
    assert draw(image, people).shape == image.shape


@given(st.integers(0, 5), st.sampled_from([COCO17, LSP14]))
def test_every_skeleton_and_any_number(count: int, skeleton: Skeleton):
    image, people = noise(), crowd(count, skeleton=skeleton)
    changed = (all_layers(image, people) != image).any()
    assert changed == (count > 0)


def test_the_overlay_is_its_layers_in_order():
    image, people = noise(), crowd(3)
    layered = draw_labels(draw_boxes(draw_poses(draw_masks(image, people), people), people), people)
    np.testing.assert_array_equal(all_layers(image, people), layered)
    np.testing.assert_array_equal(overlay(image, people, masks=False, poses=False), image)


def test_an_id_is_written_beside_the_score():
    image, people = noise(), crowd(1)
    plain = draw_labels(image, people, ids=False)
    numbered = draw_labels(image, replace(people, ids=np.array([7])))
    assert (numbered != image).any(axis=2).sum() > (plain != image).any(axis=2).sum()


CODEC = Pose2SegCodec(padding=0.1)


def lying() -> tuple[np.ndarray, People]:
    """A person on its side on grey, its nose in a red square."""
    points = paper_templates().points[:1] * 120
    points = np.stack([200 - points[..., 1], 40 + points[..., 0]], axis=-1)
    people = People.from_poses(COCO17, points, np.ones((1, 17)))
    image = np.full((200, 240, 3), 128, np.uint8)
    x, y = people.keypoints[0, 0].astype(int)
    image[y - 6 : y + 6, x - 6 : x + 6] = (255, 0, 0)
    return image, people


def test_a_lying_person_is_upright_in_the_crop():
    image, people = lying()
    crops = CODEC.crops(people, (200, 240))
    drawn = draw_crops(image, without_joints(people), crops)
    y, x = np.nonzero((drawn[..., 0] > 200) & (drawn[..., 1] < 60))
    expected = (0.1 + 0.8 * paper_templates().points[0, 0]) * 192
    np.testing.assert_allclose((x.mean(), y.mean()), expected, atol=4)


def without_joints(people: People) -> People:
    """No joint is drawn: only the image."""
    return People.from_poses(people.skeleton, people.keypoints, np.zeros((len(people), 17)))


def test_masks_are_beside_the_crop_and_gaps_are_white():
    image, people = lying()
    crops = CODEC.crops(people, (200, 240))
    mask = np.zeros((1, 64, 64), np.float32)
    mask[0, :32] = 1
    drawn = draw_crops(image, people, crops, mask, 1 - mask, zoom=2, gap_px=5)
    assert drawn.shape == (128, 3 * 128 + 10, 3)
    assert (drawn[:, 128:133] == 255).all()
    assert (drawn[:64, 133:261] == 255).all()
    assert (drawn[64:, 133:261] == 0).all()
    assert (drawn[:64, 266:] == 0).all()
