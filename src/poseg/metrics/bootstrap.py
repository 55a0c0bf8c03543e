"""Bootstrap over images: how much a score depends on the images it was measured on.

Images are drawn with replacement, as a whole, since the people of one image are not independent. COCO's numbers are
resampled without matching again: an image drawn w times counts its people and results w times, and with results
sorted by score, cumulative sums of the weights are all that precision and recall need. With weights of 1 the numbers
are those of the official evaluator. Letters: I images, B resamples, T thresholds, D results.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.errors import AnnotationError, ShapeError
from poseg.metrics.average_precision import MEASURES, AreaMatches, Matching

ResampleCounts = NDArray[np.int64]

_CELLS = 4_000_000  # resamples x results at a time: keeps an array near 32 MB


def image_counts(rng: np.random.Generator, images: int, resamples: int = 1000) -> ResampleCounts:
    """(resamples, images) how often each image is drawn; every row sums to `images`."""
    if images == 0:
        return np.zeros((resamples, 0), np.int64)
    return rng.multinomial(images, np.full(images, 1 / images), size=resamples).astype(np.int64)


def percentile_interval(values: ArrayLike, coverage: float = 0.95) -> tuple[float, float] | None:
    """The central `coverage` of the resampled values (B,); NaN values are left out, None if all are NaN."""
    finite = np.asarray(values, np.float64)
    finite = finite[~np.isnan(finite)]
    if not len(finite):
        return None
    tail = 50 * (1 - coverage)
    low, high = np.percentile(finite, [tail, 100 - tail])
    return float(low), float(high)


def bootstrap_ap(
    matching: Matching, counts: ResampleCounts, names: Iterable[str] = ("AP",)
) -> dict[str, NDArray[np.float64]]:
    """Official numbers of B resamples, each (B,); NaN for resamples without people.

    counts (B, I): how often each image of `matching.image_ids` is drawn. names: keys of `MEASURES`.
    """
    if counts.ndim != 2 or counts.shape[1] != len(matching.image_ids):
        raise ShapeError("counts", expected=("B", len(matching.image_ids)), got=counts.shape)
    table = MEASURES[matching.kind]
    chosen = tuple(names)
    for name in chosen:
        if name not in table:
            raise AnnotationError(f"There is no number {name!r} for {matching.kind}; choose from {', '.join(table)}.")
    curves = {
        (area, limit): _curves(matching, matching.areas[area], counts, limit)
        for area, limit in {(table[name].area, table[name].max_detections) for name in chosen}
    }
    numbers = {}
    for name in chosen:
        measure = table[name]
        rows = curves[measure.area, measure.max_detections][0 if measure.quantity == "precision" else 1]
        if measure.threshold is not None:
            rows = rows[np.isclose(matching.thresholds, measure.threshold)]
        numbers[name] = rows.mean(axis=0)
    return numbers


def _curves(
    matching: Matching, area: AreaMatches, counts: ResampleCounts, max_detections: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision averaged over the recall points, and final recall: each (T, B)."""
    kept = area.ranks < max_detections
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

    Precision peaks at hits only, so the curve goes from hit to hit. A recall point r reads the first hit
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
