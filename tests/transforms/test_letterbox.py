from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.errors import ShapeError
from poseg.geometry.grid import pixel_centres
from poseg.people import People
from poseg.skeletons import COCO17
from poseg.transforms.letterbox import letterbox, make_letterbox

PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
sides = st.integers(16, 900)


def glow(size: tuple[int, int], centre: tuple[float, float], sigma: float) -> np.ndarray:
    """A bright smooth spot on black, as a image."""
    y, x = (pixel_centres(np.arange(side)) for side in size)
    value = np.exp(-((x - centre[0]) ** 2 + (y[:, None] - centre[1]) ** 2) / (2 * sigma**2))
    return np.repeat(np.rint(255 * value).astype(np.uint8)[..., None], 3, axis=2)


def people_with(masks: np.ndarray, boxes: np.ndarray, points: np.ndarray) -> People:
    return People(COCO17, points, np.ones(points.shape[:2]), np.ones(len(points)), boxes, masks)


@pytest.mark.parametrize(
    ("size", "long_edge_px", "crop_xyxy"),
    [((300, 400), 129, None), ((400, 300), 1025, None), ((211, 640), 257, None), ((97, 97), 513, None),
     ((300, 400), 801, (60, 120, 210, 250))],
)  # fmt: skip
def test_to_input_gives_the_position_of_a_bright_spot(size, long_edge_px, crop_xyxy) -> None:
    centre, sigma = (0.31 * size[1], 0.6 * size[0]), 4 / min(long_edge_px / max(size), 1)
    rule = {"size_divisor": 16, "size_offset": 1, "crop_xyxy": crop_xyxy, **PLAIN}
    tensor, placed = letterbox(glow(size, centre, sigma), long_edge_px, **rule)
    light = tensor[0, 0].astype(np.float64)
    xs, ys = pixel_centres(np.arange(light.shape[1])), pixel_centres(np.arange(light.shape[0]))
    spot = np.array([(light * xs).sum(), (light * ys[:, None]).sum()]) / light.sum()
    np.testing.assert_allclose(spot, placed.to_input(centre), atol=0.05)


@given(sides, sides, st.integers(30, 700), st.sampled_from([(16, 1), (32, 1), (8, 0), (32, 0)]))
def test_letterbox_has_valid_sides_and_contains_the_image(
    h: int, w: int, long_edge_px: int, rule: tuple[int, int]
) -> None:
    multiple, remainder = rule
    placed = make_letterbox((h, w), long_edge_px, size_divisor=multiple, size_offset=remainder)
    for side, content in zip(placed.input_size, placed.content_size, strict=True):
        assert side % multiple == remainder
        assert side >= multiple + remainder
        assert content <= side
        # No side is padded by a whole step, unless the image is narrower than the smallest input.
        assert side - content < multiple or side == multiple + remainder
    assert max(placed.content_size) == max(placed.input_size)
    assert abs(max(placed.input_size) - max(long_edge_px, multiple + remainder)) <= multiple / 2 + remainder
    ratio = (w / h) / (placed.content_size[1] / placed.content_size[0])
    assert ratio == pytest.approx(1, rel=1 / min(placed.content_size))


