"""A score with its count, its interval and its protocol: the result of all metrics of joints.

Sums are kept by image, since images are what a bootstrap draws. Letters: N people on I images, M columns (joints or
limbs), B resamples, T thresholds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.errors import ShapeError
from poseg.metrics.bootstrap import ResampleCounts, percentile_interval

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean: its value (NaN without items), the number of items, and its 95 % bootstrap interval."""

    value: float
    count: int
    interval: Interval | None = None

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; null stands for NaN."""
        interval = None if self.interval is None else list(self.interval)
        return {"value": _null_for_nan(self.value), "count": self.count, "interval": interval}


@dataclass(frozen=True, slots=True)
class Curve:
    """A fraction by threshold, T values each; low and high bound the 95 % bootstrap interval, NaN without one."""

    thresholds: tuple[float, ...]
    values: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; null stands for NaN."""
        return {name: [_null_for_nan(value) for value in getattr(self, name)] for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Score:
    """The result of one metric.

    name          short, with its threshold and normaliser: "PCK@0.2 by torso"
    unit          "fraction" (0 to 1) or "mm"
    overall       over all joints (or limbs) that count, each with the same weight
    parts         by joint or limb
    groups        left and right together
    protocol      definition, normaliser, threshold, joints, root, alignment, and how missing people count
    threshold     maximum for a fraction; None for means
    curve, auc    of metrics with a threshold: the curve over thresholds, and its mean
    group_curves  the curves of `groups`, without intervals
    """

    name: str
    unit: str
    overall: Estimate
    parts: Mapping[str, Estimate]
    groups: Mapping[str, Estimate]
    protocol: str
    threshold: float | None = None
    curve: Curve | None = None
    auc: Estimate | None = None
    group_curves: Mapping[str, Curve] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        record: dict[str, Any] = {"name": self.name, "unit": self.unit, "protocol": self.protocol}
        record["overall"] = self.overall.to_dict()
        record["parts"] = {name: part.to_dict() for name, part in self.parts.items()}
        record["groups"] = {name: group.to_dict() for name, group in self.groups.items()}
        if self.curve is not None:
            record["threshold"] = self.threshold
            record["curve"] = self.curve.to_dict()
            record["group_curves"] = {name: curve.to_dict() for name, curve in self.group_curves.items()}
        if self.auc is not None:
            record["auc"] = self.auc.to_dict()
        return record


@dataclass(frozen=True, slots=True, eq=False)
class PerItem:
    """Single values before they are averaged.

    values       (N, M) float64, NaN where they do not count
    names        of the M columns
    groups       columns that are also reported together, by name
    image_index  (N,) the image of each row
    num_images   I
    """

    values: Floats
    names: tuple[str, ...]
    groups: Mapping[str, Sequence[int]]
    image_index: NDArray[np.int64]
    num_images: int

    def selections(self) -> Floats:
        """(M, 1 + M + G) of 0 and 1: all columns, each alone, each group."""
        each = np.eye(len(self.names))
        groups = [each[:, list(columns)].sum(axis=1) for columns in self.groups.values()]
        return np.stack([np.ones(len(self.names)), *each, *groups], axis=1)

    def by_image(self, values: Floats | Bools) -> Floats:
        """(I, M) sums over the people of each image; values (N, M) without NaN."""
        sums = np.zeros((self.num_images, len(self.names)))
        np.add.at(sums, self.image_index, values)
        return sums

    def split(self, estimates: Sequence[Estimate]) -> tuple[Estimate, dict[str, Estimate], dict[str, Estimate]]:
        """Estimates of all selections as overall, parts and groups, without empty columns."""
        m = len(self.names)
        parts = dict(zip(self.names, estimates[1 : m + 1], strict=True))
        groups = dict(zip(self.groups, estimates[m + 1 :], strict=True))
        return estimates[0], _nonempty(parts), _nonempty(groups)


def mean_score(items: PerItem, *, name: str, unit: str, protocol: str, draws: ResampleCounts | None) -> Score:
    """The mean of values. draws (B, I): how often each resample draws each image."""
    finite, selections = np.isfinite(items.values), items.selections()
    counts = items.by_image(finite) @ selections
    sums = items.by_image(np.where(finite, items.values, 0)) @ selections
    overall, parts, groups = items.split(_estimates(sums, counts, draws))
    return Score(name, unit, overall, parts, groups, protocol)


def threshold_score(
    items: PerItem, threshold: float, thresholds: Floats, *, name: str, protocol: str, draws: ResampleCounts | None
) -> Score:
    """The fraction of values that do not exceed `threshold`, with its curve over `thresholds` (T,) and the AUC.

    Infinite values count and exceed every threshold. draws (B, I) as in `mean_score`.
    """
    selections = items.selections()
    counts = items.by_image(~np.isnan(items.values)) @ selections
    hits = np.stack([items.by_image(items.values <= limit) for limit in thresholds], axis=1) @ selections
    correct = items.by_image(items.values <= threshold) @ selections
    overall, parts, groups = items.split(_estimates(correct, counts, draws))
    curve, auc = _curve(hits[..., 0], counts[:, :1], thresholds, draws)
    first = 1 + len(items.names)
    group_curves = {
        group: _curve(hits[..., column], counts[:, [column]], thresholds, None)[0]
        for column, group in enumerate(items.groups, start=first)
        if group in groups
    }
    return Score(name, "fraction", overall, parts, groups, protocol, threshold, curve, auc, group_curves)


def _estimates(sums: Floats, counts: Floats, draws: ResampleCounts | None) -> list[Estimate]:
    """Sums over counts of each column, (I, Q) each, with intervals."""
    values = _ratios(sums.sum(axis=0), counts.sum(axis=0))
    resampled = _resampled(sums, counts, draws)
    return [
        Estimate(float(value), int(count), None if resampled is None else percentile_interval(resampled[:, column]))
        for column, (value, count) in enumerate(zip(values, counts.sum(axis=0), strict=True))
    ]


def _curve(hits: Floats, counts: Floats, thresholds: Floats, draws: ResampleCounts | None) -> tuple[Curve, Estimate]:
    """The curve of hits (I, T) out of counts (I, 1), and its mean over the thresholds."""
    values = _ratios(hits.sum(axis=0), counts.sum(axis=0))
    low = high = np.full(len(thresholds), np.nan)
    interval = None
    resampled = _resampled(hits, counts, draws)
    if resampled is not None:
        interval = percentile_interval(resampled.mean(axis=1))
        nonempty = resampled[~np.isnan(resampled[:, 0])]  # a row is all NaN or has none
        if len(nonempty):
            low, high = np.percentile(nonempty, (2.5, 97.5), axis=0)
    curve = Curve(*(tuple(row.tolist()) for row in (thresholds, values, low, high)))
    return curve, Estimate(float(values.mean()), int(counts.sum()), interval)


def _resampled(sums: Floats, counts: Floats, draws: ResampleCounts | None) -> Floats | None:
    """(B, Q) ratios of resamples, NaN for empty ones; None without draws."""
    if draws is None:
        return None
    if draws.ndim != 2 or draws.shape[1] != len(sums):
        raise ShapeError("draws", expected=("B", len(sums)), got=draws.shape)
    weights = draws.astype(np.float64)
    return _ratios(weights @ sums, weights @ counts)


def _ratios(sums: Floats, counts: Floats) -> Floats:
    counts = np.broadcast_to(counts, sums.shape)
    return np.asarray(np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0))


def _nonempty(parts: Mapping[str, Estimate]) -> dict[str, Estimate]:
    return {name: part for name, part in parts.items() if part.count}


def _null_for_nan(value: float) -> float | None:
    return None if np.isnan(value) else value
