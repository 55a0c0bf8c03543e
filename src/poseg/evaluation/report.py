"""A model against a COCO data set: AP and AR of poses and masks, person IoU, time, and bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.errors import AnnotationError
from poseg.evaluation.ground_truth import GroundTruth, load_ground_truth, read_images
from poseg.io.coco_results import coco_results
from poseg.io.files import read_json
from poseg.metrics.average_precision import MEASURES, Matching, match
from poseg.metrics.bootstrap import bootstrap_ap, image_counts, percentile_interval
from poseg.metrics.coco_objects import Kind
from poseg.metrics.iou import Overlap, intersection_and_union
from poseg.people import People

NOT_APPLICABLE = -1.0  # COCO's number where there is nothing to measure
CARD_METRICS = ("keypoints.AP", "masks.AP", "person_iou")
PROVIDED = ("ground truth", "results")  # how reports begin to name poses that the model did not predict
IN_BOXES = "made by"  # and those that it predicted in provided boxes, without masks

Interval = tuple[float, float]

# Anything that predicts people, or masks of provided people: (H, W, 3) uint8 RGB, and perhaps People, in; People in
# pixels of the image out.
Model = Callable[..., People]


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """The scores of a model.

    keypoints, masks  COCO's 10 and 12 numbers by name; -1 where there is nothing to measure
    person_iou        predicted against annotated person pixels, over all images, crowds left out; -1 likewise
    images            images evaluated
    persons           people annotated in them, crowds left out
    num_detected      people that the model detected
    num_missing       images without people that the data set lists and that do not lie on disk
    ms                mean milliseconds an image: preprocess, inference, postprocess as the model states them (None
                      where it does not), and their total, or else the time of the call. The first image is run once
                      more beforehand, uncounted
    intervals         95 % bootstrap intervals over images: "keypoints.AP", "masks.AP", ..., "person_iou"
    data              the annotation file
    keypoints_only    people without annotated joints were ignored
    results           COCO results of all detections
    description       that of the annotation file
    left_out          images that could not be read and are not counted, with the reason
    """

    keypoints: Mapping[str, float]
    masks: Mapping[str, float]
    person_iou: float
    images: int
    persons: int
    num_detected: int
    num_missing: int
    ms: Mapping[str, float | None]
    intervals: Mapping[str, Interval]
    data: str
    keypoints_only: bool = False
    results: tuple[Mapping[str, Any], ...] = ()
    description: str = ""
    left_out: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """All fields but the results, ready for JSON."""
        fields = asdict(replace(self, results=()))
        intervals = {name: list(interval) for name, interval in self.intervals.items()}
        lists = {"intervals": intervals, "left_out": list(self.left_out)}
        return {name: value for name, value in fields.items() if name != "results"} | lists


@dataclass(frozen=True, slots=True, eq=False)
class _ImageResult:
    """Results of one image: COCO records, pixels of intersection and union of persons, milliseconds by stage."""

    size: tuple[int, int]
    records: list[dict[str, Any]]
    intersection: int
    union: int
    ms: Mapping[str, float | None]


def evaluate(
    model: Model,
    data: str | Path,
    images: str | Path,
    *,
    progress: Callable[[int, int], None] | None = None,
    limit: int | None = None,
    resamples: int = 1000,
    seed: int = 0,
    people: Mapping[int, People] | None = None,
    keypoints_only: bool = False,
) -> EvaluationReport:
    """Run a model over a COCO data set and measure it.

    data            COCO annotation file, plain or .gz
    images          folder of its images; missing ones are left out where they show no people
    progress        called with (done, all) after each image
    limit           the first images only
    resamples       of the bootstrap, drawn with `seed`
    people          people by image id, for a model that takes them; images without an entry have none
    keypoints_only  only people with annotated joints count and the others are ignored, as in COCOPersons

    People are remapped to the skeleton of the data set by the names of the joints. Images that cannot be read are left
    out and named in the report. Raises AnnotationError and ImageError for data that cannot be used, and whatever the
    model raises.
    """
    truth = load_ground_truth(data, images, limit, keypoints_only=keypoints_only)
    results: dict[int, _ImageResult] = {}
    left_out = list(truth.left_out)
    for done, (image_id, image) in enumerate(read_images(truth, left_out), start=1):
        provided = () if people is None else (people.get(image_id, People.empty(truth.dataset.skeleton)),)
        if done == 1:
            model(image, *provided)
        results[image_id] = _run(model, image, provided, truth, image_id)
        if progress is not None:
            progress(done, len(truth.paths))
    report = _summarise(truth, results, np.random.default_rng(seed), resamples)
    return replace(report, keypoints_only=keypoints_only, left_out=tuple(left_out))


def card_scores(reports: Sequence[Path], long_edge_px: int) -> tuple[dict[str, Any], ...]:
    """The scores of a model's card, from files of `poseg evaluate --json`; `long_edge_px` is the model's own.

    Raises AnnotationError for another file.
    """
    scores: list[dict[str, Any]] = []
    for path in reports:
        report = read_json(path)
        try:
            scores += _card_joint_scores(report) if "scores" in report else _card_coco_scores(report, long_edge_px)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise AnnotationError(f"{path} holds no scores; give a file of `poseg evaluate --json`.") from None
    return tuple(scores)


def _card_coco_scores(report: Mapping[str, Any], long_edge_px: int) -> list[dict[str, Any]]:
    """The card's scores from a file of `--metric coco`."""
    poses = report.get("poses", "")
    provided, in_boxes = poses.startswith(PROVIDED), poses.startswith(IN_BOXES)
    scores = []
    for metric in CARD_METRICS[provided : 1 if in_boxes else None]:  # the AP of provided poses is not the model's
        kind, _, number = metric.partition(".")
        scores.append(
            {
                "data": Path(report["data"]).name,
                "images": report["images"],
                "long_edge_px": report["options"]["long_edge"] or long_edge_px,
                **({"poses": poses} if provided or in_boxes else {}),
                **({"counted": "people with joints"} if report.get("keypoints_only") else {}),
                "metric": metric,
                "value": round(report[kind][number] if number else report[kind], 4),
                **_card_interval(report["intervals"].get(metric)),
            }
        )
    return scores