@given(sides, sides, st.integers(64, 700), st.integers(0, 2**32 - 1))
def test_people_to_image_undoes_to_input(h: int, w: int, long_edge_px: int, seed: int) -> None:
    placed = make_letterbox((h, w), long_edge_px, size_divisor=32, size_offset=1)
    rng = np.random.default_rng(seed)
    points = rng.uniform(-20, max(h, w) + 20, (3, 17, 2))
    corners = np.sort(rng.uniform(0, 1, (3, 2, 2)), axis=1) * (w, h)
    seen = People(COCO17, placed.to_input(points), np.ones((3, 17)), np.ones(3), placed.to_input(corners).reshape(3, 4))
    undone = placed.people_to_image(seen)
    np.testing.assert_allclose(undone.keypoints, points, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(undone.boxes_xyxy, corners.reshape(3, 4), rtol=1e-5, atol=1e-3)
    assert undone.masks is None


@pytest.mark.parametrize(
    ("size", "long_edge_px"), [((480, 640), 257), ((640, 480), 513), ((240, 320), 513), ((900, 300), 401)]
)
def test_people_to_image_resizes_masks(size: tuple[int, int], long_edge_px: int) -> None:
    """Each mask is mapped as its own raster; that must not show."""
    placed = make_letterbox(size, long_edge_px, size_divisor=16, size_offset=1)
    rows, columns = placed.content_size
    masks = np.zeros((3, *placed.input_size), np.uint8)
    cv2.circle(masks[0], (columns // 3, rows // 2), min(rows, columns) // 4, 1, -1)
    cv2.ellipse(masks[1], (columns, rows), (columns // 3, rows // 4), 20, 0, 360, 1, -1)  # runs over the edge
    undone = placed.people_to_image(people_with(masks.astype(bool), np.zeros((3, 4)), np.zeros((3, 17, 2)))).masks
    assert undone.shape == (3, *size)
    for mask, found in zip(masks, undone, strict=True):
        whole = cv2.resize(mask[:rows, :columns] * 255, size[::-1], interpolation=cv2.INTER_LINEAR) > 127
        assert (whole ^ found).sum() <= 0.004 * whole.sum()
    assert not undone[2].any()


def test_people_to_image_cuts_off_the_padding() -> None:
    placed = make_letterbox((100, 400), 385, size_divisor=32, size_offset=1)
    assert placed.content_size[0] < placed.input_size[0]
    masks = np.zeros((1, *placed.input_size), bool)
    masks[0, placed.content_size[0] :] = True
    undone = placed.people_to_image(people_with(masks, np.array([[10, 90, 380, 128]]), np.zeros((1, 17, 2))))
    assert not np.asarray(undone.masks).any()
    assert undone.boxes_xyxy[0, 3] == 100


def test_letterbox_normalises_and_pads_with_zeros() -> None:
    image = np.full((64, 128, 3), (10, 20, 30), np.uint8)
    tensor, placed = letterbox(image, 257, size_divisor=32, size_offset=1, mean=(5, 10, 15), std=(5, 2, 1))
    assert tensor.dtype == np.float32
    assert tensor.shape == (1, 3, *placed.input_size)
    rows, columns = placed.content_size
    np.testing.assert_allclose(
        tensor[0, :, :rows, :columns].reshape(3, -1).T, np.array([[1, 5, 15]] * rows * columns), atol=1e-5
    )
    assert not tensor[0, :, rows:].any()
    assert rows < placed.input_size[0]


def test_letterbox_of_the_right_size_is_the_identity() -> None:
    image = np.random.default_rng(0).integers(0, 256, (65, 97, 3), np.uint8)
    tensor, placed = letterbox(image, 97, size_divisor=32, size_offset=1, **PLAIN)
    np.testing.assert_array_equal(tensor[0].transpose(1, 2, 0), image)
    assert placed.scale_xy == (1, 1)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((20, 20), np.uint8),
        np.zeros((20, 20, 4), np.uint8),
        np.zeros((20, 20, 3)),
        np.zeros((0, 9, 3), np.uint8),
    ],
)
def test_letterbox_rejects_other_arrays(image: np.ndarray) -> None:
    with pytest.raises(ShapeError, match=r"\(height, width, 3\) uint8"):
        letterbox(image, 64, size_divisor=32, size_offset=1, **PLAIN)


def test_people_to_image_rejects_masks_of_another_size() -> None:
    placed = make_letterbox((100, 100), 129, size_divisor=32, size_offset=1)
    with pytest.raises(ShapeError, match="masks"):
        placed.people_to_image(people_with(np.zeros((1, 100, 100), bool), np.zeros((1, 4)), np.zeros((1, 17, 2))))


@st.composite
def crops(draw: st.DrawFn) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    """A image's size and a part of it."""
    h, w = draw(sides), draw(sides)
    left, top = draw(st.integers(0, w - 4)), draw(st.integers(0, h - 4))
    return (h, w), (left, top, draw(st.integers(left + 4, w)), draw(st.integers(top + 4, h)))


@given(crops(), st.integers(64, 700))
def test_letterbox_crop_has_the_scale_of_the_whole_image(
    part: tuple[tuple[int, int], tuple[int, int, int, int]], long_edge_px: int
) -> None:
    size, (left, top, right, bottom) = part
    whole = make_letterbox(size, long_edge_px, size_divisor=32, size_offset=1)
    placed = make_letterbox(size, long_edge_px, size_divisor=32, size_offset=1, crop_xyxy=(left, top, right, bottom))
    shown = placed.shown_xyxy
    step_px = 32 * max(size) / max(whole.input_size)
    for low, high, side, start, end, content, input_px in zip(
        (left, top), (right, bottom), size[::-1], shown[:2], shown[2:], placed.content_size[::-1],
        placed.input_size[::-1],
        strict=True,
    ):  # fmt: skip
        assert 0 <= start < end <= side
        # As large as in the whole image, but for whole pixels.
        assert content == pytest.approx((end - start) * max(whole.input_size) / max(size), abs=1 + 33 / (end - start))
        # An input is filled wherever the image has enough, but for less than one of its pixels.
        pixel = max(whole.input_size) / max(size)
        assert content == input_px or (start, end) == (0, side) or input_px - content < pixel
        # What is shown is what was asked for, give or take half a step.
        assert abs((end - start) - (high - low)) <= step_px / 2 + 33 * max(size) / max(whole.input_size)
        assert start <= low + step_px / 2 + 1
        assert end >= high - step_px / 2 - 1
        assert start == 0 or low > 0
        assert end == side or high < side
    assert all(side <= whole_side for side, whole_side in zip(placed.input_size, whole.input_size, strict=True))
    corners = np.array([shown[:2], shown[2:]])
    np.testing.assert_allclose(placed.to_input(corners), [(0, 0), placed.content_size[::-1]], atol=1e-3)
    np.testing.assert_allclose(placed.to_image(placed.to_input(corners)), corners, atol=1e-3)


def test_letterbox_crop_of_everything_is_the_whole_image() -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 133, 3), dtype=np.uint8)
    rule = {"size_divisor": 32, "size_offset": 1, **PLAIN}
    tensor, placed = letterbox(image, 257, **rule)
    through, same = letterbox(image, 257, **rule, crop_xyxy=(0, 0, 133, 90))
    np.testing.assert_array_equal(through, tensor)
    assert same.scale_xy == placed.scale_xy
    assert same.shown_xyxy == placed.shown_xyxy


@given(crops(), st.integers(97, 500), st.integers(0, 2**32 - 1))
def test_people_to_image_undoes_a_crop(
    part: tuple[tuple[int, int], tuple[int, int, int, int]], long_edge_px: int, seed: int
) -> None:
    size, crop = part
    placed = make_letterbox(size, long_edge_px, size_divisor=32, size_offset=1, crop_xyxy=crop)
    rows, columns = placed.content_size
    mask = np.zeros((1, *placed.input_size), bool)
    mask[0, :rows, :columns] = True
    points = np.random.default_rng(seed).uniform(-20, max(size) + 20, (1, 17, 2)).astype(np.float32)
    crop = placed.shown_xyxy
    seen = people_with(mask, placed.to_input([crop[:2], crop[2:]]).reshape(1, 4), placed.to_input(points))
    undone = placed.people_to_image(seen)
    np.testing.assert_allclose(undone.keypoints, points, rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(undone.boxes_xyxy[0], crop, atol=1e-3)
    shown = np.zeros(size, bool)
    shown[crop[1] : crop[3], crop[0] : crop[2]] = True
    # Between pixels of the input the corners of a mask are round, by less than one of them.
    y, x = np.nonzero(undone.masks[0] != shown)
    near_x = np.minimum(abs(x + 0.5 - crop[0]), abs(x + 0.5 - crop[2])) * placed.scale_xy[0]
    near_y = np.minimum(abs(y + 0.5 - crop[1]), abs(y + 0.5 - crop[3])) * placed.scale_xy[1]
    assert np.maximum(near_x, near_y).max(initial=0) < 1


@pytest.mark.parametrize("crop", [(0, 0, 0, 10), (5, 5, 5, 9), (-1, 0, 10, 10), (0, 0, 101, 10), (0, 20, 10, 51)])
def test_letterbox_rejects_a_crop_outside_the_image(crop: tuple[int, int, int, int]) -> None:
    with pytest.raises(ShapeError, match="crop_xyxy"):
        make_letterbox((50, 100), 129, size_divisor=32, size_offset=1, crop_xyxy=crop)
