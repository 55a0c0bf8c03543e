"""Offline smoothing of a whole clip, without lag, since later frames are available.

Short gaps in a track are filled, each joint's path is smoothed by local parabolas (Savitzky and Golay 1964), tracks of
a few frames are dropped, and along its edge each mask becomes the majority of those before and after. Reversing time
reverses the result and changes nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from poseg.errors import VideoError
from poseg.geometry.masks import Masks
from poseg.geometry.rle import Rle
from poseg.people import People
from poseg.runtime.mask_smoothing import MaskCrop, majority_vote, mask_crops, masks_from_crops, vote_margin
from poseg.runtime.tracker import body_scales, median_motion
from poseg.runtime.tracklets import Tracklet, savgol_smoothed, split_tracklets

VOTE_FRAMES = 2  # frames before, and as many after, that vote on a mask's edge
_CACHED = 8  # frames around the present one whose masks stay decoded
_ROUNDING = 1e-6  # of time stamps, in seconds, and of weights

Floats = NDArray[np.float32]
FramePeople = tuple[float, People]
ShiftedMask = tuple[MaskCrop, Floats]


class ClipLike(Protocol):
    """Frames with their time in seconds, by number, such as a list."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> FramePeople: ...


@dataclass(slots=True)
class PackedClip:
    """People of frame after frame in little memory: masks are stored as run lengths and decoded on demand.

    `clip.append(time_s, people)` in order, `clip[3]` returns both.

    poses  the same without masks
    """

    poses: list[FramePeople] = field(default_factory=list)
    _rles: list[list[Rle] | None] = field(default_factory=list)

    def append(self, time_s: float, people: People) -> None:
        """Append one frame."""
        self.poses.append((time_s, replace(people, masks=None)))
        self._rles.append(None if people.masks is None else [people.masks.rle(row) for row in range(len(people))])

    def __len__(self) -> int:
        return len(self.poses)

    def __iter__(self) -> Iterator[FramePeople]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> FramePeople:
        """Time and people of a frame, with the masks that were appended; a frame without people has no masks."""
        time_s, people = self.poses[index]
        rles = self._rles[index]
        if not rles:
            return time_s, people
        return time_s, replace(people, masks=Masks.from_rles(rles, tuple(rles[0]["size"])))


@dataclass(frozen=True, slots=True)
class OfflineConfig:
    """Settings of the offline mode.

    max_gap_s   gaps up to this many seconds are filled, in tracks and in single joints
    window      frames of the Savitzky-Golay filter, odd; 7 to 11 at 25 frames a second
    order       degree of the polynomial
    min_frames  tracks with fewer detections are dropped, see `tracklets.is_glimpse`
    """

    max_gap_s: float = 0.3
    window: int = 9
    order: int = 2
    min_frames: int = 3

    def __post_init__(self) -> None:
        if self.window % 2 == 0 or self.window <= self.order:
            raise VideoError(
                f"The window has {self.window} frames; it must be an odd number above the order of {self.order}."
            )


class SmoothedClip:
    """A clip after smoothing: as many frames as before, `smoothed[3]` gives time and people. See `smooth_offline`.

    Masks are smoothed on demand, so a long clip needs little memory. The people of a frame are sorted by id.
    """

    def __init__(self, clip: ClipLike, config: OfflineConfig) -> None:
        self._clip = clip
        before = clip.poses if isinstance(clip, PackedClip) else [_bare(clip[index]) for index in range(len(clip))]
        self._ids = [_ids(people) for _, people in before]
        self.poses = _smooth_poses(before, self._ids, config)
        self._unpacked: dict[int, People] = {}
        self._gap_s = config.max_gap_s + _ROUNDING

    def __len__(self) -> int:
        return len(self.poses)

    def __iter__(self) -> Iterator[FramePeople]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> FramePeople:
        """Time and people of a frame, with masks where the clip has any in or around it."""
        index = range(len(self))[index]
        time_s, people = self.poses[index]
        crops = [self._mask(index, people[[row]]) for row in range(len(people))]
        size = next((crop.size for crop in crops if crop is not None), None)
        return time_s, people if size is None else replace(people, masks=masks_from_crops(crops, size))

    def _mask(self, index: int, person: People) -> MaskCrop | None:
        """The mask of a person (a row of People) in a frame, or in a gap; None without a mask."""
        scale_px = float(body_scales(person)[0])
        present = self._mask_in(index, person, vote_margin(scale_px))
        if present is None:
            return self._interpolated_mask(index, person)
        others: list[ShiftedMask] = []
        for step in range(1, VOTE_FRAMES + 1):
            pair = [self._shifted_mask(person, at) for at in (index - step, index + step)]
            if any(other is None or other[0].size != present.size for other in pair):
                break  # the same number before as after
            others += [other for other in pair if other is not None]
        return majority_vote(present, others, scale_px)

    def _interpolated_mask(self, index: int, person: People) -> MaskCrop | None:
        """The mask in a gap: the nearest ones before and after, shifted to this frame, weighted by nearness."""
        before, after = (self._nearest_mask(index, person, step) for step in (-1, 1))
        if before is None or after is None or before[0][0].size != after[0][0].size:
            return None
        (first, since_s), (second, until_s) = before, after
        size = first[0].size
        crop = _crop_of([first, second], size)
        if crop[0] >= crop[2] or crop[1] >= crop[3]:
            return None
        earlier, later = (mask.shifted(shift, crop) > 0.5 for mask, shift in (first, second))
        weight = until_s / (since_s + until_s)
        mixed = weight * earlier + (1 - weight) * later >= 0.5 - _ROUNDING
        return MaskCrop(mixed.astype(np.float32), crop[0], crop[1], size)

    def _nearest_mask(self, index: int, person: People, step: int) -> tuple[ShiftedMask, float] | None:
        """The nearest mask of a person in one direction of time, and how many seconds away it is."""
        time_s, at = self.poses[index][0], index + step
        while 0 <= at < len(self) and abs(self.poses[at][0] - time_s) <= self._gap_s:
            shifted = self._shifted_mask(person, at)
            if shifted is not None:
                return shifted, abs(self.poses[at][0] - time_s)
            at += step
        return None

    def _shifted_mask(self, person: People, at: int) -> ShiftedMask | None:
        """The mask of a person in another frame, and the shift from that frame to this; None without a mask."""
        mask = self._mask_in(at, person, 1) if 0 <= at < len(self) else None
        if mask is None:
            return None
        people = self.poses[at][1]
        return mask, median_motion(people[_ids(people) == _ids(person)], person)[0]

    def _mask_in(self, index: int, person: People, margin_px: int) -> MaskCrop | None:
        """The mask of a person as it was before smoothing, or None."""
        rows = np.flatnonzero(self._ids[index] == _ids(person))
        if not len(rows):
            return None
        if index not in self._unpacked:
            self._unpacked = {key: value for key, value in self._unpacked.items() if abs(key - index) <= _CACHED}
            self._unpacked[index] = self._clip[index][1]
        masks = self._unpacked[index].masks
        return None if masks is None else mask_crops(masks[rows[:1]], [margin_px])[0]


