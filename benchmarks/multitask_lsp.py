"""Whether the detection tasks improve the estimation of joints, as published, on Leeds Sports Pose, over several seeds.

run    python benchmarks/multitask_lsp.py --data DATA --out RUNS [--recipe multitask_paper] [--seeds 3]
       [--set optim.steps=1000] [--variants alone joint_windows all] [--measure] [--model multitask]

Trains a recipe for each variant of its tasks and each seed (existing runs are resumed; `--measure` trains nothing), and
measures all on LSP 1001-2000: those of LSP's 14 joints that the model has by name, which are 12 of COCO's. A crop is
the box of the annotated joints with the recipe's padding, not flipped. The table has the mean and the standard
deviation over seeds, in per cent: PCK@0.2 by torso and by box, and strict PCP. The last column is the variance of
predictions over images, relative to that of the ground truth: a network that predicts one mean pose has 0. `--model`
measures a model file instead, once as it is and once flipped.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from poseg.codecs.multitask import BODY_MARGIN, JOINT_WINDOWS, PART_WINDOWS
from poseg.datasets.lsp import Lsp
from poseg.export.torch_model import TorchModel, make_card
from poseg.geometry import boxes
from poseg.io.overrides import apply_overrides
from poseg.metrics.pairs import make_pairs
from poseg.metrics.pck import pck, pcp
from poseg.recipes import find_recipe
from poseg.runtime.crop_pose import TopDownPose
from poseg.runtime.inference import InferenceModel
from poseg.runtime.models import load_model
from poseg.skeletons import LSP14, remap_weights
from poseg.training.checkpoint import read_weights
from poseg.training.recipe import Recipe

# Detection tasks beside those that estimate joints.
VARIANTS = {
    "alone": (),
    "joint_windows": (JOINT_WINDOWS,),
    "part_windows": (PART_WINDOWS,),
    "all": (JOINT_WINDOWS, PART_WINDOWS),
}
METRICS = ("PCK torso", "PCK box", "PCP strict", "variance")


def overrides(recipe: str, variant: str, seed: int, settings: list[str]) -> list[str]:
    """The `--set` of a run."""
    tasks = [task for task in find_recipe(recipe).system.tasks if task not in VARIANTS["all"]] + list(VARIANTS[variant])
    return [*settings, f"system.tasks={','.join(tasks)}", f"seed={seed}"]


def train(name: str, settings: list[str], data: Path, folder: Path) -> None:
    """Train a recipe in a folder, or resume; in a process of its own, as forks of one that has trained hang."""
    options = [part for setting in settings for part in ("--set", setting)]
    command = [sys.executable, "-m", "poseg", "train", name, "--data", str(data), "--out", str(folder), *options]
    subprocess.run([*command, "--log-images-every", "0"], check=True)


def trained(recipe: Recipe, folder: Path) -> TorchModel:
    """The network of a run, with its averaged weights."""
    network = recipe.system.network()
    network.load_state_dict(read_weights(folder))
    card = make_card(
        recipe.system, name=recipe.name, inference=recipe.card.inference, mean=recipe.input.mean, std=recipe.input.std
    )
    return TorchModel(network.eval(), recipe.system.codec, card)


def evaluate(model: InferenceModel, data: Path, limit: int | None, *, flip: bool = False) -> dict[str, float]:
    """Scores of a model on LSP's test part."""
    pose_model, last = TopDownPose(model, flip=flip), 2000 if limit is None else 1000 + limit
    test = Lsp("lsp", data / "lsp", "im{:04d}.jpg", 1001, last, include_occluded=True, skeleton=LSP14)
    truth, predicted, truth_in_box, predicted_in_box = [], [], [], []
    shared = (remap_weights(model.codec.skeleton, LSP14) == 1).any(axis=1)
    for index in range(len(test)):
        sample = test[index]
        joints = sample.people.keypoints
        box = boxes.boxes_from_points(joints, np.ones(joints.shape[:2], bool))
        body = box + np.float32([-1, -1, 1, 1]) * BODY_MARGIN * (box[:, 2:] - box[:, :2]).max()
        people = pose_model(sample.image, body).remap_to(LSP14)
        truth.append(joints[0])
        predicted.append(people.keypoints[0])
        side = (box[0, 2:] - box[0, :2]).max()
        truth_in_box.append((joints[0, shared] - box[0, :2]) / side)
        predicted_in_box.append((people.keypoints[0, shared] - box[0, :2]) / side)
    pairs = make_pairs(LSP14, truth, predicted, evaluated_joints=shared)
    variance = np.var(predicted_in_box, axis=0).sum() / np.var(truth_in_box, axis=0).sum()
    return {
        "PCK torso": pck(pairs, "torso").overall.value, "PCK box": pck(pairs, "box").overall.value,
        "PCP strict": pcp(pairs, strict=True).overall.value, "variance": float(variance), "images": len(pairs),
    }  # fmt: skip


def parse_args() -> argparse.Namespace:
    """The command's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="holds lsp and what the recipe learns from")
    parser.add_argument("--out", type=Path, required=True, help="a folder for all runs")
    parser.add_argument("--recipe", default="multitask_paper")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="FIELD=VALUE")
    parser.add_argument("--model", help="measure this model, a name or a file; train nothing")
    parser.add_argument("--measure", action="store_true", help="measure existing runs; train nothing")
    parser.add_argument("--limit", type=int, help="the first test images only")
    return parser.parse_args()


def main() -> None:
    """Train, measure, print."""
    args = parse_args()
    if args.model:
        for flip in (False, True):
            print(args.model, f"flip {flip}", evaluate(load_model(args.model), args.data, args.limit, flip=flip))
        return
    rows: dict[str, list[dict[str, float]]] = {variant: [] for variant in args.variants}
    for seed in range(args.seeds):
        for variant in args.variants:
            settings = overrides(args.recipe, variant, seed, args.settings)
            recipe = apply_overrides(find_recipe(args.recipe), settings)
            folder = args.out / f"{args.recipe}.{variant}.{seed}"
            scores = folder / "scores.json"
            if not args.measure and not scores.exists():
                train(args.recipe, settings, args.data, folder)
            if args.measure and not folder.exists():
                continue
            if not scores.exists() or args.limit:
                scores.write_text(json.dumps(evaluate(trained(recipe, folder), args.data, args.limit)))
            rows[variant].append(json.loads(scores.read_text()))
            print(folder.name, scores.read_text(), flush=True)
    print_table(args.recipe, rows)


def print_table(recipe: str, rows: dict[str, Sequence[dict[str, float]]]) -> None:
    """Print the table."""
    table = Table("detection tasks", "seeds", *METRICS, title=f"{recipe}, tested on LSP 1001-2000")
    for variant, runs in rows.items():
        if runs:
            cells = [
                f"{100 * np.mean(v):.1f} +- {100 * np.std(v):.1f}" for v in ([run[m] for run in runs] for m in METRICS)
            ]
            table.add_row(variant, str(len(runs)), *cells)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
