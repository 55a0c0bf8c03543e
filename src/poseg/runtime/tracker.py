"""Who is who over time: people of one frame after the other get ids that stay with them.

A track is a person as last seen, with the velocity of the whole body. In a new frame every track is moved to where it
should be by now, people are compared with the moved tracks, and an optimal assignment gives each person one track:

    similarity = OKS of the joints that both have, averaged with the IoU of the masks where both have one       (1)

The longer a track has not been seen, the farther the person may have strayed: the spread of (1) grows with that time,
and what a long-lost track is worth falls, so that it does not take a person from a track that was there all along.
Everything is measured relative to the size of the person and in seconds, so neither the picture's size nor the frame
rate matters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from poseg.errors import VideoError
from poseg.geometry.boxes import areas
from poseg.geometry.similarity import box_iou_matrix, oks_matrix
from poseg.people import People
from poseg.runtime.coarse_masks import coarse, moved, soft_iou_matrix
from poseg.skeletons import Skeleton

Floats = NDArray[np.float32]

FOUND = 0.1  # joints with a lower score are guesses
FEWEST_JOINTS = 3  # with fewer in common, boxes are compared
SPREAD = 0.08  # of a joint, where the skeleton does not say: about the mean of COCO's


@dataclass(frozen=True, slots=True)
class Tracking:
    """Choices of the tracker.

    keep_s            seconds for which somebody who is not seen is waited for
    least_similarity  people less similar than this to a track are somebody else
    steady_s          time constant of the velocity, seconds
    stray_s           seconds after which a person may be as far again from where he or she should be
    """

    keep_s: float = 0.5
    least_similarity: float = 0.15
    steady_s: float = 0.4
    stray_s: float = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """Everybody who may come again; T tracks.

    people      T people as last seen, with their ids and without masks
    masks       (T, h, w) float32 in [0, 1], coarse (`runtime.coarse_masks`), zeros where unknown; None without masks
    velocities  (T, 2) float32, pixels a second
    seen_s      (T,) when they were seen
    sightings   (T,) how often
    time_s      when the last frame was
    next_id     of the next person who is new
    """

    people: People
    masks: Floats | None
    velocities: Floats
    seen_s: NDArray[np.float64]
    sightings: NDArray[np.int64]
    time_s: float
    next_id: int

    def __getitem__(self, which: NDArray[np.bool_]) -> Tracks:
        """The tracks that are marked."""
        return replace(
            self,
            people=self.people[which],
            masks=None if self.masks is None else self.masks[which],
            velocities=self.velocities[which],
            seen_s=self.seen_s[which],
            sightings=self.sightings[which],
        )


class Tracker:
    """Gives people ids over time: `tracker.update(people, time_s)` for frame after frame, in order.

    It needs SciPy (the extra `video`). One tracker follows one clip or camera.
    """

    def __init__(self, choices: Tracking | None = None) -> None:
        self.choices = choices or Tracking()
        self.tracks: Tracks | None = None

    def update(self, people: People, time_s: float) -> People:
        """The same people, in their order, with ids; new ids count up from 0.

        Raises VideoError where time runs backwards or the skeleton is another than before.
        """
        self.tracks, known = step(self.tracks, people, time_s, self.choices)
        return known


def step(tracks: Tracks | None, people: People, time_s: float, choices: Tracking) -> tuple[Tracks, People]:
    """One frame: the tracks after it, and its people with ids. Nothing that is given is changed. Raises VideoError."""
    before = tracks if tracks is not None else _nobody(people.skeleton, time_s)
    _check(before, people, time_s)
    alive = before[time_s - before.seen_s <= choices.keep_s]
    seen = coarse(None if people.masks is None else people.masks.full())
    likeness = _similarity(alive, people, seen, time_s, choices)
    track = _assign(likeness, choices.least_similarity)
    ids, next_id = _ids(track, alive, people, before.next_id)
    known = replace(people, ids=ids)
    now = _seen(alive, track, known, seen, time_s, choices)
    waiting = alive[~np.isin(np.arange(len(alive.people)), track)]
    return replace(_joined(now, waiting), time_s=time_s, next_id=next_id), known


def motions(before: People, after: People) -> Floats:
    """(N, 2) how far each of N people moved between two frames, in pixels, row by row.

    The median over the joints found in both, so that swinging arms and single stray joints do not count; the shift of
    the box's centre where there are too few.
    """
    common = (before.keypoint_scores >= FOUND) & (after.keypoint_scores >= FOUND)
    count = common.sum(axis=1)
    ordered = np.sort(np.where(common[..., None], after.keypoints - before.keypoints, np.inf), axis=1)
    rows = np.arange(len(count))
    middle = (
        ordered[rows, np.maximum(count - 1, 0) // 2] + ordered[rows, np.minimum(count // 2, len(common.T) - 1)]
    ) / 2
    boxes = (after.boxes_xyxy - before.boxes_xyxy).reshape(-1, 2, 2).mean(axis=1)
    return np.asarray(np.where((count >= FEWEST_JOINTS)[:, None], middle, boxes), np.float32)


def _nobody(skeleton: Skeleton, time_s: float) -> Tracks:
    none = np.zeros(0)
    return Tracks(
        replace(People.empty(skeleton), ids=np.zeros(0, np.int64)), None, np.zeros((0, 2), np.float32),
        none, none.astype(np.int64), time_s, 0,
    )  # fmt: skip


def _check(tracks: Tracks, people: People, time_s: float) -> None:
    if not time_s >= tracks.time_s:
        raise VideoError(
            f"A frame at {time_s:.3f} s comes after one at {tracks.time_s:.3f} s; "
            "give the frames of one clip in order, and each clip a tracker of its own."
        )
    if people.skeleton != tracks.people.skeleton:
        raise VideoError(
            f"People on the skeleton {people.skeleton.name} come after people on {tracks.people.skeleton.name}; "
            "give each skeleton a tracker of its own."
        )


def _similarity(tracks: Tracks, people: People, seen: Floats | None, time_s: float, choices: Tracking) -> Floats:
    """(N, T) similarity (1) of people and tracks where they should be now."""
    gone_s = time_s - tracks.seen_s
    shifts = tracks.velocities * gone_s[:, None].astype(np.float32)
    there, expected = people.keypoint_scores >= FOUND, tracks.people.keypoint_scores >= FOUND
    room = areas(tracks.people.boxes_xyxy) * (1 + gone_s / choices.stray_s) ** 2
    oks = oks_matrix(
        np.where(there[..., None], people.keypoints, np.inf),
        tracks.people.keypoints + shifts[:, None],
        areas_px=room,
        sigmas=people.skeleton.sigmas or (SPREAD,) * len(people.skeleton),
        weights=expected,
    )
    common = there.astype(np.float32) @ expected.T.astype(np.float32)
    oks *= expected.sum(axis=1) / np.maximum(common, 1)
    boxes = box_iou_matrix(people.boxes_xyxy, tracks.people.boxes_xyxy + np.tile(shifts, 2))
    likeness = np.where(common >= FEWEST_JOINTS, oks, boxes)
    if seen is not None and tracks.masks is not None and seen.shape[1:] == tracks.masks.shape[1:]:
        assert people.masks is not None
        cells = shifts * np.float32(seen.shape[2] / people.masks.shape[2])
        overlap = soft_iou_matrix(seen, moved(tracks.masks, cells))
        both = np.outer(seen.any(axis=(1, 2)), tracks.masks.any(axis=(1, 2)))
        likeness = np.where(both, (likeness + overlap) / 2, likeness)
    doubt = (choices.stray_s + time_s - tracks.time_s) / (choices.stray_s + gone_s)
    return np.asarray(likeness * doubt, np.float32)


def _assign(likeness: Floats, least: float) -> NDArray[np.intp]:
    """(N,) the track of each person, -1 for none: the assignment with the greatest sum of similarities."""
    from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]

    worth = np.where(likeness >= least, likeness, 0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    track = np.full(len(likeness), -1, np.intp)
    good = worth[rows, columns] > 0
    track[rows[good]] = columns[good]
    return track


def _ids(track: NDArray[np.intp], tracks: Tracks, people: People, next_id: int) -> tuple[NDArray[np.int64], int]:
    """(N,) ids, and the next that is free. The new are counted surest first, then from left to right."""
    new = np.flatnonzero(track < 0)
    boxes = people.boxes_xyxy[new]
    order = np.lexsort((boxes[:, 1], boxes[:, 0], -people.scores[new]))
    ids = np.empty(len(people), np.int64)
    assert tracks.people.ids is not None
    ids[track >= 0] = tracks.people.ids[track[track >= 0]]
    ids[new[order]] = next_id + np.arange(len(new))
    return ids, next_id + len(new)


def _seen(
    tracks: Tracks, track: NDArray[np.intp], people: People, seen: Floats | None, time_s: float, choices: Tracking
) -> Tracks:  # fmt: skip
    """The people of the frame as tracks: their velocity follows what was measured, fast at first, then steadily."""
    old, new = track[track >= 0], np.flatnonzero(track >= 0)
    velocities = np.zeros((len(people), 2), np.float32)
    sightings = np.ones(len(people), np.int64)
    sightings[new] += tracks.sightings[old]
    gone_s = (time_s - tracks.seen_s[old])[:, None]
    passed = gone_s > 0
    measured = np.divide(motions(tracks.people[old], people[new]), gone_s, where=passed, out=np.zeros((len(old), 2)))
    first = sightings[new, None] == 2
    follow = np.where(first, 1, 1 - np.exp(-gone_s / choices.steady_s)) * passed
    velocities[new] = tracks.velocities[old] + follow * (measured - tracks.velocities[old])
    bare = replace(people, masks=None, timings=None, keypoints_3d=None, skeleton_3d=None)
    return Tracks(bare, seen, velocities, np.full(len(people), time_s), sightings, time_s, 0)


def _joined(first: Tracks, second: Tracks) -> Tracks:
    """Both together; masks of another size than those of the first are forgotten."""
    a, b = first.people, second.people
    assert a.ids is not None
    assert b.ids is not None
    masks = first.masks
    if masks is not None:
        fits = second.masks is not None and second.masks.shape[1:] == masks.shape[1:]
        rest = second.masks if fits else np.zeros((len(b), *masks.shape[1:]), np.float32)
        masks = np.concatenate([masks, rest])
    elif second.masks is not None and len(b):
        masks = np.concatenate([np.zeros((len(a), *second.masks.shape[1:]), np.float32), second.masks])
    people = replace(
        a,
        keypoints=np.concatenate([a.keypoints, b.keypoints]),
        keypoint_scores=np.concatenate([a.keypoint_scores, b.keypoint_scores]),
        scores=np.concatenate([a.scores, b.scores]),
        boxes_xyxy=np.concatenate([a.boxes_xyxy, b.boxes_xyxy]),
        ids=np.concatenate([a.ids, b.ids]),
    )
    return Tracks(
        people, masks, np.concatenate([first.velocities, second.velocities]),
        np.concatenate([first.seen_s, second.seen_s]), np.concatenate([first.sightings, second.sightings]), 0.0, 0,
    )  # fmt: skip
