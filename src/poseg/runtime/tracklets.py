"""A person's path through a clip as arrays over time: gaps filled, smoothed without lag."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from poseg.people import People
from poseg.skeletons import Skeleton

Floats = NDArray[np.float64]

_ROUNDING_S = 1e-6  # of time stamps
_MIN_SCORE = 1e-3  # of a detected joint: 0 marks one that was not detected
_UNEVEN = 0.1  # frames whose distances in time vary by more than this fraction are laid on an even grid first


FAST_HZ = 15.0  # at lower rates, seconds are measured rather than frames


def is_glimpse(frames: Sequence[int], times_s: Sequence[float] | Floats, min_frames: int = 3) -> bool:
    """Whether a person is detected in so few frames of a clip, and for so short, that it may be a mistake.

    It is none from `min_frames` on, in half of a short clip, and for as long as `min_frames` take at `FAST_HZ`.

    frames    numbers of the frames in which they are detected
    times_s   of all frames of the clip
    """
    if len(frames) >= max(1, min(min_frames, len(times_s) // 2)):
        return False
    steps = np.diff(np.asarray(times_s, np.float64), prepend=-np.inf, append=np.inf)
    lasting = np.minimum(steps[:-1], steps[1:])[np.asarray(frames, np.intp)]
    return float(lasting.sum()) < min_frames / FAST_HZ - _ROUNDING_S


@dataclass(frozen=True, slots=True, eq=False)
class Tracklet:
    """One person in F frames in a row, float64; NaN in frames in which they were not detected.

    person           id
    first            number of the first frame
    times_s          (F,)
    detected         (F,) bool
    keypoints        (F, K, 2)
    keypoint_scores  (F, K)
    scores           (F,)
    boxes            (F, 2, 2) two corners
    """

    skeleton: Skeleton
    person: int
    first: int
    times_s: Floats
    detected: NDArray[np.bool_]
    keypoints: Floats
    keypoint_scores: Floats
    scores: Floats
    boxes: Floats


def split_tracklets(
    frames: Sequence[tuple[float, People]], times_s: Floats, gap_s: float, min_frames: int
) -> Iterator[Tracklet]:
    """The tracklets of all people, ended by absences of more than `gap_s`; of a glimpse there is none."""
    appearances: dict[int, list[tuple[int, int]]] = {}
    for frame, (_, people) in enumerate(frames):
        for row, person in enumerate(() if people.ids is None else people.ids.tolist()):
            appearances.setdefault(person, []).append((frame, row))
    for person, pairs in sorted(appearances.items()):
        if not is_glimpse([frame for frame, _ in pairs], times_s, min_frames):
            for part in _split(np.array(pairs), times_s[[frame for frame, _ in pairs]], gap_s):
                yield _tracklet(frames, times_s, person, part)


def savgol_smoothed(tracklet: Tracklet, gap_s: float, window: int, order: int) -> Tracklet:
    """The tracklet without gaps, its joints, their scores and its box smoothed.

    A joint that is missing for more than `gap_s`, or at either end, stays missing there: its score is 0.
    """
    times_s, detected = tracklet.times_s, tracklet.detected
    points = _filled(times_s, tracklet.keypoints, detected)
    confidence = np.nan_to_num(tracklet.keypoint_scores)
    values = np.concatenate([tracklet.keypoints, tracklet.keypoint_scores[..., None]], axis=2)
    result = np.zeros_like(confidence)
    for joint in range(confidence.shape[1]):
        visible = np.flatnonzero(confidence[:, joint] > 0)
        for part in _split(visible, times_s[visible], gap_s):
            span = slice(part[0], part[-1] + 1)
            here = np.isin(np.arange(span.start, span.stop), part)
            path = _savgol(times_s[span], _filled(times_s[span], values[span, joint], here), window, order)
            points[span, joint] = path[:, :2]
            result[span, joint] = np.clip(path[:, 2], _MIN_SCORE, 1)
    boxes = _savgol(times_s, _filled(times_s, tracklet.boxes, detected), window, order)
    scores = _filled(times_s, tracklet.scores[:, None], detected)[:, 0]
    return replace(tracklet, keypoints=points, keypoint_scores=result, scores=scores, boxes=boxes)


def _split(rows: NDArray[np.int_], times_s: Floats, gap_s: float) -> list[NDArray[np.int_]]:
    """Rows (N, ...) at their times (N,), split at gaps; no parts of no rows."""
    return np.split(rows, np.flatnonzero(np.diff(times_s) > gap_s) + 1) if len(rows) else []


def _tracklet(
    frames: Sequence[tuple[float, People]], times_s: Floats, person: int, appearances: NDArray[np.int_]
) -> Tracklet:  # fmt: skip
    first, last = int(appearances[0, 0]), int(appearances[-1, 0])
    skeleton = frames[first][1].skeleton
    count, joints = last - first + 1, len(skeleton)
    keypoints, confidence = np.full((count, joints, 2), np.nan), np.full((count, joints), np.nan)
    scores, boxes = np.full(count, np.nan), np.full((count, 2, 2), np.nan)
    for frame, row in appearances.tolist():
        people, at = frames[frame][1], frame - first
        keypoints[at], confidence[at] = people.keypoints[row], people.keypoint_scores[row]
        scores[at], boxes[at] = people.scores[row], people.boxes_xyxy[row].reshape(2, 2)
    detected = ~np.isnan(scores)
    return Tracklet(skeleton, person, first, times_s[first : last + 1], detected, keypoints, confidence, scores, boxes)


def _filled(times_s: Floats, values: Floats, valid: NDArray[np.bool_]) -> Floats:
    """Values (F, ...) with straight lines through those that are not valid."""
    return values.copy() if valid.all() else _resampled(times_s[valid], values[valid], times_s)


def _savgol(times_s: Floats, values: Floats, window: int, order: int) -> Floats:
    """Values (F, ...) smoothed over time; a short row is smoothed with the largest window that fits."""
    from scipy.signal import savgol_filter  # type: ignore[import-untyped]

    count = len(values)
    fits = min(window, count - 1 + count % 2)
    if fits <= order + 1:
        return values
    steps_s = np.diff(times_s)
    even_s = np.linspace(times_s[0], times_s[-1], count)
    even = bool(np.abs(steps_s - steps_s.mean()).max() <= _UNEVEN * steps_s.mean())
    path = values if even else _resampled(times_s, values, even_s)
    path = savgol_filter(path, fits, order, axis=0, mode="interp")
    return np.asarray(path if even else _resampled(even_s, path, times_s), np.float64)


def _resampled(times_s: Floats, values: Floats, at_s: Floats) -> Floats:
    """Values (F, ...) at other times, along straight lines."""
    flat = values.reshape(len(values), -1)
    columns = [np.interp(at_s, times_s, column) for column in flat.T]
    return np.stack(columns, axis=1).reshape(len(at_s), *values.shape[1:])
