"""Steady people without lag, for clips that are over: every frame knows what comes after it.

Short gaps in a track are filled, each joint's path is replaced by that of local parabolas (Savitzky and Golay 1964),
tracks of a few frames are dropped as ghosts, and each mask becomes what it, the one before and the one after agree on
along the edge. Turning time round turns the result round and changes nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from poseg.errors import VideoError
from poseg.geometry.masks import Masks
from poseg.people import People
from poseg.runtime.body_scale import body_scales
from poseg.runtime.clip import Timed, TimedPeople, without_masks
from poseg.runtime.steady_masks import Mask, majority, moved_mask
from poseg.runtime.tracker import motions
from poseg.runtime.tracks_of_clip import Stretch, smoothed, stretches_of

VOTERS = 2  # frames before, and as many after, that have a say about a mask's edge
_KEPT = 8  # frames around the present one whose masks stay unpacked
_ROUNDING = 1e-6  # of time stamps, in seconds, and of shares

Floats = NDArray[np.float32]
Moved = tuple[Mask, Floats]


@dataclass(frozen=True, slots=True)
class TwoPass:
    """Choices of the two-pass mode.

    gap_s    gaps up to this many seconds are filled, in tracks and in single joints
    window   frames that a parabola is laid through, odd; 7 to 11 at 25 frames a second
    order    degree of the polynomial
    fewest   tracks seen in fewer frames are dropped, unless the clip is that short
    """

    gap_s: float = 0.3
    window: int = 9
    order: int = 2
    fewest: int = 3

    def __post_init__(self) -> None:
        if self.window % 2 == 0 or self.window <= self.order:
            raise VideoError(
                f"The window has {self.window} frames; an odd number above the order of {self.order} is wanted."
            )


class SteadyClip:
    """A clip after two passes: as many frames as before, `steady[3]` gives time and people. Made by `two_pass`.

    Masks are made when a frame is asked for, so a long clip needs little memory. In each frame people are in the order
    of their ids.
    """

    def __init__(self, clip: Timed, choices: TwoPass) -> None:
        self._clip = clip
        given = without_masks(clip)
        self._given_ids = [_ids(people) for _, people in given]
        self.poses = _steady_poses(given, self._given_ids, choices)
        self._unpacked: dict[int, People] = {}
        self._gap_s = choices.gap_s + _ROUNDING

    def __len__(self) -> int:
        return len(self.poses)

    def __iter__(self) -> Iterator[TimedPeople]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> TimedPeople:
        """Time and people of a frame, with masks where the clip has any in or around it."""
        index = range(len(self))[index]
        time_s, people = self.poses[index]
        masks = [self._mask(index, row, person) for row, person in enumerate(_ids(people).tolist())]
        sizes = [mask.shape for mask in masks if mask is not None]
        if not sizes:
            return time_s, people
        unknown = np.zeros(sizes[0], np.bool_)
        return time_s, replace(
            people, masks=Masks.from_full(np.stack([unknown if mask is None else mask for mask in masks]))
        )

    def _mask(self, index: int, row: int, person: int) -> Mask | None:
        """The mask of a person in a frame; in a gap that of the neighbours in time, moved; None where unknown."""
        present = self._given_mask(index, person)
        if present is None:
            return self._between(index, row, person)
        size = present.shape
        others: list[Moved] = []
        for step in range(1, VOTERS + 1):
            pair = [self._other(index, row, person, at) for at in (index - step, index + step)]
            if any(other is None or other[0].shape != size for other in pair):
                break  # as many before as after
            others += [other for other in pair if other is not None]
        return majority(present, others, float(body_scales(self.poses[index][1][[row]])[0]))

    def _between(self, index: int, row: int, person: int) -> Mask | None:
        """The mask in a gap: the nearest before and after, moved to here, each counting by how near it is."""
        sides = [self._nearest(index, row, person, step) for step in (-1, 1)]
        if sides[0] is None or sides[1] is None or sides[0][0].shape != sides[1][0].shape:
            return None
        (before, since_s), (after, until_s) = sides[0], sides[1]
        share = until_s / (since_s + until_s)
        return np.asarray(share * before + (1 - share) * after >= 0.5 - _ROUNDING)

    def _nearest(self, index: int, row: int, person: int, step: int) -> tuple[Mask, float] | None:
        """The nearest mask of a person in one direction of time, moved to here, and how many seconds away it is."""
        time_s, at = self.poses[index][0], index + step
        while 0 <= at < len(self) and abs(self.poses[at][0] - time_s) <= self._gap_s:
            found = self._other(index, row, person, at)
            if found is not None:
                return moved_mask(*found), abs(self.poses[at][0] - time_s)
            at += step
        return None

    def _other(self, index: int, row: int, person: int, at: int) -> Moved | None:
        """The mask of a person in another frame, and the shift from there to here; None where there is none."""
        mask = self._given_mask(at, person) if 0 <= at < len(self) else None
        if mask is None:
            return None
        there = self.poses[at][1]
        return mask, motions(there[_ids(there) == person], self.poses[index][1][[row]])[0]

    def _given_mask(self, index: int, person: int) -> Mask | None:
        """The mask as it was found, or None."""
        rows = np.flatnonzero(self._given_ids[index] == person)
        if not len(rows):
            return None
        if index not in self._unpacked:
            self._unpacked = {key: value for key, value in self._unpacked.items() if abs(key - index) <= _KEPT}
            self._unpacked[index] = self._clip[index][1]
        masks = self._unpacked[index].masks
        if masks is None or not masks.nonempty[rows[0]]:
            return None
        return masks.full(int(rows[0]))


def two_pass(clip: Timed, choices: TwoPass | None = None) -> SteadyClip:
    """The people of a clip with gaps filled, paths smoothed without lag, ghosts dropped and edges steadied.

    clip  (time in seconds, people with ids) for each frame, times rising: a list, a `PackedClip`, what a file of JSON
          lines gives; not smoothed before

    It needs SciPy (the extra `video`). Raises VideoError for people without ids, ids given twice in a frame, and times
    that do not rise.
    """
    return SteadyClip(clip, choices or TwoPass())


def _ids(people: People) -> NDArray[np.int64]:
    if people.ids is None:
        raise VideoError("Two passes follow people by their ids, which are missing; give them to a Tracker first.")
    return people.ids


def _steady_poses(given: list[TimedPeople], ids: list[NDArray[np.int64]], choices: TwoPass) -> list[TimedPeople]:
    times_s = np.array([time_s for time_s, _ in given], np.float64)
    if (np.diff(times_s) <= 0).any():
        late = int(np.flatnonzero(np.diff(times_s) <= 0)[0]) + 1
        raise VideoError(
            f"Frame {late} at {times_s[late]:.3f} s does not come after the one at {times_s[late - 1]:.3f} s; "
            "give the frames of one clip in order."
        )
    if any(len(np.unique(row)) < len(row) for row in ids):
        raise VideoError("An id stands for two people of one frame; give the people to a Tracker first.")
    rows: list[list[People]] = [[] for _ in given]
    gap_s = choices.gap_s + _ROUNDING
    fewest = min(choices.fewest, len(given))
    for stretch in stretches_of(given, times_s, gap_s, fewest):
        for frame, person in _spread(smoothed(stretch, gap_s, choices.window, choices.order)):
            rows[frame].append(person)
    return [
        (time_s, _together(people, found)) for (time_s, people), found in zip(given, rows, strict=True)
    ]  # fmt: skip


def _spread(stretch: Stretch) -> Iterator[tuple[int, People]]:
    """A stretch as one person for each of its frames."""
    for place in range(len(stretch.times_s)):
        person = People(
            stretch.skeleton, stretch.keypoints[place][None], stretch.keypoint_scores[place][None],
            stretch.scores[place][None], stretch.corners[place].reshape(1, 4), ids=np.array([stretch.person]),
        )  # fmt: skip
        yield stretch.first + place, person


def _together(given: People, found: list[People]) -> People:
    """The people of a frame, by id; without joints in space, which belong to the poses as they were found."""
    if not found:
        return replace(given[:0], masks=None, ids=np.zeros(0, np.int64), keypoints_3d=None, skeleton_3d=None)
    order = sorted(found, key=lambda person: int(_ids(person)[0]))
    return People(
        given.skeleton,
        np.concatenate([person.keypoints for person in order]),
        np.concatenate([person.keypoint_scores for person in order]),
        np.concatenate([person.scores for person in order]),
        np.concatenate([person.boxes_xyxy for person in order]),
        ids=np.concatenate([_ids(person) for person in order]),
        timings=given.timings,
    )
