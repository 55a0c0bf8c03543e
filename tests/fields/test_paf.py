"""Part affinity fields: encoded cell by cell as defined, read back along lines, and what limbs a skeleton has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseg.errors import SkeletonError
from poseg.fields.paf import (
    COCO_LIMBS,
    OPENPOSE_LIMBS,
    default_limbs,
    encode_pafs,
    limb_flip,
    line_integrals,
    redundant_limbs,
)
from poseg.geometry.grid import Grid
from poseg.skeletons import COCO17, LSP14, OPENPOSE18, SKELETONS, Skeleton

GRIDS = [Grid(8), Grid(8, 4.0)]
CELLS = (14, 17)
WIDTH_PX = 8.0
SEEDS = st.integers(0, 10**6)


def limb(*people, grid: Grid = GRIDS[0], cells: tuple[int, int] = CELLS, width_px: float = WIDTH_PX):
    """The field (2, h, w) of the only limb of people ((x, y), (x, y)), and where limbs are (h, w)."""
    points = np.array(people, np.float32).reshape(-1, 2, 2)
    paf, there = encode_pafs(points, np.ones(points.shape[:2], bool), np.array([[0, 1]]), grid, cells, width_px)
    return paf[0], there[0]


# Painting.


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@given(seed=SEEDS)
@settings(max_examples=10)
def test_encode_pafs_matches_the_definition_cell_by_cell(grid, seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform(-20, 150, (3, 4, 2)).astype(np.float32)
    known, ends = rng.random((3, 4)) > 0.2, np.array([[0, 1], [2, 1], [3, 0]])
    paf, there = encode_pafs(points, known, ends, grid, CELLS, WIDTH_PX)
    at = np.moveaxis(grid.positions(*CELLS), 0, -1).astype(np.float64)
    for number, (first, last) in enumerate(ends):
        total, count, edge = np.zeros((*CELLS, 2)), np.zeros(CELLS), np.zeros(CELLS, bool)
        for person in np.flatnonzero(known[:, first] & known[:, last]):
            a, b = points[person, [first, last]].astype(np.float64)
            v = (b - a) / np.hypot(*(b - a))
            across = np.abs((at - a) @ (-v[1], v[0])) - WIDTH_PX
            outside = np.maximum(np.minimum(a, b) - at, at - np.maximum(a, b)).max(axis=-1) - WIDTH_PX
            near = (across <= 0) & (outside <= 0)
            edge |= (np.abs(across) < 1e-3) | (np.abs(outside) < 1e-3)
            total[near] += v
            count += near
        expected = total / np.maximum(count, 1)[..., None]
        np.testing.assert_allclose(np.moveaxis(paf[number], 0, -1)[~edge], expected[~edge], atol=1e-5)
        np.testing.assert_array_equal(there[number][~edge], (count > 0)[~edge])


def test_cells_on_limbs_of_several_people_hold_the_mean():
    across, down = ((10, 60), (110, 60)), ((60, 10), (60, 100))
    (one, on_one), (other, on_other) = limb(across), limb(down)
    both, on_both = limb(across, down)
    shared = on_one & on_other
    assert shared.sum() >= 4
    np.testing.assert_allclose(both[:, shared], (one + other)[:, shared] / 2, atol=1e-6)
    np.testing.assert_allclose(both[:, ~shared], (one + other)[:, ~shared], atol=1e-6)
    np.testing.assert_array_equal(on_both, on_one | on_other)
    thrice, _ = limb(across, across, down)
    np.testing.assert_allclose(thrice[:, shared], (2 * one + other)[:, shared] / 3, atol=1e-6)


def test_limbs_of_one_direction_stay_unit_vectors_and_opposite_ones_cancel():
    forth, back = ((10, 60), (110, 60)), ((110, 60), (10, 60))
    field, there = limb(forth, forth)
    np.testing.assert_allclose(np.hypot(*field), there, atol=1e-6)
    assert not limb(forth, back)[0].any()
    assert limb(forth, back)[1].any(), "there are limbs all the same"


def test_a_field_reaches_as_far_as_its_width_on_all_sides():
    """A limb along a row of cells: closed on both sides, before its start as after its end."""
    _, there = limb(((40.5, 56.5), (80.5, 56.5)))
    rows, columns = np.flatnonzero(there.any(axis=1)), np.flatnonzero(there.any(axis=0))
    assert rows.tolist() == [6, 7, 8]
    assert columns.tolist() == list(range(4, 12))
    assert there.sum() == 24


@pytest.mark.parametrize("points", [((50, 50), (50, 50)), ((50, 50), (50.0005, 50))])
def test_a_limb_without_length_has_no_field(points):
    field, there = limb(points)
    assert not field.any()
    assert not there.any()


def test_a_limb_needs_both_of_its_ends():
    points = np.array([[(20, 20), (60, 60)]], np.float32)
    for known in ([True, False], [False, True], [False, False]):
        field, there = encode_pafs(points, np.array([known]), np.array([[0, 1]]), GRIDS[0], CELLS, WIDTH_PX)
        assert not field.any()
        assert not there.any()


def test_no_people_and_limbs_far_outside_give_zero_pafs():
    for people in ([], [((-500, -500), (-300, -400))], [((1e6, 5), (1e6 + 9, 50))]):
        field, there = limb(*people)
        assert field.shape == (2, *CELLS)
        assert not field.any()
        assert not there.any()


# Reading.


def read(field, starts, ends, *, grid: Grid = GRIDS[0], samples: int = 10, min_count: float = 0.05, share: float = 0.8):
    """Integrals (A, B) of one limb's field (2, h, w) from every start to every end."""
    starts, ends = (np.array(points, np.float32).reshape(-1, 2) for points in (starts, ends))
    first, last = (number.reshape(-1) for number in np.indices((len(starts), len(ends))))
    limb = np.zeros(len(first), np.intp)
    mean = line_integrals(field[None], limb, starts[first], ends[last], grid, samples, min_count, share)
    assert mean.dtype == np.float32
    return mean.reshape(len(starts), len(ends))


