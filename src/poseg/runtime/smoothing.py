"""Joints that do not shake: a One-Euro filter for every coordinate of every person (Casiez et al., CHI 2012).

The filter averages over a time that shrinks with speed v, so that who stands still does not shake and who moves is not
left behind. Its cutoff frequency is

    f = least_hz + gain * |v| / S                                                                             (1)

with S the person's scale (`runtime.body_scale`), so that near and far people are filtered alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from OneEuroFilter import OneEuroFilter  # type: ignore[import-untyped]

from poseg.errors import VideoError
from poseg.people import People
from poseg.runtime.body_scale import body_scales

Floats = NDArray[np.float32]

_RATE_HZ = 25.0  # of the first frame, before there are two time stamps; it has no effect on its result
_START_S = 1.0  # the library takes a time stamp of 0 for none
_LEAST_SCORE = 1e-3  # of a joint that was found: 0 says that it was not
_RESCALED = 1.1  # a person who grew by less is measured as before


@dataclass(frozen=True, slots=True)
class Smoothing:
    """Choices of the filter.

    least_hz     cutoff for who stands still: lower is steadier
    gain         how fast the cutoff grows with speed, in hertz for each body scale a second: higher lags less
    speed_hz     cutoff for the speed itself
    score_hz     cutoff for the scores of joints
    gap_s        a joint that was away for longer starts anew
    """

    least_hz: float = 0.7
    gain: float = 0.8
    speed_hz: float = 0.7
    score_hz: float = 1.5
    gap_s: float = 0.3


@dataclass(slots=True)
class _Signal:
    """Numbers of one kind that are filtered together: P points of D coordinates; a point has no filters at first.

    in_pixels  whether speed counts
    """

    filters: list[list[OneEuroFilter]]
    seen_s: NDArray[np.float64]
    in_pixels: bool

    @classmethod
    def new(cls, points: int, *, in_pixels: bool = True) -> _Signal:
        return cls([[] for _ in range(points)], np.full(points, -np.inf), in_pixels)


@dataclass(slots=True)
class _Body:
    """The filters of one person."""

    joints: _Signal
    scores: _Signal
    corners: _Signal
    scale_px: float
    started_s: float
    seen_s: float


@dataclass(slots=True)
class Smoother:
    """Steadies the people of frame after frame: `smoother.update(people, time_s)`; people need ids.

    It needs the library OneEuroFilter (the extra `video`). One smoother follows one clip or camera.
    """

    choices: Smoothing = field(default_factory=Smoothing)
    _bodies: dict[int, _Body] = field(default_factory=dict, init=False)

    def update(self, people: People, time_s: float) -> People:
        """The same people with joints, their scores and boxes steadied, by real time stamps.

        A joint that was not found (score 0) stays so, and keeps its coordinates. Masks are left as they are
        (`runtime.steady_masks`). Raises VideoError for people without ids.
        """
        if people.ids is None:
            raise VideoError("People are steadied by their ids and have none; give them to a Tracker first.")
        gap_s = self.choices.gap_s
        self._bodies = {person: body for person, body in self._bodies.items() if time_s - body.seen_s <= gap_s}
        points, scores = people.keypoints.copy(), people.keypoint_scores.copy()
        corners = people.boxes_xyxy.reshape(-1, 2, 2).copy()
        for row, (person, scale_px) in enumerate(zip(people.ids.tolist(), body_scales(people).tolist(), strict=True)):
            body = self._body(person, points.shape[1], scale_px, time_s)
            found = np.flatnonzero(scores[row] > 0)
            self._filter(body.joints, points[row], found, time_s, body)
            self._filter(body.scores, scores[row][:, None], found, time_s, body)
            self._filter(body.corners, corners[row], np.arange(2), time_s, body)
            scores[row, found] = np.clip(scores[row, found], _LEAST_SCORE, 1)
        return replace(people, keypoints=points, keypoint_scores=scores, boxes_xyxy=corners.reshape(-1, 4))

    def _body(self, person: int, joints: int, scale_px: float, time_s: float) -> _Body:
        """The filters of a person, new where there are none; told where the scale changed."""
        body = self._bodies.get(person)
        if body is None:
            signals = _Signal.new(joints), _Signal.new(joints, in_pixels=False), _Signal.new(2)
            body = self._bodies[person] = _Body(*signals, scale_px, time_s, time_s)
        body.seen_s = time_s
        if not 1 / _RESCALED < scale_px / body.scale_px < _RESCALED:
            body.scale_px = scale_px
            for signal in (body.joints, body.corners):
                for one in (one for row in signal.filters for one in row):
                    one.setBeta(self.choices.gain / scale_px)
        return body

    def _filter(
        self, signal: _Signal, values: Floats, which: NDArray[np.intp], time_s: float, body: _Body
    ) -> None:  # fmt: skip
        """Filter the rows `which` of values (P, D) in place; a row that was away for long starts anew."""
        stamp = _START_S + time_s - body.started_s
        stale = time_s - signal.seen_s > self.choices.gap_s
        for place in which.tolist():
            if stale[place]:  # not the library's reset, which keeps the last value and takes the jump for speed
                signal.filters[place] = [self._new(signal, body) for _ in range(values.shape[1])]
            filters, row = signal.filters[place], values[place].tolist()
            values[place] = [one(value, stamp) for one, value in zip(filters, row, strict=True)]
        signal.seen_s[which] = time_s

    def _new(self, signal: _Signal, body: _Body) -> OneEuroFilter:
        chosen = self.choices
        if signal.in_pixels:
            return OneEuroFilter(_RATE_HZ, chosen.least_hz, chosen.gain / body.scale_px, chosen.speed_hz)
        return OneEuroFilter(_RATE_HZ, chosen.score_hz, 0.0, chosen.speed_hz)
