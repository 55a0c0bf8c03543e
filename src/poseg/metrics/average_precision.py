"""COCO's average precision and recall of poses and masks, by the official evaluator.

The matching of results with ground truth is kept (`Matching`), so that a bootstrap can reweight images without
matching again (`metrics.bootstrap`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pycocotools.cocoeval import COCOeval  # type: ignore[import-untyped]

from poseg.errors import AnnotationError
from poseg.metrics.coco_objects import Kind, Record, coco_ground_truth, coco_results, suppress_stdout
from poseg.skeletons import COCO17, Skeleton


@dataclass(frozen=True, slots=True)
class Measure:
    """One of the official numbers: precision or recall, and its thresholds, areas and maximum detections per image."""

    quantity: Literal["precision", "recall"]
    threshold: float | None = None
    area: str = "all"
    max_detections: int = 20


def _measures(areas: Sequence[str], max_detections: int) -> dict[str, Measure]:
    table = {"AP": Measure("precision", max_detections=max_detections)}
    table |= {f"AP{round(100 * t)}": Measure("precision", t, max_detections=max_detections) for t in (0.5, 0.75)}
    return table | {f"AP{area[0]}": Measure("precision", area=area, max_detections=max_detections) for area in areas}


def _recalls(areas: Sequence[str], max_detections: int) -> dict[str, Measure]:
    return {f"AR{area[0]}": Measure("recall", area=area, max_detections=max_detections) for area in areas}


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
        **{f"AR{count}": Measure("recall", max_detections=count) for count in (1, 10, 100)},
        **_recalls(("small", "medium", "large"), 100),
    },
}


@dataclass(frozen=True, slots=True, eq=False)
class AreaMatches:
    """Matches of the D results on I images in one range of areas, by descending score, at T thresholds.

    images   (D,) image of each result, 0..I-1
    ranks    (D,) rank among the results of its image, from 0
    hits     (T, D) bool, true positives
    counted  (T, D) bool, true and false positives; the others are ignored
    truths   (I,) int64 people that count
    """

    images: NDArray[np.intp]
    ranks: NDArray[np.intp]
    hits: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    truths: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """Results matched with ground truth, and the official numbers.

    kind           "keypoints" or "masks"
    image_ids      of the I images, ascending
    thresholds     (T,) of OKS or IoU
    recall_points  (R,) where precision is sampled
    areas          matches by name of the range of areas
    official       AP, AP50, ... in the order of `MEASURES`; -1 without people
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
    """Match results with ground truth and evaluate them as COCO does.

    truth      a COCO dictionary, or a pycocotools `COCO`; only the category named person counts
    results    records as in a COCO result file, which may hold keypoints, segmentation and bbox side by side
    kind       "keypoints" (at most 20 people per image, OKS) or "masks" (at most 100, mask IoU)
    skeleton   its joints and sigmas, for keypoints
    image_ids  images to evaluate on; all where None

    Raises AnnotationError for records that do not fit, and for a skeleton without sigmas.
    """
    if kind == "keypoints" and not skeleton.sigmas:
        raise AnnotationError(
            f"Skeleton {skeleton.name} has no sigmas, so OKS is not defined for it; "
            "evaluate PCK instead, or map the people to a skeleton with sigmas such as coco17."
        )
    annotated = coco_ground_truth(truth, kind, len(skeleton), image_ids)
    detected = coco_results(annotated, results, kind, len(skeleton))
    official = COCOeval(annotated, detected, "keypoints" if kind == "keypoints" else "segm")
    if kind == "keypoints":
        official.params.kpt_oks_sigmas = np.array(skeleton.sigmas)
    with suppress_stdout():
        official.evaluate()
        official.accumulate()
        official.summarize()
    settings = official.params
    images = len(settings.imgIds)
    rows = {
        label: official.evalImgs[index * images : (index + 1) * images]
        for index, label in enumerate(settings.areaRngLbl)
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
    """One range of areas from the evaluator's records of each image, in the order of its accumulation."""
    indices = [index for index, image in enumerate(row) if image is not None]
    images = [image for image in row if image is not None]
    lengths = [len(image["dtScores"]) for image in images]
    scores = np.concatenate([np.zeros(0), *(np.asarray(image["dtScores"], np.float64) for image in images)])
    order = np.argsort(-scores, kind="stable")
    none = np.zeros((thresholds, 0), np.bool_)
    matched = np.concatenate([none, *(image["dtMatches"] != 0 for image in images)], axis=1)
    ignored = np.concatenate([none, *(image["dtIgnore"].astype(np.bool_) for image in images)], axis=1)
    truths = np.zeros(len(row), np.int64)
    truths[indices] = [np.count_nonzero(np.asarray(image["gtIgnore"]) == 0) for image in images]
    ranks = np.concatenate([np.zeros(0, np.intp), *(np.arange(length) for length in lengths)])
    return AreaMatches(
        images=np.repeat(np.array(indices, np.intp), lengths)[order],
        ranks=ranks[order],
        hits=(matched & ~ignored)[:, order],
        counted=~ignored[:, order],
        truths=truths,
    )