def by_loop(field, starts, ends, grid, samples, min_count):
    """Line integrals and shares one place after another, in plain Python; NaN where rounding decides."""
    rows, columns = field.shape[1:]

    def at(u: float, v: float) -> np.ndarray:
        u, v, value = min(max(u, 0), columns - 1), min(max(v, 0), rows - 1), np.zeros(2)
        for r in {int(v), min(int(v) + 1, rows - 1)}:
            for c in {int(u), min(int(u) + 1, columns - 1)}:
                value += max(1 - abs(u - c), 0) * max(1 - abs(v - r), 0) * field[:, r, c]
        return value

    mean, share = np.zeros((len(starts), len(ends))), np.zeros((len(starts), len(ends)))
    for i, a in enumerate(starts.astype(np.float64)):
        for j, b in enumerate(ends.astype(np.float64)):
            kept, close = [], False
            for step in range(samples):
                u, v = (a + (b - a) * step / (samples - 1) - grid.origin) / grid.stride
                agreement = float(at(u, v) @ (b - a)) / float(np.hypot(*(b - a)))
                close |= abs(agreement - min_count) < 1e-4
                if agreement > min_count:
                    kept.append(agreement)
            mean[i, j], share[i, j] = np.mean(kept) if kept else 0, len(kept) / samples
            if close:
                mean[i, j] = share[i, j] = np.nan
    return mean, share


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@given(seed=SEEDS, samples=st.integers(2, 12))
@settings(max_examples=10)
def test_line_integrals_are_those_of_a_plain_loop(grid, seed, samples):
    """Of every pair, whatever share of the way agrees; between cells, and beyond the map its edge."""
    rng = np.random.default_rng(seed)
    field = rng.normal(0, 1, (2, *CELLS)).astype(np.float32)
    starts, ends = rng.uniform(3, 110, (2, 4, 2)).astype(np.float32)
    mean = read(field, starts, ends, grid=grid, samples=samples, share=-1)
    expected, _ = by_loop(field, starts, ends, grid, samples, 0.05)
    clear = np.isfinite(expected)
    np.testing.assert_allclose(mean[clear], expected[clear], atol=2e-3)
    assert clear.any()


@given(seed=SEEDS, share=st.sampled_from([0.0, 0.3, 0.5, 0.8, 0.95]))
@settings(max_examples=10)
def test_line_integrals_need_the_minimum_inlier_fraction(seed, share):
    rng = np.random.default_rng(seed)
    field = np.repeat(np.repeat(rng.normal(0.3, 1, (2, 4, 5)), 4, axis=1), 4, axis=2)[:, : CELLS[0], : CELLS[1]]
    field = field.astype(np.float32)
    starts, ends = rng.uniform(3, 110, (2, 4, 2)).astype(np.float32)
    mean, (expected, result) = read(field, starts, ends, share=share), by_loop(field, starts, ends, GRIDS[0], 10, 0.05)
    clear = np.isfinite(expected)
    np.testing.assert_array_equal((mean > 0)[clear], (result > share)[clear])
    np.testing.assert_allclose(mean[clear], np.where(result > share, expected, 0)[clear], atol=2e-3)


def test_each_pair_is_read_in_the_field_of_its_limb():
    rng = np.random.default_rng(0)
    pafs, limb = rng.normal(0, 1, (3, 2, *CELLS)).astype(np.float32), np.array([2, 0, 1, 2])
    starts, ends = rng.uniform(3, 100, (2, 4, 2)).astype(np.float32)
    together = line_integrals(pafs, limb, starts, ends, GRIDS[0], 10, 0.05, -1.0)
    alone = [read(pafs[k], a, b, share=-1)[0, 0] for k, a, b in zip(limb, starts, ends, strict=True)]
    np.testing.assert_allclose(together, alone, rtol=1e-5)


