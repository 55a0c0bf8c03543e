"""A measured number with its count, its interval and its protocol: what every metric of joints gives back.

Sums are kept by picture, since pictures are what a bootstrap draws. Letters: N people in I pictures, M columns
(joints or sticks), B resamples, T thresholds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.errors import ShapeError
from poseg.metrics.bootstrap import percentile_interval

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Draws = NDArray[np.int64]
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Measured:
    """A mean: its value (NaN where nothing was counted), over how many items, and its 95 % bootstrap interval."""

    value: float
    count: int
    interval: Interval | None = None

    def to_plain(self) -> dict[str, Any]:
        """Ready for JSON; null stands for NaN."""
        return {
            "value": _plain(self.value),
            "count": self.count,
            "interval": None if self.interval is None else list(self.interval),
        }


@dataclass(frozen=True, slots=True)
class Curve:
    """A share by threshold, T values each; the band is the 95 % bootstrap interval, NaN where there is none."""

    thresholds: tuple[float, ...]
    values: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def to_plain(self) -> dict[str, Any]:
        """Ready for JSON; null stands for NaN."""
        return {name: [_plain(value) for value in getattr(self, name)] for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Score:
    """What one metric says.

    name          short, with its threshold and normaliser: "PCK@0.2 by torso"
    unit          "share" (0 to 1) or "mm"
    overall       over all joints (or sticks) counted, each with the same weight
    parts         by joint or stick
    groups        left and right together
    protocol      definition, normaliser, threshold, joints, root, alignment, and how missing people count
    threshold     at most which a share is taken; None for means
    curve, auc    where the metric has a threshold: the curve over thresholds, and its mean
    group_curves  the curves of `groups`, without bands
    """

    name: str
    unit: str
    overall: Measured
    parts: Mapping[str, Measured]
    groups: Mapping[str, Measured]
    protocol: str
    threshold: float | None = None
    curve: Curve | None = None
    auc: Measured | None = None
    group_curves: Mapping[str, Curve] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """Ready for JSON."""
        plain: dict[str, Any] = {"name": self.name, "unit": self.unit, "protocol": self.protocol}
        plain["overall"] = self.overall.to_plain()
        plain["parts"] = {name: part.to_plain() for name, part in self.parts.items()}
        plain["groups"] = {name: group.to_plain() for name, group in self.groups.items()}
        if self.curve is not None:
            plain["threshold"] = self.threshold
            plain["curve"] = self.curve.to_plain()
            plain["group_curves"] = {name: curve.to_plain() for name, curve in self.group_curves.items()}
        if self.auc is not None:
            plain["auc"] = self.auc.to_plain()
        return plain


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """Single values before they are averaged.

    values    (N, M) float64, NaN where nothing is counted
    names     of the M columns
    groups    columns that are also reported together, by name
    picture   (N,) of which picture each row is
    pictures  I
    """

    values: Floats
    names: tuple[str, ...]
    groups: Mapping[str, Sequence[int]]
    picture: NDArray[np.int64]
    pictures: int

    def selections(self) -> Floats:
        """(M, 1 + M + G) of 0 and 1: all columns, each alone, each group."""
        each = np.eye(len(self.names))
        groups = [each[:, list(columns)].sum(axis=1) for columns in self.groups.values()]
        return np.stack([np.ones(len(self.names)), *each, *groups], axis=1)

    def by_picture(self, values: Floats | Bools) -> Floats:
        """(I, M) sums over the people of each picture; values (N, M) without NaN."""
        sums = np.zeros((self.pictures, len(self.names)))
        np.add.at(sums, self.picture, values)
        return sums

    def share(self, measured: Sequence[Measured]) -> tuple[Measured, dict[str, Measured], dict[str, Measured]]:
        """Results of all selections as overall, parts and groups; columns in which nothing is counted are left out."""
        m = len(self.names)
        parts = dict(zip(self.names, measured[1 : m + 1], strict=True))
        groups = dict(zip(self.groups, measured[m + 1 :], strict=True))
        return measured[0], _counted(parts), _counted(groups)


def averaged(
    items: Items, *, name: str, unit: str, protocol: str, draws: Draws | None
) -> Score:  # fmt: skip
    """The score that is the mean of values. draws (B, I): how often each resample draws each picture."""
    known, chosen = np.isfinite(items.values), items.selections()
    counts = items.by_picture(known) @ chosen
    sums = items.by_picture(np.where(known, items.values, 0)) @ chosen
    overall, parts, groups = items.share(_ratios(sums, counts, draws))
    return Score(name, unit, overall, parts, groups, protocol)


def within(
    items: Items, threshold: float, thresholds: Floats, *, name: str, protocol: str, draws: Draws | None
) -> Score:  # fmt: skip
    """The score that is the share of values at most `threshold`, with its curve over `thresholds` (T,) and its mean.

    Infinite values count and are never within. draws (B, I) as in `averaged`.
    """
    chosen = items.selections()
    counts = items.by_picture(~np.isnan(items.values)) @ chosen
    hits = np.stack([items.by_picture(items.values <= limit) for limit in thresholds], axis=1) @ chosen
    right = items.by_picture(items.values <= threshold) @ chosen
    overall, parts, groups = items.share(_ratios(right, counts, draws))
    curve, auc = _curve(hits[..., 0], counts[:, :1], thresholds, draws)
    first = 1 + len(items.names)
    group_curves = {
        group: _curve(hits[..., column], counts[:, [column]], thresholds, None)[0]
        for column, group in enumerate(items.groups, start=first)
        if group in groups
    }
    return Score(name, "share", overall, parts, groups, protocol, threshold, curve, auc, group_curves)


def _ratios(sums: Floats, counts: Floats, draws: Draws | None) -> list[Measured]:
    """Sums over counts of each column, (I, Q) each, with intervals."""
    values = _divided(sums.sum(axis=0), counts.sum(axis=0))
    resampled = _resampled(sums, counts, draws)
    return [
        Measured(float(value), int(count), None if resampled is None else percentile_interval(resampled[:, column]))
        for column, (value, count) in enumerate(zip(values, counts.sum(axis=0), strict=True))
    ]


def _curve(hits: Floats, counts: Floats, thresholds: Floats, draws: Draws | None) -> tuple[Curve, Measured]:
    """The curve of hits (I, T) out of counts (I, 1), and its mean over the thresholds."""
    values = _divided(hits.sum(axis=0), counts.sum(axis=0))
    low = high = np.full(len(thresholds), np.nan)
    interval = None
    resampled = _resampled(hits, counts, draws)
    if resampled is not None:
        interval = percentile_interval(resampled.mean(axis=1))
        known = resampled[~np.isnan(resampled[:, 0])]  # all of a row is NaN, or nothing
        if len(known):
            low, high = np.percentile(known, (2.5, 97.5), axis=0)
    curve = Curve(*(tuple(row.tolist()) for row in (thresholds, values, low, high)))
    return curve, Measured(float(values.mean()), int(counts.sum()), interval)


def _resampled(sums: Floats, counts: Floats, draws: Draws | None) -> Floats | None:
    """(B, Q) ratios of resamples, NaN where one drew nothing; None without draws."""
    if draws is None:
        return None
    if draws.ndim != 2 or draws.shape[1] != len(sums):
        raise ShapeError("draws", expected=("B", len(sums)), got=draws.shape)
    weights = draws.astype(np.float64)
    return _divided(weights @ sums, weights @ counts)


def _divided(sums: Floats, counts: Floats) -> Floats:
    counts = np.broadcast_to(counts, sums.shape)
    return np.asarray(np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0))


def _counted(parts: Mapping[str, Measured]) -> dict[str, Measured]:
    return {name: part for name, part in parts.items() if part.count}


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else value
