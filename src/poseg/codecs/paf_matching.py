"""People are assembled from peaks and limbs: connect, then assemble (Cao et al., CVPR 2017, section 2.4).

Letters: M peaks, L limbs, C connections, N people, K joints.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.decoder_config import PafDecoder
from poseg.fields.heatmap import Peaks
from poseg.fields.paf import line_integrals
from poseg.geometry.grid import Grid

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Connections:
    """Pairs of peaks that a limb connects, by limb, then highest score first; no peak is in two of one limb.

    limb        (C,) index of the limb
    first, last (C,) indices of the peaks at its ends
    scores      (C,) how well the limb's field points from one to the other
    """

    limb: Indices
    first: Indices
    last: Indices
    scores: Floats


def connect(peaks: Peaks, pafs: Floats, ends: Indices, grid: Grid, config: PafDecoder) -> Connections:
    """Connect peaks by limbs with fields (L, 2, h, w) between joints `ends` (L, 2).

    A pair's score is the line integral, with a penalty for pairs longer than half the height of the map. Of the pairs
    whose field agrees on enough of the way, the one with the highest score is taken first, and its ends are taken for
    good (greedy matching: in section 2.4 it is as good as the optimal one).
    """
    limb, first, last = _pairs(peaks, ends)
    p, q = peaks.points[first], peaks.points[last]
    mean = line_integrals(pafs, limb, p, q, grid, config.samples, config.min_alignment, config.min_inlier_fraction)
    prior_px = pafs.shape[2] * grid.stride / 2
    scores = mean + np.minimum(prior_px / np.maximum(np.hypot(*(q - p).T), 1e-6) - 1, 0).astype(np.float32)
    agreed = np.flatnonzero(scores > 0)
    limb, first, last, scores = limb[agreed], first[agreed], last[agreed], scores[agreed]
    order = np.lexsort((last, first, -scores, limb))
    return _greedy(limb[order], first[order], last[order], scores[order], len(peaks))


def _pairs(peaks: Peaks, ends: Indices) -> tuple[Indices, Indices, Indices]:
    """All pairs of peaks that a limb may connect: its index, and those of the peaks at its ends."""
    rows = [np.flatnonzero(peaks.joint == joint) for joint in range(int(ends.max(initial=-1)) + 1)]
    none = np.zeros(0, np.intp)
    first = [none, *(np.repeat(rows[a], len(rows[b])) for a, b in ends)]
    last = [none, *(np.tile(rows[b], len(rows[a])) for a, b in ends)]
    limb = np.repeat(np.arange(len(ends)), [len(pairs) for pairs in first[1:]])
    return limb, np.concatenate(first), np.concatenate(last)


def _greedy(limb: Indices, first: Indices, last: Indices, scores: Floats, peaks: int) -> Connections:
    """The pairs that greedy matching takes, of pairs sorted by limb and score.

    A pair that comes first among those that share one of its ends will be taken whatever happens to the others, so
    all such pairs are taken at once, and round after round what they leave.
    """
    one, other = limb * peaks + first, limb * peaks + last
    left, taken = np.arange(len(limb)), []
    while len(left):
        lead = np.zeros(len(left), np.intp)
        for key in (one[left], other[left]):
            lead[np.unique(key, return_index=True)[1]] += 1
        now = left[lead == 2]
        taken.append(now)
        left = left[~(np.isin(one[left], one[now]) | np.isin(other[left], other[now]))]
    every = np.sort(np.concatenate(taken)) if taken else np.zeros(0, np.intp)
    return Connections(limb[every], first[every], last[every], scores[every])


@dataclass(slots=True)
class _Partial:
    """A partial person: the peak of each detected joint, and the sum of the scores of peaks and connections."""

    peaks: dict[int, int]
    score: float


class _Assembly:
    """Partial people, and the owner of each peak."""

    def __init__(self, peaks: Peaks) -> None:
        self.joint, self.height = peaks.joint.tolist(), peaks.scores.tolist()
        self.owner: list[_Partial | None] = [None] * len(peaks)

    def start_person(self, first: int, last: int, score: float) -> None:
        """Two peaks without an owner become a new person."""
        person = _Partial({}, score)
        self.add_peak(person, first)
        self.add_peak(person, last)

    def add_peak(self, person: _Partial, peak: int) -> None:
        """A peak becomes a person's, and adds its score."""
        person.peaks[self.joint[peak]] = peak
        person.score += self.height[peak]
        self.owner[peak] = person

    def fill_missing(self, first: int, last: int) -> None:
        """A redundant limb only fills a joint that a person lacks; no new person, no score."""
        for end, other in ((first, last), (last, first)):
            person = self.owner[end]
            if person is not None and self.owner[other] is None and self.joint[other] not in person.peaks:
                person.peaks[self.joint[other]] = other
                self.owner[other] = person

    def connect(self, first: int, last: int, score: float) -> None:
        """A connection between peaks of which one at least has an owner."""
        p, q = self.owner[first], self.owner[last]
        if p is not None and q is not None:
            if p is not q:
                self.merge(p, q, last, score)
            return
        person, free = (p, last) if p is not None else (q, first)
        assert person is not None
        if self.joint[free] not in person.peaks:
            self.add_peak(person, free)
            person.score += score

    def merge(self, p: _Partial, q: _Partial, last: int, score: float) -> None:
        """A limb connects two people: they are one if they share no joint; else the higher score keeps its end."""
        if not p.peaks.keys() & q.peaks.keys():
            p.score += q.score + score
            p.peaks.update(q.peaks)
            for peak in q.peaks.values():
                self.owner[peak] = p
        elif self.joint[last] not in p.peaks and p.score > q.score:
            del q.peaks[self.joint[last]]
            q.score -= self.height[last]
            self.add_peak(p, last)
            p.score += score

    def people(self) -> list[_Partial]:
        """All people, in the order of their first peaks."""
        return list({id(person): person for person in self.owner if person is not None}.values())


def assemble(
    peaks: Peaks, connections: Connections, only_fill: NDArray[np.bool_]
) -> list[tuple[dict[int, int], float]]:
    """People as joint -> peak, each with the sum of the scores of its peaks and connections.

    A peak without a connection is a person with one joint. Connections are sorted by limb. Limbs of `only_fill` (L,)
    start no people and merge none; they only fill joints that a person lacks.
    """
    assembly = _Assembly(peaks)
    columns = (connections.limb, connections.first, connections.last, connections.scores)
    for limb, first, last, score in zip(*(column.tolist() for column in columns), strict=True):
        if only_fill[limb]:
            assembly.fill_missing(first, last)
        elif assembly.owner[first] is None and assembly.owner[last] is None:
            assembly.start_person(first, last, score)
        else:
            assembly.connect(first, last, score)
    for peak, owner in enumerate(assembly.owner):
        if owner is None:
            assembly.add_peak(_Partial({}, 0.0), peak)
    return [(person.peaks, person.score) for person in assembly.people()]
