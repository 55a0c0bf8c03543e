"""Peaks become people: the pairs that greedy matching takes, and the rules of assembly one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseg.codecs.decoder_config import PAF_DEFAULT, PafDecoder
from poseg.codecs.paf_matching import Connections, _greedy, assemble, connect
from poseg.errors import PosegError
from poseg.fields.heatmap import Peaks
from poseg.fields.paf import encode_pafs, line_integrals
from poseg.geometry.grid import Grid

GRID, CELLS = Grid(8), (30, 30)


def peaks_of(*joints: tuple[int, float, float], scores=None) -> Peaks:
    """Peaks (joint, x, y), joint by joint."""
    given = np.array(joints, np.float64).reshape(-1, 3)
    heights = np.ones(len(given)) if scores is None else np.array(scores)
    return Peaks(given[:, 0].astype(np.intp), given[:, 1:].astype(np.float32), heights.astype(np.float32))


def connections(*rows: tuple[int, int, int, float]) -> Connections:
    """(limb, first, last, score)."""
    limb, first, last, score = zip(*rows, strict=True)
    return Connections(*(np.array(column, np.intp) for column in (limb, first, last)), np.array(score, np.float32))


# Matching.


def greedy_by_loop(pairs: list[tuple[int, int, int, float]]) -> list[tuple[int, int, int, float]]:
    """Limb by limb the pair with the highest score first; a pair is taken if neither of its ends is."""
    taken, used = [], set()
    for limb, first, last, score in sorted(pairs, key=lambda pair: (pair[0], -pair[3], pair[1], pair[2])):
        if (limb, "first", first) not in used and (limb, "last", last) not in used:
            used |= {(limb, "first", first), (limb, "last", last)}
            taken.append((limb, first, last, score))
    return taken


PAIRS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 6), st.integers(7, 12), st.sampled_from([0.125, 0.25, 0.5, 0.75, 1.0])),
    min_size=1, max_size=60, unique_by=lambda pair: pair[:3],
)  # fmt: skip


@given(PAIRS)
def test_greedy_matching_is_that_of_a_plain_loop_with_ties(pairs):
    ordered = sorted(pairs, key=lambda pair: (pair[0], -pair[3], pair[1], pair[2]))
    every = connections(*ordered)
    found = _greedy(every.limb, every.first, every.last, every.scores, 13)
    columns = (found.limb, found.first, found.last, found.scores)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == greedy_by_loop(pairs)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=10)
def test_connect_joins_peaks_as_a_plain_loop_does(seed):
    """Random peaks and a random field: pair by pair, with the `line_integrals` of each alone."""
    rng = np.random.default_rng(seed)
    joint = np.sort(rng.integers(0, 3, 14))
    peaks = Peaks(joint, rng.uniform(10, 230, (14, 2)).astype(np.float32), np.ones(14, np.float32))
    coarse = rng.normal(0, 1, (2, 2, 3, 3)).repeat(10, axis=2).repeat(10, axis=3)
    pafs, ends = coarse.astype(np.float32), np.array([[0, 1], [1, 2]])
    config = replace(PAF_DEFAULT, min_inlier_fraction=0.3)
    prior_px, pairs = CELLS[0] * GRID.stride / 2, []
    for limb, (a, b) in enumerate(ends):
        for i in np.flatnonzero(joint == a):
            for j in np.flatnonzero(joint == b):
                p, q = peaks.points[[i]], peaks.points[[j]]
                mean = line_integrals(pafs, np.array([limb]), p, q, GRID, 10, 0.05, 0.3)[0]
                score = mean + min(prior_px / np.hypot(*(q - p)[0]) - 1, 0)
                if mean > 0 and score > 0:
                    pairs.append((limb, int(i), int(j), float(score)))
    found, expected = connect(peaks, pafs, ends, GRID, config), greedy_by_loop(pairs)
    assert found.limb.tolist() == [pair[0] for pair in expected]
    assert found.first.tolist() == [pair[1] for pair in expected]
    assert found.last.tolist() == [pair[2] for pair in expected]
    np.testing.assert_allclose(found.scores, [pair[3] for pair in expected], atol=1e-4)


def paf_of(*people, width_px: float = 8.0) -> np.ndarray:
    """The field of the only limb of people ((x, y), (x, y)): (1, 2, h, w)."""
    points = np.array(people, np.float32).reshape(-1, 2, 2)
    return encode_pafs(points, np.ones(points.shape[:2], bool), np.array([[0, 1]]), GRID, CELLS, width_px)[0]


ONE_LIMB = np.array([[0, 1]])


def test_connect_keeps_crossing_limbs_apart():
    """Where they cross the field is the mean of both, and no less than half of it points along each."""
    people = [((40, 40), (160, 160)), ((160, 40), (40, 160))]
    peaks = peaks_of((0, 40, 40), (0, 160, 40), (1, 40, 160), (1, 160, 160))
    found = connect(peaks, paf_of(*people), ONE_LIMB, GRID, PAF_DEFAULT)
    assert sorted(zip(found.first.tolist(), found.last.tolist(), strict=True)) == [(0, 3), (1, 2)]


def test_connect_scores_a_limb_lower_that_is_long_for_the_map():
    short, long = ((40, 40), (100, 40)), ((10, 100), (230, 100))
    peaks = peaks_of((0, 40, 40), (0, 10, 100), (1, 100, 40), (1, 230, 100))
    found = connect(peaks, paf_of(short, long), ONE_LIMB, GRID, PAF_DEFAULT)
    assert found.first.tolist() == [0, 1]
    height_px = CELLS[0] * GRID.stride
    np.testing.assert_allclose(found.scores, [1, height_px / 2 / 220], atol=0.01)


def test_connect_rejects_a_field_that_runs_the_other_way_or_half_the_way():
    peaks = peaks_of((0, 40, 40), (1, 200, 40))
    assert len(connect(peaks, paf_of(((40, 40), (200, 40))), ONE_LIMB, GRID, PAF_DEFAULT).limb) == 1
    for field in (paf_of(((200, 40), (40, 40))), paf_of(((40, 40), (120, 40))), paf_of()):
        assert len(connect(peaks, field, ONE_LIMB, GRID, PAF_DEFAULT).limb) == 0


@pytest.mark.parametrize("joints", [[], [(0, 40, 40)], [(1, 40, 40), (1, 90, 40)], [(0, 40, 40), (1, 40, 40)]])
def test_connect_takes_peaks_without_partner_or_distance(joints):
    found = connect(peaks_of(*joints), paf_of(((40, 40), (90, 40))), ONE_LIMB, GRID, PAF_DEFAULT)
    assert len(found.limb) == len(found.first) == len(found.last) == len(found.scores) == 0


def test_connect_takes_no_limbs():
    found = connect(
        peaks_of((0, 9, 9)), np.zeros((0, 2, *CELLS), np.float32), np.zeros((0, 2), np.intp), GRID, PAF_DEFAULT
    )
    assert len(found.limb) == 0


# Assembly. Joints 0, 1, 2, 3 in a chain of limbs 0-1, 1-2, 2-3, and a fourth limb from 0 to 2.

JOIN, FILL = np.zeros(4, bool), np.array([False, False, False, True])
OPEN_JOINTS = ((0, 0, 0), (0, 0, 0), (1, 0, 0), (1, 0, 0), (2, 0, 0), (2, 0, 0), (3, 0, 0), (3, 0, 0))


def people_of(*rows, filling: np.ndarray = JOIN, heights=(1, 1, 1, 1, 1, 1, 1, 1)) -> list[tuple[dict, float]]:
    """All people of two joints or more; peaks 2 j and 2 j + 1 are of joint j."""
    people = assemble(peaks_of(*OPEN_JOINTS, scores=heights), connections(*rows), filling)
    assert sorted(peak for found, _ in people for peak in found.values()) == list(range(8)), "each peak once"
    return [(found, score) for found, score in people if len(found) > 1]


def test_assemble_makes_one_person_of_a_chain_with_the_sum_of_the_scores():
    heights = (0.5, 1, 0.25, 1, 0.75, 1, 1, 1)
    (found, score), *others = people_of((0, 0, 2, 0.9), (1, 2, 4, 0.8), (2, 4, 6, 0.7), heights=heights)
    assert not others
    assert found == {0: 0, 1: 2, 2: 4, 3: 6}
    assert score == pytest.approx(0.5 + 0.25 + 0.75 + 1 + 0.9 + 0.8 + 0.7)


def test_assemble_makes_two_people_of_two_chains():
    crowd = people_of((0, 0, 3, 0.9), (0, 1, 2, 0.8), (1, 2, 5, 0.7), (1, 3, 4, 0.6))
    assert [found for found, _ in crowd] == [{0: 0, 1: 3, 2: 4}, {0: 1, 1: 2, 2: 5}]


def test_assemble_joins_people_without_a_common_joint_by_a_limb():
    (found, score), *others = people_of((0, 0, 2, 0.9), (2, 4, 6, 0.8), (3, 0, 4, 0.5))
    assert not others
    assert found == {0: 0, 1: 2, 2: 4, 3: 6}
    assert score == pytest.approx(4 + 0.9 + 0.8 + 0.5)


def test_assemble_gives_a_limb_between_people_with_a_common_joint_to_the_higher_score():
    rows = [(0, 0, 2, 0.9), (0, 1, 3, 0.3), (1, 3, 5, 0.3), (3, 0, 5, 0.5)]
    higher = people_of(*rows, heights=(1, 0.2, 1, 0.2, 1, 0.2, 1, 1))
    assert [found for found, _ in higher] == [{0: 0, 1: 2, 2: 5}, {0: 1, 1: 3}]
    assert [score for _, score in higher] == pytest.approx([1 + 1 + 0.9 + 0.2 + 0.5, 0.2 + 0.2 + 0.3 + 0.3])
    lower = people_of(*rows, heights=(0.1, 1, 0.1, 1, 1, 1, 1, 1))
    assert [found for found, _ in lower] == [{0: 0, 1: 2}, {0: 1, 1: 3, 2: 5}]


def test_filling_limbs_start_and_join_no_people():
    assert people_of((3, 0, 4, 0.5), filling=FILL) == []
    crowd = people_of((0, 0, 2, 0.9), (2, 4, 6, 0.8), (3, 0, 4, 0.5), filling=FILL)
    assert [found for found, _ in crowd] == [{0: 0, 1: 2}, {2: 4, 3: 6}]


def test_filling_limbs_add_a_missing_joint_and_no_score():
    for rows in ([(0, 0, 2, 0.9), (3, 0, 4, 0.5)], [(1, 2, 4, 0.9), (3, 0, 4, 0.5)]):
        (found, score), *others = people_of(*rows, filling=FILL)
        assert not others
        assert found == {0: 0, 1: 2, 2: 4}
        assert score == pytest.approx(2 + 0.9)


def test_assemble_keeps_a_joint_that_a_person_has():
    for filling in (JOIN, FILL):
        (found, _), *_ = people_of((0, 0, 2, 0.9), (1, 2, 4, 0.8), (3, 0, 5, 0.5), filling=filling)
        assert found == {0: 0, 1: 2, 2: 4}


def test_assemble_makes_a_person_of_a_single_peak():
    none = np.zeros(0, np.intp)
    empty = Connections(none, none, none, np.zeros(0, np.float32))
    assert assemble(peaks_of((0, 1, 1), (2, 5, 5), scores=(0.5, 0.75)), empty, JOIN) == [
        ({0: 0}, 0.5),
        ({2: 1}, 0.75),
    ]
    assert assemble(peaks_of(), empty, JOIN) == []


@given(rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1), st.integers(0, 1), st.floats(0.1, 1)), max_size=9))
def test_assemble_uses_each_peak_once_and_adds_scores_up(rows):
    """Greedy matching leaves no more than two connections of a limb."""
    ends = [(0, 1), (1, 2), (2, 3), (0, 2)]
    pairs = [(limb, 2 * ends[limb][0] + i, 2 * ends[limb][1] + j, score) for limb, i, j, score in rows]
    taken = greedy_by_loop(list({pair[:3]: pair for pair in pairs}.values()))
    if taken:
        for filling in (JOIN, FILL):
            for found, score in people_of(*taken, filling=filling):
                assert 0 < score <= len(found) + len(taken) + 1e-6
                assert all(peak // 2 == joint for joint, peak in found.items())


@pytest.mark.parametrize("wrong", [{"samples": 1}, {"redundant_limbs": "open"}, {"instance_score": "best"}])
def test_decoder_rejects_settings_out_of_range(wrong):
    with pytest.raises(PosegError, match=next(iter(wrong))):
        PafDecoder(**wrong)
