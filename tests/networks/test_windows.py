"""Windows on features and painted skeletons: exact on ramps, OpenCV's own warp, and the definitions of section 3.3."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from poseg.geometry import affine  # noqa: E402
from poseg.geometry.grid import Grid, pixel_centres  # noqa: E402
from poseg.networks.windows import SkeletonMaps, cut_windows  # noqa: E402
from poseg.skeletons import COCO17  # noqa: E402

SIDE = 32
CELLS = (41, 53)  # of a picture of 161 x 209 pixels, at stride 4
MIDDLE = st.tuples(st.floats(40, 170), st.floats(40, 120))
ANGLES = st.floats(-np.pi, np.pi)


def one(matrix) -> torch.Tensor:
    """The window of one person of one picture, from the window to the picture."""
    return torch.from_numpy(np.asarray(matrix, np.float32))[None, None]


def ramp(stride: int = 4, cells: tuple[int, int] = CELLS) -> torch.Tensor:
    """Features that say where they are: (1, 2, h, w) pixels."""
    return torch.from_numpy(Grid(stride).positions(*cells))[None]


def place_of_pixels(matrix, side_px: int = SIDE) -> np.ndarray:
    """Where a window's pixels lie in the picture: (2, S, S)."""
    y, x = pixel_centres(np.indices((side_px, side_px)))
    return np.moveaxis(affine.apply(matrix, np.stack([x, y], axis=-1)), -1, 0)


def within(place, stride: int = 4, cells: tuple[int, int] = CELLS) -> np.ndarray:
    """Which places lie between cells on all sides."""
    low, high = Grid(stride).to_image(0), Grid(stride).to_image(np.array(cells[::-1]) - 1)[:, None, None]
    return ((place > low) & (place < high)).all(axis=0)


