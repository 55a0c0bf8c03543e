"""Pose2Seg's head: exact alignment, the skeleton features of section 3.3, the published mask head."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from poseg.geometry import affine  # noqa: E402
from poseg.geometry.grid import Grid, pixel_centres  # noqa: E402
from poseg.networks.heads.pose2seg_head import MaskHead, SkeletonFeatures, affine_align  # noqa: E402
from poseg.skeletons import COCO17  # noqa: E402

SIDE = 32
CELLS = (41, 53)  # of an image of 161 x 209 pixels, at stride 4
CENTRE = st.tuples(st.floats(40, 170), st.floats(40, 120))
ANGLES = st.floats(-np.pi, np.pi)


def one(matrix) -> torch.Tensor:
    """The crop of one person of one image, as the map from the crop to the image."""
    return torch.from_numpy(np.asarray(matrix, np.float32))[None, None]


def ramp(stride: int = 4, cells: tuple[int, int] = CELLS) -> torch.Tensor:
    """Features that are their own positions: (1, 2, h, w) pixels."""
    return torch.from_numpy(Grid(stride).positions(*cells))[None]


def pixel_positions(matrix, side_px: int = SIDE) -> np.ndarray:
    """Positions of a crop's pixels in the image: (2, S, S)."""
    y, x = pixel_centres(np.indices((side_px, side_px)))
    return np.moveaxis(affine.apply(matrix, np.stack([x, y], axis=-1)), -1, 0)


def within(xy, stride: int = 4, cells: tuple[int, int] = CELLS) -> np.ndarray:
    """Which positions lie between cells on all sides."""
    low, high = Grid(stride).to_image(0), Grid(stride).to_image(np.array(cells[::-1]) - 1)[:, None, None]
    return ((xy > low) & (xy < high)).all(axis=0)


