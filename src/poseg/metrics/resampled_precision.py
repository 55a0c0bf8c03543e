"""COCO's numbers on resampled pictures, without matching again.

A picture drawn w times counts its people and its results w times. With results sorted by score, cumulative sums of
the weights are all that precision and recall need, so B resamples are B rows of one array. With weights of 1 the
numbers are those of the official evaluator.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from poseg.errors import AnnotationError, ShapeError
from poseg.metrics.average_precision import MEASURES, AreaMatches, Matching

_CELLS = 4_000_000  # resamples x results at a time: keeps an array near 32 MB


def resampled(
    matching: Matching, counts: NDArray[np.int64], names: Iterable[str] = ("AP",)
) -> dict[str, NDArray[np.float64]]:
    """Numbers of B resamples, each (B,); NaN where a resample has nothing to measure.

    counts (B, I): how often each picture of `matching.image_ids` is drawn. names: keys of `MEASURES`.
    """
    if counts.ndim != 2 or counts.shape[1] != len(matching.image_ids):
        raise ShapeError("counts", expected=("B", len(matching.image_ids)), got=counts.shape)
    table = MEASURES[matching.kind]
    wanted = tuple(names)
    for name in wanted:
        if name not in table:
            raise AnnotationError(f"There is no number {name!r} for {matching.kind}; choose from {', '.join(table)}.")
    curves = {
        (area, most): _curves(matching, matching.areas[area], counts, most)
        for area, most in {(table[name].area, table[name].most) for name in wanted}
    }
    numbers = {}
    for name in wanted:
        measure = table[name]
        rows = curves[measure.area, measure.most][0 if measure.quantity == "precision" else 1]
        if measure.threshold is not None:
            rows = rows[np.isclose(matching.thresholds, measure.threshold)]
        numbers[name] = rows.mean(axis=0)
    return numbers


def _curves(
    matching: Matching, area: AreaMatches, counts: NDArray[np.int64], most: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision averaged over the recall points, and recall in the end: each (T, B)."""
    kept = area.ranks < most
    images, hits, counted = area.images[kept], area.hits[:, kept], area.counted[:, kept]
    precision = np.full((len(hits), len(counts)), np.nan)
    recall = precision.copy()
    step = max(1, _CELLS // max(1, len(images)))
    for start in range(0, len(counts), step):
        rows = slice(start, start + step)
        truths = (counts[rows] @ area.truths).astype(np.float64)
        weights = counts[rows][:, images].astype(np.float64)
        for t in range(len(hits)):
            average, final = _one_curve(weights, truths, hits[t], counted[t], matching.recall_points)
            precision[t, rows] = np.where(truths > 0, average, np.nan)
            recall[t, rows] = np.where(truths > 0, final, np.nan)
    return precision, recall


def _one_curve(
    weights: NDArray[np.float64],
    truths: NDArray[np.float64],
    hits: NDArray[np.bool_],
    counted: NDArray[np.bool_],
    recall_points: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Average precision and final recall (B,) of weights (B, D) at one threshold.

    Precision peaks at hits only, so the curve is followed from hit to hit. A recall point r reads the first hit
    with recall >= r: hit j serves the points in (recall[j - 1], recall[j]].
    """
    if not hits.any():
        return np.zeros(len(weights)), np.zeros(len(weights))
    true_hits = np.cumsum(weights[:, hits], axis=1)
    so_far = np.cumsum(weights[:, counted], axis=1)[:, hits[counted]]
    recall = true_hits / np.maximum(truths, 1)[:, None]
    precision = true_hits / (so_far + np.spacing(1))
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    reached = np.searchsorted(recall_points, recall, side="right")
    served = np.diff(reached, axis=1, prepend=0)
    return (envelope * served).sum(axis=1) / len(recall_points), recall[:, -1]
