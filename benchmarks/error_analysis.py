"""Where average precision is lost: what a model would score if one kind of its errors were corrected.

run    python benchmarks/error_analysis.py --data ANN.json --images DIR --model small --model bodypix.onnx:801

As TIDE and coco-analyze do, the errors of poses (and of masks, with mask IoU in place of OKS) are corrected one kind at
a time:

    score order    people are scored by their similarity to ground truth, duplicates and background by 0
    background FP  people without a match (OKS or IoU below 0.1) are left out
    duplicates     of all people with the same best match (at least 0.1), only the most similar one stays
    localisation   people with a match (at least 0.1) get the joints, or the mask, of their ground truth
    misses         unmatched ground truth (below 0.5) is added, with the median score of matched people

For masks also: "assignment", where the union of all masks is assigned anew to the people by ground truth: what the
masks would score if only the union were predicted. Pixels and joints that are not annotated are judged by COCO's rules
throughout.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from args import ModelSpec, add_data_args, add_model_arg
from numpy.typing import NDArray
from rich.progress import track
from tables import Grid, add_output_args, write_outputs

import poseg
from poseg.evaluation.ground_truth import GroundTruth, load_ground_truth
from poseg.geometry.masks import Masks
from poseg.geometry.similarity import oks_matrix
from poseg.io.coco_results import coco_results
from poseg.metrics.average_precision import match
from poseg.metrics.coco_objects import Kind
from poseg.people import People
from poseg.runtime.predictor import Predictor

MIN_SIMILARITY, MATCHED = 0.1, 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Predicted and annotated people of one image, and their similarity (N, M)."""

    predicted: People
    truth: People
    similarity: NDArray[np.float32]

    @property
    def is_best(self) -> NDArray[np.bool_]:
        """(N,) whether a person has a match, and is the most similar one of those with the same match."""
        match, best = self.match, self.best
        better = (match[:, None] == match) & (best > best[:, None])
        return np.asarray((match >= 0) & ~better.any(axis=1))

    @property
    def best(self) -> NDArray[np.float32]:
        """(N,) similarity to the most similar annotated person."""
        return self.similarity.max(axis=1, initial=0)

    @property
    def match(self) -> NDArray[np.intp]:
        """(N,) index of the most similar annotated person; -1 for none."""
        if not self.similarity.shape[1]:
            return np.full(len(self.predicted), -1)
        return np.where(self.best >= MIN_SIMILARITY, self.similarity.argmax(axis=1), -1)


def keep_all(comparison: Comparison) -> People:
    return comparison.predicted


def correct_score_order(comparison: Comparison) -> People:
    return replace(comparison.predicted, scores=np.where(comparison.is_best, comparison.best, 0))


def remove_background(comparison: Comparison) -> People:
    return comparison.predicted[comparison.match >= 0]


def remove_duplicates(comparison: Comparison) -> People:
    return comparison.predicted[(comparison.match < 0) | comparison.is_best]


def correct_localisation(comparison: Comparison) -> People:
    match = comparison.match
    matched = match >= 0
    keypoints, masks = comparison.predicted.keypoints.copy(), np.array(comparison.predicted.masks)
    keypoints[matched] = comparison.truth.keypoints[match[matched]]
    masks[matched] = np.asarray(comparison.truth.masks)[match[matched]]
    return replace(comparison.predicted, keypoints=keypoints, masks=Masks.from_full(masks))


def add_misses(comparison: Comparison) -> People:
    predicted = comparison.predicted
    missed = comparison.truth[comparison.similarity.max(axis=0, initial=0) < MATCHED]
    matched_scores = predicted.scores[comparison.best >= MATCHED]
    median = float(np.median(matched_scores)) if len(matched_scores) else 0.5
    return People(
        predicted.skeleton,
        np.concatenate([predicted.keypoints, missed.keypoints]),
        np.concatenate([predicted.keypoint_scores, missed.keypoint_scores]),
        np.concatenate([predicted.scores, np.full(len(missed), median)]),
        np.concatenate([predicted.boxes_xyxy, missed.boxes_xyxy]),
        Masks.concatenate([predicted.masks, missed.masks]),
    )