@given(st.sampled_from([1, 4, 8]), st.floats(0.1, 8), ANGLES, MIDDLE)
def test_a_ramp_says_where_every_pixel_of_the_window_lies(stride, scale, turn, middle):
    matrix = affine.similarity(scale, turn, (SIDE / 2, SIDE / 2), middle)
    cells = (160 // stride + 1, 208 // stride + 1)
    shown = cut_windows(ramp(stride, cells), one(matrix), SIDE, stride)[0].numpy()
    place = place_of_pixels(matrix)
    inside = within(place, stride, cells)
    np.testing.assert_allclose(shown[:, inside], place[:, inside], atol=2e-3)
    beyond = ~within(place / 1, stride, (cells[0] + 2, cells[1] + 2)) & (place.min(axis=0) < -stride)
    assert not shown[:, beyond].any()


@given(st.floats(0.2, 5), ANGLES, MIDDLE)
def test_features_at_stride_one_are_cut_as_opencv_cuts_pictures(scale, turn, middle):
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.random((160, 200, 3), np.float32), (0, 0), 3)
    matrix = affine.similarity(scale, turn, (SIDE / 2, SIDE / 2), middle)
    wanted = cv2.warpAffine(picture, affine.to_cv2(matrix), (SIDE, SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    shown = cut_windows(torch.from_numpy(picture.transpose(2, 0, 1))[None], one(matrix), SIDE, 1)[0].numpy()
    # OpenCV reads places to 1/32 of a pixel, which tells where the picture ends and little else.
    inside = within(place_of_pixels(matrix), 1, (160, 200))
    np.testing.assert_allclose(shown.transpose(1, 2, 0)[inside], wanted[inside], atol=5e-3)
    assert picture.max() - picture.min() > 0.2


def test_a_window_that_is_the_picture_is_the_picture():
    features = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(cut_windows(features, one(affine.identity()), SIDE, 1), features, atol=1e-5, rtol=0)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_picture_in_its_turned_window_looks_as_before(turns):
    features = torch.randn(1, 5, *CELLS, generator=torch.Generator().manual_seed(0))
    matrix = affine.similarity(3.1, 0.4, (SIDE / 2, SIDE / 2), (100, 80))
    height, width = (4 * n - 3 for n in CELLS)
    middle = (width / 2, height / 2) if turns == 2 else (height / 2, width / 2)
    whole = affine.similarity(1, -turns * np.pi / 2, (width / 2, height / 2), middle)
    turned = cut_windows(torch.rot90(features, turns, (2, 3)), one(affine.compose(whole, matrix)), SIDE, 4)
    torch.testing.assert_close(turned, cut_windows(features, one(matrix), SIDE, 4), atol=1e-3, rtol=0)


def several(people: int) -> torch.Tensor:
    """Windows of people in each of two pictures: (2, P, 2, 3)."""
    rng = np.random.default_rng(people)
    places = rng.uniform((40, 40), (170, 120), (2, people, 2))
    return torch.stack(
        [torch.cat([one(affine.similarity(2, x, (16, 16), (x, y))) for x, y in row], dim=1)[0] for row in places]
    )


def test_everybody_is_cut_from_the_right_picture_in_order():
    features, windows = torch.randn(2, 3, *CELLS, generator=torch.Generator().manual_seed(0)), several(3)
    together = cut_windows(features, windows, SIDE, 4)
    assert together.shape == (6, 3, SIDE, SIDE)
    alone = [cut_windows(features[i : i + 1], windows[i : i + 1, j : j + 1], SIDE, 4) for i in (0, 1) for j in range(3)]
    torch.testing.assert_close(together, torch.cat(alone))
    assert not torch.allclose(together[:3], together[3:])


def test_gradients_reach_the_features_under_the_window_and_no_others():
    features = torch.zeros(1, 2, *CELLS, requires_grad=True)
    matrix = affine.similarity(1.5, 0.3, (SIDE / 2, SIDE / 2), (100, 80))
    cut_windows(features, one(matrix), SIDE, 4).sum().backward()
    assert features.grad.sum() == pytest.approx(2 * SIDE**2, rel=1e-5), "weights of each pixel add up to one"
    away = np.hypot(*(Grid(4).positions(*CELLS) - np.array([100, 80])[:, None, None]))
    assert not features.grad[0, :, torch.from_numpy(away > 1.5 * 16 * 2**0.5 + 6)].any()
    assert (features.grad[0, :, torch.from_numpy(away < 1.5 * 16 - 6)] > 0).all()


def test_nobody_has_no_windows():
    assert cut_windows(torch.zeros(1, 3, *CELLS), torch.zeros(1, 0, 2, 3), SIDE, 4).shape == (0, 3, SIDE, SIDE)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_features_of_half_precision_are_cut_in_the_right_place(kind):
    numbers = ramp(1, (129, 129)) - 0.5  # whole numbers to 128 are exact in both
    matrix = affine.similarity(5.3, 0.4, (SIDE / 2, SIDE / 2), (262, 250))
    exact = cut_windows(numbers, one(matrix), SIDE, 4)
    shown = cut_windows(numbers.to(kind), one(matrix), SIDE, 4)
    assert shown.dtype == kind
    assert (shown.float() - exact).abs().max() <= 2.0**-8 * 128


def test_a_window_beside_the_picture_is_empty_and_a_huge_one_finite():
    far = one(affine.similarity(1, target=(1e6, 0)))
    assert not cut_windows(ramp() + 1, far, SIDE, 4).any()
    assert torch.isfinite(cut_windows(ramp(), one(affine.similarity(1e30)), SIDE, 4)).all()


# Skeletons.

LIMBS = [tuple(int(j) for j in pair) for pair in COCO17.indices(COCO17.bones)]


def painted(*joints, limbs=((0, 1),), side_px: int = SIDE) -> np.ndarray:
    """The maps of one person: (K + 2 L, S, S)."""
    return SkeletonMaps(side_px, limbs)(torch.from_numpy(np.array([joints], np.float32)))[0].numpy()


def test_the_confidence_is_one_at_the_joint_and_falls_as_a_gaussian_of_three_pixels():
    shown = painted((10.5, 14.5, 1), (0, 0, 0))
    assert shown[0, 14, 10] == 1
    np.testing.assert_allclose(shown[0, 14, 13], np.exp(-0.5), rtol=1e-6)
    np.testing.assert_allclose(shown[0, 17, 13], np.exp(-1), rtol=1e-6)
    assert shown[0, 14, 19] > 0.01, "nine pixels away"
    assert shown[0, 14, 20] == 0, "ten pixels away"
    assert shown[0, 24, 10] == 0


def test_joints_that_are_not_there_paint_nothing_and_leave_no_limb():
    assert not painted((10.5, 14.5, 0), (0, 0, 0)).any()
    shown = painted((10.5, 14.5, 1), (20.5, 14.5, 0))
    assert shown[0].any()
    assert not shown[1:].any()


@pytest.mark.parametrize("back", [False, True])
def test_a_limb_along_a_row_of_pixels_points_along_it_for_one_pixel_aside(back):
    ends = [(6.5, 14.5, 1), (20.5, 14.5, 1)]
    right, down = painted(*(ends[::-1] if back else ends))[2:]
    wanted = np.zeros((SIDE, SIDE))
    wanted[14, 6:21] = -1 if back else 1
    np.testing.assert_array_equal(right, wanted)
    np.testing.assert_array_equal(down, 0)


def test_a_limb_between_two_rows_of_pixels_covers_both():
    right, down = painted((6.5, 14, 1), (20.5, 14, 1))[2:]
    assert np.flatnonzero(right.any(axis=1)).tolist() == [13, 14]
    assert not down.any()


def test_a_limb_across_the_rows_points_down():
    right, down = painted((9.5, 3.5, 1), (9.5, 12.5, 1))[2:]
    assert not right.any()
    assert down[3:13, 9].tolist() == [1] * 10
    assert down.sum() == 10


def test_a_limb_without_length_has_no_direction():
    assert not painted((9.5, 3.5, 1), (9.5, 3.5, 1))[2:].any()


@given(st.integers(0, 10**6))
def test_maps_are_what_their_definition_gives_pixel_by_pixel(seed):
    rng, side = np.random.default_rng(seed), 12
    joints = np.column_stack([rng.uniform(-4, 16, (17, 2)), rng.random(17) > 0.2])
    joints = np.where(joints[:, 2:] > 0, joints, 0)
    shown = painted(*joints, limbs=LIMBS, side_px=side)
    assert shown.shape == (17 + 2 * len(LIMBS), side, side)
    y, x = pixel_centres(np.indices((side, side)))
    at = np.stack([x, y], axis=-1).astype(np.float64)
    for joint, (u, v, there) in enumerate(joints):
        squared = ((at - (u, v)) ** 2).sum(axis=-1) / 18
        wanted = np.where(np.exp(-squared) >= 0.01, np.exp(-squared), 0) * there
        edge = np.isclose(np.exp(-squared), 0.01, atol=1e-5)
        np.testing.assert_allclose(shown[joint][~edge], wanted[~edge], atol=1e-5)
    for limb, (start, end) in enumerate(LIMBS):
        both = bool(joints[start, 2] * joints[end, 2])
        vector = joints[end, :2] - joints[start, :2]
        unit = vector / max(np.hypot(*vector), 1e-9)
        forth, aside = (at - joints[start, :2]) @ unit, np.abs((at - joints[start, :2]) @ (-unit[1], unit[0]))
        beyond = np.maximum(-forth, forth - np.hypot(*vector))
        on = both & (aside < 1) & (beyond < 1)
        edge = np.isclose(aside, 1, atol=1e-4) | np.isclose(beyond, 1, atol=1e-4)
        for axis in (0, 1):
            np.testing.assert_allclose(shown[17 + 2 * limb + axis][~edge], (unit[axis] * on)[~edge], atol=1e-5)


def test_a_person_is_painted_alike_alone_and_among_others():
    maps = SkeletonMaps(SIDE, LIMBS)
    joints = torch.rand(5, 17, 3, generator=torch.Generator().manual_seed(0)) * SIDE
    joints[..., 2] = 1
    torch.testing.assert_close(maps(joints), torch.cat([maps(person[None]) for person in joints]), atol=0, rtol=0)


def test_painted_maps_are_the_same_wherever_in_the_window_by_whole_pixels():
    joints = [(9.3, 10.2, 1), (15.1, 16.8, 1)]
    here, there = painted(*joints), painted(*((x + 4, y + 3, 1) for x, y, _ in joints))
    np.testing.assert_allclose(there[:, 3:, 4:], here[:, :-3, :-4], atol=1e-5)


def test_nobody_has_no_maps():
    assert SkeletonMaps(SIDE, LIMBS)(torch.zeros(0, 17, 3)).shape == (0, 17 + 2 * len(LIMBS), SIDE, SIDE)


def test_maps_are_no_weights():
    assert not SkeletonMaps(SIDE, LIMBS).state_dict()
    assert not list(SkeletonMaps(SIDE, LIMBS).parameters())
