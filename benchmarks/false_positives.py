"""False positives on images without people, and the recall that the score threshold against them costs.

run    python benchmarks/false_positives.py --empty FOLDER --data ANN.json --images DIR --model small --model fast

FOLDER holds images without people: every detection there is a false positive. On the data set, "recall" is the
fraction of annotated people who are detected (OKS, or mask IoU, of at least 0.5), and "precision" the fraction of
detections that match a person, at the same threshold on the person's score. The default threshold is marked *. Choose
a threshold on images that are not the test set.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from args import ModelSpec, add_data_args, add_model_arg
from rich.progress import track
from tables import Grid, add_output_args, write_outputs

import poseg
from poseg.evaluation.ground_truth import GroundTruth, load_ground_truth
from poseg.io.coco_results import coco_results
from poseg.io.images import read_image
from poseg.metrics.average_precision import match
from poseg.metrics.coco_objects import Kind
from poseg.runtime.models import MIN_SCORE
from poseg.runtime.predictor import Predictor

THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)
SUFFIXES = {".jpg", ".jpeg", ".png"}


def background_scores(model: Predictor, folder: Path, limit: int | None) -> list[np.ndarray]:
    """The scores of the false positives in each image of a folder."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)[:limit]
    return [model(path).scores for path in track(paths, description="without people", transient=True)]


def detect(model: Predictor, truth: GroundTruth) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The ground truth as COCO writes it, and the detections in the images of a data set."""
    records: list[dict[str, Any]] = []
    sizes = {}
    for image_id, path in track(truth.paths.items(), description="with people", transient=True):
        image = read_image(path)
        sizes[image_id] = (image.shape[0], image.shape[1])
        results = coco_results(model(image), image_id)
        records += [{**record, "category_id": truth.category["id"]} for record in results]
    return truth.to_coco(sizes), records


def recall_and_precision(truth: dict[str, Any], records: list[dict[str, Any]], kind: Kind) -> tuple[float, float]:
    """At OKS or IoU 0.5, of all records."""
    matching = match(truth, records, kind)
    areas, half = matching.areas["all"], int(np.argmin(abs(matching.thresholds - 0.5)))
    hits, counted = int(areas.hits[half].sum()), int(areas.counted[half].sum())
    return hits / max(int(areas.truths.sum()), 1), hits / max(counted, 1)


def curve(args: argparse.Namespace, spec: ModelSpec) -> tuple[str, list[dict[str, Any]]]:
    """A model's name and its numbers at each threshold."""
    model = poseg.load(spec.model, long_edge_px=spec.size_px, min_score=0.0, threads=args.threads)
    background = background_scores(model, args.empty, args.limit)
    truth, records = detect(model, load_ground_truth(args.data, args.images, args.limit))
    rows = []
    for threshold in sorted({*THRESHOLDS, *args.thresholds}):
        kept = [record for record in records if record["score"] >= threshold]
        poses, masks = (recall_and_precision(truth, kept, kind) for kind in ("keypoints", "masks"))
        counts = [int((scores >= threshold).sum()) for scores in background]
        rows.append({
            "threshold": threshold, "empty_images": len(background),
            "false_positives": sum(counts), "images_with_false_positives": sum(count > 0 for count in counts),
            "detections": len(kept), "pose_recall": poses[0], "pose_precision": poses[1],
            "mask_recall": masks[0], "mask_precision": masks[1],
        })  # fmt: skip
    return f"{model.model.card.name} {spec.size_px or model.model.card.inference.long_edge_px}", rows


def tabulate(title: str, rows: list[dict[str, Any]]) -> Grid:
    """One model's table."""
    grid = Grid(
        title,
        ["threshold", "false positives", "in images", "per 100 images", "detections",
         "pose recall", "precision", "mask recall", "precision"],
    )  # fmt: skip
    for row in rows:
        rates = (row[name] for name in ("pose_recall", "pose_precision", "mask_recall", "mask_precision"))
        grid.rows.append([
            f"{row['threshold']:.2f}" + ("*" if row["threshold"] == MIN_SCORE else ""),
            str(row["false_positives"]), str(row["images_with_false_positives"]),
            f"{100 * row['false_positives'] / max(row['empty_images'], 1):.1f}", str(row["detections"]),
            *(f"{rate:.3f}" for rate in rates),
        ])  # fmt: skip
    return grid


def main() -> None:
    """Print a table for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--empty", type=Path, required=True, help="folder of images without people")
    add_data_args(parser)
    add_model_arg(parser)
    parser.add_argument("--thresholds", type=float, nargs="+", default=[], help="more of them")
    parser.add_argument("--threads", type=int, default=1)
    add_output_args(parser)
    args = parser.parse_args()
    cv2.setNumThreads(args.threads)
    curves = dict(curve(args, spec) for spec in args.model or [ModelSpec("small", None)])
    empty = f"{next(iter(curves.values()))[0]['empty_images']} images without people of {args.empty.name}"
    grids = [tabulate(f"{name}: {empty}; recall on {args.data.name}", rows) for name, rows in curves.items()]
    write_outputs(args, grids, curves, ["* the default threshold"])


if __name__ == "__main__":
    main()