def correct_assignment(comparison: Comparison) -> People:
    match, masks = comparison.match, np.array(comparison.predicted.masks)
    masks[match >= 0] = (np.asarray(comparison.truth.masks) & masks.any(axis=0))[match[match >= 0]]
    return replace(comparison.predicted, masks=Masks.from_full(masks))


BASE, ASSIGNMENT = "as predicted", "assignment"
CORRECTIONS: dict[str, Callable[[Comparison], People]] = {
    BASE: keep_all,
    "score order": correct_score_order,
    "background FP": remove_background,
    "duplicates": remove_duplicates,
    "localisation": correct_localisation,
    "misses": add_misses,
    ASSIGNMENT: correct_assignment,
}


def compare(predicted: People, truth: GroundTruth, image_id: int) -> dict[Kind, Comparison]:
    """Poses are compared with people with annotated joints, masks with people with an annotated mask."""
    people, areas = truth.dataset.people(image_id, predicted.masks.size), truth.dataset.areas(image_id)
    has_joints = (people.keypoint_scores > 0).any(axis=1)
    with_joints, with_mask = people[has_joints], people[people.masks.nonempty]
    oks = oks_matrix(
        predicted.keypoints,
        with_joints.keypoints,
        areas_px=areas[has_joints],
        sigmas=people.skeleton.sigmas,
        weights=with_joints.keypoint_scores > 0,
    )
    iou = predicted.masks.iou(with_mask.masks)
    return {"keypoints": Comparison(predicted, with_joints, oks), "masks": Comparison(predicted, with_mask, iou)}


def correct(model: Predictor, truth: GroundTruth) -> dict[str, dict[str, Any]]:
    """COCO's numbers of both kinds, for each correction."""
    records: dict[tuple[str, Kind], list[dict[str, Any]]] = {}
    sizes = {}
    for image_id, path in track(truth.paths.items(), description="images", transient=True):
        people = model(path)
        sizes[image_id] = people.masks.size
        for kind, comparison in compare(people, truth, image_id).items():
            for name, correction in CORRECTIONS.items():
                results = coco_results(correction(comparison), image_id)
                records.setdefault((name, kind), []).extend(
                    {**record, "category_id": truth.category["id"]} for record in results
                )
    coco = truth.to_coco(sizes)
    numbers: dict[str, dict[str, Any]] = {name: {} for name in CORRECTIONS}
    for (name, kind), results in track(records.items(), description="scores", transient=True):
        numbers[name][kind] = match(coco, results, kind).official
    return numbers


def tabulate(title: str, numbers: dict[str, dict[str, Any]]) -> Grid:
    """One model's table."""
    grid = Grid(title, ["corrected", "keypoint AP", "gain", "AP50", "AR", "mask AP", "gain", "AP50", "AR"])
    for name, row in numbers.items():
        cells = []
        for kind, recall in (("keypoints", "AR"), ("masks", "AR100")):
            official, before = row[kind], numbers[BASE][kind]["AP"]
            gain = f"{official['AP'] - before:+.3f}" if name != BASE else ""
            cells += [f"{official['AP']:.3f}", gain, f"{official['AP50']:.3f}", f"{official[recall]:.3f}"]
        grid.rows.append([name, *(["-"] * 4 if name == ASSIGNMENT else cells[:4]), *cells[4:]])
    return grid


def main() -> None:
    """Print a table for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_args(parser)
    add_model_arg(parser)
    add_output_args(parser)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    truth = load_ground_truth(args.data, args.images, args.limit)
    grids, numbers = [], {}
    for spec in args.model or [ModelSpec("small", None)]:
        model = poseg.load(
            spec.model, long_edge_px=spec.size_px, min_score=0.0, threads=1, pose_refiner="", mask_refiner=""
        )
        title = f"{model.model.card.name} at {spec.size_px or model.model.card.inference.long_edge_px} px"
        numbers[title] = correct(model, truth)
        grids.append(tabulate(f"{title}; {len(truth.paths)} images of {args.data.name}", numbers[title]))
    write_outputs(args, grids, numbers)


if __name__ == "__main__":
    main()