@given(st.sampled_from([1, 4, 8]), st.floats(0.1, 8), ANGLES, CENTRE)
def test_affine_align_of_a_ramp_gives_the_positions_of_pixels(stride, scale, rotation, centre):
    matrix = affine.similarity(scale, rotation, (SIDE / 2, SIDE / 2), centre)
    cells = (160 // stride + 1, 208 // stride + 1)
    aligned = affine_align(ramp(stride, cells), one(matrix), SIDE, stride)[0].numpy()
    xy = pixel_positions(matrix)
    inside = within(xy, stride, cells)
    np.testing.assert_allclose(aligned[:, inside], xy[:, inside], atol=2e-3)
    beyond = ~within(xy, stride, (cells[0] + 2, cells[1] + 2)) & (xy.min(axis=0) < -stride)
    assert not aligned[:, beyond].any()


@given(st.floats(0.2, 5), ANGLES, CENTRE)
def test_affine_align_at_stride_one_equals_opencv(scale, rotation, centre):
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.random((160, 200, 3), np.float32), (0, 0), 3)
    matrix = affine.similarity(scale, rotation, (SIDE / 2, SIDE / 2), centre)
    expected = cv2.warpAffine(image, affine.to_cv2(matrix), (SIDE, SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    aligned = affine_align(torch.from_numpy(image.transpose(2, 0, 1))[None], one(matrix), SIDE, 1)[0].numpy()
    # OpenCV rounds positions to 1/32 of a pixel, which matters at the image's border and little else.
    inside = within(pixel_positions(matrix), 1, (160, 200))
    np.testing.assert_allclose(aligned.transpose(1, 2, 0)[inside], expected[inside], atol=5e-3)
    assert image.max() - image.min() > 0.2


def test_affine_align_with_the_identity_is_the_identity():
    features = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(affine_align(features, one(affine.identity()), SIDE, 1), features, atol=1e-5, rtol=0)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_affine_align_of_a_rotated_image_in_its_rotated_crop_is_the_same(quarters):
    features = torch.randn(1, 5, *CELLS, generator=torch.Generator().manual_seed(0))
    matrix = affine.similarity(3.1, 0.4, (SIDE / 2, SIDE / 2), (100, 80))
    height, width = (4 * n - 3 for n in CELLS)
    centre = (width / 2, height / 2) if quarters == 2 else (height / 2, width / 2)
    rotation = affine.similarity(1, -quarters * np.pi / 2, (width / 2, height / 2), centre)
    rotated = affine_align(torch.rot90(features, quarters, (2, 3)), one(affine.compose(rotation, matrix)), SIDE, 4)
    torch.testing.assert_close(rotated, affine_align(features, one(matrix), SIDE, 4), atol=1e-3, rtol=0)


def several(people: int) -> torch.Tensor:
    """Crops of people in each of two images: (2, P, 2, 3)."""
    rng = np.random.default_rng(people)
    centres = rng.uniform((40, 40), (170, 120), (2, people, 2))
    return torch.stack(
        [torch.cat([one(affine.similarity(2, x, (16, 16), (x, y))) for x, y in row], dim=1)[0] for row in centres]
    )


def test_affine_align_crops_all_people_from_their_image_in_order():
    features, windows = torch.randn(2, 3, *CELLS, generator=torch.Generator().manual_seed(0)), several(3)
    together = affine_align(features, windows, SIDE, 4)
    assert together.shape == (6, 3, SIDE, SIDE)
    alone = [
        affine_align(features[i : i + 1], windows[i : i + 1, j : j + 1], SIDE, 4) for i in (0, 1) for j in range(3)
    ]
    torch.testing.assert_close(together, torch.cat(alone))
    assert not torch.allclose(together[:3], together[3:])


def test_gradients_of_affine_align_reach_the_features_under_the_crop_alone():
    features = torch.zeros(1, 2, *CELLS, requires_grad=True)
    matrix = affine.similarity(1.5, 0.3, (SIDE / 2, SIDE / 2), (100, 80))
    affine_align(features, one(matrix), SIDE, 4).sum().backward()
    assert features.grad.sum() == pytest.approx(2 * SIDE**2, rel=1e-5), "weights of each pixel add up to one"
    distance = np.hypot(*(Grid(4).positions(*CELLS) - np.array([100, 80])[:, None, None]))
    assert not features.grad[0, :, torch.from_numpy(distance > 1.5 * 16 * 2**0.5 + 6)].any()
    assert (features.grad[0, :, torch.from_numpy(distance < 1.5 * 16 - 6)] > 0).all()


def test_affine_align_without_people_is_empty():
    assert affine_align(torch.zeros(1, 3, *CELLS), torch.zeros(1, 0, 2, 3), SIDE, 4).shape == (0, 3, SIDE, SIDE)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_affine_align_is_exact_in_half_precision(kind):
    numbers = ramp(1, (129, 129)) - 0.5  # whole numbers to 128 are exact in both
    matrix = affine.similarity(5.3, 0.4, (SIDE / 2, SIDE / 2), (262, 250))
    exact = affine_align(numbers, one(matrix), SIDE, 4)
    aligned = affine_align(numbers.to(kind), one(matrix), SIDE, 4)
    assert aligned.dtype == kind
    assert (aligned.float() - exact).abs().max() <= 2.0**-8 * 128


def test_affine_align_beside_the_image_is_zero_and_in_a_huge_crop_finite():
    far = one(affine.similarity(1, target=(1e6, 0)))
    assert not affine_align(ramp() + 1, far, SIDE, 4).any()
    assert torch.isfinite(affine_align(ramp(), one(affine.similarity(1e30)), SIDE, 4)).all()


# Skeletons.

LIMBS = [tuple(int(j) for j in pair) for pair in COCO17.indices(COCO17.bones)]


def skeleton(*joints, limbs=((0, 1),), side_px: int = SIDE) -> np.ndarray:
    """The maps of one person: (K + 2 L, S, S)."""
    return SkeletonFeatures(side_px, limbs)(torch.from_numpy(np.array([joints], np.float32)))[0].numpy()


def test_joint_confidence_is_a_gaussian_of_three_pixels():
    maps = skeleton((10.5, 14.5, 1), (0, 0, 0))
    assert maps[0, 14, 10] == 1
    np.testing.assert_allclose(maps[0, 14, 13], np.exp(-0.5), rtol=1e-6)
    np.testing.assert_allclose(maps[0, 17, 13], np.exp(-1), rtol=1e-6)
    assert maps[0, 14, 19] > 0.01, "nine pixels away"
    assert maps[0, 14, 20] == 0, "ten pixels away"
    assert maps[0, 24, 10] == 0


def test_missing_joints_have_no_confidence_and_no_limb():
    assert not skeleton((10.5, 14.5, 0), (0, 0, 0)).any()
    maps = skeleton((10.5, 14.5, 1), (20.5, 14.5, 0))
    assert maps[0].any()
    assert not maps[1:].any()


@pytest.mark.parametrize("back", [False, True])
def test_a_limb_along_a_row_of_pixels_points_along_it_within_one_pixel(back):
    ends = [(6.5, 14.5, 1), (20.5, 14.5, 1)]
    right, down = skeleton(*(ends[::-1] if back else ends))[2:]
    expected = np.zeros((SIDE, SIDE))
    expected[14, 6:21] = -1 if back else 1
    np.testing.assert_array_equal(right, expected)
    np.testing.assert_array_equal(down, 0)


def test_a_limb_between_two_rows_of_pixels_covers_both():
    right, down = skeleton((6.5, 14, 1), (20.5, 14, 1))[2:]
    assert np.flatnonzero(right.any(axis=1)).tolist() == [13, 14]
    assert not down.any()


def test_a_limb_across_the_rows_points_down():
    right, down = skeleton((9.5, 3.5, 1), (9.5, 12.5, 1))[2:]
    assert not right.any()
    assert down[3:13, 9].tolist() == [1] * 10
    assert down.sum() == 10


def test_a_limb_without_length_has_no_direction():
    assert not skeleton((9.5, 3.5, 1), (9.5, 3.5, 1))[2:].any()


@given(st.integers(0, 10**6))
def test_skeleton_features_equal_their_definition(seed):
    rng, side = np.random.default_rng(seed), 12
    joints = np.column_stack([rng.uniform(-4, 16, (17, 2)), rng.random(17) > 0.2])
    joints = np.where(joints[:, 2:] > 0, joints, 0)
    maps = skeleton(*joints, limbs=LIMBS, side_px=side)
    assert maps.shape == (17 + 2 * len(LIMBS), side, side)
    y, x = pixel_centres(np.indices((side, side)))
    at = np.stack([x, y], axis=-1).astype(np.float64)
    for joint, (u, v, visible) in enumerate(joints):
        squared = ((at - (u, v)) ** 2).sum(axis=-1) / 18
        expected = np.where(np.exp(-squared) >= 0.01, np.exp(-squared), 0) * visible
        edge = np.isclose(np.exp(-squared), 0.01, atol=1e-5)
        np.testing.assert_allclose(maps[joint][~edge], expected[~edge], atol=1e-5)
    for limb, (start, end) in enumerate(LIMBS):
        both = bool(joints[start, 2] * joints[end, 2])
        vector = joints[end, :2] - joints[start, :2]
        unit = vector / max(np.hypot(*vector), 1e-9)
        along, across = (at - joints[start, :2]) @ unit, np.abs((at - joints[start, :2]) @ (-unit[1], unit[0]))
        beyond = np.maximum(-along, along - np.hypot(*vector))
        on = both & (across < 1) & (beyond < 1)
        edge = np.isclose(across, 1, atol=1e-4) | np.isclose(beyond, 1, atol=1e-4)
        for axis in (0, 1):
            np.testing.assert_allclose(maps[17 + 2 * limb + axis][~edge], (unit[axis] * on)[~edge], atol=1e-5)


def test_skeleton_features_do_not_depend_on_other_people():
    maps = SkeletonFeatures(SIDE, LIMBS)
    joints = torch.rand(5, 17, 3, generator=torch.Generator().manual_seed(0)) * SIDE
    joints[..., 2] = 1
    torch.testing.assert_close(maps(joints), torch.cat([maps(person[None]) for person in joints]), atol=0, rtol=0)


def test_skeleton_features_are_equivariant_to_whole_pixels():
    joints = [(9.3, 10.2, 1), (15.1, 16.8, 1)]
    here, moved = skeleton(*joints), skeleton(*((x + 4, y + 3, 1) for x, y, _ in joints))
    np.testing.assert_allclose(moved[:, 3:, 4:], here[:, :-3, :-4], atol=1e-5)


def test_skeleton_features_of_no_people_are_empty():
    assert SkeletonFeatures(SIDE, LIMBS)(torch.zeros(0, 17, 3)).shape == (0, 17 + 2 * len(LIMBS), SIDE, SIDE)


def test_skeleton_features_have_no_weights():
    assert not SkeletonFeatures(SIDE, LIMBS).state_dict()
    assert not list(SkeletonFeatures(SIDE, LIMBS).parameters())


# The mask head.

SMALL = (7, 8, 4, 3, 4)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def small(**options) -> MaskHead:
    """Random weights, and batch statistics that fit them."""
    torch.manual_seed(0)
    head = MaskHead(*SMALL, **options).train()
    for module in head.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        head(torch.randn(4, 7, 32, 32, generator=generator()))
    return head.eval()


def count(network) -> int:
    return sum(p.numel() for p in network.parameters())


def test_the_published_head_has_as_many_parameters_as_published():
    with torch.device("meta"):
        head = MaskHead(311, 256, 256, 10, 128, channels_out=2)
        bare = MaskHead(256, 256, 256, 10, 128, channels_out=2)
    assert count(head) == 16_030_978
    assert count(head) - count(bare) == 55 * 49 * 256, "the skeleton features"


@pytest.mark.parametrize("side", [16, 33, 48, 64])
def test_the_mask_is_as_large_as_the_crop(side):
    assert small()(torch.zeros(2, 7, side, side)).shape == (2, 1, side, side)
    assert small(channels_out=2)(torch.zeros(2, 7, side, side)).shape == (2, 2, side, side)


def test_people_get_the_same_mask_alone_and_together():
    head, crops = small(), torch.randn(4, 7, 32, 32, generator=generator())
    with torch.no_grad():
        together = head(crops)
        torch.testing.assert_close(together, torch.cat([head(w[None]) for w in crops]), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(head(crops.flip(0)), together.flip(0), atol=1e-5, rtol=1e-5)
    assert (together[0] - together[1]).abs().max() > 0.1


def test_no_crops_give_no_masks():
    assert small()(torch.zeros(0, 7, 32, 32)).shape == (0, 1, 32, 32)


def test_a_gradient_reaches_the_crops_and_every_parameter():
    head, crops = small().train(), torch.randn(4, 7, 32, 32, generator=generator(), requires_grad=True)
    head(crops).square().mean().backward()
    assert (crops.grad.abs().sum(dim=(2, 3)) > 0).all()
    # Batch normalisation subtracts the mean, so a bias before it has no gradient.
    without = [name for name, p in head.named_parameters() if not p.grad.abs().sum() > 0]
    assert not [name for name in without if not name.endswith("bias")]


def test_the_receptive_field_of_ten_blocks_is_about_fifty_pixels():
    torch.manual_seed(0)
    head = MaskHead(2, 4, 2, 10, 2).eval()
    with torch.no_grad():
        for p in head.parameters():
            p.abs_()
    crop = torch.ones(1, 2, 96, 96, requires_grad=True)
    head(crop)[0, 0, 48, 48].backward()
    field = crop.grad[0].abs().sum(dim=0) > 0
    for axis in (0, 1):
        width = int(field.any(dim=axis).sum())
        assert 47 <= width <= 53
