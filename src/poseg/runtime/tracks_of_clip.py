"""A person's path through a clip as arrays over time: gaps filled, smoothed without lag."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from poseg.people import People
from poseg.skeletons import Skeleton

Floats = NDArray[np.float64]

_LEAST_SCORE = 1e-3  # of a joint that was found: 0 says that it was not
_UNEVEN = 0.1  # frames whose distance in time varies by more than this share are laid on an even grid first


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """One person in F frames in a row, float64; NaN in frames in which nobody was found.

    person           id
    first            number of the first frame
    times_s          (F,)
    seen             (F,) bool, whether the person was found
    keypoints        (F, K, 2)
    keypoint_scores  (F, K)
    scores           (F,)
    corners          (F, 2, 2) of the box
    """

    skeleton: Skeleton
    person: int
    first: int
    times_s: Floats
    seen: NDArray[np.bool_]
    keypoints: Floats
    keypoint_scores: Floats
    scores: Floats
    corners: Floats


def stretches_of(
    frames: Sequence[tuple[float, People]], times_s: Floats, gap_s: float, fewest: int
) -> Iterator[Stretch]:
    """Everybody's stretches, ended by absences of more than `gap_s`; people seen in too few frames have none."""
    sightings: dict[int, list[tuple[int, int]]] = {}
    for frame, (_, people) in enumerate(frames):
        for row, person in enumerate(() if people.ids is None else people.ids.tolist()):
            sightings.setdefault(person, []).append((frame, row))
    for person, places in sorted(sightings.items()):
        if len(places) < fewest:
            continue
        at = np.array(places)
        breaks = np.flatnonzero(np.diff(times_s[at[:, 0]]) > gap_s) + 1
        for part in np.split(at, breaks):
            yield _stretch(frames, times_s, person, part)


def smoothed(stretch: Stretch, gap_s: float, window: int, order: int) -> Stretch:
    """The stretch without gaps, its joints, their scores and its box smoothed.

    A joint that is missing for more than `gap_s`, or at either end, stays missing there: its score is 0.
    """
    times_s, seen = stretch.times_s, stretch.seen
    points = _filled(times_s, stretch.keypoints, seen)
    sure = np.nan_to_num(stretch.keypoint_scores)
    values = np.concatenate([stretch.keypoints, np.where(seen[:, None], sure, np.nan)[..., None]], axis=2)
    result = np.zeros_like(sure)
    for joint in range(sure.shape[1]):
        found = np.flatnonzero(sure[:, joint] > 0)
        breaks = np.flatnonzero(np.diff(times_s[found]) > gap_s) + 1
        for part in np.split(found, breaks) if len(found) else ():
            span = slice(part[0], part[-1] + 1)
            here = np.isin(np.arange(span.start, span.stop), part)
            path = _savgol(times_s[span], _filled(times_s[span], values[span, joint], here), window, order)
            points[span, joint] = path[:, :2]
            result[span, joint] = np.clip(path[:, 2], _LEAST_SCORE, 1)
    corners = _savgol(times_s, _filled(times_s, stretch.corners, seen), window, order)
    scores = _filled(times_s, stretch.scores[:, None], seen)[:, 0]
    return replace(stretch, keypoints=points, keypoint_scores=result, scores=scores, corners=corners)


def _stretch(
    frames: Sequence[tuple[float, People]], times_s: Floats, person: int, places: NDArray[np.int_]
) -> Stretch:  # fmt: skip
    first, last = int(places[0, 0]), int(places[-1, 0])
    skeleton = frames[first][1].skeleton
    count, joints = last - first + 1, len(skeleton)
    keypoints, sure = np.full((count, joints, 2), np.nan), np.full((count, joints), np.nan)
    scores, corners = np.full(count, np.nan), np.full((count, 2, 2), np.nan)
    for frame, row in places.tolist():
        people, at = frames[frame][1], frame - first
        keypoints[at], sure[at] = people.keypoints[row], people.keypoint_scores[row]
        scores[at], corners[at] = people.scores[row], people.boxes_xyxy[row].reshape(2, 2)
    seen = ~np.isnan(scores)
    return Stretch(skeleton, person, first, times_s[first : last + 1], seen, keypoints, sure, scores, corners)


def _filled(times_s: Floats, values: Floats, known: NDArray[np.bool_]) -> Floats:
    """Values (F, ...) with straight lines through what is not known."""
    if known.all():
        return values.copy()
    flat = values.reshape(len(values), -1)
    columns = [np.interp(times_s, times_s[known], column[known]) for column in flat.T]
    return np.stack(columns, axis=1).reshape(values.shape)


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
    return np.stack([np.interp(at_s, times_s, column) for column in flat.T], axis=1).reshape(
        len(at_s), *values.shape[1:]
    )