@given(x=st.floats(20, 100), y=st.floats(20, 90), angle=st.floats(0, 2 * np.pi), length=st.floats(20, 60))
def test_the_field_of_a_limb_runs_along_it_and_not_back(x, y, angle, length):
    a = np.array([x, y], np.float32)
    b = (a + length * np.array([np.cos(angle), np.sin(angle)])).astype(np.float32)
    grid = Grid(8, -60.0)
    field, _ = limb((a, b), cells=(30, 30), grid=grid)
    assert read(field, a, b, grid=grid, share=0.95) > 0.75
    assert read(field, b, a, grid=grid, share=0.0) == 0


def test_coinciding_points_have_no_integral():
    field, _ = limb(((20, 50), (100, 50)))
    assert read(field, (60, 50), [(60, 50), (60.0005, 50)], share=-1).tolist() == [[0, 0]]


def test_no_pairs_have_no_integrals():
    field, _ = limb(((20, 50), (100, 50)))
    for starts, ends in (([], [(1, 1)]), ([(1, 1)], []), ([], [])):
        assert read(field, starts, ends).size == 0


def test_very_many_pairs_are_read():
    """More than an image of OpenCV's may have rows."""
    field, _ = limb(((20, 50), (100, 50)))
    mean = read(field, [(20, 50)] * 190, [(100, 50)] * 190)
    assert mean[0, 0] > 0.9
    assert (mean == mean[0, 0]).all()


# Limbs of a skeleton.


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda skeleton: skeleton.name)
def test_the_limbs_of_every_skeleton_reach_all_its_joints_once_or_close_rings(skeleton):
    limbs = default_limbs(skeleton)
    closing = redundant_limbs(skeleton, limbs)
    assert len(closing) == len(limbs)
    assert (~closing).sum() == len(skeleton) - 1
    assert len({frozenset(pair) for pair in limbs}) == len(limbs)


def test_published_limbs_are_in_the_published_order():
    assert default_limbs(OPENPOSE18) == OPENPOSE_LIMBS
    assert len(OPENPOSE_LIMBS) == 19
    expected = [(1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13),
              (1, 0), (0, 14), (14, 16), (0, 15), (15, 17), (2, 16), (5, 17)]  # fmt: skip
    assert [tuple(pair) for pair in OPENPOSE18.indices(OPENPOSE_LIMBS).tolist()] == expected
    assert np.flatnonzero(redundant_limbs(OPENPOSE18, OPENPOSE_LIMBS)).tolist() == [17, 18]


def test_limbs_fit_their_skeletons():
    assert default_limbs(COCO17) == COCO_LIMBS
    assert default_limbs(LSP14) == LSP14.tree
    assert not redundant_limbs(LSP14, LSP14.tree).any()


CHAIN = Skeleton("chain", ("a", "b", "c", "d"), (("a", "b"), ("b", "c"), ("c", "d")))


def test_a_limb_closes_when_others_have_joined_its_ends_already():
    order = [("a", "b"), ("c", "d"), ("b", "a"), ("b", "c"), ("a", "d")]
    assert redundant_limbs(CHAIN, order).tolist() == [False, False, True, False, True]
    assert redundant_limbs(CHAIN, order[::-1]).tolist() == [False, False, False, True, True]


@pytest.mark.parametrize("limbs", [[], [("a", "b")], [("a", "b"), ("c", "d")], [("a", "b"), ("b", "c"), ("a", "c")]])
def test_limbs_that_do_not_reach_every_joint_are_refused(limbs):
    with pytest.raises(SkeletonError, match="give limbs that connect them all"):
        redundant_limbs(CHAIN, limbs)


def test_limbs_of_unknown_joints_are_refused():
    with pytest.raises(SkeletonError, match="no joint 'tail'"):
        redundant_limbs(CHAIN, [("a", "tail")])


@pytest.mark.parametrize("skeleton", [COCO17, LSP14, OPENPOSE18], ids=lambda skeleton: skeleton.name)
def test_limb_flip_connects_the_flipped_joints(skeleton):
    limbs = default_limbs(skeleton)
    order, sign = limb_flip(skeleton, limbs)
    ends = skeleton.indices(limbs)
    seen = skeleton.flip_index[ends]
    rotated = np.where(sign[:, None] > 0, ends[order], ends[order][:, ::-1])
    np.testing.assert_array_equal(rotated, seen)
    np.testing.assert_array_equal(order[order], np.arange(len(limbs)))
    np.testing.assert_array_equal(sign[order], sign)


def test_limbs_across_the_body_run_backwards_when_flipped():
    order, sign = limb_flip(COCO17, COCO_LIMBS)
    across = [a.startswith("left") and b.startswith("right") for a, b in COCO_LIMBS]
    np.testing.assert_array_equal(sign < 0, across)
    np.testing.assert_array_equal(order[across], np.flatnonzero(across))
    assert (limb_flip(OPENPOSE18, OPENPOSE_LIMBS)[1] == 1).all()


def test_lopsided_limbs_have_no_flip():
    lopsided = Skeleton("face", ("nose", "left_eye", "right_eye"), (("nose", "left_eye"), ("left_eye", "right_eye")))
    with pytest.raises(SkeletonError, match="not the same on both sides"):
        limb_flip(lopsided, default_limbs(lopsided))
