"""Peaks and limbs to people: connect peaks, then assemble people (Cao et al., CVPR 2017, section 2.4).

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
    """Pairs of peaks connected by a limb, sorted by limb and then by score; a limb uses each peak once at most.

    limb         (C,) index of the limb
    first, last  (C,) indices of the peaks at its ends
    scores       (C,) line integral of the limb's field between them
    """

    limb: Indices
    first: Indices
    last: Indices
    scores: Floats


def connect(peaks: Peaks, pafs: Floats, limb_joints: Indices, grid: Grid, config: PafDecoder) -> Connections:
    """Connect peaks by limbs with fields (L, 2, h, w) between the joints `limb_joints` (L, 2).

    A pair's score is the line integral, with a penalty for pairs longer than half the height of the map. Pairs whose
    field is aligned on enough of the samples are matched greedily, highest score first (section 2.4: about as good as
    the optimal matching).
    """
    limb, first, last = _pairs(peaks, limb_joints)
    p, q = peaks.points[first], peaks.points[last]
    mean = line_integrals(pafs, limb, p, q, grid, config.samples, config.min_alignment, config.min_inlier_fraction)
    prior_px = pafs.shape[2] * grid.stride / 2
    scores = mean + np.minimum(prior_px / np.maximum(np.hypot(*(q - p).T), 1e-6) - 1, 0).astype(np.float32)
    positive = np.flatnonzero(scores > 0)
    limb, first, last, scores = limb[positive], first[positive], last[positive], scores[positive]
    order = np.lexsort((last, first, -scores, limb))
    return _greedy(limb[order], first[order], last[order], scores[order], len(peaks))


def _pairs(peaks: Peaks, limb_joints: Indices) -> tuple[Indices, Indices, Indices]:
    """All pairs of peaks that a limb may connect: the indices of the limb and of both peaks."""
    rows = [np.flatnonzero(peaks.joint == joint) for joint in range(int(limb_joints.max(initial=-1)) + 1)]
    none = np.zeros(0, np.intp)
    first = [none, *(np.repeat(rows[a], len(rows[b])) for a, b in limb_joints)]
    last = [none, *(np.tile(rows[b], len(rows[a])) for a, b in limb_joints)]
    limb = np.repeat(np.arange(len(limb_joints)), [len(pairs) for pairs in first[1:]])
    return limb, np.concatenate(first), np.concatenate(last)


def _greedy(limb: Indices, first: Indices, last: Indices, scores: Floats, peaks: int) -> Connections:
    """Greedy matching of pairs sorted by limb and score.

    A pair that comes before all others with one of its peaks is selected whatever happens to the rest. So each round
    selects all such pairs at once and removes those that share a peak with them.
    """
    first_key, last_key = limb * peaks + first, limb * peaks + last
    remaining, selected = np.arange(len(limb)), []
    while len(remaining):
        leads = np.zeros(len(remaining), np.intp)
        for key in (first_key[remaining], last_key[remaining]):
            leads[np.unique(key, return_index=True)[1]] += 1
        best = remaining[leads == 2]
        selected.append(best)
        used = np.isin(first_key[remaining], first_key[best]) | np.isin(last_key[remaining], last_key[best])
        remaining = remaining[~used]
    rows = np.sort(np.concatenate(selected)) if selected else np.zeros(0, np.intp)
    return Connections(limb[rows], first[rows], last[rows], scores[rows])


@dataclass(slots=True)
class _Partial:
    """A partly assembled person: the peak of each joint, and the sum of the scores of peaks and connections."""

    peaks: dict[int, int]
    score: float


class _Assembly:
    """People while they are assembled, and the owner of each peak."""

    def __init__(self, peaks: Peaks) -> None:
        self.joint, self.peak_score = peaks.joint.tolist(), peaks.scores.tolist()
        self.owner: list[_Partial | None] = [None] * len(peaks)

    def start_person(self, first: int, last: int, score: float) -> None:
        """Start a person from two peaks without an owner."""
        person = _Partial({}, score)
        self.add_peak(person, first)
        self.add_peak(person, last)

    def add_peak(self, person: _Partial, peak: int) -> None:
        """Add a peak and its score to a person."""
        person.peaks[self.joint[peak]] = peak
        person.score += self.peak_score[peak]
        self.owner[peak] = person

    def fill_missing(self, first: int, last: int) -> None:
        """Use a redundant limb only to add a missing joint to a person; scores stay."""
        for end, other in ((first, last), (last, first)):
            person = self.owner[end]
            if person is not None and self.owner[other] is None and self.joint[other] not in person.peaks:
                person.peaks[self.joint[other]] = other
                self.owner[other] = person

    def connect(self, first: int, last: int, score: float) -> None:
        """Add a connection between two peaks of which at least one has an owner."""
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
        """Merge two connected people if they have no joint in common; else the higher score keeps the last peak."""
        if not p.peaks.keys() & q.peaks.keys():
            p.score += q.score + score
            p.peaks.update(q.peaks)
            for peak in q.peaks.values():
                self.owner[peak] = p
        elif self.joint[last] not in p.peaks and p.score > q.score:
            del q.peaks[self.joint[last]]
            q.score -= self.peak_score[last]
            self.add_peak(p, last)
            p.score += score

    def people(self) -> list[_Partial]:
        """All people, in the order of their first peaks."""
        return list({id(person): person for person in self.owner if person is not None}.values())


def assemble(
    peaks: Peaks, connections: Connections, redundant: NDArray[np.bool_]
) -> list[tuple[dict[int, int], float]]:
    """People as joint -> peak, each with the sum of the scores of their peaks and connections.

    redundant  (L,) limbs that only add missing joints to people: they start no person and merge none

    A peak without a connection is a person with one joint.
    """
    assembly, fill_only = _Assembly(peaks), redundant.tolist()
    columns = (connections.limb, connections.first, connections.last, connections.scores)
    for limb, first, last, score in zip(*(column.tolist() for column in columns), strict=True):
        if fill_only[limb]:
            assembly.fill_missing(first, last)
        elif assembly.owner[first] is None and assembly.owner[last] is None:
            assembly.start_person(first, last, score)
        else:
            assembly.connect(first, last, score)
    for peak, owner in enumerate(assembly.owner):
        if owner is None:
            assembly.add_peak(_Partial({}, 0.0), peak)
    return [(person.peaks, person.score) for person in assembly.people()]
