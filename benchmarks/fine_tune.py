"""What fine-tuning on a small set of one's own gains: `poseg train --data JSON --images DIR` on folds of a data set.

Each fold is held out in turn: the command gets the other images as own data (and splits them for its own validation).
Printed are the scores of the model to start with, of the fine-tuned one, and of the same steps from random weights, on
all images, each by the network that has not seen it, with 95 % bootstrap intervals; and processor time.

    python benchmarks/fine_tune.py --data person_keypoints_train2017.json --images train2017 --joints five --out runs
    python benchmarks/fine_tune.py --data person_instances_train2017.json --images train2017 --joints none --out runs
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from time import process_time, time
from typing import Any

import numpy as np

import poseg
from poseg.evaluation import evaluate
from poseg.evaluation.ground_truth import load_ground_truth
from poseg.io.files import read_json
from poseg.recipes import own_run
from poseg.recipes.own_data import complete_skeleton, skeleton_category

FIVE = ("nose", "left_wrist", "right_wrist", "left_ankle", "right_ankle")
BONES = [[1, 2], [1, 3], [1, 4], [1, 5]]  # COCO's tree has none of them


def main() -> None:
    """Run all folds and print the table."""
    args = arguments()
    raw = with_joints(read_json(args.data), args.joints)
    args.out.mkdir(parents=True, exist_ok=True)
    fold_of = folds(raw, args.folds)
    held_out = range(args.folds if args.held_out is None else args.held_out)
    models: dict[str, dict[int, Any]] = {"before": {}, "fine-tuned": {}, "from random weights": {}}
    for fold in held_out:
        part = args.out / f"fold{fold}.json"
        part.write_text(json.dumps(of_images(raw, {image for image, number in fold_of.items() if number != fold})))
        models["before"][fold] = poseg.load(args.init, min_score=0.0)
        models["fine-tuned"][fold] = trained(args, part, args.out / f"tuned{fold}", args.set)
        if args.scratch:
            fresh = ["init.checkpoint=", f"optim.lr={args.scratch_lr}", "optim.freeze_stem=false", *args.set]
            models["from random weights"][fold] = trained(args, part, args.out / f"scratch{fold}", fresh)
    test = args.out / "held_out.json"
    test.write_text(json.dumps(of_images(raw, {image for image, number in fold_of.items() if number in held_out})))
    truth = load_ground_truth(test, args.images)
    skeleton, _ = complete_skeleton(truth.dataset.skeleton, truth.dataset, args.joints != "none")
    test.write_text(json.dumps({**json.loads(test.read_text()), "categories": [skeleton_category(skeleton)]}))
    print(f"On {len(truth.paths)} images that the networks have not seen:\n")
    print("| network | keypoint AP | mask AP | person IoU |\n| --- | --- | --- | --- |")
    for name, by_fold in models.items():
        if by_fold:
            print(f"| {name} | {' | '.join(scores(by_fold, fold_of, test, args.images))} |", flush=True)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--joints", choices=("five", "own", "none"), default="own", help="none: masks alone")
    parser.add_argument("--init", default="fast")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--held-out", type=int, help="hold out the first folds alone, to save time")
    parser.add_argument("--scratch", action="store_true", help="train from random weights too")
    parser.add_argument("--scratch-lr", type=float, default=1.5e-3, help="that of the recipes for new networks")
    parser.add_argument("--set", action="append", default=[])
    return parser.parse_args()


def with_joints(raw: Mapping[str, Any], joints: str) -> dict[str, Any]:
    """The file with five joints, with its own, or with none."""
    kept = dict(raw)
    if joints == "own":
        return kept
    (category,) = (c for c in raw["categories"] if c["name"] == "person")
    people = [record for record in raw["annotations"] if record["category_id"] == category["id"]]
    plain = [{k: v for k, v in r.items() if k not in ("keypoints", "num_keypoints")} for r in people]
    if joints == "five":
        rows = [category["keypoints"].index(name) for name in FIVE]
        for record, source in zip(plain, people, strict=True):
            points = np.array(source["keypoints"]).reshape(-1, 3)[rows]
            record.update(keypoints=points.ravel().tolist(), num_keypoints=int((points[:, 2] > 0).sum()))
    names = {"keypoints": list(FIVE), "skeleton": BONES} if joints == "five" else {}
    return {**kept, "annotations": plain, "categories": [{"id": category["id"], "name": "person", **names}]}


def folds(raw: Mapping[str, Any], count: int) -> dict[int, int]:
    """The fold of each image, drawn once."""
    ids = sorted(image["id"] for image in raw["images"])
    return {ids[place]: number % count for number, place in enumerate(np.random.default_rng(0).permutation(len(ids)))}


def of_images(raw: Mapping[str, Any], chosen: set[int]) -> dict[str, Any]:
    """The file with some of its images alone."""
    images = [image for image in raw["images"] if image["id"] in chosen]
    return {**raw, "images": images, "annotations": [r for r in raw["annotations"] if r["image_id"] in chosen]}


def trained(args: argparse.Namespace, data: Path, folder: Path, settings: list[str]) -> Any:
    """The model that the command makes of a file; a run that is there is taken as it is."""
    started, seconds = process_time(), time()
    if not (folder / own_run.PAGE).exists():
        run = own_run.plan(data, args.images, args.init, folder, settings, progress=lambda *_: None)
        if not (folder / "run.json").exists():
            print(*run.facts, sep="\n", flush=True)
        own_run.train_own(run, report=lambda _: None, workers=0, log_images_every=0)
        own_run.finish(run, progress=lambda *_: None)
        step = json.loads((folder / "run.json").read_text())["step"]
        spent = f"{(process_time() - started) / 60:.1f} minutes of processor time, {(time() - seconds) / 60:.1f} in all"
        print(f"{folder.name}: {step} steps of {run.recipe.optim.batch_size}, {spent}", flush=True)
    return poseg.load(folder / own_run.MODEL, min_score=0.0)


def scores(by_fold: Mapping[int, Any], fold_of: Mapping[int, int], data: Path, images: Path) -> list[str]:
    """Scores on all images, each by the model of its fold."""
    ids = list(load_ground_truth(data, images).paths)
    order = iter([fold_of[image_id] for image_id in (ids[0], *ids)])  # the first one is run once more to warm up
    report = evaluate(lambda image: by_fold[next(order)](image), data, images)
    return [
        text(report.keypoints["AP"], report.intervals.get("keypoints.AP")),
        text(report.masks["AP"], report.intervals.get("masks.AP")),
        text(report.person_iou, report.intervals.get("person_iou")),
    ]


def text(value: float, interval: tuple[float, float] | None) -> str:
    """A score with its interval."""
    return "-" if value < 0 else f"{value:.3f}" + (f" ({interval[0]:.2f}-{interval[1]:.2f})" if interval else "")


if __name__ == "__main__":
    main()