def _run(
    model: Model, image: NDArray[np.uint8], provided: tuple[People, ...], truth: GroundTruth, image_id: int
) -> _ImageResult:
    size = (image.shape[0], image.shape[1])
    annotated, ignore = truth.person_mask(image_id, size)
    started = perf_counter()
    people = model(image, *provided)
    total_ms = 1000 * (perf_counter() - started)
    skeleton, spent = truth.dataset.skeleton, people.timings
    records = coco_results(people if people.skeleton == skeleton else people.remap_to(skeleton), image_id)
    intersection, union = intersection_and_union(
        np.zeros(size, np.bool_) if people.masks is None else people.masks.union(), annotated, ignore
    )
    return _ImageResult(
        size=size,
        records=[{**record, "category_id": truth.category["id"]} for record in records],
        intersection=intersection,
        union=union,
        ms={
            "preprocess": None if spent is None else spent.preprocess_ms,
            "inference": None if spent is None else spent.inference_ms,
            "postprocess": None if spent is None else spent.postprocess_ms,
            "total": total_ms if spent is None else spent.total_ms,
        },
    )


def _summarise(
    truth: GroundTruth, results: Mapping[int, _ImageResult], rng: np.random.Generator, resamples: int
) -> EvaluationReport:
    coco = truth.to_coco({image_id: result.size for image_id, result in results.items()})
    records = [record for result in results.values() for record in result.records]
    skeleton = truth.dataset.skeleton
    poses = match(coco, records, "keypoints", skeleton=skeleton)
    masks = match(coco, records, "masks", skeleton=skeleton)
    ordered = [results[image_id] for image_id in poses.image_ids]
    overlap = Overlap(
        np.array([result.intersection for result in ordered], np.int64),
        np.array([result.union for result in ordered], np.int64),
    )
    counts = image_counts(rng, len(ordered), resamples)
    return EvaluationReport(
        keypoints=dict(poses.official),
        masks=dict(masks.official),
        person_iou=NOT_APPLICABLE if np.isnan(overlap.iou) else overlap.iou,
        images=len(results),
        persons=sum(map(truth.num_people, results)),
        num_detected=len(records),
        num_missing=truth.num_missing,
        ms={stage: _mean([result.ms[stage] for result in ordered]) for stage in ordered[0].ms},
        intervals=_intervals({"keypoints": poses, "masks": masks}, overlap, counts),
        data=truth.dataset.path,
        results=tuple(records),
        description=truth.description,
    )


def _intervals(matchings: Mapping[Kind, Matching], overlap: Overlap, counts: NDArray[np.int64]) -> dict[str, Interval]:
    """Intervals by name, all from the same resamples; without those that have nothing to measure."""
    values = {
        f"{kind}.{name}": numbers
        for kind, matching in matchings.items()
        for name, numbers in bootstrap_ap(matching, counts, MEASURES[kind]).items()
    }
    values["person_iou"] = overlap.resampled(counts)
    intervals = {name: percentile_interval(numbers) for name, numbers in values.items()}
    return {name: interval for name, interval in intervals.items() if interval is not None}


def _mean(values: Sequence[float | None]) -> float | None:
    stated = [value for value in values if value is not None]
    return float(np.mean(stated)) if stated else None


def _card_joint_scores(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The card's scores from a file of `--metric pck`."""
    common = {"data": Path(report["data"]).name, "images": report["images"], "joints": len(report["joints"])}
    return [
        {
            **common,
            "metric": score["name"],
            "value": round(score["overall"]["value"], 4),
            **_card_interval(score["overall"]["interval"]),
        }
        for score in report["scores"].values()
        if score["overall"]["value"] is not None
    ]


def _card_interval(interval: Sequence[float] | None) -> dict[str, Any]:
    return {"interval": [round(bound, 4) for bound in interval]} if interval else {}
