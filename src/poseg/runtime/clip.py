"""The people of a whole clip in little memory: masks are kept as run lengths and unpacked when asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from poseg.geometry.masks import Masks
from poseg.geometry.rle import Rle
from poseg.people import People

TimedPeople = tuple[float, People]


class Timed(Protocol):
    """Frames with their time in seconds, by number: a list does."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> TimedPeople: ...


@dataclass(slots=True)
class PackedClip:
    """People of frame after frame; `clip.append(time_s, people)` in order, `clip[3]` gives both back.

    poses  the same without masks
    """

    poses: list[TimedPeople] = field(default_factory=list)
    _runs: list[list[Rle] | None] = field(default_factory=list)

    def append(self, time_s: float, people: People) -> None:
        """Keep one more frame."""
        self.poses.append((time_s, replace(people, masks=None)))
        self._runs.append(None if people.masks is None else [people.masks.rle(row) for row in range(len(people))])

    def __len__(self) -> int:
        return len(self.poses)

    def __iter__(self) -> Iterator[TimedPeople]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> TimedPeople:
        """Time and people of a frame, with masks where there were any (none where there was nobody)."""
        time_s, people = self.poses[index]
        runs = self._runs[index]
        if not runs:
            return time_s, people
        return time_s, replace(people, masks=Masks.from_rles(runs, tuple(runs[0]["size"])))


def without_masks(clip: Timed) -> list[TimedPeople]:
    """All frames of a clip without masks, which is all that fits in memory of a long one."""
    if isinstance(clip, PackedClip):
        return clip.poses
    return [(time_s, replace(people, masks=None)) for time_s, people in (clip[index] for index in range(len(clip)))]
