"""Tracking by detection: people keep their ids from frame to frame.

A track is a person as last detected, with the velocity of the whole body. In a new frame every track is moved to its
predicted position, people are compared with the moved tracks, and an optimal assignment gives each person one track:

    similarity = OKS of the joints that both have, averaged with the IoU of the masks where both have one       (1)

The longer a track is lost, the farther the person may have moved: the sigmas of (1) grow with that time, and the weight
of the track falls, so that a lost track takes no person from one that was detected all along. Distances are relative to
the size of the person and times are in seconds, so neither the image's size nor the frame rate matters. Where frames
are far apart, time says little about motion, and frames are counted instead: a step from one to the next counts as
`max_step_s` at most.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.errors import VideoError
from poseg.geometry import pose_size
from poseg.geometry.boxes import areas
from poseg.geometry.masks import Masks
from poseg.geometry.similarity import box_iou_matrix, oks_matrix
from poseg.people import People
from poseg.skeletons import Skeleton

Floats = NDArray[np.float32]

MIN_JOINT_SCORE = 0.1  # joints with a lower score are guesses
MIN_JOINTS = 3  # with fewer in common, boxes are compared
MASK_CELLS = 128  # along the long side of an image, for comparing masks


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """Settings of the tracker.

    max_lost_s                seconds for which a lost track is kept
    min_similarity            minimum similarity of a person to their track
    velocity_time_constant_s  of the moving average of velocities, seconds
    drift_time_s              seconds in which the position error of a lost track doubles
    max_step_s                seconds that a step between frames counts at most, however long it is
    """

    max_lost_s: float = 0.5
    min_similarity: float = 0.15
    velocity_time_constant_s: float = 0.4
    drift_time_s: float = 0.1
    max_step_s: float = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """The state of T tracks.

    people      T people as last detected, with their ids and without masks
    masks       (T, h, w) float32 in [0, 1], see `downsample_masks`, zeros for an empty mask; None without masks
    velocities  (T, 2) float32, pixels a second of the clock
    seen_s      (T,) clock at the last detection
    hits        (T,) number of detections
    time_s      of the last frame
    clock_s     of the last frame: time without what steps are longer than `max_step_s`
    next_id     of the next new person
    """

    people: People
    masks: Floats | None
    velocities: Floats
    seen_s: NDArray[np.float64]
    hits: NDArray[np.int64]
    time_s: float
    clock_s: float
    next_id: int

    def __getitem__(self, which: NDArray[np.bool_]) -> Tracks:
        """The tracks that are flagged."""
        return replace(
            self,
            people=self.people[which],
            masks=None if self.masks is None else self.masks[which],
            velocities=self.velocities[which],
            seen_s=self.seen_s[which],
            hits=self.hits[which],
        )


class Tracker:
    """Assigns ids over time: `tracker.update(people, time_s)` for frame after frame, in order.

    It needs SciPy (the extra `video`). One tracker serves one clip or camera.
    """

    def __init__(self, config: TrackerConfig | None = None) -> None:
        self.config = config or TrackerConfig()
        self.tracks: Tracks | None = None

    def update(self, people: People, time_s: float) -> People:
        """The same people, in their order, with ids; new ids count up from 0.

        Raises VideoError where time runs backwards or the skeleton is another than before.
        """
        self.tracks, tracked = update_tracks(self.tracks, people, time_s, self.config)
        return tracked


def update_tracks(tracks: Tracks | None, people: People, time_s: float, config: TrackerConfig) -> tuple[Tracks, People]:
    """One frame: the tracks after it, and its people with ids. Arguments are not changed. Raises VideoError."""
    before = tracks if tracks is not None else _no_tracks(people.skeleton, time_s)
    _check(before, people, time_s)
    clock_s = before.clock_s + min(time_s - before.time_s, config.max_step_s)
    alive = before[clock_s - before.seen_s <= config.max_lost_s]
    masks = None if people.masks is None else downsample_masks(people.masks)
    similarity = _similarity(alive, people, masks, clock_s, config)
    track = _assign(similarity, config.min_similarity)
    ids, next_id = _ids(track, alive, people, before.next_id)
    tracked = replace(people, ids=ids)
    seen = _updated(alive, track, tracked, masks, clock_s, config)
    lost = alive[~np.isin(np.arange(len(alive.people)), track)]
    return replace(_concatenate(seen, lost), time_s=time_s, clock_s=clock_s, next_id=next_id), tracked


def median_motion(before: People, after: People) -> Floats:
    """(N, 2) how far each of N people moved between two frames, in pixels, row by row.

    The median over the joints detected in both, so that swinging arms and single stray joints do not count; the shift
    of the box's centre where there are too few.
    """
    common = (before.keypoint_scores >= MIN_JOINT_SCORE) & (after.keypoint_scores >= MIN_JOINT_SCORE)
    count = common.sum(axis=1)
    ordered = np.sort(np.where(common[..., None], after.keypoints - before.keypoints, np.inf), axis=1)
    rows, last = np.arange(len(count)), len(common.T) - 1
    median = (ordered[rows, np.maximum(count - 1, 0) // 2] + ordered[rows, np.minimum(count // 2, last)]) / 2
    boxes = (after.boxes_xyxy - before.boxes_xyxy).reshape(-1, 2, 2).mean(axis=1)
    return np.asarray(np.where((count >= MIN_JOINTS)[:, None], median, boxes), np.float32)


def body_scales(people: People) -> Floats:
    """(N,) pixels, the unit of motion and noise, see `geometry.pose_size.body_scales`."""
    return pose_size.body_scales(
        people.keypoints, people.keypoint_scores > 0, people.boxes_xyxy, people.skeleton.joints
    )


def downsample_masks(masks: Masks) -> Floats:
    """(N, h, w) float32: every k-th pixel of masks, so that the long side has about `MASK_CELLS`; 0 or 1."""
    step = max(1, -(-max(masks.size) // MASK_CELLS))
    first = step // 2
    height, width = (len(range(first, side, step)) for side in masks.size)
    shift = 0.5 - (first + 0.5) / step  # the centre of pixel `first` comes to the centre of cell 0
    onto_cells = np.array([[1 / step, 0, shift], [0, 1 / step, shift]])
    return np.asarray(masks.warp(onto_cells, (height, width)).full(), np.float32)


def shift_masks(masks: Floats, shifts_cells: Floats) -> Floats:
    """Each of (N, h, w) masks moved by its (N, 2) shift, x before y; pixels from outside are 0."""
    result = np.zeros_like(masks)
    height, width = masks.shape[1:]
    for mask, target, (x, y) in zip(masks, result, shifts_cells.tolist(), strict=True):
        cv2.warpAffine(mask, np.array([[1, 0, x], [0, 1, y]]), (width, height), dst=target)
    return result


def soft_iou_matrix(masks: Floats, others: Floats) -> Floats:
    """(N, M) intersection over union of soft masks (N, h, w) and (M, h, w): sums of products; 0 for two empty."""
    cells = masks.shape[1] * masks.shape[2]
    a, b = masks.reshape(len(masks), cells), others.reshape(len(others), cells)
    shared = a @ b.T
    union = a.sum(axis=1)[:, None] + b.sum(axis=1)[None] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0), np.float32)


def _no_tracks(skeleton: Skeleton, time_s: float) -> Tracks:
    none = np.zeros(0)
    return Tracks(
        replace(People.empty(skeleton), ids=np.zeros(0, np.int64)), None, np.zeros((0, 2), np.float32),
        none, none.astype(np.int64), time_s, time_s, 0,
    )  # fmt: skip


def _check(tracks: Tracks, people: People, time_s: float) -> None:
    if not time_s >= tracks.time_s:
        raise VideoError(
            f"A frame at {time_s:.3f} s comes after one at {tracks.time_s:.3f} s; "
            "pass the frames of one clip in order, and use a new tracker for each clip."
        )
    if people.skeleton != tracks.people.skeleton:
        raise VideoError(
            f"People on the skeleton {people.skeleton.name} come after people on {tracks.people.skeleton.name}; "
            "use one tracker for each skeleton."
        )


def _similarity(tracks: Tracks, people: People, masks: Floats | None, clock_s: float, config: TrackerConfig) -> Floats:
    """(N, T) similarity (1) of people and tracks at their predicted positions."""
    lost_s = clock_s - tracks.seen_s
    shifts = tracks.velocities * lost_s[:, None].astype(np.float32)
    detected, expected = (p.keypoint_scores >= MIN_JOINT_SCORE for p in (people, tracks.people))
    oks = oks_matrix(
        people.keypoints,
        tracks.people.keypoints + shifts[:, None],
        areas_px=areas(tracks.people.boxes_xyxy) * (1 + lost_s / config.drift_time_s) ** 2,
        sigmas=people.skeleton.oks_sigmas,
        weights=detected[:, None] & expected,
    )
    common = detected.astype(np.float32) @ expected.T.astype(np.float32)
    boxes = box_iou_matrix(people.boxes_xyxy, tracks.people.boxes_xyxy + np.tile(shifts, 2))
    similarity = np.where(common >= MIN_JOINTS, oks, boxes)
    if masks is not None and tracks.masks is not None and masks.shape[1:] == tracks.masks.shape[1:]:
        assert people.masks is not None
        cells = shifts * np.float32(masks.shape[2] / people.masks.size[1])
        overlap = soft_iou_matrix(masks, shift_masks(tracks.masks, cells))
        both = np.outer(masks.any(axis=(1, 2)), tracks.masks.any(axis=(1, 2)))
        similarity = np.where(both, (similarity + overlap) / 2, similarity)
    weight = (config.drift_time_s + clock_s - tracks.clock_s) / (config.drift_time_s + lost_s)
    return np.asarray(similarity * weight, np.float32)


def _assign(similarity: Floats, min_similarity: float) -> NDArray[np.intp]:
    """(N,) the track of each person, -1 for none: the assignment with the greatest sum of similarities."""
    from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]

    value = np.where(similarity >= min_similarity, similarity, 0)
    rows, columns = linear_sum_assignment(value, maximize=True)
    track = np.full(len(similarity), -1, np.intp)
    similar = value[rows, columns] > 0
    track[rows[similar]] = columns[similar]
    return track


def _ids(track: NDArray[np.intp], tracks: Tracks, people: People, next_id: int) -> tuple[NDArray[np.int64], int]:
    """(N,) ids, and the next free one. New people are numbered by score, then from left to right."""
    new = np.flatnonzero(track < 0)
    boxes = people.boxes_xyxy[new]
    order = np.lexsort((boxes[:, 1], boxes[:, 0], -people.scores[new]))
    ids = np.empty(len(people), np.int64)
    assert tracks.people.ids is not None
    ids[track >= 0] = tracks.people.ids[track[track >= 0]]
    ids[new[order]] = next_id + np.arange(len(new))
    return ids, next_id + len(new)


def _updated(
    tracks: Tracks, track: NDArray[np.intp], people: People, masks: Floats | None, clock_s: float, config: TrackerConfig
) -> Tracks:  # fmt: skip
    """The people of the frame as tracks: velocities are the first measurement, then its moving average."""
    old, new = track[track >= 0], np.flatnonzero(track >= 0)
    velocities = np.zeros((len(people), 2), np.float32)
    hits = np.ones(len(people), np.int64)
    hits[new] += tracks.hits[old]
    lost_s = (clock_s - tracks.seen_s[old])[:, None]
    passed = lost_s > 0
    motion = median_motion(tracks.people[old], people[new])
    measured = np.divide(motion, lost_s, where=passed, out=np.zeros((len(old), 2)))
    second = hits[new, None] == 2
    weight = np.where(second, 1, 1 - np.exp(-lost_s / config.velocity_time_constant_s)) * passed
    velocities[new] = tracks.velocities[old] + weight * (measured - tracks.velocities[old])
    bare = replace(people, masks=None, timings=None, keypoints_3d=None, skeleton_3d=None)
    return Tracks(bare, masks, velocities, np.full(len(people), clock_s), hits, 0.0, clock_s, 0)


def _concatenate(first: Tracks, second: Tracks) -> Tracks:
    """Both together; masks of another size than those of the first are dropped."""
    masks = first.masks
    if masks is not None:
        fits = second.masks is not None and second.masks.shape[1:] == masks.shape[1:]
        rest = second.masks if fits else np.zeros((len(second.people), *masks.shape[1:]), np.float32)
        masks = np.concatenate([masks, rest])
    elif second.masks is not None and len(second.people):
        masks = np.concatenate([np.zeros((len(first.people), *second.masks.shape[1:]), np.float32), second.masks])
    return Tracks(
        People.concatenate([first.people, second.people]), masks,
        np.concatenate([first.velocities, second.velocities]), np.concatenate([first.seen_s, second.seen_s]),
        np.concatenate([first.hits, second.hits]), 0.0, 0.0, 0,
    )  # fmt: skip
