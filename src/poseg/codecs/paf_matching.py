"""People are put together from peaks and limbs: connect, then assemble (Cao et al., CVPR 2017, section 2.4).

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
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Connections:
    """Pairs of peaks that a limb joins, limb after limb and surest first in each; no peak is in two of one limb.

    limb        (C,) number of the limb
    first, last (C,) numbers of the peaks at its ends
    scores      (C,) how well the limb's field runs from one to the other
    """

    limb: Places
    first: Places
    last: Places
    scores: Floats


def connect(peaks: Peaks, pafs: Floats, ends: Places, grid: Grid, config: PafDecoder) -> Connections:
    """Join peaks by limbs with fields (L, 2, h, w) between joints `ends` (L, 2).

    A pair's score is the line integral, less what it is longer than half the map is high. Of the pairs whose field
    agrees on enough of the way, the surest is taken first, and its ends are taken for good (greedy matching: section
    2.4 found it as good as the best one).
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


def _pairs(peaks: Peaks, ends: Places) -> tuple[Places, Places, Places]:
    """All pairs of peaks that a limb may join: its number, and those of the peaks at its ends."""
    rows = [np.flatnonzero(peaks.joint == joint) for joint in range(int(ends.max(initial=-1)) + 1)]
    none = np.zeros(0, np.intp)
    first = [none, *(np.repeat(rows[a], len(rows[b])) for a, b in ends)]
    last = [none, *(np.tile(rows[b], len(rows[a])) for a, b in ends)]
    limb = np.repeat(np.arange(len(ends)), [len(pairs) for pairs in first[1:]])
    return limb, np.concatenate(first), np.concatenate(last)


def _greedy(limb: Places, first: Places, last: Places, scores: Floats, peaks: int) -> Connections:
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
class _Person:
    """Somebody in the making: the peak of each joint found, the sum of the scores of peaks and connections."""

    peaks: dict[int, int]
    score: float


class _Crowd:
    """People in the making, and whose each peak is."""

    def __init__(self, peaks: Peaks) -> None:
        self.joint, self.height = peaks.joint.tolist(), peaks.scores.tolist()
        self.owner: list[_Person | None] = [None] * len(peaks)

    def open(self, first: int, last: int, score: float) -> None:
        """Two peaks that belong to nobody are somebody new."""
        person = _Person({}, score)
        self.give(person, first)
        self.give(person, last)

    def give(self, person: _Person, peak: int) -> None:
        """A peak becomes a person's, and adds its height."""
        person.peaks[self.joint[peak]] = peak
        person.score += self.height[peak]
        self.owner[peak] = person

    def complete(self, first: int, last: int) -> None:
        """A limb that closes a ring fills a joint that its owner lacks; it opens nobody and says nothing more."""
        for end, other in ((first, last), (last, first)):
            person = self.owner[end]
            if person is not None and self.owner[other] is None and self.joint[other] not in person.peaks:
                person.peaks[self.joint[other]] = other
                self.owner[other] = person

    def join(self, first: int, last: int, score: float) -> None:
        """A connection between peaks of whom one at least is somebody's."""
        p, q = self.owner[first], self.owner[last]
        if p is not None and q is not None:
            if p is not q:
                self.settle(p, q, last, score)
            return
        person, free = (p, last) if p is not None else (q, first)
        assert person is not None
        if self.joint[free] not in person.peaks:
            self.give(person, free)
            person.score += score

    def settle(self, p: _Person, q: _Person, last: int, score: float) -> None:
        """Two people claim one limb: they are one where no joint is there twice; else the surer keeps its end."""
        if not p.peaks.keys() & q.peaks.keys():
            p.score += q.score + score
            p.peaks.update(q.peaks)
            for peak in q.peaks.values():
                self.owner[peak] = p
        elif self.joint[last] not in p.peaks and p.score > q.score:
            del q.peaks[self.joint[last]]
            q.score -= self.height[last]
            self.give(p, last)
            p.score += score

    def people(self) -> list[_Person]:
        """Everybody, in the order in which their first peaks come."""
        return list({id(person): person for person in self.owner if person is not None}.values())


def assemble(peaks: Peaks, connections: Connections, filling: NDArray[np.bool_]) -> list[tuple[dict[int, int], float]]:
    """People as joint -> peak, each with the sum of the scores of its peaks and connections.

    A peak that nothing joins to another is somebody with one joint.
    Connections come limb after limb. `filling` (L,) are limbs that open nobody and join nobody, and only fill
    joints that somebody lacks.
    """
    crowd, only_fill = _Crowd(peaks), filling.tolist()
    columns = (connections.limb, connections.first, connections.last, connections.scores)
    for limb, first, last, score in zip(*(column.tolist() for column in columns), strict=True):
        if only_fill[limb]:
            crowd.complete(first, last)
        elif crowd.owner[first] is None and crowd.owner[last] is None:
            crowd.open(first, last, score)
        else:
            crowd.join(first, last, score)
    for peak, owner in enumerate(crowd.owner):
        if owner is None:
            crowd.give(_Person({}, 0.0), peak)
    return [(person.peaks, person.score) for person in crowd.people()]
