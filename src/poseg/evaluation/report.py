"""A model against a data set: COCO's numbers for poses and masks, person IoU, time, and how sure all that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.evaluation.pictures import Pictures, find_pictures
from poseg.io.coco_json import coco_results
from poseg.io.images import read_image
from poseg.metrics.average_precision import MEASURES, Matching, match
from poseg.metrics.bootstrap import bootstrap_ap, image_counts, percentile_interval
from poseg.metrics.coco_objects import Kind
from poseg.metrics.iou import Overlap, intersection_and_union
from poseg.people import People

UNMEASURED = -1.0  # COCO's number where there is nothing to measure

Interval = tuple[float, float]


# Anything that finds people, or what is not known of people who are given: (H, W, 3) uint8 RGB, and perhaps People,
# in; People in the picture's pixels out.
Model = Callable[..., People]


@dataclass(frozen=True, slots=True)
class Report:
    """What a model scored.

    keypoints, masks  COCO's 10 and 12 numbers by name; -1 where there is nothing to measure
    person_iou        person pixels found against annotated, over all pictures, crowds left out; -1 likewise
    images            pictures evaluated
    persons           people annotated in them, crowds left out
    found             people that the model found
    skipped           pictures without people that the data set lists and that do not lie on disk
    ms                mean milliseconds a picture: pre, net, decode as the model states them (None where it does
                      not), and their total, or else the time of the call. The first picture is run once more
                      beforehand, uncounted
    intervals         95 % bootstrap intervals over pictures: "keypoints.AP", "masks.AP", ..., "person_iou"
    data              the annotation file
    about             what it says of itself, such as which of several protocols it is for
    posed             only people with annotated joints counted, the others were ignored
    results           COCO result records of everything found
    """

    keypoints: Mapping[str, float]
    masks: Mapping[str, float]
    person_iou: float
    images: int
    persons: int
    found: int
    skipped: int
    ms: Mapping[str, float | None]
    intervals: Mapping[str, Interval]
    data: str
    posed: bool = False
    results: tuple[Mapping[str, Any], ...] = ()
    about: str = ""

    def to_plain(self) -> dict[str, Any]:
        """Everything but the results, ready for JSON."""
        return {
            "data": self.data,
            "about": self.about,
            "posed": self.posed,
            "keypoints": dict(self.keypoints),
            "masks": dict(self.masks),
            "person_iou": self.person_iou,
            "images": self.images,
            "persons": self.persons,
            "found": self.found,
            "skipped": self.skipped,
            "ms": dict(self.ms),
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
        }


@dataclass(frozen=True, slots=True, eq=False)
class _Outcome:
    """What the model did with one picture."""

    size: tuple[int, int]
    records: list[dict[str, Any]]
    shared: int
    joint: int
    ms: tuple[float | None, float | None, float | None, float]


def evaluate(
    model: Model,
    data: str | Path,
    images: str | Path,
    *,
    progress: Callable[[int, int], None] | None = None,
    limit: int | None = None,
    resamples: int = 1000,
    seed: int = 0,
    given: Mapping[int, People] | None = None,
    posed: bool = False,
) -> Report:
    """Run a model over a COCO data set and measure it.

    data       COCO annotation file, plain or .gz
    images     folder of its pictures; missing ones are skipped where nobody is in them
    progress   called with (done, all) after each picture
    limit      the first pictures only
    resamples  of the bootstrap, drawn with `seed`
    given      people by image id, for a model that is given them; pictures that are not named have none
    posed      only people with annotated joints count and the others are ignored, as in COCOPersons

    People are mapped to the skeleton of the data set by the names of the joints. Raises AnnotationError and
    ImageError for data that cannot be used, and whatever the model raises.
    """
    pictures = find_pictures(data, images, limit, posed=posed)
    outcomes: dict[int, _Outcome] = {}
    for done, (image_id, path) in enumerate(pictures.paths.items(), start=1):
        image = read_image(path)
        known = () if given is None else (given.get(image_id, People.empty(pictures.dataset.skeleton)),)
        if done == 1:
            model(image, *known)
        outcomes[image_id] = _run(model, image, known, pictures, image_id)
        if progress is not None:
            progress(done, len(pictures.paths))
    report = _measure(pictures, outcomes, np.random.default_rng(seed), resamples)
    return replace(report, posed=posed)


def _run(
    model: Model, image: NDArray[np.uint8], given: tuple[People, ...], pictures: Pictures, image_id: int
) -> _Outcome:
    size = (image.shape[0], image.shape[1])
    true, unknown = pictures.true_pixels(image_id, size)
    started = perf_counter()
    people = model(image, *given)
    elapsed_ms = 1000 * (perf_counter() - started)
    spent = people.timings
    skeleton = pictures.dataset.skeleton
    records = coco_results(people if people.skeleton == skeleton else people.remap_to(skeleton), image_id)
    shared, joint = intersection_and_union(
        np.zeros(size, np.bool_) if people.masks is None else people.masks.union(), true, unknown
    )
    return _Outcome(
        size=size,
        records=[{**record, "category_id": pictures.category_id} for record in records],
        shared=shared,
        joint=joint,
        ms=(None, None, None, elapsed_ms)
        if spent is None
        else (spent.preprocess_ms, spent.inference_ms, spent.postprocess_ms, spent.total_ms),
    )


def _measure(pictures: Pictures, outcomes: Mapping[int, _Outcome], rng: np.random.Generator, resamples: int) -> Report:
    truth = pictures.truth({image_id: outcome.size for image_id, outcome in outcomes.items()})
    records = [record for outcome in outcomes.values() for record in outcome.records]
    skeleton = pictures.dataset.skeleton
    poses = match(truth, records, "keypoints", skeleton=skeleton)
    masks = match(truth, records, "masks", skeleton=skeleton)
    in_order = [outcomes[image_id] for image_id in poses.image_ids]
    overlap = Overlap(
        np.array([outcome.shared for outcome in in_order], np.int64),
        np.array([outcome.joint for outcome in in_order], np.int64),
    )
    person_iou = overlap.iou
    return Report(
        keypoints=dict(poses.official),
        masks=dict(masks.official),
        person_iou=UNMEASURED if np.isnan(person_iou) else person_iou,
        images=len(outcomes),
        persons=sum(pictures.persons(image_id) for image_id in outcomes),
        found=len(records),
        skipped=pictures.skipped,
        ms=_mean_ms(in_order),
        intervals=_intervals(
            {"keypoints": poses, "masks": masks}, overlap, image_counts(rng, len(in_order), resamples)
        ),
        data=pictures.dataset.path,
        results=tuple(records),
        about=about(pictures.plain),
    )


def about(plain: Mapping[str, Any]) -> str:
    """What an annotation file says of itself."""
    info = plain.get("info")
    return str(info.get("description", "")) if isinstance(info, Mapping) else ""


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


def _mean_ms(outcomes: list[_Outcome]) -> dict[str, float | None]:
    columns = zip(
        ("pre", "net", "decode", "total"), zip(*(outcome.ms for outcome in outcomes), strict=True), strict=True
    )
    return {name: _mean([ms for ms in column if ms is not None]) for name, column in columns}


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
