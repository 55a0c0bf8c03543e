"""COCO's average precision and recall of poses and masks, by the official evaluator.

The matching of results with the truth is kept (`Matching`), so that a bootstrap can weigh pictures anew without
matching again (`metrics.resampled_precision`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pycocotools.cocoeval import COCOeval  # type: ignore[import-untyped]

from poseg.errors import AnnotationError
from poseg.metrics.coco_objects import Kind, Record, result_object, silence, truth_object
from poseg.skeletons import COCO17, Skeleton


@dataclass(frozen=True, slots=True)
class Measure:
    """One of the official numbers: precision or recall, over which thresholds, areas and detections per picture."""

    quantity: Literal["precision", "recall"]
    threshold: float | None = None
    area: str = "all"
    most: int = 20


def _measures(areas: Sequence[str], most: int) -> dict[str, Measure]:
    table = {"AP": Measure("precision", most=most)}
    table |= {f"AP{round(100 * t)}": Measure("precision", t, most=most) for t in (0.5, 0.75)}
    return table | {f"AP{area[0]}": Measure("precision", area=area, most=most) for area in areas}


def _recalls(areas: Sequence[str], most: int) -> dict[str, Measure]:
    return {f"AR{area[0]}": Measure("recall", area=area, most=most) for area in areas}


# In the order in which the evaluator reports them.
MEASURES: dict[Kind, dict[str, Measure]] = {
    "keypoints": {
        **_measures(("medium", "large"), 20),
        "AR": Measure("recall"),
        "AR50": Measure("recall", 0.5),
        "AR75": Measure("recall", 0.75),
        **_recalls(("medium", "large"), 20),
    },
    "masks": {
        **_measures(("small", "medium", "large"), 100),
        **{f"AR{most}": Measure("recall", most=most) for most in (1, 10, 100)},
        **_recalls(("small", "medium", "large"), 100),
    },
}


@dataclass(frozen=True, slots=True, eq=False)
class AreaMatches:
    """What became of the D results of I pictures in one range of areas, surest first, at T thresholds.

    images   (D,) which picture a result belongs to, 0..I-1
    ranks    (D,) its place among the results of its picture, from 0
    hits     (T, D) bool, matched with a person that counts
    counted  (T, D) bool, a hit or a false alarm; the others are ignored
    truths   (I,) int64 people that count
    """

    images: NDArray[np.intp]
    ranks: NDArray[np.intp]
    hits: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    truths: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """Results matched with the truth, and the official numbers.

    kind           "keypoints" or "masks"
    image_ids      the I pictures, ascending
    thresholds     (T,) of OKS or IoU
    recall_points  (R,) where precision is read
    areas          matches by name of the range of areas
    official       AP, AP50, ... in the order of `MEASURES`; -1 where there is nothing to measure
    """

    kind: Kind
    image_ids: tuple[int, ...]
    thresholds: NDArray[np.float64]
    recall_points: NDArray[np.float64]
    areas: Mapping[str, AreaMatches]
    official: Mapping[str, float]


def match(
    truth: Mapping[str, Any] | Any,
    results: Sequence[Record],
    kind: Kind,
    *,
    skeleton: Skeleton = COCO17,
    image_ids: Collection[int] | None = None,
) -> Matching:
    """Match results with ground truth and measure them as COCO does.

    truth      a COCO dictionary, or a pycocotools `COCO`; only the category named person counts
    results    records as in a COCO result file, which may hold keypoints, segmentation and bbox side by side
    kind       "keypoints" (at most 20 people a picture, OKS) or "masks" (at most 100, mask IoU)
    skeleton   its joints and sigmas, for keypoints
    image_ids  the pictures to measure on; all where None

    Raises AnnotationError for records that do not fit, and for a skeleton without sigmas.
    """
    if kind == "keypoints" and not skeleton.sigmas:
        raise AnnotationError(
            f"Skeleton {skeleton.name} has no sigmas, so OKS is not defined for it; "
            "measure PCK instead, or map the people to a skeleton with sigmas such as coco17."
        )
    known = truth_object(truth, kind, len(skeleton), image_ids)
    found = result_object(known, results, kind, len(skeleton))
    official = COCOeval(known, found, "keypoints" if kind == "keypoints" else "segm")
    if kind == "keypoints":
        official.params.kpt_oks_sigmas = np.array(skeleton.sigmas)
    with silence():
        official.evaluate()
        official.accumulate()
        official.summarize()
    settings = official.params
    images = len(settings.imgIds)
    rows = {
        label: official.evalImgs[place * images : (place + 1) * images]
        for place, label in enumerate(settings.areaRngLbl)
    }
    return Matching(
        kind=kind,
        image_ids=tuple(int(number) for number in settings.imgIds),
        thresholds=np.asarray(settings.iouThrs),
        recall_points=np.asarray(settings.recThrs),
        areas={label: _collect(row, len(settings.iouThrs)) for label, row in rows.items()},
        official=dict(zip(MEASURES[kind], (float(value) for value in official.stats), strict=True)),
    )


def _collect(row: Sequence[Mapping[str, Any] | None], thresholds: int) -> AreaMatches:
    """One range of areas, as the evaluator left it for each picture, in the order of its accumulation."""
    places = [place for place, picture in enumerate(row) if picture is not None]
    pictures = [picture for picture in row if picture is not None]
    lengths = [len(picture["dtScores"]) for picture in pictures]
    scores = np.concatenate([np.zeros(0), *(np.asarray(picture["dtScores"], np.float64) for picture in pictures)])
    order = np.argsort(-scores, kind="stable")
    none = np.zeros((thresholds, 0), np.bool_)
    matched = np.concatenate([none, *(picture["dtMatches"] != 0 for picture in pictures)], axis=1)
    ignored = np.concatenate([none, *(picture["dtIgnore"].astype(np.bool_) for picture in pictures)], axis=1)
    truths = np.zeros(len(row), np.int64)
    truths[places] = [np.count_nonzero(np.asarray(picture["gtIgnore"]) == 0) for picture in pictures]
    ranks = np.concatenate([np.zeros(0, np.intp), *(np.arange(length) for length in lengths)])
    return AreaMatches(
        images=np.repeat(np.array(places, np.intp), lengths)[order],
        ranks=ranks[order],
        hits=(matched & ~ignored)[:, order],
        counted=~ignored[:, order],
        truths=truths,
    )
