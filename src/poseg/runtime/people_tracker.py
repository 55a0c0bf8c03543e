"""Online tracking and smoothing of people in one step: ids, masks and joints.

Every coordinate of every joint passes a One-Euro filter (Casiez et al., CHI 2012), a low-pass filter whose cutoff
frequency grows with speed v, so that a standing person does not jitter and a moving one does not lag:

    f = min_cutoff_hz + beta * |v| / S                                                                        (1)

with S the person's body scale (`geometry.pose_size`), so that near and far people are filtered alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from OneEuroFilter import OneEuroFilter  # type: ignore[import-untyped]

from poseg.errors import VideoError
from poseg.people import People
from poseg.runtime.mask_smoothing import MaskSmoother
from poseg.runtime.tracker import Tracker, body_scales

Floats = NDArray[np.float32]

_RATE_HZ = 25.0  # of the first frame, before there are two time stamps; it has no effect on its result
_START_S = 1.0  # the library takes a time stamp of 0 for none
_MIN_SCORE = 1e-3  # of a detected joint: 0 marks one that was not detected
_RESCALE_RATIO = 1.1  # a person whose scale changed by less keeps the old one


@dataclass(frozen=True, slots=True)
class OneEuroConfig:
    """Settings of the filter.

    min_cutoff_hz         cutoff for a standing person: lower is smoother
    beta                  growth of the cutoff with speed, in hertz per body scale a second: higher lags less
    derivative_cutoff_hz  cutoff for the speed itself
    score_cutoff_hz       cutoff for the scores of joints
    max_gap_s             a joint missing for longer starts a new filter
    """

    min_cutoff_hz: float = 0.7
    beta: float = 0.8
    derivative_cutoff_hz: float = 0.7
    score_cutoff_hz: float = 1.5
    max_gap_s: float = 0.3


@dataclass(slots=True)
class _Signal:
    """The filters of P points of D coordinates; a point has no filters at first.

    in_pixels  whether the cutoff depends on speed
    """

    filters: list[list[OneEuroFilter]]
    seen_s: NDArray[np.float64]
    in_pixels: bool

    @classmethod
    def new(cls, points: int, *, in_pixels: bool = True) -> _Signal:
        return cls([[] for _ in range(points)], np.full(points, -np.inf), in_pixels)


@dataclass(slots=True)
class _PersonFilter:
    """The filters of one person."""

    joints: _Signal
    scores: _Signal
    corners: _Signal
    scale_px: float
    started_s: float
    seen_s: float


@dataclass(slots=True)
class KeypointSmoother:
    """Smooths the joints of frame after frame: `smoother.update(people, time_s)`; people need ids.

    It needs the library OneEuroFilter (the extra `video`). One smoother follows one clip or camera.
    """

    config: OneEuroConfig = field(default_factory=OneEuroConfig)
    _filters: dict[int, _PersonFilter] = field(default_factory=dict, init=False)

    def update(self, people: People, time_s: float) -> People:
        """The same people with smoothed joints, joint scores and boxes, by real time stamps.

        A joint that was not detected (score 0) stays so, and keeps its coordinates. Masks are left as they are
        (`runtime.mask_smoothing`). Raises VideoError for people without ids.
        """
        if people.ids is None:
            raise VideoError("Smoothing needs people with ids; pass them through a Tracker first.")
        gap_s = self.config.max_gap_s
        self._filters = {person: kept for person, kept in self._filters.items() if time_s - kept.seen_s <= gap_s}
        points, scores = people.keypoints.copy(), people.keypoint_scores.copy()
        corners = people.boxes_xyxy.reshape(-1, 2, 2).copy()
        for row, (person, scale_px) in enumerate(zip(people.ids.tolist(), body_scales(people).tolist(), strict=True)):
            filters = self._filters_of(person, points.shape[1], scale_px, time_s)
            detected = np.flatnonzero(scores[row] > 0)
            self._filter(filters.joints, points[row], detected, time_s, filters)
            self._filter(filters.scores, scores[row][:, None], detected, time_s, filters)
            self._filter(filters.corners, corners[row], np.arange(2), time_s, filters)
            scores[row, detected] = np.clip(scores[row, detected], _MIN_SCORE, 1)
        return replace(people, keypoints=points, keypoint_scores=scores, boxes_xyxy=corners.reshape(-1, 4))

    def _filters_of(self, person: int, joints: int, scale_px: float, time_s: float) -> _PersonFilter:
        """The filters of a person, created on demand, with the present scale."""
        filters = self._filters.get(person)
        if filters is None:
            signals = _Signal.new(joints), _Signal.new(joints, in_pixels=False), _Signal.new(2)
            filters = self._filters[person] = _PersonFilter(*signals, scale_px, time_s, time_s)
        filters.seen_s = time_s
        if not 1 / _RESCALE_RATIO < scale_px / filters.scale_px < _RESCALE_RATIO:
            filters.scale_px = scale_px
            for signal in (filters.joints, filters.corners):
                for one in (one for row in signal.filters for one in row):
                    one.setBeta(self.config.beta / scale_px)
        return filters

    def _filter(
        self, signal: _Signal, values: Floats, rows: NDArray[np.intp], time_s: float, person: _PersonFilter
    ) -> None:  # fmt: skip
        """Filter some rows of values (P, D) in place; a row missing for long gets new filters."""
        stamp = _START_S + time_s - person.started_s
        stale = time_s - signal.seen_s > self.config.max_gap_s
        for row in rows.tolist():
            if stale[row]:  # the library's reset would keep the last value and take the jump for speed
                signal.filters[row] = [self._new(signal, person) for _ in range(values.shape[1])]
            pairs = zip(signal.filters[row], values[row].tolist(), strict=True)
            values[row] = [one(value, stamp) for one, value in pairs]
        signal.seen_s[rows] = time_s

    def _new(self, signal: _Signal, person: _PersonFilter) -> OneEuroFilter:
        config = self.config
        if signal.in_pixels:
            beta = config.beta / person.scale_px
            return OneEuroFilter(_RATE_HZ, config.min_cutoff_hz, beta, config.derivative_cutoff_hz)
        return OneEuroFilter(_RATE_HZ, config.score_cutoff_hz, 0.0, config.derivative_cutoff_hz)


@dataclass(slots=True)
class PeopleTracker:
    """Tracks the people of one clip or camera: `tracker.update(people, time_s)` for frame after frame, in order.

    smooth  False only assigns ids

    It needs the extra `video`.
    """

    smooth: bool = True
    tracker: Tracker = field(default_factory=Tracker)
    masks: MaskSmoother = field(default_factory=MaskSmoother)
    keypoints: KeypointSmoother = field(default_factory=KeypointSmoother)

    def update(self, people: People, time_s: float) -> People:
        """The same people, in their order, with ids; smoothed unless `smooth` is False. Raises VideoError."""
        tracked = self.tracker.update(people, time_s)
        if not self.smooth:
            return tracked
        return self.keypoints.update(self.masks.update(tracked, time_s), time_s)
