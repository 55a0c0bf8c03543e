"""People found where nobody is, and what the threshold that silences them costs where somebody is.

run    python benchmarks/false_alarms.py --empty FOLDER --data ANN.json --images DIR --model small --model fast

FOLDER holds pictures without people: everybody found there is a false alarm. On the data set, "recall" is the share of
annotated people who are found (OKS, or mask IoU, of at least 0.5), and "precision" the share of the found who are
somebody, both at the same threshold on the person's score. The threshold that predictions use by default is marked *.
Choose a threshold on pictures that are not the test set.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from asking import Asked, ask_for_models, ask_for_pictures
from rich.progress import track
from tables import Grid, ask_for_outputs, put_out

import poseg
from poseg.evaluation.ground_truth import GroundTruth, load_ground_truth
from poseg.io.coco_json import coco_results
from poseg.metrics.average_precision import match
from poseg.metrics.coco_objects import Kind
from poseg.runtime.predictor import Predictor

THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)
USUAL = Predictor.__dataclass_fields__["min_score"].default
SUFFIXES = {".jpg", ".jpeg", ".png"}


def empty_scores(model: Predictor, folder: Path, limit: int | None) -> list[np.ndarray]:
    """For each picture of a folder, how sure we are of the people who are not there."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)[:limit]
    return [model(path).scores for path in track(paths, description="nobody there", transient=True)]


def results(model: Predictor, truth: GroundTruth) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The truth, and everybody found on the pictures of a data set."""
    records: list[dict[str, Any]] = []
    sizes = {}
    for image_id, path in track(truth.paths.items(), description="somebody there", transient=True):
        seen = model.see(path)
        sizes[image_id] = (seen.image.shape[0], seen.image.shape[1])
        found = coco_results(model.decode(seen), image_id)
        records += [{**record, "category_id": truth.category_id} for record in found]
    return truth.to_coco(sizes), records


def recall_and_precision(truth: dict[str, Any], records: list[dict[str, Any]], kind: Kind) -> tuple[float, float]:
    """At OKS or IoU 0.5, of everybody in the records."""
    matching = match(truth, records, kind)
    whole, half = matching.areas["all"], int(np.argmin(abs(matching.thresholds - 0.5)))
    hits, counted = int(whole.hits[half].sum()), int(whole.counted[half].sum())
    return hits / max(int(whole.truths.sum()), 1), hits / max(counted, 1)


def curve(asked: argparse.Namespace, one: Asked) -> tuple[str, list[dict[str, Any]]]:
    """A model's name and its numbers at each threshold."""
    model = poseg.load(one.model, size_px=one.size_px, min_score=0.0, threads=asked.threads)
    alarms = empty_scores(model, asked.empty, asked.limit)
    truth, records = results(model, load_ground_truth(asked.data, asked.images, asked.limit))
    rows = []
    for threshold in sorted({*THRESHOLDS, *asked.thresholds}):
        kept = [record for record in records if record["score"] >= threshold]
        poses, masks = (recall_and_precision(truth, kept, kind) for kind in ("keypoints", "masks"))
        above = [int((scores >= threshold).sum()) for scores in alarms]
        rows.append({
            "threshold": threshold, "pictures": len(alarms),
            "false_alarms": sum(above), "pictures_with_alarms": sum(n > 0 for n in above),
            "found": len(kept), "pose_recall": poses[0], "pose_precision": poses[1],
            "mask_recall": masks[0], "mask_precision": masks[1],
        })  # fmt: skip
    return f"{model.model.card.name} {one.size_px or model.model.card.size_px}", rows


def tabulate(title: str, rows: list[dict[str, Any]]) -> Grid:
    """One model's table."""
    grid = Grid(
        title,
        ["threshold", "false alarms", "in pictures", "a 100 pictures", "found",
         "pose recall", "precision", "mask recall", "precision"],
    )  # fmt: skip
    for row in rows:
        shares = (row[name] for name in ("pose_recall", "pose_precision", "mask_recall", "mask_precision"))
        grid.rows.append([
            f"{row['threshold']:.2f}" + ("*" if row["threshold"] == USUAL else ""),
            str(row["false_alarms"]), str(row["pictures_with_alarms"]),
            f"{100 * row['false_alarms'] / max(row['pictures'], 1):.1f}", str(row["found"]),
            *(f"{share:.3f}" for share in shares),
        ])  # fmt: skip
    return grid


def main() -> None:
    """Print a table for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--empty", type=Path, required=True, help="folder of pictures without people")
    ask_for_pictures(parser)
    ask_for_models(parser)
    parser.add_argument("--thresholds", type=float, nargs="+", default=[], help="more of them")
    parser.add_argument("--threads", type=int, default=1)
    ask_for_outputs(parser)
    asked = parser.parse_args()
    cv2.setNumThreads(asked.threads)
    curves = dict(curve(asked, one) for one in asked.model or [Asked("small", None)])
    empty = f"{next(iter(curves.values()))[0]['pictures']} pictures without people of {asked.empty.name}"
    grids = [tabulate(f"{name}: {empty}; recall on {asked.data.name}", rows) for name, rows in curves.items()]
    put_out(asked, grids, curves, ["* the default threshold"])


if __name__ == "__main__":
    main()