def smooth_offline(clip: ClipLike, config: OfflineConfig | None = None) -> SmoothedClip:
    """The people of a clip with gaps filled, paths and mask edges smoothed without lag, and short tracks dropped.

    clip  (time in seconds, people with ids) for each frame, times rising: a list, a `PackedClip`, the content of a file
          of JSON lines; not smoothed before

    It needs SciPy (the extra `video`). Raises VideoError for people without ids, ids used twice in a frame, and times
    that do not rise.
    """
    return SmoothedClip(clip, config or OfflineConfig())


def _bare(frame: FramePeople) -> FramePeople:
    return frame[0], replace(frame[1], masks=None)


def _ids(people: People) -> NDArray[np.int64]:
    if people.ids is None:
        raise VideoError("Smoothing needs people with ids; pass them through a Tracker first.")
    return people.ids


def _crop_of(masks: list[ShiftedMask], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The crop of the image that encloses the shifted masks."""
    boxes = np.array([np.add(mask.xyxy, [*shift, *shift]) for mask, shift in masks])
    left, top = np.maximum(np.floor(boxes[:, :2].min(axis=0)), 0).astype(int).tolist()
    right, bottom = np.minimum(np.ceil(boxes[:, 2:].max(axis=0)), size[::-1]).astype(int).tolist()
    return left, top, right, bottom


def _smooth_poses(clip: list[FramePeople], ids: list[NDArray[np.int64]], config: OfflineConfig) -> list[FramePeople]:
    times_s = np.array([time_s for time_s, _ in clip], np.float64)
    if (np.diff(times_s) <= 0).any():
        late = int(np.flatnonzero(np.diff(times_s) <= 0)[0]) + 1
        raise VideoError(
            f"Frame {late} at {times_s[late]:.3f} s does not come after the one at {times_s[late - 1]:.3f} s; "
            "pass the frames of one clip in order."
        )
    if any(len(np.unique(row)) < len(row) for row in ids):
        raise VideoError("An id is used for two people of one frame; pass the people through a Tracker first.")
    rows: list[list[People]] = [[] for _ in clip]
    gap_s = config.max_gap_s + _ROUNDING
    for tracklet in split_tracklets(clip, times_s, gap_s, config.min_frames):
        for frame, person in _per_frame(savgol_smoothed(tracklet, gap_s, config.window, config.order)):
            rows[frame].append(person)
    return [(time_s, _frame_people(people, row)) for (time_s, people), row in zip(clip, rows, strict=True)]


def _per_frame(tracklet: Tracklet) -> Iterator[tuple[int, People]]:
    """The frames of a tracklet, each with its person."""
    for at in range(len(tracklet.times_s)):
        person = People(
            tracklet.skeleton, tracklet.keypoints[at][None], tracklet.keypoint_scores[at][None],
            tracklet.scores[at][None], tracklet.boxes[at].reshape(1, 4), ids=np.array([tracklet.person]),
        )  # fmt: skip
        yield tracklet.first + at, person


def _frame_people(before: People, rows: list[People]) -> People:
    """The people of a frame, by id; without 3D joints, which belong to the unsmoothed poses."""
    if not rows:
        return replace(before[:0], masks=None, ids=np.zeros(0, np.int64), keypoints_3d=None, skeleton_3d=None)
    people = People.concatenate(sorted(rows, key=lambda person: int(_ids(person)[0])))
    return replace(people, timings=before.timings)
